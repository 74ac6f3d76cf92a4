"""`rnninspect explain`: what a rule means, what it looks like, how to mend it, and who else met it."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import asdict
from typing import Any

import click

from rnninspect import conventions
from rnninspect.cli import taught
from rnninspect.cli.param_types import CONVENTION, EXPLAINED, one_of
from rnninspect.diagnosis.fixes import fix_for
from rnninspect.diagnosis.rule import Rule
from rnninspect.errors import UnknownNameError
from rnninspect.report import glossary, lessons

NARROWEST, WIDEST = 40, 88


@click.command("explain")
@click.argument("name", metavar="[RULE|WORD]", required=False, type=EXPLAINED)
@click.option("--convention", type=CONVENTION, metavar="NAME", help="Show the fix for this framework only.")
@click.option("--format", "format_", type=one_of("text", "json"), default="text", show_default=True)
def command(name: str | None, convention: str | None, format_: str) -> int:
    """Explain RULE: the mistake, why it happens, an example before and after it, the code that fixes it, and public
    threads about it. The beginning of the name is enough. Or explain a WORD that reports use, such as reading, track,
    proven or "(L D) B H"; `explain words` prints the whole glossary.

    Without an argument, list the rules, one line each.

    \b
    rnninspect explain lengths-ignored
    rnninspect explain rows-permuted --convention torch
    rnninspect explain reading
    """
    if name is None:
        return _show([r for _, r in taught.course()], convention, format_)
    entries = _glossary(name)
    if entries:
        return _show_words(entries, format_)
    name = whole_name(name)
    if name not in taught.mistakes():
        spellings = [entry.name for entry in (*glossary.FINDINGS, *glossary.WORDS)]
        listed_by = "`rnninspect list rules` (rules) and `rnninspect explain words` (words)"
        raise UnknownNameError("rule or word", name, [*taught.mistakes(), *spellings], listed_by)
    return _show([taught.get(name)], convention, format_, alone=True)


def whole_name(name: str) -> str:
    """The rule whose name is `name`, or alone begins so, which is said; `name` itself where there is none such."""
    from rnninspect.cli.output import note

    begun = [rule for rule in taught.mistakes() if rule.startswith(name)]
    if name in begun or len(begun) != 1:
        return name
    note(f"{name} is taken as {begun[0]}")
    return begun[0]


def _glossary(name: str) -> list[glossary.Word]:
    """The entries that are asked for: one, all of them, or none where `name` is no word of the glossary."""
    if name.casefold() in ("words", "glossary"):
        return [*glossary.WORDS, *glossary.FINDINGS]
    entry = None if name in taught.mistakes() else glossary.word(name)
    return [] if entry is None else [entry]


def _show_words(entries: list[glossary.Word], format_: str) -> int:
    if format_ == "json":
        import json

        click.echo(json.dumps([{"word": entry.name, "meaning": entry.meaning} for entry in entries], indent=2))
        return 0
    lines = [line for entry in entries for line in _hanging(f"{entry.name}: ", entry.meaning, _width(), 2)]
    if len(entries) == 1 and (rules := [name for name in taught.mistakes() if entries[0].name in name.split("-")]):
        lines += ["", *_hanging("Mistakes: ", f"{', '.join(rules)}.", _width(), 2)]
    click.echo("\n".join(lines))
    return 0


def _show(chosen: list[Rule], convention: str | None, format_: str, alone: bool = False) -> int:
    """Print one rule whole where it is `alone`, else a line of each; or all that is known of them as JSON."""
    if format_ == "json":
        import json

        images = [image(r, convention) for r in chosen]
        click.echo(json.dumps(images[0] if alone else images, indent=2))
    else:
        click.echo(text(chosen[0], convention, _width()) if alone else overview(_width()))
    return 0


def _width() -> int:
    """Columns of the terminal (80 in a pipe), within what reads well."""
    return min(max(shutil.get_terminal_size((80, 24)).columns, NARROWEST), WIDEST)


def overview(width: int) -> str:
    """Every rule with its summary, in groups."""
    lines: list[str] = []
    last = ""
    for group, rule in taught.course():
        if group != last:
            lines += ["", group] if lines else [group]
            last = group
        lines += _hanging(f"  {rule.name} ({rule.severity}): ", rule.summary, width, indent=6)
    more = "rnninspect explain RULE says more; rnninspect demo --all is a course of them."
    return "\n".join([*lines, "", more, "rnninspect explain words: the words of a report."])


def image(rule: Rule, convention: str | None = None, example: lessons.Worked | None = None) -> dict[str, Any]:
    """What `explain` knows of a rule, as plain values. `example`: the recorded one by default."""
    example = example or lessons.recorded(rule.name)
    printed = lessons.print_out(rule)
    return {
        "rule": rule.name,
        "severity": rule.severity,
        "summary": rule.summary,
        "why": rule.why,
        "needs": list(rule.needs),
        "print_out": None if printed is None else asdict(printed),
        "example": None
        if example is None
        else {
            "of": example.example,
            "before": list(example.before),
            "after": list(example.after),
            "found": example.summary,
        },
        "fixes": fixes(rule, convention),
        "threads": [{"url": t.url, "about": t.about} for t in rule.threads],
    }


def fixes(rule: Rule, convention: str | None = None) -> dict[str, str]:
    """The code that mends it, by framework."""
    chosen = conventions.conventions().values() if convention is None else [conventions.get(convention)]
    return {framework.name: fix_for(rule, framework) for framework in chosen}


def by_code(fixes: dict[str, str]) -> dict[str, list[str]]:
    """The frameworks that share each code of `fixes`.

    >>> by_code({"tf1": "a", "keras": "b", "torch": "a"})
    {'a': ['tf1', 'torch'], 'b': ['keras']}
    """
    names: dict[str, list[str]] = {}
    for name, code in fixes.items():
        names.setdefault(code, []).append(name)
    return names


def text(
    rule: Rule,
    convention: str | None = None,
    width: int = 80,
    example: lessons.Worked | None = None,
    brief: bool = False,
) -> str:
    """The explanation of one rule in lines of at most `width`, addresses aside.

    `example`: the worked example; the recorded one by default. `brief` leaves out what fills more than a screen.
    """
    lines = _hanging(f"{rule.name} ({rule.severity}): ", rule.summary, width, indent=2)
    lines += ["", *textwrap.wrap(rule.why, width)]
    if not brief:
        lines += ["", f"Data it needs: {', '.join(rule.needs) or 'only the final states'}."]
    if printed := lessons.print_out(rule):
        lines += ["", *_hanging("From a print-out: ", printed.command, width, indent=2)]
    lines += _example_lines(example or lessons.recorded(rule.name), width)
    lines += _fix_lines(fixes(rule, convention), width)
    if brief:
        return "\n".join(lines)
    if rule.threads:
        lines += ["", "Public threads about it:"]
    for thread in rule.threads:
        lines += [f"  {thread.url}", *_hanging("    ", thread.about, width, indent=4)]
    return "\n".join([*lines, "", f"See it happen: rnninspect demo {rule.name}"])


def _example_lines(example: lessons.Worked | None, width: int) -> list[str]:
    """A worked example: rows before and after the mistake was planted, and what the report says."""
    if example is None:
        return []
    lines = ["", *_hanging("Example: the mistake made in a correct run of ", f"{example.example}:", width, indent=2)]
    for head, rows in (("before", example.before), ("after", example.after)):
        for i, row in enumerate(rows):
            lines += _hanging(f"  {head if i == 0 else '':7} ", row, width, indent=12)
    return lines + _hanging("  found   ", example.summary, width, indent=10)


def _fix_lines(fixes: dict[str, str], width: int) -> list[str]:
    """Each framework's code; frameworks with the same code share it."""
    names = by_code(fixes)
    alone = f" in {next(iter(fixes))}" if len(fixes) == 1 else ""
    lines = ["", f"How to fix it{alone}:"] if names else []
    for code, users in names.items():
        lines += [] if alone else [f"  {', '.join(users)}"]
        lines += [line for code_line in code.splitlines() for line in _code_lines(code_line, width)]
    return lines


def _code_lines(code: str, width: int) -> list[str]:
    """A line of code, indented by four; where it is too long, its comment goes above it and the rest below."""
    if len(code) + 4 <= width:
        return [f"    {code}"]
    body, commented, comment = code.partition("  # ")
    above = [f"    # {line}" for line in textwrap.wrap(comment, width - 6)] if commented else []
    return above + _hanging("    ", body, width, indent=8)


def _hanging(head: str, body: str, width: int, indent: int) -> list[str]:
    """`head` and then `body`, its further lines indented; words and addresses are never broken."""
    return textwrap.wrap(
        body,
        width,
        initial_indent=head,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]
