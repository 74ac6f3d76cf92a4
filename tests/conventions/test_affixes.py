"""What all names of a dump share (`encoder.`, `_np`) changes nothing of how the arrays are read, judged and mended."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.conventions import conventions
from rnninspect.conventions.dumps.affixes import plain_names
from rnninspect.core.trace import Array

LENGTHS = torch.tensor([7, 3, 5, 2, 6])
ORDER = [3, 0, 4, 1, 2]
UNITS = 6
AFFIXES = [("encoder.", ""), ("enc_", ""), ("lstm/", ""), ("", "_np"), ("model.rnn.", ""), ("train/batch0/", "")]
Dump = dict[str, Array]


@cache
def _ran(bidirectional: bool) -> tuple[Array, Array, Array]:
    """Outputs `[B, T, D*H]`, h and c `[D, B, H]` of a packed run."""
    torch.manual_seed(530)
    layer = torch.nn.LSTM(4, UNITS, batch_first=True, bidirectional=bidirectional)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(5, 7, 4), LENGTHS, batch_first=True, enforce_sorted=False
    )
    with torch.no_grad():
        outputs, (h, c) = layer(packed)
    return torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0].numpy(), h.numpy(), c.numpy()


def _keras(exchanged: bool) -> Dump:
    outputs, h, c = _ran(True)
    fw, bw = (1, 0) if exchanged else (0, 1)
    return {"outputs": outputs, "forward_h": h[fw], "forward_c": c[fw], "backward_h": h[bw], "backward_c": c[bw]}


def _tf1(exchanged: bool) -> Dump:
    outputs, h, c = _ran(True)
    fw, bw = (1, 0) if exchanged else (0, 1)
    return {
        "outputs.fw": outputs[..., :UNITS],
        "outputs.bw": outputs[..., UNITS:],
        "final_state.fw.h": h[fw],
        "final_state.bw.h": h[bw],
        "final_state.fw.c": c[fw],
        "final_state.bw.c": c[bw],
    }


def _torch(permuted: bool) -> Dump:
    outputs, h, c = _ran(False)
    rows = ORDER if permuted else slice(None)
    return {"output": outputs, "h0": np.zeros_like(h), "h_n": h[:, rows], "c_n": c[:, rows]}


def _flax(swapped: bool) -> Dump:
    outputs, h, c = _ran(False)
    return {"outputs": outputs, "carry.c": (h if swapped else c)[0], "carry.h": (c if swapped else h)[0]}


def _onnx(swapped: bool) -> Dump:
    outputs, h, c = _ran(True)
    y = outputs.reshape(5, 7, 2, UNITS).transpose(1, 2, 0, 3)
    return {"Y": y, "Y_h": c if swapped else h, "Y_c": h if swapped else c}


CASES = {
    "keras": (_keras, "directions-exchanged"),
    "tf1": (_tf1, "directions-exchanged"),
    "torch": (_torch, "rows-permuted"),
    "flax": (_flax, "cell-hidden-swapped"),
    "onnx": (_onnx, "cell-hidden-swapped"),
}


@pytest.mark.parametrize("outside", [True, False], ids=["lengths outside", "lengths inside"])
@pytest.mark.parametrize(("before", "behind"), AFFIXES)
@pytest.mark.parametrize("case", CASES)
def test_a_shared_affix_is_no_part_of_a_name(case: str, before: str, behind: str, outside: bool) -> None:
    """Right is clean, wrong is named, and `fix` writes h and c under the dump's own names, as without the affix."""
    made, rule = CASES[case]

    def named(dump: Dump) -> Dump:
        inside = dump if outside else {**dump, "lengths": LENGTHS.numpy()}
        whole = {before + name + behind: array for name, array in inside.items()}
        return {**whole, "lengths": LENGTHS.numpy()} if outside else whole

    right, wrong = named(made(False)), named(made(True))
    assert rnninspect.inspect(right).verdict == "clean"
    report = rnninspect.inspect(wrong)
    assert {finding.rule for finding in report.findings} == {rule}
    assert not any("was not read" in sentence for sentence in report.source.get("unused", []))
    fixed = rnninspect.fix(wrong)
    assert fixed.report.verdict == "clean"
    assert fixed.arrays.keys() == right.keys()
    assert all(np.array_equal(fixed.arrays[name], array) for name, array in right.items())


@pytest.mark.parametrize(
    "names",
    [
        ["outputs", "final_state.h", "final_state.c"],
        ["final_output", "final_h"],
        ["h_0", "h_n", "output_0"],
        ["layer_0/outputs", "layer_0/h", "layer_1/outputs", "layer_1/h"],
        ["encoder.output", "encoder.h_n", "decoder.output", "decoder.h_n"],
        ["encoder.output", "encoder.h_n", "loss", "decoder.cell"],
        ["outputs.0", "outputs.1", "outputs.2"],
        ["encoder.output", "encoder.h_n", "h_n"],
        ["", "encoder.h_n", "encoder.c_n"],
        [],
    ],
)
def test_what_says_something_is_kept(names: list[str]) -> None:
    """Words that tell final from initial, layers, directions or two networks apart are part of a name, and names that
    would be two arrays' stay."""
    assert plain_names(names, conventions().values()) == {}


@pytest.mark.parametrize(
    ("names", "plain"),
    [
        (["enc_q_outputs", "enc_q_h_n", "enc_q_lengths", "lengths"], ["q_outputs", "q_h_n", "q_lengths", "lengths"]),
        (["enc_q_outputs", "enc_q_h_n", "enc_q_1"], ["q_outputs", "q_h_n", "q_1"]),
        (["dec.a.outputs", "dec.a.h", "src_lengths"], []),
        (["run.outputs", "run.h", "loss", "metrics.lr"], ["outputs", "h", "loss", "metrics.lr"]),
        (["dec.a.outputs", "dec.a.h", "tgt_lengths"], ["outputs", "h", "tgt_lengths"]),
    ],
)
def test_the_longest_affix_that_leaves_names_is_taken(names: list[str], plain: list[str]) -> None:
    """Where the longest would leave two of one name, or a number, a shorter one is; none beside the other side's
    lengths."""
    assert list(plain_names(names).values()) == plain


@pytest.mark.parametrize(("h", "c"), [("hT", "cT"), ("lstm_h", "lstm_c"), ("s1", "s2"), ("enc_h", "enc_c")])
def test_c_is_found_under_names_of_peoples_programs(h: str, c: str) -> None:
    """h and c are put back together, where names tell c, and where only its numbers do."""
    outputs, state, cell = _ran(False)
    dump = {"outputs": outputs, h: state[0][ORDER], c: cell[0][ORDER], "lengths": LENGTHS.numpy()}
    fixed = rnninspect.fix(dump)
    assert [change.rule for change in fixed.changes] == ["rows-permuted"]
    assert np.array_equal(fixed.arrays[h], state[0])
    assert np.array_equal(fixed.arrays[c], cell[0])


def test_layers_by_number_are_no_initial_state() -> None:
    """`h_0` beside `h_1` is the bottom layer's final state; alone, beside `h_n`, what the layer starts from."""
    torch.manual_seed(1)
    outputs, h = torch.nn.GRU(4, UNITS, 2, batch_first=True)(torch.randn(5, 7, 4))
    arrays = {"output": outputs.detach().numpy(), "h_0": h[0].detach().numpy(), "h_1": h[1].detach().numpy()}
    report = rnninspect.inspect(arrays, lengths="full")
    assert (report.verdict, report.shape["layers"]) == ("clean", 2)
