"""Records Flax models, linen and nnx: every `RNN`, and `Bidirectional` as one call of two directions.

linen's calls are seen by an interceptor, nnx's by a wrapped `__call__`; nothing that a call is asked for is changed. A
function that `jax.jit` runs holds no numbers. Importing this does not import Flax.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np

from rnninspect.conventions.live.weights import as_named
from rnninspect.core.cell import Cell
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Direction, TimeOrder, Track
from rnninspect.errors import ShapeError, UserError
from rnninspect.recording.answers import Answers
from rnninspect.recording.asked import arguments_of
from rnninspect.recording.base import Recorder, Wanted, Where
from rnninspect.recording.shelf import ShelfSession
from rnninspect.recording.stated import stated_for
from rnninspect.recording.track_call import ROUNDING, TrackCall, copied, in_two_directions
from rnninspect.recording.wrapping import wrap

_CELLS: dict[str, Cell] = {"LSTMCell": "lstm", "OptimizedLSTMCell": "lstm", "GRUCell": "gru", "SimpleCell": "rnn"}
_FUNCTIONS = {"gate_fn": "sigmoid", "activation_fn": "tanh"}  # what the cells compute where nothing is said


class Session(ShelfSession[TrackCall]):
    """One recording of Flax models."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._names: dict[int, str] | None = None  # of nnx's modules, which have no path of their own
        self._held: Any = None
        self._local = threading.local()
        self._answers = Answers()

    def begin(self, model: Any, hooks: ExitStack) -> None:
        """See every call of an RNN; UserError where an nnx model holds none."""
        self.state_lengths(self._lengths)
        linen: Any = sys.modules.get("flax.linen")
        nnx: Any = sys.modules.get("flax.nnx")
        self._open = True
        if linen is not None and isinstance(model, linen.Module):
            hooks.enter_context(linen.intercept_methods(self._intercept))
            return
        kinds = (nnx.RNN, nnx.Bidirectional)
        self._held = list(nnx.iter_graph(model))
        self._names = {id(m): ".".join(map(str, path)) for path, m in self._held if isinstance(m, kinds)}
        if not self._names:
            raise UserError("no nnx.RNN can be recorded: the model holds none")
        self.state_lengths(self._lengths)
        if not isinstance(model, kinds):
            wrap(type(model), "__call__", self._outer, hooks)
        for kind in kinds:
            wrap(kind, "__call__", lambda call, module, *a, **k: self._called(call, module, a, k), hooks)

    def state_lengths(self, lengths: Any) -> None:
        """State the lengths of the calls to come; UserError where they name what is not there."""
        names = None if self._names is None else [name or "RNN" for name in self._names.values()]
        stated_for(lengths, "", names, {})
        self._lengths = lengths

    def _outer(self, call: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """A call of the model around its layers: its arguments may hold the lengths that are asked for."""
        with self._answering(call, args, kwargs):
            return call(*args, **kwargs)

    def _answering(self, method: Any, args: Any, kwargs: Any) -> AbstractContextManager[None]:
        """Within the outermost call, what was asked for among its arguments."""
        return self._answers.within(self._lengths, arguments_of(method, args, kwargs), args, kwargs)

    def _intercept(self, call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        """linen: a method of some module is called."""
        with self._answering(call, args, kwargs):
            return self._method(call, args, kwargs, context)

    def _method(self, call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        linen, module = sys.modules["flax.linen"], context.module
        if context.method_name != "__call__" or module.is_initializing():
            return call(*args, **kwargs)
        if isinstance(module, (linen.RNN, linen.Bidirectional)):
            return self._called(call, module, args, kwargs)
        result = call(*args, **kwargs)
        if isinstance(module, linen.RNNCellBase) and not getattr(self._local, "depth", 0):
            name = "/".join(module.path) or type(module).__name__
            self._shelf.unseen.setdefault(name, "it is called by a loop or scan of your own: nn.RNN is recorded")
        return result

    def _called(self, call: Any, module: Any, args: Any, kwargs: Any) -> Any:
        """One call of an RNN, or of a Bidirectional around two of them."""
        name = self._name(module)
        if not self._open or name is None:
            return call(*args, **kwargs)
        with self._answering(call, args, kwargs):
            return self._recorded(name, call, module, args, kwargs)

    def _recorded(self, name: str, call: Any, module: Any, args: Any, kwargs: Any) -> Any:
        both = hasattr(module, "forward_rnn")
        depth, outer = getattr(self._local, "depth", 0), getattr(self._local, "pair", None)
        self._local.depth, self._local.pair = depth + 1, [] if both else None
        try:
            result = call(*args, **kwargs)
            pair = self._local.pair
        finally:
            self._local.depth, self._local.pair = depth, outer
        number = self._shelf.number(name) if outer is None else 0
        if number is None:
            return result
        try:
            if both:
                made = self._both(name, number, module, kwargs, pair)
            else:
                made = self._call(name, number, module, args[0], kwargs, result)
        except (ShapeError, UserError) as error:
            self._shelf.unseen.setdefault(name, str(error))
            return result
        if outer is not None:
            outer.append(made)
        elif made is not None:
            self._shelf.put(name, made, made.size)
        return result

    def _name(self, module: Any) -> str | None:
        if self._names is not None:
            name = self._names.get(id(module), "" if _is_traced(module) else None)
            return None if name is None else name or type(module).__name__
        return "/".join(module.path) or type(module).__name__

    def _both(self, name: str, number: int, module: Any, kwargs: Any, pair: Any) -> TrackCall | None:
        if len(pair) != 2:
            return None
        where = Where(name, number, "Bidirectional", {}, self._answers.stated_for(self._lengths, name))
        return in_two_directions(where, pair[0], pair[1], bool(_option(module, kwargs, "return_carry")))

    def _call(self, name: str, number: int, module: Any, inputs: Any, kwargs: Any, result: Any) -> TrackCall:
        """The call as arrays; ShapeError where they hold no numbers, UserError where its cell is not known."""
        cell = next((_CELLS[k.__name__] for k in type(module.cell).__mro__ if k.__name__ in _CELLS), None)
        x = _numbers(inputs, "inputs")
        if cell is None or x.ndim not in (2, 3):
            raise UserError(
                f"its cell is a {type(module.cell).__name__} over {x.ndim} axes: LSTM, GRU and SimpleCell are"
            )
        carried, time_major, reverse, keep_order = (
            bool(_option(module, kwargs, option)) for option in ("return_carry", "time_major", "reverse", "keep_order")
        )
        carry, outputs = result if carried else (None, result)
        direction: Direction = "backward" if reverse else "forward"
        order: TimeOrder = "within" if reverse and not keep_order else "time"
        (h, c), (h_0, c_0) = (_state(state, cell) for state in (carry, kwargs.get("initial_carry")))
        y = _numbers(outputs, "outputs")
        x, y = (_by_row(array, time_major) for array in (x, y))
        lengths = kwargs.get("seq_lengths")
        not_rerun, weights = _not_rerun(module.cell), _weights(module)
        return TrackCall(
            Where(
                name, number, f"RNN({type(module.cell).__name__})", {}, self._answers.stated_for(self._lengths, name)
            ),
            "flax",
            LayerConfig(cell, 1, "reverse" if reverse else "forward", keep_order=keep_order if reverse else None),
            x,
            (Track(0, direction, y, h, c, h_0, c_0, order),),
            None if lengths is None else np.atleast_1d(_numbers(lengths, "seq_lengths")),
            self._shelf.weights(f"{name} {direction}", weights),
            carried,
            not_rerun,
            ROUNDING,
        )


def _option(module: Any, kwargs: Mapping[str, Any], name: str) -> Any:
    """What the call states, else the module."""
    value = kwargs.get(name)
    return getattr(module, name, None) if value is None else value


def _numbers(value: Any, what: str) -> Array:
    """A copy as numpy has it; ShapeError on a traced value."""
    if _is_tracer(value):
        raise ShapeError("it was traced by jax.jit (or grad, vmap), which holds no numbers: call it outside of them")
    return copied(value, what)


def _is_tracer(value: Any) -> bool:
    jax: Any = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def _is_traced(module: Any) -> bool:
    """Whether an nnx module is one that a transform made, its parameters tracers."""
    nnx, jax = sys.modules["flax.nnx"], sys.modules["jax"]
    return any(map(_is_tracer, jax.tree.leaves(nnx.state(module))))


def _state(carry: Any, cell: Cell) -> tuple[Array | None, Array | None]:
    """(h, c) of a carry, `[B, H]` each; an LSTM's is (c, h)."""
    if carry is None:
        return None, None
    c, h = carry if cell == "lstm" else (None, carry)
    h, c = (None if part is None else np.atleast_2d(_numbers(part, "carry")) for part in (h, c))
    return h, c


def _by_row(array: Array, time_major: bool) -> Array:
    """`[B, T, …]`."""
    return array[None] if array.ndim == 2 else array.swapaxes(0, 1) if time_major else array


def _weights(module: Any) -> dict[str, Array]:
    """The cell's parameters by name."""
    linen: Any = sys.modules.get("flax.linen")
    if linen is not None and isinstance(module, linen.Module):
        return as_named({"cell": dict(module.cell.variables["params"])}, LayerConfig())
    nnx: Any = sys.modules["flax.nnx"]
    parameters = nnx.state(module.cell, nnx.Param)
    # flax 0.10.0 has the method alone, which later ones deprecate
    named = nnx.to_pure_dict(parameters) if hasattr(nnx, "to_pure_dict") else parameters.to_pure_dict()
    return as_named({"cell": named}, LayerConfig())


def _not_rerun(cell: Any) -> str:
    for option, usual in _FUNCTIONS.items():
        name = getattr(getattr(cell, option, None), "__name__", usual)
        if name != usual:
            return f"its {option} is {name}"
    dtype = getattr(cell, "dtype", None)
    lower = dtype is not None and str(np.dtype(dtype)) not in ("float32", "float64")
    return f"it computes in {np.dtype(dtype)}" if lower else ""


def recognises(model: Any) -> bool:
    """Whether it is a module of Flax's, linen's or nnx's."""
    modules = [sys.modules.get(f"flax.{name}") for name in ("linen", "nnx")]
    return any(isinstance(model, getattr(module, "Module", ())) for module in modules)


RECORDER = Recorder(
    "flax",
    "flax.linen.Module or flax.nnx.Module with RNN or Bidirectional",
    recognises,
    Session,
    nothing="what jax.jit has compiled is not seen: call the model outside of it",
)
