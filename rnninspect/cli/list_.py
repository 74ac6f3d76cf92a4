"""`rnninspect list`: what there is."""

from __future__ import annotations

from collections.abc import Callable

import click

Rows = list[tuple[str, ...]]


def _rules() -> Rows:
    from rnninspect.rules import rules

    return [("rule", "severity", "summary"), *((r.name, r.severity, r.summary) for r in rules().values())]


def _formats() -> Rows:
    from rnninspect.formats import formats
    from rnninspect.renderers import renderers

    read = [(f.name, " ".join(f.suffixes), "input", f.summary) for f in formats()]
    shown = [(name, "", "report", summary) for name, summary in renderers()]
    return [("format", "suffixes", "use", "summary"), *read, *shown]


def _conventions() -> Rows:
    from dataclasses import fields

    from rnninspect.conventions import conventions
    from rnninspect.conventions.base import Facts

    names = [f.name for f in fields(Facts)]
    rows: Rows = [("convention", *(n.replace("_", " ") for n in names))]
    rows += [(c.name, *(getattr(c.facts, n) for n in names)) for c in conventions().values()]
    return rows


def _cells() -> Rows:
    from rnninspect.weights import GATES

    return [("cell", "gates"), *((cell, ", ".join(gates)) for cell, gates in GATES.items())]


def _samples() -> Rows:
    from pathlib import Path

    from rnninspect import samples

    folder = Path(samples.path("batch.npy")).parent
    return [("sample", "path"), *((p.name, str(p)) for p in sorted(folder.iterdir()))]


LISTS: dict[str, Callable[[], Rows]] = {
    "rules": _rules,
    "formats": _formats,
    "conventions": _conventions,
    "cells": _cells,
    "samples": _samples,
}


@click.command("list", short_help="List rules, formats, conventions, cells, samples.")
@click.argument("what", required=False, type=click.Choice(list(LISTS)))
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(what: str | None, format_: str) -> int:
    """List what there is: rules, formats, conventions, cells or the packaged samples."""
    if what is None:
        click.echo("\n".join(LISTS))
        return 0
    head, *rows = LISTS[what]()
    if format_ == "json":
        import json

        click.echo(json.dumps([dict(zip(head, row, strict=True)) for row in rows], indent=2))
        return 0
    if what == "conventions":
        for row in rows:
            click.echo("\n".join([row[0], *(f"  {k:12} {v}" for k, v in zip(head[1:], row[1:], strict=True))]))
        return 0
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0
