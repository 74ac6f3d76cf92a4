"""Arrays whose names claim a role that another array fills better."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect
from rnninspect.core.trace import Array

LENGTHS = np.array([5, 2, 4, 3])


def lstm() -> tuple[Array, Array, Array]:
    """Outputs `[B, T, H]` with zeroed padding, h and c `[1, B, H]`, of numbers that an LSTM may give."""
    rng = np.random.default_rng(3)
    outputs = rng.uniform(-0.9, 0.9, (4, 5, 5)).astype(np.float32)
    outputs[np.arange(5) >= LENGTHS[:, None]] = 0
    h = outputs[np.arange(4), LENGTHS - 1][None]
    return outputs, h, np.arctanh(h) * rng.uniform(1.1, 2, h.shape).astype(np.float32)


def judged(tmp_path_factory: pytest.TempPathFactory, **arrays: Array) -> tuple[str, set[str]]:
    path = tmp_path_factory.mktemp("dump") / "run.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    report = rnninspect.compare(path)
    return report.verdict, {finding.rule for finding in report.findings if finding.severity != "note"}


@pytest.mark.parametrize("names", [("encoder_outputs", "state", "memory"), ("result", "hidden", "hidden_state")])
def test_a_state_named_as_outputs_is_none(names: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> None:
    """`memory` is c beside an h of its shape and larger outputs, whatever these are called."""
    outputs, h, c = lstm()
    assert judged(tmp_path_factory, **dict(zip((*names, "lengths"), (outputs, h, c, LENGTHS), strict=True))) == (
        "clean",
        set(),
    )


@pytest.mark.parametrize(
    "names",
    [
        ("vals", "h_T", "c_T"),
        ("r_out", "h_n", "h_c"),
        ("x", "h_n", "cell"),
        ("Z", "u", "C"),
        ("ys", "hy", "cy"),
        ("o", "h1", "c1"),
    ],
)
def test_h_and_c_keep_their_names(names: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> None:
    """An h that is c by its numbers, beside a c that is h, is told whatever the outputs are called."""
    outputs, h, c = lstm()
    assert judged(tmp_path_factory, **dict(zip((*names, "lengths"), (outputs, h, c, LENGTHS), strict=True))) == (
        "clean",
        set(),
    )
    swapped = judged(tmp_path_factory, **dict(zip((*names, "lengths"), (outputs, c, h, LENGTHS), strict=True)))
    assert swapped == ("findings", {"cell-hidden-swapped"})


def test_features_beside_inputs_are_outputs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a name calls inputs is read as outputs where another array is the inputs."""
    outputs, h, _ = lstm()
    inputs = np.ones((4, 5, 3), np.float32)
    assert judged(tmp_path_factory, features=outputs, h_n=h, inputs=inputs, lengths=LENGTHS) == ("clean", set())
    moved = judged(tmp_path_factory, features=outputs, h_n=np.roll(h, 1, 1), inputs=inputs, lengths=LENGTHS)
    assert moved == ("findings", {"rows-permuted"})


@pytest.mark.parametrize(("name", "verdict"), [("ilens", "findings"), ("nb_steps", "findings"), ("extent", "unjudged")])
def test_lengths_in_another_unit_are_not_passed_over(
    name: str, verdict: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Numbers that are twice the steps before the zeros are judged as lengths, or keep the zeros from proving any."""
    outputs, h, _ = lstm()
    assert judged(tmp_path_factory, output=outputs, h_n=h, **{name: 2 * LENGTHS})[0] == verdict
    assert judged(tmp_path_factory, output=outputs, h_n=h, **{name: LENGTHS}) == ("clean", set())


@pytest.mark.parametrize("marks", [np.array([5, 1, 2, 4]), np.tri(4, 5, dtype=np.int64)])
def test_an_unknown_name_alone_accuses_nobody(marks: Array, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ratings or flags that reach T are no lengths where zeros show others, and decide nothing where nothing shows any;
    under a name of lengths or of a mask they do."""
    outputs, h, _ = lstm()
    full = np.where(outputs == 0, 0.3, outputs).astype(np.float32)
    assert judged(tmp_path_factory, output=outputs, h_n=h, marks=marks) == ("clean", set())
    assert judged(tmp_path_factory, output=full, h_n=full[:, -1], marks=marks)[0] == "unjudged"
    real_steps = {"lengths" if marks.ndim == 1 else "mask": marks}
    assert judged(tmp_path_factory, output=full, h_n=full[:, -1], **real_steps)[0] == "findings"


@pytest.mark.parametrize("stack", [("ys_", "hy", "cy"), ("2.", "0", "1")])
def test_rows_of_unequal_lengths_are_a_batch_under_any_name(
    stack: tuple[str, str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One array a row beside stacks of two layers' states is the outputs, whatever rows these states are of."""
    outputs, h, c = lstm()
    rows = {f"{stack[0]}{b}": outputs[b, :length] for b, length in enumerate(LENGTHS)}
    states = {name: np.concatenate([a[:, ::-1] / 2, a]) for name, a in zip(stack[1:], (h, c), strict=True)}
    assert judged(tmp_path_factory, **rows, **states) == ("clean", set())
    moved = {name: np.roll(a, 1, 1) for name, a in states.items()}
    assert judged(tmp_path_factory, **rows, **moved) == ("findings", {"rows-permuted"})


@pytest.mark.parametrize(
    "names", [("encoder.output", "encoder.h_n", "decoder.output", "decoder.h_n"), ("a1", "b1", "a2", "b2")]
)
def test_no_number_chooses_between_two_runs(names: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of two runs in one file the right one is not taken for the only one, whichever of the two is wrong."""
    outputs, h, _ = lstm()
    for states in ((h, np.roll(h, 1, 1)), (np.roll(h, 1, 1), h)):
        arrays = dict(zip(names, (outputs, states[0], outputs / 2, states[1] / 2), strict=True))
        with pytest.raises(rnninspect.UserError, match="several"):
            judged(tmp_path_factory, **arrays)


def test_a_vector_beside_a_group_takes_no_role_from_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two learning rates outside a group leave its names what they are: h and c of few numbers, exchanged."""
    outputs, h, c = (array[..., :1] for array in lstm())
    run = {"r.output": outputs, "r.final_state.h": c[0], "r.final_state.c": h[0], "lr": np.array([0.1, 0.2])}
    assert judged(tmp_path_factory, **run) == ("findings", {"cell-hidden-swapped"})
