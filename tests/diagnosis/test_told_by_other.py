"""Two dumps of one layer: what the numbers of both show is named, and is no difference without a cause."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.trace import Array, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.told_by_other import what_dumps_differ_by
from tests.support.made import correct_case, random_weights

ORDER = np.array([2, 0, 1, 4, 3])


def bare(case: Case) -> Case:
    """The case without what could be run: two dumps are all that there is."""
    return replace(case.with_weights(None), batch=None)


def errors(case: Case, other: Case) -> list[str]:
    findings = judge(replace(bare(case), other=other.trace), rules()).findings
    return [f.rule for f in findings if f.severity != "note"]


def moved(case: Case) -> Case:
    """Everything in another order of the rows."""

    def taken(array: Array | None) -> Array | None:
        return None if array is None else array[ORDER]

    def turned(track: Track) -> Track:
        return replace(track, outputs=taken(track.outputs), final=taken(track.final), cell=taken(track.cell))

    trace = replace(case.trace, mask=case.trace.mask[ORDER], lengths=taken(case.trace.lengths))
    return case.with_trace(trace).with_tracks(turned)


def outputs_moved(case: Case) -> Case:
    """The outputs alone in another order of the rows."""
    return case.with_tracks(lambda t: replace(t, outputs=t.outputs[ORDER]))  # type: ignore[index]


def exchanged(case: Case) -> Case:
    """Each direction's arrays under the other's name."""
    one, other = case.trace.tracks
    tracks = replace(other, direction="forward"), replace(one, direction="backward")
    return case.with_trace(replace(case.trace, tracks=tracks))


def read_on(case: Case) -> Case:
    """A run of every step, its states gathered where they ought to be."""
    assert case.batch is not None
    ran = case.run(replace(case.batch, mask=np.ones_like(case.batch.mask), lengths=None, mask_given=False))
    ends = [case.trace.expected_steps(track) for track in case.trace.tracks]
    rows = np.arange(case.trace.batch_size)
    tracks = tuple(replace(t, final=t.outputs[rows, e], cell=None) for t, e in zip(ran.tracks, ends, strict=True))  # type: ignore[index]
    return case.with_trace(replace(case.trace, tracks=tracks))


def unpacked(case: Case) -> Case:
    """A run of every step, its states those of the last column."""
    assert case.batch is not None
    ran = case.run(replace(case.batch, mask=np.ones_like(case.batch.mask), lengths=None, mask_given=False))
    return case.with_trace(replace(case.trace, tracks=ran.tracks))


def dropped(case: Case) -> Case:
    """Outputs behind a dropout of three in ten."""
    kept = np.random.default_rng(1).random((5, 7, 5)) > 0.3
    return case.with_tracks(lambda t: replace(t, outputs=(t.outputs * kept / 0.7).astype(np.float32)))  # type: ignore[operator]


CHANGES: dict[str, tuple[int, Callable[[Case], Case]]] = {
    "rows-permuted": (2, moved),
    "directions-exchanged": (2, exchanged),
    "backward-read-padding": (2, read_on),
    "output-dropout": (1, dropped),
}


@pytest.mark.parametrize("rule", CHANGES)
def test_what_both_dumps_show_is_named_alone(rule: str) -> None:
    """The one mistake alone; beside a dump of other weights the difference stays one without a cause, whatever else is
    found."""
    directions, change = CHANGES[rule]
    right = correct_case("gru", directions=directions, convention="torch")
    assert errors(change(right), right) == [rule]
    others = correct_case(
        "gru", directions=directions, convention="torch", weights=random_weights("gru", 5, 5, 1, directions, seed=9)
    )
    assert "unexplained-difference" in errors(change(right), others)
    assert errors(right, right) == []


def test_rows_in_another_order_may_be_so_in_all_arrays_or_in_outputs_alone() -> None:
    """Inputs that agree in the order of the outputs are no other inputs; those of one other row, or in their own order
    beside it, are; outputs alone in another order are told of the dump that holds them so."""
    right = correct_case("gru", convention="torch")
    assert right.batch is not None
    inputs = right.batch.inputs
    spoiled = inputs + 0.5 * (np.arange(5) == 2)[:, None, None]
    for other_inputs, due in ((inputs[ORDER], "rows-permuted"), (spoiled[ORDER], "inputs-differ")):
        batch = replace(right.batch, inputs=other_inputs)
        case = replace(right.with_weights(None), other=moved(right).trace, other_batch=batch)
        assert [f.rule for f in judge(case, rules()).findings if f.severity == "error"] == [due]
    case = replace(bare(right), other=outputs_moved(right).trace)
    (finding,) = what_dumps_differ_by(case, [])
    assert finding.rule == "rows-permuted"
    assert "and not the states" in finding.message
    assert finding.evidence["rows_of_other"] == np.argsort(ORDER).tolist()


@pytest.mark.parametrize(("cell", "layers", "directions"), [("gru", 2, 1), ("lstm", 1, 1), ("gru", 1, 2)])
def test_a_mistake_of_the_second_dump_is_its_own(cell: str, layers: int, directions: int) -> None:
    """Beside a run over the padding a right dump is not accused, and that run is warned of; in its place it is accused
    itself, and nothing is said of the right one."""
    right = correct_case(cell, layers, directions, convention="torch")
    (finding,) = (
        f for f in judge(replace(bare(right), other=unpacked(right).trace), rules()).findings if f.severity != "note"
    )
    assert (finding.rule, finding.severity) == ("lengths-ignored", "warning")
    assert finding.message.startswith("the second dump, by itself: rows 0, 1, 3, 4")
    assert "lengths-ignored" in errors(unpacked(right), right)
    assert not [
        f
        for f in judge(replace(bare(unpacked(right)), other=right.trace), rules()).findings
        if "by itself" in f.message
    ]


def test_a_cell_state_of_zeros_was_never_written() -> None:
    """Beside a right dump of the same outputs zeros are named, of two rows as of all; other numbers are not."""
    right = correct_case("lstm")
    for rows, factor, due in (
        (slice(None), 0, "state-never-written"),
        (slice(0, 2), 0, "state-never-written"),
        (slice(0, 2), 0.5, "unexplained-difference"),
    ):
        cell = np.array(right.trace.tracks[0].cell)
        cell[rows] *= factor
        assert errors(right.with_tracks(lambda t, cell=cell: replace(t, cell=cell)), right) == [due]  # type: ignore[misc]


def test_real_steps_that_the_second_dump_cannot_tell_are_named() -> None:
    """Steps cut off, or not finite there and finite here, were held against nothing; behind every row's end they are
    none of its matter, and a dump that is not finite itself is no fault of the other."""
    right = correct_case("gru", lengths=np.array([6, 3, 1, 6, 2]))
    for steps, due in ((7, []), (6, []), (5, ["truncated-time-axis"]), (3, ["truncated-time-axis"])):
        cut = right.with_tracks(lambda t, steps=steps: replace(t, outputs=t.outputs[:, :steps]))  # type: ignore
        cut = cut.with_trace(replace(cut.trace, mask=cut.trace.mask[:, :steps]))
        assert errors(right, cut) == due
    for row, step, due in ((0, 5, ["nonfinite-values"]), (0, 6, []), (2, 1, [])):
        (track,) = right.trace.tracks
        outputs = np.array(track.outputs)
        outputs[row, step] = np.nan
        spoiled = right.with_tracks(lambda t, outputs=outputs: replace(t, outputs=outputs))  # type: ignore[misc]
        assert errors(right, spoiled) == due
        assert not [f for f in what_dumps_differ_by(replace(bare(spoiled), other=right.trace), [])]


def test_an_order_of_rows_costs_no_copy_of_the_dumps() -> None:
    """A few numbers tell which row each is, and outputs are held beside each other a row at a time; where one number of
    one step is another, the dumps are in no other order."""
    right = correct_case("gru", steps=2048, units=8, lengths=np.array([2048, 900, 7, 1500, 33]))
    case = replace(bare(moved(right)), other=right.trace)
    assert [f.rule for f in what_dumps_differ_by(case, [])] == ["rows-permuted"]
    size = sum(t.outputs.nbytes for t in right.trace.tracks if t.outputs is not None)
    tracemalloc.start()
    list(what_dumps_differ_by(case, []))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * size  # of two rows of five, in float64
    (track,) = case.trace.tracks
    outputs = np.array(track.outputs)
    outputs[2, 40, 3] += 0.1
    spoiled = case.with_tracks(lambda t: replace(t, outputs=outputs))
    assert [f.rule for f in what_dumps_differ_by(spoiled, [])] == ["unexplained-difference"]
