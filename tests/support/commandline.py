"""The command line, called in this process: a process of its own would import torch anew each time."""

from __future__ import annotations

import io
import json
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rnninspect.cli import call
from rnninspect.report.schema import schema


@dataclass(frozen=True)
class Done:
    """What a command left behind: its exit code and what it wrote."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def json(self) -> Any:
        """The report, which must keep to the schema."""
        return valid(self.out)


@cache
def _validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


def valid(text: str) -> Any:
    """The report of a JSON text, strict JSON and as `rnninspect schema` says; what is wrong is an AssertionError."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    report = json.loads(text, parse_constant=refuse)
    wrong = [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(report)]
    assert not wrong, wrong
    return report


def rnninspect(*arguments: str | Path, stdin: bytes | None = None) -> Done:
    """Runs the command; without `stdin` nothing is piped in."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, open(os.devnull) as nothing:
        patch.setattr(sys, "stdin", nothing if stdin is None else io.TextIOWrapper(io.BytesIO(stdin)))
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        code = call([str(argument) for argument in arguments])
        out.flush()
    return Done(code, out.buffer.getvalue(), err.getvalue())  # type: ignore[attr-defined]
