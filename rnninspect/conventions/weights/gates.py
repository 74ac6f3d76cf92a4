"""Gate blocks between a framework's stacked kernels and the canonical gate axis, and attributes to a CellSpec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rnninspect.core.cell import ATTRIBUTE_FIELDS, ROLE_FIELDS, Cell, CellSpec
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument
from rnninspect.engine import cells
from rnninspect.errors import ShapeError, UserError

# Every attribute that changes some cell, under its framework's own name. `num_proj`, `proj_size` and `use_peepholes`
# only say which arrays to expect; `state_is_tuple` is about dumps.
ATTRIBUTES = tuple(sorted({"state_is_tuple"}.union(*(cell.varied_by for cell in cells.cells().values()))))


# Attributes that name one activation; where each direction has one of its own they name both.
ONE_EACH = ("activation", "recurrent_activation")


def split_columns(kernel: Array, order: str, cell: Cell, name: str) -> Array:
    """`[F, G*H]` with gate blocks side by side in `order` -> `[G, F, H]` in canonical order.

    Raises ShapeError where they are not so.

    >>> split_columns(np.array([[10, 11, 20, 21, 30, 31]]), "zrn", "gru", "kernel")[:, 0].tolist()
    [[20, 21], [10, 11], [30, 31]]
    """
    gates = cells.get(cell).gates
    if kernel.ndim != 2 or kernel.shape[1] % len(order):
        raise ShapeError(
            f"{name} is {kernel.shape}; {cell} needs two axes, the gates' {len(order)} blocks ({', '.join(order)})"
        )
    blocks = np.split(np.asarray(kernel), len(order), axis=1)
    return np.stack([blocks[order.index(gate)] for gate in gates])


def split_rows(kernel: Array, order: str, cell: Cell, name: str) -> Array:
    """`[G*H, F]` with gate blocks stacked in `order` -> `[G, F, H]` in canonical order; ShapeError else."""
    if kernel.ndim != 2 or kernel.shape[0] % len(order):
        raise ShapeError(
            f"{name} is {kernel.shape}; {cell} needs two axes, first {len(order)} gate blocks ({', '.join(order)})"
        )
    return split_columns(np.asarray(kernel).T, order, cell, name)


def split_bias(bias: Array, order: str, cell: Cell, name: str) -> Array:
    """`[G*H]` -> `[G, H]` in canonical order; ShapeError on more axes than one."""
    if bias.ndim != 1:
        raise ShapeError(f"{name} is {bias.shape}; a bias has one axis here, of {len(order)} gate blocks")
    return split_columns(bias[None], order, cell, name)[:, 0]


def join_columns(gates: Array, order: str, cell: Cell) -> Array:
    """`[G, F, H]` in canonical order -> `[F, G*H]` in `order`: undoes `split_columns`."""
    return np.asarray(np.concatenate([gates[cells.get(cell).gates.index(gate)] for gate in order], axis=1))


def join_rows(gates: Array, order: str, cell: Cell) -> Array:
    """`[G, F, H]` -> `[G*H, F]` in `order`: undoes `split_rows`."""
    return np.ascontiguousarray(join_columns(gates, order, cell).T)


def join_bias(bias: Array, order: str, cell: Cell) -> Array:
    """`[G, H]` -> `[G*H]` in `order`: undoes `split_bias`."""
    return np.asarray(join_columns(bias[:, None], order, cell)[0])


def spec(cell: Cell, attributes: Mapping[str, Any], **defaults: Any) -> CellSpec:
    """A CellSpec from a framework's defaults and the attributes that the user states.

    What a cell has no use for stays at the CellSpec's own default: equal cells of two frameworks are equal specs.
    Raises UserError on unknown attributes, UnknownNameError on an unknown cell.
    """
    unknown = sorted(set(attributes) - set(ATTRIBUTES))
    if unknown:
        raise UserError(f"unknown cell attributes {', '.join(unknown)}; known: {', '.join(ATTRIBUTES)}")
    fields: dict[str, Any] = dict(defaults)
    for name, field in ATTRIBUTE_FIELDS.items():
        if attributes.get(name) is not None and field not in ("activation_alpha", "activation_beta"):
            fields[field] = bool(attributes[name]) if field in ("input_forget", "reset_after") else attributes[name]
    if attributes.get("activation") is not None:
        fields["activation"] = fields["output_activation"] = attributes["activation"]
    if attributes.get("activations"):
        fields.update(_onnx_activations(cell, attributes))
    return cells.get(cell).spec(**fields)


def _onnx_activations(cell: Cell, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """ONNX lists one direction's activations after the other's; a CellSpec holds one set, the first (`halved`)."""
    roles = cells.get(cell).roles
    names = _listed(attributes["activations"])
    if len(names) % len(roles) or len(names) > 2 * len(roles):
        raise UserError(f"{argument('activations', names)}: {cell} needs {len(roles)} a direction")
    fields: dict[str, Any] = {ROLE_FIELDS[role]: _snake(name) for role, name in zip(roles, names, strict=False)}
    for which, with_it in (("activation_alpha", _WITH_ALPHA), ("activation_beta", _WITH_BETA)):
        values = attributes.get(which)
        if values:
            listed = [float(v) for v in _listed(values)]
            takers = [r for r, n in zip(roles, names, strict=False) if _snake(n) in with_it]
            fields[which] = tuple(zip(takers, listed, strict=False))
    return fields


def halved(cell: Cell, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The attributes of each direction, where ONNX's `activations` list them for two; else as they are, once.

    >>> halved("rnn", {"activations": ["LeakyRelu", "Elu"], "activation_alpha": [0.1, 0.2]})[1]
    {'activations': ['Elu'], 'activation_alpha': [0.2]}
    """
    names, count = _listed(attributes.get("activations") or ()), len(cells.get(cell).roles)
    if len(names) != 2 * count:
        return [dict(attributes)]
    halves: list[dict[str, Any]] = [{**attributes, "activations": part} for part in (names[:count], names[count:])]
    for which, with_it in (("activation_alpha", _WITH_ALPHA), ("activation_beta", _WITH_BETA)):
        values = _listed(attributes.get(which) or ())
        taken = sum(_snake(name) in with_it for name in names[:count])
        for half, part in zip(halves, (values[:taken], values[taken:]), strict=True):
            if values:
                half[which] = part
    return halves


def apart(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The attributes of each direction, where an activation is stated for both, `FORWARD,BACKWARD`; else once.

    Raises UserError where more than two are stated.

    >>> apart({"activation": "relu,tanh", "reset_after": True})[1]
    {'activation': 'tanh', 'reset_after': True}
    """
    pairs = {name: _listed(attributes[name]) for name in ONE_EACH if "," in str(attributes.get(name))}
    for name, pair in pairs.items():
        if len(pair) != 2:
            raise UserError(f"{argument(name, attributes[name])}: one activation, or two, FORWARD,BACKWARD")
    halves = [{**attributes, **{name: pair[i] for name, pair in pairs.items()}} for i in range(2)]
    return halves if pairs else halves[:1]


def pairs(forward: Mapping[str, Any], backward: Mapping[str, Any]) -> dict[str, str]:
    """The activations that differ between two directions, as `FORWARD,BACKWARD`.

    >>> pairs({"activation": "relu", "recurrent_activation": "sigmoid"}, {"activation": "tanh"})
    {'activation': 'relu,tanh'}
    """
    both = [name for name in ONE_EACH if name in forward and name in backward]
    return {name: f"{forward[name]},{backward[name]}" for name in both if forward[name] != backward[name]}


def _listed(values: Any) -> list[Any]:
    return [v.strip() for v in values.split(",")] if isinstance(values, str) else list(values)


def with_slope(spec: CellSpec, slope: float) -> CellSpec:
    """The same cell with this framework's slope of leaky_relu below 0, where that is one of its activations.

    TensorFlow and Keras take 0.2, everybody else 0.01 (tf.nn.leaky_relu, keras.activations.leaky_relu).
    """
    roles = cells.get(spec.cell).roles
    takers = tuple((role, slope) for role in roles if getattr(spec, ROLE_FIELDS[role]) == "leaky_relu")
    return replace(spec, activation_alpha=takers) if takers else spec


def onnx_attributes(spec: CellSpec, *, always: bool = False) -> dict[str, Any]:
    """ONNX's `activations`, with alpha and beta where they are needed; empty for sigmoid and tanh, unless `always`.

    >>> onnx_attributes(CellSpec("lstm", recurrent_activation="hard_sigmoid"))["activations"]
    ['HardSigmoid', 'Tanh', 'Tanh']
    """
    if without_activations(spec) == spec and not always:
        return {}
    from rnninspect.engine.activations import ACTIVATIONS, SPELLINGS

    roles = cells.get(spec.cell).roles
    called = {role: getattr(spec, ROLE_FIELDS[role]) for role in roles}
    called = {role: SPELLINGS.get(name, name) for role, name in called.items()}
    node_attributes: dict[str, Any] = {"activations": [_camel(name) for name in called.values()]}
    parameterised = bool(spec.activation_alpha or spec.activation_beta)
    if not always and not parameterised and _BY_VALUE.isdisjoint(called.values()):
        return node_attributes
    for which, takers in (("alpha", _WITH_ALPHA), ("beta", _WITH_BETA)):
        # All or none of them: a value goes to the next activation that takes one, and must not slip to another.
        parameters = dict(getattr(spec, f"activation_{which}"))
        values = [
            float(parameters.get(role, getattr(ACTIVATIONS["affine" if name == "linear" else name], which)))
            for role, name in called.items()
            if _snake(_camel(name)) in takers
        ]
        if values:
            node_attributes[f"activation_{which}"] = values
    return node_attributes


def onnx_lacks(spec: CellSpec) -> list[str]:
    """The activations of a cell that no node of ONNX can have."""
    from rnninspect.engine.activations import SPELLINGS

    names = [getattr(spec, ROLE_FIELDS[role]) for role in cells.get(spec.cell).roles]
    return [name for name in names if _snake(_camel(SPELLINGS.get(name, name))) not in _OF_ONNX]


def without_activations(spec: CellSpec) -> CellSpec:
    """The same cell with sigmoid gates and tanh."""
    return replace(
        spec,
        activation="tanh",
        output_activation="tanh",
        recurrent_activation="sigmoid",
        activation_alpha=(),
        activation_beta=(),
    )


# Each of these takes the next of the values listed (onnxruntime/core/providers/cpu/rnn/rnn_helpers.cc).
_WITH_BETA = ("hard_sigmoid", "scaled_tanh", "affine")
_WITH_ALPHA = (*_WITH_BETA, "elu", "leaky_relu", "thresholded_relu")
_OF_ONNX = frozenset({*_WITH_ALPHA, "relu", "tanh", "sigmoid", "softsign", "softplus"})
# Those whose values must be there: ONNX's defaults are other ones, or ONNX Runtime takes what is not stated as 0.
_BY_VALUE = frozenset({"hard_sigmoid_keras3", "linear", "affine", "scaled_tanh", "thresholded_relu"})


def _snake(name: str) -> str:
    """ONNX's activation names to ours.

    >>> _snake("HardSigmoid"), _snake("Relu")
    ('hard_sigmoid', 'relu')
    """
    return "".join("_" + ch.lower() if ch.isupper() and i else ch.lower() for i, ch in enumerate(name))


def _camel(name: str) -> str:
    """Our activation names to ONNX's.

    >>> _camel("hard_sigmoid_keras3"), _camel("tanh")
    ('HardSigmoid', 'Tanh')
    """
    name = "affine" if name == "linear" else name.removesuffix("_keras3")
    return "".join(part.capitalize() for part in name.split("_"))
