"""The library names arguments in Python's words, the command line in its own; no message of the library says `--`."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from rnninspect.cli import call
from rnninspect.cli.command_words import command_line
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.wording import argument, worded, worded_as
from rnninspect.diagnosis.build_case import read_case
from rnninspect.errors import ShapeError, UserError, about_argument
from tests.support.places import PACKAGE

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def options_named(source: str) -> list[str]:
    """Every `--option` in the strings of a module, but for its docstrings."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    strings = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return [word for n in strings if id(n) not in docstrings for word in OPTION.findall(str(n.value))]


def test_the_library_names_no_option_of_the_command_line() -> None:
    """Proves that outside cli/ no string holds an option's name: a Python caller is never told of one."""
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if "cli" not in path.relative_to(PACKAGE).parts]
    assert len(files) > 150
    named = {str(path.relative_to(PACKAGE)): options_named(path.read_text("utf-8")) for path in files}
    assert {name: options for name, options in named.items() if options} == {}


def test_an_option_in_a_string_is_found() -> None:
    """Proves that the reader above sees options in strings and f-strings, and no docstrings."""
    source = '"""Says --this."""\nx = f"name it with --state {y}"\nz = "state --time-major", "a -- b", "well--known"\n'
    assert options_named(source) == ["--state", "--time-major"]


def test_one_error_is_worded_by_who_shows_it() -> None:
    """Proves that an error says `state=` to a Python caller and `--state` on the command line, after a pickle too."""
    arrays = {"outputs": np.zeros((2, 3, 4))}
    with pytest.raises(ShapeError) as raised:
        read_case(arrays, LayerConfig(), "torch")
    assert "(name it with state=)" in str(raised.value)
    with worded_as(command_line):
        assert "(name it with --state)" in str(raised.value)
        assert "(name it with --state)" in str(pickle.loads(pickle.dumps(raised.value)))
    assert "(name it with state=)" in str(raised.value)


def test_an_error_that_goes_on_with_another_keeps_its_words_open() -> None:
    """Proves that it words neither the file's argument nor the error within before somebody shows them."""
    with pytest.raises(UserError) as raised, about_argument("against", "b.npz"):
        raise ShapeError(f"found no h; name it with {argument('state')}")
    assert str(raised.value) == "against='b.npz': found no h; name it with state="
    with worded_as(command_line):
        assert str(raised.value) == "--against b.npz: found no h; name it with --state"


@pytest.mark.parametrize(
    ("name", "value", "python", "command"),
    [
        ("state", None, "state=", "--state"),
        ("time_major", True, "time_major=True", "--time-major"),
        ("reset_after", False, "reset_after=False", "--no-reset-after"),
        ("layers", 2, "layers=2", "--layers 2"),
        ("cell", "gru", "cell='gru'", "--cell gru"),
        ("atol", "1.5e-05", "atol=1.5e-05", "--atol 1.5e-05"),
        ("activations", ["Relu", "Tanh"], "activations=['Relu', 'Tanh']", "--activations Relu,Tanh"),
        ("excerpt", "all", "excerpt=None", "--excerpt all"),
        ("output", None, "output=", "-o"),
    ],
)
def test_arguments_in_both_wordings(name: str, value: object, python: str, command: str) -> None:
    """Proves how values of every kind are written in each wording."""
    assert worded(argument(name, value)) == python
    with worded_as(command_line):
        assert worded(argument(name, value)) == command


def test_the_command_line_names_its_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Proves that a command's error names the option, and that the wording ends with the command."""
    path = tmp_path / "dump.npz"
    np.savez(path, outputs=np.zeros((2, 3, 4)))
    assert call(["compare", str(path), "--convention", "torch"]) == 2
    assert "(name it with --state)" in capsys.readouterr().err
    assert worded(argument("state")) == "state="


def test_what_only_looks_like_a_placeholder_stays() -> None:
    """A hostile name with the brackets of a placeholder is shown as it is, and breaks nothing."""
    begin, end = argument("state")[0], argument("state")[-1]
    for inner in ("", "[1]", "a b", "=3", ":x", "state=", "state=[", begin):
        text = f"{begin}{inner}{end}.npz"
        assert worded(text) == text
