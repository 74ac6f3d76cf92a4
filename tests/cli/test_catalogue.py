"""`rnninspect list`: it names all there is, in every format, and says what is so."""

from __future__ import annotations

import json

import pytest

from rnninspect import conventions
from rnninspect.cli import call, catalogue
from rnninspect.conventions.weights.gates import ATTRIBUTES
from rnninspect.diagnosis import rules
from rnninspect.engine.cells import cells

STATED = {
    "activation": "relu",
    "recurrent_activation": "hard_sigmoid",
    "linear_before_reset": 1,
    "reset_after": False,
    "input_forget": 1,
    "activations": {"lstm": "Relu,Relu,Relu", "gru": "Relu,Relu", "mgu": "Relu,Relu", "rnn": "Relu"},
}
OF_ARRAYS = {"num_proj", "use_peepholes", "state_is_tuple", "activation_alpha", "activation_beta"}


@pytest.mark.parametrize("what", list(catalogue.LISTS))
def test_every_list_in_every_format(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Table, JSON and Markdown hold every row's name; JSON is an object a row, Markdown a cell a column."""
    head, *rows = catalogue.LISTS[what]()
    assert rows
    assert all(len(row) == len(head) for row in rows)
    for name in ("table", "json", "markdown"):
        assert call(["list", what, "--format", name]) == 0
        shown = capsys.readouterr().out
        assert all(row[0] in shown for row in rows)
        if name == "json":
            assert [tuple(row.values()) for row in json.loads(shown)] == rows
        if name == "markdown":
            assert len(shown.splitlines()) == len(rows) + 2
            assert {line.replace("\\|", "").count("|") for line in shown.splitlines()} == {len(head) + 1}


def test_lists_name_all_there_is() -> None:
    """Every rule, convention and cell is listed, and every fact of a convention says something."""
    assert {row[0] for row in catalogue.rules()[1:]} == set(rules.rules())
    assert {row[0] for row in catalogue.conventions()[1:]} == set(conventions.conventions())
    assert {row[0] for row in catalogue.cells()[1:]} == set(cells())
    options = catalogue.conventions()[0].index("options")
    assert all(cell for row in catalogue.conventions()[1:] for i, cell in enumerate(row) if i != options)


@pytest.mark.parametrize("cell", list(cells()))
def test_a_cell_is_varied_by_what_changes_it(cell: str) -> None:
    """Each attribute listed for a cell changes some framework's cell, and none that is not listed does."""
    changing = set(OF_ARRAYS) & set(cells()[cell].varied_by)
    for name in set(ATTRIBUTES) - OF_ARRAYS:
        value = STATED.get(name, 0.25)
        attribute = {name: value[cell] if isinstance(value, dict) else value}
        specs = [(c.spec(cell, {}), c.spec(cell, attribute)) for c in conventions.conventions().values()]  # type: ignore[arg-type]
        changing |= {name} if any(usual != changed for usual, changed in specs) else set()
    assert changing == set(cells()[cell].varied_by)
