"""Code that fixes arrays, adapted to a case: its axes, its directions, and where its rows end.

A rule states its fix for the plainest case, `[B, T, H]` read forward and padded on the right; these write the same for
any other. Names are those of `Rule.fix`; `outputs` and `inputs` have the axes of the dump.
"""

from __future__ import annotations

from rnninspect.core.trace import Ints, Track
from rnninspect.diagnosis.case import Case
from rnninspect.engine import cells


def gathered(case: Case, plain: str) -> str:
    """The rule's `plain` fix, which takes h from the outputs at each row's last step, or the same for other cases."""
    tracks = top_tracks(case)
    simple = len(tracks) == 1 and _reads_on(tracks[0]) and case.trace.lengths is not None
    comment = _comment(plain).replace("outputs[:, -1]", "outputs[-1]" if case.reading.time_major else "outputs[:, -1]")
    if simple and not case.reading.time_major and not case.trace.mask_given and not _empty_rows(case):
        return plain
    lines = list(_prelude(case, tracks))
    if len(tracks) == 1:
        lines.append(f"h = {_taken(case, tracks[0], 'outputs')}{comment}")
    else:
        forward, backward = (_taken(case, t, f"outputs_{'bw' if t.direction == 'backward' else 'fw'}") for t in tracks)
        lines.append(f"h_fw = {forward}{comment}")
        lines.append(f"h_bw = {backward}  # the backward pass ends at {first_word(case)}")
        lines.append("h = np.concatenate([h_fw, h_bw], axis=-1)")
    if _empty_rows(case):
        lines.append("h[lengths == 0] = 0  # an empty row has no last step: it ends in its initial state")
    return "\n".join(lines)


def backward_gathered(case: Case, plain: str) -> str:
    """The backward half taken from its outputs at each row's first step; all of h, where it is the one direction."""
    tracks = top_tracks(case)
    if len(tracks) == 1:
        comment = _comment(plain) if tracks[0].order == "time" else "  # the pass ends at the last of its outputs"
        return "\n".join([*_prelude(case, tracks), f"h = {_taken(case, tracks[0], 'outputs')}{comment}"])
    if not case.reading.time_major and not case.trace.mask_given:
        return plain
    track = next(t for t in tracks if t.direction == "backward")
    return f"h_bw = {_taken(case, track, 'outputs_bw')}{_comment(plain)}"


def zeroed(case: Case, plain: str) -> str:
    """The outputs with zeros at every step that is not real."""
    reversed_ = any(t.order == "reversed" for t in top_tracks(case))
    if not case.reading.time_major and not case.trace.mask_given and not reversed_:
        return plain
    real = "mask" if case.trace.mask_given else "(np.arange(T) < lengths[:, None])"
    real += "[:, ::-1]" * reversed_ + ".T" * case.reading.time_major
    return f"outputs = np.where({real}[..., None], outputs, 0)"


def padded(case: Case, plain: str) -> str:
    """The outputs with what the framework leaves at every step that is not real: the last real output, or zeros."""
    if case.trace.padding != "repeat":
        return zeroed(case, plain)
    reversed_ = any(t.order == "reversed" for t in top_tracks(case))
    real = "mask" if case.trace.mask_given else "(np.arange(T) < lengths[:, None])"
    real += "[:, ::-1]" * reversed_
    taken = (
        "outputs[np.maximum(last, 0).T, np.arange(B)]"
        if case.reading.time_major
        else ("outputs[np.arange(B)[:, None], np.maximum(last, 0)]")
    )
    before = "(last >= 0)" + ".T" * case.reading.time_major
    return (
        f"last = np.maximum.accumulate(np.where({real}, np.arange(T), -1), axis=1)  # the last real step so far\n"
        f"outputs = np.where({before}[..., None], {taken}, 0)"
    )


def as_called(case: Case, theirs: str) -> str:
    """A framework's call of the layer, given packed rows where zeros behind rows that end early show that it was."""
    ended = case.trace.knows_padding and any(facts.short.any() for facts in case.facts)
    packed = ended and all(facts.zero[~facts.mask].all() for facts in case.facts)
    return theirs.replace("(x)", "(packed)") if packed else theirs


def within_lengths(case: Case, rule: str) -> str:
    """The rule under whose name frameworks hold the code that takes both halves of a state: `rule`, or one whose code
    runs the layer again, within lengths, where these outputs are of a run past the ends of rows, as its state is."""
    ran_on = any("computed" in facts.padding for facts in case.facts) and case.convention.padding != "computed"
    return "last-column-as-final-state" if ran_on and case.trace.directions == 2 else rule


def of_the_cell(case: Case, code: str, of_c: str) -> str:
    """Code whose remark says `of_c` of the cell state: without that, where no layer is known to have one."""
    cell = case.config.cell if case.weights is None else case.weights.spec.cell
    has_c = cells.get(cell).has_c if cell is not None else any(t.cell is not None for t in case.trace.tracks)
    return code if has_c else code.replace(of_c, "")


def lengths_as(used: Ints, remark: str) -> str:
    """The code that states these lengths `[B]`, row by row."""
    return f"lengths = np.array([{', '.join(map(str, used.tolist()))}])  # {remark}"


def or_run_again(code: str) -> str:
    """Code that runs the layer again, as the other way to put right what the code above puts right in one."""
    return "\n".join(
        ["# or, where these lengths are right, run again with them:", *(f"# {x}" for x in code.split("\n"))]
    )


def top_tracks(case: Case) -> list[Track]:
    """The tracks of the top layer, forward first."""
    return [t for t in case.trace.tracks if t.layer == case.trace.layers - 1]


def time_axis(case: Case) -> int:
    """The axis of time in outputs and inputs as the dump has them."""
    return 0 if case.reading.time_major else 1


def _reads_on(track: Track) -> bool:
    """Whether the state after the whole row stands at its last step, counted from its first."""
    return track.direction == "forward" or track.order == "within"


def _prelude(case: Case, tracks: list[Track]) -> list[str]:
    if not case.trace.mask_given or not any(_reads_on(t) for t in tracks):
        return []
    return ["last = T - 1 - mask[:, ::-1].argmax(1)  # each row's last real step"]


def _taken(case: Case, track: Track, name: str) -> str:
    """The expression that takes one track's state `[B, H]` from its outputs."""
    lengths_known = case.trace.knows_padding
    if _reads_on(track):
        step = "last" if case.trace.mask_given else "lengths - 1" if lengths_known else "-1"
    elif track.order == "reversed":
        step = "T - 1 - mask.argmax(1)" if case.trace.mask_given else "-1"
    else:
        step = "mask.argmax(1)" if case.trace.mask_given else "0"
    if step in ("0", "-1"):
        return f"{name}[{step}]" if case.reading.time_major else f"{name}[:, {step}]"
    return f"{name}[{step}, np.arange(B)]" if case.reading.time_major else f"{name}[np.arange(B), {step}]"


def first_word(case: Case) -> str:
    """Where the backward pass ends, in words."""
    return "each row's first real step" if case.trace.mask_given else "step 0"


def _empty_rows(case: Case) -> bool:
    """Whether rows without a step end in their initial state, which no step holds."""
    state_rows = case.reading.state_rows  # the trace holds the rows that have a state alone
    dropped = state_rows is not None and state_rows.lengths is not None and not state_rows.lengths.all()
    empty = dropped or not case.trace.mask.any(1).all()
    return case.trace.zero_length != "wrap" and empty and not case.trace.mask_given


def _comment(code: str) -> str:
    """The remark behind a line of code, with the space before it; none that only leads to the next line."""
    _, mark, remark = code.partition("\n")[0].partition("  # ")
    return "" if remark.endswith(":") else mark + remark
