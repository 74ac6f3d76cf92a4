"""The reading that is weighed best: what was stated holds, what the numbers say decides, and rivals are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.evidence import Origin, Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.errors import ShapeError
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.measure.dump_arrays import DumpArrays
from rnninspect.measure.weigh import weigh
from rnninspect.measure.weighed import Weighed

ROWS, STEPS, UNITS = 4, 6, 3
LENGTHS = np.array([6, 2, 5, 3])


def run(padding: str = "zero") -> tuple[Array, Array]:
    """Outputs `[B, T, H]` and final state `[B, H]` of a right run; masked steps are zero, repeated or computed."""
    outputs = np.random.default_rng(3).standard_normal((ROWS, STEPS, UNITS)).astype(np.float32)
    state = outputs[np.arange(ROWS), LENGTHS - 1].copy()
    for row, length in enumerate(LENGTHS):
        if padding != "computed":
            outputs[row, length:] = state[row] if padding == "repeat" else 0
    return outputs, state


def weighed(arrays: Mapping[str, Array], config: LayerConfig | None = None, **options: object) -> Weighed:
    return weigh(DumpArrays(arrays, **options), config or LayerConfig(), Tolerance())  # type: ignore[arg-type]


def whose(judged: Weighed) -> list[str]:
    return [belief.name for belief in judged.choice.reading.evidence.conventions]


def nobodys(padding: str = "zero") -> dict[str, Array]:
    """A right run under names that are no framework's."""
    outputs, state = run(padding)
    return {"outputs": outputs, "state": state, "lengths": LENGTHS}


@pytest.mark.parametrize("convention", ["torch", "keras", "tf1", "flax"])
def test_a_stated_framework_wins(convention: str) -> None:
    """What is stated holds, against a file of another framework and against names and padding."""
    judged = weighed(nobodys("repeat"), convention=convention, origin=Origin(".pt"))
    assert judged.convention.name == convention
    (belief,) = judged.choice.reading.evidence.conventions
    assert (belief.name, belief.because) == (convention, ("stated",))


def test_the_file_decides_between_frameworks() -> None:
    """The same arrays are torch's from a `.pt`, and undecided from a file that anybody writes."""
    torchs, anybodys = weighed(nobodys(), origin=Origin(".pt")), weighed(nobodys(), origin=Origin(".npz"))
    assert (torchs.convention.name, whose(torchs)) == ("torch", ["torch"])
    assert ".pt" in torchs.choice.reading.evidence.because
    assert len(whose(anybodys)) == 2
    assert not anybodys.choice.reading.evidence.decided


def test_names_decide_between_frameworks() -> None:
    """`output` and `h_n` are torch's, whatever the file is; `outputs` and `state` are nobody's."""
    outputs, state = run()
    judged = weighed({"output": outputs, "h_n": state[None], "lengths": LENGTHS})
    assert (judged.convention.name, whose(judged)) == ("torch", ["torch"])
    assert len(whose(weighed(nobodys()))) == 2


def test_repeated_padding_of_a_right_run_is_keras() -> None:
    """Outputs that repeat behind the right state speak for Keras, which zeros there do not."""
    repeated, zeros = weighed(nobodys("repeat")), weighed(nobodys("zero"))
    assert repeated.convention.name == "keras"
    assert "padding: repeat" in repeated.choice.reading.evidence.because
    assert "padding: repeat" not in zeros.choice.reading.evidence.because


def test_the_padding_of_a_mistaken_run_is_no_evidence() -> None:
    """Where most states are wrong, what the padding holds speaks for nobody."""
    arrays = nobodys("repeat")
    wrong = weighed({**arrays, "state": np.roll(arrays["state"], 1, 0)})
    beliefs = wrong.choice.reading.evidence.conventions
    assert all(not reason.startswith("padding") for belief in beliefs for reason in belief.because)


def test_a_stacked_state_speaks_for_those_who_stack() -> None:
    """A state `(L D) B H` is not read as tf1's, as one `B H` may be."""
    outputs, state = run()
    judged = weighed({"outputs": outputs, "state": state[None], "lengths": LENGTHS})
    assert "tf1" not in whose(judged)
    assert "tf1" in whose(weighed(nobodys()))


def test_time_major_by_default_is_read_so() -> None:
    """torch's `[T, B, H]` that nobody stated is read as time-major and said to be its default; `[B, T, H]` is not."""
    outputs, state = run()
    names = {"h_n": state[None], "lengths": LENGTHS}
    time = weighed({"output": outputs.transpose(1, 0, 2), **names}).choice.reading
    batch = weighed({"output": outputs, **names}).choice.reading
    assert (time.time_major, time.time_swapped, batch.time_major) == (True, False, False)
    assert any("torch's default" in reason for reason in time.evidence.because)
    assert not any("torch's default" in reason for reason in batch.evidence.because)


def test_axes_that_were_stated_speak_for_no_framework() -> None:
    """Axes are evidence of whose arrays they are only where the numbers alone told them."""
    outputs, state = run()
    names = {"h_n": state[None], "lengths": LENGTHS}
    arrays = {"output": outputs.transpose(1, 0, 2).copy(), **names}
    for config, told in ((LayerConfig(), True), (LayerConfig(time_major=True, axes_stated=True), False)):
        because = weighed(arrays, config).choice.reading.evidence.because
        assert any("default" in reason for reason in because) is told
    by_row = weighed({"outputs": outputs, "state": state, "lengths": LENGTHS}, LayerConfig(axes_stated=True))
    beliefs = by_row.choice.reading.evidence.conventions
    assert not any("default" in reason for belief in beliefs for reason in belief.because)


def test_outputs_of_four_axes_are_onnx() -> None:
    """`[T, D, B, H]` is ONNX's alone; a state of four axes beside outputs of three says nothing of the kind."""
    rng = np.random.default_rng(6)
    outputs = rng.standard_normal((STEPS, 1, ROWS, UNITS)).astype(np.float32)
    judged = weighed({"outputs": outputs, "state": outputs[-1].copy()})
    assert whose(judged) == ["onnx"]
    assert "outputs of four axes" in judged.choice.reading.evidence.because
    three = weighed({"outputs": outputs[:, 0].copy(), "state": outputs[-1][None].copy()})
    reasons = [reason for belief in three.choice.reading.evidence.conventions for reason in belief.because]
    assert "outputs of four axes" not in reasons


def test_another_reading_that_fits_is_listed() -> None:
    """A square batch whose state fits along both axes keeps the other as a rival; one that fits once has none."""
    square = np.random.default_rng(4).standard_normal((STEPS, STEPS, UNITS)).astype(np.float32)
    both = square.copy()
    both[:, -1] = both[-1]
    judged = weighed({"outputs": both, "state": both[:, -1].copy()})
    assert judged.choice.rivals
    assert not weighed({"outputs": square, "state": square[:, -1].copy()}).choice.rivals


def test_what_has_no_role_is_named() -> None:
    """An array that was not read is listed with what it looks like; where all were read nothing is."""
    extra = weighed({**nobodys(), "blob": np.zeros(9)})
    assert [text.partition(" was")[0] for text in extra.choice.reading.evidence.unused] == ["blob [9]"]
    assert weighed(nobodys()).choice.reading.evidence.unused == ()


def test_a_stated_array_that_fits_nothing_is_refused() -> None:
    """An array that was named for a role and does not fit there is an error; the same array unnamed is only listed."""
    odd = np.zeros((ROWS + 3, STEPS, 2), np.float32)
    slot = Slot("inputs", "odd", odd)
    named: dict[Role, Slot] = {"inputs": slot}
    with pytest.raises(ShapeError, match="odd"):
        weighed({**nobodys(), "odd": odd}, named=named)
    assert any("odd" in text for text in weighed({**nobodys(), "odd": odd}).choice.reading.evidence.unused)


def test_several_states_are_told_by_their_numbers() -> None:
    """Of two arrays that could be the state the one that equals steps is taken; where neither does, both are listed."""
    outputs, state = run()
    noise = np.random.default_rng(9).standard_normal(state.shape).astype(np.float32)
    judged = weighed({"outputs": outputs, "a": noise, "b": state, "lengths": LENGTHS})
    assert [slot.name for slot in judged.slots if slot.role == "h"] == ["b"]
    with pytest.raises(ShapeError, match=r"a.*b"):
        weighed({"outputs": outputs, "a": noise, "b": noise + 1, "lengths": LENGTHS})


def test_a_stated_axis_holds() -> None:
    """Axes that were stated are kept, and the reading says where the numbers speak against them."""
    outputs, state = run()
    arrays = {"output": outputs.transpose(1, 0, 2).copy(), "h_n": state[None], "lengths": LENGTHS}
    right = weighed(arrays, replace(LayerConfig(), time_major=True, axes_stated=True)).choice.reading
    assert right.time_major
    assert right.as_stated
