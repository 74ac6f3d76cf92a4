"""An encoder and a decoder in one dump: each side's lengths and mask go with its own outputs and state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect

NAMES = [
    ("encoder_outputs src_lengths decoder_outputs decoder_hidden tgt_lengths", "dec"),
    ("decoder_outputs decoder_hidden tgt_lengths encoder_outputs src_lengths", "dec"),
    ("enc_out src_len dec_out dec_hid trg_len", "dec"),
    ("encoder_outputs encoder_hidden tgt_lengths src_lengths", "enc"),
    ("decoder_outputs decoder_hidden src_mask target_mask", "dec"),
]
LENGTHS = {"src": np.array([9, 4, 7, 2, 6]), "tgt": np.array([7, 3, 5, 2, 6])}


def _ran(lengths: Any, seed: int) -> tuple[Any, Any]:
    torch.manual_seed(seed)
    x = torch.randn(5, int(lengths.max()), 4)
    pack = torch.nn.utils.rnn.pack_padded_sequence(x, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        packed, h = torch.nn.GRU(4, 6, batch_first=True)(pack)
    return torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].numpy(), h.numpy()


@pytest.mark.parametrize(("names", "whose"), NAMES, ids=[names for names, _ in NAMES])
def test_lengths_of_the_other_side_are_not_taken(names: str, whose: str) -> None:
    """A right decoder, or encoder, is accused of nothing by the other's lengths; a last column is named by its own."""
    runs = {"enc": _ran(LENGTHS["src"], 1), "dec": _ran(LENGTHS["tgt"], 2)}
    dump: dict[str, Any] = {}
    for name in names.split():
        side = "enc" if name.startswith(("enc", "src")) else "dec"
        lengths = LENGTHS["src" if side == "enc" else "tgt"]
        outputs, state = runs[side]
        kinds = {"out": outputs, "hid": state, "len": lengths, "mas": np.arange(lengths.max()) < lengths[:, None]}
        dump[name] = kinds[name.split("_")[1][:3]]
    right = rnninspect.inspect(dump)
    assert (right.verdict, [f.rule for f in right.findings]) == ("clean", [])
    state = next(name for name in dump if "hid" in name and name.startswith(whose))
    column = dump | {state: runs[whose][0][None, :, -1]}
    assert [f.rule for f in rnninspect.inspect(column).findings] == ["last-column-as-final-state"]


def test_lengths_of_the_other_side_alone_are_not_read() -> None:
    """Beside the source's lengths alone a decoder's are not known: nothing is accused, and they are named as unread."""
    outputs, state = _ran(LENGTHS["tgt"], 2)
    report = rnninspect.inspect({"decoder_outputs": outputs, "decoder_hidden": state, "src_lengths": LENGTHS["src"]})
    assert report.verdict != "findings"
    assert any("src_lengths" in sentence for sentence in report.source["unused"])


def test_a_decoders_state_that_is_stated_leaves_its_encoder_the_outputs(tmp_path: Path) -> None:
    """A decoder begins at its encoder's final state; a decoder's own outputs go before the encoder's."""
    runs = {side: _ran(LENGTHS["tgt"], seed) for seed, side in enumerate(("encoder", "decoder"))}
    dump = {"encoder_outputs": runs["encoder"][0], "input_lengths": LENGTHS["tgt"]}
    decoded = {"decoder_outputs": runs["decoder"][0], "decoder_hidden": runs["decoder"][1]}
    for name, arrays in (("begun", {"decoder_hidden": runs["encoder"][1]}), ("both", decoded)):
        np.savez(tmp_path / f"{name}.npz", **dump, **arrays)
        assert rnninspect.compare(tmp_path / f"{name}.npz", state="decoder_hidden").verdict == "clean"
