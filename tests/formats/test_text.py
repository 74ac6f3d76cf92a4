"""Print-outs: every form is read back to the digits that were printed, and what is none is refused with its line."""

from __future__ import annotations

import ast
import contextlib
import random
import re
from pathlib import Path

import numpy as np
import pytest

from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array
from rnninspect.errors import UnreadableError
from rnninspect.formats import read_arrays
from rnninspect.formats.text import from_text
from tests.support.pace import seconds_of
from tests.support.print_outs import FORMS, wrapped


def made(draw: random.Random) -> dict[str, Array]:
    """Outputs and states of random sizes, outputs of one row or unit among them."""
    numbers = np.random.default_rng(draw.randrange(1 << 30))
    rows, steps, units = draw.randint(1, 4), draw.randint(2, 6), draw.randint(2, 5)
    return {"outputs": numbers.uniform(-1, 1, (rows, steps, units)), "h_n": numbers.uniform(-1, 1, (rows, units))}


@pytest.mark.parametrize("form", FORMS)
def test_a_print_out_is_read_back(form: str) -> None:
    """Names, shapes and every digit come back from each form, whatever stands around it."""
    for seed in range(12):
        draw = random.Random(f"{form} {seed}")
        arrays, digits = made(draw), draw.randint(3, 12)
        read = from_text(wrapped(FORMS[form](arrays, digits, draw), draw), "x")
        assert list(read.arrays) == ["outputs", "h_n"], seed
        for name, array in arrays.items():
            kind = "e" if form == "scientific" else "f"
            wanted = np.array([float(f"{x:.{digits}{kind}}") for x in array.ravel()]).reshape(array.shape)
            np.testing.assert_array_equal(read.arrays[name], wanted)
            assert read.precisions[name] == (Precision(digits=digits) if kind == "e" else Precision(decimals=digits))


LABELS = [
    ("final state :\n[[0.5 1.5]]", "final_state"),
    ("h_n = [[0.5, 1.5]]", "h_n"),
    (">>> print(s.h)\n[[0.5 1.5]]", "s.h"),
    ("print('last output', o[:, -1])\n[[0.5 1.5]]", "last_output"),
    ("Out[7]: \narray([[0.5, 1.5]])", ""),
    ("**Outputs**\n\n[[0.5 1.5]]", "outputs"),
    ("2024-01-02 10:00:09,123 INFO model: final_state: [[0.5 1.5]]", "final_state"),
    ("and this is the final state:\n\n[[0.5 1.5]]", "final_state"),
    ("lengths_ = np.asarray([3, 1])", "lengths"),
    ("lstm(x, sequence_length=[3, 1])", "sequence_length"),
    ("h = sess.run(state)\n>>> sess.run(state.h, feed_dict={x: X})\narray([[0.5, 1.5]])", "state.h"),
]


@pytest.mark.parametrize(("text", "name"), LABELS)
def test_a_label_is_the_name(text: str, name: str) -> None:
    """What stands before an array names it."""
    assert list(from_text(text, "x").arrays) == [name]


NO_ARRAYS = [
    "Version 1.14.0, see [1] and o[0][3], B = 3; took 0.25 s (run [2, 3]).",
    "outputs.shape: [3, 4, 4]\ntorch.Size([3, 4])",
    "x = tf.reshape(y, [3, 4])\nz = tf.transpose(x, perm=[1, 0])\nplt.plot([1, 2])",
    "lengths = np.array([3, 1]) - 1",
    "x = __import__('os').system('exit')",
]


@pytest.mark.parametrize("text", NO_ARRAYS)
def test_numbers_in_prose_and_code_are_no_arrays(text: str) -> None:
    """Versions, references, places, shapes, arguments and what is computed are not data; nothing is evaluated."""
    with pytest.raises(UnreadableError, match="x: found no arrays"):
        from_text(text, "x")


BROKEN = [
    ("h:\n[[0.5 1.5]\n [0.5 2.5]\n", r"line 4: its bracket is never closed.*begins in line 2"),
    ("h:\n[[0.5 1.5]\n [0.5]\n [0.5 2.5]]", r"line 3: a row has 1 numbers, the others 2"),
    ("h:\n[[0.5 1.5]\n [0.5 abc]]", r"line 3: 'abc' is not a number"),
    ("h:\n 0.5 1.5]\n [0.5 2.5]\n [0.5 2.5]]", r"line 4: a \] closes no bracket"),
    ("(0 ,.,.) = \n 0.5 1.5\n 0.5\n[torch.FloatTensor of size 1x2x2]", r"line 3: a row has 1 numbers"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_broken_array_is_refused_with_its_line(text: str, message: str) -> None:
    """Brackets that do not match and rows of unequal length are one line, with the line number."""
    with pytest.raises(UnreadableError, match=message) as caught:
        from_text(text, "x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", "0 lines"), ("a", "1 line"), ("a\n", "1 line"), ("a\nb", "2 lines"), ("a\r\nb\r\n", "2 lines")],
)
def test_lines_are_counted_as_an_editor_does(text: str, lines: str) -> None:
    """A text that ends in a line end has no further line."""
    with pytest.raises(UnreadableError, match=rf"found no arrays, read as text \({lines}\)"):
        from_text(text, "x")


UNCLOSED = [
    ("state = (array([[0.5, 1.5]]), array([[0.5, 2.5]])\n", r"its \("),
    ("h = array([[0.5, 1.5]]\nwhat now?", r"its \("),
    ("s = {'h': [[0.5, 1.5]], 'c': [[0.5, 2.5]]\n", r"its \{"),
    ("s = [array([[0.5, 1.5]]), array([[0.5, 2.5]])\n", r"its \["),
]


@pytest.mark.parametrize(("text", "message"), UNCLOSED)
def test_a_container_that_is_not_closed_is_named_with_its_line(text: str, message: str) -> None:
    """Arrays before it and within it are read all the same."""
    read = from_text(f"outputs = [[[0.5, 1.5]]]\n{text}", "x")
    assert len(read.arrays) == 1 + text.count("[[")
    assert re.search(f"left out: .*line 2 .*{message} is not closed", read.notes[-1])


def test_elided_arrays_keep_what_is_there() -> None:
    """The first and last entries come back, with the axes that are cut and how many entries come first."""
    read = from_text(f"outputs\n{np.arange(40000.0).reshape(40, 10, 100)}", "x")
    assert read.arrays["outputs"].shape == (6, 6, 6) or read.arrays["outputs"].shape == (6, 10, 6)
    assert read.elided["outputs"][0] == 3
    assert any("set_printoptions" in note for note in read.notes)


def test_another_array_of_one_name_gets_a_number() -> None:
    """The same array again is read once; another under the same label is kept beside the first."""
    read = from_text("h = [[0.5, 1.5]]\nh = [[0.5, 1.5]]\nh = [[2.5, 1.5]]", "x")
    assert {name: array.tolist() for name, array in read.arrays.items()} == {"h": [[0.5, 1.5]], "h_2": [[2.5, 1.5]]}


HOSTILE = {
    "brackets": "[" * 10**5,
    "spaced brackets": "[ " * 10**5,
    "minus signs": "[" + "-" * 10**6,
    "single minus signs": "[[" + "- " * 10**5,
    "calls": "f(" * 10**5,
    "digits": "x = [" + "1" * 10**5 + "x]",
    "many arrays": "".join(f"x = [[{i}.5 2.5]]\n" for i in range(2000)),
    "references": "[1]" * 10**5,
    "scripts": "<script>" * 10**5,
    "quotes": "('" * 10**5,
    "elided": "[1 " + "... " * 10**5 + "]",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_text_is_slow(kind: str) -> None:
    """Reading is linear in the text: what would make a grammar backtrack is over in moments."""

    def read() -> None:
        with contextlib.suppress(UnreadableError):
            from_text(HOSTILE[kind], "x")

    assert seconds_of(read, times=1) < 4


def test_other_formats_come_first(tmp_path: Path) -> None:
    """JSON, NDJSON and files of another suffix stay what they are; text is what is left."""
    for name, text, kind in [
        ("a.txt", '{"outputs": [[1, 2]]}', "json"),
        ("b", "[[1, 2]]\n[[3, 4]]\n", "ndjson"),
        ("c", "[2, 4, 2]\n[[[0.5 1.5]]]\n", "text"),
        ("d", "{'outputs': [[1, 2]]}", "text"),
        ("e.npz.txt", "h = [[1, 2]]", "text"),
    ]:
        (tmp_path / name).write_text(text)
        assert read_arrays(tmp_path / name).format == kind, name
    (tmp_path / "f.npz").write_text("h = [[1, 2]]")
    with pytest.raises(UnreadableError, match="damaged"):
        read_arrays(tmp_path / "f.npz")


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("h = tensor([[0.5, 1.5]], grad_fn=<StackBackward0>)", ("tensor(", "grad_fn=")),
        ("h = torch.tensor([0.5, 1.5])", ("tensor(",)),
        ("tf.Tensor([[0.5 1.5]], shape=(1, 2), dtype=float32)", ("tf.Tensor",)),
        ("<tf.Tensor: shape=(1, 2), dtype=float32, numpy=array([[0.5, 1.5]], dtype=float32)>", ("tf.Tensor",)),
        ("h = Array([[0.5, 1.5]], dtype=float32)", ("Array(",)),
        ("Tensor(shape=[1, 2], dtype=float32, place=Place(cpu), stop_gradient=True,\n [[0.5, 1.5]])", ("Tensor(",)),
        ("[[0.5 1.5]]\n<NDArray 1x2 @cpu(0)>", ("<NDArray",)),
        ("h = array([[0.5, 1.5]])", ()),
        ("the tensor (a long one) was [[0.5, 1.5]]", ()),
    ],
)
def test_what_stands_around_the_numbers_is_kept(text: str, marks: tuple[str, ...]) -> None:
    """The marks that some printers leave are named, each once; numpy's, which everybody prints, leave none."""
    assert from_text(text, "x").marks == marks


LOGS = (
    "INFO:root:",
    "[INFO] ",
    "WARNING:tensorflow:",
    "2024-03-01 12:03:44,12{digit} [INFO] train.py:88 ",
    "2024-03-01 12:03:44.12{digit} | DEBUG    | __main__:encode:12 - ",
    "[2024-03-01 12:03:44,12{digit}][model][INFO] - ",
    "I0301 12:03:44.120{digit}00 123 train.py:88] ",
    "2024-03-01T12:03:4{digit}.1203456Z ",
    "(train pid=1234) ",
    "[rank0]: ",
    "E       ",
)


@pytest.mark.parametrize("margin", LOGS)
def test_what_a_log_puts_before_every_line_is_no_number(margin: str) -> None:
    """Time, level and place before each line, or before the first of a message, leave labels and digits alone."""
    outputs = np.arange(24.0).reshape(2, 3, 4) / 7
    messages = [f"output:\n{outputs}", f"h_n:\n{outputs[:, -1]}", "lengths: [3, 2]"]
    lines = "\n".join(messages).split("\n")
    before_each = "\n".join(margin.format(digit=i % 10) + line for i, line in enumerate(lines))
    before_first = "\n".join(margin.format(digit=i) + message for i, message in enumerate(messages))
    whole, messages_alone = from_text(before_each, "x").arrays, from_text(before_first, "x").arrays
    assert list(whole) == ["output", "h_n", "lengths"]
    assert [name.endswith(label) for name, label in zip(messages_alone, whole, strict=True)] == [True] * 3
    for arrays in (whole, messages_alone):
        np.testing.assert_allclose(next(iter(arrays.values())), outputs, atol=1e-7)


def test_a_label_that_most_lines_begin_with_stays() -> None:
    """What is before most lines and is no log's (`h_0`, `h_1`) is the arrays' names."""
    text = "\n".join(f"h_{i}: [0.{i}1, 0.{i}2]" for i in range(1, 7))
    assert list(from_text(text, "x").arrays) == [f"h_{i}" for i in range(1, 7)]


def _tensors() -> tuple[str, str, str]:
    """Outputs `[2, 3, 2]`, h and c `[1, 2, 2]` as torch prints them: all different."""
    numbers = np.arange(1, 13).reshape(2, 3, 2) / 16
    return tuple(f"tensor({a.tolist()})" for a in (numbers, numbers[None, :, 2] / 2, numbers[None, :, 1] / 4))  # type: ignore[return-value]


@pytest.mark.parametrize(
    "label",
    [
        "h, c:",
        "(h, c):",
        "(h, c) =",
        "h, c =",
        "[h, c]:",
        "state (h, c):",
        ">>> h, c\n",
        "print((h, c))\n",
        "- (h, c) =",
    ],
)
def test_a_label_of_several_names_names_the_parts_of_a_tuple(label: str) -> None:
    """Each array of a printed tuple has the name that stands in its place, whatever brackets are around."""
    outputs, h, c = _tensors()
    for text in (f"out: {outputs}\n{label} ({h}, {c})\n", f"{label} ({h},\n {c})\nout: {outputs}\n"):
        read = from_text(text, "x").arrays
        assert sorted(read) == ["c", "h", "out"], text
        np.testing.assert_array_equal(read["h"], np.array(ast.literal_eval(h[7:-1])))
        np.testing.assert_array_equal(read["c"], np.array(ast.literal_eval(c[7:-1])))


def test_nested_names_name_nested_parts() -> None:
    """`out, (h, c) = (…, (…, …))` names all three; names that tell no state leave it to be what a call returned."""
    outputs, h, c = _tensors()
    assert list(from_text(f"out, (h, c) = ({outputs}, ({h}, {c}))", "x").arrays) == ["out", "h", "c"]
    assert list(from_text(f"y, s: ({outputs}, ({h}, {c}))", "x").arrays) == [
        "returned.0",
        "returned.1.0",
        "returned.1.1",
    ]
    assert list(from_text(f"h, c, more: ({h}, {c})\nout: {outputs}", "x").arrays)[-1] == "out"
    assert next(iter(from_text(f"state (batch, units): ({h}, {c})\nout: {outputs}", "x").arrays)) == "state.0"


def test_a_tuple_without_a_label_is_no_outputs() -> None:
    """Beside outputs it is what the call returned with them, or else their state; it is never `0` and `1`."""
    outputs, h, c = _tensors()
    assert list(from_text(f"{outputs} ({h}, {c})", "x").arrays) == ["returned.0", "returned.1.0", "returned.1.1"]
    assert list(from_text(f"out: {outputs}\n({h}, {c})", "x").arrays) == ["out", "state.0", "state.1"]


@pytest.mark.parametrize("fences", [("", ""), ("```python\n", "```\n\n"), ("```\n", "```\n\n```\n")], ids=repr)
@pytest.mark.parametrize(
    "code",
    [
        "print(out)\nprint(h)\n",
        "print(out, h)\n",
        "print(out.shape)\nprint(out)\n\nprint(h)\n",
        "print(out);\nprint(h)  # end\n",
    ],
    ids=repr,
)
def test_what_code_printed_has_the_names_in_turn(code: str, fences: tuple[str, str]) -> None:
    """Of arrays below pasted code the first is of the first print; where they are not as many, none has a name."""
    outputs, h, _ = _tensors()
    script = f"{fences[0]}out, (h, c) = lstm(packed)\n{code}{fences[1]}\n"
    assert list(from_text(f"{script}{outputs}\n{h}\n", "x").arrays) == ["out", "h"]
    assert list(from_text(f"{script}{outputs}\n{h}\n{h.replace('0', '1')}\n", "x").arrays) == [
        "array_1",
        "array_2",
        "array_3",
    ]
    assert list(from_text(f"{script}out: {outputs}\nh: {h}\n", "x").arrays) == ["out", "h"]


def test_numbers_of_half_precision_are_what_numpy_printed() -> None:
    """numpy prints float16 by the fewest digits that give it again: they are read as that type, those that were
    rounded to as many decimals are not, nor are both where one of them may be either."""
    outputs = np.random.default_rng(0).uniform(-0.6, 0.6, (2, 3, 4)).astype(np.float16)
    h = outputs[:, -1]
    for of_half, (first, second) in {
        True: (outputs, h),
        False: (np.round(outputs.astype(float), 5), np.round(h.astype(float), 5)),
        None: (outputs, np.array([[0.514, 0.25, 0.1, 0.2], [0.3, 0.2, 0.4, 0.6]])),
    }.items():
        read = from_text(f"outputs = {first}\nh_n = {second}", "x")
        assert [a.dtype.name for a in read.arrays.values()] == [["float64", "float16"][of_half is True]] * 2
        assert np.array_equal(read.arrays["outputs"].astype(first.dtype), first)
