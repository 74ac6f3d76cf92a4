"""`outputs.0`, `outputs.1` beside `final_state.0`, `final_state.1`: (forward, backward), or two layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

LENGTHS = [12, 4, 9, 2, 7, 5]
NAMES = [
    ("outputs.0", "outputs.1", "final_state.0", "final_state.1"),
    ("outputs_0", "outputs_1", "state_0", "state_1"),
    ("outputs.0", "outputs.1", "states.0", "states.1"),
    ("outputs/0", "outputs/1", "final_states/0", "final_states/1"),
]


def _run(seed: int, **options: Any) -> list[Any]:
    """A right run of padded rows: every layer's or direction's outputs `[B, T, H]`, then each one's state `[B, H]`."""
    torch.manual_seed(seed)
    x, lengths = torch.randn(6, 12, 5), torch.tensor(LENGTHS)
    outputs, states = [], []
    for _ in range(options.get("layers", 1)):
        layer = torch.nn.GRU(x.shape[-1], 7, batch_first=True, bidirectional=options.get("both", False))
        pack = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        with torch.no_grad():
            packed, h = layer(pack)
        x, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
        outputs += [half.numpy() for half in x.split(7, -1)]
        states += [one.numpy() for one in h]
    return outputs + states


def _dump(names: tuple[str, ...], arrays: list[Any]) -> dict[str, Any]:
    return dict(zip(names, arrays, strict=True)) | {"lengths": np.array(LENGTHS)}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("told", [{}, {"bidirectional": True}, {"convention": "tf1"}])
def test_a_numbered_pair_is_forward_and_backward_where_the_states_say_so(names: tuple[str, ...], told: Any) -> None:
    """A right pair is clean, and a pair whose states are exchanged is named, stated or not."""
    for seed in range(4):
        forward, backward, h_forward, h_backward = _run(seed, both=True)
        right = _dump(names, [forward, backward, h_forward, h_backward])
        assert rnninspect.inspect(right, **told).verdict == "clean"
        exchanged = _dump(names, [forward, backward, h_backward, h_forward])
        findings = rnninspect.inspect(exchanged, **told).findings
        assert [f.rule for f in findings] == ["directions-exchanged"]


@pytest.mark.parametrize("fields", [("c", "h"), ("0", "1")])
def test_pairs_of_c_and_h_are_of_two_directions(fields: tuple[str, str]) -> None:
    """`final_state.1.c` is the backward c where the outputs are a pair, as `bidirectional_dynamic_rnn` nests them."""
    torch.manual_seed(6)
    layer = torch.nn.LSTM(5, 7, batch_first=True, bidirectional=True)
    lengths = torch.tensor(LENGTHS)
    pack = torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(6, 12, 5), lengths, batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        packed, (h, c) = layer(pack)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    dump = {f"final_state.{d}.{f}": (c, h)[k][d].numpy() for d in (0, 1) for k, f in enumerate(fields)}
    dump |= {f"outputs.{d}": outputs[..., 7 * d : 7 * d + 7].numpy() for d in (0, 1)} | {"lengths": np.array(LENGTHS)}
    report = rnninspect.inspect(dump, convention="tf1")
    assert report.verdict == "clean"
    assert [(track.layer, track.direction) for track in report.tracks] == [(0, "forward"), (0, "backward")]


@pytest.mark.parametrize("names", NAMES)
def test_a_backward_state_of_the_wrong_end_is_never_called_right(names: tuple[str, ...]) -> None:
    """The last step of the second outputs fits two layers as well: it is not clean, and fix never calls it right."""
    for seed in range(8):
        forward, backward, h_forward, _ = _run(seed, both=True)
        last = backward[np.arange(6), np.array(LENGTHS) - 1]
        assert rnninspect.inspect(_dump(names, [forward, backward, h_forward, last])).verdict == "unjudged"
        with pytest.raises(rnninspect.UserError):
            rnninspect.fix(_dump(names, [forward, backward, h_forward, backward[:, -1]]))
        as_two = rnninspect.inspect(_dump(names, [forward, backward, h_forward, last]), bidirectional=True)
        assert [f.rule for f in as_two.findings] == ["backward-final-at-last-step"]


@pytest.mark.parametrize("names", NAMES)
def test_two_numbered_layers_stay_two_layers(names: tuple[str, ...]) -> None:
    """Right layers are accused of nothing, are judged where their number is stated, and their mistakes keep names."""
    for seed in range(8):
        lower, upper, h_lower, h_upper = _run(seed, layers=2)
        right = _dump(names, [lower, upper, h_lower, h_upper])
        assert not rnninspect.inspect(right).findings
        assert rnninspect.inspect(right, layers=2).verdict == "clean"
        reverse = rnninspect.inspect(_dump(names, [lower, upper, h_upper, h_lower]))
        assert [f.rule for f in reverse.findings] == ["layer-order-reversed"]


@pytest.mark.parametrize("names", [("result.0", "result.1.0", "result.1.1"), ("output", "hc.0", "hc.1")])
@pytest.mark.parametrize("both", [False, True])
def test_a_call_kept_under_a_key_is_outputs_and_a_pair(names: tuple[str, str, str], both: bool) -> None:
    """(outputs, (h, c)) whole, or (h, c) alone, under a key of no known meaning: right ones are clean, c and h the
    other way round are named, and `fix` puts c back with h."""
    torch.manual_seed(0)
    layer = torch.nn.LSTM(5, 7, batch_first=True, bidirectional=both)
    pack = torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(6, 12, 5), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        packed, (h, c) = layer(pack)
    right = [torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy(), h.numpy(), c.numpy()]
    options: dict[str, Any] = {"direction": "bidirectional" if both else "forward", "convention": "torch"}
    assert rnninspect.inspect(_dump(names, right), **options).verdict == "clean"
    exchanged = rnninspect.inspect(_dump(names, [right[0], right[2], right[1]]), **options)
    assert {f.rule for f in exchanged.findings} == {"cell-hidden-swapped"}
    order = np.argsort(LENGTHS)
    fixed = rnninspect.fix(_dump(names, [right[0], right[1][:, order], right[2][:, order]]), **options)
    np.testing.assert_array_equal(fixed.arrays[names[1]], right[1])
    np.testing.assert_array_equal(fixed.arrays[names[2]], right[2])
