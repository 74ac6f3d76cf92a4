"""Records Keras 3 models, on any backend that runs them step by step. Importing this does not import Keras.

The loop within a layer (`inner_loop`) is wrapped: it is asked for the outputs of all steps, and the layer gives back
what it was asked for. Bidirectional's two layers are one call of two directions, before they are merged.
"""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from typing import Any

import numpy as np

from rnninspect.conventions.live.weights import cell_options
from rnninspect.core.cell import Cell
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Track
from rnninspect.errors import ShapeError, UserError
from rnninspect.recording.answers import Answers
from rnninspect.recording.asked import arguments_of
from rnninspect.recording.base import Recorder, Wanted, Where
from rnninspect.recording.shelf import ShelfSession
from rnninspect.recording.stated import stated_for
from rnninspect.recording.track_call import ROUNDING, TrackCall, in_two_directions
from rnninspect.recording.wrapping import wrap

_CELLS: dict[str, Cell] = {"LSTMCell": "lstm", "GRUCell": "gru", "SimpleRNNCell": "rnn"}


class Session(ShelfSession[TrackCall]):
    """One recording of Keras models."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._names: dict[int, str] = {}
        self._layers: list[Any] = []  # holds them, so that no other layer gets their id
        self._local = threading.local()
        self._answers = Answers()

    def begin(self, model: Any, hooks: ExitStack) -> None:
        """Wrap what recurrent layers run; UserError where the model holds none."""
        layers: Any = sys.modules["keras"].layers
        self._know(model, layers)
        if not self._names:
            raise UserError("no keras.layers.RNN (LSTM, GRU, SimpleRNN) can be recorded: the model holds none")
        self.state_lengths(self._lengths)
        self._open = True
        for kind in {k for k in (layers.RNN, layers.LSTM, layers.GRU) if "inner_loop" in k.__dict__}:
            wrap(kind, "inner_loop", self._loop, hooks)
        wrap(layers.Bidirectional, "call", self._both, hooks)

        def outer(call: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
            """A call of the model: its arguments may hold the lengths that are asked for."""
            if layer is not model:
                return call(*args, **kwargs)
            with self._answers.within(self._lengths, _arguments(model, args, kwargs), args, kwargs):
                return call(*args, **kwargs)

        wrap(type(model), "__call__", outer, hooks)

    def state_lengths(self, lengths: Any) -> None:
        """State the lengths of the calls to come; UserError where they name what is not there."""
        stated_for(lengths, "", [*dict.fromkeys(self._names.values())], {})
        self._lengths = lengths

    def _know(self, model: Any, layers: Any) -> None:
        """Learn the names of the recurrent layers; the two within a Bidirectional have its name."""
        self._layers = list(model._flatten_layers())
        for layer in self._layers:
            if isinstance(layer, layers.Bidirectional):
                for inner in (layer, layer.forward_layer, layer.backward_layer):
                    self._names[id(inner)] = layer.name
        for layer in self._layers:
            if isinstance(layer, layers.RNN):
                self._names.setdefault(id(layer), layer.name)

    def _loop(self, loop: Any, layer: Any, sequences: Any, initial_state: Any, mask: Any, training: Any = False) -> Any:
        """One call of a layer: `outputs` `[B, T, H]` as read, the last of them, and the states."""
        name = self._names.get(id(layer))
        if name is None or not self._open or _builds() or getattr(self._local, "inside", None) is layer:
            return loop(sequences, initial_state, mask, training=training)
        asked, self._local.inside = layer.return_sequences, layer
        try:
            layer.return_sequences = True
            last, outputs, states = loop(sequences, initial_state, mask, training=training)
        finally:
            layer.return_sequences, self._local.inside = asked, None
        pair = getattr(self._local, "pair", None)
        number = self._shelf.number(name) if pair is None else 0
        if number is not None:
            try:
                call = self._call(name, number, layer, sequences, initial_state, mask, outputs, states, training)
            except (ShapeError, UserError) as error:
                self._shelf.unseen.setdefault(name, _why(error))
                return last, outputs, states
            if pair is None:
                self._shelf.put(name, call, call.size)
            else:
                pair.append(call)
        return last, outputs, states

    def _both(self, call: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """One call of a Bidirectional: its two layers' calls as one."""
        name = self._names.get(id(layer))
        if name is None or not self._open or _builds():
            return call(*args, **kwargs)
        pair: list[TrackCall] = []
        self._local.pair = pair
        try:
            result = call(*args, **kwargs)
        finally:
            self._local.pair = None
        number = self._shelf.number(name)
        if number is not None and len(pair) == 2:
            where = Where(name, number, _shown(layer), {}, self._answers.stated_for(self._lengths, name))
            used = bool(layer.return_state or not layer.return_sequences)
            both = in_two_directions(where, pair[0], pair[1], used)
            self._shelf.put(name, both, both.size)
        elif not pair:
            self._shelf.unseen.setdefault(
                name, "its two directions ran as one kernel (use_cudnn=False runs them apart)"
            )
        return result

    def _call(
        self,
        name: str,
        number: int,
        layer: Any,
        sequences: Any,
        initial_state: Any,
        mask: Any,
        outputs: Any,
        states: Any,
        training: Any,
    ) -> TrackCall:
        """The call as arrays; ShapeError where they hold no numbers, UserError where the cell is not known."""
        cells = list(getattr(layer.cell, "cells", [layer.cell]))
        cell = _cell(cells)
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        backwards = bool(layer.go_backwards)
        began = initial_state if len(cells) > 1 else [initial_state]
        tracks = []
        for k, (ended, start) in enumerate(zip(states if len(cells) > 1 else [states], began, strict=True)):
            h, *c = [_numbers(state, "state") for state in _listed(ended)]
            h_0, *c_0 = [_numbers(state, "initial_state") for state in _listed(start)]
            whole = _numbers(outputs, "outputs") if k == len(cells) - 1 else None
            way, order = ("backward", "reversed") if backwards else ("forward", "time")
            tracks.append(Track(k, way, whole, h, next(iter(c), None), h_0, next(iter(c_0), None), order))  # type: ignore[arg-type]
        attributes = cell_options(cells[0].get_config())
        zero = getattr(layer, "zero_output_for_mask", False)
        way = f"{name} {'backward' if backwards else 'forward'}"
        weights = {f"cells/{k}/{w.name}": _numbers(w, w.name) for k, one in enumerate(cells) for w in one.weights}
        return TrackCall(
            Where(name, number, _shown(layer), attributes, self._answers.stated_for(self._lengths, name)),
            "keras",
            LayerConfig(
                cell, len(cells), go_backwards=backwards, padding="zero" if zero else "repeat", attributes=attributes
            ),
            _numbers(sequences, "inputs"),
            tuple(tracks),
            None if mask is None else _numbers(mask, "mask").astype(bool),
            self._shelf.weights(way, weights),
            bool(layer.return_state or not layer.return_sequences or layer.stateful),
            _not_rerun(layer, cells, training),
            0.0 if sys.modules["keras"].backend.backend() == "torch" else ROUNDING,
        )


def _arguments(model: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of its call by name, and the inputs of a functional model by the names that these have."""
    bound = arguments_of(model.call, args, kwargs)
    tensors = getattr(model, "inputs", None) or []
    arrays = sys.modules["keras"].tree.flatten(next(iter(bound.values()), None))
    named = zip(tensors, arrays, strict=True) if len(tensors) == len(arrays) else ()
    return {tensor.name: array for tensor, array in named} | bound


def _builds() -> bool:
    """Whether Keras runs the layer for its shapes alone, as it does when a model is built."""
    scope: Any = sys.modules.get("keras.src.backend.common.symbolic_scope")
    return scope is not None and bool(scope.in_symbolic_scope())


def _numbers(value: Any, what: str) -> Array:
    """A copy as numpy has it; ShapeError on a tensor of a traced function, which holds no numbers."""
    try:
        return np.array(sys.modules["keras"].ops.convert_to_numpy(value))
    except Exception as error:  # every backend has its own for values that hold no numbers
        raise ShapeError(f"{what} holds no numbers ({type(error).__name__})") from None


def _listed(state: Any) -> list[Any]:
    return list(state) if isinstance(state, (list, tuple)) else [state]


def _cell(cells: list[Any]) -> Cell:
    """What cells of one kind compute; UserError where that is none of Keras's three."""
    kinds = [_kind(cell) for cell in cells]
    if None in kinds or len(set(kinds)) > 1:
        names = ", ".join(dict.fromkeys(type(cell).__name__ for cell in cells))
        raise UserError(
            f"its cells are of the class {names}: Keras's own LSTM, GRU and SimpleRNN cells are recorded, of one kind"
        )
    return kinds[0]  # type: ignore[return-value]


def _kind(cell: Any) -> Cell | None:
    for kind in type(cell).__mro__:
        if kind.__name__ in _CELLS and kind.__module__.split(".")[0] == "keras":
            return _CELLS[kind.__name__] if type(cell).call is vars(kind)["call"] else None
    return None


def _why(error: UserError) -> str:
    if isinstance(error, ShapeError):
        traces = sys.modules["keras"].backend.backend() == "jax"  # whatever is compiled
        eager = "" if traces else ", or model.compile(run_eagerly=True)"
        return f"{error}: it was traced; run it step by step, model(x){eager}"
    return str(error)


def _computes(cell: Any) -> list[Any]:
    return [str(getattr(cell, name, "")) for name in ("activation", "recurrent_activation", "reset_after")]


def _not_rerun(layer: Any, cells: list[Any], training: Any) -> str:
    if training and any(getattr(cell, name, 0) for cell in cells for name in ("dropout", "recurrent_dropout")):
        return "dropout was on"
    if len({str(_computes(cell)) for cell in cells}) > 1:
        return "its cells differ in what they compute"
    compute = str(layer.compute_dtype)
    exact = ("float32",) if sys.modules["keras"].backend.backend() == "torch" else ("float32", "float64")
    return "" if compute in exact else f"it computes in {compute}"  # torch's backend rounds float64 on the way


def _shown(layer: Any) -> str:
    inner = getattr(layer, "forward_layer", layer)
    units = [str(getattr(cell, "units", "?")) for cell in getattr(inner.cell, "cells", [inner.cell])]
    text = f"{type(inner).__name__}({', '.join(units)})"
    return text if inner is layer else f"Bidirectional({text}, merge_mode={layer.merge_mode!r})"


def recognises(model: Any) -> bool:
    """Whether it is a layer or model of Keras 3's."""
    keras: Any = sys.modules.get("keras")
    return keras is not None and hasattr(keras, "layers") and isinstance(model, keras.layers.Layer)


RECORDER = Recorder(
    "keras",
    "keras.Model or Layer with LSTM, GRU, SimpleRNN or Bidirectional",
    recognises,
    Session,
    nothing="a predict or fit that is compiled is not seen: call model(x), or model.compile(run_eagerly=True)",
)
