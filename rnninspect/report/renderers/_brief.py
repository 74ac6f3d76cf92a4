"""The brief table: the answer, what was read, the rows that matter with their numbers, and one line for the rest."""

from __future__ import annotations

from dataclasses import replace

from rich.text import Text

from rnninspect.core.frozen import frozen
from rnninspect.report.record import ReportRecord, Row, TrackReport
from rnninspect.report.renderers import _elide, _grid, _header, _text, _verdicts, _words
from rnninspect.report.renderers._card import card
from rnninspect.report.renderers._comparison import comparison
from rnninspect.report.renderers._rows import ORDERS, heading, worst_first
from rnninspect.report.renderers._unlocks import not_checked_line
from rnninspect.report.renderers.view import View, chosen

LINES = 38  # of a report, as far as its findings leave room for numbers
STEPS_AT_LEAST = 3  # steps of the one row that is shown where there is little room, besides those that matter
NUMBERS = 24  # lines of numbers beside a table of rows that has been made elsewhere
VERDICTS = 12  # rows that have a line, over all tracks
FEWEST = 3  # of one track


@frozen
class Section:
    """One track that has something to show: the rows that have a line, and those whose numbers are shown."""

    track: TrackReport
    rows: list[Row]
    tabled: list[Row]


def brief(report: ReportRecord, view: View) -> list[Text]:
    """The report in about LINES lines; all of the rows and steps that `view` asks for."""
    head = [*card(report, view), Text(), *_header.essentials(report, view)]
    tail = _tail(report, view)
    quiet = _quiet_tracks(report, view)
    sections = _sections(report, view)
    sections = [_shortened(report, section, len(sections), view) for section in sections]
    drawn = [_section(report, section, view) for section in sections]
    room = LINES - len(head) - len(tail) - len(quiet) - sum(map(len, drawn))
    tables = _tables(report, sections, room, view)
    body = [line for lines, numbers in zip(drawn, tables, strict=True) for line in (*lines, *numbers)]
    return [*head, *([Text(), *quiet] if quiet else []), *body, *tail]


def numbers_that_matter(report: ReportRecord, view: View) -> list[Text]:
    """The numbers of the rows that matter most, track by track, in about NUMBERS lines."""
    sections = _sections(report, view)
    lines: list[Text] = []
    for section, numbers in zip(sections, _tables(report, sections, NUMBERS, view), strict=True):
        named = [heading(section.track, view)] if numbers and len(report.tracks) > 1 else []
        lines += [*([Text()] if lines and numbers else []), *named, *numbers[1:]]
    return lines


def _tail(report: ReportRecord, view: View) -> list[Text]:
    """The second dump, the findings that the card leaves out, and what was not checked."""
    lines = comparison(report, view)
    if report.findings[1:] or view.why:
        from rnninspect.report.renderers._findings import finding_lines, not_checked

        for finding in report.findings[1:]:
            lines += [Text(), *finding_lines(finding, view)]
        if view.why:
            return lines + not_checked(report, view)
    unchecked = not_checked_line(report)
    return lines + ([Text(), *_text.wrapped(Text(unchecked, _text.QUIET), view.width)] if unchecked else [])


def _sections(report: ReportRecord, view: View) -> list[Section]:
    """The tracks that have something to show, each with the rows that have a line, the worst first."""
    total = report.shape.get("batch", 0)
    asked = chosen(view.rows, total, "rows")
    tracks = [track for track in report.tracks if _speaks(report, track, asked)]
    most = max(FEWEST, VERDICTS // max(1, len(tracks)))
    ranked = worst_first(report, total)
    sections = []
    for track in tracks:
        by_row = {row.row: row for row in track.rows}
        order = ranked
        if asked is None:  # what is wrong in this track comes before what is wrong in another
            wrong = [b for b in ranked if b in by_row and _words.standing(by_row[b]) == "bad"]
            few = most if total <= most else max(FEWEST, (2 if wrong else 1) * most // 3)
            order = list(dict.fromkeys([*wrong, *ranked]))[:few]
        rows = [by_row[b] for b in (order if asked is None else asked) if b in by_row]
        sections.append(Section(track, sorted(rows, key=lambda row: row.row), rows))
    return sections


def _speaks(report: ReportRecord, track: TrackReport, asked: list[int] | None) -> bool:
    """Whether a track's rows are shown one by one: it was asked for, is wrong, is named by the worst finding where
    none is wrong, or nothing is either."""
    if not _compared(track):
        return asked is not None and bool(track.excerpt)
    matter = [t for t in report.tracks if any(_words.standing(row) == "bad" for row in t.rows)]
    if not matter and report.verdict == "findings":
        worst = report.findings[0]
        matter = [t for t in report.tracks if _compared(t) and (t.layer, t.direction) == (worst.layer, worst.direction)]
    return asked is not None or not matter or track in matter


def _compared(track: TrackReport) -> bool:
    return any(row.status is not None for row in track.rows)


def unrecorded_tracks(report: ReportRecord, view: View) -> list[Text]:
    """One line for all tracks of which nothing could be compared; none where that is all that there is."""
    some = [track for track in report.tracks if not _compared(track)]
    return _quiet_tracks(replace(report, tracks=some), view) if len(some) < len(report.tracks) else []


def _quiet_tracks(report: ReportRecord, view: View) -> list[Text]:
    """One line for all tracks that have the same to say and are not shown row by row."""
    asked = chosen(view.rows, report.shape.get("batch", 0), "rows")
    tracks_by_words: dict[tuple[str, str, str], list[TrackReport]] = {}
    for track in report.tracks:
        if _speaks(report, track, asked):
            continue
        if _compared(track):
            sign, style = _verdicts.sign(next(row for row in track.rows if row.status is not None), view)
            standing = (sign, style, _words.tally(track.rows))
        else:
            reasons = dict.fromkeys(_words.judged(row) for row in track.rows)
            standing = ("-", _text.QUIET, ", ".join(reasons) or "no rows")
        tracks_by_words.setdefault(standing, []).append(track)
    lines = []
    for (sign, style, phrase), tracks in tracks_by_words.items():
        named = _tracks_named(report, tracks, view)
        lines += _text.hanging(Text(f"{sign} ", style), Text(f"{named}: {phrase}"), view.width)
    return lines


def _tracks_named(report: ReportRecord, tracks: list[TrackReport], view: View) -> str:
    """`layers 0-1` where whole layers are meant, else `layer 0 forward, layer 1 backward`."""
    layers = sorted({track.layer for track in tracks})
    if [t for t in report.tracks if t.layer in layers] != tracks:
        return ", ".join(_words.track_name(t.layer, t.direction, view.ascii) for t in tracks)
    runs = [str(a) if b - a == 1 else f"{a}-{b - 1}" for a, b in _elide.runs(layers)]
    return f"layer{'' if len(layers) == 1 else 's'} {', '.join(runs)}"


def _section(report: ReportRecord, section: Section, view: View) -> list[Text]:
    """The track's name, where there are several, and a line for each of its rows."""
    track, lines = section.track, [Text()]
    if len(report.tracks) > 1 or track.direction != "forward" or track.order in ORDERS:
        lines.append(heading(track, view))
    return lines + _verdicts.row_verdicts(track, section.rows, report.shape.get("steps", 0), view)


def _shortened(report: ReportRecord, section: Section, sections: int, view: View) -> Section:
    """The section with fewer rows, where their lines go on below them, or several sections are shown."""
    rows, most = section.tabled, VERDICTS // sections + (3 if sections == 1 else 2)
    while view.rows is None and len(rows) > 1 and len(_section(report, section, view)) > most:
        rows = rows[:-1]
        section = Section(section.track, sorted(rows, key=lambda row: row.row), rows)
    return section


def _tables(report: ReportRecord, sections: list[Section], room: int, view: View) -> list[list[Text]]:
    """For each section its numbers: of all rows that were asked for, else of as many as there is room for.

    One row has its numbers in any case, of fewer steps where there is no room for all.
    """
    total = report.shape.get("steps", 0)
    if view.rows is not None:
        return [_numbers(section, section.tabled, total, view) for section in sections]
    tabled: list[list[Row]] = [[] for _ in sections]
    drawn: list[list[Text]] = [[] for _ in sections]
    for number, row in _by_turns(sections):
        tabled[number].append(row)
        tried = [_numbers(s, rows, total, view) for s, rows in zip(sections, tabled, strict=True)]
        alone = sum(map(len, tabled)) == 1
        if sum(map(len, tried)) > room and not alone:
            break
        drawn = tried
        if sum(map(len, drawn)) > room:
            drawn[number] = _numbers(sections[number], [row], total, view, STEPS_AT_LEAST)
            break
    return drawn


def _by_turns(sections: list[Section]) -> list[tuple[int, Row]]:
    """Every row whose numbers could be shown, with its section: the first of each track, then the second, …"""
    wrong = any(_words.standing(row) == "bad" for section in sections for row in section.rows)
    turns = []
    for number, section in enumerate(sections):
        held = {excerpt.row for excerpt in section.track.excerpt}
        kept = [row for row in section.tabled if row.row in held]
        kept = [row for row in kept if not wrong or _words.standing(row) == "bad"] or kept[:1]
        turns += [(place, number, row) for place, row in enumerate(kept)]
    return [(number, row) for _, number, row in sorted(turns, key=lambda turn: turn[:2])]


def _numbers(section: Section, rows: list[Row], total: int, view: View, most: int | None = None) -> list[Text]:
    if not rows:
        return []
    numbered = sorted(rows, key=lambda row: row.row)
    lines = _grid.tables(section.track, numbered, rows, total, 1, view, most)
    return [Text(), *lines] if lines else []
