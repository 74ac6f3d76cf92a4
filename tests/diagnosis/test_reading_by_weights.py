"""Layers and directions are taken from the weights where nobody stated them, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = [6, 2, 5, 1, 3]


def ran(cell: str, layers: int, both: bool) -> tuple[torch.nn.RNNBase, dict[str, Any]]:
    """A packed run of a layer of 4 units, and what is saved of it: every layer's h."""
    torch.manual_seed(layers)
    layer = getattr(torch.nn, cell)(3, 4, num_layers=layers, bidirectional=both, batch_first=True)
    inputs = torch.randn(5, 6, 3)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        inputs, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        outputs, state = layer(packed)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    h = state[0] if isinstance(state, tuple) else state
    dump = {"output": outputs.numpy(), "h_n": h.numpy(), "inputs": inputs.numpy(), "lengths": np.array(LENGTHS)}
    return layer, dump


def judged(layer: torch.nn.RNNBase, dump: dict[str, Any]) -> tuple[str, list[str]]:
    report = rnninspect.inspect(dump, weights=layer.state_dict())
    return report.verdict, [finding.rule for finding in report.findings]


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("both", [False, True])
def test_the_top_layers_state_alone_is_right(cell: str, both: bool) -> None:
    """Of three layers' weights the dump is the top one's: its state alone is clean, in each of its forms."""
    layer, dump = ran(cell, 3, both)
    top = dump["h_n"][-2:] if both else dump["h_n"][-1:]
    for state in (top, np.concatenate(list(top), -1)):
        assert judged(layer, dump | {"h_n": state}) == ("clean", [])


def test_the_top_layers_state_of_fewer_rows_is_of_its_run() -> None:
    """Of three layers' weights the top one's state of some rows: those left out are named, and a run of all layers
    differs in nothing."""
    layer, dump = ran("GRU", 3, False)
    assert judged(layer, dump | {"h_n": dump["h_n"][-1][:4]}) == ("findings", ["rows-dropped"])


def test_a_lower_layers_state_is_the_wrong_layers() -> None:
    """`h_n[0]` of three layers beside the top layer's outputs: what a run of the lowest layer ends in."""
    layer, dump = ran("GRU", 3, False)
    assert judged(layer, dump | {"h_n": dump["h_n"][0]}) == ("findings", ["wrong-layer"])


def test_the_lowest_layers_own_dump_stays_its_own() -> None:
    """Outputs and state of the lowest layer itself, beside the weights of two, are right as they are."""
    layer, dump = ran("GRU", 2, False)
    alone = torch.nn.GRU(3, 4, batch_first=True)
    alone.load_state_dict({k: v for k, v in layer.state_dict().items() if k.endswith("l0")})
    with torch.no_grad():
        outputs, state = alone(torch.from_numpy(dump["inputs"]))
    whole = {"output": outputs.numpy(), "h_n": state.numpy(), "inputs": dump["inputs"], "lengths": np.full(5, 6)}
    assert judged(layer, whole) == ("clean", [])


def test_two_directions_side_by_side_are_read_as_two() -> None:
    """A wrong state `[B, 2H]` fits no direction, yet the weights have two: it is judged, not refused."""
    layer, dump = ran("LSTM", 1, True)
    assert judged(layer, dump | {"h_n": np.concatenate(list(dump["h_n"]), -1)}) == ("clean", [])
    last = dump["output"][np.arange(5), np.array(LENGTHS) - 1]
    assert judged(layer, dump | {"h_n": last}) == ("findings", ["backward-final-at-last-step"])
    assert judged(layer, dump | {"h_n": dump["output"].max(1)}) == ("findings", ["pooled-state"])


def test_what_is_stated_is_kept() -> None:
    """Who states one layer is told that the weights hold more, and nothing is read anew."""
    layer, dump = ran("GRU", 2, False)
    with pytest.raises(rnninspect.UserError, match="layers=1 is stated, but the weights hold 2"):
        rnninspect.inspect(dump | {"h_n": dump["h_n"][-1]}, weights=layer.state_dict(), layers=1)


def test_weights_of_another_width_are_refused() -> None:
    """Weights that fit the outputs in no layer and no direction are another layer's."""
    _, dump = ran("GRU", 1, False)
    other = torch.nn.GRU(3, 5, batch_first=True)
    with pytest.raises(rnninspect.UserError, match="give the weights of the layer that ran"):
        judged(other, dump)


@pytest.mark.parametrize("layers", [1, 2])
def test_only_what_weights_add_is_a_reason_of_the_reading(layers: int) -> None:
    """Other weights of as many layers as were read say nothing of the reading; those of two layers beside one are why
    two are read."""
    layer, dump = ran("GRU", layers, False)
    torch.manual_seed(9)
    other = torch.nn.GRU(3, 4, layers, batch_first=True)
    for weights in (layer, other):
        report = rnninspect.inspect(dump | {"h_n": dump["h_n"][-1]}, weights=weights.state_dict())
        because = report.to_dict()["reading"]["because"]
        assert ("the weights have 2 layer(s) of 1 direction(s)" in because) is (layers == 2)
        assert not any(reason.startswith("the weights have 1") for reason in because)


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
@pytest.mark.parametrize("in_front", [False, True])
def test_one_direction_beside_what_is_no_output_of_the_layer(cell: str, in_front: bool) -> None:
    """A context as wide as the outputs joined to them: a run of the weights tells which half is the layer's; its last
    column as state is named, and other weights are not taken for it."""
    layer, dump = ran(cell, 1, False)
    real, context = dump["output"], np.random.default_rng(1).normal(size=dump["output"].shape).astype(np.float32)
    joined = dump | {"output": np.concatenate([context, real] if in_front else [real, context], -1)}
    assert judged(layer, joined) == ("clean", [])
    assert judged(layer, joined | {"h_n": real[None, :, -1]}) == ("findings", ["last-column-as-final-state"])
    torch.manual_seed(9)
    layer.reset_parameters()
    assert judged(layer, joined)[0] == "findings"


@pytest.mark.parametrize("cell", ["GRU", "RNN"])
@pytest.mark.parametrize("packed", [False, True])
def test_one_rows_steps_have_restarted_nowhere(cell: str, packed: bool) -> None:
    """`outputs[-1]` of batch-major outputs, read by the other axes beside inputs and weights: every row begins anew
    there, which is no restart; the axes, or the row, are named alone."""
    layer, dump = ran(cell, 1, False)
    if not packed:
        with torch.no_grad():
            dump["output"] = layer(torch.from_numpy(dump["inputs"]))[0].numpy()
    verdict, rules = judged(layer, dump | {"h_n": dump["output"][-1]})
    assert verdict == "findings"
    assert rules == ["row-taken-for-step" if packed else "batch-time-swapped"]


@pytest.mark.parametrize("seed", [0, 7, 30, 49])
def test_two_layers_are_not_two_directions_whose_outputs_are_merged(seed: int) -> None:
    """Weights of one direction say so: of outputs in another row order the states, which look like those of two
    directions merged, are two layers' again, and the right run is clean; without weights nothing is said."""
    torch.manual_seed(seed)
    layer = torch.nn.RNN(2, 3, 2, batch_first=True)
    inputs, lengths = torch.randn(4, 6, 2), torch.tensor([6, 4, 3, 2])
    with torch.no_grad():
        packed, h = layer(torch.nn.utils.rnn.pack_padded_sequence(inputs, lengths, batch_first=True))
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    moved = outputs[[2, 0, 3, 1]]
    bare = rnninspect.inspect(moved, h, lengths=lengths)
    assert [finding.rule for finding in bare.findings] == ["rows-permuted"]
    for more in ({"inputs": inputs}, {}):
        wrong = rnninspect.inspect(moved, h, lengths=lengths, weights=layer, **more)
        assert [finding.rule for finding in wrong.findings] == ["rows-permuted"]
        assert rnninspect.inspect(outputs, h, lengths=lengths, weights=layer, **more).verdict == "clean"
