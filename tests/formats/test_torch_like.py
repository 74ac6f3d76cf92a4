"""`rnninspect fix` of a `.pt` keeps what `torch.save` was given: dicts, lists, tuples, packed rows and dtypes."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from rnninspect.cli import call
from rnninspect.formats.torch_like import filled

LENGTHS = torch.tensor([4, 2, 3])


def shapes(tree: Any) -> Any:
    """The containers of a tree, and the dtypes of its tensors."""
    if isinstance(tree, dict):
        return {key: shapes(value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree), [shapes(value) for value in tree]
    return tree.dtype if isinstance(tree, torch.Tensor) else tree


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", ["tuple", "nested", "named"])
def test_the_fixed_file_has_the_containers_of_the_dump(tmp_path: Path, form: str, dtype: torch.dtype) -> None:
    """Proves that states put back in order stand where the wrong ones stood, in tuples, lists and nested dicts, beside
    what is no array, in their own dtype."""
    outputs = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    outputs[torch.arange(4) >= LENGTHS[:, None]] = 0
    h = outputs[torch.arange(3), LENGTHS - 1]
    c, order = torch.atanh(h.float()).to(dtype), torch.tensor([0, 2, 1])

    def dump(rows: torch.Tensor) -> Any:
        state = h[rows][None], c[rows][None]
        if form == "tuple":
            return outputs, state, LENGTHS
        if form == "nested":
            return {"result": [outputs, (state[0],)], "lengths": LENGTHS.tolist(), "epoch": 3, "note": {"by": "me"}}
        return {"output": outputs, "h_n": state[0], "c_n": state[1], "lengths": LENGTHS}

    torch.save(dump(order), tmp_path / "dump.pt")
    assert call(["fix", str(tmp_path / "dump.pt"), "-o", str(tmp_path / "fixed.pt"), "-q"]) == 0
    fixed, right = torch.load(tmp_path / "fixed.pt"), dump(torch.arange(3))
    assert shapes(fixed) == shapes(right)
    states = {"tuple": lambda tree: tree[1], "nested": lambda tree: tree["result"][1]}
    taken = states.get(form, lambda tree: (tree["h_n"], tree["c_n"]))
    assert all(torch.equal(a, b) for a, b in zip(taken(fixed), taken(right), strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fixed_safetensors_keeps_its_dtypes_and_metadata(tmp_path: Path, dtype: torch.dtype) -> None:
    """Proves that what numpy has no dtype for is written in it again, number for number, beside what is right."""
    safetensors = pytest.importorskip("safetensors.torch")
    outputs = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    outputs[torch.arange(4) >= LENGTHS[:, None]] = 0
    h = outputs[torch.arange(3), LENGTHS - 1][None]
    right = {"output": outputs, "h_n": h, "lengths": LENGTHS, "odd": torch.ones(3, dtype=torch.bool)}
    safetensors.save_file(right | {"h_n": h[:, [0, 2, 1]].clone()}, tmp_path / "dump.safetensors", {"by": "me"})
    assert call(["fix", str(tmp_path / "dump.safetensors"), "-o", str(tmp_path / "fixed.safetensors"), "-q"]) == 0
    with safetensors.safe_open(tmp_path / "fixed.safetensors", "pt") as fixed:
        assert fixed.metadata() == {"by": "me"}
        assert all(torch.equal(fixed.get_tensor(k), v) for k, v in right.items())
        assert shapes({k: fixed.get_tensor(k) for k in right}) == shapes(right)


def test_new_arrays_stand_at_the_top_of_a_dict_alone() -> None:
    """Proves that an array without a place is added to a dict, and that a tuple has none for it; a packed sequence and
    an ordered dict stay what they are."""
    packed = pack_padded_sequence(torch.ones(3, 4, 2), LENGTHS, batch_first=True, enforce_sorted=False)
    tree = OrderedDict(output=packed, h=torch.zeros(3, 2, dtype=torch.float16), size=2)
    whole = filled(tree, {"h": np.ones((3, 2), np.float32), "size": np.array(5), "mask": np.ones((3, 4))})
    assert isinstance(whole["output"], torch.nn.utils.rnn.PackedSequence)
    assert (whole["h"].dtype, whole["size"], whole["mask"].dtype) == (torch.float16, 5, torch.float64)
    assert filled((torch.zeros(2),), {"0": np.ones(2), "mask": np.ones(2)}) is None
