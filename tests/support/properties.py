"""What the property tests share: how they are run, small runs that are right or have one mistake, and their answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rnninspect.api.inspect import inspect_case
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.build_case import read_case
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from rnninspect.measure.choose_reading import Measurer, measure_all
from tests.support.made import correct_case

Arrays = Mapping[str, Array]

# Frameworks whose layers take lengths, and mistakes that do not depend on which row comes before which.
CONVENTIONS = ("tf1", "keras", "torch", "paddle", "onnx", "mxnet", "flax")
MISTAKES = (
    "last-column-as-final-state", "off-by-one-length", "rows-permuted", "lengths-rescaled", "state-never-written",
    "lengths-ignored", "zero-length-row", "lengths-misaligned", "backward-final-at-last-step", "cell-hidden-swapped",
    "wrong-layer", "direction-duplicated", "cell-overwritten-by-hidden", "outputs-are-cell-state",
)  # fmt: skip


def sizes(short: int, long: int) -> pytest.MarkDecorator:
    """Parametrizes a test by `examples`: a few in the suite, many under `-m long`."""
    return pytest.mark.parametrize("examples", [short, pytest.param(long, marks=pytest.mark.long)])


def explore(examples: int, check: Callable[..., None], *strategies: st.SearchStrategy[Any]) -> None:
    """Calls `check` with so many draws, the same ones each time, and shrinks what fails."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    drawn = settings(
        max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=checks
    )
    drawn(given(*strategies)(check))()


@dataclass(frozen=True, eq=False)
class Run:
    """A dump as its framework writes it. `padding`: what its padded steps hold; `mistake`: a rule, or empty."""

    arrays: Arrays
    config: LayerConfig
    convention: str
    mistake: str
    rows: int
    steps: int
    padding: str

    @property
    def stacked(self) -> list[str]:
        """States of all layers and directions in one array `[L*D, B, H]`."""
        return [name for name, array in self.arrays.items() if name in ("h", "c", "h_n", "c_n") and array.ndim == 3]

    @property
    def sequences(self) -> list[str]:
        """The arrays that have steps: `[B, T, …]`."""
        return [
            name
            for name, array in self.arrays.items()
            if array.ndim > 2
            and array.shape[1] == self.steps
            and name not in self.stacked
            and not name.endswith(("Y_h", "Y_c"))
        ]

    @property
    def without_cells(self) -> Run:
        """The run without c, whose size beside h is that of an activation: twice the numbers are no LSTM's."""
        kept = {
            name: array for name, array in self.arrays.items() if not re.search(r"(^|[._])c(_n|ell)?(\.\d+)?$", name)
        }
        return replace(self, arrays=kept)

    def with_arrays(self, change: Callable[[str, Array], Array]) -> Run:
        """The run with every array changed."""
        return replace(self, arrays={name: change(name, array) for name, array in self.arrays.items()})


@cache
def _made(
    convention: str, mistake: str, cell: str, layers: int, directions: int, lengths: tuple[int, ...], more: int
) -> Run | None:
    steps = max(lengths) + more
    case = correct_case(
        cell, layers, directions, lengths=np.array(lengths), steps=steps, units=3, convention=convention
    )
    if mistake:
        try:
            case = rules()[mistake].inject(case)
        except CannotInject:
            return None
    return Run(build_case.dump(case), case.config, convention, mistake, len(lengths), steps, case.trace.padding)


@st.composite
def runs(
    draw: st.DrawFn, conventions: Sequence[str] = CONVENTIONS, mistakes: Sequence[str] = ("", "", "", *MISTAKES)
) -> Run:
    """A run of two to five rows; one of two rows often, for there every order is its own opposite."""
    rows = draw(st.sampled_from([2, 2, 3, 4, 5]))
    lengths = draw(st.lists(st.integers(1, 6), min_size=rows, max_size=rows))
    made = _made(
        draw(st.sampled_from(conventions)),
        draw(st.sampled_from(mistakes)),
        draw(st.sampled_from(["lstm", "gru", "rnn"])),
        draw(st.integers(1, 2)),
        draw(st.integers(1, 2)),
        tuple(lengths),
        draw(st.integers(0, 2)),
    )
    assume(made is not None)
    assert made is not None
    return made


@dataclass(frozen=True)
class Answer:
    """What a report says that must not depend on how the run was stored."""

    verdict: str
    findings: list[tuple[str, str, str, list[int], list[str]]]
    rows: list[tuple[Any, ...]]

    def times(self, factor: float) -> Answer:
        """The answer with every distance so many times as large."""

        def scaled(part: Any) -> Any:
            if isinstance(part, tuple):
                return tuple(scaled(each) for each in part)
            return part * factor if isinstance(part, float) else part

        return replace(self, rows=[scaled(row) for row in self.rows])


def answer(
    run: Run, order: Sequence[int] | None = None, measurer: Measurer = measure_all, steps: int | None = None
) -> Answer:
    """The answer to a run. `order`: row k of what was asked is row `order[k]` of what the answer is to speak of;
    `steps`: what the steps from there on are like is left out, and which step is the nearest where none is equal."""
    case = read_case(run.arrays, run.config, run.convention, named_roles={}, measurer=measurer)
    report = inspect_case(case, "compare", excerpt=0)
    place = list(range(run.rows)) if order is None else list(order)
    assert report.shape["batch"] == run.rows
    findings = [
        (f.rule, f.severity, f.certainty, sorted(place[r] for r in f.rows), f.alternatives) for f in report.findings
    ]
    rows = []
    for track in report.tracks:
        for row in track.rows:
            equal = [step for step in row.steps or () if steps is None or step < steps]
            elsewhere = sorted((place[r], step) for r, step in row.elsewhere if steps is None or step < steps)
            nearest = (row.nearest_step, row.distance) if steps is None or equal else None
            told = (row.length, row.real, row.expected_step, row.status, equal, nearest)
            rows.append((track.layer, track.direction, place[row.row], *told, elsewhere, row.spoiled_by))
    return Answer(report.verdict, sorted(findings), sorted(rows, key=lambda row: row[:3]))
