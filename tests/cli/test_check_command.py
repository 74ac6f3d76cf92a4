"""`rnninspect check`: models by name and by file, batches by file, exit codes, and one line for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from tests.invariance.test_onnx import LENGTHS, X, graph
from tests.support.commandline import rnninspect

MODULE = """
import torch
from torch import nn

class Last(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.GRU(3, 4, batch_first=True)
    def forward(self, x, lengths=None):
        return self.rnn(x)[0][:, -1]

class Gathered(Last):
    def forward(self, x, lengths):
        return self.rnn(x)[0][torch.arange(len(x)), lengths - 1]

class Masked(Last):
    def forward(self, frames, frame_mask=None):
        return (frames * frame_mask[..., None]).sum(1)

class OfMapping(Gathered):
    def forward(self, batch):
        return super().forward(batch["x"], batch["lengths"])

class OfTuple(Gathered):
    def forward(self, batch):
        x, lengths = batch
        return super().forward(x, lengths)

def of_tensors(x, lengths):
    return (x * (torch.arange(x.shape[1]) < lengths[:, None])[..., None]).sum(1)

def make():
    return Gathered()

def function(x, mask):
    return (x * mask[..., None]).sum(1)

def leaves(x, lengths):
    raise SystemExit(3)

model = Last()
gathered = Gathered()
wrapped = nn.DataParallel(Last())
number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder: a module with models, a batch, an ONNX file."""
    (tmp_path / "checked_models.py").write_text(MODULE, "utf-8")
    n = np.array([5, 2, 3])
    x = np.random.default_rng(0).normal(size=(3, 5, 3))
    np.savez(tmp_path / "batch.npz", x=x, lengths=n)
    np.savez(tmp_path / "other.npz", inputs=x, lengths=n)
    np.savez(tmp_path / "masked.npz", x=x, mask=np.arange(5) < n[:, None])
    (tmp_path / "broken_module.py").write_text("def (:", "utf-8")
    (tmp_path / "leaving_module.py").write_text("raise SystemExit(4)", "utf-8")
    (tmp_path / "folder.onnx").mkdir()
    np.savez(tmp_path / "feed.npz", X=X, lens=LENGTHS)
    onnx.save(graph(True, "final"), tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "phrase"),
    [
        (("checked_models:Last", "batch.npz"), 1, "reads-padding"),
        (("checked_models:model", "batch.npz", "--lengths", "5,2,3"), 1, "lengths-ignored"),
        (("checked_models:wrapped", "batch.npz"), 1, "lengths-ignored"),
        (("checked_models:make", "batch.npz"), 0, "5 probes: 5 held"),
        (("checked_models:Last", "other.npz"), 1, "reads-padding"),
        (("checked_models:Masked", "masked.npz", "--mask", "mask"), 0, "5 probes: 5 held"),
        (("checked_models:function", "masked.npz", "--mask", "mask"), 0, "clean"),
        (("checked_models:OfMapping", "batch.npz"), 0, "batch['lengths'] [batch]"),
        (("checked_models:OfTuple", "batch.npz"), 0, "batch[1] [batch] (lengths)"),
        (("checked_models:OfTuple", "batch.npz", "--lengths", "lengths"), 0, "batch[1] [batch] (lengths)"),
        (("checked_models:of_tensors", "batch.npz"), 0, "5 probes: 5 held"),
        (("checked_models:gathered.forward", "batch.npz"), 0, "5 probes: 5 held"),
        (("checked_models:model.forward", "batch.npz"), 1, "lengths-ignored"),
        (("checked_models:Last", "batch.npz", "--skip", "noise,more"), 0, "3 probes: 3 held"),
        (("checked_models:Last", "batch.npz", "--probe", "noise"), 1, "1 probe: 1 differ"),
        (("checked_models:Last", "batch.npz", "--exit-zero"), 0, "reads-padding"),
        (("checked_models:Last", "batch.npz", "--probe", "noise", "--lengths", "full"), 2, "could not judge"),
        (("model.onnx", "feed.npz"), 0, "clean"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_models_are_checked(arguments: tuple[str, ...], code: int, phrase: str) -> None:
    """A model by its name, what makes one, a function and an ONNX file; the exit code is the report's."""
    done = rnninspect("check", *arguments, "-q")
    assert (done.code, done.err) == (code, "")
    assert phrase in done.out


@pytest.mark.usefixtures("folder")
def test_arrays_that_no_argument_is_called_like_are_named() -> None:
    """One that has the place of the one argument that is needed is passed on; others are left out, and said."""
    done = rnninspect("check", "checked_models:Last", "masked.npz", "--probe", "permute")
    assert "mask of masked.npz was left out: no argument of the model is called so (x, lengths)" in done.err
    assert "x of" not in done.err
    assert "left out" not in rnninspect("check", "checked_models:Masked", "masked.npz", "--mask", "mask").err


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("nowhere:Model", "batch.npz"), "No module named 'nowhere'"),
        (("checked_models:Nobody", "batch.npz"), "has no attribute 'Nobody'"),
        (("checked_models", "batch.npz"), "neither a model file (.keras, .onnx) nor package.module:name"),
        (("checked_models:number", "batch.npz"), "is not a model that can be checked"),
        (("weights.pt", "batch.npz"), "a torch file holds weights"),
        (("none.onnx", "feed.npz"), "none.onnx: no such file"),
        (("none.keras", "feed.npz"), "none.keras: no such file"),
        (("folder.onnx", "feed.npz"), "folder.onnx is a folder"),
        (("broken_module:Model", "batch.npz"), "broken_module:Model: SyntaxError"),
        (("leaving_module:Model", "batch.npz"), "leaving_module:Model: SystemExit: 4"),
        (("checked_models:leaves", "batch.npz"), "leaves does not run on this batch: SystemExit: 3"),
        (("checked_models:Last", "none.npz"), "none.npz"),
        (("checked_models:function", "feed.npz"), "the batch holds X [6, 4, 3]"),
        (("checked_models:Last", "batch.npz", "--lengths", "lenghts"), "did you mean 'lengths'"),
        (("checked_models:Last", "batch.npz", "--lengths", "6,-2,4,5"), "whole numbers from 0, got [6, -2, 4, 5]"),
        (("checked_models:Last", "batch.npz", "--lengths", "6,2.5,4,5"), "whole numbers from 0, got [6.0, 2.5, 4.0"),
        (("checked_models:Last", "batch.npz", "--probe", "nois"), "did you mean 'noise'"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_checked_is_one_line(arguments: tuple[str, ...], phrase: str) -> None:
    """Exit 2, nothing on stdout, one line that says what was seen."""
    done = rnninspect("check", *arguments, "-q")
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert phrase in done.err


def test_weights_are_loaded(folder: Path) -> None:
    """A state dict is put into the torch model that is named; one that does not fit is refused."""
    torch.save({"rnn.weight_ih_l0": torch.zeros(1)}, folder / "weights.pt")
    done = rnninspect("check", "checked_models:Last", "batch.npz", "-q", "--weights", "weights.pt")
    assert done.code == 2
    assert "weights.pt: RuntimeError: Error(s) in loading state_dict" in done.err


@pytest.mark.usefixtures("folder")
def test_the_report_is_saved_and_shown() -> None:
    """The JSON holds the probes, and `show` renders it again."""
    done = rnninspect("check", "checked_models:Last", "batch.npz", "-q", "--format", "json", "-o", "report.json")
    assert done.code == 1
    saved = json.loads(Path("report.json").read_text("utf-8"))
    assert [probe["probe"] for probe in saved["probes"]] == ["noise", "more", "permute", "alone", "reach"]
    assert saved["source"].items() >= {"name": "checked_models:Last", "inputs": "batch.npz"}.items()
    assert saved["source"]["runs"] > 10
    assert "reads-padding" in rnninspect("show", "report.json").out
