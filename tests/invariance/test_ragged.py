"""Sequences that are given without padding: packed, as a list of rows, and one behind the other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_sequence

from rnninspect import check_padding
from rnninspect.invariance.ragged import padded_arguments, rebuilt_arguments

LENGTHS = torch.tensor([7, 3, 5, 6])
X = torch.randn(4, 7, 4, generator=torch.Generator().manual_seed(0))
LISTED = [row[:count] for row, count in zip(X, LENGTHS.tolist(), strict=True)]
ENDS = torch.cat([torch.zeros(1, dtype=torch.int32), LENGTHS.cumsum(0).int()])
PACKED = pack_padded_sequence(X, LENGTHS, batch_first=True, enforce_sorted=False)


class Encoder(nn.Module):
    """The state of a GRU; `wrong`: the mistake that it makes."""

    def __init__(self, wrong: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.out, self.wrong = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2), wrong


class OfPacked(Encoder):
    def forward(self, seq: PackedSequence) -> Any:
        state = self.rnn(seq)[1][0]
        return self.out(state[seq.sorted_indices] if self.wrong else state)


class OfList(Encoder):
    def forward(self, seqs: list[Tensor]) -> Any:
        outputs = self.rnn(pad_sequence(seqs, batch_first=True))[0]
        ends = torch.tensor([len(one) for one in seqs]) - 1
        return self.out(outputs[:, -1] if self.wrong else outputs[torch.arange(len(seqs)), ends])


class OfSegments(Encoder):
    def forward(self, x: Tensor, cu_seqlens: Tensor) -> Any:
        if self.wrong:
            return self.out(self.rnn(x[None])[0][0])  # one state runs on from row to row
        return self.out(torch.cat([self.rnn(x[None, a:b])[0][0] for a, b in pairwise(cu_seqlens.tolist())]))


INPUTS: dict[type[Encoder], tuple[Any, ...]] = {
    OfPacked: (PACKED,),
    OfList: (LISTED,),
    OfSegments: (torch.cat(LISTED), ENDS),
}
FINDINGS = {OfPacked: "rows-mixed", OfList: "depends-on-padded-width", OfSegments: "rows-mixed"}


@pytest.mark.parametrize("kind", INPUTS)
def test_a_right_model_is_clean(kind: type[Encoder]) -> None:
    """Rows in another order, alone and cut are made of what is not padded; that noise has no place to be is said."""
    report = check_padding(kind(), *INPUTS[kind])
    assert report.verdict == "clean"
    assert report.lengths == LENGTHS.tolist()
    assert {probe.probe: probe.standing for probe in report.probes} == {
        "noise": "not made",
        "more": "held",
        "permute": "held",
        "alone": "held",
        "reach": "held",
    }
    assert [one.reason for one in report.not_checked] == ["the sequences are given without padding"]
    assert any("given without padding, so that every row" in note for note in report.notes)


@pytest.mark.parametrize("kind", INPUTS)
def test_a_wrong_model_is_named(kind: type[Encoder]) -> None:
    """Each mistake is named, and where it is made."""
    finding = check_padding(kind("wrong"), *INPUTS[kind]).findings[0]
    assert finding.rule == FINDINGS[kind]
    assert finding.evidence["where"] == kind.__name__


def test_they_may_be_nested() -> None:
    """In a dict, beside other arrays."""

    class Nested(OfPacked):
        def forward(self, batch: Any) -> Any:
            return {"logits": super().forward(batch["seq"]) + batch["bias"]}

    bias = torch.randn(4, 1, generator=torch.Generator().manual_seed(1))
    assert check_padding(Nested(), {"seq": PACKED, "bias": bias}).verdict == "clean"
    assert check_padding(Nested("wrong"), {"seq": PACKED, "bias": bias}).findings[0].rule == "rows-mixed"


@pytest.mark.parametrize("arguments", [{"a": PACKED}, {"a": {"b": LISTED}}, {"x": torch.cat(LISTED), "offsets": ENDS}])
def test_what_is_padded_is_given_back_as_it_was(arguments: dict[str, Any]) -> None:
    """To and fro leaves every number and every dtype as it was."""

    def numbers(value: Any) -> list[Any]:
        if isinstance(value, Tensor):
            return [value.dtype, *np.asarray(value).ravel().tolist()]
        items = value.values() if isinstance(value, dict) else [part for part in value if part is not None]
        return [number for item in items for number in numbers(item)]

    padded, bare = padded_arguments(arguments, lists=True)
    assert len(bare) == 1
    assert numbers(rebuilt_arguments(padded)) == numbers(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"inputs": [X, X[:, :3]]},
        {"inputs": [X, torch.zeros(1, 4, 5)]},
        {"x": X, "offsets": torch.tensor([0, 3, 2])},
        {"x": X, "cu_seqlens": ENDS},
        {"x": torch.cat(LISTED), "starts_of_something": ENDS},
    ],
)
def test_other_inputs_stay_as_they_are(arguments: dict[str, Any]) -> None:
    """Several inputs of their own shapes, and offsets of nothing, are not taken for rows."""
    assert padded_arguments(arguments, lists=True) == (arguments, frozenset())
