"""Gate blocks between a framework's stacked kernels and the canonical gate axis, and attributes to a CellSpec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnninspect.errors import ShapeError, UserError
from rnninspect.trace import Array
from rnninspect.weights import GATES, Cell, CellSpec

# Every attribute that some framework's layer has, under its own name. `num_proj`, `proj_size` and `use_peepholes`
# only say which arrays to expect; `state_is_tuple` is about dumps.
ATTRIBUTES = (
    "activation",
    "activation_alpha",
    "activation_beta",
    "activations",
    "cell_clip",
    "clip",
    "forget_bias",
    "input_forget",
    "linear_before_reset",
    "num_proj",
    "proj_clip",
    "recurrent_activation",
    "reset_after",
    "state_is_tuple",
    "use_peepholes",
)


def split_columns(kernel: Array, order: str, cell: Cell, name: str) -> Array:
    """`[F, G*H]` with gate blocks side by side in `order` -> `[G, F, H]` in canonical order.

    >>> split_columns(np.array([[10, 11, 20, 21, 30, 31]]), "zrn", "gru", "kernel")[:, 0].tolist()
    [[20, 21], [10, 11], [30, 31]]
    """
    gates = GATES[cell]
    if kernel.ndim != 2 or kernel.shape[1] % len(order):
        raise ShapeError(
            f"{name} is {kernel.shape}; {cell} needs two axes, the gates' {len(order)} blocks ({', '.join(order)})"
        )
    blocks = np.split(np.asarray(kernel), len(order), axis=1)
    return np.stack([blocks[order.index(gate)] for gate in gates])


def split_rows(kernel: Array, order: str, cell: Cell, name: str) -> Array:
    """`[G*H, F]` with gate blocks stacked in `order` -> `[G, F, H]` in canonical order."""
    if kernel.ndim != 2 or kernel.shape[0] % len(order):
        raise ShapeError(
            f"{name} is {kernel.shape}; {cell} needs two axes, first {len(order)} gate blocks ({', '.join(order)})"
        )
    return split_columns(np.asarray(kernel).T, order, cell, name)


def split_bias(bias: Array, order: str, cell: Cell, name: str) -> Array:
    """`[G*H]` -> `[G, H]` in canonical order."""
    if bias.ndim != 1:
        raise ShapeError(f"{name} is {bias.shape}; a bias has one axis here, of {len(order)} gate blocks")
    return split_columns(bias[None], order, cell, name)[:, 0]


def join_columns(gates: Array, order: str, cell: Cell) -> Array:
    """`[G, F, H]` in canonical order -> `[F, G*H]` in `order`: undoes `split_columns`."""
    return np.asarray(np.concatenate([gates[GATES[cell].index(gate)] for gate in order], axis=1))


def join_rows(gates: Array, order: str, cell: Cell) -> Array:
    """`[G, F, H]` -> `[G*H, F]` in `order`: undoes `split_rows`."""
    return np.ascontiguousarray(join_columns(gates, order, cell).T)


def join_bias(bias: Array, order: str, cell: Cell) -> Array:
    """`[G, H]` -> `[G*H]` in `order`: undoes `split_bias`."""
    return np.asarray(join_columns(bias[:, None], order, cell)[0])


def spec(cell: Cell, attributes: Mapping[str, Any], **defaults: Any) -> CellSpec:
    """A CellSpec from a framework's defaults and the attributes that the user states. Unknown ones are a UserError."""
    unknown = sorted(set(attributes) - set(ATTRIBUTES))
    if unknown:
        raise UserError(f"unknown cell attributes {', '.join(unknown)}; known: {', '.join(ATTRIBUTES)}")
    fields: dict[str, Any] = {"cell": cell, **defaults}
    for name in ("forget_bias", "cell_clip", "proj_clip", "recurrent_activation", "input_forget", "reset_after"):
        if attributes.get(name) is not None:
            fields[name] = attributes[name]
    if attributes.get("linear_before_reset") is not None:
        fields["reset_after"] = bool(attributes["linear_before_reset"])
    if attributes.get("clip") is not None:
        fields["gate_clip"] = attributes["clip"]
    if attributes.get("activation") is not None:
        fields["activation"] = fields["output_activation"] = attributes["activation"]
    if attributes.get("activations"):
        fields.update(_onnx_activations(cell, attributes))
    return CellSpec(**fields)


def _onnx_activations(cell: Cell, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """ONNX lists one direction's activations after the other's; both must agree: a CellSpec holds one set."""
    roles = {"lstm": ("recurrent", "candidate", "output"), "gru": ("recurrent", "candidate"), "rnn": ("candidate",)}[
        cell
    ]
    given = attributes["activations"]
    names = [n.strip() for n in given.split(",")] if isinstance(given, str) else list(given)
    if (
        len(names) % len(roles)
        or len({tuple(names[i : i + len(roles)]) for i in range(0, len(names), len(roles))}) != 1
    ):
        raise UserError(f"--activations {','.join(names)}: {cell} needs {len(roles)} a direction, the same in both")
    field = {"recurrent": "recurrent_activation", "candidate": "activation", "output": "output_activation"}
    fields: dict[str, Any] = {field[role]: _snake(name) for role, name in zip(roles, names, strict=False)}
    for which in ("activation_alpha", "activation_beta"):
        values = attributes.get(which)
        if values:
            listed = [float(v) for v in values.split(",")] if isinstance(values, str) else [float(v) for v in values]
            takers = [r for r, n in zip(roles, names, strict=False) if _snake(n) in _WITH_PARAMETERS]
            fields[which] = tuple(zip(takers, listed, strict=False))
    return fields


_WITH_PARAMETERS = ("hard_sigmoid", "elu", "leaky_relu", "thresholded_relu", "scaled_tanh", "affine")


def _snake(name: str) -> str:
    """ONNX's activation names to ours.

    >>> _snake("HardSigmoid"), _snake("Relu")
    ('hard_sigmoid', 'relu')
    """
    return "".join("_" + ch.lower() if ch.isupper() and i else ch.lower() for i, ch in enumerate(name))
