"""`rnninspect list`: what there is."""

from __future__ import annotations

import shutil
import textwrap
from itertools import zip_longest

import click

from rnninspect.cli import options
from rnninspect.cli.param_types import TEXT, one_of
from rnninspect.errors import UserError, about

WHAT = {
    "rules": "the mistakes that rnninspect names",
    "conventions": "what each framework returns, and its weights",
    "cells": "LSTM, GRU and RNN: gates, equations, options",
    "activations": "activations, and their formulas",
    "formats": "formats of files and of reports",
    "renderers": "formats of a report",
    "recorders": "live models that `record` watches",
    "probes": "what `check` tries on a live model",
    "models": "live models that `check` runs",
    "samples": "the packaged data",
    "layers": "the recurrent layers in a file of weights",
    "settings": "defaults, and where each comes from",
    "speed": "measured times and memory",
}
BETWEEN = "  "
LEAST = 16  # letters of a column of words


@click.command("list")
@click.argument("what", metavar="[WHAT]", required=False, type=one_of(*WHAT))
@click.argument("file", required=False, type=TEXT)
@options.feed_option
@click.option("--format", "format_", type=one_of("table", "json", "markdown"), default="table", show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="Print no notes on stderr.")
@click.pass_context
def command(ctx: click.Context, what: str | None, file: str | None, feed: str | None, format_: str, quiet: bool) -> int:
    """List what there is: rules, conventions with their facts, cells, activations, formats, recorders, probes,
    models that are checked, packaged samples, settings, the measured speed; or the recurrent layers in FILE.

    \b
    rnninspect list rules
    rnninspect list conventions --format json
    rnninspect list layers model.onnx
    """
    from rnninspect.cli import catalogue, settings

    if what is None:
        click.echo("\n".join(f"{name:<12} {about_it}" for name, about_it in WHAT.items()))
        return 0
    if what == "speed":
        click.echo(catalogue.written_page(what), nl=False)
        return 0
    if feed is not None and file is None:
        raise UserError("--feed goes with `list layers FILE`")
    if file is not None and what != "layers":
        raise UserError(f"list {what} takes no file; `list layers {file}` lists the layers in one")
    if what == "layers":
        rows = _layers(file, feed, quiet)
    else:
        rows = settings.rows(ctx.find_root()) if what == "settings" else catalogue.LISTS[what]()
    head, *body = rows
    if format_ == "json":
        import json

        click.echo(json.dumps([dict(zip(head, row, strict=True)) for row in body], indent=2, ensure_ascii=False))
    elif format_ == "markdown":
        click.echo(catalogue.markdown(rows))
    else:
        width = shutil.get_terminal_size((80, 24)).columns
        click.echo("\n".join(_table(rows, width) if what not in ("conventions", "cells") else _blocks(rows, width)))
    return 0


def _layers(file: str | None, feed: str | None, quiet: bool) -> list[tuple[str, ...]]:
    """Every recurrent layer of a file of weights, as `--weights-prefix` picks it."""
    from rnninspect.api.weights_file import activations_taken, layers_of
    from rnninspect.cli import inputs
    from rnninspect.cli.output import note

    path = inputs.example("weights.npz", quiet) if file is None else file
    with about("FILE", path):
        read = inputs.read_fed(path, feed, quiet)
        convention, layers = layers_of(read)
    note(f"{path}: read as {convention.name} weights", quiet)
    for remark in activations_taken(read, convention, layers):
        note(f"{path}: {remark}", quiet)
    head = ("layer", "cell", "layers", "directions", "features", "units", "reads")
    counts = [("", "", "", "") if x.problem else (x.layers, x.directions, x.features, x.units) for x in layers]
    rows = [(x.name, x.cells, *map(str, count), x.problem or x.reads) for x, count in zip(layers, counts, strict=True)]
    return [head, *rows]


def _table(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """A line a row where that fits, else long cells on several lines, broken between words; else a block a row."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    excess = sum(widths) + len(BETWEEN) * (len(widths) - 1) - width
    for i in sorted(range(len(widths)), key=lambda i: -widths[i]):
        longest = max(len(word) for row in rows for word in row[i].split() or [""])
        cut = min(max(excess, 0), max(0, widths[i] - max(longest, LEAST)))
        widths[i], excess = widths[i] - cut, excess - cut
    if excess > 0:
        return _blocks(rows, width)
    return [line for row in rows for line in _cells(row, widths)]


def _cells(row: tuple[str, ...], widths: list[int]) -> list[str]:
    """The lines of one row."""
    wrapped = [_wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines = zip_longest(*wrapped, fillvalue="")
    return [BETWEEN.join(f"{cell:{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]


def _blocks(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """A block a row: its name, then every fact behind its own."""
    head, *body = rows
    column = max(map(len, head[1:]))
    lines = []
    for name, *facts in body:
        lines.append(name)
        for key, fact in zip(head[1:], facts, strict=True):
            first, *rest = _wrap(fact, max(LEAST, width - column - 4)) or [""]
            lines += [f"  {key:{column}}  {first}".rstrip(), *(f"{'':{column + 4}}{line}" for line in rest)]
    return lines


def _wrap(text: str, width: int) -> list[str]:
    """Lines of whole words; a word that is longer stands alone."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
