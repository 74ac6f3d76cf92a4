"""Arrays that no framework names so, offered by their shapes as the weights of one layer under names that are known."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rnninspect.core.regex import regex
from rnninspect.core.trace import Array

_GATES = {4: "lstm", 3: "gru", 1: "rnn"}
_HINT = regex(r"hh|h2h|rec|hidden|(^|[_./])[uU]($|[_./\d])")
_TORCH = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
_KERAS = ("kernel", "recurrent_kernel", "bias")
# What torch keeps in place of a weight that it computes anew (torch/nn/utils/{weight_norm,parametrize}.py), and fastai.
_COMPUTED = regex(
    r"(?P<layer>(?:.*\.)?)(?:(?P<weight>weight_[ih]h(?:_l\d+(?:_reverse)?)?)_(?P<how>g|v|orig|raw)"
    r"|parametrizations\.(?P<parametrised>weight_[ih]h(?:_l\d+(?:_reverse)?)?)\.original\d?)"
)


def computed_weights(arrays: Mapping[str, Array]) -> str:
    """Which weight of torch's a state dict lacks, since it is computed from what is there, and what to do; or nothing.

    >>> print(computed_weights({"rnn.weight_hh_l0_g": 0, "rnn.weight_hh_l0_v": 0}))
    rnn.weight_hh_l0 is computed from rnn.weight_hh_l0_g, rnn.weight_hh_l0_v (a weight norm), and is not in the file; \
before saving, torch.nn.utils.remove_weight_norm(module, 'weight_hh_l0')
    >>> computed_weights({"rnn.weight_hh_l0_raw": 0, "rnn.module.weight_hh_l0": 0})
    ''
    """
    for name in arrays:
        match = _COMPUTED.fullmatch(name)
        weight = match and (match["weight"] or match["parametrised"])
        if not match or any(re.split(r"[/.]", other)[-1] == weight for other in arrays):
            continue
        parts = [
            other
            for other in arrays
            if (m := _COMPUTED.fullmatch(other)) and weight in (m["weight"], m["parametrised"])
        ]
        way, undo = {
            "g": ("a weight norm", f"torch.nn.utils.remove_weight_norm(module, '{weight}')"),
            "v": ("a weight norm", f"torch.nn.utils.remove_weight_norm(module, '{weight}')"),
            "orig": ("a spectral norm", f"torch.nn.utils.remove_spectral_norm(module, '{weight}')"),
            "raw": ("a weight dropout", f"save {weight} itself: in eval mode, it is {weight}_raw"),
            None: (
                "a parametrization",
                f"torch.nn.utils.parametrize.remove_parametrizations(module, '{weight}')",
            ),
        }[match["how"]]
        return (
            f"{match['layer']}{weight} is computed from {', '.join(parts)} ({way}), and is not in the file; "
            f"before saving, {undo}"
        )
    return ""


def offer(arrays: Mapping[str, Array]) -> str:
    """Which arrays fit one another as a layer's, and the line that saves them under names that are read; or nothing.

    >>> import numpy as np
    >>> print(offer({"enc_w_ih": np.ones((8, 3)), "enc_w_hh": np.ones((8, 2)), "enc_b": np.ones(8)}))
    by their shapes enc_w_ih, enc_w_hh are torch's weight_ih_l0, weight_hh_l0 of an lstm of 2 units: \
np.savez('weights.npz', weight_ih_l0=w['enc_w_ih'], weight_hh_l0=w['enc_w_hh'])
    """
    two = [(name, array) for name, array in arrays.items() if array.ndim == 2]
    two.sort(key=lambda item: _HINT.search(item[0]) is None)  # stable: those whose names tell come first
    for rows in (True, False):
        for name, recurrent in two:
            wide, units = recurrent.shape if rows else recurrent.shape[::-1]
            if not units or wide % units or wide // units not in _GATES or (wide == units and not _HINT.search(name)):
                continue
            others = [other for other, a in two if other != name and a.shape[0 if rows else 1] == wide]
            if others:
                inputs = max(others, key=lambda other: _shared(other, name))
                return _line(arrays, inputs, name, wide, units, rows)
    return ""


def _line(arrays: Mapping[str, Array], inputs: str, recurrent: str, wide: int, units: int, rows: bool) -> str:
    biases = [name for name, array in arrays.items() if array.shape == (wide,)]
    biases = sorted(biases, key=lambda name: -_shared(name, inputs))  # those of the same layer begin alike
    framework_names = _TORCH if rows else _KERAS
    chosen = [inputs, recurrent, *(biases[:2] if rows and len(biases) > 1 else [] if rows else biases[:1])]
    pairs = list(zip(framework_names, chosen, strict=False))
    shown, names = ", ".join(chosen), ", ".join(name for name, _ in pairs)
    saved = ", ".join(f"{name}=w[{held!r}]" for name, held in pairs)
    cell = _GATES[wide // units]
    whose = f"{'torch' if rows else 'keras'}'s {names} of {'an' if cell != 'gru' else 'a'} {cell} of {units} units"
    return f"by their shapes {shown} are {whose}: np.savez('weights.npz', {saved})"


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
