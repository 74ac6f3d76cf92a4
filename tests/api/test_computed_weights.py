"""A state dict that holds what weights are computed from, a script whose weights are constants, a list's remarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rnninspect.api.weights_file import read_layer
from rnninspect.cli import call
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import UnreadableError, UserError
from rnninspect.formats import read_arrays

FEATURES, UNITS = 3, 4


def saved(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_layer(read_arrays(path), LayerConfig())
    return str(caught.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("wrap", "undo"),
    [
        (torch.nn.utils.weight_norm, "remove_weight_norm"),
        (torch.nn.utils.spectral_norm, "remove_spectral_norm"),
        (torch.nn.utils.parametrizations.weight_norm, "parametrize.remove_parametrizations"),
        (torch.nn.utils.parametrizations.orthogonal, "parametrize.remove_parametrizations"),
    ],
)
def test_a_weight_that_is_computed_is_named(wrap: object, undo: str, tmp_path: Path) -> None:
    """With what it is computed from and the call that undoes it, rather than a question about the cell."""
    layer = torch.nn.GRUCell(FEATURES, UNITS)
    model = torch.nn.ModuleDict({"rnn": wrap(layer, "weight_hh")})  # type: ignore[operator]
    text = refusal(saved(model.state_dict(), tmp_path / "m.pt"))
    assert text.startswith("rnn.weight_hh is computed from rnn.")
    assert f"before saving, torch.nn.utils.{undo}(module, 'weight_hh')" in text


def test_what_stands_beside_a_weight_does_no_harm(tmp_path: Path) -> None:
    """fastai keeps a raw weight beside the one that the module has; without that one, the line says so."""
    state = {f"module.{name}": weight for name, weight in torch.nn.LSTM(FEATURES, UNITS).state_dict().items()}
    both = state | {"weight_hh_l0_raw": state["module.weight_hh_l0"] * 2}
    read = read_layer(read_arrays(saved(both, tmp_path / "m.pt")), LayerConfig())
    kernel = state["module.weight_hh_l0"][:UNITS].T.numpy()
    assert np.array_equal(read.weights.layers[0].recurrent_kernel[0], kernel)
    del both["module.weight_hh_l0"]
    assert "weight_hh_l0 is computed from weight_hh_l0_raw (a weight dropout)" in refusal(
        saved(both, tmp_path / "m.pt")
    )


@pytest.mark.filterwarnings("ignore")
def test_a_frozen_script_is_said_to_be_one(tmp_path: Path) -> None:
    """Its weights are constants of code that is not run."""

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = torch.nn.LSTM(FEATURES, UNITS)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.rnn(x)[0]

    traced = torch.jit.trace(Model().eval(), torch.ones(2, 1, FEATURES))
    torch.jit.freeze(traced).save(str(tmp_path / "m.pt"))
    with pytest.raises(UnreadableError, match=r"TorchScript archive without parameters: torch.jit.freeze"):
        read_arrays(tmp_path / "m.pt")


def test_two_short_names_are_no_gru_of_haiku(tmp_path: Path) -> None:
    """`w_i`, `w_h` beside two biases are offered by their shapes; beside haiku's one bias they are haiku's."""
    gates = {"w_i": np.ones((4 * UNITS, FEATURES)), "w_h": np.ones((4 * UNITS, UNITS))}
    np.savez(tmp_path / "w.npz", **gates, b_i=np.ones(4 * UNITS), b_h=np.ones(4 * UNITS))
    assert "by their shapes w_i, w_h, b_i, b_h are torch's" in refusal(tmp_path / "w.npz")
    haiku = {"w_i": np.ones((FEATURES, 3 * UNITS)), "w_h": np.ones((UNITS, 3 * UNITS)), "b": np.ones(3 * UNITS)}
    np.savez(tmp_path / "h.npz", **haiku)
    assert read_layer(read_arrays(tmp_path / "h.npz"), LayerConfig()).convention.name == "haiku"


def test_shapes_are_shown_where_they_tell_no_cell(tmp_path: Path) -> None:
    """Weights that somebody transposed: the question about the cell shows what they are."""
    state = torch.nn.LSTM(FEATURES, UNITS).state_dict()
    turned = {name: weight.T if weight.ndim == 2 else weight for name, weight in state.items()}
    assert "weight_hh_l0 (4, 16)" in refusal(saved(turned, tmp_path / "m.pt")).replace("is ", "")


def test_the_list_says_that_activations_are_not_stated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of weights alone; a framework with no choice of them says nothing."""
    np.savez(tmp_path / "k.npz", kernel=np.ones((3, 16)), recurrent_kernel=np.ones((4, 16)), bias=np.ones(16))
    assert call(["list", "layers", str(tmp_path / "k.npz")]) == 0
    assert "activations are not stated in the file of weights: sigmoid and tanh are used" in capsys.readouterr().err
    saved(torch.nn.LSTM(FEATURES, UNITS).state_dict(), tmp_path / "m.pt")
    assert call(["list", "layers", str(tmp_path / "m.pt")]) == 0
    assert "activations" not in capsys.readouterr().err
