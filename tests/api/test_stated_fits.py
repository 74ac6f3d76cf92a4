"""What is stated and fits nothing is an error that says what there is: initial states, and names of lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.errors import ShapeError, UnknownNameError, UserError

ROWS, STEPS, UNITS = 2, 5, 4


def gru(**kwargs: Any) -> tuple[torch.nn.GRU, torch.Tensor]:
    torch.manual_seed(0)
    return torch.nn.GRU(3, UNITS, batch_first=True, **kwargs), torch.randn(ROWS, STEPS, 3)


@pytest.mark.parametrize("kwargs", [{"num_layers": 2}, {"bidirectional": True}])
def test_one_initial_state_for_several_is_an_error_with_both_shapes(kwargs: dict[str, Any]) -> None:
    """`[B, H]` beside two layers or directions is not given to one of them; one for each is read, and clean."""
    layer, x = gru(**kwargs)
    start = torch.randn(2, ROWS, UNITS)
    options: dict[str, Any] = {"inputs": x, "weights": layer, "lengths": "full"}
    assert rnninspect.inspect(layer(x, start), initial_state=start, **options).verdict == "clean"
    with pytest.raises(ShapeError, match=r"\[2, 4\], one state; .* \[L, B, H\] = \[2, 2, 4\]"):
        rnninspect.inspect(layer(x, start), initial_state=start[0], **options)
    with pytest.raises(ShapeError, match=r"\[L, B, H\] = \[2, 2, 4\]"):
        rnninspect.run(x, weights=layer, convention="torch", initial_state=start[0])


def test_one_initial_state_for_one_layer_is_read() -> None:
    """The twin: beside one layer and direction `[B, H]` is the whole initial state."""
    layer, x = gru()
    start = torch.randn(1, ROWS, UNITS)
    report = rnninspect.inspect(layer(x, start), initial_state=start[0], inputs=x, weights=layer, lengths="full")
    assert report.verdict == "clean"


@pytest.mark.parametrize("shape", [(1, 1, UNITS + 1), (1, UNITS - 1), (1, 3, UNITS), (ROWS, 3)])
def test_an_initial_state_of_no_row_is_an_error(shape: tuple[int, ...]) -> None:
    """One that fits no layer, neither as it is nor as a learned one that the model expands, is refused: left out in
    silence, the run from it would be accused of having started elsewhere."""
    layer, x = gru()
    learned = torch.randn(1, 1, UNITS)
    outputs, h = layer(x, learned.expand(1, ROWS, UNITS).contiguous())
    options: dict[str, Any] = {"inputs": x, "weights": layer, "lengths": "full"}
    with pytest.raises(ShapeError, match=r"initial_state .*fits no layer of 2 rows"):
        rnninspect.inspect(outputs, h, initial_state=torch.zeros(shape), **options)
    assert rnninspect.inspect(outputs, h, initial_state=learned, **options).verdict == "clean"
    other = rnninspect.inspect(outputs, h, initial_state=learned + 1, **options)
    assert other.verdict == "findings"


def test_lengths_by_a_name_are_an_array_handed_over() -> None:
    """In a mapping the name is looked up; one that is not there is an error that lists those that are."""
    layer, x = gru()
    output, h = layer(x)
    dump = {"output": output, "h_n": h, "n_real": torch.tensor([5, 5])}
    assert rnninspect.inspect(dump, lengths="n_real").lengths == [5, 5]
    with pytest.raises(UnknownNameError, match=r"lengths 'lens'.*output, h_n, n_real"):
        rnninspect.inspect(dump, lengths="lens")
    with pytest.raises(UserError, match=r"lengths='lens'.*numbers"):
        rnninspect.inspect(output, h, lengths="lens")
    with pytest.raises(UserError, match=r"lengths='lens'.*numbers"):
        rnninspect.run(np.ones((2, 3, 1)), lengths="lens")


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = torch.nn.GRU(3, UNITS, batch_first=True)

    def forward(self, x: torch.Tensor, sizes: Any = None) -> Any:
        return self.rnn(x)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [("lens", r"'lens'.*x, sizes"), ({"rnn": "lens"}, r"'lens'.*x, sizes")],
)
def test_recording_by_a_name_that_is_not_there_is_an_error(lengths: Any, message: str) -> None:
    """An argument that no forward has is said as the block begins; one that is there is read at the call."""
    with pytest.raises(UnknownNameError, match=message), rnninspect.record(Model(), lengths=lengths):
        pass
    with rnninspect.record(Model(), lengths={"rnn": "sizes"}) as recording:
        recording._model(torch.randn(2, 4, 3), sizes=[4, 2])
    assert recording.inspect()[0].lengths == [4, 2]
    with pytest.raises(UserError, match=r"record\(lengths='lens'\)"):
        recording.inspect(lengths="lens")


@pytest.mark.parametrize("lengths", [[5, 2], [4, 1]])
def test_lengths_beside_packed_ones_are_compared(lengths: list[int]) -> None:
    """A dump's lengths that are not those it was packed with are said, and judged; the same ones say nothing."""
    layer, x = gru()
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [5, 2], batch_first=True)
    output, h = layer(packed)
    report = rnninspect.inspect({"output": output, "h_n": h, "lengths": torch.tensor(lengths)})
    disagreements = [note for note in report.notes if "disagree" in note]
    if lengths == [5, 2]:
        assert (report.verdict, disagreements) == ("clean", [])
    else:
        assert [finding.rule for finding in report.findings] == ["off-by-one-length"]
        assert disagreements == [
            "lengths and the packed lengths disagree: lengths are [4, 1], and output.batch_sizes packs [5, 2]"
        ]


@pytest.mark.parametrize("convention", ["auto", "torch", "keras"])
def test_outputs_alone_along_other_axes(convention: str) -> None:
    """Steps stacked along the first axis beside batch-major inputs: the outputs are to be transposed, and the inputs
    are used; for a framework whose layers read so by default it is a note."""
    layer, x = gru()
    outputs, state = (tensor.detach() for tensor in layer(x))
    stacked = np.stack(list(outputs.numpy().swapaxes(0, 1)))
    report = rnninspect.inspect(stacked, state[0].numpy(), inputs=x.numpy(), lengths="full", convention=convention)
    (finding,) = report.findings
    assert finding.rule == "batch-time-swapped"
    assert finding.severity == ("note" if convention == "torch" else "warning")
    assert "output.swapaxes(0, 1)" in finding.fix or "outputs.swapaxes(0, 1)" in finding.fix
    assert not report.to_dict()["source"].get("unused")


def test_an_initial_state_of_a_dump_that_leaves_layers_out() -> None:
    """h_0 `[B, H]` in a dump of two layers is an error with what was needed; of other rows or units it is another
    array's, and is listed as not used."""
    layer, x = gru(num_layers=2)
    outputs, state = (tensor.detach().numpy() for tensor in layer(x))
    arrays = {"output": outputs, "h_n": state, "x": x.numpy()}
    with pytest.raises(ShapeError, match=r"h_0 \(2, 4\).*one state; .* \[L, B, H\] = \[2, 2, 4\]"):
        rnninspect.inspect({**arrays, "h_0": np.zeros((ROWS, UNITS), np.float32)})
    with pytest.raises(ShapeError, match=r"h_0 \(1, 2, 4\)"):
        rnninspect.inspect({**arrays, "h_0": np.zeros((1, ROWS, UNITS), np.float32)})
    for other in (np.zeros((ROWS, UNITS + 1), np.float32), np.zeros((2, ROWS + 1, UNITS), np.float32)):
        report = rnninspect.inspect({**arrays, "h_0": other})
        assert any("h_0" in sentence for sentence in report.source["unused"])


@pytest.mark.parametrize("layers", [2, 3])
def test_an_initial_state_of_more_layers_says_what_to_state(layers: int) -> None:
    """Beside the top layer's state alone, one of all layers is refused in a line that says how it fits; and then it
    does."""
    outputs = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    arrays = {"output": outputs, "h_n": outputs[:, -1], "h_0": np.zeros((layers, 4, 6), dtype=np.float32)}
    with pytest.raises(UserError, match=f"holds {layers} states, and the final state is of 1: state layers={layers}$"):
        rnninspect.inspect(arrays, convention="torch", lengths=[5, 5, 5, 5])
    assert rnninspect.inspect(arrays, convention="torch", lengths=[5, 5, 5, 5], layers=layers).verdict == "clean"


def test_outputs_as_a_list_of_steps_are_to_be_stacked() -> None:
    """Named outputs that are one array a step are refused by how they are stacked; and then they fit."""
    outputs = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    steps = [outputs[:, t] for t in range(5)]
    with pytest.raises(
        UserError, match=r"list of 5 arrays \(4, 6\), one a step: stack them, np.stack\(outputs, axis=1\)"
    ):
        rnninspect.inspect({"outputs": steps, "state": outputs[:, -1]})
    stacked = {"outputs": np.stack(steps, axis=1), "state": outputs[:, -1]}
    assert rnninspect.inspect(stacked, lengths=[5, 5, 5, 5]).verdict == "clean"
