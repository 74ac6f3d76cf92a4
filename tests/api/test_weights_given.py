"""`weights=` in Python: trees, lists, modules, layers and paths give the layer that its arrays by name give."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect import conventions
from rnninspect.core.cell import CellSpec
from rnninspect.core.trace import Trace
from rnninspect.errors import UserError
from tests.support.logical import logical_weights
from tests.support.oracles import random_stack, run_stack

FEATURES, UNITS = 2, 3
INPUTS = np.random.default_rng(0).uniform(-1, 1, (3, 5, FEATURES))
LENGTHS = [5, 2, 3]


def ran(weights: Any, convention: str, **options: Any) -> Trace:
    return rnninspect.run(INPUTS, lengths=LENGTHS, weights=weights, convention=convention, **options)


def assert_same(trace: Trace, expected: Trace) -> None:
    """Every track's outputs are equal."""
    assert len(trace.tracks) == len(expected.tracks)
    for track, other in zip(trace.tracks, expected.tracks, strict=True):
        assert track.outputs is not None
        assert other.outputs is not None
        np.testing.assert_array_equal(track.outputs, other.outputs)


def tree_of(flat: dict[str, np.ndarray]) -> dict[str, Any]:
    """The arrays as nested mappings, at every slash."""
    tree: dict[str, Any] = {}
    for name, array in flat.items():
        *path, leaf = name.split("/")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[leaf] = array
    return tree


@pytest.mark.parametrize("convention", ["flax", "haiku"])
def test_a_nested_tree_is_its_arrays_by_name(convention: str) -> None:
    """Flax's and Haiku's parameters, at whatever depth, give what the flat names give."""
    framework = conventions.get(convention)
    flat = framework.write_weights(logical_weights(framework.spec("lstm", {})))
    assert_same(ran({"params": {"cell": tree_of(flat)}}, convention), ran(flat, convention))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_get_weights_is_told_by_place_and_shape(cell: Any) -> None:
    """[kernel, recurrent_kernel, bias], with and without the bias, and the layer itself that gives them."""
    flat = conventions.get("keras").write_weights(logical_weights(CellSpec(cell)))
    listed = [flat["kernel"], flat["recurrent_kernel"], flat["bias"]]
    assert_same(ran(listed, "keras"), ran(flat, "keras"))
    assert_same(ran(SimpleNamespace(get_weights=lambda: listed), "keras"), ran(flat, "keras"))
    del flat["bias"]
    assert_same(ran(listed[:2], "keras"), ran(flat, "keras"))


def test_a_layers_variables_are_known_by_their_paths() -> None:
    """A layer's `weights` (Keras 3: `path`; Keras 2: `name` with `:0`) give what its arrays by name give."""
    flat = conventions.get("keras").write_weights(logical_weights(CellSpec("lstm")))

    def variable(array: np.ndarray, **called: str) -> Any:
        class Variable:
            shape, dtype = array.shape, array.dtype

            def __array__(self, *_: Any, **__: Any) -> np.ndarray:
                return array

        made = Variable()
        made.__dict__.update(called)
        return made

    new = SimpleNamespace(weights=[variable(a, path=f"model/lstm/lstm_cell/{n}", name=n) for n, a in flat.items()])
    old = SimpleNamespace(weights=[variable(a, name=f"lstm/lstm_cell/{n}:0") for n, a in flat.items()])
    assert_same(ran(new, "keras"), ran(flat, "keras"))
    assert_same(ran(old, "keras"), ran(flat, "keras"))


def test_a_keras_layer_on_torch_is_no_torch_module() -> None:
    """A layer that is a module of torch's too, with a `state_dict` of names that no framework has, is Keras's."""
    flat = conventions.get("keras").write_weights(logical_weights(CellSpec("gru")))

    class Variable:
        def __init__(self, name: str, array: np.ndarray) -> None:
            self.path, self.array = f"gru/gru_cell/{name}", array
            self.shape, self.dtype = array.shape, array.dtype

        def __array__(self, *_: Any, **__: Any) -> np.ndarray:
            return self.array

    layer = SimpleNamespace(
        state_dict=lambda: {f"cell._torch_params.{i}": torch.as_tensor(a) for i, a in enumerate(flat.values())},
        get_weights=lambda: list(flat.values()),
        weights=[Variable(name, array) for name, array in flat.items()],
    )
    assert_same(ran(layer, "keras"), ran(flat, "keras"))


def test_nested_states_say_that_cells_in_a_list_are_layers() -> None:
    """`get_weights()` of stacked cells beside a state for each is one stack; beside one state nothing says so."""
    stack = random_stack(np.random.default_rng(3), CellSpec("lstm"), FEATURES, UNITS, layers=2, two_biases=False)
    listed = list(conventions.get("keras").write_weights(stack).values())
    mask = np.arange(INPUTS.shape[1]) < np.array(LENGTHS)[:, None]
    tracks = run_stack(stack, INPUTS, mask)
    outputs, states = tracks[1, "forward"][0], [list(tracks[layer, "forward"][1:]) for layer in (0, 1)]
    options: dict[str, Any] = {"lengths": LENGTHS, "inputs": INPUTS, "weights": listed, "convention": "keras"}
    assert rnninspect.inspect(outputs, states, rtol=1e-6, **options).verdict == "clean"
    assert rnninspect.fix(outputs, states, rtol=1e-6, **options).changes == ()
    wrong = [states[0], [np.roll(part, 1, 0) for part in states[1]]]
    assert "rows-permuted" in {f.rule for f in rnninspect.inspect(outputs, wrong, rtol=1e-6, **options).findings}
    with pytest.raises(UserError, match="nothing says that they form one stack"):
        rnninspect.inspect(outputs, states[1], **options)


def test_two_cells_in_a_list_are_directions_or_layers() -> None:
    """Shapes tell a Bidirectional from a stack, which must be stated; where they do not, the direction must be too."""
    rng = np.random.default_rng(1)

    def cell(features: int) -> list[np.ndarray]:
        return [rng.uniform(-1, 1, s) for s in ((features, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,))]

    both = ran([*cell(FEATURES), *cell(FEATURES)], "keras")
    assert [(t.layer, t.direction) for t in both.tracks] == [(0, "forward"), (0, "backward")]
    listed = [*cell(FEATURES), *cell(UNITS)]
    with pytest.raises(UserError, match="nothing says that they form one stack; give layers=2"):
        ran(listed, "keras")
    stack = rnninspect.run(INPUTS, weights=listed, convention="keras", layers=2)
    assert [(t.layer, t.direction) for t in stack.tracks] == [(0, "forward"), (1, "forward")]
    square = [*cell(UNITS), *cell(UNITS)]
    wide = np.random.default_rng(2).uniform(-1, 1, (3, 5, UNITS))
    with pytest.raises(UserError, match="two directions or two layers"):
        rnninspect.run(wide, weights=square, convention="keras")
    told = rnninspect.run(wide, weights=square, convention="keras", bidirectional=True)
    assert [t.direction for t in told.tracks] == ["forward", "backward"]


def test_a_module_and_a_path_are_the_state_dict(tmp_path: Path) -> None:
    """A torch module, one within another module, and the file of its state are what `state_dict()` is."""
    torch.manual_seed(0)
    layer = torch.nn.LSTM(FEATURES, UNITS, batch_first=True).double()
    x = torch.as_tensor(INPUTS)
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    for weights in (layer, torch.nn.Sequential(layer), str(tmp_path / "layer.pt"), tmp_path / "layer.pt"):
        assert_same(ran(weights, "torch"), ran(layer.state_dict(), "torch"))
        report = rnninspect.inspect(layer(x), inputs=x, weights=weights)
        assert (report.verdict, report.convention) == ("clean", "torch")


@pytest.mark.parametrize("whose", ["torch", "keras", "flax", "haiku", "onnx", "mxnet", "tf1"])
def test_weights_say_whose_layer_runs(whose: str, tmp_path: Path) -> None:
    """Without `convention`, arrays under a framework's names, and a file of them, run as they do where it is stated."""
    framework = conventions.get(whose)
    flat = framework.write_weights(logical_weights(framework.spec("gru", {})))
    np.savez(tmp_path / "w.npz", **flat)  # type: ignore[arg-type]
    expected = ran(flat, whose)
    for weights in (flat, str(tmp_path / "w.npz")):
        told = rnninspect.run(INPUTS, lengths=LENGTHS, weights=weights)
        assert told.convention == expected.convention == whose
        assert_same(told, expected)


def test_one_layer_of_several_is_picked(tmp_path: Path) -> None:
    """`run` and `inspect` take the keyword that their own message names, for a file and for arrays."""
    torch.manual_seed(0)
    layers = {name: torch.nn.GRU(FEATURES, UNITS, batch_first=True).double() for name in ("enc", "dec")}
    module = torch.nn.ModuleDict(layers)
    torch.save(module.state_dict(), tmp_path / "m.pt")
    x = torch.as_tensor(INPUTS)
    for weights in (module, module.state_dict(), tmp_path / "m.pt"):
        with pytest.raises(UserError, match="pick one with weights_prefix="):
            rnninspect.run(INPUTS, weights=weights)
        for name, layer in layers.items():
            trace = rnninspect.run(INPUTS, weights=weights, weights_prefix=name)
            np.testing.assert_allclose(trace.tracks[0].outputs, layer(x)[0].detach(), atol=1e-12)
            report = rnninspect.inspect(layer(x), inputs=x, weights=weights, weights_prefix=name, lengths="full")
            assert report.verdict == "clean"
            other = "dec" if name == "enc" else "enc"
            report = rnninspect.inspect(layer(x), inputs=x, weights=weights, weights_prefix=other, lengths="full")
            assert report.verdict == "findings"


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (object(), "of type object: give"),
        (3, "of type int: give"),
        ([np.ones((4, 8)), np.ones(8)], r"\[4, 8\], \[8\], which is not \[kernel"),
        ([], "a list of nothing, which is not"),
        ({"a": {"b": object()}}, "a/b"),
        ("nowhere.keras", r"nowhere\.keras"),
    ],
)
def test_what_is_no_weights_is_refused_in_one_sentence(weights: Any, message: str) -> None:
    """The refusal says what was seen and what is needed."""
    with pytest.raises(UserError, match=message) as raised:
        ran(weights, "keras")
    assert "\n" not in str(raised.value)
