"""Arrays as frameworks print them: one function a form, each of which gives the text of named arrays.

`Printed` numbers are written here, digit by digit, and not by the tool: what must come back is known exactly.
"""

from __future__ import annotations

import html
import random
import textwrap
from collections.abc import Callable, Mapping

import numpy as np

from rnninspect.core.trace import Array

Arrays = Mapping[str, Array]
Form = Callable[[Arrays, int, random.Random], str]


def brackets(array: Array, digits: int, comma: str, notation: str = "f") -> str:
    """Numbers in nested brackets with so many digits, as numpy and torch lay them out."""
    kinds: dict[str, Callable[[float], str]] = {"float_kind": lambda x: f"{x:.{digits}{notation}}"}
    with np.printoptions(threshold=10**9, linewidth=100):
        return np.array2string(array, separator=comma, formatter=kinds)  # type: ignore[call-overload, no-any-return]


def numpy_str(arrays: Arrays, digits: int, draw: random.Random) -> str:
    sign = draw.choice([" =", ":", " :", "", " ="])
    return "\n".join(f"{label}{sign}\n{brackets(a, digits, ' ')}" for label, a in arrays.items())


def numpy_repr(arrays: Arrays, digits: int, draw: random.Random) -> str:
    dtype = draw.choice(["", ", dtype=float32", ",\n      dtype=float32"])
    return "\n".join(f"{label} = array({brackets(a, digits, ', ')}{dtype})" for label, a in arrays.items())


def scientific(arrays: Arrays, digits: int, draw: random.Random) -> str:
    return "\n".join(f"{label}: {brackets(a, digits, draw.choice([' ', ', ']), 'e')}" for label, a in arrays.items())


def torch_print(arrays: Arrays, digits: int, draw: random.Random) -> str:
    more = draw.choice(["", ", grad_fn=<StackBackward0>", ", device='cuda:0'"])
    return "\n".join(f"{label} tensor({brackets(a, digits, ', ')}{more})" for label, a in arrays.items())


def tensorflow(arrays: Arrays, digits: int, draw: random.Random) -> str:
    if draw.random() < 0.5:
        parts = (
            f"{label}: tf.Tensor(\n{brackets(a, digits, ' ')}, shape={a.shape}, dtype=float32)"
            for label, a in arrays.items()
        )
        return "\n".join(parts)
    return "\n".join(
        f"{label}: <tf.Tensor: shape={a.shape}, dtype=float32, numpy=\narray({brackets(a, digits, ', ')})>"
        for label, a in arrays.items()
    )


def jax(arrays: Arrays, digits: int, draw: random.Random) -> str:
    kind = draw.choice(["Array", "DeviceArray"])
    return "\n".join(f"{label}\n{kind}({brackets(a, digits, ', ')}, dtype=float32)" for label, a in arrays.items())


def mxnet(arrays: Arrays, digits: int, draw: random.Random) -> str:
    return "\n".join(
        f"{label}\n\n{brackets(a, digits, ' ')}\n<NDArray {'x'.join(map(str, a.shape))} @cpu(0)>\n"
        for label, a in arrays.items()
    )


def paddle(arrays: Arrays, digits: int, draw: random.Random) -> str:
    return "\n".join(
        f"{label} Tensor(shape={list(a.shape)}, dtype=float32, place=Place(gpu:0), stop_gradient=True,\n"
        f"       {brackets(a, digits, ', ')})"
        for label, a in arrays.items()
    )


def torch_blocks(arrays: Arrays, digits: int, draw: random.Random) -> str:
    return "\n".join(f"{label}\nVariable containing:\n{_blocks(a, digits)}" for label, a in arrays.items())


def _blocks(array: Array, digits: int) -> str:
    def matrix(values: Array) -> str:
        return "\n".join("  " + " ".join(f"{x: .{digits}f}" for x in row) for row in values)

    size = f"[torch.FloatTensor of size {'x'.join(map(str, array.shape))}]\n"
    if array.ndim == 2:
        return f"{matrix(array)}\n{size}"
    return "\n\n".join(f"({i} ,.,.) = \n{matrix(a)}" for i, a in enumerate(array)) + f"\n{size}"


def as_dict(arrays: Arrays, digits: int, draw: random.Random) -> str:
    inner = draw.choice(["{}", "array({})", "tensor({})"])
    return "{" + ", ".join(f"'{k}': " + inner.format(brackets(a, digits, ", ")) for k, a in arrays.items()) + "}"


def repl(arrays: Arrays, digits: int, draw: random.Random) -> str:
    prompt = draw.choice([">>> {}", ">>> print({})", "In [3]: {}\nOut[3]: ", "(Pdb) p {}"])
    return "\n".join(f"{prompt.format(label)}\narray({brackets(a, digits, ', ')})" for label, a in arrays.items())


FORMS: dict[str, Form] = {
    f.__name__: f
    for f in (
        numpy_str,
        numpy_repr,
        scientific,
        torch_print,
        tensorflow,
        jax,
        mxnet,
        paddle,
        torch_blocks,
        as_dict,
        repl,
    )
}


def wrapped(text: str, draw: random.Random) -> str:
    """The text as it reaches the tool: quoted, fenced, in HTML, with other line ends, indented, or within prose."""
    way = draw.choice(["plain", "quote", "fence", "html", "crlf", "indent", "prose", "spaces", "twice"])
    if way == "quote":
        return "Hi, is this right?\n\n" + textwrap.indent(text, "> ", lambda line: True) + "\n\nThanks"
    if way == "fence":
        return f"It prints\n\n```python\n{text}\n```\nas of 1.14.0, in 0.25 s [1].\n"
    if way == "html":
        return f"<html><body><p>I get</p><pre><code>{html.escape(text)}</code></pre></body></html>"
    if way == "crlf":
        return text.replace("\n", "\r\n")
    if way == "indent":
        return textwrap.indent(text, "    ")
    if way == "prose":
        return f"I ran it twice (see [1] and o[0][3]); B=3, T = 5.\n\n{text}\n\nWhy? Shouldn't s.h[0] be o[0, 2]?\n[1] https://x.org/1.2\n"
    if way == "spaces":
        return "\n".join(line.strip() for line in text.split("\n"))
    return f"{text}\n\n{text}\n" if way == "twice" else text
