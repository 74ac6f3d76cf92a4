"""States that lie side by side in one array `[B, N*H]`, or that were viewed so: told by their numbers, and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnninspect
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Trace
from rnninspect.diagnosis.build_case import read_case
from rnninspect.errors import ShapeError
from rnninspect.formats.nested import of_pair
from rnninspect.measure import choose_reading as choosing
from rnninspect.measure.choose_reading import Tolerance, measure_all
from rnninspect.measure.facts import TrackFacts

LENGTHS = [6, 2, 4, 3]


def layer_run(cell: str, layers: int = 1, bidirectional: bool = False) -> tuple[np.ndarray, np.ndarray, Any]:
    """Outputs `[B, T, D*H]`, h and c `[L*D, B, H]` (c None but for an LSTM) of a packed run."""
    torch.manual_seed(7)
    module = getattr(torch.nn, cell)(3, 5, layers, batch_first=True, bidirectional=bidirectional)
    packed = pack_padded_sequence(torch.randn(4, 6, 3), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        outputs, state = module(packed)
    h, c = state if cell == "LSTM" else (state, None)
    return pad_packed_sequence(outputs, batch_first=True)[0].numpy(), h.numpy(), None if c is None else c.numpy()


@pytest.mark.parametrize("cell_first", [True, False])
def test_c_and_h_side_by_side_are_told_apart(cell_first: bool) -> None:
    """Either order, since c is never smaller than h takes; a wrong h is named as in two arrays."""
    outputs, h, c = layer_run("LSTM")
    for state, rule in ((h[0], None), (outputs[:, -1], "last-column-as-final-state")):
        flat = np.concatenate([c[0], state] if cell_first else [state, c[0]], 1)
        column = rnninspect.inspect(outputs, flat[:, :, None], lengths=LENGTHS)
        assert [f.rule for f in column.findings] == ([rule] if rule else [])
        report = rnninspect.inspect(outputs, flat, lengths=LENGTHS)
        assert [f.rule for f in report.findings] == ([rule] if rule else [])
        assert any(f"read as {'c and h' if cell_first else 'h and c'} side by side" in note for note in report.notes)
    fixed = rnninspect.fix(outputs, flat, lengths=LENGTHS).arrays["final_state"]
    assert np.array_equal(fixed, np.concatenate([c[0], h[0]] if cell_first else [h[0], c[0]], 1))


@pytest.mark.parametrize(("layers", "bidirectional"), [(2, False), (3, False), (2, True)])
def test_layers_side_by_side_are_counted(layers: int, bidirectional: bool) -> None:
    """A transposed state is right, a viewed one is named and put right, also as a column `[B, L*D*H, 1]`; layers that
    were stated otherwise are refused."""
    outputs, h, _ = layer_run("GRU", layers, bidirectional)
    for axes in ((4, -1), (4, -1, 1)):
        right, viewed = h.transpose(1, 0, 2).reshape(axes), h.reshape(axes)
        report = rnninspect.inspect(outputs, right, lengths=LENGTHS)
        assert report.verdict == "clean"
        assert any(f"read as {layers} layers side by side" in note for note in report.notes)
        wrong = rnninspect.inspect(outputs, viewed, lengths=LENGTHS)
        assert [f.rule for f in wrong.findings] == ["state-reshaped-not-transposed"]
        fixed = rnninspect.fix(outputs, viewed, lengths=LENGTHS).arrays["final_state"]
        assert np.array_equal(fixed, right)
    with pytest.raises(ShapeError, match="fits no reading"):
        rnninspect.inspect(outputs, right, lengths=LENGTHS, layers=1)


def test_a_view_of_an_unpacked_stack_is_read_as_its_weights_are() -> None:
    """Layers that were counted side by side, of one direction, are of two where the weights are; right, it is clean."""
    torch.manual_seed(7)
    module, inputs = torch.nn.GRU(3, 4, 2, batch_first=True, bidirectional=True), torch.randn(4, 6, 3)
    with torch.no_grad():
        outputs, h = module(inputs)
    about = {"inputs": inputs, "weights": module}
    wrong = rnninspect.inspect(outputs, h.reshape(4, -1), lengths=LENGTHS, **about)
    assert [f.rule for f in wrong.findings] == ["state-reshaped-not-transposed", "lengths-ignored"]
    right = rnninspect.inspect(outputs, h.transpose(0, 1).reshape(4, -1), lengths="full", **about)
    assert right.verdict == "clean"


@pytest.mark.parametrize("cell", ["GRU", "LSTM", "RNN"])
@pytest.mark.parametrize("options", [{"lengths": LENGTHS}, {"lengths": LENGTHS, "bidirectional": True}])
def test_a_view_of_two_directions_is_seen_though_nobody_stated_two(cell: str, options: dict[str, Any]) -> None:
    """`h_n.view(B, -1)` of a bidirectional layer; transposed first, it is right; a stranger stays unexplained."""
    outputs, h, _ = layer_run(cell, bidirectional=True)
    wrong = rnninspect.inspect(outputs, h.reshape(4, -1), **options)
    assert [f.rule for f in wrong.findings] == ["state-reshaped-not-transposed"]
    assert rnninspect.inspect(outputs, h.transpose(1, 0, 2).reshape(4, -1), **options).verdict == "clean"
    stranger = np.random.default_rng(0).uniform(-1, 1, (4, 10)).astype(np.float32)
    assert [f.rule for f in rnninspect.inspect(outputs, stranger, **options).findings] == ["unexplained-state"]


def test_a_flat_state_of_other_numbers_is_no_layers() -> None:
    """Both directions' states beside the sum of their outputs equal no step: they are left open, and no layers are made
    of them."""
    outputs, h, _ = layer_run("GRU", bidirectional=True)
    summed = outputs[..., :5] + outputs[..., 5:]
    report = rnninspect.inspect(summed, h.transpose(1, 0, 2).reshape(4, -1), lengths=LENGTHS)
    assert report.verdict == "unjudged"
    assert "sum of both directions" in " ".join(report.notes)


def test_states_that_are_no_view_of_two_directions_cost_no_further_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large dump whose states are all wrong, the steps where two directions would end say so: one array of outputs
    is read whole, once."""
    monkeypatch.setattr(choosing, "MANY_STEPS", 1)
    outputs, h, _ = layer_run("GRU", bidirectional=True)
    wrong = np.concatenate(list(h), 1) + 1
    whole: list[int] = []

    def measurer(trace: Trace, tolerance: Tolerance) -> tuple[TrackFacts, ...]:
        whole.append(trace.directions)
        return measure_all(trace, tolerance)

    arrays = {"outputs": outputs, "state": wrong, "lengths": np.array(LENGTHS)}
    read_case(arrays, LayerConfig(), "torch", named_roles={}, measurer=measurer)
    assert whole == [1]


@pytest.mark.parametrize("cell_first", [True, False])
def test_a_list_in_another_order_than_the_frameworks_is_named(cell_first: bool, tmp_path: Path) -> None:
    """`(c, h)` in a file of torch, which returns `(h, c)`, is exchanged; in one of nobody it is read as its values
    tell, and what to check is said; `(h, c)` needs no note."""
    outputs, h, c = map(torch.from_numpy, layer_run("LSTM"))
    pair = (c, h) if cell_first else (h, c)
    torch.save({"output": outputs, "state": pair, "lengths": torch.tensor(LENGTHS)}, tmp_path / "run.pt")
    report = rnninspect.compare(tmp_path / "run.pt")
    assert [f.rule for f in report.findings] == ["cell-hidden-swapped"] * cell_first
    named = {f"state.{k}": part.numpy() for k, part in enumerate(pair)}
    of_nobody = rnninspect.inspect({"outputs": outputs.numpy(), "lengths": np.array(LENGTHS), **named})
    assert of_nobody.verdict == "clean"
    notes = [note for note in of_nobody.notes if note.startswith("state.1 is taken as the final state h")]
    assert len(notes) == (cell_first and of_nobody.convention != "tf1")


@pytest.mark.parametrize("cell", ["GRU", "LSTM"])
def test_a_json_list_of_outputs_and_state_is_what_a_call_returned(cell: str, tmp_path: Path) -> None:
    """`[outputs, h]` or `[outputs, [h, c]]`: right as it is, and with other rows named; two rows are no such pair."""
    outputs, h, c = layer_run(cell, bidirectional=True)
    state = h.tolist() if c is None else [h.tolist(), c.tolist()]
    for array, rules in ((outputs, []), (outputs[::-1], ["rows-permuted"])):
        (tmp_path / "pair.json").write_text(json.dumps([array.tolist(), state]))
        report = rnninspect.compare(tmp_path / "pair.json", lengths=LENGTHS)
        assert [f.rule for f in report.findings] == rules
    rows = [outputs[0].tolist(), outputs[1, :2].tolist()]
    assert of_pair(rows) is rows
