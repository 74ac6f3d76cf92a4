"""Tuples that `np.savez` stacked to one array: (h, c), (forward, backward), and a pair a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = np.array([9, 3, 6, 1, 7, 8])
UNITS = 7
ORDER = [2, 0, 1, 4, 5, 3]
LAYERS: list[dict[str, Any]] = [
    {},
    {"bidirectional": True},
    {"num_layers": 2},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 3},
]


def _run(cell: str, seed: int = 8, **options: Any) -> tuple[Any, Any, Any]:
    """Outputs `[B, T, D*H]` of a right packed run, h `[L*D, B, H]`, and c or None."""
    torch.manual_seed(seed)
    layer = getattr(torch.nn, cell)(5, UNITS, batch_first=True, **options)
    with torch.no_grad():
        packed, state = layer(
            torch.nn.utils.rnn.pack_padded_sequence(
                torch.randn(len(LENGTHS), 9, 5), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
            )
        )
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    h, c = state if isinstance(state, tuple) else (state, None)
    return outputs.numpy(), h.numpy(), None if c is None else c.numpy()


def _rules(*arrays: Any, **options: Any) -> list[str]:
    return [finding.rule for finding in rnninspect.inspect(*arrays, lengths=LENGTHS, **options).findings]


@pytest.mark.parametrize("told", [{}, {"convention": "torch"}, {"cell": "lstm"}], ids=str)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_saved_pair_of_h_and_c_is_read_and_left_as_it_is(
    layer: dict[str, Any], told: dict[str, Any], tmp_path: Path
) -> None:
    """`np.savez(hidden=(h_n, c_n))` of a right run is clean and says how it was read; its fix changes nothing."""
    outputs, h, c = _run("LSTM", **layer)
    path = tmp_path / "dump.npz"
    np.savez(path, output=outputs, hidden=(h, c), lengths=LENGTHS)
    report = rnninspect.compare(str(path), **told)
    assert (report.verdict, report.findings) == ("clean", [])
    assert any("(h, c), stacked" in note for note in report.notes)
    fixed = rnninspect.fix(str(path), **told)
    assert fixed.changes == ()
    assert np.array_equal(fixed.arrays["hidden"], np.stack([h, c]))


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_wrong_h_of_a_stacked_pair_keeps_its_cause(layer: dict[str, Any]) -> None:
    """Rows in another order, of h alone or of both, and a last column are named, and nothing is said of layers."""
    outputs, h, c = _run("LSTM", **layer)
    assert _rules(outputs, np.stack([h[:, ORDER], c])) == ["rows-permuted"]
    assert _rules(outputs, np.stack([h[:, ORDER], c[:, ORDER]])) == ["rows-permuted"]
    last = h.copy()
    halves = np.split(outputs[:, -1], 2 if "bidirectional" in layer else 1, -1)
    last[-len(halves) :] = halves
    assert "last-column-as-final-state" in _rules(outputs, np.stack([last, c]))
    assert "layer-order-reversed" not in _rules(outputs, np.stack([last, c]))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", ["GRU", "RNN", "LSTM"])
def test_layers_stacked_alike_are_layers(cell: str, both: bool) -> None:
    """`h_n.view(2, D, B, H)` is two layers: right as it is, and named where the upper comes first."""
    outputs, h, _ = _run(cell, num_layers=2, bidirectional=both)
    layers = h.reshape(2, 1 + both, *h.shape[1:])
    assert _rules(outputs, layers) == []
    assert _rules(outputs, layers[::-1].copy()) == ["layer-order-reversed"]
    assert _rules(outputs, layers[:, :, ORDER]) == ["rows-permuted"]


@pytest.mark.parametrize("whose", ["keras", "tf1", "auto"])
def test_a_pair_without_a_layers_axis_is_read_by_its_numbers(whose: str) -> None:
    """`[2, B, H]` is h and c whichever comes first, where h ends each row and c has its sign and is no smaller."""
    outputs, h, c = _run("LSTM")
    report = rnninspect.inspect(outputs, np.stack([h[0], c[0]]), lengths=LENGTHS, convention=whose)
    assert (report.verdict, [t.layer for t in report.tracks]) == ("clean", [0])
    assert _rules(outputs, np.stack([h[0][ORDER], c[0]]), convention=whose) == ["rows-permuted"]


def test_a_pair_a_layer_is_read_in_the_frameworks_order() -> None:
    """TensorFlow's ((c, h), (c, h)) as `[L, 2, B, H]` is two layers, wrong where the top one's h is."""
    outputs, h, c = _run("LSTM", num_layers=2)
    pairs = np.stack([np.stack([c[k], h[k]]) for k in (0, 1)])
    report = rnninspect.inspect(outputs, pairs, lengths=LENGTHS, convention="tf1")
    assert (report.verdict, [t.layer for t in report.tracks]) == ("clean", [0, 1])
    pairs[1, 1] = pairs[1, 1][ORDER]
    assert _rules(outputs, pairs, convention="tf1") == ["rows-permuted"]


ORDERS: list[tuple[str, bool]] = [("keras", False), ("torch", False), ("mxnet", False), ("tf1", True), ("flax", True)]


@pytest.mark.parametrize(("whose", "cell_first"), ORDERS)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_order_of_a_stack_is_the_frameworks(whose: str, cell_first: bool, layers: int) -> None:
    """A pair a layer, or both whole, stacked in the stated framework's order is clean; in the other one it is named,
    and fix puts it right. A framework that returns c first has no whole stacks: their order is told by the numbers."""
    outputs, h, c = _run("LSTM", num_layers=layers)
    told = {"convention": whose, "time_major": False}
    usual, other = ((c, h), (h, c)) if cell_first else ((h, c), (c, h))
    pairs, exchanged = (np.stack([np.stack([a[k], b[k]]) for k in range(layers)]) for a, b in (usual, other))
    assert _rules(outputs, pairs, **told) == []
    assert _rules(outputs, exchanged, **told) == ["cell-hidden-swapped"]
    fixed = rnninspect.fix({"outputs": outputs, "states": exchanged, "lengths": LENGTHS}, **told)
    assert np.array_equal(fixed.arrays["states"], pairs)
    assert _rules(outputs, np.stack(usual), **told) == []
    assert _rules(outputs, np.stack(other), **told) == ["cell-hidden-swapped"] * (not cell_first)
    if layers == 1 and not cell_first:
        assert _rules(outputs, np.stack([h[0], c[0]]), **told) == []
        assert _rules(outputs, np.stack([c[0], h[0]]), **told) == ["cell-hidden-swapped"]


@pytest.mark.parametrize("form", ["[[c, h], [c, h]]", "(c, h)", "[[c, c], [h, h]]", "stacked"])
def test_c_first_of_no_known_framework_is_said(form: str) -> None:
    """Where nothing says whose states these are, the numbers tell which is h; that c comes first is in the report."""
    outputs, h, c = _run("LSTM", num_layers=2)
    forms: dict[str, Any] = {
        "[[c, h], [c, h]]": [[c[0], h[0]], [c[1], h[1]]],
        "(c, h)": (c, h),
        "[[c, c], [h, h]]": ([*c], [*h]),
        "stacked": np.stack([c, h]),
    }
    report = rnninspect.inspect(outputs, forms[form], lengths=LENGTHS)
    assert report.verdict == "clean"
    assert any("(c, h)" in note for note in report.notes)


@pytest.mark.parametrize("told", [{}, {"convention": "keras"}, {"cell": "lstm"}], ids=str)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_h_in_both_places_is_a_lost_c(layers: int, told: dict[str, Any]) -> None:
    """`np.stack([h_n, h_n])`, a pair (h, h) a layer and lists of these overwrite c; no layers share a state there.

    `[2, B, H]` of one state may be two layers of a GRU's decoder, and is, unless an LSTM or one layer is stated."""
    outputs, h, _ = _run("LSTM", num_layers=layers)
    forms: list[Any] = [np.stack([h, h]), np.stack([h, h], 1), [[one, one] for one in h]]
    forms += [[plane for one in h for plane in (one, one)]] if layers > 1 else []
    forms += [([*h], [*h])] if layers > 1 else []
    for both in forms:
        assert _rules(outputs, both, **told) == ["cell-overwritten-by-hidden"]
    if layers == 1:
        of_lstm = ["cell-overwritten-by-hidden"]
        assert _rules(outputs, np.stack([h[0]] * 2), **told) == (of_lstm if "cell" in told else ["layers-share-state"])
        assert _rules(outputs, np.stack([h[0]] * 2), layers=1, **told) == of_lstm


def test_lists_of_one_layer_are_h_beside_c() -> None:
    """`([h], [c])` of one layer is no two layers: right in the framework's order, named in the other."""
    outputs, h, c = _run("LSTM")
    assert _rules(outputs, ([h[0]], [c[0]]), convention="keras") == []
    assert _rules(outputs, ([c[0]], [h[0]]), convention="keras") == ["cell-hidden-swapped"]
    assert _rules(outputs, ([c[0]], [h[0]])) == []


def test_stacked_directions_are_outputs() -> None:
    """Outputs `[2, B, T, H]`, `[T, 2, B, H]` and `[B, T, 2, H]` are both directions, and a wrong half is named."""
    outputs, h, _ = _run("GRU", bidirectional=True)
    forward, backward = np.split(outputs, 2, -1)
    stacked = {
        "pair": np.stack([forward, backward]),
        "T D B H": np.stack([forward.swapaxes(0, 1), backward.swapaxes(0, 1)], 1),
        "B T D H": np.stack([forward, backward], 2),
    }
    exchanged = h[::-1].copy()
    for name, array in stacked.items():
        for wrap in (np.asarray, torch.tensor):
            assert _rules(wrap(array), wrap(h)) == [], name
            assert _rules(wrap(array), wrap(exchanged)) == ["directions-exchanged"], name


@pytest.mark.parametrize("rest", [("x", "h0"), ("x",), ("h0",), ()], ids=str)
def test_one_step_of_four_axes_is_read_by_what_lies_beside_it(rest: tuple[str, ...]) -> None:
    """`[B, 1, 1, H]` of one step is `[B, T, D, H]` where inputs or states have as many rows, and no `[T, D, B, H]` of
    which batch-first is untrue; where the layer did take those rows for steps, that is named."""
    torch.manual_seed(3)
    layer, x, begun = torch.nn.LSTM(5, 3), torch.randn(8, 1, 5), torch.randn(2, 1, 8, 3)
    with torch.no_grad():
        right, wrong = layer(x.swapaxes(0, 1), (begun[0], begun[1])), layer(x)
    for (outputs, (h, c)), rules in ((right, []), (wrong, ["batch-time-swapped"])):
        told = {"x": x.numpy(), "h0": begun[0].numpy().swapaxes(0, 1)}
        arrays = {"out": outputs.numpy().reshape(8, 1, 1, 3), **{name: told[name] for name in rest}}
        arrays |= {"hidden": h.numpy().swapaxes(0, 1), "cell": c.numpy().swapaxes(0, 1)}
        if not rules or "h0" not in rest:  # a wrong run began in no state of eight rows
            assert [f.rule for f in rnninspect.inspect(arrays, batch_first=True, layers=1).findings] == rules


@pytest.mark.parametrize("four", [False, True])
def test_rows_of_one_step_are_no_layers_that_the_weights_lack(four: bool) -> None:
    """States `[B, 1, H]` beside the weights of one layer are one a row, where axes and layers are not stated; those
    of another row are not clean."""
    torch.manual_seed(3)
    layer, x = torch.nn.GRU(5, 3), torch.randn(8, 1, 5)
    with torch.no_grad():
        outputs, h = (array.numpy().swapaxes(0, 1) for array in layer(x.swapaxes(0, 1)))
    out = outputs[:, :, None] if four else outputs
    for state, is_right in ((h, True), (np.roll(h, 1, 0), False)):
        report = rnninspect.inspect({"out": out, "hidden": state, "x": x.numpy()}, weights=layer)
        assert (report.verdict == "clean") is is_right


def test_an_initial_state_saved_like_the_final_one_is_taken_apart_alike() -> None:
    """`np.savez(hidden=(h_n, c_n), h0=(h_0, c_0))`: a run from there ends in the state, and not from (c_0, h_0)."""
    torch.manual_seed(3)
    layer, inputs = torch.nn.LSTM(5, UNITS, batch_first=True), torch.randn(6, 9, 5)
    begun = torch.randn(2, 1, 6, UNITS)
    with torch.no_grad():
        outputs, ended = layer(inputs, (begun[0], begun[1]))
    arrays = {"output": outputs.numpy(), "hidden": np.stack(ended)[:, 0], "h0": begun.numpy()[:, 0]}
    options: dict[str, Any] = {"lengths": "full", "inputs": inputs, "weights": layer, "convention": "torch"}
    report = rnninspect.inspect(arrays, **options)
    assert (report.verdict, report.findings) == ("clean", [])
    arrays["h0"] = arrays["h0"][::-1].copy()
    assert rnninspect.inspect(arrays, **options).findings
