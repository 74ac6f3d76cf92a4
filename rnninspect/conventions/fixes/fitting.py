"""Fits a framework's code against a mistake, written for an LSTM of one layer, to the layer that is there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rnninspect.core.cell import Cell
from rnninspect.core.regex import regex

# States of an LSTM as fixes write them, and those of a cell without c.
_STATES: Mapping[str, str] = {
    "h_n, c_n = h_n[:, back], c_n[:, back]": "h_n = h_n[:, back]",
    "Y_h, Y_c = Y_h[:, back], Y_c[:, back]": "Y_h = Y_h[:, back]",
    "h, c = (keras.ops.take(s, np.argsort(order), axis=0) for s in (h, c))": (
        "h = keras.ops.take(h, np.argsort(order), axis=0)"
    ),
    "h, c = paddle.index_select(h, back, axis=1), paddle.index_select(c, back, axis=1)": (
        "h = paddle.index_select(h, back, axis=1)"
    ),
    "h, c = mx.nd.take(h, back, axis=1), mx.nd.take(c, back, axis=1)": "h = mx.nd.take(h, back, axis=1)",
    "(h_n, c_n)": "h_n",
    "(h, c)": "h",
    "(c, h)": "h",
    "h, c = states[-2:]": "h = states[-1]",
    "h, c = states[-1]": "h = states[-1]",
    "states[-2]  # the top layer's h, before its c": "states[-1]  # the top layer's h",
    "states[-2]": "states[-1]",
    "states[-4:]": "states[-2:]",
    "outputs, h, c =": "outputs, h =",
    "Y, Y_h, Y_c =": "Y, Y_h =",
    "(_, fw_h), (_, bw_h)": "fw_h, bw_h",
    "state_h, state_c": "state_h",
    "fw_h, fw_c, bw_h, bw_c": "fw_h, bw_h",
    "h_0 and c_0": "h_0",
    "[h, c]": "[h]",
}
# Weights of an LSTM as fixes write them, where those of another cell have other names, and not fewer blocks alone.
_WEIGHTS: Mapping[Cell, Mapping[str, str]] = {
    "gru": {
        "i, j, f, o = np.split(kernel, 4, axis=1)  # TensorFlow's order; j is the candidate g": (
            "r, u = np.split(gates_kernel, 2, axis=1)  # TensorFlow's order, u is z; the candidate is apart"
        ),
        "kernel = np.concatenate([w_ih.T, w_hh.T])  # [F + H, 4H]: the inputs' rows come first": (
            "gates, candidate = np.split(np.concatenate([w_ih.T, w_hh.T]), [2 * H], axis=1)  # the inputs' rows first"
        ),
        "w = jnp.concatenate([w_ih.T, w_hh.T])  # [F + H, 4H]: the inputs' rows come first": (
            "w_i, w_h = w_ih.T, w_hh.T  # [F, 3H] and [H, 3H]"
        ),
        "params['ii'], params['if'], params['ig'], params['io']  # one Dense per gate: i, f, g, o": (
            "params['ir'], params['iz'], params['in']  # one Dense per gate: r, z, n"
        ),
        "params['ii']": "params['ir']",
        "params['hi']['bias'] = bias_ih + bias_hh  # one bias here; a GRU keeps hn's apart": (
            "params['ir']['bias'] = (bias_ih + bias_hh)[:H]  # likewise iz; in and hn keep their own"
        ),
    },
    "rnn": {
        "w = jnp.concatenate([w_ih.T, w_hh.T])  # [F + H, 4H]: the inputs' rows come first": (
            "w, w_1 = w_ih.T, w_hh.T  # of linear and linear_1: [F, H] and [H, H]"
        ),
        "b = bias_ih + bias_hh  # one bias here: the sum of the two": (
            "b, b_1 = bias_ih, bias_hh  # of linear and linear_1: two biases here"
        ),
        "params['ii']['kernel'] = weight_ih[:H].T  # [F, H] here, one kernel per gate": (
            "params['i']['kernel'] = weight_ih.T  # [F, H] here"
        ),
        "params['hi']['bias'] = bias_ih + bias_hh  # one bias here; a GRU keeps hn's apart": (
            "params['i']['bias'] = bias_ih + bias_hh  # one bias here, on the inputs' side"
        ),
    },
}
_BLOCKS: Mapping[Cell, int] = {"gru": 3, "rnn": 1}
# What is said against a mistake in a layer of two directions, unless its framework has a fix of its own for those: the
# one array, index or state that a single direction ends in is half of theirs.
OF_BOTH_DIRECTIONS: Mapping[str, str] = {
    "last-column-as-final-state": "backward-final-at-last-step",
    "flat-gather-wrong-stride": "direction-missing",
    "wrong-layer": "direction-missing",
}
_OF_TOP_LAYER = regex(r"\b(h|h_n)\[-([12])\]")  # a stack of states, counted from its end
# One state, of a cell with c a tuple with fields: `state_fw.hidden`, `state[-1].h`, `s.h for s in state`.
_FIELD = regex(r"\b((?:states?(?:_fw|_bw)?|s)(?:\[-?\d+\])?)\.(h|hidden|cell)\b")
# All of it: `c, h = state`, `(c_fw, h_fw), (c_bw, h_bw) = state_fw, state_bw`.
_WHOLE_STATE = regex(r"(?<![.\w])(state(?:_fw|_bw)?)(?=  # LSTMState|, state_bw  # LSTMState)")
_WIDTH = regex(r"\b([48])H\b")  # the gates side by side, in one bias or two
# Kernels taken apart: `i, f, g, o = weight.chunk(4)  # …'s order; a GRU's is r, z, n`.
_GATES = regex(r"(?:\w, ){3}\w = (.*?)\b4\b(.*?)  # (.*order); .*a GRU's is (\w, \w, \w)")
# An array of whole numbers, where a framework sorts no list.
_ARRAYS: Mapping[str, str] = {
    "jnp": "jnp.array({})",
    "torch": "torch.tensor({})",
    "paddle": "paddle.to_tensor({})",
    "mx.nd": "mx.nd.array({})",
}
_BUILT = regex(r"\bLSTM\(units\b")  # a layer that is built here, not one that has a name


def replaced(code: str, pairs: Mapping[str, str]) -> str:
    """Code with each of these pieces exchanged, in this order."""
    for before, after in pairs.items():
        code = code.replace(before, after)
    return code


def with_order(code: str, order: Sequence[int]) -> str:
    """Code that puts rows back from an `order`, with that order in it, as its framework's `argsort` takes it.

    >>> print(with_order("h_n = h_n[:, torch.argsort(order)]", [1, 0]))
    order = torch.tensor([1, 0])  # the rows that these states are of
    h_n = h_n[:, torch.argsort(order)]
    """
    if "argsort(order)" not in code:
        return code
    taken_by = next((made for name, made in _ARRAYS.items() if f"{name}.argsort(order)" in code), "{}")
    return f"order = {taken_by.format(list(order))}  # the rows that these states are of\n{code}"


def _wide(blocks: int) -> str:
    """So many blocks of H units side by side, as a shape writes it."""
    return "H" if blocks == 1 else f"{blocks}H"


def of_layer(code: str, directions: int, layer: int | None) -> str:
    """Code for the top layer's part of a stack of states as that for another one's; None: as it is."""
    if layer is None:
        return code
    above = directions * (layer + 1)
    counted = _OF_TOP_LAYER.sub(lambda m: f"{m[1]}[{above - int(m[2])}]", code)
    return counted.replace("of the top layer", f"of layer {layer}")


def of_stack(code: str, layer: int) -> str:
    """Code for one layer's state as that for a tuple of states, one a layer.

    >>> of_stack("final = tf.concat([state_fw.h, state_bw.h], 1)", -1)
    'final = tf.concat([state_fw[-1].h, state_bw[-1].h], 1)'
    """

    def picked(match: re.Match[str]) -> str:
        one = match[1]
        return match[0] if one == "s" or "[" in one else f"{one}[{layer}].{match[2]}"

    return _WHOLE_STATE.sub(rf"\1[{layer}]", _FIELD.sub(picked, code))


def of_cell(code: str, cell: Cell | None, classes: Mapping[Cell, str]) -> str:
    """Code for an LSTM as that for another cell: no second state, the other class, the gates that there are.

    >>> of_cell("final = state[-1].h; LSTMCell(H)", "gru", {"gru": "GRU"})
    'final = state[-1]; GRUCell(H)'
    """
    if cell in (None, "lstm"):
        return code
    code = _FIELD.sub(r"\1", replaced(code, {**_STATES, **_WEIGHTS.get(cell, {})}))
    code = _WIDTH.sub(lambda m: _wide(int(m[1]) // 4 * _BLOCKS.get(cell, 4)), code)
    gates = _GATES.fullmatch(code)
    if gates is not None and cell == "gru":
        code = f"{gates[4]} = {gates[1]}3{gates[2]}  # {gates[3]}"
    own_class = classes.get(cell, cell.upper())
    return re.sub(r"\blstm\b", cell, re.sub(r"(?<![A-Za-z])LSTM", own_class, code))


def of_either_cell(code: str) -> str:
    """Code for an LSTM where nothing tells the cell, and no c is there: it takes h alone, and says what an LSTM has
    there; a line that builds one says what a GRU has in its place.

    >>> of_either_cell("output, (h_n, c_n) = lstm(x)")
    'output, h_n = rnn(x)  # an LSTM: (h_n, c_n)'
    >>> of_either_cell("_, (h, c) = lstm(x); final = h[-1]")
    '_, h = rnn(x); h = h[0] if isinstance(h, tuple) else h; final = h[-1]  # an LSTM: (h, c)'
    >>> of_either_cell("outputs, h, c = LSTM(units)(inputs)")
    'outputs, h, c = LSTM(units)(inputs)  # or GRU(…), whose state is only h'
    """
    of_h = "\n".join(map(_line_of_either, code.split("\n")))
    return _RETURNED.sub(_H_OF_PAIR, of_h) if "final = " in code else of_h


# A state that a call returned and of which code goes on to take h: a pair's first, where it is one.
_RETURNED = regex(r"\b(h_n|h) = rnn\(([^()]*)\)")
_H_OF_PAIR = r"\1 = rnn(\2); \1 = \1[0] if isinstance(\1, tuple) else \1"


def _line_of_either(line: str) -> str:
    done, _, remark = line.partition("  # ")
    if "LSTM(" in done:
        return f"{line}  # {_of_gru(line)}" if _BUILT.search(line) and not remark else line
    with_c = next((piece for piece in _STATES if piece in line), "")
    with_c = with_c or next((match[0] for match in _FIELD.finditer(done)), "")
    if with_c and "a GRU's state" in remark:
        return line
    of_h = re.sub(r"\blstm\b", "rnn", _FIELD.sub(r"\1", replaced(line, _STATES)))
    return f"{of_h}{'; ' if remark else '  # '}an LSTM: {with_c.partition('  #')[0]}" if with_c else of_h


def _of_gru(line: str) -> str:
    return "or GRU(…), whose state is only h" if re.search(r"\bc\b", line) else "or GRU(…)"
