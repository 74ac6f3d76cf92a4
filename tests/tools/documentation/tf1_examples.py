"""TensorFlow 1: the docstrings of tf.nn's recurrent functions, run by tf.compat.v1 with the cells of tf_keras."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tf_keras.src.layers.rnn import legacy_cells as cells

from documentation.saving import Set

v1 = tf.compat.v1


def make() -> Set:
    made = Set("tensorflow", tf.__version__ + " compat.v1", "tf1")
    for part in (dynamic, stacked, static, bidirectional, raw):
        part(made)
    return made


def run(build: Any) -> Any:
    with tf.Graph().as_default():
        v1.set_random_seed(0)
        wanted = build()
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            return session.run(wanted)


X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)


def dynamic(made: Set) -> None:
    def build() -> Any:
        rnn_cell = cells.BasicRNNCell(5)
        return v1.nn.dynamic_rnn(
            rnn_cell, v1.constant(X), initial_state=rnn_cell.zero_state(4, tf.float32), dtype=tf.float32
        )

    outputs, state = run(build)
    page = "tf.compat.v1.nn.dynamic_rnn, docstring"
    made.save("tf1-dynamic", page, {".npz": {"outputs": outputs, "state": state}}, saved="npz, the docstring's names")

    def lengths() -> Any:
        return v1.nn.dynamic_rnn(cells.LSTMCell(5), v1.constant(X), sequence_length=[6, 2, 1, 4], dtype=tf.float32)

    outputs, state = run(lengths)
    names = {"outputs": outputs, "state.c": state.c, "state.h": state.h, "sequence_length": np.array([6, 2, 1, 4])}
    made.save("tf1-dynamic-lengths", page + ", argument sequence_length", {".npz": names}, saved="npz")
    made.save(
        "tf1-dynamic-unsaid",
        page + ", argument sequence_length",
        {".npz": {"outputs": outputs, "last_state": state.h}},
        saved="npz, the lengths not saved",
    )


def stacked(made: Set) -> None:
    def build() -> Any:
        rnn_layers = [cells.LSTMCell(size) for size in (7, 5)]
        return v1.nn.dynamic_rnn(cell=cells.MultiRNNCell(rnn_layers), inputs=v1.constant(X), dtype=tf.float32)

    outputs, state = run(build)
    names = {"outputs": outputs}
    for k, one in enumerate(state):
        names |= {f"state.{k}.c": one.c, f"state.{k}.h": one.h}
    changed = "7 and 5 units instead of 128 and 256"
    made.save(
        "tf1-multi",
        "tf.compat.v1.nn.dynamic_rnn, docstring",
        {".npz": names},
        saved="npz, a place a layer",
        changed=changed,
    )


def static(made: Set) -> None:
    def build() -> Any:
        return v1.nn.static_rnn(cells.BasicLSTMCell(5), v1.unstack(v1.constant(X), axis=1), dtype=tf.float32)

    outputs, state = run(build)
    page = "tf.compat.v1.nn.static_rnn, docstring"
    names = {"outputs": np.stack(outputs), "state_c": state.c, "state_h": state.h}
    made.save("tf1-static", page, {".npz": names}, "@.npz", "@.npz --time-major", saved="npz, steps stacked on axis 0")
    listed = {f"outputs.{t}": step for t, step in enumerate(outputs)}
    made.save(
        "tf1-static-list",
        page,
        {".npz": {**listed, "state.c": state.c, "state.h": state.h}},
        saved="npz, a step a name",
    )


def bidirectional(made: Set) -> None:
    def build() -> Any:
        fw, bw = cells.LSTMCell(5), cells.LSTMCell(5)
        return v1.nn.bidirectional_dynamic_rnn(fw, bw, v1.constant(X), sequence_length=[6, 2, 1, 4], dtype=tf.float32)

    (output_fw, output_bw), (state_fw, state_bw) = run(build)
    page = "tf.compat.v1.nn.bidirectional_dynamic_rnn, docstring"
    states = {"output_state_fw.h": state_fw.h, "output_state_bw.h": state_bw.h}
    made.save(
        "tf1-bidirectional",
        page,
        {".npz": {"output_fw": output_fw, "output_bw": output_bw, **states}},
        "@.npz",
        "@.npz --bidirectional --lengths 6,2,1,4",
        saved="npz, the docstring's names",
    )
    joined = {
        "outputs": np.concatenate([output_fw, output_bw], 2),
        "state": np.concatenate([state_fw.h, state_bw.h], 1),
        "seq_len": np.array([6, 2, 1, 4]),
    }
    made.save(
        "tf1-bidirectional-joined",
        page,
        {".npz": joined},
        "@.npz",
        "@.npz --bidirectional",
        saved="npz, tf.concat(outputs, 2) as there",
    )


def raw(made: Set) -> None:
    def build() -> Any:
        inputs_ta = tf.TensorArray(tf.float32, size=6).unstack(v1.constant(X.transpose(1, 0, 2)))
        cell, sequence_length = cells.LSTMCell(5), v1.constant([6, 2, 3, 4])

        def loop_fn(time: Any, cell_output: Any, cell_state: Any, loop_state: Any) -> Any:
            next_cell_state = cell.zero_state(4, tf.float32) if cell_output is None else cell_state
            elements_finished = time >= sequence_length
            finished = v1.reduce_all(elements_finished)
            next_input = v1.cond(finished, lambda: v1.zeros([4, 3]), lambda: inputs_ta.read(time))
            return elements_finished, next_input, next_cell_state, cell_output, None

        outputs_ta, final_state, _ = v1.nn.raw_rnn(cell, loop_fn)
        return outputs_ta.stack(), final_state

    outputs, final_state = run(build)
    names = {"outputs": outputs, "final_state.c": final_state.c, "final_state.h": final_state.h}
    page = "tf.compat.v1.nn.raw_rnn, docstring"
    made.save(
        "tf1-raw",
        page,
        {".npz": names},
        "@.npz",
        "@.npz --time-major --lengths 6,2,3,4",
        saved="npz, outputs_ta.stack()",
    )
