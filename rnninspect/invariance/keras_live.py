"""A Keras 3 model as the check runs it, on whatever backend: its layers by wrapping their `call`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from rnninspect.core.arrays import is_array, to_array
from rnninspect.core.trace import Array
from rnninspect.errors import MissingExtraError, UnreadableError, UserError
from rnninspect.invariance.keras_keep import flat_states, plain_attributes
from rnninspect.invariance.model import Change, Key, LayerCall, Manner, Patch, RunFailed, Traced, one_line
from rnninspect.invariance.nested import flat, mapped
from rnninspect.invariance.precision import WIDTHS
from rnninspect.invariance.random_numbers import random_numbers_kept

ROOT: Key = ("", 0)


class KerasModel:
    """A model or a layer of Keras 3."""

    framework = "keras"
    until = float("inf")
    drawn: Any = None
    traceable = True
    training = False  # a call says it, not the model

    def __init__(self, model: Any) -> None:
        self._model = model
        self.name = str(model.name)
        if not model.built:
            raise UserError(f"{self.name} is not built, so that it has no weights: call it once, then check it")
        self._layers = _layers(model)
        computed = [str(getattr(layer, "compute_dtype", "")) for layer in self._layers.values()]
        self.coarsest: int | None = min((WIDTHS.get(dtype, 4) for dtype in computed), default=4)
        self.norms: Sequence[str] = [n for n, layer in self._layers.items() if _is(layer, "BatchNormalization")]
        inputs = getattr(model, "inputs", None) if _is(model, "Functional", "Sequential") else None
        self.input_names = [str(tensor.name) for tensor in inputs or ()]
        structure: Any = getattr(model, "_inputs_struct", None)  # of a model that is called with a dict: under its keys
        self._keyed = isinstance(structure, dict) and len(structure) == len(self.input_names)
        if self._keyed:
            self.input_names = [str(key) for key in structure]

    def bind(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs by their names: those of a functional model's tensors, or the arguments of `call`.

        Raises UserError on inputs that it does not take.
        """
        if not self.input_names:
            try:
                return dict(inspect.signature(self._model.call).bind_partial(*inputs, **options).arguments)
            except TypeError as error:
                raise UserError(f"{self.name} does not take these inputs: {one_line(error)}") from None
        if len(inputs) == 1 and not options:
            if isinstance(inputs[0], Mapping):
                options, inputs = inputs[0], []
            elif isinstance(inputs[0], (list, tuple)):
                inputs = inputs[0]
        named = {**dict(zip(self.input_names, inputs, strict=False)), **options}
        unknown = [name for name in named if name not in self.input_names]
        if unknown or len(inputs) > len(self.input_names):
            raise UserError(f"{self.name} takes {', '.join(self.input_names)}, not {', '.join(unknown) or 'more'}")
        return named

    def free(self) -> Sequence[str]:
        """The names of what a call may hold besides."""
        return self.input_names or [n for n in inspect.signature(self._model.call).parameters if n != "training"]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Give back the variables, seeds and carried states among them, the layers' plain attributes, and all random
        numbers.
        """
        carried = [one for layer in self._layers.values() for one in flat_states(getattr(layer, "states", None))]
        self._carried = {id(one): one for one in carried}  # which are not among the model's variables
        kept = {id(one): one for one in (*self._model.variables, *carried)}.values()
        self._variables = [(one, np.array(to_array(one.value, one.name))) for one in kept]
        self._attributes = [(layer, plain_attributes(layer)) for layer in self._layers.values()]
        with random_numbers_kept():
            try:
                yield
            finally:
                self._restore()

    def _restore(self) -> None:
        for layer, attributes in self._attributes:
            for name, was in attributes.items():
                if layer.__dict__.get(name, was) is not was:
                    object.__setattr__(layer, name, was)
        for variable, was in self._variables:
            if not np.array_equal(to_array(variable.value, "it"), was, equal_nan=was.dtype.kind == "f"):
                variable.assign(was)

    def run(self, arguments: Mapping[str, Any], manner: Manner) -> Any:
        """The results, arrays of numpy; RunFailed where the model raises.

        A stateful layer begins at zeros: what it carries belongs to the rows of another batch.
        """
        import keras  # type: ignore[import-not-found, import-untyped, unused-ignore]

        keras.utils.set_random_seed(manner.seed)
        for state in self._carried.values():
            state.assign(np.zeros(state.shape))
        with ExitStack() as stack:
            for name in self.norms if manner.norms else ():
                stack.enter_context(_wrapped(self._layers[name], _in_training))
            try:
                return as_numpy(self._call(arguments))
            except (KeyboardInterrupt, MemoryError):
                raise
            except (Exception, SystemExit) as error:  # whatever it or its backend raises: its answer to this batch
                raise RunFailed(one_line(error)) from error
            finally:
                self._restore()

    def _call(self, arguments: Mapping[str, Any]) -> Any:
        if not self.input_names:
            extra = {"training": False} if "training" in inspect.signature(self._model.call).parameters else {}
            return self._model(**arguments, **extra)
        if self._keyed:
            keyed = {name: arguments[name] for name in self.input_names if name in arguments}
            return self._model(keyed, training=False)
        values = [arguments[name] for name in self.input_names if name in arguments]
        return self._model(values[0] if len(self.input_names) == 1 else values, training=False)

    def trace(self, arguments: Mapping[str, Any], manner: Manner, patches: Mapping[Key, Patch]) -> Traced:
        """The results with every call of a layer."""
        watch = _Watch(patches)
        with ExitStack() as stack:
            for name, layer in self._layers.items():
                stack.enter_context(_wrapped(layer, watch.of(name, layer)))
            try:
                results = self.run(arguments, manner)
            except RunFailed as failure:
                raise watch.error or failure from None
        return Traced(results, tuple(call for call in watch.calls if call is not None))

    def embeddings(self, arguments: Mapping[str, Any], manner: Manner, change: Change) -> Any:
        """The results with other vectors behind layers that tell padding by its value; None where there is no such."""
        changed = []

        def around(call: Any, *args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            looked_up = args[0] if args else next(iter(kwargs.values()))
            replaced = change(to_array(looked_up, "what is looked up"), to_array(output, "the vectors"))
            if replaced is None:
                return output
            changed.append(True)
            return _tensor(replaced, output)

        with ExitStack() as stack:
            for layer in self._layers.values():
                if _is(layer, "Embedding", "Masking"):
                    stack.enter_context(_wrapped(layer, around))
            results = self.run(arguments, manner)
        return results if changed else None

    def rule(self, layer: Key, arguments: Mapping[str, Any], lengths: Array, final: Array | None) -> Any:
        """None: of Keras the place is named by its layer alone (`lengths` `[B]`, `final` `[B, H]`)."""
        return None


class _Watch:
    """Takes in what every layer reads and returns, and puts in what a patch says."""

    def __init__(self, patches: Mapping[Key, Patch]) -> None:
        self.patches = patches
        self.calls: list[LayerCall | None] = []
        self.error: Exception | None = None  # of the watching itself, which is no answer of the model
        self._counts: dict[str, int] = {}
        self._stack: list[Key] = []

    def of(self, name: str, layer: Any) -> Callable[..., Any]:
        """What goes around the `call` of that layer."""

        def around(call: Any, *args: Any, **kwargs: Any) -> Any:
            if _in_loop(args, kwargs):
                return call(*args, **kwargs)
            key = (name, self._counts.get(name, 0))
            self._counts[name] = key[1] + 1
            place, parent = len(self.calls), self._stack[-1] if self._stack else None
            self.calls.append(None)
            inputs = flat(as_numpy([list(args), {k: v for k, v in kwargs.items() if k != "training"}]))
            self._stack.append(key)
            try:
                output = call(*args, **kwargs)
            finally:
                self._stack.pop()
            if key in self.patches:
                output = self._patched(output, self.patches[key])
            recurrent = _is(layer, "RNN", "Bidirectional")
            results = flat(as_numpy(output))
            self.calls[place] = LayerCall(*key, type(layer).__name__, parent, inputs, results, recurrent)
            return output

        return around

    def _patched(self, output: Any, patch: Patch) -> Any:
        try:
            replaced = patch(flat(as_numpy(output)))
            return mapped(output, lambda path, leaf: _tensor(replaced[path], leaf) if path in replaced else leaf)
        except Exception as error:
            self.error = error
            raise


@contextmanager
def _wrapped(layer: Any, around: Callable[..., Any]) -> Iterator[None]:
    """The layer with `around` about its `call`, which gets the call before its arguments."""
    before = layer.__dict__.get("call")
    call = layer.call

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return around(call, *args, **kwargs)

    object.__setattr__(layer, "call", wrapper)
    try:
        yield
    finally:
        if before is None:
            object.__delattr__(layer, "call")
        else:
            object.__setattr__(layer, "call", before)


def _in_loop(args: Any, kwargs: Any) -> bool:
    """Whether a call stands within a loop that jax traces: a cell's, which is given no numbers there."""
    items = [*args, *kwargs.values()]
    nested = [part for item in items if isinstance(item, (list, tuple)) for part in item]
    return any(type(item).__name__.endswith("Tracer") for item in (*items, *nested))


def _in_training(call: Any, *args: Any, **kwargs: Any) -> Any:
    return call(*args, **{**kwargs, "training": True})


def _layers(model: Any) -> dict[str, Any]:
    """Every layer within the model by its name, the model itself by ''."""
    named: dict[str, Any] = {"": model}
    for layer in getattr(model, "_flatten_layers", lambda **_: [])(include_self=False, recursive=True):
        name = str(layer.name)
        while name in named:
            name += "'"
        if not _is(layer, "InputLayer"):
            named[name] = layer
    return named


def _is(layer: Any, *kinds: str) -> bool:
    """Whether it is of one of Keras' own classes of these names."""
    return any(c.__name__ in kinds and c.__module__.startswith("keras.") for c in type(layer).__mro__)


def as_numpy(value: Any) -> Any:
    """The same structure with copied arrays of numpy."""
    if isinstance(value, dict):
        return {key: as_numpy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(as_numpy(item) for item in value)
    return np.array(to_array(value, "the result")) if is_array(value) else value


def _tensor(array: Array, like: Any) -> Any:
    import keras

    return keras.ops.convert_to_tensor(np.asarray(array), dtype=keras.backend.standardize_dtype(like.dtype))


def load(path: str) -> Any:
    """The model of a `.keras` file, in safe mode: no code that it holds is run.

    Raises MissingExtraError without Keras, UnreadableError where it cannot be loaded so.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")  # torch is installed beside this; another may be named
    try:
        import keras
    except ImportError:
        raise MissingExtraError("running a Keras model", "keras") from None
    try:
        with random_numbers_kept():  # new layers draw their seeds
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise UnreadableError(f"{path}: Keras cannot load it in safe mode ({one_line(error)})") from None
