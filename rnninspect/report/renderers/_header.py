"""What was looked at: source, whose arrays, reading, what was not read, shape and lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from rnninspect.core.axis_words import in_words
from rnninspect.report.record import ProbeReport, ReportRecord
from rnninspect.report.renderers import _text
from rnninspect.report.renderers.view import View

LENGTHS = 12  # lengths that are listed; of more, the first ones and their range
PARTS = 8  # named things of the source that are listed
REASONS = 3  # of what speaks for a framework, the strongest first
UNREAD = 3  # lines on what was given and not read
KEY = 12  # letters of a line's name; a longer one is left out
_NAMES = ("path", "file", "name", "dump", "batch", "example")  # the entry of `source` that names it, most telling first


OF_THE_FILE = ("source", "arrays")  # entries about the file, of which the reading says what was made


def header(report: ReportRecord, view: View) -> list[Text]:
    """A title, then one line each."""
    return title(report, view) + _listed(entries(report, view), view)


def title(report: ReportRecord, view: View) -> list[Text]:
    """The command and what it looked at."""
    name = source_name(report, view)
    line = Text.assemble((_text.clean(report.command, view.ascii), _text.TITLE), f"  {name}" if name else "")
    return _text.hanging(Text(), line, view.width)


def essentials(report: ReportRecord, view: View) -> list[Text]:
    """What a reader must know to believe the answer: whose arrays, how read, what was not; a line each."""
    return _listed([(key, text) for key, text in entries(report, view) if key not in OF_THE_FILE], view)


def _listed(facts: list[tuple[str, str]], view: View) -> list[Text]:
    """A line for each entry, its name in a column of its own."""
    lines: list[Text] = []
    column = max((len(key) for key, _ in facts), default=0)
    for key, text in facts:
        lines += _text.hanging(Text(f"  {key:<{column}}  ", _text.QUIET), Text(text), view.width)
    return lines


def source_name(report: ReportRecord, view: View) -> str:
    """The name of what was read, '' where it has none; safe to show."""
    return _source(report.source, view)[0]


def entries(report: ReportRecord, view: View) -> list[tuple[str, str]]:
    """What was looked at as (name, words), safe to show; entries that say nothing are left out."""
    _, rest, parts = _source(report.source, view)
    named = [
        ("source", rest),
        *parts,
        ("convention", _text.clean(in_words(_whose(report)), view.ascii)),
        ("reading", _reading(report, view)),
        ("also fits", _also_fit(report, view)),
        ("shape", _shape(report)),
        ("lengths", _lengths(report, view)),
        ("tolerance", _tolerance(report, view)),
        *(("not read", _text.clean(text, view.ascii)) for text in _unread(report.source)),
        *(("probe", _text.clean(_probe(probe), view.ascii)) for probe in report.probes),
        *(("note", _text.clean(note, view.ascii)) for note in report.notes),
    ]
    return [(key, text) for key, text in named if text]


def _source(source: Mapping[str, Any], view: View) -> tuple[str, str, list[tuple[str, str]]]:
    """The name of what was read, its plain entries in words, and a line for each entry that holds named things."""
    key = next((key for key in _NAMES if isinstance(source.get(key), str)), None)
    name = "" if key is None else _text.clean(source[key], view.ascii)
    others = {k: v for k, v in source.items() if k not in (key, "unused") and v not in (None, "", [], {})}
    rest = [f"{k} {v}" for k, v in others.items() if not isinstance(v, Mapping)]
    parts = [(_text.clean(k, view.ascii), _list_entries(v, view)) for k, v in others.items() if isinstance(v, Mapping)]
    return name, _text.clean(", ".join(rest), view.ascii), [(k if len(k) <= KEY else "", text) for k, text in parts]


def _whose(report: ReportRecord) -> str:
    """Whose arrays they are and what speaks for it; both frameworks where it is not decided between two."""
    beliefs = report.reading.get("conventions") or []
    reasons = [*(beliefs[0]["because"] if beliefs else ()), *(report.reading.get("because") or ())]
    reasons = list(dict.fromkeys(reasons))
    names = [str(belief["name"]) for belief in beliefs]
    if len(names) > 1:
        because = f"; reasons for {names[0]}: {_reasons(reasons)}" if reasons else ""
        return f"{' or '.join(names)}, undecided{because}"
    return f"{report.convention}; reasons: {_reasons(reasons)}" if reasons else report.convention


def _reasons(because: list[str]) -> str:
    """The strongest reasons in words, and how many more there are."""
    more = [f"and {len(because) - REASONS} more"] if len(because) > REASONS else []
    return ", ".join([*map(str, because[:REASONS]), *more])


def _unread(source: Mapping[str, Any]) -> list[str]:
    """What was given and not read, in at most three lines."""
    unused = source.get("unused")
    lines = [str(text) for text in unused] if isinstance(unused, list) else []
    if len(lines) <= UNREAD:
        return lines
    names = ", ".join(text.partition(" ")[0] for text in lines[UNREAD - 1 :][:PARTS])
    return [*lines[: UNREAD - 1], f"and {len(lines) - UNREAD + 1} more: {names}"]


def _list_entries(named: Mapping[str, Any], view: View) -> str:
    """The first of some named things, as `outputs [3, 3, 4], lengths [3]`."""
    listed = [f"{k} {v}" for k, v in list(named.items())[:PARTS]]
    listed += [f"and {len(named) - PARTS} more"] if len(named) > PARTS else []
    return _text.clean(", ".join(listed), view.ascii)


def _reading(report: ReportRecord, view: View) -> str:
    used = _text.clean(in_words(str(report.reading.get("used") or "")), view.ascii)
    return used + (" (not the usual or stated axes)" if used and report.reading.get("stated") is False else "")


def _also_fit(report: ReportRecord, view: View) -> str:
    others = report.reading.get("also_fit")
    return _text.clean(in_words("; ".join(map(str, others))), view.ascii) if isinstance(others, list) else ""


def _shape(report: ReportRecord) -> str:
    """The sizes in words; directions and layers where there are several."""
    nouns = {"batch": "row", "steps": "step", "units": "unit", "layers": "layer", "directions": "direction"}
    sizes = [(report.shape[key], word) for key, word in nouns.items() if key in report.shape]
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in sizes)


def _probe(probe: ProbeReport) -> str:
    """One probe in a line: `noise: other values in the padding change no real result: held, largest difference 0`."""
    line = f"{probe.probe}: {probe.holds}: {probe.standing}"
    if probe.standing == "not made":
        return f"{line}, {probe.reason}"
    if probe.standing == "held" and probe.largest is not None:
        return f"{line}, largest difference {probe.largest:.2g} ({probe.allowed or 0:.2g} allowed)"
    return line if probe.largest is None else f"{line} by up to {probe.largest:.3g}"


def _lengths(report: ReportRecord, view: View) -> str:
    lengths = report.lengths
    if lengths is None:
        return "not known"
    listed = ", ".join(map(str, lengths[:LENGTHS]))
    if len(lengths) <= LENGTHS:
        return listed
    return f"{listed}, {_text.marks(view.ascii).more} ({min(lengths)} to {max(lengths)})"


def _tolerance(report: ReportRecord, view: View) -> str:
    if not any(report.tolerance.values()):
        return "0: bit for bit" if view.verbose else ""
    return ", ".join(f"{key} {value:g}" for key, value in report.tolerance.items())
