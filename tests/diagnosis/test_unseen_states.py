"""States that no output tells are held against a run of the weights; torch's own numbers are the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = [6, 2, 4, 3]
OTHER_ROWS = [1, 0, 3, 2]


def ran(kind: str, layers: int, packed: bool = True) -> tuple[dict[str, Any], np.ndarray, np.ndarray | None]:
    """The keywords of an inspection of a run in torch, and its h and c."""
    torch.manual_seed(0)
    layer = getattr(torch.nn, kind)(3, 5, layers, batch_first=True)
    inputs = torch.randn(4, 6, 3)
    rows = torch.nn.utils.rnn.pack_padded_sequence(inputs, torch.tensor(LENGTHS), True, enforce_sorted=False)
    with torch.no_grad():
        outputs, state = layer(rows if packed else inputs)
    if packed:
        outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    h, c = state if isinstance(state, tuple) else (state, None)
    options = {"outputs": outputs, "lengths": LENGTHS, "inputs": inputs, "weights": layer.state_dict()}
    return options, h.numpy(), None if c is None else c.numpy()


def verdict(options: dict[str, Any], h: np.ndarray, c: np.ndarray | None) -> tuple[str, list[str]]:
    state = h if c is None else (h, c)
    report = rnninspect.inspect(final_state=state, convention="torch", rtol=1e-4, atol=1e-5, **options)
    return report.verdict, [finding.rule for finding in report.findings if finding.severity != "note"]


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [(lambda c: c[:, OTHER_ROWS], "rows-permuted"), (lambda c: c * 0, "unexplained-state")],
    ids=["other rows", "zeros"],
)
def test_a_cell_state_that_the_run_does_not_end_in(wrong: Any, rule: str) -> None:
    """c of other rows or all zeros is an error though h and the outputs are right; the right c is clean."""
    options, h, c = ran("LSTM", 1)
    assert c is not None
    assert verdict(options, h, c) == ("clean", [])
    assert verdict(options, h, wrong(c)) == ("findings", [rule])


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_lower_layers_state_that_the_run_does_not_end_in(kind: str) -> None:
    """The bottom layer's h, which no output holds, is judged where inputs and weights are given."""
    options, h, c = ran(kind, 2)
    assert verdict(options, h, c) == ("clean", [])
    assert verdict(options, np.stack([h[0, OTHER_ROWS], h[1]]), c) == ("findings", ["rows-permuted"])


@pytest.mark.parametrize(
    ("kind", "bidirectional", "order", "rule"),
    [
        ("LSTM", False, [1, 0], "layer-order-reversed"),
        ("LSTM", True, [2, 3, 0, 1], "layer-order-reversed"),
        ("LSTM", True, [1, 0, 3, 2], "directions-exchanged"),
        ("GRU", True, [1, 0, 2, 3], "directions-exchanged"),
        ("LSTM", True, [1, 2, 3, 0], "unexplained-state"),
    ],
)
def test_states_in_the_place_of_others_that_the_run_ends_in(
    kind: str, bidirectional: bool, order: list[int], rule: str
) -> None:
    """c of the layers in reverse, or the halves of lower layers exchanged: the code, run, leaves a clean dump."""
    torch.manual_seed(0)
    layer, inputs = (
        getattr(torch.nn, kind)(3, 5, 2, batch_first=True, bidirectional=bidirectional),
        torch.randn(4, 6, 3),
    )
    outputs, state = layer.requires_grad_(False)(inputs)
    h, c = (s.numpy() for s in state) if kind == "LSTM" else (state.numpy()[order], None)
    told: dict[str, Any] = {"lengths": "full", "inputs": inputs, "weights": layer}
    wrong = h if c is None else (h, c[order])
    findings = [f for f in rnninspect.inspect(outputs, wrong, **told).findings if f.severity != "note"]
    assert {f.rule for f in findings} == {rule}
    if rule != "unexplained-state":
        names: dict[str, Any] = {"h_n": h, "c_n": None if c is None else c[order]}
        exec(findings[0].fix, names)
        right = names["h_n"] if c is None else (h, names["c_n"])
        assert rnninspect.inspect(outputs, right, **told).verdict == "clean"


def test_rounded_states_are_none() -> None:
    """A c printed to two decimals is no other c."""
    options, h, c = ran("LSTM", 1)
    assert c is not None
    assert verdict(options, h, np.round(c, 2)) == ("clean", [])


def gathered(options: dict[str, Any]) -> np.ndarray:
    return np.asarray(options["outputs"].numpy()[np.arange(4), np.array(LENGTHS) - 1][None])


def right_states(kind: str, layers: int) -> tuple[np.ndarray, np.ndarray | None]:
    _, h, c = ran(kind, layers)
    return h, c


def test_a_cell_state_left_behind_the_padding_where_h_was_gathered() -> None:
    """Of an unpacked run, the c of the last column beside an h of the last real step is `lengths-ignored`, whatever the
    padded outputs are made to hold; the c of a packed run is clean."""
    options, _, c = ran("LSTM", 1, packed=False)
    h = gathered(options)
    assert verdict(options, h, c) == ("findings", ["lengths-ignored"])
    assert verdict(options, h, right_states("LSTM", 1)[1])[0] == "clean"
    real = (np.arange(6) < np.array(LENGTHS)[:, None])[..., None]
    zeroed = options | {"outputs": options["outputs"] * torch.tensor(real)}
    assert verdict(zeroed, h, c) == ("findings", ["lengths-ignored"])
    assert verdict(zeroed, h, right_states("LSTM", 1)[1]) == ("clean", [])


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_lower_layers_state_left_behind_the_padding(kind: str) -> None:
    """The bottom layer's h of the last column beside a top one that was gathered is `lengths-ignored`; its own is not,
    and the rows told are those that are shorter."""
    options, h, _ = ran(kind, 2, packed=False)
    right_h, right_c = right_states(kind, 2)
    top = gathered(options)[0]
    assert verdict(options, np.stack([h[0], top]), right_c) == ("findings", ["lengths-ignored"])
    assert verdict(options, np.stack([right_h[0], top]), right_c)[0] == "clean"
    state = np.stack([h[0], top]) if right_c is None else (np.stack([h[0], top]), right_c)
    report = rnninspect.inspect(final_state=state, convention="torch", **options)
    worst = report.findings[0]
    assert (worst.rule, worst.rows, worst.layer, worst.steps) == ("lengths-ignored", [1, 2, 3], 0, [5])


def test_fix_refuses_a_cell_state_that_no_output_holds() -> None:
    """No array tells the right c: `fix` says to run again, and never that the dump is right."""
    options, _, c = ran("LSTM", 1, packed=False)
    with pytest.raises(rnninspect.errors.UserError, match="run again"):
        rnninspect.fix(final_state=(gathered(options), c), convention="torch", dump=options.pop("outputs"), **options)


def test_a_wrong_cell_state_beside_padding_that_is_an_error() -> None:
    """Padding that torch does not leave says nothing of c: one of other rows is told beside it."""
    options, h, c = ran("LSTM", 1)
    assert c is not None
    outputs = options["outputs"].numpy()
    last = np.minimum(np.arange(6), np.array(LENGTHS)[:, None] - 1)
    repeated = options | {"outputs": outputs[np.arange(4)[:, None], last]}
    assert verdict(repeated, h, c) == ("findings", ["padding-repeats-last-output"])
    assert set(verdict(repeated, h, c[:, OTHER_ROWS])[1]) == {"padding-repeats-last-output", "rows-permuted"}


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_second_dump_of_the_same_outputs_tells_the_states_that_no_output_tells(kind: str, layers: int) -> None:
    """Against a dump with the same outputs, c and lower layers' h of other rows or other values are errors; the same,
    in another precision or with printed decimals, are none.
    """
    options, h, c = ran(kind, layers)
    arrays = {key: options[key] for key in ("outputs", "lengths")}
    against = {"outputs": arrays["outputs"].numpy(), "lengths": np.array(LENGTHS), "h_n": h}
    against |= {} if c is None else {"c_n": c}

    def rules(first: np.ndarray, second: np.ndarray | None) -> list[str]:
        state = first if second is None else (first, second)
        report = rnninspect.inspect(final_state=state, convention="torch", layers=layers, against=against, **arrays)
        return [finding.rule for finding in report.findings if finding.severity != "note"]

    assert rules(h, c) == []
    if layers == 2:
        assert rules(np.stack([h[0, OTHER_ROWS], h[1]]), c) == ["rows-permuted"]
        assert rules(np.stack([h[0] * 0.5, h[1]]), c) == ["unexplained-difference"]
    if c is not None:
        assert set(rules(h, c[:, OTHER_ROWS])) == {"rows-permuted"}
        assert set(rules(h, c * 2)) == {"unexplained-difference"}
        assert rules(h, c.round(2)) == rules(h, c.astype(np.float16)) == []


@pytest.mark.parametrize("moved", [[0], [1], [0, 1]])
def test_the_fix_of_states_of_other_rows_is_for_the_axis_and_the_layers_that_are_off(moved: list[int]) -> None:
    """The code that is shown, run on c_n `[L, B, H]`, gives the right one back, whichever layers were put wrong."""
    options, h, c = ran("LSTM", 2)
    assert c is not None
    wrong = c.copy()
    wrong[moved] = wrong[moved][:, OTHER_ROWS]
    report = rnninspect.inspect(final_state=(h, wrong), convention="torch", rtol=1e-4, atol=1e-5, **options)
    names = {"np": np, "torch": torch, "c_n": torch.from_numpy(wrong.copy())}
    exec(report.findings[0].fix, names)
    assert np.array_equal(names["c_n"], c)
