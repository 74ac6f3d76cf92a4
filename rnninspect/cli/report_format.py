"""The format of a report: what `--format` states, else what the suffix of `-o` names."""

from __future__ import annotations

import os

import click
from click.core import ParameterSource

from rnninspect.errors import UnknownNameError, UserError

# Suffixes that are not a format's name.
_SUFFIXES = {"md": "markdown", "jsonl": "ndjson", "htm": "html", "xml": "junit", "txt": "table"}

_PLAIN = ("log", "out", "err", "ans")  # what may hold a table

# The command that writes arrays where a user may have asked for them with `-o`.
_WRITES_ARRAYS = {
    "run": "`rnninspect run --save {}` writes the arrays of the run",
    "compare": "`rnninspect fix DUMP -o {}` writes a corrected dump",
}


def chosen_format(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The format that was stated; else the one that the suffix of `-o` names; else the default.

    Raises UnknownNameError where there is no such format, and UserError where the suffix is that of a file of arrays,
    both before anything is read.
    """
    from rnninspect.report.renderers import is_format, renderers

    typed = ctx.get_parameter_source("format_") is ParameterSource.COMMANDLINE
    target = ctx.params.get("output")
    suffix = os.path.splitext(target)[1].lstrip(".").lower() if target and not typed else ""
    name = _SUFFIXES.get(suffix, suffix)
    if name and is_format(name):
        return name
    if not is_format(value):
        raise UnknownNameError("format", value, [format_ for format_, _ in renderers()])
    if target and name and suffix not in _PLAIN:
        _refuse_arrays(target, suffix, ctx.info_name)
        from rnninspect.cli.output import note

        note(f"{target}: no report format is called {suffix}; the report is written as {value} (--format chooses)")
    return value


def _refuse_arrays(target: str, suffix: str, command: str | None) -> None:
    """Raise UserError where `suffix` is that of a file of arrays: a report in it could be read by nothing."""
    from rnninspect.formats import formats

    if not any(f".{suffix}" in f.suffixes for f in formats() if not f.last):
        return
    report = os.path.splitext(target)[0] + ".json"
    arrays = _WRITES_ARRAYS.get(command or "")
    raise UserError(
        f"-o {target}: -o writes the report, and a .{suffix} file holds arrays; give --format json -o {report}"
        + (f" ({arrays.format(target)})" if arrays else "")
    )
