"""What is to be written at a layer that reads padding: the code, run as it is shown, makes the model right."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnninspect import check_padding
from rnninspect.invariance.layer_fixes import layer_fix
from rnninspect.invariance.model import LayerCall

F, T = 4, 7
LENGTHS = torch.tensor([7, 3, 5])
X = torch.randn(3, T, F, generator=torch.Generator().manual_seed(0))
LAYERS: dict[str, nn.Module] = {
    "convolution": nn.Conv1d(F, F, 3, padding=1),
    "of images": nn.Conv2d(1, 1, 3, padding=1),
    "instance norm": nn.InstanceNorm1d(F),
    "group norm": nn.GroupNorm(2, F),
    "maximum": nn.AdaptiveMaxPool1d(1),
    "windows": nn.MaxPool1d(3, 1, 1),
    "mean": nn.AdaptiveAvgPool1d(1),
    "attention": nn.MultiheadAttention(F, 2, batch_first=True),
    "encoder": nn.TransformerEncoderLayer(F, 2, 8, 0.0, batch_first=True),
    "softmax": nn.Softmax(1),
}
STEPS_FIRST = ("attention", "encoder", "softmax")  # they read [B, T, F], the others [B, F, T]


class Model(nn.Module):
    """A layer, and the sum of the real steps of what it returns; `fix`: code before it, or in its place."""

    def __init__(self, name: str, fix: str = "") -> None:
        super().__init__()
        self.layer, self.name, self.fix = LAYERS[name], name, fix

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(x.shape[1]) < lengths[:, None]
        first = self.name in STEPS_FIRST or "LayerNorm" in self.fix
        x = x if first else x.transpose(1, 2)
        x = x.transpose(1, 2)[:, None] if self.name == "of images" else x
        x = x.sum(2) if self.name == "softmax" else x
        made: dict[str, Any] = {"x": x, "scores": x, "lengths": lengths, "T": real.shape[1], "F": F}
        made |= {"torch": torch, "nn": nn, "layer": self.layer}
        exec(self.fix.replace("layer(", "y = layer("), made)  # its own code, as a reader would paste it
        x = made["scores"] if self.name == "softmax" else made["x"]
        y = made.get("y")
        y = self.layer(*[x] * (3 if self.name == "attention" else 1)) if y is None else y
        y = y[0] if isinstance(y, tuple) else y
        y = y[:, 0] if self.name == "of images" else y
        if self.name in ("maximum", "mean"):
            return y.flatten(1)  # type: ignore[no-any-return]
        if self.name == "softmax":
            return (y * real).sum(1, keepdim=True) * y[:, :1]  # type: ignore[no-any-return]
        y = y if first or self.name == "of images" else y.transpose(1, 2)
        return (y * real[..., None]).sum(1)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", LAYERS)
def test_the_code_at_a_layer_makes_the_model_right(name: str) -> None:
    """Each layer reads padding, the finding's code is of that layer, and with it the model is clean."""
    torch.manual_seed(0)
    finding = check_padding(Model(name).eval(), X, LENGTHS, probes="noise").findings[0]
    assert finding.evidence["where"].partition(".")[0] == "layer"
    assert "outputs[" not in finding.fix, finding.fix
    mended = check_padding(Model(name, finding.fix).eval(), X, LENGTHS, probes=("noise", "more"))
    assert mended.verdict == "clean", mended


@pytest.mark.parametrize("kind", [nn.GRU, nn.MultiheadAttention])
def test_a_layer_that_takes_rows_for_steps_is_built_anew(kind: Any) -> None:
    """By its own class, with `batch_first`."""
    torch.manual_seed(0)

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = kind(F, 2)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            y = self.layer(x)[0] if kind is nn.GRU else self.layer(x, x, x)[0]
            return y[torch.arange(len(x)), lengths - 1]  # type: ignore[no-any-return]

    findings = check_padding(Last(), X, LENGTHS, probes=("permute", "alone")).findings
    assert [f"nn.{kind.__name__}(" in one.fix and "batch_first=True" in one.fix for one in findings] == [True]


@pytest.mark.parametrize("over_batch", [True, False])
def test_what_is_computed_over_the_batch_was_not_sorted(over_batch: bool) -> None:
    """Rows in another order are right, and a row by itself is not: the code is of the axis."""
    report = check_padding(lambda x: x.sum(1).softmax(0 if over_batch else 1), X, probes=("permute", "alone"))
    assert ["dim=0" in one.fix and "argsort" not in one.fix for one in report.findings] == [True] * over_batch


def test_a_recurrent_layer_of_keras_is_given_its_mask() -> None:
    """Not numpy's code for its outputs, which a layer that returns its state alone has none of; of a layer in two
    directions the one is named that the code calls.
    """
    calls = [
        LayerCall("both", 0, "Bidirectional", None, {}, {}),
        LayerCall("forward_gru", 0, "GRU", ("both", 0), {}, {}, recurrent=True),
        LayerCall("lstm", 0, "LSTM", None, {}, {}, recurrent=True),
    ]
    assert layer_fix(calls[1], calls, "keras", "noise").startswith("both(x, mask=mask)")
    assert layer_fix(calls[2], calls, "keras", "noise").startswith("lstm(x, mask=mask)")
