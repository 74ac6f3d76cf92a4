"""Makes the recorded runs beside this file: real layers of Haiku, Flax nnx and Keras that the golden set lacks.

    pip install dm-haiku==0.0.17 flax==0.12.8 keras==3.15.1 jax==0.10.2 && KERAS_BACKEND=jax python make.py

Weights, inputs, biases and padding are random (seed 1). Each case is `NAME.npz`, `NAME.weights.npz` and an entry of
`index.json`, in the fields of `tests/data/golden/README.md`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import keras
import numpy as np
from flax import nnx

HERE = Path(__file__).resolve().parents[1] / "data" / "recorded"
LENGTHS = np.array([4, 7, 1, 3])
B, T, F, H = 4, 7, 3, 5
draw = np.random.default_rng(1)
cases: list[dict[str, Any]] = []


def random(like: Any) -> Any:
    return jax.tree.map(lambda a: jnp.asarray(draw.normal(size=a.shape, scale=0.5), jnp.float32), like)


def flat(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(str(getattr(k, "key", getattr(k, "name", k))) for k in path): np.asarray(v) for path, v in leaves}


def save(name: str, layout: str, cell: str, dump: dict[str, Any], weights: dict[str, Any], **more: Any) -> None:
    np.savez(HERE / f"{name}.npz", **{k: np.asarray(v) for k, v in dump.items()})
    np.savez(HERE / f"{name}.weights.npz", **{k: np.asarray(v) for k, v in weights.items()})
    entry = {"name": name, "layout": layout, "cell": cell, "attributes": {}, "layers": 1, "directions": 1, "stated": {}}
    entry |= {"data": f"{name}.npz", "weights": f"{name}.weights.npz", "weights_layout": layout, "time_major": False}
    entry |= {"dtype": "float32", "lengths": LENGTHS.tolist(), "roles": {}, **more}
    cases.append(entry)


x = jnp.asarray(draw.normal(size=(B, T, F)), jnp.float32)


def haiku(name: str, cell: str, make: Any, **more: Any) -> None:
    def layer(inputs: jax.Array) -> Any:
        core = make()
        return hk.dynamic_unroll(core, inputs, core.initial_state(B))

    run = hk.without_apply_rng(hk.transform(layer))
    inputs = x.transpose(1, 0, 2)
    params = random(run.init(jax.random.PRNGKey(0), inputs))
    outputs, state = run.apply(params, inputs)
    states = state if isinstance(state, tuple) and not hasattr(state, "hidden") else (state,)
    dump = {"outputs": outputs, "inputs": inputs}
    for k, one in enumerate(states):
        prefix = f"state.{k}" if len(states) > 1 else "state"
        parts = (
            {f"{prefix}.hidden": one.hidden, f"{prefix}.cell": one.cell} if hasattr(one, "hidden") else {prefix: one}
        )
        dump |= parts
    save(name, "haiku", cell, dump, flat(params), time_major=True, lengths=None, **more)


haiku("haiku-lstm", "LSTM", lambda: hk.LSTM(H))
haiku("haiku-gru", "GRU", lambda: hk.GRU(H))
haiku("haiku-vanilla-rnn", "RNN", lambda: hk.VanillaRNN(H))
haiku("haiku-deep-lstm", "LSTM", lambda: hk.DeepRNN([hk.LSTM(H), hk.LSTM(H)]), layers=2)
haiku("haiku-deep-gru", "GRU", lambda: hk.DeepRNN([hk.GRU(4), hk.GRU(H)]), layers=2)


def flax(name: str, cell: str, make: Any) -> None:
    rnn = nnx.RNN(make(), return_carry=True)
    graph, state = nnx.split(rnn, nnx.Param, ...)[0], nnx.split(rnn, nnx.Param, ...)[1:]
    params = random(state[0])
    carry, outputs = nnx.merge(graph, params, *state[1:])(x, seq_lengths=jnp.asarray(LENGTHS))
    dump = {"outputs": outputs, "inputs": x, "lengths": LENGTHS}
    dump |= {"carry.c": carry[0], "carry.h": carry[1]} if cell == "LSTM" else {"carry": carry}
    save(name, "flax", cell, dump, flat(params.to_pure_dict()))


flax("flax-nnx-lstm", "LSTM", lambda: nnx.LSTMCell(F, H, rngs=nnx.Rngs(0)))
flax("flax-nnx-optimized-lstm", "LSTM", lambda: nnx.OptimizedLSTMCell(F, H, rngs=nnx.Rngs(0)))
flax("flax-nnx-gru", "GRU", lambda: nnx.GRUCell(F, H, rngs=nnx.Rngs(0)))
flax("flax-nnx-simple-cell", "RNN", lambda: nnx.SimpleCell(F, H, rngs=nnx.Rngs(0)))

MASK = np.arange(T)[None] < LENGTHS[:, None]


def through(stack: list[Any]) -> list[Any]:
    """What each layer returns, the one above reading the outputs of the one below."""
    outputs, leaves = x, []
    for layer in stack:
        leaves.append(
            [value for part in layer(outputs, mask=MASK) for value in (part if isinstance(part, list) else [part])]
        )
        outputs = leaves[-1][0]
    return leaves


def keras_layers(name: str, cell: str, stack: list[Any], dump_of: Any, **more: Any) -> None:
    through(stack)
    for layer in stack:
        layer.set_weights([draw.normal(size=w.shape, scale=0.5) for w in layer.get_weights()])
    dump = {**dump_of(through(stack)), "inputs": x, "lengths": LENGTHS}
    save(name, "keras", cell, dump, {w.path: w.numpy() for layer in stack for w in layer.weights}, **more)


def bidirectional(values: Any, names: tuple[str, ...]) -> dict[str, Any]:
    roles = ("outputs", "forward_h", "forward_c", "backward_h", "backward_c")
    pairs = zip(names, values, strict=True)
    return {f"{n}.{w}" if n else w: a for n, one in pairs for w, a in zip(roles, one, strict=True)}


L = keras.layers
options = {"return_sequences": True, "return_state": True}
keras_layers(
    "keras-two-bilstm-layers",
    "LSTM",
    [L.Bidirectional(L.LSTM(H, **options)), L.Bidirectional(L.LSTM(4, **options))],
    lambda values: bidirectional(values, ("bidirectional", "bidirectional_1")),
    layers=2,
    directions=2,
)
keras_layers(
    "keras-stacked-gru-cells",
    "GRU",
    [L.RNN([L.GRUCell(4), L.GRUCell(H)], **options)],
    lambda values: {"outputs": values[0][0], "states.0": values[0][1], "states.1": values[0][2]},
    layers=2,
)
keras_layers(
    "keras-gru-activations",
    "GRU",
    [L.GRU(H, activation="softsign", recurrent_activation="hard_sigmoid", **options)],
    lambda values: {"outputs": values[0][0], "state_h": values[0][1]},
    attributes={"activation": "softsign", "recurrent_activation": "hard_sigmoid_keras3"},
)

index = [{**case, "mistakes": []} for case in cases]
(HERE / "index.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in index) + "\n]\n")
