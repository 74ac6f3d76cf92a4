"""The names that each framework's fixes call, for one layer: `names_of` gives them all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from rnninspect.core.trace import Trace
from tests.support.stand_ins.layers import Layer, a_layer_each, flat, nested_outputs, stacked
from tests.support.stand_ins.tensors import mask_of, reversed_within, tensor

FRAMEWORKS = ("tf1", "paddle", "mxnet", "haiku")


class Calls:
    """What a stand-in's layer gave, the last call last."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []

    def keep(self, trace: Trace) -> Trace:
        self.traces.append(trace)
        return trace


def names_of(layer: Layer, calls: Calls) -> dict[str, Any]:
    """The framework's own modules, classes and cells, around this layer."""
    return {"tf1": _tf1, "paddle": _paddle, "mxnet": _mxnet, "haiku": _haiku}[layer.framework](layer, calls)


def _joined(trace: Trace, time_major: bool) -> Any:
    return tensor(np.concatenate(list(nested_outputs(trace, time_major).values()), -1))


def _all_finite(array: Any, message: str) -> Any:
    if not np.isfinite(array).all():
        raise FloatingPointError(message)
    return array


def _tf1(layer: Layer, calls: Calls) -> dict[str, Any]:
    def dynamic_rnn(
        cell: Any, inputs: Any, sequence_length: Any = None, initial_state: Any = None, dtype: Any = None,
        time_major: bool = False,
    ) -> Any:  # fmt: skip
        assert initial_state is not None or dtype is not None, "If there is no initial_state, you must give a dtype."
        assert cell is layer
        one = Layer(layer.case, "tf1", time_major)
        trace = calls.keep(one.run(inputs, sequence_length))
        return nested_outputs(trace, time_major)["forward"], a_layer_each(trace, "tf1", "forward")

    def both(
        cell_fw: Any, cell_bw: Any, inputs: Any, sequence_length: Any = None, dtype: Any = None,
        time_major: bool = False,
    ) -> Any:  # fmt: skip
        assert cell_fw is layer
        assert cell_bw is layer
        trace = calls.keep(Layer(layer.case, "tf1", time_major).run(inputs, sequence_length))
        outputs = nested_outputs(trace, time_major)
        states = tuple(a_layer_each(trace, "tf1", way) for way in ("forward", "backward"))
        return (outputs["forward"], outputs["backward"]), states

    def pad_sequences(rows: Any, dtype: str, padding: str) -> Any:
        longest = max(map(len, rows))
        assert padding == "post"
        return tensor([np.pad(row, ((0, longest - len(row)), (0, 0))) for row in rows]).astype(dtype)

    tf = SimpleNamespace(
        float32=np.float32,
        nn=SimpleNamespace(dynamic_rnn=dynamic_rnn, bidirectional_dynamic_rnn=both),
        minimum=np.minimum,
        shape=np.shape,
        range=np.arange,
        argsort=lambda a: np.argsort(a, kind="stable"),
        gather=lambda params, indices, axis=0: np.take(params, indices, axis),
        nest=SimpleNamespace(map_structure=lambda call, nested: _tree_map(call, nested)),
        concat=lambda values, axis: tensor(np.concatenate(list(values), axis)),
        cast=lambda a, dtype: np.asarray(a).astype(dtype),
        pad=lambda a, widths: tensor(np.pad(a, widths)),
        transpose=np.transpose,
        sequence_mask=lambda lengths, maxlen, dtype=bool: mask_of(lengths, maxlen, dtype),
        reverse_sequence=lambda a, n, seq_axis, batch_axis: reversed_within(a, n, seq_axis, batch_axis),
        debugging=SimpleNamespace(check_numerics=_all_finite),
        config=SimpleNamespace(experimental=SimpleNamespace(enable_tensor_float_32_execution=lambda enabled: None)),
        keras=SimpleNamespace(preprocessing=SimpleNamespace(sequence=SimpleNamespace(pad_sequences=pad_sequences))),
    )
    session = SimpleNamespace(run=lambda fetches, feed: fetches)
    cells = dict.fromkeys(("cell", "cell_fw", "cell_bw"), layer)
    return {"tf": tf, "sess": session, "feed": None, "batch_size": layer.case.trace.batch_size, **cells}


def _paddle(layer: Layer, calls: Calls) -> dict[str, Any]:
    def run(x: Any, sequence_length: Any = None) -> Any:
        trace = calls.keep(layer.run(x, sequence_length))
        return _joined(trace, layer.time_major), stacked(trace)

    def made(features: int, units: int, direction: str = "forward", time_major: bool = False) -> Any:
        one = Layer(layer.case, "paddle", time_major)
        return lambda x, sequence_length=None: _paddle(one, calls)["lstm"](x, sequence_length)

    def pad(x: Any, widths: list[int]) -> Any:
        assert len(widths) == 2 * x.ndim, "all axes, the first axis first"
        return tensor(np.pad(x, list(zip(widths[::2], widths[1::2], strict=True))))

    def sequence_mask(lengths: Any, maxlen: int, dtype: str) -> Any:
        return mask_of(lengths, maxlen, dtype)

    functional = SimpleNamespace(
        pad=pad, sequence_mask=sequence_mask, dropout=lambda x, p, training: x * 0 if training else x
    )
    nn = SimpleNamespace(functional=functional, LSTM=made, GRU=made, SimpleRNN=made)
    paddle = SimpleNamespace(
        nn=nn,
        clip=lambda x, min=None, max=None: np.clip(x, min, max),
        concat=lambda values, axis: tensor(np.concatenate(values, axis)),
        split=lambda x, count, axis=0: np.split(x, count, axis),
        arange=np.arange,
        argsort=lambda x: np.argsort(x, kind="stable"),
        index_select=lambda x, index, axis: np.take(x, index, axis),
        isfinite=np.isfinite,
    )
    run.training = False  # type: ignore[attr-defined]
    return {"paddle": paddle, "nn": nn, "lstm": run, "gru": run, "rnn": run}


def _mxnet(layer: Layer, calls: Calls) -> dict[str, Any]:
    def unroll(
        length: int, inputs: Any, begin_state: Any = None, layout: str = "NTC", merge_outputs: Any = None,
        valid_length: Any = None,
    ) -> Any:  # fmt: skip
        one = Layer(layer.case, "mxnet", layout == "TNC")
        assert inputs.shape[layout.index("T")] == length
        trace = calls.keep(one.run(inputs, valid_length))
        assert merge_outputs, "a list of steps otherwise"
        return _joined(trace, one.time_major), flat(trace)

    def masked(x: Any, lengths: Any, use_sequence_length: bool = False, axis: int = 0) -> Any:
        assert use_sequence_length
        real = mask_of(lengths, x.shape[axis])
        return np.where((real if axis == 1 else real.T)[..., None], x, 0)

    def turned(x: Any, lengths: Any, use_sequence_length: bool = False) -> Any:
        assert use_sequence_length
        return reversed_within(x, lengths, 0, 1)

    nd = SimpleNamespace(
        minimum=np.minimum,
        arange=np.arange,
        argsort=lambda x: np.argsort(x, kind="stable"),
        take=lambda x, index, axis=0: np.take(x, index, axis),
        concat=lambda *values, dim: tensor(np.concatenate(values, dim)),
        split=lambda x, num_outputs, axis: np.split(x, num_outputs, axis),
        SequenceMask=masked,
        SequenceReverse=turned,
    )

    def made(units: int, layout: str = "TNC") -> Any:
        one = Layer(layer.case, "mxnet", layout == "TNC")
        return lambda x, lengths=None: calls.keep(one.run(x, lengths))

    cell = SimpleNamespace(unroll=unroll, begin_state=lambda batch_size: None)
    gluon = SimpleNamespace(nn=SimpleNamespace(Dropout=lambda rate: lambda x: x))
    rnn = SimpleNamespace(LSTM=made, GRU=made, RNN=made)
    return {"mx": SimpleNamespace(nd=nd), "cell": cell, "gluon": gluon, "rate": 0.5, "rnn": rnn, "net": _Net()}


class _Net:
    """A block of MXNet's, whose `cast` changes it and returns nothing."""

    dtype = "float64"

    def cast(self, dtype: str) -> None:
        self.dtype = dtype


def _haiku(layer: Layer, calls: Calls) -> dict[str, Any]:
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        jnp = np  # type: ignore[misc]
        switches: dict[str, bool] = {}
        config = SimpleNamespace(update=switches.__setitem__, switches=switches)
        jax = SimpleNamespace(tree=SimpleNamespace(map=_tree_map), config=config)  # type: ignore[assignment]

    def dynamic_unroll(
        core: Any, x: Any, initial_state: Any, time_major: bool = True, return_all_states: bool = False
    ) -> Any:
        if getattr(jax.config, "switches", {}).get("jax_debug_nans"):
            _all_finite(x, "invalid value (nan) encountered")
        one = Layer(layer.case, "haiku", time_major)
        trace = calls.keep(one.run(x))  # it knows no lengths
        if not return_all_states:
            return nested_outputs(trace, time_major)["forward"], a_layer_each(trace, "haiku", "forward")
        return nested_outputs(trace, time_major)["forward"], _states_of_every_step(one, x)

    hk = SimpleNamespace(dynamic_unroll=dynamic_unroll, dropout=lambda key, rate, x: x)
    return {"jax": jax, "jnp": jnp, "hk": hk, "core": layer, "key": None, "rate": 0.5, "state": None}


def _tree_map(call: Any, tree: Any) -> Any:
    if isinstance(tree, tuple):
        parts = [_tree_map(call, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return call(tree)


def _states_of_every_step(layer: Layer, x: Any) -> Any:
    """The nested state with an axis of time, each step's that of a run which ends there."""
    axis = 0 if layer.time_major else 1
    runs = [
        a_layer_each(layer.run(np.take(x, range(n), axis)), "haiku", "forward") for n in range(1, x.shape[axis] + 1)
    ]
    return _stacked(runs, axis)


def _stacked(states: list[Any], axis: int) -> Any:
    if isinstance(states[0], tuple):
        parts = [_stacked(list(alike), axis) for alike in zip(*states, strict=True)]
        return type(states[0])(*parts) if hasattr(states[0], "_fields") else tuple(parts)
    return tensor(np.stack(states, axis))
