"""Masks and neighbourhoods of pairs of steps beside sequences: it is the sequence that is judged; both axes grow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from rnninspect import check_padding

PROBES = ("noise", "more")
LENGTHS = torch.tensor([6, 3, 4])
X = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0))
REAL = torch.arange(6) < LENGTHS[:, None]
BOTH, KEYS = REAL[:, None] & REAL[:, :, None], REAL[:, None].expand(3, 6, 6)
LOWER = torch.ones(6, 6, dtype=torch.bool).tril()
RING = BOTH & ((torch.arange(6)[:, None] - torch.arange(6)).abs() <= 1)
HIDDEN = {
    "of real steps": ~BOTH,
    "of keys": ~KEYS,
    "of earlier keys": ~(KEYS & LOWER),
    "of heads": ~BOTH[:, None].expand(3, 2, 6, 6),
    "of one head": ~KEYS[:, None],
    "shared": ~LOWER,
}


class Attention(torch.nn.Module):
    """Attention that hides what a mask `[B, T, T]`, `[B, H, T, T]` or `[T, T]` hides, or, wrongly, too little."""

    def __init__(self, right: bool, kind: str) -> None:
        super().__init__()
        self.right, self.kind = right, kind

    def forward(self, x: Tensor, lengths: Tensor, attn_mask: Tensor) -> Any:
        hidden = attn_mask if self.kind == "hides" else ~attn_mask if self.kind == "sees" else attn_mask < 0
        x = torch.tanh(x)
        heads = x[:, None] if hidden.dim() == 4 else x
        scores = heads @ heads.transpose(-1, -2)
        if self.right:
            scores = scores.masked_fill(hidden, -1e9)
        return scores.softmax(-1) @ heads


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize(("kind", "mask"), [*(("hides", m) for m in HIDDEN), ("sees", "of keys"), ("adds", "of keys")])
def test_a_mask_of_pairs_is_no_sequence(kind: str, mask: str, right: bool) -> None:
    """A model that reads padding is caught beside any such mask, and one that uses it is clean, with lengths and
    without: then what no step sees is padding.
    """
    hidden = HIDDEN[mask]
    value = hidden if kind == "hides" else ~hidden if kind == "sees" else hidden * -1e9
    model = Attention(right, kind)
    report = check_padding(model, X, LENGTHS, value, probes=PROBES)
    assert [f.rule for f in report.findings] == ([] if right else ["reads-padding"]), report
    assert {p.standing for p in report.probes} <= {"held", "differs"}, report
    if mask in ("of earlier keys", "of real steps"):
        unstated = check_padding(lambda x, attn_mask: model(x, None, attn_mask), X, value, probes=PROBES)
        assert [f.rule for f in unstated.findings] == [f.rule for f in report.findings], unstated


@pytest.mark.parametrize(("wrong", "inward"), [("", True), ("", False), ("reads", True), ("width", False)])
def test_a_neighbourhood_is_no_sequence(wrong: str, inward: bool) -> None:
    """Steps gather what their neighbours hold, by either axis of `[B, T, T]`: its own padding is left as it is, which a
    model may rely on; one that adds all steps, or divides by T, is caught.
    """

    def model(x: Tensor, lengths: Tensor, near: Tensor) -> Tensor:
        gathered = (near if inward else near.transpose(1, 2)) @ x
        gathered = gathered + x.mean(1, keepdim=True) if wrong == "reads" else gathered
        return gathered / x.size(1) if wrong == "width" else gathered

    directed = RING.float() * torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(1))
    expected = {"": [], "reads": ["reads-padding"], "width": ["depends-on-padded-width"]}[wrong]
    for near in (RING.float(), directed):
        assert [f.rule for f in check_padding(model, X, LENGTHS, near, probes=PROBES).findings] == expected


def test_features_as_many_as_steps_are_a_sequence() -> None:
    """`[B, T, T]` alone is chance: numbers of a sequence are neither a mask, nor symmetric, nor seen alike by all."""
    square = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(2))
    for x in (square, square * REAL[..., None]):
        for model, verdict in ((lambda x, n: x.sum(1), "findings"), (lambda x, n: x.cumsum(1), "clean")):
            assert check_padding(model, x, LENGTHS, lengths="n", probes=PROBES).verdict == verdict
