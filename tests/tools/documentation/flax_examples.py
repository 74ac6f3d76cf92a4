"""Flax: the docstrings of linen's and nnx's recurrent modules."""

from __future__ import annotations

from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from documentation.saving import Set


def make() -> Set:
    made = Set("flax", flax.__version__, "flax")
    for part in (cells, rnn, varied, bidirectional, in_nnx, conv):
        part(made)
    return made


SMALL = "8 features instead of 64, x of (3, 6, 5)"


def flat(tree: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(str(getattr(k, "key", getattr(k, "name", k))) for k in path): np.asarray(v) for path, v in leaves}


def plain(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def cells(made: Set) -> None:
    x = jax.random.normal(jax.random.key(0), (2, 3))
    for cell in (nn.LSTMCell, nn.OptimizedLSTMCell, nn.SimpleCell, nn.GRUCell, nn.MGUCell):
        layer = cell(features=4)
        carry = layer.initialize_carry(jax.random.key(1), x.shape)
        variables = layer.init(jax.random.key(2), carry, x)
        new_carry, out = layer.apply(variables, carry, x)
        page = f"flax.linen.{cell.__name__}, docstring"
        name = f"flax-{cell.__name__.lower()}"
        held = {"new_carry": plain(new_carry), "out": np.asarray(out)}
        made.save(name, page, {".msgpack": held}, saved="msgpack, one step: out is the h of new_carry")


def rnn(made: Set) -> None:
    x = jnp.ones((3, 6, 5))
    lstm = nn.RNN(nn.LSTMCell(8), return_carry=True)
    variables = lstm.init(jax.random.key(0), x)
    carry, y = lstm.apply(variables, x)
    page = "flax.linen.RNN, docstring: return_carry"
    c, h = plain(carry)
    y = np.asarray(y)
    changed = SMALL + "; x is of ones, as there: every row is the same"
    made.save("flax-rnn", page, {".npz": {"y": y, "carry_c": c, "carry_h": h}}, saved="npz", changed=changed)
    made.save(
        "flax-rnn-savez",
        page,
        {".npz": ((c, h, y), {})},
        saved="npz without names, in the order returned",
        changed=changed,
    )
    made.save(
        "flax-rnn-carry", page, {".msgpack": {"carry": (c, h), "y": y}}, saved="msgpack, carry a tuple", changed=changed
    )
    made.save(
        "flax-rnn-parameters",
        page,
        {".npz": {"x": np.asarray(x), "y": y, "carry.0": c, "carry.1": h}, "@.params.msgpack": plain(variables)},
        "@.npz",
        "@.npz --weights @.params.msgpack",
        saved="npz, and the variables as flax.serialization writes them",
        changed=changed,
    )
    lengths_x = jax.random.normal(jax.random.key(3), (3, 5, 5))
    seq_lengths = jnp.array([3, 2, 5])
    carry, y = lstm.apply(variables, lengths_x, seq_lengths=seq_lengths)
    c, h = plain(carry)
    page = "flax.linen.RNN, docstring: seq_lengths"
    names = {"y": np.asarray(y), "c": c, "h": h, "seq_lengths": np.asarray(seq_lengths)}
    changed = SMALL + "; x is random"
    made.save("flax-rnn-lengths", page, {".npz": names}, "@.npz", "@.npz --lengths 3,2,5", saved="npz", changed=changed)
    held = {"carry": (c, h), "outputs": names["y"]}
    made.save("flax-rnn-lengths-unsaid", page, {".msgpack": held}, saved="msgpack, lengths left out", changed=changed)
    gru = nn.RNN(nn.GRUCell(8), return_carry=True)
    carry, y = gru.init_with_output(jax.random.key(4), lengths_x, seq_lengths=seq_lengths)[0]
    names = {"outputs": np.asarray(y), "carry": np.asarray(carry), "lengths": np.asarray(seq_lengths)}
    made.save("flax-rnn-gru-lengths", page, {".npz": names}, saved="npz", changed=changed + "; a GRUCell")


def varied(made: Set) -> None:
    x = jnp.ones((6, 3, 5))
    lstm = nn.RNN(nn.LSTMCell(8), time_major=True, return_carry=True)
    (carry, y), _ = lstm.init_with_output(jax.random.key(0), x)
    c, h = plain(carry)
    page = "flax.linen.RNN, docstring: time_major"
    names = {"y": np.asarray(y), "c": c, "h": h}
    made.save(
        "flax-time-major",
        page,
        {".npz": names},
        "@.npz",
        "@.npz --time-major",
        saved="npz",
        changed=SMALL + "; carry returned",
    )
    x = jax.random.normal(jax.random.key(5), (3, 6, 5))
    lengths = jnp.array([6, 2, 4])
    for keep in (False, True):
        lstm = nn.RNN(nn.LSTMCell(8), reverse=True, keep_order=keep, return_carry=True)
        (carry, y), _ = lstm.init_with_output(jax.random.key(0), x, seq_lengths=lengths)
        c, h = plain(carry)
        names = {"y": np.asarray(y), "c": c, "h": h, "seq_lengths": np.asarray(lengths)}
        option = "--keep-order" if keep else "--no-keep-order"
        name = "flax-reverse-kept" if keep else "flax-reverse"
        made.save(
            name,
            "flax.linen.RNN, arguments reverse and keep_order",
            {".npz": names},
            "@.npz",
            f"@.npz --direction reverse {option}",
            saved="npz",
            changed=SMALL,
        )


def bidirectional(made: Set) -> None:
    layer = nn.Bidirectional(nn.RNN(nn.GRUCell(4)), nn.RNN(nn.GRUCell(4)), return_carry=True)
    x = jnp.ones((2, 3, 3))
    (carry, out), _ = layer.init_with_output(jax.random.key(0), x)
    forward, backward = plain(carry)
    page, changed = "flax.linen.Bidirectional, docstring", "x has a time axis; carries returned; x is of ones, as there"
    names = {"out": np.asarray(out), "carry_forward": forward, "carry_backward": backward}
    made.save(
        "flax-bidirectional", page, {".npz": names}, "@.npz", "@.npz --bidirectional", saved="npz", changed=changed
    )
    held = {"out": np.asarray(out), "carry": (forward, backward)}
    made.save(
        "flax-bidirectional-carry",
        page,
        {".msgpack": held},
        "@.msgpack",
        "@.msgpack --bidirectional",
        saved="msgpack, a pair",
        changed=changed,
    )
    layer = nn.Bidirectional(nn.RNN(nn.LSTMCell(4)), nn.RNN(nn.LSTMCell(4)), return_carry=True)
    x, lengths = jax.random.normal(jax.random.key(1), (4, 6, 3)), jnp.array([2, 6, 1, 4])
    (carry, out), _ = layer.init_with_output(jax.random.key(0), x, seq_lengths=lengths)
    (fc, fh), (bc, bh) = plain(carry)
    names = {
        "outputs": np.asarray(out),
        "carry.forward.c": fc,
        "carry.forward.h": fh,
        "carry.backward.c": bc,
        "carry.backward.h": bh,
    }
    made.save(
        "flax-bilstm",
        "flax.linen.Bidirectional, argument seq_lengths",
        {".npz": {**names, "seq_lengths": np.asarray(lengths)}},
        "@.npz",
        "@.npz --bidirectional",
        saved="npz",
        changed="LSTM cells, random x",
    )


def in_nnx(made: Set) -> None:
    forward_rnn = nnx.RNN(nnx.GRUCell(in_features=3, hidden_features=4, rngs=nnx.Rngs(0)), return_carry=True)
    backward_rnn = nnx.RNN(nnx.GRUCell(in_features=3, hidden_features=4, rngs=nnx.Rngs(0)), return_carry=True)
    layer = nnx.Bidirectional(forward_rnn=forward_rnn, backward_rnn=backward_rnn, return_carry=True)
    x = jnp.ones((2, 3, 3))
    carry, out = layer(x)
    page, changed = "flax.nnx.Bidirectional, docstring", "carries returned"
    held = {"out": np.asarray(out), "carry": plain(carry)}
    made.save(
        "flax-nnx-bidirectional",
        page,
        {".msgpack": held},
        "@.msgpack",
        "@.msgpack --bidirectional",
        saved="msgpack",
        changed=changed,
    )
    rnn = nnx.RNN(nnx.OptimizedLSTMCell(5, 8, rngs=nnx.Rngs(1)), return_carry=True)
    x = jax.random.normal(jax.random.key(2), (3, 6, 5))
    carry, y = rnn(x)
    c, h = plain(carry)
    params = flat(nnx.split(rnn, nnx.Param, ...)[1].to_pure_dict())
    made.save(
        "flax-nnx-rnn",
        "flax.nnx.RNN, docstring",
        {".npz": {"inputs": np.asarray(x), "outputs": np.asarray(y), "c": c, "h": h}, "@.params.npz": params},
        "@.npz",
        "@.npz --weights @.params.npz",
        saved="npz, and the parameters by path",
        changed="8 features, carry returned",
    )
    cell = nnx.SimpleCell(5, 4, rngs=nnx.Rngs(2))
    carry = cell.initialize_carry(x[:, 0].shape, nnx.Rngs(3))
    outputs = []
    for t in range(x.shape[1]):
        carry, out = cell(carry, x[:, t])
        outputs.append(out)
    names = {"outputs": np.stack(plain(outputs), 1), "carry": np.asarray(carry)}
    made.save(
        "flax-nnx-loop",
        "flax.nnx.SimpleCell, a loop over steps",
        {".npz": names},
        saved="npz, steps stacked on axis 1",
        changed="4 units",
    )


def conv(made: Set) -> None:
    x = jnp.ones((2, 4, 5, 5, 3))
    layer = nn.RNN(nn.ConvLSTMCell(4, kernel_size=(3, 3)), return_carry=True)
    (carry, y), _ = layer.init_with_output(jax.random.key(0), x)
    c, h = plain(carry)
    made.save(
        "flax-convlstm",
        "flax.linen.RNN, docstring: ConvLSTMCell",
        {".npz": {"y": np.asarray(y), "c": c, "h": h}},
        saved="npz",
        changed="4 features, 5 pixels, carry returned",
    )
