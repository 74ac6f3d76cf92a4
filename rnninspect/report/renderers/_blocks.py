"""One row's numbers as lines: its steps, those left out, its final state; not yet laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from rnninspect.core.frozen import frozen
from rnninspect.core.wording import argument, worded
from rnninspect.report.record import Excerpt, Row, TrackReport
from rnninspect.report.renderers import _elide, _numbers, _steps, _text, _words
from rnninspect.report.renderers._steps import Look
from rnninspect.report.renderers.view import View


@frozen
class Line:
    """One line of numbers by unit, or, without numbers, a note on the steps left out."""

    head: str  # a state's letter; empty for a step
    look: Look
    numbers: dict[int, str] | None = None
    step: int | None = None
    note: tuple[str, ...] = ()  # from the fullest to the briefest wording


@frozen
class Block:
    """Lines under one heading. `units`: those whose numbers the report holds, of `whole`."""

    title: str
    units: Sequence[int]
    whole: int
    lines: list[Line]
    label: str = ""
    brief: str = ""
    wanted: list[int] = field(default_factory=list)


@frozen
class RowNumbers:
    """One row with its numbers, ready to become blocks."""

    row: Row
    excerpt: Excerpt
    claims: dict[int, list[int]]
    total: int
    view: View

    def blocks(self, track: TrackReport, wanted: list[int] | None, most: int) -> list[Block]:
        """The numbers of a row in blocks of columns that have room: outputs by step, final state, c."""
        b, excerpt, names = self.row.row, self.excerpt, _numbers.nonfinite(self.excerpt)
        precision, cell_units = self.view.digits, _numbers.cell_units(self.excerpt, track.cell_units)
        lines = self._steps(wanted, most, names)
        if excerpt.final is not None:
            numbers = _numbers.cells(excerpt.final, excerpt.units, names, "final", 0, precision)
            lines.append(Line("h", self._state(), numbers))
        state_c = []
        if excerpt.cell is not None:
            numbers = _numbers.cells(excerpt.cell, cell_units, names, "cell", 0, precision)
            state_c = [Line("c", Look(label=f"final_state.c[{b}]"), numbers)]
        odd = sorted({unit for _, _, unit in names})
        if cell_units == list(excerpt.units) and track.cell_units == track.units:
            lines, state_c = lines + state_c, []
        blocks = [(excerpt.units, track.units, lines), (cell_units, track.cell_units, state_c)]
        titles = [(f"row {b}", self._length(), "" if self.row.length is None else f"length {self.row.length}")]
        made: list[Block] = []
        for units, whole, some in blocks:
            if some:
                title = titles.pop() if titles else ("", "", "")
                made.append(Block(title[0], units, whole or 0, some, title[1], title[2], odd))
        return made

    def _length(self) -> str:
        row = self.row
        if row.real in ([[0, row.length]], [] if row.length == 0 else None) or not row.real:
            return "" if row.length is None else f"length {row.length}"
        real = f"real {_elide.name_steps(row.real)}"
        if row.length is None:
            return "" if row.real == [[0, self.total]] else real
        return f"length {row.length}, {real}"

    def _state(self) -> Look:
        name = f"final_state.h[{self.row.row}]"
        style = {"good": _text.OK, "bad": _text.BAD, "silent": _text.FACT, "unknown": ""}[_words.standing(self.row)]
        if not self.row.steps and self.row.elsewhere:
            j, step = self.row.elsewhere[0]
            return Look(style=style, label=f"{name} = outputs[{j}, {step}]", brief=f"= outputs[{j}, {step}]")
        return Look(style=style, label=name)

    def _steps(self, wanted: list[int] | None, most: int, names: dict[tuple[str, int, int], str]) -> list[Line]:
        row, excerpt, mark = self.row, self.excerpt, _text.marks(self.view.ascii)
        if excerpt.outputs is None:
            return []
        odd = sorted({step for what, step, _ in names if what == "outputs"})[:1]
        matters = [*_elide.matters(row, self.total, self.claims), *odd]
        asked = None if wanted is None else set(wanted)
        if asked is None:
            shown = _elide.pick(excerpt.steps, matters, most, lambda step: _steps.is_padding(row, step))
        else:
            shown = [step for step in excerpt.steps if step in asked]
        lines: list[Line] = []
        before = -1 if asked is None else None
        for step in shown:
            if before is not None and step > before + 1:
                lines.append(self._gap(before + 1, step))
            outputs = excerpt.outputs[excerpt.steps.index(step)]
            numbers = _numbers.cells(outputs, excerpt.units, names, "outputs", step, self.view.digits)
            look = _steps.look(row, step, mark, self.claims.get(step, []), excerpt)
            lines.append(Line("", look, numbers, step))
            before = step
        if asked is None and before is not None and before + 1 < self.total:
            lines.append(self._gap(before + 1, self.total))
        missing = sorted((asked or set()) - set(excerpt.steps))
        if missing:
            lines.append(self._missing(missing))
        return lines

    def _gap(self, start: int, stop: int) -> Line:
        """The steps from `start` to `stop` - 1 that are not shown."""
        count, places = stop - start, _elide.list_slices([(start, stop)])
        only = f"{count} step{'s' if count > 1 else ''}"
        padded = any(a <= start and stop <= b for a, b in _elide.gaps(self.row.real, self.total))
        fuller = (f"{only} of padding: {places}",) if padded else ()
        look = Look(_text.marks(self.view.ascii).gap, _text.QUIET)
        return Line("", look, note=(*fuller, f"{only}: {places}", only))

    def _missing(self, steps: list[int]) -> Line:
        places = _elide.name_steps(_elide.runs(steps))
        look = Look(_text.marks(self.view.ascii).gap, _text.QUIET)
        return Line(
            "",
            look,
            note=(
                f"{places} not in this report: {worded(argument('excerpt', 'all'))} keeps them",
                f"{places} not kept",
                places,
            ),
        )
