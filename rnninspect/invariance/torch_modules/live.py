"""A torch module, or a function on tensors, as the check runs it."""

from __future__ import annotations

import inspect
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.rnn import PackedSequence

from rnninspect.core.trace import Array
from rnninspect.errors import UserError
from rnninspect.invariance.model import Change, Key, LayerCall, Manner, Patch, RunFailed, Traced, one_line
from rnninspect.invariance.nested import flat
from rnninspect.invariance.random_numbers import random_numbers_kept, seed_everything
from rnninspect.invariance.torch_modules.expand import expanded, patched
from rnninspect.invariance.torch_modules.floats import FloatsSeen, width_of_weights
from rnninspect.invariance.torch_modules.keep import Kept, settings_kept
from rnninspect.invariance.torch_modules.signature import signature_of

SLOW = 0.05  # seconds of a first run from which on it is tried with one thread
_NO_GRADIENTS = "does not require grad"  # what autograd says where there is none
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


class TorchModel:
    """A module. Compiled and parallel wrappers are looked through: the module within them is run."""

    framework = "torch"
    until = float("inf")
    drawn: Any = None

    def __init__(self, model: Any) -> None:
        self.called = unwrapped(model)
        self._module = self.called if isinstance(self.called, nn.Module) else nn.Module()
        self.name = type(self.called).__name__ if isinstance(self.called, nn.Module) else _name(model)
        self._watched = [m for m in self._module.modules() if not isinstance(m, torch.jit.ScriptModule)]
        self.traceable = isinstance(self.called, nn.Module) and self._module in self._watched
        self._names = {id(m): name for name, m in self._module.named_modules()}
        norms = [m for m in self._module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self._norms = [m for m in norms if not isinstance(m, nn.SyncBatchNorm)]
        self.norms: Sequence[str] = [self._names[id(m)] for m in self._norms]
        fast = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)
        self._takes_a_fast_path = any(isinstance(m, fast) for m in self._module.modules())
        self.training = any(m.training for m in self._norms)
        self._kept: Kept | None = None
        lazy = [m for m in self._module.modules() if isinstance(m, LazyModuleMixin) and m.has_uninitialized_params()]
        if lazy:
            raise UserError(f"{self.name} has a {type(lazy[0]).__name__} without weights: call it once, then check it")
        self.coarsest = width_of_weights(self._module.parameters())  # then of what is seen to be computed with
        self._seen = self._generates = self.forgets = False
        self._carried: list[Tensor] | None = None
        self._differentiates = False
        self._settled = False  # whether it is known with how many threads it runs best
        quantised = [m for m in self._module.modules() if ".quantized.dynamic" in type(m).__module__]
        if quantised:
            raise UserError(
                f"{self.name} has a dynamically quantised {type(quantised[0]).__name__}, which rounds by the largest "
                "value of the whole batch: check the model before it is quantised"
            )
        if any(t.is_meta for t in [*self._module.parameters(), *self._module.buffers()]):
            raise UserError(f"{self.name} is on the meta device, without numbers: load its weights, then check it")

    def _signature(self) -> inspect.Signature:
        called = self.called.forward if isinstance(self.called, nn.Module) else self.called
        return signature_of(called)

    def bind(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of `forward` by their names; UserError on inputs that it does not take."""
        try:
            signature = self._signature()
            return dict(signature.bind_partial(*inputs, **options).arguments)
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.name} does not take these inputs: {one_line(error)}") from None

    def free(self) -> Sequence[str]:
        """The arguments of `forward`."""
        return [
            name for name, p in self._signature().parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Everything as it was, however it ends; compiled parts run uncompiled."""
        self._kept = Kept(self._module)
        with ExitStack() as stack:
            stack.callback(self._kept.remember)
            stack.callback(self._kept.restore)
            stack.enter_context(settings_kept())
            stack.enter_context(random_numbers_kept())
            if "torch._dynamo" in sys.modules:  # else nothing was compiled
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            yield

    def run(self, arguments: Mapping[str, Any], manner: Manner) -> Any:
        """The results, arrays of numpy; RunFailed where the module raises.

        In the first run the floats are looked at. Where it takes long, it is made again with one thread, which stays if
        it is much faster: on a busy machine threads wait for each other, up to a hundred times as long.
        """
        began, threads = time.perf_counter(), torch.get_num_threads()
        results = self._run(arguments, manner) if self._seen else self._seen_run(arguments, manner)
        took = time.perf_counter() - began
        if self._settled or threads == 1 or took < SLOW or time.monotonic() + took > self.until:
            self._settled = True
            return results
        self._settled = True
        torch.set_num_threads(1)
        began = time.perf_counter()
        again = self._run(arguments, manner)
        if time.perf_counter() - began < 0.7 * took:
            return again
        torch.set_num_threads(threads)
        return results

    def _seen_run(self, arguments: Mapping[str, Any], manner: Manner) -> Any:
        """A run in which the floats are looked at, if it can be made so; of torch's transformers another one after it,
        for they compute padding by another path while they are watched.
        """
        with suppress(RunFailed):
            results = self._run(arguments, manner)
            if not self._takes_a_fast_path:
                return results
        self._seen = True
        return self._run(arguments, manner)  # it fails again, unless only what it does cannot be looked at

    def _run(self, arguments: Mapping[str, Any], manner: Manner) -> Any:
        assert self._kept is not None
        try:
            return self._forward(arguments, manner)
        except (KeyboardInterrupt, MemoryError):
            raise
        except RuntimeError as error:
            if self._differentiates or _NO_GRADIENTS not in str(error):
                raise RunFailed(one_line(error)) from error
            self._differentiates = True
            self._kept.restore(weights=False)
            return self._run(arguments, manner)
        except (Exception, SystemExit) as error:  # whatever the model raises: it is the model's answer to this batch
            raise RunFailed(one_line(error)) from error
        finally:
            if self._carried is None:
                self._carried = self._kept.carried(Kept(self._module))
            self._kept.restore(weights=False)

    def forget(self, rows: int) -> bool:
        """Begin at zeros with what it carries from call to call of so many rows: they were another batch's."""
        assert self._kept is not None
        carried = [one for one in self._carried or () if rows in one.shape]
        self._carried = []
        self._kept.forget(carried)
        self.forgets = self.forgets or bool(carried)
        return bool(carried)

    def _forward(self, arguments: Mapping[str, Any], manner: Manner) -> Any:
        """The results; with gradients only of a model that computes some within its forward, as of its energy."""
        for module in self._module.modules():
            module.training = False
        for module in self._norms if manner.norms else ():
            module.training = True
        seed_everything(manner.seed)
        with torch.set_grad_enabled(self._differentiates), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with self._watched_once() as watched:
                results = self._call(arguments)
            self.drawn = None if self._generates or self._kept is None else self._kept.drawn()
            if watched is not None:
                self._seen, self._generates = True, watched.generates
                self.coarsest = min([w for w in (self.coarsest, watched.coarsest) if w], default=None)
            return expanded(results)

    def _watched_once(self) -> AbstractContextManager[FloatsSeen | None]:
        """In the first run, a look at how narrow the floats are that it computes with."""
        return nullcontext() if self._seen else FloatsSeen()

    def _call(self, arguments: Mapping[str, Any]) -> Any:
        parameters = self._signature().parameters
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, value in arguments.items():
            kind = parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                args += list(value)
            elif kind is inspect.Parameter.VAR_KEYWORD:
                kwargs |= value
            elif kind is not inspect.Parameter.KEYWORD_ONLY and not kwargs and list(parameters)[len(args)] == name:
                args.append(value)
            else:
                kwargs[name] = value
        return self.called(*args, **kwargs)

    def trace(self, arguments: Mapping[str, Any], manner: Manner, patches: Mapping[Key, Patch]) -> Traced:
        """The results with every call of a module within."""
        watch = _Watch(self._names, patches)
        with ExitStack() as stack:
            for module in self._watched:
                stack.callback(module.register_forward_pre_hook(watch.enter, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(watch.leave, with_kwargs=True).remove)
            keeping = self._kept
            self._kept = Kept(self._module)  # with the hooks, which a run gives back too
            try:
                results = self.run(arguments, manner)
            except RunFailed as failure:
                raise watch.error or failure from None
            finally:
                self._kept = keeping
        return Traced(results, tuple(call for call in watch.calls if call is not None))

    def embeddings(self, arguments: Mapping[str, Any], manner: Manner, change: Change) -> Any:
        """The results with what embeddings return changed; None where none was called, or nothing could be changed."""
        changed = []

        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            looked_up = args[0] if args else kwargs["input"]
            replaced = change(expanded(looked_up), expanded(output)) if isinstance(output, Tensor) else None
            if replaced is None:
                return None
            changed.append(True)
            if _looks_up_zeros(module):
                return None  # its padding is zero for good: to compute with it is to leave it out
            return torch.from_numpy(np.array(replaced)).to(output)

        layers = [m for m in self._module.modules() if isinstance(m, nn.Embedding)]
        with ExitStack() as stack:
            for module in layers:
                stack.callback(module.register_forward_hook(hook, with_kwargs=True).remove)
            keeping = self._kept
            self._kept = Kept(self._module)
            try:
                results = self.run(arguments, manner)
            finally:
                self._kept = keeping
        return results if changed else None

    def rule(self, layer: Key, arguments: Mapping[str, Any], lengths: Array, final: Array | None) -> Any:
        """What the recording of that layer's call on this batch is judged to be (`lengths` `[B]`, `final` `[B, H]`)."""
        from rnninspect.invariance.torch_modules.rule import recorded_rule

        return recorded_rule(self._module, layer, lambda: self.run(arguments, Manner()), lengths, final)


class _Watch:
    """Takes in what every module reads and returns, and puts in what a patch says."""

    def __init__(self, names: Mapping[int, str], patches: Mapping[Key, Patch]) -> None:
        self.names, self.patches = names, patches
        self.calls: list[LayerCall | None] = []
        self.error: Exception | None = None  # of the watching itself, which is no answer of the model
        self._counts: dict[str, int] = {}
        self._stack: list[tuple[int, Key, dict[str, Array], Key | None]] = []

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        name = self.names.get(id(module), "")
        number = self._counts.get(name, 0)
        self._counts[name] = number + 1
        parent = self._stack[-1][1] if self._stack else None
        self._stack.append((len(self.calls), (name, number), flat(expanded([list(args), kwargs])), parent))
        self.calls.append(None)

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        place, key, inputs, parent = self._stack.pop()
        patch = self.patches.get(key)
        if patch is not None:
            try:
                output = patched(output, patch)
            except Exception as error:
                self.error = error
                raise
        recurrent = isinstance(module, (nn.RNNBase, nn.RNNCellBase))
        results = flat(expanded(output))
        packed = any(isinstance(one, PackedSequence) for one in args)
        rows_axis = int(not module.batch_first) if isinstance(module, nn.RNNBase) and not packed else None
        kind = type(module).__name__
        self.calls[place] = LayerCall(*key, kind, parent, inputs, results, recurrent, rows_axis)
        return output if patch is not None else None


def unwrapped(model: Any) -> Any:
    """The module within torch.compile's and DataParallel's wrappers."""
    inner = getattr(model, "_orig_mod", None) or (model.module if isinstance(model, _WRAPPERS) else None)
    return unwrapped(inner) if isinstance(inner, nn.Module) else model


def _looks_up_zeros(module: nn.Module) -> bool:
    """Whether an embedding's padding is a row of zeros, which training leaves as it is."""
    index, weight = getattr(module, "padding_idx", None), getattr(module, "weight", None)
    return index is not None and isinstance(weight, Tensor) and not bool(weight[index].any())


def _name(called: Any) -> str:
    return str(getattr(called, "__name__", type(called).__name__))
