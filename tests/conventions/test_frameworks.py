"""Whose arrays these are: each kind of evidence moves the belief as it should, and none that is everybody's does."""

from __future__ import annotations

from dataclasses import replace

import pytest

import rnninspect
from rnninspect.conventions import conventions
from rnninspect.conventions.dumps.frameworks import Hints, likeliest
from rnninspect.core.evidence import Belief, Origin

KNOWN = conventions()


def believed(hints: Hints) -> tuple[Belief, ...]:
    return likeliest(KNOWN, hints)


def named(hints: Hints) -> list[str]:
    return [belief.name for belief in believed(hints)]


@pytest.mark.parametrize(
    ("suffix", "framework"),
    [
        (".pt", "torch"),
        (".pth", "torch"),
        (".keras", "keras"),
        (".msgpack", "flax"),
        (".onnx", "onnx"),
        (".pdparams", "paddle"),
        (".params", "mxnet"),
    ],
)
def test_a_frameworks_own_file_decides(suffix: str, framework: str) -> None:
    """A file that only one framework writes decides by itself, and is the reason that is given."""
    (belief,) = believed(Hints(("outputs", "states"), Origin(suffix)))
    assert belief.name == framework
    assert suffix in belief.because


@pytest.mark.parametrize("suffix", ["", ".npz", ".npy", ".json", ".txt"])
def test_anybodys_file_decides_nothing(suffix: str) -> None:
    """A file that all frameworks' users write leaves two, and speaks for none of them."""
    frameworks = believed(Hints(("outputs",), Origin(suffix)))
    assert len(frameworks) == 2
    assert all(suffix not in belief.because for belief in frameworks)


@pytest.mark.parametrize(
    ("names", "framework"),
    [
        (("output", "h_n"), "torch"),
        (("output", "h_n", "c_n"), "torch"),
        (("outputs", "final_state.h", "final_state.c"), "tf1"),
        (("outputs", "state_h", "state_c"), "keras"),
        (("Y", "Y_h"), "onnx"),
        (("outputs", "carry.h", "carry.c"), "flax"),
        (("outputs", "state.hidden", "state.cell"), "haiku"),
    ],
)
def test_names_of_one_framework_decide(names: tuple[str, ...], framework: str) -> None:
    """Names that few frameworks know decide for the one that knows them all, and are the reason."""
    (belief,) = believed(Hints(names))
    assert belief.name == framework
    assert names[-1] in belief.because[0]


@pytest.mark.parametrize("common", ["lengths", "length", "inputs", "mask"])
def test_lengths_are_nobodys_word(common: str) -> None:
    """A name that every framework's users have moves no belief, however clear the others or unclear."""
    for names in (("outputs", "state"), ("output", "h_n"), ("outputs", "state_h")):
        assert believed(Hints((*names, common))) == believed(Hints(names))


def test_the_axes_of_states_move_the_belief() -> None:
    """A state `(L D) B H` speaks for those that stack their states, and `B H` for those that keep them apart."""
    stacked = believed(Hints(("outputs", "state"), stacked=True, state="state (L D) B H"))
    apart = believed(Hints(("outputs", "state"), stacked=False, state="state B H"))
    assert all(KNOWN[belief.name].stacks_states for belief in stacked)
    assert all(KNOWN[belief.name].keeps_states_apart for belief in apart)
    assert any("state (L D) B H" in belief.because for belief in stacked)
    assert stacked[0].name != apart[0].name


def test_outputs_of_four_axes_are_onnxs_alone() -> None:
    """Four axes speak for ONNX, three against it, though the names are the same."""
    hints = Hints(("Y", "Y_h"), stacked=True, state="Y_h (L D) B H")
    four, three = believed(replace(hints, four_axes=True)), believed(hints)
    assert four[0].name == "onnx"
    assert "outputs of four axes" in four[0].because
    assert all("outputs of four axes" not in belief.because for belief in three)


@pytest.mark.parametrize(("padding", "framework"), [("repeat", "keras"), ("computed", "flax")])
def test_what_padding_holds_moves_the_belief(padding: str, framework: str) -> None:
    """Repeated padding speaks for Keras and computed padding for Flax, which zeros do not."""
    hints = Hints(("outputs", "state"), stacked=False, state="state B H", time_major=False)
    beliefs = believed(replace(hints, padding=padding))  # type: ignore[arg-type]
    assert framework in [belief.name for belief in beliefs]
    assert f"padding: {padding}" in {b.name: b for b in beliefs}[framework].because
    assert beliefs[0].name == framework
    assert named(replace(hints, padding="zero"))[0] != framework


def test_two_directions_of_keras_are_padded_with_zeros() -> None:
    """Keras' Bidirectional leaves zeros: there repeated padding speaks against it, and zeros for it."""
    hints = Hints(("outputs", "state_h"), stacked=False, state="state_h B H", bidirectional=True)
    zero, repeated = (believed(replace(hints, padding=p)) for p in ("zero", "repeat"))
    assert zero[0].name == "keras"
    assert "padding: zero" in zero[0].because
    assert all(b.because[:1] != ("padding: repeat",) for b in repeated)


def test_the_default_axes_move_the_belief() -> None:
    """Time-major arrays that nobody stated to be so speak for those frameworks whose default that is."""
    hints = Hints(("outputs", "state"), stacked=True, state="state (L D) B H")
    time, batch = (named(replace(hints, time_major=value)) for value in (True, False))
    assert KNOWN[time[0]].time_major
    assert time != batch


def test_the_order_of_a_pair_moves_the_belief() -> None:
    """A pair that holds c first speaks for tf1 and Flax; with h first, for the others."""
    hints = Hints(("outputs", "state.0", "state.1"))
    first, second = (named(replace(hints, cell_first=value)) for value in (True, False))
    assert KNOWN[first[0]].cell_first
    assert not KNOWN[second[0]].cell_first


@pytest.mark.parametrize("framework", sorted(KNOWN))
def test_live_arrays_tell_whose_they_are(framework: str) -> None:
    """Arrays of a framework's own type decide for it, whatever little else is known."""
    (belief,) = believed(Hints(("outputs", "state"), Origin(packages=(framework,))))
    assert belief.name == framework
    assert belief.because[0] == f"{framework}'s own arrays"


@pytest.mark.parametrize(
    ("marks", "frameworks"),
    [
        (("tensor(",), {"torch"}),
        (("tensor(", "grad_fn="), {"torch"}),
        (("Variable containing:",), {"torch"}),
        (("Tensor(",), {"paddle"}),
        (("<NDArray",), {"mxnet"}),
        (("tf.Tensor",), {"keras", "tf1"}),
        (("Array(",), {"flax", "haiku"}),
    ],
)
def test_what_stands_around_printed_numbers_speaks(marks: tuple[str, ...], frameworks: set[str]) -> None:
    """Under names that anybody uses, the print style decides, or leaves those alone that print so."""
    beliefs = believed(Hints(("outputs", "state"), Origin(marks=marks)))
    assert {belief.name for belief in beliefs} == frameworks
    assert any("printed as" in reason for reason in beliefs[0].because)


@pytest.mark.parametrize("framework", ["torch", "paddle", "mxnet", "flax"])
def test_weights_speak_for_their_framework(framework: str) -> None:
    """The framework whose names the weights have is believed where the arrays themselves say nothing."""
    with_weights = believed(Hints(("outputs",), Origin(weights=(framework,))))
    assert with_weights[0].name == framework
    assert f"weights under {framework}'s names" in with_weights[0].because


def test_contradicting_evidence_leaves_two() -> None:
    """A `.pt` file with Keras' names is undecided or torch's, and never Keras' for certain."""
    frameworks = named(Hints(("outputs", "state_h", "state_c"), Origin(".pt")))
    assert "torch" in frameworks
    assert len(frameworks) == 2


def test_many_layers_say_no_more_than_one() -> None:
    """Names are counted up to a limit: a hundred of them do not outweigh everything else."""
    few = tuple(f"state_h.{i}" for i in range(2))
    names = tuple(f"lstm_{i}.state_h" for i in range(100))
    assert "torch" in named(Hints((*few, *names), Origin(".pt", packages=("torch",))))


@pytest.mark.parametrize(("option", "framework"), [("go_backwards", "keras"), ("keep_order", "flax")])
def test_an_option_of_one_framework_decides(option: str, framework: str) -> None:
    """What is stated of the layer, and only one framework's layers have, says whose it is."""
    (belief,) = believed(Hints(("arr_0", "arr_1"), options=frozenset({option})))
    assert (belief.name, belief.because[0]) == (framework, f"{option} was stated")


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_an_own_option_says_more_than_whose_the_arrays_are(kind: str) -> None:
    """Keras on torch gives torch's tensors: what it reads backwards is judged as Keras's where its option is stated,
    the masked steps first; a state from where torch would end is wrong then."""
    torch = pytest.importorskip("torch")
    lengths = [7, 3, 5]
    torch.manual_seed(0)
    layer, x = getattr(torch.nn, kind)(4, 5, batch_first=True), torch.randn(3, 7, 4)
    outputs = torch.zeros(3, 7, 5)
    for row, n in enumerate(lengths):
        outputs[row, 7 - n :] = layer(x[row : row + 1, :n].flip(1))[0][0].detach()
    assert rnninspect.inspect(outputs, outputs[:, -1], lengths=lengths, go_backwards=True).verdict == "clean"
    assert rnninspect.inspect(outputs, outputs[:, 4], lengths=lengths, go_backwards=True).verdict == "findings"
