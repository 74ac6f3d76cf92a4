"""`fix` against the right run: every mistake that a dump's own arrays can mend is mended, to the number; the others are
refused, and right dumps are left as they are."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect import conventions
from rnninspect.core.trace import Track
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from rnninspect.errors import UserError
from tests.support.made import correct_case

Arrays = dict[str, np.ndarray]
Shape = tuple[str, int, int]
PLAIN: list[Shape] = [("gru", 1, 1), ("lstm", 1, 2), ("rnn", 2, 1)]
ALL: list[Shape] = [(cell, layers, count) for cell in ("lstm", "gru", "rnn") for layers in (1, 2) for count in (1, 2)]
# Mistakes that change the run itself, so that the right dump is another than the one they are planted in.
OTHER_RUN = {"zero-length-row", "truncated-time-axis"}
# Rules whose fix is for the arrays of weights, or is a note's, or needs what the planted dump has lost.
NOT_OF_DUMPS = {"gate-order", "forget-bias", "kernel-transposed", "update-gate-flipped", "output-residual"}
NOT_PLANTED = {"wrong-layer", "row-taken-for-step", "direction-missing", "backward-not-flipped"}


@functools.cache
def correct(shape: Shape, convention: str, time_major: bool) -> Case:
    cell, layers, directions = shape
    lengths = np.array([4, 1, 7, 3] if layers * directions == 4 else [4, 1, 7, 3, 6])
    case = correct_case(cell, layers, directions, convention=convention, lengths=lengths)
    return replace(case, layer=replace(case.layer, config=replace(case.config, time_major=time_major)))


def about(shape: Shape, convention: str, time_major: bool) -> dict[str, Any]:
    cell, layers, directions = shape
    return {
        "cell": cell,
        "layers": layers,
        "bidirectional": directions == 2,
        "convention": convention,
        "batch_first": not time_major,
    }


def planted(name: str, shape: Shape, convention: str, time_major: bool) -> tuple[Arrays, Arrays] | None:
    """The dump with the mistake and the right one; None where this shape cannot show it."""
    case = correct(shape, convention, time_major)
    try:
        wrong = build_case.dump(rules()[name].inject(case))
    except (CannotInject, UserError):
        return None
    return ({k: np.array(v) for k, v in wrong.items()}, build_case.dump(case))


def mended_or_refused(dump: Arrays, about_it: dict[str, Any]) -> Any:
    """What `fix` gives, or the line of its refusal."""
    try:
        return rnninspect.fix(dump, **about_it)
    except UserError as error:
        return str(error)


def check(name: str, shape: Shape, convention: str, time_major: bool) -> bool:
    """Whether it is mended, of causes that nothing tells apart when it is chosen; where it is not, nothing was found or
    the refusal is one line."""
    dumps = planted(name, shape, convention, time_major)
    if dumps is None:
        return False
    wrong, right = dumps
    more = about(shape, convention, time_major)
    before = {key: array.copy() for key, array in wrong.items()}
    fixed = mended_or_refused(wrong, more)
    if isinstance(fixed, str) and f"cause={name!r}" in fixed:
        fixed = mended_or_refused(wrong, {**more, "cause": name})
    assert all(np.array_equal(wrong[k], before[k], equal_nan=True) for k in wrong)
    if isinstance(fixed, str):
        assert "\n" not in fixed
        return False
    assert fixed.report.ok
    if not fixed.changes:
        assert all(np.array_equal(fixed.arrays[k], wrong[k]) for k in wrong)
        return False
    if name not in OTHER_RUN:
        keeps = "computed" in conventions.get(convention).also_leaves  # a habit, which is no mistake
        for key in right.keys() & wrong.keys():
            if keeps and key.startswith("output") and np.array_equal(fixed.arrays[key], wrong[key]):
                continue
            assert fixed.arrays[key].dtype == wrong[key].dtype
            np.testing.assert_allclose(fixed.arrays[key], right[key], rtol=1e-6, atol=1e-6, err_msg=key)
    return True


MENDABLE = sorted(
    name for name, rule in rules().items() if rule.fixed_in == "arrays" and name not in NOT_OF_DUMPS | NOT_PLANTED
)


@pytest.mark.parametrize("name", MENDABLE)
def test_what_arrays_can_mend_is_mended(name: str) -> None:
    """In some cell, depth and direction the dump comes back as the right one, value for value, in both axes."""
    shapes = [*PLAIN, ("rnn", 2, 2), ("gru", 1, 2)]
    mended = {time_major: [s for s in shapes if check(name, s, "tf1", time_major)] for time_major in (False, True)}
    # An empty row that holds its initial state is right, and a warning.
    assert all(mended.values()) or name == "zero-length-row"


@pytest.mark.parametrize("name", sorted(set(rules()) - set(MENDABLE)))
def test_what_only_a_run_can_mend_is_refused(name: str) -> None:
    """It is refused in one line, or was not to be seen in these arrays; whatever was mended is right."""
    for shape in PLAIN:
        check(name, shape, "tf1", False)


@pytest.mark.long
@pytest.mark.parametrize("convention", sorted(conventions.conventions()))
@pytest.mark.parametrize("name", MENDABLE)
def test_every_framework_and_shape(name: str, convention: str) -> None:
    """As above, in every framework's names and layout, padding as that framework leaves it."""
    for shape in ALL:
        for time_major in (False, True):
            check(name, shape, convention, time_major)


@pytest.mark.parametrize("convention", sorted(conventions.conventions()))
@pytest.mark.parametrize("shape", PLAIN, ids=str)
def test_right_dumps_are_left_as_they_are(shape: Shape, convention: str) -> None:
    """Of every framework, in its own layout: nothing to change, and every array the same, to the type."""
    time_major = conventions.get(convention).time_major
    right = build_case.dump(correct(shape, convention, time_major))
    fixed = rnninspect.fix(right, **about(shape, convention, time_major))
    assert fixed.changes == ()
    assert fixed.report.ok
    assert list(fixed.arrays) == list(right)
    for key, array in right.items():
        assert fixed.arrays[key].dtype == array.dtype
        assert np.array_equal(fixed.arrays[key], array)
        assert not np.may_share_memory(fixed.arrays[key], array)


FULL = np.random.default_rng(8).normal(size=(5, 7, 6))


def outputs_and_lengths() -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([4, 1, 7, 3, 6])
    outputs = np.random.default_rng(5).normal(size=(5, 7, 6)).astype(np.float32)
    outputs[np.arange(7)[None] >= lengths[:, None]] = 0
    return outputs, lengths


def right_states(outputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return np.array([row[length - 1] for row, length in zip(outputs, lengths, strict=True)])


def test_a_missing_direction_comes_from_the_outputs() -> None:
    """Of `[B, H]` beside outputs in two directions, whichever half it is, `[B, 2H]` is made."""
    outputs, lengths = outputs_and_lengths()
    forward, backward = right_states(outputs, lengths)[:, :3], outputs[:, 0, 3:]
    whole = np.concatenate([forward, backward], -1)
    for half in (forward, backward):
        fixed = rnninspect.fix({"output": outputs, "h": half, "lengths": lengths}, bidirectional=True)
        assert [change.rule for change in fixed.changes] == ["direction-missing"]
        assert np.array_equal(fixed.arrays["h"], whole)


def test_backward_outputs_are_flipped_back() -> None:
    """With inputs and weights they are known to be in reversed time, and c shows nothing amiss; both axes."""
    for time_major in (False, True):
        case = correct(("gru", 1, 2), "tf1", time_major)
        wrong = build_case.dump(rules()["backward-not-flipped"].inject(case))
        fixed = rnninspect.fix(wrong, weights=case.weights, **about(("gru", 1, 2), "tf1", time_major))
        assert [change.rule for change in fixed.changes] == ["backward-not-flipped"]
        for key, array in build_case.dump(case).items():
            assert np.array_equal(fixed.arrays[key], array)


def test_a_rows_steps_taken_for_states() -> None:
    """`outputs[-1]` of as many rows as steps: every state comes from its own row again."""
    outputs = np.random.default_rng(6).normal(size=(5, 5, 4))
    lengths = np.array([2, 5, 3, 1, 4])
    outputs[np.arange(5)[None] >= lengths[:, None]] = 0
    fixed = rnninspect.fix(outputs, outputs[1], lengths=lengths, batch_first=True, direction="forward")
    assert [change.rule for change in fixed.changes] == ["row-taken-for-step"]
    assert np.array_equal(fixed.arrays["final_state"], right_states(outputs, lengths))


@pytest.mark.parametrize("shape", [(5, 8), (8, 5)], ids=str)
@pytest.mark.parametrize("form", ["[T, H]", "[1, T, H]", "both directions"])
def test_a_rows_steps_taken_for_states_of_fewer_rows_or_more(shape: tuple[int, int], form: str) -> None:
    """`outputs[-1]` of another number of rows than steps: the states of all rows take the place of that row's steps."""
    rows, steps = shape
    outputs = np.random.default_rng(6).normal(size=(rows, steps, 4))
    lengths = np.array([2, 5, 3, 1, 4, 5, 2, 5][:rows])
    lengths[0] = steps
    outputs[np.arange(steps)[None] >= lengths[:, None]] = 0
    taken = outputs[-1][None] if form == "[1, T, H]" else outputs[-1]
    both = form == "both directions"
    options: dict[str, Any] = {"lengths": lengths, "convention": "tf1"}
    options |= {"bidirectional": True} if both else {"direction": "forward"}
    fixed = rnninspect.fix(outputs, taken, **options)
    right = right_states(outputs, lengths)
    if both:
        right[:, 2:] = outputs[:, 0, 2:]
    assert [change.rule for change in fixed.changes] == ["row-taken-for-step"]
    assert (fixed.report.verdict, fixed.changes[0].arrays) == ("clean", ("final_state",))
    assert np.array_equal(fixed.arrays["final_state"].reshape(rows, 4), right)
    assert fixed.arrays["final_state"].ndim == taken.ndim
    names = {"np": np, "outputs": outputs, "lengths": lengths, "B": rows, "T": steps}
    if not both:
        exec(rnninspect.inspect(outputs, taken, **options).findings[0].fix.partition("\n")[0], names)
        assert np.array_equal(names["h"], right)  # type: ignore[arg-type]


def test_lengths_that_the_inputs_contradict_are_corrected() -> None:
    """Where inputs end as the states do, one step from the lengths, the lengths are wrong; else the states."""
    outputs, lengths = outputs_and_lengths()
    inputs = np.random.default_rng(7).normal(size=(5, 7, 2))
    inputs[np.arange(7)[None] >= lengths[:, None]] = 0
    states = right_states(outputs, lengths)
    rows = [0, 3, 4]
    dump = {"outputs": outputs[rows], "h": states[rows], "lengths": lengths[rows] - 1, "inputs": inputs[rows]}
    fixed = rnninspect.fix(dump, direction="forward")
    assert fixed.arrays["lengths"].tolist() == [4, 3, 6]
    assert np.array_equal(fixed.arrays["h"], states[rows])


def test_c_that_is_lost_is_not_passed_over() -> None:
    """A state that read its padding has a c that no array holds: h alone is not mended."""
    case = correct(("lstm", 1, 1), "tf1", False)
    wrong = build_case.dump(rules()["lengths-ignored"].inject(case))
    with pytest.raises(UserError, match="c is not in these arrays"):
        rnninspect.fix(wrong, convention="tf1")
    del wrong["final_state.c"]
    fixed = rnninspect.fix(wrong, convention="tf1")
    np.testing.assert_allclose(fixed.arrays["final_state.h"], case.trace.tracks[0].final, rtol=0, atol=1e-7)


def test_c_that_stands_right_is_kept() -> None:
    """h from the last column beside the run's own c: c fits the right h, and stays."""
    case = correct(("lstm", 1, 1), "tf1", False)

    def last_column(track: Track) -> Track:
        assert track.outputs is not None
        return replace(track, final=track.outputs[:, -1])

    wrong = build_case.dump(case.with_tracks(last_column))
    fixed = rnninspect.fix(wrong, convention="tf1")
    assert np.array_equal(fixed.arrays["final_state.h"], case.trace.tracks[0].final)
    assert np.array_equal(fixed.arrays["final_state.c"], case.trace.tracks[0].cell)


def test_zeros_are_not_gathered() -> None:
    """A run that left the last step out has no output there: states made of its zeros would look right."""
    outputs, lengths = outputs_and_lengths()
    short = outputs.copy()
    short[np.arange(5), lengths - 1] = 0
    states = np.array([row[max(length - 2, 0)] for row, length in zip(short, lengths, strict=True)])
    with pytest.raises(UserError):
        rnninspect.fix(short, states, lengths=lengths)


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"final_state": np.ones((5, 6), dtype=np.float32)}, "run again"),
        ({"lengths": None, "outputs": FULL, "final_state": FULL[:, -1]}, "cannot be judged"),
        ({"initial_state": None, "outputs": np.full((5, 7, 6), np.nan)}, "nonfinite-values"),
    ],
    ids=["unexplained", "unjudged", "not finite"],
)
def test_what_cannot_be_mended_is_refused(change: dict[str, Any], phrase: str) -> None:
    """No known mistake, nothing to judge by, and numbers that are gone: each in one line."""
    outputs, lengths = outputs_and_lengths()
    handed: dict[str, Any] = {"final_state": right_states(outputs, lengths), "lengths": lengths} | change
    with pytest.raises(UserError) as caught:
        rnninspect.fix(handed.pop("outputs", outputs), **handed)
    assert phrase in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_weights_are_not_the_dumps_fault() -> None:
    """Gates in another order are to be mended in the weights, which is said."""
    case = correct(("gru", 1, 1), "tf1", False)
    injected = rules()["gate-order"].inject(case)
    with pytest.raises(UserError, match="the weights must be fixed, not the dump"):
        rnninspect.fix(build_case.dump(injected), weights=injected.weights, **about(("gru", 1, 1), "tf1", False))


def test_torchs_own_arrays() -> None:
    """What an nn.LSTM returned, packed or padded: exchanged, permuted and viewed states, and a right one."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer, lengths = torch.nn.LSTM(3, 5, batch_first=True, bidirectional=True), torch.tensor([6, 3, 1, 4])
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(4, 6, 3), lengths, True, False)
    output, (h_n, c_n) = layer(packed)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(output, True)
    right = {"final_state.h": h_n.detach().numpy(), "final_state.c": c_n.detach().numpy()}
    for state, rule in (
        ((h_n, c_n), []),
        ((c_n, h_n), ["cell-hidden-swapped"]),
        ((h_n.flip(1), c_n.flip(1)), ["rows-permuted"]),
    ):
        for outputs, more in ((output, {}), (padded, {"lengths": lengths})):
            fixed = rnninspect.fix(outputs, state, batch_first=True, **more)
            assert [change.rule for change in fixed.changes] == rule
            assert all(np.array_equal(fixed.arrays[name], array) for name, array in right.items())
    viewed = rnninspect.fix(padded, h_n.reshape(4, -1), lengths=lengths, batch_first=True, bidirectional=True)
    assert [change.rule for change in viewed.changes] == ["state-reshaped-not-transposed"]
    assert np.array_equal(viewed.arrays["final_state"], np.concatenate(list(right["final_state.h"]), -1))


def test_a_file_is_read_as_compare_reads_it(tmp_path: Path) -> None:
    """By its path, with names of members and other files beside it; the file stays as it is."""
    outputs, lengths = outputs_and_lengths()
    np.savez(tmp_path / "dump.npz", a=outputs, b=outputs[:, -1], n=lengths)
    np.save(tmp_path / "h.npy", outputs[:, -1])
    right = right_states(outputs, lengths)
    fixed = rnninspect.fix(tmp_path / "dump.npz", outputs="a", state="b", lengths="n")
    assert np.array_equal(fixed.arrays["b"], right)
    assert list(fixed.arrays) == ["a", "b", "n"]
    apart = rnninspect.fix(tmp_path / "dump.npz", outputs="a", state=tmp_path / "h.npy", lengths=lengths)
    assert np.array_equal(apart.arrays["final_state.h"], right)
    assert np.array_equal(np.load(tmp_path / "dump.npz")["b"], outputs[:, -1])


def test_a_run_that_ended_elsewhere_is_not_mended() -> None:
    """Zeros that begin one step from where the lengths say show that the run had other lengths: which are right, no
    array tells."""
    _, lengths = outputs_and_lengths()
    for offset in (1, -1):
        rows = (lengths + offset > 0) & (lengths + offset < 7)
        run_to = lengths[rows] + offset
        short = np.where(np.arange(7)[None, :, None] < run_to[:, None, None], FULL[rows], 0)
        with pytest.raises(UserError, match="off-by-one-length"):
            rnninspect.fix(short, right_states(short, run_to), lengths=lengths[rows])


@pytest.mark.parametrize("time_major", [False, True])
def test_backward_outputs_turned_round_over_the_whole_axis(time_major: bool) -> None:
    """Where the padding has come in front, the whole axis is turned back, not each row within its length."""
    case = correct(("gru", 1, 2), "tf1", time_major)
    right, axis = build_case.dump(case), 0 if time_major else 1
    wrong = {**right, "outputs.bw": np.flip(right["outputs.bw"], axis).copy()}
    fixed = rnninspect.fix(wrong, **about(("gru", 1, 2), "tf1", time_major))
    assert [change.rule for change in fixed.changes] == ["backward-not-flipped"]
    assert all(np.array_equal(fixed.arrays[name], array) for name, array in right.items())


# --- what the arrays do not tell is not guessed


def both_ways(lengths: np.ndarray) -> tuple[Arrays, Arrays, Arrays]:
    """A right dump in two directions, one with its backward half read at the last step, one with it left unflipped."""
    case = correct_case("gru", 1, 2, convention="tf1", lengths=lengths)
    backward = ("backward-final-at-last-step", "backward-not-flipped")
    return build_case.dump(case), *(build_case.dump(rules()[name].inject(case)) for name in backward)  # type: ignore[return-value]


def test_two_causes_that_nothing_tells_apart() -> None:
    """Each of the two is refused in one line that names both and what decides; the one that is chosen is mended."""
    right, at_end, unflipped = both_ways(np.array([4, 1, 7, 3, 6]))
    about_it = about(("gru", 1, 2), "tf1", False)
    for wrong, cause in ((at_end, "backward-final-at-last-step"), (unflipped, "backward-not-flipped")):
        with pytest.raises(UserError) as caught:
            rnninspect.fix(wrong, **about_it)
        line = str(caught.value)
        assert "\n" not in line
        assert "inputs and weights" in line
        assert all(f"cause='{name}'" in line for name in ("backward-final-at-last-step", "backward-not-flipped"))
        fixed = rnninspect.fix(wrong, cause=cause, **about_it)
        assert [change.rule for change in fixed.changes] == [cause]
        assert fixed.report.verdict == "clean"
        assert all(np.array_equal(fixed.arrays[name], array) for name, array in right.items())


def test_weights_tell_the_two_apart() -> None:
    """With inputs and weights each is mended without a word."""
    right, *wrongs = both_ways(np.array([4, 1, 7, 3, 6]))
    weights = correct_case("gru", 1, 2, convention="tf1", lengths=np.array([4, 1, 7, 3, 6])).weights
    for wrong in wrongs:
        fixed = rnninspect.fix(wrong, weights=weights, **about(("gru", 1, 2), "tf1", False))
        assert all(np.array_equal(fixed.arrays[name], array) for name, array in right.items())


def test_a_cause_that_is_impossible_is_refused() -> None:
    """A right dump has no cause to choose, and a name that is no rule's is none."""
    right = build_case.dump(correct(("gru", 1, 1), "tf1", False))
    with pytest.raises(UserError, match="not a possible cause"):
        rnninspect.fix(right, cause="rows-permuted", convention="tf1", cell="gru")
    with pytest.raises(UserError, match="no-such-rule"):
        rnninspect.fix(right, cause="no-such-rule", convention="tf1", cell="gru")


@pytest.mark.parametrize("offset", [-1, 1])
def test_one_step_off_where_the_padding_is_computed(offset: int) -> None:
    """Whether the lengths or the states are off is told by inputs, not by outputs that go on; chosen, the states are
    gathered anew."""
    lengths = np.array([4, 2, 6, 3, 5])
    states = right_states(FULL, lengths + offset)
    with pytest.raises(UserError, match="the states may be off, or the lengths") as caught:
        rnninspect.fix(FULL, states, lengths=lengths)
    assert "cause='off-by-one-length'" in str(caught.value)
    chosen = rnninspect.fix(FULL, states, lengths=lengths, cause="off-by-one-length")
    assert np.array_equal(chosen.arrays["final_state"], right_states(FULL, lengths))
    inputs = np.where(np.arange(7)[None, :, None] < lengths[:, None, None], 1.0, 0.0) * np.ones((5, 7, 2))
    told = rnninspect.fix(FULL, states, lengths=lengths, inputs=inputs)
    assert np.array_equal(told.arrays["final_state"], right_states(FULL, lengths))


def repeated(lengths: np.ndarray) -> np.ndarray:
    """Outputs that repeat the last real one over the padding, as Keras leaves them."""
    steps = np.minimum(np.arange(7), np.maximum(lengths[:, None] - 1, 0))
    return np.where((lengths > 0)[:, None, None], np.take_along_axis(FULL, steps[..., None], 1), 0)


@pytest.mark.parametrize("wrong_lengths", [[1, 7, 3, 6, 4], [3, 2, 6, 2, 5], [5, 2, 7, 4, 7], [7, 6, 4, 3, 1]], ids=str)
def test_lengths_that_the_outputs_contradict(wrong_lengths: list[int]) -> None:
    """The outputs stop at other steps than the lengths say: nothing is gathered or left as if it were right."""
    ran = np.array([4, 1, 7, 3, 6])
    outputs = repeated(ran)
    dump = {"outputs": outputs, "state_h": outputs[:, -1], "lengths": np.array(wrong_lengths)}
    with pytest.raises(UserError):
        rnninspect.fix(dump, convention="keras", cell="gru")
    right = rnninspect.fix({**dump, "lengths": ran}, convention="keras", cell="gru")
    assert (right.changes, right.report.verdict) == ((), "clean")


@pytest.mark.parametrize("told_by", ["lengths", "mask"])
def test_padding_is_put_as_the_framework_leaves_it(told_by: str) -> None:
    """Computed padding of a Keras layer becomes repeats, holes of a mask too; with zeros stated, zeros."""
    lengths = np.array([4, 1, 7, 3, 6])
    real = np.arange(7)[None] < lengths[:, None]
    told = {"lengths": lengths} if told_by == "lengths" else {"mask": real}
    dump = {"outputs": FULL, "state_h": right_states(FULL, lengths), **told}
    layer: dict[str, Any] = {"convention": "keras", "cell": "gru", "direction": "forward"}
    fixed = rnninspect.fix(dump, **layer)
    assert [change.rule for change in fixed.changes] == ["padding-computed"]
    assert np.array_equal(fixed.arrays["outputs"], repeated(lengths))
    zeroed = rnninspect.fix(dump, padding="zero", **layer)
    assert np.array_equal(zeroed.arrays["outputs"], np.where(real[..., None], FULL, 0))


def test_an_empty_row_that_was_mended_is_clean() -> None:
    """What its state held is put right; that the row is empty is a fact of the data, and stays as a note."""
    lengths = np.array([4, 0, 7, 3, 6])
    outputs = np.where(np.arange(7)[None, :, None] < lengths[:, None, None], FULL, 0)
    states = np.where((lengths > 0)[:, None], right_states(outputs, np.maximum(lengths, 1)), 0.0)
    unwritten = states.copy()
    unwritten[1] = 0.25
    for state, count in ((states, 0), (unwritten, 1)):
        fixed = rnninspect.fix({"outputs": outputs, "final_state": state, "lengths": lengths}, convention="tf1")
        assert len(fixed.changes) == count
        assert np.array_equal(fixed.arrays["final_state"], states)
        assert (fixed.report.ok, fixed.report.verdict) == (True, "clean")
        assert [f.severity for f in fixed.report.findings if f.rule == "zero-length-row"] == ["note"]
