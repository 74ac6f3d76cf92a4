"""TensorFlow 1's own code against a mistake, run where it is installed: it gives what each row gives alone.

TensorFlow 2 runs `tf.compat.v1`, with the cells of `tf_keras`; elsewhere these fixes run on stand-ins alone.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from rnninspect.conventions import conventions
from tests.diagnosis.test_fixes_run import INPUTS, LENGTHS, MASK, ORDER, B, H, T, close, zeroed

Names = dict[str, Any]
OF_ONE = (
    "lengths-ignored",
    "stale-initial-state",
    "last-column-as-final-state",
    "cell-hidden-swapped",
    "rows-permuted",
)
OF_TWO = ("lengths-ignored", "backward-final-at-last-step", "direction-missing", "direction-duplicated")
OF_TWO += ("directions-exchanged", "cell-overwritten-by-hidden", "output-residual", "rows-permuted")


@pytest.fixture(scope="module")
def tf() -> Any:
    """TensorFlow as version 1 has it."""
    pytest.importorskip("tf_keras", reason="tensorflow with tf_keras is not installed")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    tensorflow = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    return tensorflow.compat.v1


class Graph:
    """A graph with cells of one kind, what a call of them gives, and each row's state of a run by itself."""

    def __init__(self, tf: Any, cell: str, directions: int) -> None:
        self.tf, self.cell, self.directions = tf, cell, directions
        kind = tf.nn.rnn_cell.LSTMCell if cell == "lstm" else tf.nn.rnn_cell.GRUCell
        self.cells = [kind(H, name=f"cell_{i}") for i in range(directions)]
        self.inputs, self.lengths = tf.constant(INPUTS), tf.constant(LENGTHS.astype(np.int32))
        alone = [self.states(tf.constant(INPUTS[b : b + 1, :n])) for b, n in enumerate(LENGTHS)]
        self.alone = tf.concat([tf.concat([self.h_of(s) for s in states], 1) for states in alone], 0)

    def h_of(self, state: Any) -> Any:
        return state.h if self.cell == "lstm" else state

    def states(self, inputs: Any, lengths: Any = None) -> list[Any]:
        if self.directions == 1:
            return [self.tf.nn.dynamic_rnn(self.cells[0], inputs, lengths, dtype=self.tf.float32)[1]]
        both = self.tf.nn.bidirectional_dynamic_rnn(*self.cells, inputs, sequence_length=lengths, dtype=self.tf.float32)
        return list(both[1])

    def names(self, order: np.ndarray | None = None) -> Names:
        """What the user has: cells, inputs, lengths and the states of a right run, its rows in this order."""
        rows = np.arange(B) if order is None else order
        states = self.states(self.tf.constant(INPUTS[rows]), self.tf.constant(LENGTHS[rows].astype(np.int32)))
        names: Names = {"tf": self.tf, "inputs": self.inputs, "lengths": self.lengths}
        names["order"] = self.tf.constant(ORDER)
        if self.directions == 1:
            return names | {"cell": self.cells[0], "state": states[0], "batch_size": B}
        return names | dict(zip(("cell_fw", "cell_bw", "state_fw", "state_bw"), (*self.cells, *states), strict=True))

    def run(self, *tensors: Any) -> list[np.ndarray]:
        with self.tf.Session() as session:
            session.run(self.tf.global_variables_initializer())
            return list(session.run(list(tensors)))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(("directions", "rules"), [(1, OF_ONE), (2, OF_TWO)], ids=["one", "two"])
def test_tensorflow_states(tf: Any, cell: str, directions: int, rules: tuple[str, ...]) -> None:
    """Whatever the mistake was, the state that the code gives is that of each row alone, in one direction and two."""
    with tf.Graph().as_default():
        graph = Graph(tf, cell, directions)
        for rule in rules:
            if cell == "gru" and rule.startswith("cell-"):
                continue
            names = graph.names(ORDER if rule == "rows-permuted" else None)
            code = conventions()["tf1"].fix(rule, False, cell, directions)  # type: ignore[arg-type]
            assert code is not None
            exec(code, names)
            final, right = graph.run(final_of(graph, names, rule), graph.alone)
            close(final, right)


def final_of(graph: Graph, names: Names, rule: str) -> Any:
    """The state that the code gave, directions side by side."""
    if "final" in names:
        return names["final"]
    if rule.startswith("cell-"):
        return names["h"] if graph.directions == 1 else graph.tf.concat([names["h_fw"], names["h_bw"]], 1)
    if graph.directions == 2:
        return graph.tf.concat([graph.h_of(names["state_fw"]), graph.h_of(names["state_bw"])], 1)
    return graph.h_of(names["state"])


def test_tensorflow_arrays(tf: Any) -> None:
    """Padded and masked steps are zeroed, rows are turned within their lengths, and the index is of the last step."""
    outputs = np.random.default_rng(1).normal(size=(B, T, H)).astype(np.float32)
    with tf.Graph().as_default():
        names = {"tf": tf, "lengths": tf.constant(LENGTHS.astype(np.int32)), "B": B, "T": T}
        fixes, made = conventions()["tf1"].fixes, {}
        for rule, target in {
            "padding-computed": "outputs",
            "mask-hole": "outputs",
            "backward-not-flipped": "outputs_bw",
            "backward-read-padding": "reversed_inputs",
            "flat-gather-wrong-stride": "index",
            "length-exceeds-time": "lengths",
        }.items():
            arrays = {"outputs": tf.constant(outputs), "mask": tf.constant(MASK), "inputs": tf.constant(INPUTS)}
            into = {**names, **arrays, "outputs_bw": tf.constant(outputs)}
            exec(fixes[rule], into)
            made[rule] = into[target]
        with tf.Session() as session:
            values = session.run(made)
    close(values["padding-computed"], zeroed(outputs))
    close(values["mask-hole"], zeroed(outputs))
    close(outputs.reshape(-1, H)[values["flat-gather-wrong-stride"]], outputs[np.arange(B), LENGTHS - 1])
    np.testing.assert_array_equal(values["length-exceeds-time"], LENGTHS)
    for b, n in enumerate(LENGTHS):
        close(values["backward-not-flipped"][b, :n], outputs[b, :n][::-1])
        close(values["backward-read-padding"][b, :n], INPUTS[b, :n][::-1])
