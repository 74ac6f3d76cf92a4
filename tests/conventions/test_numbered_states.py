"""`states.0`, `states.1`: the h of two layers, of two directions, or the h and c of one layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = [11, 3, 8, 1, 6]
CELLS = ["LSTM", "GRU", "RNN"]
LISTS = ["states.{}", "states/{}", "states_{}", "state.{}", "final_states/{}", "h.{}", "final_state.{}"]


def _layer(cell: str, x: torch.Tensor, both: bool = False) -> tuple[torch.Tensor, Any, Any]:
    """Outputs `[B, T, D*H]` of a right packed run, h `[D, B, H]`, and c or None."""
    layer = getattr(torch.nn, cell)(x.shape[-1], 6, batch_first=True, bidirectional=both)
    lengths = torch.tensor(LENGTHS)
    with torch.no_grad():
        packed, state = layer(
            torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        )
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    h, c = state if isinstance(state, tuple) else (state, None)
    return outputs, h.numpy(), None if c is None else c.numpy()


def _stack(cell: str, layers: int, seed: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Every layer's outputs `[B, T, H]`, h `[B, H]` and c, of layers that were run one after the other."""
    torch.manual_seed(seed)
    x = torch.randn(5, 11, 4)
    outputs, h, c = [], [], []
    for _ in range(layers):
        x, h_of_layer, c_of_layer = _layer(cell, x)
        outputs.append(x.numpy())
        h.append(h_of_layer[0])
        c.append(None if c_of_layer is None else c_of_layer[0])
    return outputs, h, c


def _listed(name: str, arrays: list[Any]) -> dict[str, Any]:
    return {name.format(i): array for i, array in enumerate(arrays)}


def _layers_of(report: Any) -> list[tuple[int, str]]:
    return [(track.layer, track.direction) for track in report.tracks]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [2, 3])
def test_states_numbered_as_the_outputs_are_of_these_layers(name: str, cell: str, layers: int) -> None:
    """Right layers are accused of nothing, whatever is stated, and a last column keeps its name in its own layer."""
    outputs, h, _ = _stack(cell, layers, seed=layers)
    dump = _listed("outputs.{}", outputs)
    dump |= _listed(name, h) | {"lengths": np.array(LENGTHS)}
    for told in ({}, {"cell": cell.lower()}, {"convention": "tf1"}, {"layers": layers}):
        report = rnninspect.inspect(dump, **told)
        assert not report.findings
        assert _layers_of(report) == [(layer, "forward") for layer in range(layers)]
    wrong = dump | {name.format(0): outputs[0][:, -1].copy()}
    finding, *others = rnninspect.inspect(wrong, layers=layers).findings
    assert (finding.rule, finding.layer, others) == ("last-column-as-final-state", 0, [])


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [2, 3])
def test_a_list_beside_the_top_outputs_holds_the_h_of_every_layer(name: str, cell: str, layers: int) -> None:
    """No two of them can be h and c, and the last one ends the outputs: clean, also for an LSTM that is stated."""
    outputs, h, _ = _stack(cell, layers, seed=10 + layers)
    dump = {"outputs": outputs[-1], "lengths": np.array(LENGTHS)} | _listed(name, h)
    for told in ({}, {"cell": cell.lower()}, {"layers": layers}):
        assert rnninspect.inspect(dump, **told).verdict in ("clean", "unjudged")
        assert not rnninspect.inspect(dump, **told).findings
    assert rnninspect.inspect(dump, layers=layers).verdict == "clean"


@pytest.mark.parametrize("name", LISTS[:-2])
@pytest.mark.parametrize("told", [{}, {"cell": "lstm"}, {"convention": "keras"}])
def test_h_and_c_of_one_layer_stay_h_and_c(name: str, told: Any) -> None:
    """A Keras LSTM's `states.0`, `states.1` beside its outputs are (h, c); exchanged, that is named."""
    (outputs,), (h,), (c,) = _stack("LSTM", 1, seed=3)
    dump = {"outputs": outputs, "lengths": np.array(LENGTHS)}
    report = rnninspect.inspect(dump | _listed(name, [h, c]), **told)
    assert report.verdict == "clean"
    if told.get("convention"):
        exchanged = rnninspect.inspect(dump | _listed(name, [c, h]), **told)
        assert [f.rule for f in exchanged.findings] == ["cell-hidden-swapped"]


@pytest.mark.parametrize("order", ["hc", "ch"])
@pytest.mark.parametrize("told", [{}, {"cell": "lstm"}])
def test_the_values_tell_h_from_c_where_no_framework_is_stated(order: str, told: Any) -> None:
    """`final_state.0`, `final_state.1` of one LSTM are clean in either order: TensorFlow's is only one of two."""
    (outputs,), (h,), (c,) = _stack("LSTM", 1, seed=4)
    pair = [h, c] if order == "hc" else [c, h]
    dump = {"o": outputs, "lengths": np.array(LENGTHS)} | _listed("final_state.{}", pair)
    assert rnninspect.inspect(dump, **told).verdict == "clean"
    assert len(rnninspect.inspect(dump, **told).tracks) == 1


def test_c_under_names_of_their_own_leave_the_list_to_h() -> None:
    """`cells.0` beside `states.0`: the list of states holds no c, whatever it is called."""
    outputs, h, c = _stack("LSTM", 2, seed=5)
    dump = {"lengths": np.array(LENGTHS)} | _listed("outputs.{}", outputs)
    dump |= _listed("states.{}", h) | _listed("cells.{}", c)
    assert rnninspect.inspect(dump).verdict == "clean"
    exchanged = {**dump, "states.1": c[1], "cells.1": h[1]}
    assert [(f.rule, f.layer) for f in rnninspect.inspect(exchanged).findings] == [("cell-hidden-swapped", 1)]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("told", [{}, {"bidirectional": True}])
def test_two_numbered_states_of_half_the_width_are_two_directions(name: str, cell: str, told: Any) -> None:
    """Beside one `[B, T, 2H]` two states `[B, H]` are forward and backward; exchanged, that is named."""
    torch.manual_seed(6)
    outputs, h, _ = _layer(cell, torch.randn(5, 11, 4), both=True)
    dump = {"outputs": outputs.numpy(), "lengths": np.array(LENGTHS)}
    report = rnninspect.inspect(dump | _listed(name, list(h)), **told)
    assert report.verdict == "clean"
    assert _layers_of(report) == [(0, "forward"), (0, "backward")]
    exchanged = rnninspect.inspect(dump | _listed(name, list(h[::-1])), **told)
    assert [f.rule for f in exchanged.findings] == ["directions-exchanged"]


@pytest.mark.parametrize("told", [{}, {"convention": "keras"}, {"convention": "mxnet"}])
@pytest.mark.parametrize("stacked", [True, False])
def test_c_of_its_own_leaves_a_list_of_wrong_or_initial_states_to_h(stacked: bool, told: Any) -> None:
    """Two states that no step equals are two layers' h where c stands apart, and so are two initial ones: the top
    layer's rows are out of order, and not h and c of one layer exchanged."""
    outputs, h, c = _stack("LSTM", 2, seed=5)
    dump = {"outputs": outputs[1], "lengths": np.array(LENGTHS)}
    apart = {"c_n": np.stack(c)} if stacked else _listed("cells.{}", c)
    order = np.roll(np.arange(len(LENGTHS)), 1)
    report = rnninspect.inspect(dump | _listed("states.{}", [state[order] for state in h]) | apart, **told)
    assert [(f.rule, f.layer) for f in report.findings] == [("rows-permuted", 1)]
    begun = _listed("initial_state.{}", [0 * state for state in h]) | {"initial_c": np.zeros_like(np.stack(c))}
    assert rnninspect.inspect(dump | {"h_n": np.stack(h), "c_n": np.stack(c)} | begun, **told).verdict == "clean"


def test_states_of_two_layers_of_unlike_signs_are_no_h_and_c() -> None:
    """One row of three units: |h_0| <= |h_1| by chance, but other signs; states, and initial states beside them, are of
    two layers. An LSTM's own h and c in each other's place are named still."""
    unlike = 0
    for seed in range(60):
        torch.manual_seed(seed)
        layer = torch.nn.GRU(2, 3, 2, batch_first=True)
        start = torch.randn(2, 1, 3)
        with torch.no_grad():
            outputs, h = layer(torch.randn(1, 4, 2), start)
        less = h[0].abs() <= h[1].abs()
        if bool(((h[0] < 0) == (h[1] < 0)).all()) or bool(less.any() and not less.all()):
            continue
        unlike += 1
        dump = {"outputs": outputs, "state.0": h[0], "state.1": h[1]}
        dump |= {"initial_state.0": start[0], "initial_state.1": start[1]} if seed % 2 else {}
        assert rnninspect.inspect(dump, lengths="full").verdict == "clean"
    assert unlike > 3
    torch.manual_seed(0)
    with torch.no_grad():
        outputs, (h, c) = torch.nn.LSTM(2, 3, batch_first=True)(torch.randn(4, 6, 2))
    swapped = rnninspect.inspect(
        {"outputs": outputs, "state.0": c[0], "state.1": h[0]}, cell="lstm", convention="keras"
    )
    assert [f.rule for f in swapped.findings] == ["cell-hidden-swapped"]
