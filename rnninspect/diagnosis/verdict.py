"""Could anything have failed? Findings are errors and warnings; without them a report is clean only where it could."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rnninspect.conventions.dumps.inverted import OR_CALLED_SO
from rnninspect.core.finding import Finding, Verdict
from rnninspect.core.frozen import frozen
from rnninspect.core.trace import Bools, Ints
from rnninspect.core.wording import argument
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence.cell_beside_state import cannot_be_of
from rnninspect.diagnosis.evidence.padding_read_first import moved_before
from rnninspect.diagnosis.evidence.zeros_beneath import perhaps_written
from rnninspect.diagnosis.merged_state import COMPUTED
from rnninspect.diagnosis.rule import describe_rows, listed
from rnninspect.measure.directions import NO_ORDER
from rnninspect.measure.facts import TrackFacts
from rnninspect.measure.pairs import LAYERS
from rnninspect.measure.run_ends import ends_elsewhere, run_ends

RUN = "inputs and weights, to run the layer again"
UNLIKE = "outputs of another run"  # what a trace's `source` says where a run of the weights ends in its states alone


@frozen
class Untested:
    """What nothing that was given could test, in words, and what would decide it."""

    what: str
    would_decide: str


def verdict(findings: Iterable[Finding], open_question: Untested | None) -> Verdict:
    """`findings` where one is an error or a warning, `clean` where none is though one could be, else `unjudged`.

    `open_question`: what is `untested`.
    """
    if any(f.severity != "note" for f in findings):
        return "findings"
    return "clean" if open_question is None else "unjudged"


def untested(case: Case) -> Untested | None:
    """What could not fail, whatever it held; None where weights or lengths put every state to a test."""
    if "printed twice" in case.trace.source:
        return Untested(case.trace.source["printed twice"], "one print-out of each array, or the option that names it")
    if any(OR_CALLED_SO in note for note in case.reading.evidence.notes):
        return Untested(f"true is read as padding in the mask, {OR_CALLED_SO}", "lengths, or the mask of that call")
    if (padded := _padding_that_inputs_show(case) or _cut_behind_blanks(case)) is not None:
        return padded
    for about, what in ((UNLIKE, "outputs that"), (COMPUTED, "final state that")):
        if about in case.trace.source:
            return Untested(case.trace.source[about], f"the {what} the layer itself gave")
    if _runs(case):
        return _steps_that_lengths_would_tell(case)
    if "direction" in case.trace.source:
        told = case.trace.source["direction"]
        if NO_ORDER in told:
            return Untested(told, f"the order in which the outputs stand (keep_order, go_backwards), or {RUN}")
        needed = "the direction that the layer reads in" if case.facts else "each direction's own outputs"
        return Untested(f"the direction: {case.trace.source['direction']}", f"{needed}, or {RUN}")
    if (either := case.trace.source.get(LAYERS)) is not None:
        return Untested(f"{LAYERS}: {either}", f"the layers, or {RUN}")
    if not case.facts:
        return Untested(
            "no final state has outputs of its own to be compared with", f"each layer's own outputs, or {RUN}"
        )
    if (either := _axes_of_a_default(case)) is not None:
        return either
    blind = [f for f in case.facts if not f.expected_known]
    if blind and not case.trace.knows_padding:
        where = "every final state" if len(blind) == len(case.facts) else "the forward half of the final state"
        return Untested(
            f"the lengths are not known: {where} equals a step of its own row, and nothing says whether it is the last "
            "real one",
            f"{_lengths_or_mask(case)}, or {RUN}",
        )
    if not any(map(_could_fail, case.facts)):
        if any(facts.all_near.any() for facts in case.facts):
            return Untested(
                "the tolerance is so wide that every step of a row fits its final state",
                "a smaller tolerance (rtol 0 and atol 0 compare bit for bit)",
            )
        return Untested(
            "no row has evidence: each has no real step, only equal steps, or a state that is all zero",
            f"rows whose steps differ, or {RUN}",
        )
    return (
        _began_in_padding(case)
        or _moved_before_the_data(case)
        or _run_that_stopped_before(case)
        or _ends_elsewhere(case)
        or _cells_of_other_states(case)
        or _zeros_beneath(case)
        or _start_of_the_chunk(case)
    )


def _start_of_the_chunk(case: Case) -> Untested | None:
    """A chunk that is said to go on from the one before it, where nothing shows in which state it began."""
    if case.chunk is None or case.chunk.named_initial is not None:
        return None
    return Untested(
        "nothing shows that this run starts in the final state of the previous chunk", f"its initial state, or {RUN}"
    )


def _axes_of_a_default(case: Case) -> Untested | None:
    """A state `[B, H]` that is the last step by axes which the stated framework, or the node of a model, does not have
    by default, and nothing but that state's own rows speaks for: `outputs[:, -1]` of `[T, B, H]` looks the same."""
    trace, raw, config = case.trace, case.raw("h"), case.config
    usual = config.axes_of_node or (case.convention.time_major and case.reading.evidence.framework_stated)
    usual = usual and not config.axes_stated
    counted = trace.lengths is not None and config.full_lengths != "stated"
    counted = counted and not (trace.mask.all() and trace.batch_size == trace.steps)  # which say nothing of axes
    if not usual or case.reading.time_major or counted or trace.mask_given:
        return None
    if raw is None or raw.ndim != 2 or trace.steps < 2 or not all(f.equal[:, -1].all() for f in case.facts):
        return None
    return Untested(
        f"the axes are not stated, and {'the node' if config.axes_of_node else case.convention.name}'s default is "
        "[T, B, H]: by it the states are steps of one row, outputs[:, -1], and not each row's last step",
        f"{argument('time_major', True)} or {argument('batch_first', True)}, or {RUN}",
    )


def _began_in_padding(case: Case) -> Untested | None:
    """A track read backwards that was computed over the padding, where it is not known that its framework does so after
    the real steps: read before them, every step of the row carries it."""
    after = case.config.padding is None and case.reading.evidence.decided and case.trace.padding == "computed"
    for facts in (f for f in case.facts if not after and f.track.direction == "backward" and f.track.order == "time"):
        rows = np.flatnonzero([p == "computed" for p in facts.padding] & (facts.ends > 0) & ~facts.mask[:, -1])
        if rows.size:
            return Untested(
                f"{_in_words(case, rows)} of {facts.track.name}: the padded outputs were computed, and nothing says "
                "whether this pass read the padding before the real steps, which would make its final state wrong",
                RUN,
            )
    return None


def _moved_before_the_data(case: Case) -> Untested | None:
    """A track whose outputs move over the steps before the data, which a mask says are padding."""
    for facts in case.facts:
        rows = np.flatnonzero(moved_before(case, facts))
        if rows.size:
            return Untested(
                f"{_in_words(case, rows)} of {facts.track.name}: the outputs change over the padding before the "
                "data, and nothing says whether the state had changed, too, before the first real step",
                RUN,
            )
    return None


def _steps_that_lengths_would_tell(case: Case) -> Untested | None:
    """A run of the weights gives the outputs, and states are of steps before the last, which may be where rows end."""
    if case.trace.knows_padding:
        return None
    for facts in (f for f in case.facts if not f.expected_known):
        at_last = facts.equal[:, -1] | facts.near[:, -1]
        rows = np.flatnonzero(~at_last & ~facts.uniform)
        if rows.size:
            return Untested(
                f"the lengths are not known, and the final state of {_in_words(case, rows)} is of a step before the "
                "last: nothing says whether the rows end there",
                _lengths_or_mask(case),
            )
    return None


def _run_that_stopped_before(case: Case) -> Untested | None:
    """Rows whose outputs are zero, or repeat, from before their stated end on: the state is the same either way."""
    for facts in case.facts if not case.trace.mask_given else ():
        rows = np.flatnonzero(_stops_early(facts) & ~facts.mismatched)
        if rows.size:
            return Untested(
                f"{_in_words(case, rows)}: the outputs stop before the stated end, zero or repeated from there on, so "
                "that nothing says whether the row goes on to that end",
                f"the lengths or the mask that the run had, or {RUN}",
            )
    return None


def _ends_elsewhere(case: Case) -> Untested | None:
    """Rows whose outputs end in zeros, each at a step of its own, and not where the lengths say: a run of other lengths
    made them, or the lengths leave out real steps."""
    ends = ends_elsewhere(case.facts)
    if ends is None:
        return None
    counts = case.facts[0].ends
    order = ", the same in another order" if np.array_equal(np.sort(ends), np.sort(counts)) else ""
    return Untested(
        f"the outputs end in zeros after {listed(ends.tolist())} steps, and the lengths are {listed(counts.tolist())}"
        f"{order}: nothing says which of the two are of these rows",
        f"the lengths that the run had, or {RUN}",
    )


def _stops_early(facts: TrackFacts) -> Bools:
    """`[B]`: rows whose outputs are of one step from before their stated end on; zero there, or where a track is read
    from the end on and its padding comes first, zero at its first real step."""
    rows = np.arange(facts.ends.size)
    if facts.track.order == "reversed":
        first = facts.zero[rows, facts.mask.argmax(1)]
        return np.asarray(first & facts.mask.any(1) & ~facts.zero.all(1))
    zeros = facts.zero[rows, np.maximum(facts.ends - 1, 0)] & ~facts.zero.all(1) & ~facts.final_zero
    if facts.track.direction == "backward" and facts.track.order == "time":
        return np.asarray(zeros & (facts.ends > 0))
    stops = run_ends(facts)
    return np.asarray((stops > 0) & (stops < facts.ends) & ~facts.final_zero | (zeros & (facts.ends > 0)))


def _in_words(case: Case, rows: Ints) -> str:
    return describe_rows(rows.tolist(), case.trace.batch_size)


def _padding_that_inputs_show(case: Case) -> Untested | None:
    """The inputs end, or begin, in what looks like padding, and nobody said which steps are real: a run that read it
    and one of full rows give the same numbers."""
    from rnninspect.diagnosis.evidence.padded_inputs import begins_in_zeros, ends_of_inputs

    if case.trace.knows_padding or case.batch is None or case.trace.steps == 1:
        return None
    inputs = case.batch.inputs[:, : case.trace.steps]
    ends = ends_of_inputs(inputs)
    if ends is not None:
        rows = np.flatnonzero(ends < case.trace.steps)
        verb = "ends" if rows.size == 1 else "end"
        how = f"{_in_words(case, rows)} {verb} in one vector over and over, as padding does"
    elif begins_in_zeros(inputs):
        how = "some rows begin in zeros, as padding on the left does"
    else:
        return None
    return Untested(
        f"the lengths are not known, and the inputs of {how}: nothing says whether those steps are real",
        _lengths_or_mask(case),
    )


def _cut_behind_blanks(case: Case) -> Untested | None:
    """Short rows begin in blanks, as those of a batch do that is padded in front: too few to prove it."""
    from rnninspect.diagnosis.evidence.cut_behind_blanks import cut_behind_blanks

    if cut_behind_blanks(case) != "perhaps":
        return None
    return Untested(
        "each short row of the inputs begins with as many blank steps as it lacks, as if it was padded on the "
        "left and its last data cut off: nothing says whether the data are so by themselves",
        "the inputs before they were packed",
    )


def _lengths_or_mask(case: Case) -> str:
    return f"lengths (full, where no row is shorter than {case.trace.steps} steps), a mask"


def _cells_of_other_states(case: Case) -> Untested | None:
    """c that no h of an LSTM can have behind it: of another row, step or run, or of a cell that is no plain LSTM."""
    for track in case.trace.tracks:
        off = cannot_be_of(case, track)
        if off is not None and off.any():
            return Untested(
                f"{_in_words(case, np.flatnonzero(off))} of {track.name}: c cannot be the cell state of this h, "
                "which has other signs or exceeds tanh(c), unless the cell is not a plain LSTM",
                f"h alone, without this c, where the cell is another (normalised, zoneout); of a plain LSTM {RUN}",
            )
    return None


def _zeros_beneath(case: Case) -> Untested | None:
    """Lower layers whose few units are all zero in a row, as a state that was never written is, and as units that are
    shut are once they are rounded."""
    for track in case.trace.tracks:
        rows = np.flatnonzero(perhaps_written(case, track))
        if rows.size:
            return Untested(
                f"{_in_words(case, rows)}: h is all zero in {track.name}, and nothing says whether it was never "
                "written or its few units are closed",
                RUN,
            )
    return None


def _runs(case: Case) -> bool:
    """Whether a run of the weights, or a second dump, could have contradicted the numbers."""
    if any(d.real.any() for d in case.differences):
        return True
    if case.batch is None or case.weights is None:
        return False
    ran = {(weights.layer, weights.direction) for weights in case.weights.layers}
    held = (t for t in case.trace.tracks if t.outputs is not None or t.final is not None)
    return any((track.layer, track.direction) in ran for track in held)


def _could_fail(facts: TrackFacts) -> bool:
    return facts.expected_known and bool((~facts.uninformative).any())
