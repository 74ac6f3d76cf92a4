"""A second dump beside the first: where they first differ, by how much, and which tolerance would pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from rnninspect.core.wording import argument, worded
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _elide, _text
from rnninspect.report.renderers.view import View

STEPS = 12  # steps whose largest difference is listed
GROUPS = 6  # groups of rows that first differ at the same step


def comparison(report: ReportRecord, view: View) -> list[Text]:
    """What the differences point to, then each track; nothing where there is no second dump."""
    compared = report.comparison
    if not compared:
        return []
    lines = _text.hanging(
        Text("against the reference  ", _text.TITLE),
        Text(_text.clean(compared.get("cause") or "", view.ascii)),
        view.width,
    )
    tracks = compared.get("tracks")
    for track in tracks if isinstance(tracks, list) else []:
        if isinstance(track, Mapping):
            lines += _track_differences(track, view)
    states = compared.get("states")
    for state in states if isinstance(states, list) else []:
        if isinstance(state, Mapping):
            lines += _text.hanging(Text("  "), Text(_text.clean(_state(state), view.ascii)), view.width)
    passing = compared.get("smallest_passing_atol")
    if _is_number(passing) and passing:
        lines += _text.hanging(
            Text("  "), Text(f"{worded(argument('atol', f'{passing:.3g}'))} would pass", _text.QUIET), view.width
        )
    return [Text(), *lines]


def _track_differences(track: Mapping[str, Any], view: View) -> list[Text]:
    name = _text.clean(f"layer {track.get('layer')} {track.get('direction')}", view.ascii)
    first = track.get("first_differing_step")
    parts = [_worst(track.get("worst")), _rows(first if isinstance(first, list) else []), _by_step(track, view)]
    padded, nonfinite = track.get("largest_padded"), track.get("nonfinite_places")
    parts += [f"padded steps differ by up to {padded:.3g}" if _is_number(padded) and padded else ""]
    parts += [f"{nonfinite} steps are not finite in one or both" if _is_number(nonfinite) and nonfinite else ""]
    lines = _text.hanging(Text("  "), Text(name, _text.TITLE), view.width)
    for text in filter(None, parts):
        lines += _text.hanging(Text("    "), Text(text), view.width)
    return lines


def _state(state: Mapping[str, Any]) -> str:
    """`layer 0 forward: final_state.h differs in rows 1-2 by up to 0.1`."""
    rows = [row for row in state.get("rows") or [] if isinstance(row, int)]
    by = f" by up to {state['largest']:.3g}" if _is_number(state.get("largest")) else ""
    where = f"layer {state.get('layer')} {state.get('direction')}"
    return f"{where}: final_state.{state.get('state')} differs in {_elide.name_rows(rows)}{by}"


def _worst(worst: Any) -> str:
    """The place of the largest difference with both values."""
    if not isinstance(worst, Mapping) or not _is_number(worst.get("difference")):
        return ""
    if not worst["difference"]:
        return "no real step differs"
    place = f"outputs[{worst.get('row')}, {worst.get('step')}], unit {worst.get('unit')}"
    return (
        f"differs most at {place}: {_format_value(worst.get('value'))} against {_format_value(worst.get('reference'))}"
    )


def _rows(first: list[Any]) -> str:
    """`rows 0, 2 first differ at step 1; row 1 agrees`."""
    at: dict[int, list[int]] = {}
    for row, step in enumerate(first):
        at.setdefault(step if isinstance(step, int) else -1, []).append(row)
    agree = at.pop(-1, [])
    if not at:
        return ""
    groups = sorted(at.items())
    parts = [f"{_elide.name_rows(rows)} first differ{_s(rows)} at step {step}" for step, rows in groups[:GROUPS]]
    parts += [f"{sum(len(rows) for _, rows in groups[GROUPS:])} rows later"] if len(groups) > GROUPS else []
    return "; ".join([*parts, *([f"{_elide.name_rows(agree)} agree{_s(agree)}"] if agree else [])])


def _by_step(track: Mapping[str, Any], view: View) -> str:
    """The largest difference at each step, both ends and the first that differs."""
    sizes = track.get("largest_by_step")
    if not isinstance(sizes, list) or not any(_is_number(size) and size for size in sizes):
        return ""
    start = next(i for i, size in enumerate(sizes) if size)
    steps = _elide.pick(range(len(sizes)), [start, 0, len(sizes) - 1, start + 1, start + 2], STEPS, lambda step: False)
    parts, before = [], -1
    for step in steps:
        parts += [_text.marks(view.ascii).more] if step > before + 1 else []
        parts.append(f"{step}: {sizes[step]:.2g}" if _is_number(sizes[step]) else f"{step}: ?")
        before = step
    return f"by step  {', '.join(parts)}"


def _s(rows: list[int]) -> str:
    return "" if len(rows) > 1 else "s"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _format_value(value: Any) -> str:
    return f"{value:.8g}" if _is_number(value) else "not finite"
