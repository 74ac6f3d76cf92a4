"""`rnninspect show`: renders a saved report again, without arrays."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from rnninspect.cli import options, output
from rnninspect.cli.grouped import Grouped
from rnninspect.cli.overwrites import refuse_overwriting
from rnninspect.errors import UnreadableError, about
from rnninspect.formats.storage import read_bytes

if TYPE_CHECKING:
    from rnninspect.report.report import Reports


@click.command("show", cls=Grouped)
@click.argument("report", type=options.TEXT)
@options.output_options
@options.file_options
@options.fail_options
def command(report: str, **params: Any) -> int:
    """Render REPORT, a report that any command saved with --format json (or - for stdin), in any format.

    \b
    rnninspect compare dump.npz --format json -o report.json
    rnninspect show report.json
    """
    from rnninspect.report.load import load, load_all

    refuse_overwriting([report], params)
    with about("show", report):
        data = _json(report)
        if isinstance(data, dict) and data.get("kind") == "reports":
            return _several(load_all(data), params)
        loaded = load(data)
    output.show(loaded, params)
    return output.exit_code(loaded, params)


def _several(reports: Reports, params: dict[str, Any]) -> int:
    output.show_all(reports, params, err=False)
    codes = [output.exit_code(report, params) for report in reports]
    return 1 if 1 in codes else max(codes)


def _json(source: str) -> Any:
    """What the file or stdin holds; UnreadableError where it is no JSON."""
    if source == "-" and sys.stdin is None:
        raise UnreadableError("stdin is closed; name a file")
    try:
        read = sys.stdin.buffer.read() if source == "-" else read_bytes(source)
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror})") from None
    try:
        return json.loads(read)
    except (ValueError, RecursionError):
        what = (
            "NDJSON (one record per line) is not a whole report" if b'"kind":' in read[:4096] else "not a JSON report"
        )
        raise UnreadableError(f"{what}; save one with --format json -o FILE") from None
