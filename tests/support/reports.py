"""Reports made by hand for tests: plain values, measured with plain loops; they need no other room of the house."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from rnninspect.core.finding import Finding, NotChecked
from rnninspect.report.record import Excerpt, ReportRecord, Row, TrackReport

# tf.nn.dynamic_rnn on three sequences of lengths 3, 1, 2: the published table. Step [0, 0] is zero and real.
OUTPUTS = [
    [
        [0.0, 0.0, 0.0, 0.0],
        [-0.030096283, 0.16747195, 0.023113856, -0.045677904],
        [-0.060795926, 0.35036778, 0.060140129, -0.16039203],
    ],
    [
        [-0.0021957003, 0.081749, 0.012620161, -0.28342882],
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ],
    [
        [-0.0001737618, 0.027789388, 0.0031011081, -0.35858861],
        [-0.00025059914, 0.045771234, 0.0045708413, -0.65035087],
        [0.0, 0.0, 0.0, 0.0],
    ],
]
STATE_C = [
    [-0.10705842, 0.52945197, 0.15602852, -0.25641304],
    [-0.0033140955, 0.086112522, 0.072794281, -0.36088336],
    [-0.00034701003, 0.046147645, 0.067321308, -0.86465287],
]
STATE_H = [OUTPUTS[0][2], OUTPUTS[1][0], OUTPUTS[2][1]]
LENGTHS = [3, 1, 2]


def a_row(row: int = 0, **changes: Any) -> Row:
    """A full row of three steps whose state is its last step."""
    row_of_three = Row(
        row=row,
        length=3,
        real=[[0, 3]],
        expected_step=2,
        status="match",
        steps=[2],
        step_count=1,
        nearest_step=2,
        distance=0.0,
        margin=None,
        padding="none",
        zero_steps=[],
        zero_count=0,
    )
    return replace(row_of_three, **changes)


def a_finding(**changes: Any) -> Finding:
    finding = Finding(
        rule="lengths-ignored",
        severity="error",
        certainty="proven",
        message="rows 1, 2 (of 3): final_state.h equals outputs at step 2, the last column, whose values were computed",
        rows=[1, 2],
        explains=2,
        fix="outputs, state = tf.nn.dynamic_rnn(cell, inputs, sequence_length=lengths, dtype=tf.float32)",
    )
    return replace(finding, **changes)


def a_report(tracks: list[TrackReport], **changes: Any) -> ReportRecord:
    """A report of these tracks; the shape follows the first one."""
    first = tracks[0] if tracks else None
    steps = max([stop for t in tracks for row in t.rows for _, stop in row.real] + [0])
    report = ReportRecord(
        tool={"name": "rnninspect", "version": "0"},
        command="compare",
        source={"path": "published.npz", "format": "npz"},
        convention="tf1",
        reading={"used": "outputs B T H, final state B H", "stated": True, "also_fit": []},
        shape={
            "batch": len(first.rows) if first else 0,
            "steps": steps,
            "units": (first.units or 0) if first else 0,
            "layers": 1,
            "directions": 1,
        },
        lengths=None,
        tolerance={"rtol": 0.0, "atol": 0.0},
        tracks=tracks,
        findings=[],
        not_checked=[],
        verdict="clean",
    )
    return replace(report, **changes)


def measured(
    outputs: list[list[list[float]]],
    final: list[list[float]],
    lengths: list[int],
    cell: list[list[float]] | None = None,
    layer: int = 0,
    direction: str = "forward",
) -> TrackReport:
    """A track measured with plain loops: outputs `[B][T][H]`, final `[B][H]`, right padding."""
    rows = [_measured(b, outputs, final[b], lengths[b], direction) for b in range(len(outputs))]
    excerpt = []
    for b, steps in enumerate(outputs):
        lost: list[str] = []
        excerpt.append(
            Excerpt(
                row=b,
                steps=list(range(len(steps))),
                units=list(range(len(final[b]))),
                outputs=[_finite(step, f"outputs {t}", lost) for t, step in enumerate(steps)],
                final=_finite(final[b], "final", lost),
                cell=None if cell is None else _finite(cell[b], "cell", lost),
                nonfinite=lost,
            )
        )
    width = len(cell[0]) if cell else None
    return TrackReport(layer, direction, len(final[0]), width, "time", rows, excerpt)


def _measured(b: int, outputs: list[list[list[float]]], state: list[float], length: int, direction: str) -> Row:
    steps = outputs[b]
    expected = None if length == 0 else 0 if direction == "backward" else length - 1
    equal = [t for t, step in enumerate(steps) if step == state]
    away = [max(abs(x - y) for x, y in zip(step, state, strict=True)) for step in steps]
    away = [math.inf if math.isnan(far) else far for far in away]
    second, first = sorted([*away, math.inf])[1::-1]
    zero = [t for t, step in enumerate(steps) if not any(step)]
    padded = steps[length:]
    nearest = expected if expected in equal else (equal or [min(range(len(steps)), key=away.__getitem__)])[0]
    elsewhere = [[j, t] for j, row in enumerate(outputs) for t, step in enumerate(row) if step == state and j != b]
    status = "match" if expected in equal else "elsewhere" if equal or elsewhere else "none"
    return Row(
        row=b,
        length=length,
        real=[[0, length]] if length else [],
        expected_step=expected,
        status="no-evidence" if expected is None else status,  # type: ignore[arg-type]
        steps=equal[:64],
        step_count=len(equal),
        nearest_step=nearest,
        distance=away[nearest] if math.isfinite(away[nearest]) else None,
        margin=second - first if math.isfinite(second) and not equal else None,
        padding="none" if not padded else "zero" if not any(map(any, padded)) else "computed",
        zero_steps=zero[:64],
        zero_count=len(zero),
        elsewhere=[] if equal else elsewhere,
    )


def _finite(values: list[float], place: str, lost: list[str]) -> list[float | None]:
    lost += [f"{place} {unit} {value}" for unit, value in enumerate(values) if not math.isfinite(value)]
    return [value if math.isfinite(value) else None for value in values]


def worked_example() -> ReportRecord:
    """The published table, read as TensorFlow 1: every state is its row's last real step."""
    rows = [
        a_row(0, zero_steps=[0], zero_count=1),
        a_row(1, length=1, real=[[0, 1]], expected_step=0, steps=[0], nearest_step=0, padding="zero",
              zero_steps=[1, 2], zero_count=2),
        a_row(2, length=2, real=[[0, 2]], expected_step=1, steps=[1], nearest_step=1, padding="zero",
              zero_steps=[2], zero_count=1),
    ]  # fmt: skip
    excerpt = [Excerpt(b, [0, 1, 2], [0, 1, 2, 3], OUTPUTS[b], STATE_H[b], STATE_C[b]) for b in range(3)]  # type: ignore[arg-type]
    return a_report(
        [TrackReport(0, "forward", 4, 4, "time", rows, excerpt)],
        lengths=LENGTHS,
        not_checked=[NotChecked("backward-final-at-last-step", "needs two directions")],
    )


def lengths_ignored() -> ReportRecord:
    """The same table as if the lengths had never reached the layer: padding computed, every state the last column."""
    made = [[row[min(t, n - 1)] for t in range(3)] for row, n in zip(OUTPUTS, LENGTHS, strict=True)]
    outputs = [
        [[x * (1 + 0.1 * max(0, t - n + 1)) for x in step] for t, step in enumerate(row)]
        for row, n in zip(made, LENGTHS, strict=True)
    ]
    track = measured(outputs, [row[2] for row in outputs], LENGTHS, STATE_C)
    return a_report(
        [track],
        lengths=LENGTHS,
        findings=[a_finding(steps=[2])],
        not_checked=[
            NotChecked("backward-final-at-last-step", "needs two directions"),
            NotChecked("direction-duplicated", "needs two directions"),
            NotChecked("gate-order", "needs inputs and weights"),
        ],
        verdict="findings",
    )


def wave(rows: int, steps: int, units: int, lengths: list[int]) -> list[list[list[float]]]:
    """Outputs `[B][T][H]` that differ everywhere, padding zeroed."""
    return [
        [
            [math.sin(1 + 7 * b + 1.3 * t + 0.37 * u) if t < lengths[b] else 0.0 for u in range(units)]
            for t in range(steps)
        ]
        for b in range(rows)
    ]


def many_rows(rows: int = 64, wrong: tuple[int, ...] = (40, 61)) -> ReportRecord:
    """Many short rows, of which those in `wrong` end one step early."""
    lengths = [2 + b % 4 for b in range(rows)]
    outputs = wave(rows, 5, 3, lengths)
    final = [outputs[b][lengths[b] - (2 if b in wrong else 1)] for b in range(rows)]
    finding = a_finding(rule="off-by-one-length", message="rows end early", rows=list(wrong), explains=len(wrong))
    return a_report(
        [measured(outputs, final, lengths)], lengths=lengths, findings=[finding] if wrong else [],
        verdict="findings" if wrong else "clean",
    )  # fmt: skip


def both_directions() -> ReportRecord:
    """Two layers read in both directions, uneven unsorted lengths, the last track wrong in one row."""
    lengths = [3, 5, 1, 2]
    tracks = []
    for layer in (0, 1):
        for direction in ("forward", "backward"):
            outputs = [[[x + layer - (direction == "backward") * 0.5 if any(s) else 0.0 for x in s] for s in row]
                       for row in wave(4, 5, 3, lengths)]  # fmt: skip
            at = [0 if direction == "backward" else n - 1 for n in lengths]
            if layer and direction == "backward":
                at[1] = 4
            tracks.append(measured(outputs, [outputs[b][t] for b, t in enumerate(at)], lengths, None, layer, direction))
    report = a_report(tracks, lengths=lengths)
    finding = a_finding(rule="backward-final-at-last-step", layer=1, direction="backward", rows=[1], explains=1,
                      certainty="suspected", alternatives=["backward-not-flipped"],
                      evidence={"would_decide": "inputs and weights"})  # fmt: skip
    return replace(report, shape=report.shape | {"layers": 2, "directions": 2}, findings=[finding], verdict="findings")


def against_a_reference() -> ReportRecord:
    """The published table beside a second dump that differs from step 1 on in rows 0 and 2."""
    worst = {"row": 2, "step": 1, "unit": 3, "value": -0.65035087, "reference": -0.6, "difference": 0.05035087}
    track = {
        "layer": 0,
        "direction": "forward",
        "first_differing_step": [1, None, 1],
        "largest_by_step": [0.0, 0.05035087, 0.011],
        "largest_padded": 0.25,
        "nonfinite_places": 2,
        "worst": worst,
    }
    comparison = {
        "cause": "step 0 agrees and step 1 does not: the forget bias or the recurrent kernel",
        "largest": 0.05035087,
        "smallest_passing_atol": 0.05035087,
        "tracks": [track],
    }
    return replace(
        worked_example(),
        source={"path": "published.npz", "format": "npz", "arrays": {"outputs": [3, 3, 4], "lengths": [3]}},
        comparison=comparison,
    )
