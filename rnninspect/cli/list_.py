"""`rnninspect list`: what there is."""

from __future__ import annotations

import click

from rnninspect.cli.param_types import one_of

WHAT = ("rules", "conventions", "cells", "activations", "formats", "renderers", "recorders", "samples", "settings")


@click.command("list")
@click.argument("what", required=False, type=one_of(*WHAT))
@click.option("--format", "format_", type=one_of("table", "json", "markdown"), default="table", show_default=True)
@click.pass_context
def command(ctx: click.Context, what: str | None, format_: str) -> int:
    """List what there is: rules, conventions with their facts, cells, activations, formats, recorders, packaged
    samples, settings.

    \b
    rnninspect list rules
    rnninspect list conventions --format json
    """
    from rnninspect.cli import catalogue, settings

    if what is None:
        click.echo("\n".join(WHAT))
        return 0
    rows = settings.rows(ctx.find_root()) if what == "settings" else catalogue.LISTS[what]()
    head, *body = rows
    if format_ == "json":
        import json

        click.echo(json.dumps([dict(zip(head, row, strict=True)) for row in body], indent=2, ensure_ascii=False))
    elif format_ == "markdown":
        click.echo(catalogue.markdown(rows))
    else:
        click.echo("\n".join(_table(rows) if what not in ("conventions", "cells") else _blocks(rows)))
    return 0


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _blocks(rows: list[tuple[str, ...]]) -> list[str]:
    """A block a row: its name, then every fact on a line of its own."""
    head, *body = rows
    width = max(map(len, head))
    lines = []
    for name, *facts in body:
        lines += [name, *(f"  {k:{width}} {v}".rstrip() for k, v in zip(head[1:], facts, strict=True))]
    return lines
