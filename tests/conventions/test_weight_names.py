"""Names of weights as files really have them: prefixes, numbers, directions, in any order."""

from __future__ import annotations

import numpy as np
import pytest

from rnninspect import conventions
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.errors import UserError

# Names as the frameworks really write them, seen in Keras 3.15, Flax 0.12 and Haiku 0.0.17.
REAL_NAMES = {
    "keras weights.h5": ("keras", "lstm", ["layers/lstm/cell/vars/{}", "layers/lstm_1/cell/vars/{}"], 1),
    "keras weights.h5 bidirectional": (
        "keras",
        "lstm",
        [f"layers/bidirectional{n}/{way}_layer/cell/vars/{{}}" for n in ("", "_1") for way in ("forward", "backward")],
        2,
    ),
    "keras weights.h5 stacked cells": (
        "keras",
        "lstm",
        ["layers/rnn/cell/cells/lstm_cell/vars/{}", "layers/rnn/cell/cells/lstm_cell_1/vars/{}"],
        1,
    ),
    "keras paths bidirectional": (
        "keras",
        "lstm",
        [
            f"bidirectional{n}/{way}_lstm_{k}/lstm_cell/{{}}"
            for n, k in (("", 2), ("_1", 3))
            for way in ("forward", "backward")
        ],
        2,
    ),
    "flax compact": ("flax", "lstm", ["params/LSTMCell_0/{}", "params/LSTMCell_1/{}"], 1),
    "flax nnx": ("flax", "lstm", ["forward_rnn.cell.{}", "backward_rnn.cell.{}"], 2),
    "haiku": ("haiku", "lstm", ["my_model/~/lstm/{}", "my_model/~/lstm_1/{}"], 1),
    "torch module": ("torch", "lstm", ["encoder.rnn.{}_l0", "encoder.rnn.{}_l1"], 1),
    "torch cell": ("torch", "lstm", ["decoder.cell.{}"], 1),
    "paddle inner names": ("paddle", "lstm", ["0.cell_fw.{}", "0.cell_bw.{}"], 2),
    "tf1 fused": ("tf1", "lstm", ["rnn/basic_lstm_cell/{}:0"], 1),
    "mxnet cells": ("mxnet", "lstm", ["l_{}", "r_{}"], 2),
    "mxnet stacked cells": ("mxnet", "lstm", ["lstm0_{}", "lstm1_{}"], 1),
}
PARTS = {
    "keras": lambda d: [("kernel", (d, 12)), ("recurrent_kernel", (3, 12)), ("bias", (12,))],
    "flax": lambda d: [
        *((f"i{g}/kernel", (d, 3)) for g in "ifgo"),
        *((f"h{g}/kernel", (3, 3)) for g in "ifgo"),
        *((f"h{g}/bias", (3,)) for g in "ifgo"),
    ],
    "haiku": lambda d: [("linear/w", (d + 3, 12)), ("linear/b", (12,))],
    "torch": lambda d: [("weight_ih", (12, d)), ("weight_hh", (12, 3)), ("bias_ih", (12,)), ("bias_hh", (12,))],
    "tf1": lambda d: [("kernel", (d + 3, 12)), ("bias", (12,))],
    "mxnet": lambda d: [("i2h_weight", (12, d)), ("h2h_weight", (12, 3)), ("i2h_bias", (12,)), ("h2h_bias", (12,))],
}
PARTS["paddle"] = PARTS["torch"]


@pytest.mark.parametrize("which", list(REAL_NAMES))
def test_names_as_frameworks_write_them(which: str) -> None:
    """Variables under real names become the right layers and directions, in any order of the file."""
    name, _, patterns, directions = REAL_NAMES[which]
    arrays: dict[str, Array] = {}
    for index, pattern in enumerate(patterns):
        layer = index // directions
        for number, (part, shape) in enumerate(PARTS[name](2 if layer == 0 else 3 * directions)):
            label = str(number) if "vars" in pattern else part
            if which == "flax nnx":
                label = label.replace("if/", "if_/").replace("/", ".")
            arrays[pattern.format(label)] = np.full(shape, float(index))
    for named in (arrays, dict(sorted(arrays.items())), dict(reversed(arrays.items()))):
        weights = conventions.get(name).read_weights(named, LayerConfig(layers=len(patterns) // directions))
        assert (weights.depth, len(weights.directions)) == (len(patterns) // directions, directions)
        assert [w.bias[0, 0] for w in weights.layers] == list(range(len(patterns)))
    assert conventions.get(name) in conventions.of_weights(arrays)


def test_cells_stacked_within_a_direction() -> None:
    """Two MultiRNNCells in two directions: each layer reads its own direction, and the names say so again."""
    tf1 = conventions.get("tf1")
    arrays = {
        f"bidirectional_rnn/{way}/multi_rnn_cell/cell_{k}/lstm_cell/{part}": np.full(shape, float(k))
        for way in ("fw", "bw")
        for k in (0, 1)
        for part, shape in PARTS["tf1"](2 if k == 0 else 3)
    }
    weights = tf1.read_weights(arrays, LayerConfig())
    assert [(w.layer, w.direction, w.features) for w in weights.layers] == [
        (0, "forward", 2),
        (0, "backward", 2),
        (1, "forward", 3),
        (1, "backward", 3),
    ]
    assert set(tf1.write_weights(weights)) == set(arrays)


def test_flax_compact_bidirectional_needs_to_be_stated() -> None:
    """Cells made inside a compact module carry no direction: stated, they pair up; else they are listed."""
    flax = conventions.get("flax")
    arrays = {
        f"params/LSTMCell_{k}/{part}": np.full(shape, float(k))
        for k in range(4)
        for part, shape in PARTS["flax"](2 if k < 2 else 6)
    }
    weights = flax.read_weights(arrays, LayerConfig(layers=2, direction="bidirectional"))
    assert [(w.layer, w.direction, w.bias[0, 0]) for w in weights.layers] == [
        (0, "forward", 0),
        (0, "backward", 1),
        (1, "forward", 2),
        (1, "backward", 3),
    ]
    with pytest.raises(
        UserError, match=r"no stack; .*\nparams/LSTMCell_0: lstm, 2 features, 3 units\nparams/LSTMCell_1"
    ):
        flax.read_weights(arrays, LayerConfig())


def test_a_module_that_lacks_a_layer_is_no_stack() -> None:
    """`_l0` and `_l2` without `_l1`: what the upper one reads is not there; stated, they may be one."""
    torch = conventions.get("torch")
    arrays = {f"rnn.weight_{k}_l{n}": np.ones((16, 4)) for k in ("ih", "hh") for n in (0, 2)}
    with pytest.raises(UserError, match="nothing says that they form one stack"):
        torch.read_weights(arrays, LayerConfig())
    assert torch.read_weights(arrays, LayerConfig(layers=2)).depth == 2


def test_a_variable_of_a_keras_cell_beyond_its_three_is_named() -> None:
    """A cell's `vars` are kernel, recurrent kernel and bias; a fourth is none of these, and is named as it stands."""
    arrays = {f"layers/lstm/cell/vars/{i}": np.ones(shape) for i, shape in enumerate([(3, 16), (4, 16), (16,), (4,)])}
    with pytest.raises(UserError, match=r"surplus: layers/lstm/cell/vars/3"):
        conventions.get("keras").read_weights(arrays, LayerConfig())
