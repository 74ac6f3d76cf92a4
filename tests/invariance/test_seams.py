"""The exact rule of what a model's own code does between layers: rows sorted, flipped, reshaped, axes exchanged."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnninspect import check_padding

X, LENGTHS = torch.randn(4, 7, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 7, 5, 4])


class Model(nn.Module):
    """An encoder over rows that are sorted by length, flipped or turned, right or wrong."""

    def __init__(self, right: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.right = right
        self.rnn, self.second = nn.GRU(5, 5, batch_first=True), nn.GRU(5, 5, batch_first=True)
        self.out, self.both = nn.Linear(5, 2), nn.Linear(10, 2)

    def packed(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.rnn(packed)[1][0]  # type: ignore[no-any-return]


class LeftSorted(Model):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        order = lengths.argsort(descending=True)
        final = self.out(self.packed(x[order], lengths[order]))
        return final[order.argsort()] if self.right else final  # type: ignore[no-any-return]


class SortedTwice(Model):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        order = lengths.argsort(descending=True)
        final = self.packed(x[order], lengths[order])
        return self.out(final[order.argsort()] if self.right else final[order])  # type: ignore[no-any-return]


class BesideOthers(Model):
    """Half of what a layer reads is still sorted."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        order = lengths.argsort(descending=True)
        final = self.packed(x[order], lengths[order])
        final = final[order.argsort()] if self.right else final
        return self.both(torch.cat([final, x[:, 0]], 1))  # type: ignore[no-any-return]


class Sorting(Model):
    """An encoder that sorts its rows, and gives them back so."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        order = lengths.argsort(descending=True)
        final = self.packed(x[order], lengths[order])
        return final[order.argsort()] if self.right else final


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(5, 5)

    def forward(self, x: Tensor, state: Tensor) -> Any:
        return self.cell(x[:, 0], state)


class ReadBeside(nn.Module):
    """A decoder that is given rows in order and a state that is sorted."""

    def __init__(self, right: bool) -> None:
        super().__init__()
        self.encoder, self.decoder = Sorting(right), Decoder()

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        return self.decoder(x, self.encoder(x, lengths))


class Flipped(Model):
    """The backward direction by hand, within the lengths or over the whole width."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        steps = torch.arange(x.size(1))
        back = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
        index = back if self.right else steps.flip(0).expand(len(x), -1)
        backward, _ = self.second(torch.tanh(self.out.weight.sum()) * x.gather(1, index[..., None].expand_as(x)))
        return backward.gather(1, index[..., None].expand_as(backward))  # type: ignore[no-any-return]


class FlippedPlainly(Model):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        encoded, _ = self.rnn(x)
        steps = torch.arange(x.size(1))
        back = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)[..., None].expand_as(encoded)
        backward, _ = self.second(encoded.gather(1, back) if self.right else encoded.flip(1))
        return backward.gather(1, back) if self.right else backward.flip(1)  # type: ignore[no-any-return]


class AxesTaken(Model):
    """A second layer that takes the rows for steps."""

    def __init__(self, right: bool) -> None:
        super().__init__(right)
        self.second.batch_first = right

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.second(self.rnn(x)[0])[0][torch.arange(len(x)), lengths - 1]  # type: ignore[no-any-return]


class Viewed(Model):
    """Rows and steps exchanged by a view."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        turned = x.transpose(0, 1) if self.right else x.reshape(x.size(1), x.size(0), -1)
        self.rnn.batch_first = False
        return self.rnn(turned)[0][lengths - 1, torch.arange(len(x))]  # type: ignore[no-any-return]


CASES = {
    LeftSorted: ("LeftSorted", "out", "rows-permuted"),
    SortedTwice: ("SortedTwice", "out", "rows-permuted"),
    BesideOthers: ("BesideOthers", "rnn", "rows-permuted"),
    ReadBeside: ("encoder", "encoder.rnn", "rows-permuted"),
    FlippedPlainly: ("FlippedPlainly", "rnn", "backward-read-padding"),
    AxesTaken: ("second", None, "batch-time-swapped"),
    Viewed: ("Viewed", None, "inputs-reshaped-not-transposed"),
}


@pytest.mark.parametrize("kind", CASES)
def test_the_rule_of_the_code_is_named(kind: type[nn.Module]) -> None:
    """Where the code put rows or steps in another order, the report names that rule, and the layer that it follows."""
    evidence = check_padding(kind(False), X, LENGTHS).findings[0].evidence
    assert (evidence["where"], evidence.get("after"), evidence.get("rule")) == CASES[kind]


@pytest.mark.parametrize("kind", [*CASES, Flipped])
def test_right_code_is_not_accused(kind: type[nn.Module]) -> None:
    """The same with rows put back, steps flipped within their lengths and axes transposed is clean."""
    assert check_padding(kind(True), X, LENGTHS).verdict == "clean"


def test_a_batch_that_is_sorted_already_shows_it_too() -> None:
    """Rows that a model sorts are in order on a sorted batch; another order of the rows shows that they are not."""
    order = LENGTHS.argsort(descending=True)
    finding = check_padding(LeftSorted(False), X[order], LENGTHS[order]).findings[0]
    assert (finding.rule, finding.evidence["rule"]) == ("rows-mixed", "rows-permuted")


def test_lengths_that_are_not_sorted_along() -> None:
    """In a model that sorts its rows, a layer's rule is that of the rows as it is given them."""

    class NotAlong(Model):
        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            order = lengths.argsort(descending=True)
            outputs, _ = self.rnn(x[order])
            final = outputs[torch.arange(len(x)), (lengths[order] if self.right else lengths) - 1]
            return self.out(final[order.argsort()])  # type: ignore[no-any-return]

    assert check_padding(NotAlong(True), X, LENGTHS).verdict == "clean"
    evidence = check_padding(NotAlong(False), X, LENGTHS).findings[0].evidence
    assert (evidence["where"], evidence["rule"]) == ("NotAlong", "lengths-misaligned")


def test_a_later_call_of_a_layer_is_recorded() -> None:
    """Of a layer that is wrong about its second sequence alone, that call's rule is named."""

    class Twice(Model):
        def forward(self, a: Tensor, a_len: Tensor, b: Tensor, b_len: Tensor) -> Any:
            return self.packed(a, a_len), self.rnn(b)[1][0]

    options = {"lengths": {"a": "a_len", "b": "b_len"}}
    evidence = check_padding(Twice(False), X, LENGTHS, X[:, :6], LENGTHS.clamp(max=6), **options).findings[0].evidence
    assert (evidence["where"], evidence["call"], evidence["rule"]) == ("rnn", 1, "lengths-ignored")
