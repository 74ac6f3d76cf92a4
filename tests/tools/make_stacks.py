"""Makes the recorded runs of stacks that read one another in other ways: Keras `merge_mode`, stacked cells, TF1.

    pip install keras==3.15.1 tensorflow==2.21.0 tf_keras==2.21.0 && KERAS_BACKEND=tensorflow python make_stacks.py

Weights, inputs and padding are random (seed 2); the cases are added to `index.json`, in place of those of their names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tf_keras.src.layers.rnn import legacy_cells as tf1_cells

HERE = Path(__file__).resolve().parents[1] / "data" / "recorded"
B, T, F, H = 4, 6, 3, 4
LENGTHS = np.array([4, 6, 0, 3])
MASK = np.arange(T)[None] < LENGTHS[:, None]
draw = np.random.default_rng(2)
x = draw.normal(size=(B, T, F)).astype(np.float32)
cases: list[dict[str, Any]] = []


def save(name: str, layout: str, cell: str, dump: dict[str, Any], weights: dict[str, Any], **more: Any) -> None:
    np.savez(HERE / f"{name}.npz", **{k: np.asarray(v) for k, v in dump.items()}, inputs=x, lengths=LENGTHS)
    np.savez(HERE / f"{name}.weights.npz", **weights)
    entry = {"name": name, "layout": layout, "cell": cell, "attributes": {}, "layers": 2, "directions": 1, "stated": {}}
    entry |= {"data": f"{name}.npz", "weights": f"{name}.weights.npz", "weights_layout": layout, "time_major": False}
    entry |= {"dtype": "float32", "lengths": LENGTHS.tolist(), "roles": {}, "mistakes": [], **more}
    cases.append(entry)


L = keras.layers
options = {"return_sequences": True, "return_state": True}
BOTH = ("outputs", "forward_h", "forward_c", "backward_h", "backward_c")


def keras_run(name: str, cell: str, layers: list[Any], names: list[tuple[str, ...]], **more: Any) -> None:
    def run() -> dict[str, Any]:
        y, dump = x, {}
        for layer, roles in zip(layers, names, strict=True):
            values = [v for part in layer(y, mask=MASK) for v in (part if isinstance(part, (list, tuple)) else [part])]
            dump |= dict(zip(roles, values, strict=True))
            y = values[0]
        return dump

    run()
    for layer in layers:
        layer.set_weights([draw.normal(size=w.shape, scale=0.5) for w in layer.get_weights()])
    save(name, "keras", cell, run(), {w.path: w.numpy() for layer in layers for w in layer.weights}, **more)


def below(name: str, roles: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}.{word}" for word in roles)


keras_run(
    "keras-two-layers-go-backwards",
    "LSTM",
    [L.LSTM(H, go_backwards=True, name="lower", **options), L.LSTM(5, go_backwards=True, name="upper", **options)],
    [below(name, ("outputs", "state_h", "state_c")) for name in ("lower", "upper")],
    stated={"go_backwards": True},
)
for mode in ("sum", "mul", "ave"):
    keras_run(
        f"keras-two-bilstm-layers-{mode}",
        "LSTM",
        [L.Bidirectional(L.LSTM(n, **options), merge_mode=mode, name=name) for n, name in ((H, "lower"), (5, "upper"))],
        [below(name, BOTH) for name in ("lower", "upper")],
        directions=2,
        stated={"merge_mode": mode},
    )
keras_run(
    "keras-bidirectional-stacked-cells",
    "GRU",
    [L.Bidirectional(L.RNN([L.GRUCell(H), L.GRUCell(5)], **options))],
    [("outputs", *(f"{way}_states.{k}" for way in ("forward", "backward") for k in (0, 1)))],
    directions=2,
)

tf1 = tf.compat.v1


def multi() -> Any:
    return tf1_cells.MultiRNNCell([tf1_cells.LSTMCell(H), tf1_cells.LSTMCell(H)])


with tf.Graph().as_default(), tf1.Session() as session:
    outputs, states = tf1.nn.bidirectional_dynamic_rnn(
        multi(), multi(), tf.constant(x), sequence_length=tf.constant(LENGTHS, tf.int32), dtype=tf.float32
    )
    weights = {}
    for variable in tf1.global_variables():
        weights[variable.op.name] = draw.normal(size=variable.shape, scale=0.5).astype(np.float32)
        variable.load(weights[variable.op.name], session)
    outputs, states = session.run((outputs, states))
    dump = {f"outputs.{way}": o for way, o in zip(("fw", "bw"), outputs, strict=True)}
    for way, stack in zip(("fw", "bw"), states, strict=True):
        for k, state in enumerate(stack):
            dump |= {f"final_state.{way}.{k}.c": state.c, f"final_state.{way}.{k}.h": state.h}
    save("tf1-bidirectional-multi-rnn-cells", "tf1", "LSTM", dump, weights, directions=2)

index = json.loads((HERE / "index.json").read_text())
index = [case for case in index if case["name"] not in {c["name"] for c in cases}] + cases
(HERE / "index.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in index) + "\n]\n")
