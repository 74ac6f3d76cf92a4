"""Sequences that are given without padding: packed, as a list of rows, and one behind the other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence, pad_sequence

from rnninspect import check_padding, inspect, record
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
    assert any("given without padding, so that a row" in note for note in report.notes)


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


NAMES = ["a", "bb", "ccc", "dddd"]
TOKENS = [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10]]
WEIGHTS = [torch.tensor(float(row + 1)) for row in range(4)]
SAMPLES = [{"x": row, "name": name, "at": at} for at, (row, name) in enumerate(zip(LISTED, NAMES, strict=True))]


class OfBatches(Encoder):
    """States of rows that come in the containers that a `collate_fn` leaves them in, each multiplied by a number that
    belongs to its row."""

    def forward(self, rows: Any, beside: Any = None, lengths: Any = None) -> Any:
        if isinstance(rows[0], dict):
            rows, beside = [one["x"] for one in rows], [one["name"] for one in rows]
        elif isinstance(rows[0], tuple):
            rows, beside = zip(*rows, strict=True)
        elif isinstance(rows[0], list):
            rows = [torch.tensor([[n / 9, 1.0, 0.0, n / 7] for n in row]) for row in rows]
        elif lengths is not None:
            rows = [row[: int(count)] for row, count in zip(rows, lengths, strict=True)]
        counts = torch.tensor([len(row) for row in rows])
        packed = pack_padded_sequence(pad_sequence([*rows], batch_first=True), counts, True, False)
        state = self.rnn(packed)[1][0]
        states = self.out(state[packed.sorted_indices] if self.wrong else state)
        factors = (
            [1.0 for _ in rows] if beside is None else [len(b) if isinstance(b, str) else float(b) for b in beside]
        )
        return states * torch.tensor(factors)[: len(states), None]


@pytest.mark.parametrize("wrong", ["", "sorted"])
@pytest.mark.parametrize(
    "inputs",
    [
        (X, NAMES, LENGTHS.tolist()),
        (X, np.array(NAMES), [*LENGTHS.unbind()]),
        (X, tuple(NAMES), range(2, 6)),
        (LISTED, WEIGHTS),
        (TOKENS,),
        (SAMPLES,),
        ([*zip(LISTED, WEIGHTS, strict=True)],),
    ],
    ids=["texts", "array of texts", "range", "weights", "tokens", "mappings", "tuples"],
)
def test_lists_of_a_row_each_follow_the_rows(inputs: tuple[Any, ...], wrong: str) -> None:
    """Texts, tensors without axes, ranges and whole samples are taken row by row, as arrays are: what stays in its
    place while the rows change makes a right model look as if it mixed them.
    """
    report = check_padding(OfBatches(wrong), *inputs, probes=("permute", "alone"))
    assert [f.rule for f in report.findings] == (["rows-mixed"] if wrong else []), report
    assert wrong or report.verdict == "clean"


def test_settings_as_many_as_rows_are_of_no_row() -> None:
    """Texts that set the model up are not put in another order, though there are as many as rows."""
    report = check_padding(lambda x, modes: x.sum(1) * len(modes[0]), X, NAMES, lengths="full", probes="permute")
    assert report.verdict == "clean"


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested")
def test_a_nested_tensor_is_a_list_of_rows() -> None:
    """It is padded for the check and handed on nested: a state at the padded end is found, that of packed rows not."""
    nested = torch.nested.nested_tensor(LISTED)
    for wrong, rules in (("", []), ("end", ["depends-on-padded-width"])):
        model = OfList(wrong)
        report = check_padding(lambda rows, model=model: model([*rows.unbind()]), nested, probes=("more", "permute"))
        assert [finding.rule for finding in report.findings] == rules


class Attributes(dict):  # type: ignore[type-arg]
    """A mapping that takes attributes for keys, and raises KeyError on those that it lacks."""

    __getattr__ = dict.__getitem__


def test_a_mapping_that_takes_attributes_for_keys_is_a_mapping() -> None:
    """It is handed on as what it is to a model that reads its attributes, and read like any other mapping."""
    batch = Attributes(x=X, lengths=LENGTHS)
    for wrong, verdict in (("", "clean"), ("end", "findings")):
        model = OfList(wrong)
        report = check_padding(
            lambda batch, model=model: model([r[:n] for r, n in zip(batch.x, batch.lengths, strict=True)]), batch
        )
        assert report.verdict == verdict
    layer = nn.GRU(4, 5, batch_first=True)
    outputs, state = layer(PACKED)
    whole = pad_packed_sequence(outputs, batch_first=True)[0]
    assert inspect(Attributes(output=whole, h_n=state, lengths=LENGTHS)).verdict == "clean"
    reader = Reader(layer)
    with record(reader, lengths="lengths") as recording:
        reader(batch)
    assert recording.inspect().verdict == "findings"


class Reader(nn.Module):
    def __init__(self, layer: nn.GRU) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, batch: Any) -> Any:
        return self.layer(batch.x)[1][-1]
