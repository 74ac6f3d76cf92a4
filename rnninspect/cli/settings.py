"""Defaults of options that a project or a user states once: `[tool.rnninspect]` in pyproject.toml, and RNNINSPECT_….

The command line wins over the environment, the environment over the file, the file over the built-in default.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from rnninspect.core.full_lengths import FULL
from rnninspect.errors import UnknownNameError, UnreadableError, UserError

PREFIX = "RNNINSPECT"
FILE, TABLE = "pyproject.toml", "tool.rnninspect"
# What a file may state: how to judge and how to show, not what to read.
NAMES = (
    *("convention", "lengths", "rtol", "atol", "select", "ignore", "fail-on", "exit-zero", "excerpt"),
    *("format", "table", "precision", "color", "quiet", "jobs", "dtype", "device"),
)
OF_CHECK = ("fail_on", "exit_zero", "format_", "precision", "color", "quiet")  # a live model has no exact numbers
COMMANDS = ("run", "compare", "fix", "demo", "show", "record")
_SEVERAL = ("select", "ignore")


def of_file(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The nearest pyproject.toml in or above `folder` that has the table, and the table; None where there is none.

    Raises UnreadableError where it is no TOML, UnknownNameError on a setting that there is not, UserError on a value
    that is no option's.
    """
    for place in (folder, *folder.parents):
        file = place / FILE
        try:
            raw = file.read_bytes()
        except OSError:
            continue
        if f"[{TABLE}".encode() in raw:
            return file, dict(_checked(_table(file, raw), file))
    return None


def _table(file: Path, raw: bytes) -> dict[str, Any]:
    import tomllib

    try:
        settings = tomllib.loads(raw.decode())
    except ValueError as error:
        raise UnreadableError(f"{file}: not TOML ({error})") from None
    table: Any = settings
    for part in TABLE.split("."):
        table = table.get(part, {}) if isinstance(table, dict) else table
    if not isinstance(table, dict):
        raise UserError(f"{file}: {TABLE} is not a table; write [{TABLE}], and below it one setting per line")
    return table


def _checked(table: dict[str, Any], file: Path) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        option = name.replace("_", "-")
        if option not in NAMES:
            raise UnknownNameError(f"setting of [{TABLE}] in {file}", name, NAMES)
        values = value if option in _SEVERAL and isinstance(value, list) else [value]
        if not all(isinstance(v, (str, int, float)) for v in values):
            raise UserError(f"{file}: [{TABLE}] {name} is {value!r}; write it as on the command line")
        if option == "lengths" and value != FULL:
            raise UserError(f"{file}: [{TABLE}] lengths is {value!r}; a project may state only {FULL!r}")
        yield option, values if option in _SEVERAL else value


def parameter(option: str) -> str:
    """The name under which click keeps an option.

    >>> parameter("fail-on"), parameter("format")
    ('fail_on', 'format_')
    """
    return "format_" if option == "format" else option.replace("-", "_")


def default_map() -> dict[str, Any]:
    """The file's settings as click's defaults of every command that judges or shows a report."""
    file_settings = of_file(Path.cwd())
    if file_settings is None:
        return {}
    defaults = {parameter(option): value for option, value in file_settings[1].items()}
    return dict.fromkeys(COMMANDS, defaults) | {"check": {k: v for k, v in defaults.items() if k in OF_CHECK}}


def rows(root: click.Context) -> list[tuple[str, ...]]:
    """Every setting with its effective value and where that comes from."""
    assert isinstance(root.command, click.Group)
    file_settings = of_file(Path.cwd())
    contexts = []
    for name in ("compare", "run"):
        command = root.command.get_command(root, name)
        assert command is not None
        contexts.append(command.make_context(name, [], parent=root))
    shown: list[tuple[str, ...]] = [("setting", "value", "from", "variable")]
    for option in NAMES:
        name = parameter(option)
        ctx = next(c for c in contexts if name in c.params)
        variable = f"{PREFIX}_{option.replace('-', '_').upper()}"
        places = {
            ParameterSource.ENVIRONMENT: variable,
            ParameterSource.DEFAULT_MAP: f"{file_settings[0]} [{TABLE}]" if file_settings else "",
        }
        source = ctx.get_parameter_source(name)
        value = FULL if option == "lengths" and ctx.params["full_lengths"] else ctx.params[name]
        shown.append((option, _word(value), places.get(source, "default") if source else "", variable))
    return shown


def _word(value: Any) -> str:
    """A value as it is written on the command line; `-` for nothing.

    >>> _word(None), _word(("a", "b")), _word(True), _word(0.5)
    ('-', 'a,b', 'true', '0.5')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value == ():
        return "-"
    return ",".join(value) if isinstance(value, (tuple, list)) else f"{value}"
