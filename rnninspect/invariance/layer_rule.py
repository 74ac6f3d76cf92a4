"""After the check, the rule: the recurrent layer at a place, or before it, recorded on the same batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnninspect.core.trace import Array
from rnninspect.invariance.model import LayerCall
from rnninspect.invariance.orders import Order
from rnninspect.invariance.suspect import Suspect
from rnninspect.invariance.traces import Tracing, place_in


def layer_rule(tracing: Tracing, suspect: Suspect) -> Any:
    """The finding of the recurrent layer that the place is, or that its code follows; None where there is none."""
    layer, final = suspect.call, None
    if not layer.recurrent:
        before = suspect.after if suspect.inner else _layer_before(tracing, layer)
        final = _vector(tracing, suspect)
        if before is None or not before.recurrent or final is None:
            return None
        layer = before
    order = list(_order(tracing, layer))
    lengths, final = _lengths(tracing, layer)[order], None if final is None else final[order]
    model, rules = tracing.trial.model, tracing.trial.rules
    asked = (layer.key, lengths.tobytes(), None if final is None else final.tobytes())
    if asked not in rules:
        rules[asked] = model.rule(layer.key, tracing.trial.batch, lengths, final)
    return rules[asked]


def _order(tracing: Tracing, call: LayerCall) -> Order:
    """The order in which the layer is given the rows: of a batch that the model sorts, not the batch's own."""
    base = tracing.base
    vectors = [path for path, array in call.inputs.items() if array.ndim > 1]
    orders = (base.orders.get(place_in(call.key, "<", path)) for path in vectors)
    return next((order for order in orders if order is not None), base.rows)


def _layer_before(tracing: Tracing, call: LayerCall) -> LayerCall | None:
    """The last recurrent layer that was called before."""
    keys = [one.key for one in tracing.calls]
    earlier = tracing.calls[: keys.index(call.key)] if call.key in keys else []
    return next((one for one in reversed(earlier) if one.recurrent), None)


def _vector(tracing: Tracing, suspect: Suspect) -> Any:
    """The vector a row that the model goes on with: what the next layer reads, or a layer that makes it returns."""
    call, sign = (suspect.call, ">") if suspect.before is None else (suspect.before, "<")
    paths = call.results if suspect.before is None else call.inputs
    vectors = (_rows_first(tracing, place_in(call.key, sign, path)) for path in paths)
    return next((vector for vector in vectors if vector is not None), None)


def _rows_first(tracing: Tracing, path: str) -> Array | None:
    """An array with a vector a row as `[B, H]`, of a state `[D, B, H]` both directions; None where it is no such."""
    array, axes = tracing.base.results.get(path), tracing.shapes.axes.get(path)
    if array is None or axes is None:
        return None
    whole = axes.canonical(array, tracing.base.sizes)
    if whole is None or len(axes.row_axes) != 1 or axes.step_axes or array.dtype.kind != "f":
        squeezed = np.squeeze(array)
        return squeezed if squeezed.ndim == 2 and len(squeezed) == len(tracing.base.rows) else None
    vector = np.moveaxis(whole, axes.row_axes[0], 0).reshape(len(tracing.base.rows), -1)
    return vector if array.ndim > 1 else None


def _lengths(tracing: Tracing, call: LayerCall) -> Any:
    """How many steps of each row are real to that layer."""
    rows = tracing.trial.base.rows
    for path in call.inputs:
        where = place_in(call.key, "<", path)
        axes = tracing.shapes.axes.get(where)
        if axes is not None and len(axes.step_axes) == 1:
            return np.array([tracing.shapes.counts[where, 0, row] for row in rows])
    return tracing.trial.batch.groups[0].lengths
