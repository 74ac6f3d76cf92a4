"""What a model's own code between two layers did to rows and steps, which no recording of a layer shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnninspect.core.finding import Finding
from rnninspect.core.trace import Array
from rnninspect.diagnosis.rules import rules
from rnninspect.invariance.model import LayerCall
from rnninspect.invariance.orders import Order, placed
from rnninspect.invariance.traces import RESULT, TracedRun, Tracing, place_in

_BACKWARD = (
    "steps = torch.arange(T)\n"
    "back = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)  # each row within its length\n"
    "flipped = x.gather(1, back[..., None].expand_as(x))  # not x.flip(1)"
)
_SWAPPED = "rnn = nn.LSTM(F, H, batch_first=True)  # where it reads [B, T, F]; without it [T, B, F]"


@dataclass(frozen=True, eq=False)
class Sorted:
    """A traced run in which some rows stand in another order: the undisturbed one, where it has such.

    `disturbed`: the other run.
    """

    tracing: Tracing
    run: TracedRun
    calls: Sequence[LayerCall]
    disturbed: TracedRun

    def result(self, paths: Sequence[str]) -> tuple[Order, Order] | None:
        """The rows that the model is given and the order in which it returns them, where that is another."""
        for path in paths:
            for run in (self.tracing.base, self.disturbed):
                if path in run.results and self.tracing.rows.ordered(path, run.rows):
                    order = self.tracing.rows.order(path, run.results[path], run.sizes, run.rows, run.rows)
                    if order is not None and order != run.rows:
                        return run.rows, order
        return None

    def beside_others(self, call: LayerCall) -> tuple[Order, Order] | None:
        """The rows, and the order of some inputs of a call that reads others in the batch's own; else None."""
        vectors = [path for path, array in call.inputs.items() if array.ndim > 1]  # lengths alone are another mistake
        paths = [place_in(call.key, "<", path) for path in vectors]
        orders = [self.run.orders[path] for path in paths if path in self.run.orders]
        return (self.run.rows, orders[0]) if orders and any(self._in_order(path) for path in paths) else None

    def _in_order(self, path: str) -> bool:
        """Whether an array is seen to hold its rows in the batch's order."""
        run, rows = self.run, self.tracing.rows
        if path in run.orders or path not in run.results or not rows.ordered(path, run.rows):
            return False
        shuffled = (*run.rows[1:], run.rows[0])
        return rows.order(path, run.results[path], run.sizes, run.rows, shuffled) == run.rows

    def sorter(self, within: LayerCall) -> LayerCall:
        """The innermost call that is given rows in the batch's order and returns them in another."""
        for call in self.calls:
            sorts = call.parent == within.key and self._side(call, ">") and not self._side(call, "<")
            if sorts and any(self._in_order(place_in(call.key, "<", path)) for path in call.inputs):
                return self.sorter(call)
        return within

    def _side(self, call: LayerCall, sign: str) -> bool:
        """Whether anything that a call reads (`<`) or returns (`>`) is in another order."""
        paths = call.inputs if sign == "<" else call.results
        return any(place_in(call.key, sign, path) in self.run.orders for path in paths)

    def last(self, within: LayerCall) -> LayerCall | None:
        """The last layer within a call that returns rows in another order."""
        inner = [call for call in self.calls if call.parent == within.key and self._side(call, ">")]
        return inner[-1] if inner else None

    @property
    def first(self) -> str:
        """The layer that first reads rows in another order, or an empty name."""
        return next((call.name for call in self.calls if call.name and self._side(call, "<")), "")


def sorted_in(tracing: Tracing, run: TracedRun, calls: Sequence[LayerCall]) -> Sorted:
    """The undisturbed run where it has rows in another order, else this one, of a batch in another order."""
    base = tracing.base
    return Sorted(tracing, base, tracing.calls, run) if base.orders else Sorted(tracing, run, calls, run)


def rows_permuted(rows: Order, order: Order, first: str) -> Finding:
    """The finding of `rows` that are sorted to be those of `order` and not put back."""
    expected, row = next((p, q) for p, q in zip(rows, order, strict=True) if p != q)
    since = f", since before its layer {first}" if first else ""
    message = f"result {expected} is that of row {row}{since}"
    return _finding("rows-permuted", message, "back = order.argsort()  # undo the sort\nfinal = final[back]")


def swapped_axes(tracing: Tracing, layer: LayerCall) -> Finding | None:
    """The finding of a recurrent layer that takes the rows for steps; None where it does not."""
    for path, array in layer.inputs.items():
        axes = tracing.shapes.axes.get(place_in(layer.key, "<", path))
        if layer.rows_axis is None or axes is None or array.ndim < 3 or len(axes.axes) != array.ndim:
            continue
        if axes.parts[:2] in (("rows", "steps"), ("steps", "rows")) and axes.parts[layer.rows_axis] != "rows":
            message = (
                f"the layer takes axis {layer.rows_axis} of its inputs {list(array.shape)} as the rows, but "
                "it holds the steps"
            )
            kind = layer.kind if layer.kind in ("GRU", "RNN") else "LSTM"
            return _finding("batch-time-swapped", message, _SWAPPED.replace("LSTM", kind))
        return None
    return None


def of_the_code(shown: Sorted, call: LayerCall, sign: str) -> Finding | None:
    """The finding of what a call reads (`<`) or returns (`>`), as made of earlier arrays; None where nothing is."""
    tracing = shown.tracing
    for path in call.inputs if sign == "<" else call.results:
        where = place_in(call.key, sign, path)
        read = tracing.base.results.get(where)
        if read is None or read.ndim < 2:
            continue
        return _flipped(tracing, call, where, read) or _reshaped(tracing, where, read) or _half(shown, where)
    return None


def _earlier(tracing: Tracing, where: str) -> Iterator[tuple[str, Array]]:
    """What was read and returned before, the latest first; the names of arrays are in the order of time."""
    paths = [path for path in tracing.base.results if not path.startswith(RESULT)]
    for path in reversed(paths[: paths.index(where)]):
        yield path, tracing.base.results[path]


def _steps_first(tracing: Tracing, path: str, array: Array) -> Array | None:
    """`[B, T, …]`, or None where it has not both."""
    axes = tracing.shapes.axes[path]
    whole = axes.canonical(array, tracing.base.sizes)
    if whole is None or len(axes.row_axes) != 1 or len(axes.step_axes) != 1:
        return None
    return np.moveaxis(whole, (axes.row_axes[0], axes.step_axes[0]), (0, 1))


def _flipped(tracing: Tracing, call: LayerCall, where: str, read: Array) -> Finding | None:
    here = _steps_first(tracing, where, read)
    keys = [call.key for call in tracing.calls]
    behind = tracing.calls[keys.index(call.key) :] if call.key in keys else []
    reader = next((one for one in behind if one.recurrent), None)
    if here is None or here.shape[1] < 2 or reader is None:
        return None
    for path, array in _earlier(tracing, where):
        there = _steps_first(tracing, path, array)
        if there is None or there.shape != here.shape or np.array_equal(here, there):
            continue
        if np.array_equal(here, there[:, ::-1]):
            message = f"{reader.name} reads whole rows flipped, so that the padding of shorter ones comes first"
            return _finding("backward-read-padding", message, _BACKWARD)
    return None


def _reshaped(tracing: Tracing, where: str, read: Array) -> Finding | None:
    """A `[B, T, F]` that was given the shape `[T, B, F]` as it lies in memory, or the other way round."""
    if read.shape[0] == 1 or read.shape[1] == 1:
        return None
    for _, array in _earlier(tracing, where):
        exchanged = (
            array.ndim == read.ndim and array.shape[:2] == read.shape[1::-1] and array.shape[2:] == read.shape[2:]
        )
        if exchanged and np.array_equal(array.reshape(-1), read.reshape(-1)):
            message = f"{list(array.shape)} was reshaped to {list(read.shape)}, not transposed"
            return _finding("inputs-reshaped-not-transposed", message, "x = x.transpose(0, 1)  # not x.view(T, B, F)")
    return None


def _half(shown: Sorted, where: str) -> Finding | None:
    """Rows put together of two: some of their units are those of the batch's order, the others of a sorted one."""
    run, alone, axes = shown.run, shown.tracing.rows.alone, shown.tracing.shapes.axes[where]
    rows, read = run.rows, run.results.get(where)
    if read is not None and where in run.orders:
        read = placed(read, axes, run.sizes, rows, run.orders[where])  # as the model had it
    if read is None or axes.parts != ("rows", None) or any(where not in alone[r].results for r in rows if r in alone):
        return None
    single = {row: alone[row].results[where].reshape(-1) for row in rows if row in alone}
    if len(single) < len(rows) or any(one.shape != read.shape[1:] for one in single.values()):
        return None

    def agreeing(order: Order) -> Any:
        whole = np.stack([single[row] for row in order])
        allowed = shown.tracing.rows.tolerance[1] + shown.tracing.rows.tolerance[0] * float(
            np.abs(whole).max(initial=0.0)
        )
        return (np.abs(read - whole) <= allowed).all(0)

    kept = agreeing(rows)
    for order in dict.fromkeys(run.orders.values()):
        units = agreeing(order)
        if kept.any() and (units & ~kept).any() and (kept | units).all():
            return rows_permuted(rows, order, shown.first)
    return None


def _finding(rule: str, message: str, fix: str) -> Finding:
    severity = rules()[rule].severity
    return Finding(rule, severity, "proven", message, evidence={}, fix=fix)
