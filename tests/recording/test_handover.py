"""A state handed from call to call: carried on, reset, or moved to other rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import rnninspect

B, T, F, H = 4, 3, 2, 5
PART = torch.tensor([1.0, 0, 1, 1])[None, :, None]  # a row of four begins anew


@pytest.mark.parametrize(
    ("carry", "moved"),
    [
        (lambda h: h, ""),
        (lambda h: h * PART, ""),
        (lambda h: 0 * h, ""),
        (lambda h: h[:, [0, 0, 1, 1]], ""),  # a beam search keeps the best rows
        (lambda h: h[:, [3, 0, 1, 2]], "row 0 in that of row 3, row 1 in that of row 0"),
        (lambda h: h[:, [0, 1, 3, 2]], "row 2 in that of row 3, row 3 in that of row 2)"),
        (lambda h: (h * PART)[:, [1, 2, 3, 0]], "row 1 in that of row 2, row 2 in that of row 3"),
    ],
)
@pytest.mark.parametrize("kind", ["layers", "cell"])
def test_a_state_that_is_carried_to_other_rows_is_said(
    carry: Callable[[Tensor], Tensor], moved: str, kind: str
) -> None:
    """Each call alone is right; whether the batch was put in that order too cannot be seen: unjudged, with the rule."""
    torch.manual_seed(1)
    model = nn.GRU(F, H, 2, batch_first=True) if kind == "layers" else nn.GRUCell(F, H)
    h = torch.zeros(2 if kind == "layers" else 1, B, H)
    with rnninspect.record(model, lengths="full") as recording:
        for _ in range(2):
            began, x = carry(h).detach(), torch.randn(B, T, F)
            if kind == "layers":
                _, h = model(x, began)
            else:
                state = began[0]
                for step in range(T):
                    state = model(x[:, step], state)
                h = state[None]
    first, *_, last = (recording.inspect()[0], *recording.inspect())  # of a cell that goes on, one loop
    assert (first.verdict, last.verdict) == ("clean", "unjudged" if moved else "clean")
    assert [(f.rule, f.severity) for f in last.findings] == ([("rows-chunked", "note")] if moved else [])
    assert moved in (last.untested or "")


class Sorting(nn.Module):
    """Sorts its rows by length, each call anew; its state is in the order of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(F, H, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor, h: Tensor) -> Tensor:
        lengths, order = lengths.sort(descending=True)
        packed = nn.utils.rnn.pack_padded_sequence(x[order], lengths, batch_first=True)
        after: Tensor = self.rnn(packed, h[:, order])[1][:, order.argsort()]
        return after


def test_a_state_that_a_model_sorts_with_its_rows_is_no_moved_one() -> None:
    """The layer sees other rows at each call, the batch does not."""
    torch.manual_seed(1)
    model, h = Sorting(), torch.zeros(1, B, H)
    with rnninspect.record(model, lengths="lengths") as recording:
        for lengths in ([1, 3, 2, 3], [3, 2, 1, 1]):
            h = model(torch.randn(B, T, F), torch.tensor(lengths), h)
    assert not recording.inspect().findings
    assert all("other rows" not in (report.untested or "") for report in recording.inspect())
