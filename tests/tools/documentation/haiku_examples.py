"""Haiku: the docstrings of its unrolls, cores and DeepRNN, and the recurrent example of its repository."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from documentation.saving import Set

B, T, F, H = 3, 6, 4, 5


def make() -> Set:
    made = Set("dm-haiku", version("dm-haiku"), "haiku")
    for part in (unrolls, deep, batch_major, reset, all_states, one_hot, conv):
        part(made)
    return made


def run(layer: Any, *inputs: Any) -> tuple[Any, Any]:
    """Parameters and what the layer gives, as numpy arrays."""
    transformed = hk.without_apply_rng(hk.transform(layer))
    params = transformed.init(jax.random.PRNGKey(0), *inputs)
    return jax.tree.map(np.asarray, params), jax.tree.map(np.asarray, transformed.apply(params, *inputs))


X = jax.random.normal(jax.random.PRNGKey(1), (T, B, F))


def unrolled(core: Any, unroll: Any = hk.dynamic_unroll, **options: Any) -> Any:
    def layer(inputs: Any) -> Any:
        made = core()
        return unroll(made, inputs, made.initial_state(B), **options)

    return layer


def unrolls(made: Set) -> None:
    params, (outputs, state) = run(unrolled(lambda: hk.LSTM(H)), X)
    page = "haiku.dynamic_unroll, docstring"
    names = {"outputs": outputs, "state.hidden": state.hidden, "state.cell": state.cell}
    made.save("haiku-lstm", page, {".npz": names}, "@.npz", "@.npz --time-major", saved="npz, the state's fields")
    made.save(
        "haiku-lstm-parameters",
        page,
        {".npz": {"input_sequence": np.asarray(X), **names}, "@.params.npz": flat(params)},
        "@.npz",
        "@.npz --weights @.params.npz",
        saved="npz, the inputs under the argument's name, and the parameters by path",
    )
    made.save(
        "haiku-lstm-pieces", page, {".npz": {"output_sequence": outputs, "hidden": state.hidden, "cell": state.cell}},
        saved="npz, the docstring's word for the outputs",
    )  # fmt: skip
    made.save("haiku-lstm-savez", page, {".npz": ((outputs, *state), {})}, saved="npz without names")
    for name, core in (("gru", lambda: hk.GRU(H)), ("vanilla", lambda: hk.VanillaRNN(H))):
        _, (outputs, state) = run(unrolled(core, hk.static_unroll), X)
        names = {"output_sequence": outputs, "final_state": state}
        made.save(
            f"haiku-{name}", "haiku.static_unroll, docstring", {".npz": names}, saved="npz, the docstring's words"
        )
    _, (outputs, state) = run(unrolled(lambda: hk.GRU(H), reverse=True), X)
    names = {"outputs": outputs, "state": state}
    page = "haiku.dynamic_unroll, argument reverse"
    made.save("haiku-reverse", page, {".npz": names}, "@.npz", "@.npz --time-major --direction reverse", saved="npz")


def flat(params: Any) -> dict[str, np.ndarray]:
    return {f"{module}/{name}": value for module, named in params.items() for name, value in named.items()}


def deep(made: Set) -> None:
    def core() -> Any:
        return hk.DeepRNN([hk.LSTM(hidden_size=4), jax.nn.relu, hk.LSTM(hidden_size=2)])

    _, (outputs, state) = run(unrolled(core), X)
    names = {"outputs": outputs}
    for k, one in enumerate(state):
        names |= {f"state.{k}.hidden": one.hidden, f"state.{k}.cell": one.cell}
    page = "haiku.DeepRNN, docstring"
    made.save(
        "haiku-deep",
        page,
        {".npz": names},
        "@.npz",
        "@.npz --layers 2 --time-major",
        saved="npz, a relu between layers",
    )

    def skipping() -> Any:
        return hk.deep_rnn_with_skip_connections([hk.GRU(3), hk.GRU(4)])

    _, (outputs, state) = run(unrolled(skipping), X)
    names = {"outputs": outputs, "state.0": state[0], "state.1": state[1]}
    page = "haiku.deep_rnn_with_skip_connections, docstring"
    made.save("haiku-skip", page, {".npz": names}, saved="npz, outputs of both cores side by side")


def batch_major(made: Set) -> None:
    _, (outputs, state) = run(unrolled(lambda: hk.LSTM(H), time_major=False), X.transpose(1, 0, 2))
    names = {"outputs": outputs, "state.hidden": state.hidden, "state.cell": state.cell}
    page = "haiku.dynamic_unroll, argument time_major"
    made.save("haiku-batch-major", page, {".npz": names}, "@.npz", "@.npz --batch-first", saved="npz")


def reset(made: Set) -> None:
    should_reset = jnp.asarray(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]], bool))
    layer = unrolled(lambda: hk.ResetCore(hk.LSTM(H)))
    params, (outputs, state) = run(layer, (X, should_reset))
    names = {"outputs": outputs, "state.hidden": state.hidden, "state.cell": state.cell}
    page = "haiku.ResetCore, docstring"
    whole = {**names, "inputs": np.asarray(X), "should_reset": np.asarray(should_reset)}
    made.save(
        "haiku-reset",
        page,
        {".npz": whole, "@.params.npz": flat(params)},
        "@.npz",
        "@.npz --time-major --weights @.params.npz",
        saved="npz, the resets beside them",
    )


def all_states(made: Set) -> None:
    _, (outputs, states) = run(unrolled(lambda: hk.LSTM(H), return_all_states=True), X)
    names = {"outputs": outputs, "all_states.hidden": states.hidden, "all_states.cell": states.cell}
    page = "haiku.dynamic_unroll, argument return_all_states"
    made.save("haiku-all-states", page, {".npz": names}, saved="npz, a state a step")


def one_hot(made: Set) -> None:
    def layer(tokens: Any) -> Any:
        made = hk.DeepRNN([lambda x: jax.nn.one_hot(x, 9), hk.LSTM(H), jax.nn.relu, hk.LSTM(H), hk.nets.MLP([H, 9])])
        return hk.dynamic_unroll(made, tokens, made.initial_state(B))

    _, (logits, state) = run(layer, jax.random.randint(jax.random.PRNGKey(2), (T, B), 0, 9))
    held = {"logits": logits, "state.0.hidden": state[0].hidden, "state.1.hidden": state[1].hidden}
    page, changed = "dm-haiku/examples/rnn", "5 units, 9 letters"
    made.save(
        "haiku-shakespeare", page, {".npz": held}, saved="npz, logits are no outputs of the layer", changed=changed
    )


def conv(made: Set) -> None:
    x = jax.random.normal(jax.random.PRNGKey(3), (T, B, 7, 2))

    def layer(inputs: Any) -> Any:
        core = hk.Conv1DLSTM(input_shape=(7,), output_channels=3, kernel_shape=3)
        return hk.dynamic_unroll(core, inputs, core.initial_state(B))

    _, (outputs, state) = run(layer, x)
    names = {"outputs": outputs, "state.hidden": state.hidden, "state.cell": state.cell}
    made.save("haiku-convlstm", "haiku.Conv1DLSTM, docstring", {".npz": names}, saved="npz")
