"""Recording Flax models, linen and nnx, right and wrong: results stay as they are, whatever their calls return."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rnninspect
from rnninspect.errors import UnknownNameError, UserError

flax = pytest.importorskip("flax", reason="flax is not installed")
import jax  # noqa: E402
from flax import linen, nnx  # noqa: E402

LENGTHS = np.array([3, 6, 2, 4])
X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
CELLS = [
    "LSTMCell",
    "GRUCell",
    *(pytest.param(cell, marks=pytest.mark.long) for cell in ("OptimizedLSTMCell", "SimpleCell")),
]


def recorded(run: Any, model: Any, lengths: Any = LENGTHS, same: bool = False) -> Any:
    """The recording of one call; `same`: after it was seen to change nothing (every call of Flax's compiles anew)."""
    before = jax.tree.leaves(run()) if same else []
    with rnninspect.record(model, lengths=lengths) as recording:
        during = jax.tree.leaves(run())
    assert all(np.array_equal(a, b) for a, b in zip(before, during, strict=same))
    return recording


def in_linen(model: Any, x: Any = X, lengths: Any = LENGTHS, same: bool = False, **told: Any) -> Any:
    variables = model.init(jax.random.key(0), x[:, :1])
    return recorded(lambda: model.apply(variables, x, **told), model, lengths, same)


def rules(recording: Any, **options: Any) -> list[str]:
    return [f.rule for f in recording.inspect(**options).findings if f.severity != "note"]


@pytest.mark.parametrize("cell", CELLS)
def test_linen_reads_its_lengths_or_not(cell: str) -> None:
    """A layer that was told of the lengths is clean; one that was not is named where its carry is returned."""
    model = linen.RNN(getattr(linen, cell)(5), return_carry=True)
    right = in_linen(model, same=True, seq_lengths=LENGTHS)
    (report,) = right.inspect()
    assert (report.verdict, report.convention, report.lengths) == ("clean", "flax", LENGTHS.tolist())
    assert not any("weights" in n.reason for n in report.not_checked)
    assert rules(in_linen(model)) == ["lengths-ignored"]


def test_linen_without_its_carry() -> None:
    """Outputs alone: unjudged until the state that is taken is given; right, or the last column."""
    model = linen.RNN(linen.GRUCell(5))
    recording = in_linen(model)
    (report,) = recording.inspect()
    assert report.verdict == "unjudged"
    outputs = recording.calls[0].tracks[0].outputs
    assert recording.inspect(final_state=outputs[np.arange(4), LENGTHS - 1]).ok
    assert rules(recording, final_state=outputs[:, -1]) == ["lengths-ignored"]


@pytest.mark.parametrize("told", [True, False])
def test_linen_in_two_directions_that_are_merged(told: bool) -> None:
    """A sum of both directions: each is judged before it, and a way back through the padding is found."""
    model = linen.Bidirectional(linen.RNN(linen.LSTMCell(5)), linen.RNN(linen.LSTMCell(5)), merge_fn=lambda a, b: a + b)
    recording = in_linen(model, **({"seq_lengths": LENGTHS} if told else {}))
    assert rules(recording) == ([] if told else ["backward-read-padding"])
    assert [t.direction for t in recording.inspect()[0].tracks] == ["forward", "backward"]


@pytest.mark.parametrize("keep_order", [True, False])
def test_linen_in_reverse_and_time_major(keep_order: bool) -> None:
    """Outputs that stay reversed, or are put back; the time axis first."""
    model = linen.RNN(
        linen.SimpleCell(5), reverse=True, keep_order=keep_order, time_major=keep_order, return_carry=True
    )
    x = X.swapaxes(0, 1) if keep_order else X
    assert in_linen(model, x, seq_lengths=LENGTHS).inspect()[0].verdict == "clean"


class Loop(linen.Module):
    """A loop over a cell, inside a model with a layer."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = linen.RNN(linen.SimpleCell(5), name="layer")(x)
        cell = linen.SimpleCell(5, name="cell")
        carry = cell.initialize_carry(jax.random.key(0), x[:, 0].shape)
        for t in range(1):
            carry, _ = cell(carry, x[:, t])
        return carry


def test_linen_what_cannot_be_recorded_is_said() -> None:
    """Loops over cells, and what jax.jit runs, are listed; a cell of one's own is no known one."""
    recording = in_linen(Loop(), lengths=None)
    assert [call.where.name for call in recording.calls] == ["layer"]
    assert "a loop or scan of your own" in recording.unseen["cell"]
    model = linen.RNN(linen.GRUCell(5))
    variables = model.init(jax.random.key(0), X)
    with rnninspect.record(model) as recording:
        jax.jit(model.apply)(variables, X)
    (report,) = recording.inspect()
    assert report.verdict == "unjudged"
    assert "traced by jax.jit" in report.untested


class Model(nnx.Module):
    """A layer in one direction and one in two, which are told of the lengths or not."""

    def __init__(self, cell: str) -> None:
        rngs = nnx.Rngs(0)
        made = getattr(nnx, cell)
        self.below = nnx.RNN(made(3, 5, rngs=rngs))
        self.above = nnx.Bidirectional(nnx.RNN(made(5, 4, rngs=rngs)), nnx.RNN(made(5, 4, rngs=rngs)))

    def __call__(self, x: Any, **told: Any) -> Any:
        return self.above(self.below(x, return_carry=True, **told)[1], return_carry=True, **told)


@pytest.mark.parametrize("cell", CELLS[:1] + [pytest.param(cell, marks=pytest.mark.long) for cell in ("GRUCell",)])
def test_nnx(cell: str) -> None:
    """Every layer of an nnx model by its place in it; both directions of one as one call."""
    model = Model(cell)
    right = recorded(lambda: model(X, seq_lengths=LENGTHS), model, same=True)
    assert [(r.source["name"], r.verdict) for r in right.inspect()] == [("below", "clean"), ("above", "clean")]
    wrong = recorded(lambda: model(X), model)
    assert rules(wrong, name="below") == ["lengths-ignored"]
    assert rules(wrong, name="above") == ["lengths-ignored"]


def test_nnx_misuse() -> None:
    """A model without layers, names that it lacks, and what nnx.jit runs."""
    model = Model("GRUCell")
    with pytest.raises(UserError, match="the model holds none"), rnninspect.record(nnx.Linear(2, 2, rngs=nnx.Rngs(0))):
        pass
    with pytest.raises(UnknownNameError, match="Known: "), rnninspect.record(model, lengths={"beloww": LENGTHS}):
        pass
    with rnninspect.record(model) as recording:
        nnx.jit(lambda m, x: m(x))(model, X)
    assert {r.verdict for r in recording.inspect()} == {"unjudged"}


class Told(linen.Module):
    """A layer around whose call stand the lengths, which it is told of or not."""

    told: bool

    @linen.compact
    def __call__(self, x: Any, lengths: Any) -> Any:
        return linen.RNN(linen.GRUCell(5), return_carry=True, name="layer")(
            x, seq_lengths=lengths if self.told else None
        )


class Batches(nnx.Module):
    """The same of nnx, called with a dict."""

    def __init__(self, told: bool) -> None:
        self.layer, self.told = nnx.RNN(nnx.GRUCell(3, 5, rngs=nnx.Rngs(0)), return_carry=True), told

    def __call__(self, batch: Any) -> Any:
        return self.layer(batch["x"], seq_lengths=batch["lengths"] if self.told else None)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("linen", True),
        ("nnx", False),
        *(pytest.param(*k, marks=pytest.mark.long) for k in (("linen", False), ("nnx", True))),
    ],
)
def test_lengths_are_read_from_the_arguments_of_each_call(kind: str, told: bool) -> None:
    """Proves that an argument's name, by layer too, and a function of the arguments give each call its own lengths: a
    right model is clean and a wrong one is named; a name that no call has leaves its call open."""
    model: Any = Told(told) if kind == "linen" else Batches(told)
    variables = model.init(jax.random.key(0), X[:, :1], LENGTHS * 0 + 1) if kind == "linen" else {}

    def run(order: slice) -> Any:
        if kind == "linen":
            return model.apply(variables, X[order], LENGTHS[order])
        return model({"x": X[order], "lengths": LENGTHS[order]})

    def by_function(x: Any, lengths: Any = None) -> Any:
        return x["lengths"] if lengths is None else lengths

    with rnninspect.record(model, lengths={"layer": "lengths"}) as recording:
        run(slice(None))
        recording.lengths = by_function
        run(slice(None, None, -1))
        recording.lengths = "nothing_such"
        run(slice(None))
    *judged, unanswered = recording.inspect()
    assert [report.lengths for report in judged] == [LENGTHS.tolist(), LENGTHS[::-1].tolist()]
    assert {f.rule for report in judged for f in report.findings} == (set() if told else {"lengths-ignored"})
    assert unanswered.verdict == "unjudged"
    assert "an argument called nothing_such, and no call" in unanswered.untested
