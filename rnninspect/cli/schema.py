"""`rnninspect schema`: the JSON Schema of the report."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> int:
    """Print the JSON Schema (2020-12) that every `--format json` report validates against."""
    from rnninspect.report.schema import schema

    click.echo(json.dumps(schema(), indent=2))
    return 0
