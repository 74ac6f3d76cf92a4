"""Runs in TF32, float16 and bfloat16 between float32 arrays: right ones are clean, and mistakes are named even so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect import Report, conventions
from rnninspect.core.batch import Batch
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import prefix_mask
from rnninspect.diagnosis.rules import rules
from rnninspect.diagnosis.weights_rule import WeightsRule
from rnninspect.engine.lower_products import ROUNDED as ROUNDED_BY_ENGINE
from rnninspect.engine.run import run

B, T, F, H = 4, 9, 6, 10
LENGTHS = [9, 4, 7, 2]
CELLS = ("LSTM", "GRU", "RNN")


def nearest(x: np.ndarray) -> np.ndarray:
    """To 10 bits behind the first, ties to even: what float16 keeps of numbers of its range."""
    exponents = np.frexp(x)[1]
    return np.ldexp(np.round(np.ldexp(x.astype(np.float64), 11 - exponents)), exponents - 11).astype(np.float32)


def cut(x: np.ndarray) -> np.ndarray:
    """The same, towards zero."""
    exponents = np.frexp(x)[1]
    return np.ldexp(np.trunc(np.ldexp(x.astype(np.float64), 11 - exponents)), exponents - 11).astype(np.float32)


ROUNDED = {"tf32": nearest, "tf32, cut": cut}


@pytest.mark.parametrize("how", list(ROUNDED))
def test_factors_keep_ten_bits_whatever_the_others_are(how: str) -> None:
    """Every pattern of the bits that are lost, below an even and an odd last bit, and across a power of two: ties too
    are rounded to even, or all cut off."""
    bits = np.arange(1 << 15, dtype=np.int32) + (np.array([0x3F800000, 0x40000000 - (1 << 14)], np.int32)[:, None])
    x = bits.view(np.float32)
    got = ROUNDED_BY_ENGINE[how](torch.from_numpy(np.stack([x, -x]))).numpy()
    assert np.array_equal(got, ROUNDED[how](np.stack([x, -x])))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def looped(kind: str, state: dict[str, np.ndarray], x: np.ndarray, lengths: list[int], rounded: Any) -> Any:
    """torch's cell as its documentation defines it, row by row and step by step, with rounded factors."""
    outputs, last, cells = np.zeros((len(x), x.shape[1], H), np.float32), [], []
    w_ih, w_hh, b_ih, b_hh = (state[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    for b, length in enumerate(lengths):
        h, c = np.zeros(H, np.float32), np.zeros(H, np.float32)
        for t in range(length):
            of_x, of_h = rounded(w_ih) @ rounded(x[b, t]) + b_ih, rounded(w_hh) @ rounded(h) + b_hh
            if kind == "RNN":
                h = np.tanh(of_x + of_h)
            elif kind == "GRU":
                (r, z, n), (rh, zh, nh) = of_x.reshape(3, H), of_h.reshape(3, H)
                z = sigmoid(z + zh)
                h = (1 - z) * np.tanh(n + sigmoid(r + rh) * nh) + z * h
            else:
                i, f, g, o = (of_x + of_h).reshape(4, H)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            outputs[b, t] = h
        last.append(h)
        cells.append(c)
    states = np.stack(last)[None].astype(np.float32)
    return outputs, (states, np.stack(cells)[None].astype(np.float32)) if kind == "LSTM" else states


def made(kind: str, how: str, lost: bool = False) -> tuple[Any, Any, dict[str, np.ndarray], np.ndarray]:
    """(outputs, state, weights, inputs) of a run in TF32 by the loops above, or in torch's own autocast: right, or with
    an input bias `lost` that is a third of the usual ones.
    """
    torch.manual_seed(3)
    layer, x = getattr(torch.nn, kind)(F, H, batch_first=True), torch.randn(B, T, F)
    layer.bias_ih_l0.data /= 3 if lost else 1
    state = {name: tensor.numpy().copy() for name, tensor in layer.state_dict().items()}
    if lost:
        layer.bias_ih_l0.data.zero_()
    if how in ROUNDED:
        ran = {name: tensor.numpy() for name, tensor in layer.state_dict().items()}
        return *looped(kind, ran, x.numpy(), LENGTHS, ROUNDED[how]), state, x.numpy()
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    with torch.no_grad(), torch.autocast("cpu", dtype=getattr(torch, how)):
        outputs, states = layer(packed)
    return pad_packed_sequence(outputs, batch_first=True)[0], states, state, x.numpy()


def judged(outputs: Any, state: Any, weights: Any, x: np.ndarray) -> Report:
    return rnninspect.inspect(
        (outputs, state), lengths=LENGTHS, inputs=x, weights=weights, convention="torch", batch_first=True
    )


@pytest.mark.parametrize("how", list(ROUNDED))
@pytest.mark.parametrize("kind", CELLS)
def test_the_engine_rounds_the_factors_of_every_product(kind: str, how: str) -> None:
    """As the loops do: what is left is the rounding of float32."""
    outputs, _, state, x = made(kind, how)
    weights = conventions.get("torch").read_weights(state, LayerConfig())
    batch = Batch(x, prefix_mask(LENGTHS, T), np.array(LENGTHS))
    (track,) = run(batch, weights, dtype=how)
    np.testing.assert_allclose(track.outputs, outputs, rtol=0, atol=2e-6)
    (full,) = run(batch, weights)
    assert np.abs(full.outputs - outputs).max() > 5e-5  # type: ignore[operator]


@pytest.mark.parametrize("how", [*ROUNDED, "bfloat16", "float16"])
@pytest.mark.parametrize("kind", CELLS)
def test_a_right_run_is_clean(kind: str, how: str) -> None:
    """At most a note says in what it was computed, and how to compute in float32; states are judged as ever."""
    outputs, state, weights, x = made(kind, how)
    report = judged(outputs, state, weights, x)
    assert report.verdict == "clean"
    notes = {finding.rule: finding for finding in report.findings}
    assert set(notes) <= {"precision-drift"}
    assert notes or str(getattr(outputs, "dtype", "")) in ("torch.bfloat16", "torch.float16")
    for note in notes.values():
        assert note.severity == "note"
        assert note.evidence["precision"] == ("TF32" if how in ROUNDED else how)
        assert "allow_tf32 = False" in note.fix
    h = state[0] if isinstance(state, tuple) else state
    permuted = judged(outputs, h[:, [1, 0, 2, 3]], weights, x)
    assert [f.rule for f in permuted.findings if f.severity == "error"] == ["rows-permuted"]


def mistakes() -> list[tuple[str, str, str]]:
    """(rule, kind, precision) for every mistake of weights that such a layer can show, precisions in turn."""
    of_cells = {
        "bias-dropped": CELLS,
        "forget-bias": ("LSTM",),
        "gate-order": ("LSTM", "GRU"),
        "gru-reset-variant": ("GRU",),
        "kernel-transposed": CELLS,
        "recurrent-activation": ("LSTM",),
        "update-gate-flipped": ("GRU",),
    }
    listed = [(rule, kind) for rule, kinds in of_cells.items() for kind in kinds]
    ways = ("tf32", "bfloat16", "tf32, cut", "float16")
    return [(rule, kind, ways[i % 4]) for i, (rule, kind) in enumerate(listed)]


@pytest.mark.parametrize(("rule", "kind", "how"), mistakes())
def test_a_mistake_in_the_weights_is_named(rule: str, kind: str, how: str) -> None:
    """It moves the outputs by more than the rounding, which is what its message leaves."""
    outputs, state, weights, x = made(kind, how)
    one = rules()[rule]
    assert isinstance(one, WeightsRule)
    wrong = one.corrupt(conventions.get("torch").read_weights(weights, LayerConfig()))
    report = judged(outputs, state, wrong, x)
    named = [finding for finding in report.findings if finding.rule == rule]
    assert named
    assert named[0].severity == "error"


@pytest.mark.parametrize("how", ["tf32", "bfloat16"])
def test_small_biases_that_were_lost_are_no_rounding(how: str) -> None:
    """A third of the usual ones: without them the outputs move a few times as far as by bfloat16."""
    outputs, state, weights, x = made("GRU", how, lost=True)
    assert "bias-dropped" in [finding.rule for finding in judged(outputs, state, weights, x).findings]


def test_other_weights_are_no_lower_precision() -> None:
    """A run of weights that are two in a thousand off is as far from these as bfloat16, in another direction."""
    rng = np.random.default_rng(0)
    outputs, state, weights, x = made("LSTM", "tf32")
    factors = {name: (1 + 2e-3 * rng.normal(size=array.shape)).astype(np.float32) for name, array in weights.items()}
    other = {name: array * factors[name] for name, array in weights.items()}
    report = judged(outputs, state, other, x)
    assert [finding.rule for finding in report.findings] == ["unexplained-difference"]


@pytest.mark.parametrize("off", [False, True])
def test_the_first_steps_of_many_units_tell(off: bool) -> None:
    """Of a wide layer they choose what is run in a lower precision: a right run in bfloat16 is a note, and a run of
    other weights is no precision's."""
    torch.manual_seed(1)
    layer, x = torch.nn.GRU(F, 160, batch_first=True), torch.randn(B, 12, F)
    weights = {name: tensor.numpy().copy() for name, tensor in layer.state_dict().items()}
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=not off):
        for parameter in layer.parameters() if off else ():
            parameter.mul_(1 + 4e-3 * torch.randn_like(parameter))
        outputs, h = layer(x)
    report = rnninspect.inspect((outputs.float(), h.float()), lengths="full", inputs=x, weights=weights)
    told = [(f.rule, f.evidence.get("precision")) for f in report.findings]
    assert told == ([("unexplained-difference", None)] if off else [("precision-drift", "bfloat16")])


def test_a_cast_step_beside_zeros_is_no_pool() -> None:
    """Outputs saved as float16 beside h: of rows of one step, whose zeroed padding adds nothing, h is no sum of steps;
    of rows of two it is one where it was summed."""
    rng = np.random.default_rng(0)
    for seed in range(12):
        outputs = rng.uniform(-0.9, 0.9, (3, 7, 1 + seed % 3)) * (np.arange(7) < 1)[None, :, None]
        right = rnninspect.inspect(outputs.astype(np.float16), outputs[:, 0].astype(np.float32), lengths=[1, 1, 1])
        assert "pooled-state" not in [f.rule for f in right.findings]
    outputs = rng.uniform(-0.4, 0.4, (3, 7, 4)) * (np.arange(7) < 2)[None, :, None]
    summed = outputs.astype(np.float16).astype(np.float32).sum(1)
    wrong = rnninspect.inspect(outputs.astype(np.float16), summed, lengths=[2, 2, 2])
    assert [f.rule for f in wrong.findings] == ["pooled-state"]
