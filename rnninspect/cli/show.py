"""`rnninspect show`: renders a saved report again, without arrays."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from rnninspect.cli import options, output
from rnninspect.errors import UnreadableError


@click.command("show", short_help="Render a saved JSON report again.")
@click.argument("report")
@options.output_options
@click.option(
    "--fail-on", type=click.Choice(["error", "warning", "note"]), default="error", help="Exit 1 from here on."
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever was found.")
def command(report: str, **given: Any) -> int:
    """Render REPORT, a JSON report saved by `run` or `compare` (or - for stdin), in any format.

    \b
    rnninspect compare dump.npz --format json -o report.json
    rnninspect show report.json
    """
    from rnninspect.report_io import load

    try:
        text = sys.stdin.read() if report == "-" else open(report, encoding="utf-8").read()  # noqa: SIM115
        data = json.loads(text)
    except OSError as error:
        raise UnreadableError(f"{report}: {error.strerror}") from None
    except ValueError as error:
        raise UnreadableError(f"{report}: not a JSON report ({error}); save one with --format json -o FILE") from None
    loaded = load(data)
    output.show(loaded, given)
    return output.exit_code(loaded, given)
