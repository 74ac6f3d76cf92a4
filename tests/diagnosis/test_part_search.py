"""One part of the weights wrongly converted, a kernel, a layer or a direction: the part is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rnninspect.core.weights import LayerWeights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.evidence import first_step, part_search
from rnninspect.diagnosis.evidence.part_search import fixed_in_a_part
from rnninspect.diagnosis.evidence.weight_changes import changes_of, each
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case, random_weights

LENGTHS = np.array([7, 2, 5, 4, 7])


def ran(cell: str, layers: int, directions: int) -> Case:
    """A right run of a small stack, two steps or more a row."""
    weights = random_weights(cell, 4, 4, layers=layers, directions=directions)
    return correct_case(cell, layers, directions, lengths=LENGTHS, units=4, weights=weights)


def with_part(case: Case, where: Callable[[LayerWeights], bool], turn: Callable[[LayerWeights], LayerWeights]) -> Case:
    """The case with the weights of some layers and directions changed."""
    assert case.weights is not None
    return case.with_weights(each(case.weights, lambda g: turn(g) if where(g) else g))


def reordered(g: LayerWeights, *names: str) -> LayerWeights:
    """The layer with its first two gates exchanged in these arrays."""
    picked = [1, 0, *range(2, len(g.bias))]
    parts = names or ("input_kernel", "recurrent_kernel", "bias", "recurrent_bias")
    arrays = {name: getattr(g, name) for name in parts}
    return replace(g, **{name: a[picked] for name, a in arrays.items() if a is not None})


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    ("layers", "directions", "where", "in_words"),
    [
        (2, 2, lambda g: (g.layer, g.direction) == (0, "forward"), "in layer 0 forward alone"),
        (2, 2, lambda g: (g.layer, g.direction) == (1, "backward"), "in layer 1 backward alone"),
        (2, 2, lambda g: g.layer == 1, "in layer 1 alone"),
        (2, 2, lambda g: g.direction == "backward", "in the backward direction alone"),
        (1, 2, lambda g: g.direction == "backward", "in layer 0 backward alone"),
        (3, 1, lambda g: g.layer == 1, "in layer 1 alone"),
    ],
)
def test_the_layer_or_direction_is_told(
    cell: str, layers: int, directions: int, where: Callable[[LayerWeights], bool], in_words: str
) -> None:
    """Gates of one layer, of one direction, or of one layer's one direction in another order: named, with its place."""
    wrong = with_part(ran(cell, layers, directions), where, reordered)
    (finding,) = judge(wrong, rules()).findings
    assert finding.rule == "gate-order"
    assert finding.evidence["change"].endswith(in_words)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("kernel", ["input_kernel", "recurrent_kernel"])
def test_the_kernel_is_told(cell: str, kernel: str) -> None:
    """Gates put in order in one kernel and forgotten in the other: the kernel is named."""
    wrong = with_part(ran(cell, 1, 1), lambda g: True, lambda g: reordered(g, kernel))
    (finding,) = judge(wrong, rules()).findings
    assert finding.rule == "gate-order"
    assert f"only the {kernel.replace('_', ' ')}'s" in finding.evidence["change"]


def test_another_change_of_a_part_is_named_by_its_rule() -> None:
    """A recurrent kernel transposed in the second layer, a bias counted twice in the first: each by its own rule."""
    case = ran("lstm", 2, 1)
    turned = with_part(
        case, lambda g: g.layer == 1, lambda g: replace(g, recurrent_kernel=g.recurrent_kernel.swapaxes(1, 2))
    )
    doubled = with_part(case, lambda g: g.layer == 0, lambda g: replace(g, bias=g.bias / 2))
    assert [f.rule for f in judge(turned, rules()).findings] == ["kernel-transposed"]
    assert [f.rule for f in judge(doubled, rules()).findings] == ["bias-dropped"]


def test_other_weights_are_no_part_wrongly_converted() -> None:
    """Noise in one layer is unexplained, and right weights are not searched."""
    case = ran("lstm", 2, 2)
    rng = np.random.default_rng(8)
    noisy = with_part(
        case,
        lambda g: g.layer == 1,
        lambda g: replace(g, input_kernel=g.input_kernel + rng.normal(size=g.input_kernel.shape).astype(np.float32)),
    )
    assert [f.rule for f in judge(noisy, rules()).findings] == ["unexplained-difference"]
    assert fixed_in_a_part(case) is None


def test_a_search_that_would_take_long_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its bounds the difference stays unexplained; within them the same one is explained."""
    wrong = with_part(ran("gru", 2, 2), lambda g: g.layer == 0, reordered)
    for bound in ("MOST_STEPS", "MOST_PRODUCTS"):
        with monkeypatch.context() as patched:
            patched.setattr(part_search, bound, 10)
            again = wrong.with_weights(wrong.weights)
            assert fixed_in_a_part(again) is None
    assert fixed_in_a_part(wrong) is not None


@pytest.mark.parametrize(
    ("layers", "directions", "where"),
    [
        (2, 1, (1, "forward")),
        (2, 1, (0, "forward")),
        (1, 2, (0, "forward")),
        (1, 2, (0, "backward")),
        (2, 2, (1, "backward")),
    ],
)
@pytest.mark.parametrize("more", [1.0, -1.0])
def test_the_forget_bias_of_one_part_is_told(layers: int, directions: int, where: tuple[int, str], more: float) -> None:
    """Added once too often, or not at all, in one layer or direction: no bias that may be any number."""

    def moved(g: LayerWeights) -> LayerWeights:
        bias = g.bias.copy()
        bias[1] += more  # the gates of an LSTM: i, f, g, o
        return replace(g, bias=bias)

    wrong = with_part(ran("lstm", layers, directions), lambda g: (g.layer, g.direction) == where, moved)
    (finding,) = judge(wrong, rules()).findings
    assert finding.rule == "forget-bias"
    assert finding.evidence["change"].startswith(f"{-more:+g} added to the forget gate's bias, in layer {where[0]}")


def test_another_bias_of_one_direction_is_no_forget_bias() -> None:
    """The twin: half of the constant, or another gate's, is a bias that was lost."""
    for gate, more in ((1, 0.5), (0, 1.0)):

        def moved(g: LayerWeights, gate: int = gate, more: float = more) -> LayerWeights:
            bias = g.bias.copy()
            bias[gate] += more
            return replace(g, bias=bias)

        wrong = with_part(ran("lstm", 1, 2), lambda g: g.direction == "backward", moved)
        assert [f.rule for f in judge(wrong, rules()).findings] == ["bias-dropped"]


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru before", "rnn"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_first_step_by_all_changes_at_once_is_that_of_each(cell: str, layers: int) -> None:
    """What one run says of the first step by many weights is what a run by each of them says; the row whose first step
    is padding is left out."""
    case = ran(cell.split()[0], layers, 1)
    assert case.weights is not None
    assert case.batch is not None
    spec = replace(case.weights.spec, reset_after=cell != "gru before")
    case = case.with_weights(replace(case.weights, spec=spec))
    mask = case.trace.mask.copy()
    mask[1, 0] = False
    case = case.with_trace(replace(case.trace, mask=mask, lengths=None, mask_given=True))
    candidates = [change.apply(case.weights) for change in changes_of(case.weights)]
    off = np.stack(list(first_step.begins_off(case, candidates, lambda weights: weights, 1e-6)))
    outputs = np.stack([np.asarray(t.outputs)[:, 0] for t in case.trace.tracks])
    for weights, rows in zip(candidates, off, strict=True):
        made = case.with_weights(weights).run(case.batch).tracks
        gaps = np.abs(np.stack([np.asarray(t.outputs)[:, 0] for t in made]) - outputs)
        assert rows.tolist() == ((gaps.max((0, 2)) > 1e-4) & mask[:, 0]).tolist()
    assert off.any(0).tolist() == mask[:, 0].tolist()
