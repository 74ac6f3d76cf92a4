"""The numbers of a track: one small table a row, steps down and units across, then its final state."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.text import Text

from rnninspect.core.frozen import frozen
from rnninspect.core.wording import argument, worded
from rnninspect.report.record import Row, TrackReport
from rnninspect.report.renderers import _elide, _text
from rnninspect.report.renderers._blocks import Block, Line, RowNumbers
from rnninspect.report.renderers._steps import Look
from rnninspect.report.renderers.view import View, chosen

STEPS, STEPS_OF_MANY = 12, 8  # steps shown of a row; of each of many rows
MANY = 4
LINES = 160  # of numbers in a whole report: then the remaining rows keep their verdicts alone
FEWEST = 3  # tables of a track, however long they are
ENOUGH = (8, 3, 3, 0)  # units that must be left beside full words, brief ones, brief ones without "step", none
BETWEEN = "  "


@frozen
class Layout:
    """What all blocks of a track share, so that they stand in line."""

    head: int
    column: int
    wording: str  # which words of a Look are shown: words, brief or none
    short: bool  # step numbers without the word
    digits: int  # of the step numbers
    room: int
    width: int


def tables(
    track: TrackReport,
    rows: list[Row],
    candidates: list[Row],
    total: int,
    tracks: int,
    view: View,
    most: int | None = None,
) -> list[Text]:
    """The tables of those `candidates` whose numbers the report holds, in the order of `rows`; a note on the others.

    Where there would be too many lines in all of a report's `tracks`, the first of `candidates` are shown. `most`: how
    many steps of a row, besides those that matter; as many as are usual for so many rows by default.
    """
    excerpts = {excerpt.row: excerpt for excerpt in track.excerpt}
    if track.units is None and track.cell_units is None:
        return []
    held = [row for row in candidates if row.row in excerpts]
    wanted = chosen(view.steps, total, "steps")
    most = most or (STEPS if len(held) <= MANY else STEPS_OF_MANY)
    if view.rows is None:
        height = min(total if wanted is None else len(wanted), most) + 4
        held = held[: max(FEWEST, LINES // (height * tracks))]
    claims, shown = _claims(track), {row.row for row in held}
    blocks: list[Block] = []
    for row in rows:
        if row.row in shown:
            blocks.extend(
                RowNumbers(row, excerpts[row.row], claims.get(row.row, {}), total, view).blocks(track, wanted, most)
            )
    lines: list[Text] = []
    if blocks:
        layout = _layout(blocks, view)
        for block in blocks:
            lines += [*([Text()] if lines and block.title else []), *_drawn(block, layout, view)]
        lines += _legend(blocks, layout, view)
    return [*lines, *_without_numbers([row.row for row in rows if row.row not in shown], set(excerpts), view)]


def _without_numbers(rows: list[int], held: set[int], view: View) -> list[Text]:
    """A note on the rows whose numbers are not shown, and how to see them."""
    lines: list[Text] = []
    rows_, all_ = worded(argument("rows")), worded(argument("excerpt", "all"))
    for kept, how in ((True, f"left out: {rows_} shows them"), (False, f"not in this report: {all_} keeps them")):
        some = sorted(row for row in rows if (row in held) == kept)
        if some and (held or view.rows is not None):
            note = f"(numbers of {_elide.name_rows(some)} {how})"
            lines += _text.wrapped(Text(note, _text.QUIET), view.width)
    return [Text(), *lines] if lines else []


def _claims(track: TrackReport) -> dict[int, dict[int, list[int]]]:
    """By row and step: the other rows whose final state equals that output."""
    claims: dict[int, dict[int, list[int]]] = {}
    for row in track.rows:
        for j, step in row.elsewhere:
            claims.setdefault(j, {}).setdefault(step, []).append(row.row)
    return claims


def _layout(blocks: list[Block], view: View) -> Layout:
    """The first way of writing in which every unit fits, else the fullest that leaves enough of them."""
    lines = [line for block in blocks for line in block.lines]
    texts = [text for line in lines if line.numbers for text in line.numbers.values()]
    column = max([6, *map(len, texts), *(len(f"unit {unit}") for block in blocks for unit in block.units[:1])])
    column = max([column, *(len(str(unit)) for block in blocks for unit in block.units[-1:])])
    digits = max([len(str(line.step)) for line in lines if line.step is not None], default=1)
    ways = []
    for wording, short in (("words", False), ("brief", False), ("brief", True), ("none", True)):
        heads = [len(_head(line, short, digits)) for line in lines]
        head = max([*heads, *(len(block.title) - 2 for block in blocks)])
        parts = [len(_look_label(line.look, wording)) for line in lines]
        parts += [len(_block_label(block, wording)) for block in blocks]
        label_width = max(parts, default=0)
        room = view.width - head - 2 - (len(BETWEEN) + label_width if label_width else 0)
        ways.append(Layout(head, column, wording, short, digits, room, view.width))
    shown = [min(len(_units(block, layout, view)) for block in blocks) for layout in ways]
    for layout in ways[:-1]:
        if all(len(_units(block, layout, view)) == block.whole for block in blocks):
            return layout
    return next((layout for layout, n, enough in zip(ways, shown, ENOUGH, strict=True) if n >= enough), ways[-1])


def _block_label(block: Block, wording: str) -> str:
    return {"words": block.label, "brief": block.brief, "none": ""}[wording]


def _look_label(look: Look, wording: str) -> str:
    return {"words": look.label, "brief": look.brief, "none": ""}[wording]


def _head(line: Line, short: bool, digits: int) -> str:
    if line.step is None:
        return f"  {line.head}"
    return f"  {'' if short else 'step '}{line.step:>{digits}}"


def _units(block: Block, layout: Layout, view: View) -> list[int]:
    """As many units as the room holds, with a column of dots wherever some are left out."""
    more = len(BETWEEN) + len(_text.marks(view.ascii).more)
    most = max(1, min(len(block.units), layout.room // (layout.column + len(BETWEEN))))
    for count in range(most, 1, -1):
        shown = _elide.pick_units(block.units, block.wanted, count)
        if count * (layout.column + len(BETWEEN)) + more * _holes(shown, block.whole) <= layout.room:
            return shown
    return _elide.pick_units(block.units, block.wanted, 1)


def _holes(units: Sequence[int], whole: int) -> int:
    ends = [-1, *units, whole]
    return sum(b - a > 1 for a, b in pairwise(ends))


def _drawn(block: Block, layout: Layout, view: View) -> list[Text]:
    units = _units(block, layout, view)
    names = {unit: str(unit) for unit in units} | {units[0]: f"unit {units[0]}"} if units else {}
    title = Text(block.title.ljust(layout.head + 2), _text.TITLE)
    top = Text.assemble(title, (_columns(names, units, block.whole, layout, view, header=True), _text.QUIET))
    top.append(f"{BETWEEN}{_block_label(block, layout.wording)}", _text.QUIET)
    top.rstrip()
    return [top, *(_drawn_line(line, units, block.whole, layout, view) for line in block.lines)]


def _drawn_line(line: Line, units: list[int], whole: int, layout: Layout, view: View) -> Text:
    head = f"{_head(line, layout.short, layout.digits):<{layout.head}} {line.look.mark}"
    if line.numbers is None:
        room = layout.width - len(head) - len(BETWEEN)
        note = next((text for text in line.note if len(text) <= room), line.note[-1][:room])
        return Text(f"{head}{BETWEEN}{note}", line.look.style)
    drawn = Text.assemble((head, line.look.style or _text.QUIET))
    drawn.append(_columns(line.numbers, units, whole, layout, view), line.look.style)
    label = _look_label(line.look, layout.wording)
    if label:
        drawn.append(f"{BETWEEN}{label}", line.look.style or _text.QUIET)
    drawn.rstrip()
    return drawn


def _columns(
    numbers: dict[int, str], units: list[int], whole: int, layout: Layout, view: View, header: bool = False
) -> str:
    """The numbers right-aligned; dots (in the heading only) stand for units left out."""
    more = _text.marks(view.ascii).more
    dots = BETWEEN + (more if header else " " * len(more))
    drawn, before = "", -1
    for unit in units:
        drawn += dots if unit > before + 1 else ""
        drawn += BETWEEN + numbers.get(unit, "").rjust(layout.column)
        before = unit
    return drawn + (dots if before + 1 < whole and _holes(units, whole) else "")


def _legend(blocks: list[Block], layout: Layout, view: View) -> list[Text]:
    """What the marks mean, where no words stand beside them."""
    if layout.wording != "none":
        return []
    mark = _text.marks(view.ascii)
    meaning = {
        mark.equal: "equals h",
        mark.wrong: "equals h, wrong step",
        mark.expected: "expected",
        mark.near: "near h",
        mark.nearest: "nearest",
        mark.zero: "all zero",
        mark.padding: "padding, zero",
        mark.filled: "padding, not zero",
        mark.nonfinite: "not finite",
    }
    used = {line.look.mark for block in blocks for line in block.lines}
    lines: list[str] = []
    for entry in (f"{m} {text}" for m, text in meaning.items() if m in used):
        fits = lines and len(lines[-1]) + len(BETWEEN) + len(entry) <= view.width
        lines[-1:] = [f"{lines[-1]}{BETWEEN}{entry}"] if fits else [*lines[-1:], entry]
    return [Text(line, _text.QUIET) for line in ("", *lines)] if lines else []
