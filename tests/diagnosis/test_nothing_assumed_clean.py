"""What nobody stated and nothing tests is not called clean: padding that inputs show, c, a second direction, layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.diagnosis.evidence.padded_inputs import begins_in_zeros, ends_of_inputs
from rnninspect.errors import ShapeError

LENGTHS = torch.tensor([6, 3, 4, 2])
ROWS, STEPS, FEATURES, UNITS = 4, 6, 3, 5
ORDER = [1, 0, 3, 2]


def batch(pad: float | None = 0.0) -> torch.Tensor:
    """`[4, 6, 3]`, the steps past the lengths at `pad`; None leaves all of them as they are."""
    torch.manual_seed(0)
    x = torch.randn(ROWS, STEPS, FEATURES)
    if pad is not None:
        x[torch.arange(STEPS) >= LENGTHS[:, None]] = pad
    return x


def lstm(**options: Any) -> torch.nn.LSTM:
    torch.manual_seed(1)
    return torch.nn.LSTM(FEATURES, UNITS, batch_first=True, **options)


def packed(layer: torch.nn.LSTM) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """The layer's outputs and states over rows of `LENGTHS`."""
    pack = torch.nn.utils.rnn.pack_padded_sequence(batch(), LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, states = layer(pack)
    return torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0], states


@pytest.mark.parametrize("pad", [0.0, 0.25], ids=["zeros", "one vector"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_weights_do_not_tell_padding_from_data(pad: float, bidirectional: bool) -> None:
    """A run over padding and one over full rows follow from the weights alike: inputs that end in one vector leave it
    unjudged, and what the lengths that they suggest would show is said."""
    layer = lstm(bidirectional=bidirectional)
    x = batch(pad)
    report = rnninspect.inspect(layer(x), inputs=x, weights=layer)
    assert (report.verdict, report.ok) == ("unjudged", False)
    assert "inputs" in report.untested
    assert report.what_if[0].lengths == LENGTHS.tolist()
    assert "lengths-ignored" in report.what_if[0].rules
    assert rnninspect.inspect(layer(x), inputs=x, weights=layer, lengths="full").verdict == "clean"
    assert not rnninspect.inspect(layer(x), inputs=x, weights=layer, lengths=LENGTHS).ok


def test_weights_decide_where_the_inputs_show_no_padding() -> None:
    """Rows whose last steps all differ are taken for whole: a run of the weights could have contradicted everything."""
    layer, x = lstm(), batch(None)
    assert rnninspect.inspect(layer(x), inputs=x, weights=layer).verdict == "clean"
    x[:, :2][LENGTHS < STEPS] = 0
    assert rnninspect.inspect(layer(x), inputs=x, weights=layer).verdict == "unjudged"


def test_ends_of_inputs() -> None:
    """Zeros win; else the vector that most rows repeat at their end, whole rows of it apart; one step alone is data."""
    x = batch(None).numpy()
    assert ends_of_inputs(x) is None
    assert not begins_in_zeros(x)
    assert begins_in_zeros(np.where(np.arange(STEPS)[:, None] < 2, 0, x))
    x[:, -1] = 0.5  # a last token that all rows have
    assert ends_of_inputs(x) is None
    x[1, -3:] = 0.5
    ends = ends_of_inputs(x)
    assert ends is not None
    assert ends.tolist() == [5, 3, 5, 5]
    x[2, -1] = 0
    zeros = ends_of_inputs(x)
    assert zeros is not None
    assert zeros.tolist() == [6, 6, 5, 6]
    assert ends_of_inputs(np.ones_like(x)) is None


def test_a_cell_state_of_other_rows_is_seen_by_its_signs() -> None:
    """h = o * tanh(c): c in another row order is named, c of another size leaves it unjudged, its own is clean."""
    outputs, (h, c) = packed(lstm())
    right = rnninspect.inspect(outputs, (h, c), lengths=LENGTHS, convention="torch")
    assert (right.verdict, right.untested) == ("clean", "")
    report = rnninspect.inspect(outputs, (h, c[:, ORDER]), lengths=LENGTHS, convention="torch")
    assert [f.rule for f in report.findings] == ["rows-permuted"]
    assert report.findings[0].evidence["rows_of_cells"] == ORDER
    names = {"torch": torch, "c_n": c[:, ORDER]}
    exec(report.findings[0].fix, names)
    assert torch.equal(names["c_n"], c)
    shrunk = rnninspect.inspect(outputs, (h, c / 4), lengths=LENGTHS, convention="torch")
    assert (shrunk.verdict, shrunk.findings) == ("unjudged", [])
    assert "c cannot be" in shrunk.untested


def test_a_cell_state_of_another_activation_is_not_held_against_tanh() -> None:
    """Keras' activation="relu": h = o * relu(c) may exceed tanh(c)."""
    outputs, (h, c) = packed(lstm())
    relu = {"lengths": LENGTHS, "convention": "keras", "activation": "relu"}
    assert rnninspect.inspect(outputs, h[0], cell_state=c[0] / 4, **relu).verdict == "clean"


def test_two_directions_in_a_stack_of_states_may_be_taken_at_one_step() -> None:
    """`[L, B, 2H]` with both halves of `outputs` at the last step fits as one direction too: said, and unjudged."""
    outputs, (h, _) = packed(lstm(num_layers=2, bidirectional=True))
    sides = torch.cat([h[0::2], h[1::2]], -1)  # as fairseq keeps them
    assert rnninspect.inspect(outputs, sides, lengths=LENGTHS).verdict == "clean"
    sides[-1] = outputs[torch.arange(ROWS), LENGTHS - 1]
    report = rnninspect.inspect(outputs, sides, lengths=LENGTHS)
    assert report.verdict == "unjudged"
    assert "two of 5 side by side" in report.untested
    two = rnninspect.inspect(outputs, sides, lengths=LENGTHS, bidirectional=True)
    assert [f.rule for f in two.findings] == ["backward-final-at-last-step"]


def test_one_direction_beside_its_c_is_not_taken_for_two() -> None:
    """A run whose first half begins small and second half ends small, as two directions at one step would: h alone
    leaves it unjudged; beside its own c it is clean, and beside the c of two directions it is not."""
    layer, looks_like_two = torch.nn.LSTM(FEATURES, 4, batch_first=True), 0
    for seed in range(400):
        torch.manual_seed(seed)
        layer.reset_parameters()
        outputs, (h, c) = packed(layer)
        if rnninspect.inspect(outputs, h, lengths=LENGTHS).verdict == "unjudged":
            looks_like_two += 1
            assert rnninspect.inspect(outputs, (h, c), lengths=LENGTHS).verdict == "clean"
            of_torch = {
                "lengths": LENGTHS,
                "convention": "torch",
                "time_major": False,
            }  # whose h_n has a plane a direction
            assert rnninspect.inspect(outputs, h, **of_torch).verdict == "clean"
            assert rnninspect.inspect(outputs, h[-1], **of_torch).verdict == "unjudged"
    assert looks_like_two
    torch.manual_seed(0)
    for _ in range(10):
        outputs, (_, c) = packed(torch.nn.LSTM(FEATURES, 2, batch_first=True, bidirectional=True))
        ends = outputs[torch.arange(ROWS), LENGTHS - 1]
        both = rnninspect.inspect(outputs, ends, cell_state=torch.cat([*c], -1), lengths=LENGTHS)
        assert both.verdict != "clean"


@pytest.mark.parametrize("convention", ["torch", "auto"])
def test_fewer_layers_states_than_stated_are_refused(convention: str) -> None:
    """`[1, B, H]` is no stack of three layers; `[B, H]` is the top one of them."""
    outputs, (h, _) = packed(lstm())
    with pytest.raises(ShapeError, match=r"\(1, 4, 5\).*3 layer"):
        rnninspect.inspect(outputs, h, lengths=LENGTHS, layers=3, convention=convention)
    assert rnninspect.inspect(outputs, h[0], lengths=LENGTHS, layers=3, convention=convention).verdict == "clean"


def repeating(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outputs `[4, 8, 5]` that repeat each row's last real step, as Keras' do, and the final state."""
    o = np.random.default_rng(3).uniform(-0.9, 0.9, (ROWS, 8, UNITS)).astype(np.float32)
    o = np.take_along_axis(o, np.minimum(np.arange(8)[None], lengths[:, None] - 1)[..., None], 1)
    return o, o[:, -1]


@pytest.mark.parametrize(("longer", "cut"), [(1, 8), (2, 8), (1, 7), (3, 7)])
def test_lengths_past_where_repeated_outputs_stop(longer: int, cut: int) -> None:
    """One number of steps too many in every length is named, those cut to T among them: the state equals the step at
    the stated end too, because the row repeats there."""
    lengths = np.array([7, 3, 4, 2])
    o, h = repeating(lengths)
    longer_lengths = np.minimum(lengths + longer, cut)
    report = rnninspect.inspect(o[:, :cut], h, lengths=longer_lengths, convention="keras")
    by_rule = {f.rule: f for f in report.findings}
    assert by_rule["off-by-one-length"].evidence["offset"] == -longer
    assert report.verdict == "findings"
    assert rnninspect.inspect(o[:, :cut], h, lengths=lengths, convention="keras").verdict == "clean"


def test_lengths_of_which_some_go_past_the_stop_are_unjudged() -> None:
    """No one number explains them, and the state equals the stated step all the same."""
    lengths = np.array([7, 3, 4, 2])
    o, h = repeating(lengths)
    report = rnninspect.inspect(o, h, lengths=lengths + np.array([0, 2, 1, 0]), convention="keras")
    assert report.verdict == "unjudged"
    assert "repeat" in report.untested


def test_a_forward_layers_weights_refute_a_backward_reading() -> None:
    """States at step 0 fit a backward layer; beside weights of a forward one they are at the wrong step."""
    layer, x = lstm(), batch(None)
    outputs, _ = layer(x)
    alone = rnninspect.inspect(outputs, outputs[:, 0], lengths="full")
    assert (alone.verdict, alone.tracks[0].direction) == ("unjudged", "backward")
    report = rnninspect.inspect(outputs, outputs[:, 0], lengths="full", inputs=x, weights=layer)
    assert (report.verdict, report.tracks[0].direction) == ("findings", "forward")


def test_weights_do_not_tell_where_rows_end() -> None:
    """Outputs that follow from the weights, and states of steps before the last: right only where rows end there."""
    layer, x = lstm(), batch(None)
    outputs, _ = layer(x)
    states = outputs[torch.arange(ROWS), LENGTHS - 1]
    report = rnninspect.inspect(outputs, states, inputs=x, weights=layer)
    assert report.verdict == "unjudged"
    assert "before the last" in report.untested
    assert rnninspect.inspect(outputs, states, inputs=x, weights=layer, lengths=LENGTHS).verdict == "clean"


def test_a_backward_half_that_may_have_read_the_padding() -> None:
    """Both halves gathered rightly from an unpacked run: nothing tells whether the backward one began in the padding;
    the weights do, and a framework that computes its padding afterwards is known to."""
    layer, x = lstm(bidirectional=True), batch(1.0)
    outputs, _ = layer(x)
    states = torch.cat([outputs[torch.arange(ROWS), LENGTHS - 1, :UNITS], outputs[:, 0, UNITS:]], -1)
    about: dict[str, Any] = {"lengths": LENGTHS, "bidirectional": True, "batch_first": True}
    report = rnninspect.inspect(outputs, states, convention="torch", **about)
    assert report.verdict == "unjudged"
    assert "read the padding" in report.untested
    ran = rnninspect.inspect(outputs, states, convention="torch", inputs=x, weights=layer, **about)
    assert [f.rule for f in ran.findings if f.severity == "error"] == ["backward-read-padding"]
    assert rnninspect.inspect(outputs, states, convention="flax", **about).verdict == "clean"


def test_zeros_before_the_stated_end_of_a_backward_track() -> None:
    """Its state is at step 0 whatever the lengths, which the zeros contradict."""
    outputs, (h, _) = packed(lstm(bidirectional=True))
    backward = outputs[..., UNITS:], h[1]
    report = rnninspect.inspect(*backward, lengths=LENGTHS, direction="reverse")
    assert report.verdict == "clean"
    longer = rnninspect.inspect(*backward, lengths=torch.clip(LENGTHS + 1, max=STEPS), direction="reverse")
    assert longer.verdict == "unjudged"
    assert "stop before the stated end" in longer.untested


@pytest.mark.parametrize("listed", [[7, 4, 5, 3], [3, 6, 4, 2]], ids=["one more", "other rows"])
def test_lengths_that_nobody_named_speak_against_those_that_zeros_prove(listed: list[int]) -> None:
    """An array without a role that holds the same lengths moved, or for other rows: both are tried, neither taken."""
    outputs, (h, _) = packed(lstm())
    outputs = torch.nn.functional.pad(outputs, (0, 0, 0, 2))  # no row is of T steps: nothing is taken for lengths
    arrays = {"output": outputs, "h_n": h, "q": np.array(listed)}
    report = rnninspect.inspect(arrays, convention="torch", batch_first=True)
    assert report.verdict == "unjudged"
    assert [w.lengths for w in report.what_if] == [listed, LENGTHS.tolist()]
    labels = rnninspect.inspect({**arrays, "q": np.array([1, 1, 4, 2])}, convention="torch", batch_first=True)
    assert labels.verdict == "clean"


@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_of_other_rows_tell_the_lengths_too(bidirectional: bool) -> None:
    """Nobody stated lengths; where the outputs end in zeros each state is one of another row's ends: permuted."""
    outputs, (h, c) = packed(lstm(bidirectional=bidirectional))
    report = rnninspect.inspect({"output": outputs, "h_n": h[:, ORDER], "c_n": c[:, ORDER]}, convention="torch")
    assert {f.rule for f in report.findings} == {"rows-permuted"}


def test_c_of_rows_that_may_end_earlier_is_not_held_against_the_last_step() -> None:
    """h gathered at lengths that nobody stated, c of the same steps: unjudged, and no accusation of c."""
    layer, x = lstm(), batch(None)
    outputs, _ = layer(x)
    ended = [layer(x[b : b + 1, :n])[1] for b, n in enumerate(LENGTHS.tolist())]
    h, c = (torch.cat([states[k] for states in ended], 1) for k in (0, 1))
    h = outputs[torch.arange(ROWS), LENGTHS - 1][None]
    report = rnninspect.inspect(outputs, (h, c), inputs=x, weights=layer, convention="torch", batch_first=True)
    assert (report.verdict, report.findings) == ("unjudged", [])


@pytest.mark.parametrize("convention", ["haiku", "torch", "mxnet"])
def test_axes_that_the_stated_framework_does_not_have_by_default(convention: str) -> None:
    """`outputs[:, -1]` of `[T, B, H]` and the last step of `[B, T, H]` are the same numbers: with every row full it is
    unjudged until the axes are stated, and then right, or named."""
    outputs = batch(None).numpy()
    dump = {"outputs": outputs, "state": outputs[:, -1]}
    report = rnninspect.inspect(dump, convention=convention, lengths="full")
    assert (report.verdict, report.findings) == ("unjudged", [])
    assert "[T, B, H]" in report.untested
    right = rnninspect.inspect(dump, convention=convention, lengths="full", time_major=False, direction="forward")
    assert right.verdict == "clean"
    wrong = rnninspect.inspect(dump, convention=convention, lengths="full", time_major=True, direction="forward")
    assert wrong.verdict == "findings"
    assert rnninspect.inspect(dump, convention="keras", lengths="full", direction="forward").verdict == "clean"


@pytest.mark.parametrize("convention", ["auto", "haiku", "torch", "mxnet"])
@pytest.mark.parametrize("cell", ["GRU", "LSTM"])
@pytest.mark.parametrize("directions", [1, 2])
def test_inputs_along_other_axes_excuse_no_state(cell: str, directions: int, convention: str) -> None:
    """`[T, B, H]` of a run that had no lengths, its inputs saved as `[B, T, F]`: that the axes are not the usual ones
    is a note, and the states at the last column are a mistake all the same; of a packed run they are right."""
    torch.manual_seed(1)
    layer = getattr(torch.nn, cell)(FEATURES, UNITS, bidirectional=directions == 2)
    x = batch(None)
    pack = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, states = layer(pack)
    about: dict[str, Any] = {"lengths": LENGTHS, "inputs": x, "convention": convention}
    right = rnninspect.inspect(torch.nn.utils.rnn.pad_packed_sequence(outputs)[0], states, **about)
    assert right.verdict == "clean"
    wrong = rnninspect.inspect(*layer(x.transpose(0, 1)), **about)
    assert [f.rule for f in wrong.findings if f.severity == "error"] == ["lengths-ignored"]
    moved = rnninspect.inspect(
        torch.nn.utils.rnn.pad_packed_sequence(outputs)[0], states, **{**about, "lengths": LENGTHS.roll(1)}
    )
    assert moved.verdict == "findings"
