"""`[last, max, mean]` as concat pooling gives it, `[B, 3H]`: the parts of one state, and no states of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = np.array([8, 3, 6, 2])
ROWS = np.arange(4)


def _ran(kind: str, layers: int = 1) -> tuple[Any, Any]:
    """Outputs `[B, T, H]` of a right packed run, and every layer's state h `[L, B, H]`."""
    torch.manual_seed(2)
    layer = getattr(torch.nn, kind)(5, 7, layers, batch_first=True)
    pack = torch.nn.utils.rnn.pack_padded_sequence
    with torch.no_grad():
        packed, state = layer(
            pack(torch.randn(4, 8, 5), torch.from_numpy(LENGTHS), batch_first=True, enforce_sorted=False)
        )
    outputs = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy()
    return outputs, (state[0] if kind == "LSTM" else state).numpy()


def _parts(outputs: Any) -> dict[str, Any]:
    """The last real step, and pools of the real steps, `[B, H]` each; `column`, `padded`: with padding in them."""
    mask = (np.arange(8) < LENGTHS[:, None])[..., None]
    return {
        "last": outputs[ROWS, LENGTHS - 1],
        "max": np.where(mask, outputs, -np.inf).max(1).astype(np.float32),
        "mean": (np.where(mask, outputs, 0).sum(1) / LENGTHS[:, None]).astype(np.float32),
        "column": outputs[:, -1],
        "padded": outputs.max(1),
        "summed": (outputs.sum(1) / LENGTHS[:, None]).astype(np.float32),
    }


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("order", ["last max mean", "last max", "max last", "last mean max", "mean last"])
def test_joined_parts_are_accused_of_nothing(kind: str, order: str) -> None:
    """Nothing is wrong with them, whichever comes first, and fix leaves them as they are."""
    outputs, _ = _ran(kind)
    parts = _parts(outputs)
    dump = {"outputs": outputs, "state": np.concatenate([parts[p] for p in order.split()], 1), "lengths": LENGTHS}
    report = rnninspect.inspect(dump)
    assert not [f.rule for f in report.findings if f.severity != "note"]
    assert np.array_equal(rnninspect.fix(dump, direction="forward").arrays["state"], dump["state"])


@pytest.mark.parametrize(
    ("order", "rule"),
    [
        ("column max mean", "last-column-as-final-state"),
        ("column max", "last-column-as-final-state"),
        ("last padded", "pooled-state"),
        ("last padded mean", "pooled-state"),
    ],
)
def test_a_joined_part_that_is_wrong_is_named(order: str, rule: str) -> None:
    """The last column beside right pools, and a pool with padding in it, beside a right last step."""
    outputs, _ = _ran("GRU")
    parts = _parts(outputs)
    dump = {"outputs": outputs, "state": np.concatenate([parts[p] for p in order.split()], 1), "lengths": LENGTHS}
    report = rnninspect.inspect(dump)
    assert [f.rule for f in report.findings if f.severity != "note"] == [rule]
    if rule == "last-column-as-final-state":
        mended = rnninspect.fix(dump, direction="forward").arrays["state"]
        assert np.array_equal(mended, np.concatenate([parts["last"], dump["state"][:, 7:]], 1))


@pytest.mark.parametrize("layers", [2, 3])
def test_states_of_layers_side_by_side_are_no_pools(layers: int) -> None:
    """`[B, L*H]` of right layers is clean, and in reverse order named; of two, which may be directions, left open."""
    outputs, h = _ran("GRU", layers)
    right = rnninspect.inspect({"outputs": outputs, "state": np.concatenate([*h], 1), "lengths": LENGTHS})
    assert (right.verdict, right.shape["layers"]) == ("clean", layers)
    wrong = rnninspect.inspect({"outputs": outputs, "state": np.concatenate([*h[::-1]], 1), "lengths": LENGTHS})
    assert [f.rule for f in wrong.findings] == (["layer-order-reversed"] if layers > 2 else [])
    assert layers > 2 or "layer-order-reversed" in wrong.untested


@pytest.mark.parametrize("layers", [None, 3])
def test_parts_are_layers_where_that_is_stated(layers: int | None) -> None:
    """The last step and two pools where nothing says how many layers there are; of three layers the top's is wrong."""
    outputs = np.random.default_rng(0).uniform(-1, 1, (4, 8, 3)).astype(np.float32)
    outputs[np.arange(8) >= LENGTHS[:, None]] = 0
    parts = _parts(outputs)
    dump = {"outputs": outputs, "state": np.concatenate([parts["last"], parts["max"], parts["mean"]], 1)}
    report = rnninspect.inspect(dump, lengths=LENGTHS, layers=layers, direction="forward")
    assert (report.shape["layers"], bool(report.findings)) == ((1, False) if layers is None else (3, True))


@pytest.mark.parametrize("order", ["summed max", "max summed", "last summed"])
def test_a_part_that_sums_computed_padding_is_named_beside_right_ones(order: str) -> None:
    """`outputs.sum(1) / lengths` of outputs whose padding is not zero, wherever it stands; zeros add nothing."""
    outputs, _ = _ran("GRU")
    computed = np.where(outputs == 0, outputs[:1, :1] / 2, outputs)
    for steps, wrong in ((computed, True), (outputs, False)):
        parts = _parts(steps)
        dump = {"outputs": steps, "state": np.concatenate([parts[p] for p in order.split()], 1), "lengths": LENGTHS}
        report = rnninspect.inspect(dump)
        assert [f.rule for f in report.findings if f.severity == "error"] == (["pooled-state"] if wrong else [])
