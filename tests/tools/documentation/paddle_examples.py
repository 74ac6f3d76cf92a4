"""Paddle: the docstrings of paddle.nn's recurrent layers and cells."""

from __future__ import annotations

import paddle

from documentation.saving import Set


def make() -> Set:
    made = Set("paddle", paddle.__version__, "paddle")
    paddle.seed(0)
    with paddle.no_grad():
        for part in (wrappers, layers, cells):
            part(made)
    return made


SMALL = "6 inputs, 7 steps and 8 units instead of 16, 23 and 32"


def wrappers(made: Set) -> None:
    inputs, prev_h = paddle.rand((4, 7, 6)), paddle.randn((4, 8))
    rnn = paddle.nn.RNN(paddle.nn.SimpleRNNCell(6, 8))
    outputs, final_states = rnn(inputs, prev_h)
    page = "paddle.nn.RNN, docstring"
    names = {"outputs": outputs, "final_states": final_states}
    made.save("paddle-rnn", page, {".npz": names}, saved="npz, the docstring's names", changed=SMALL)
    made.save(
        "paddle-rnn-whole",
        page,
        {".npz": {"inputs": inputs, "prev_h": prev_h, **names}, "@.weights.npz": rnn.state_dict()},
        "@.npz",
        "@.npz --weights @.weights.npz",
        saved="npz, every variable, and the state dict",
        changed=SMALL,
    )
    lengths = paddle.to_tensor([7, 2, 5, 1])
    outputs, final_states = rnn(inputs, prev_h, sequence_length=lengths)
    made.save(
        "paddle-rnn-lengths",
        "paddle.nn.RNN, argument sequence_length",
        {".npz": {"outputs": outputs, "final_states": final_states, "sequence_length": lengths}},
        saved="npz, the argument's name",
        changed=SMALL,
    )
    rnn = paddle.nn.BiRNN(paddle.nn.LSTMCell(6, 8), paddle.nn.LSTMCell(6, 8))
    outputs, ((h_fw, c_fw), (h_bw, c_bw)) = rnn(paddle.rand((2, 7, 6)))
    page = "paddle.nn.BiRNN, docstring"
    names = {"outputs": outputs, "h_fw": h_fw, "c_fw": c_fw, "h_bw": h_bw, "c_bw": c_bw}
    made.save(
        "paddle-birnn",
        page,
        {".npz": names},
        "@.npz",
        "@.npz --bidirectional",
        saved="npz, a name a direction",
        changed=SMALL,
    )
    tree = {"final_states.0.0": h_fw, "final_states.0.1": c_fw, "final_states.1.0": h_bw, "final_states.1.1": c_bw}
    made.save(
        "paddle-birnn-places",
        page,
        {".npz": {"outputs": outputs, **tree}},
        saved="npz, places in the tuple",
        changed=SMALL,
    )


def layers(made: Set) -> None:
    x, prev_h, prev_c = paddle.randn((4, 7, 6)), paddle.randn((2, 4, 8)), paddle.randn((2, 4, 8))
    rnn = paddle.nn.SimpleRNN(6, 8, 2)
    y, h = rnn(x, prev_h)
    made.save(
        "paddle-simple-rnn", "paddle.nn.SimpleRNN, docstring", {".npz": {"y": y, "h": h}}, saved="npz", changed=SMALL
    )
    rnn = paddle.nn.LSTM(6, 8, 2)
    y, (h, c) = rnn(x, (prev_h, prev_c))
    page = "paddle.nn.LSTM, docstring"
    names = {"y": y, "h": h, "c": c}
    made.save(
        "paddle-lstm",
        page,
        {".npz": names},
        "@.npz",
        "@.npz --layers 2",
        saved="npz, the docstring's names",
        changed=SMALL,
    )
    made.save(
        "paddle-lstm-whole",
        page,
        {".npz": {"x": x, "prev_h": prev_h, "prev_c": prev_c, **names}, "@.weights.npz": rnn.state_dict()},
        "@.npz",
        "@.npz --weights @.weights.npz",
        saved="npz, every variable, and the state dict",
        changed=SMALL,
    )
    made.save("paddle-lstm-savez", page, {".npz": ((y, h, c), {})}, saved="npz without names", changed=SMALL)
    rnn = paddle.nn.GRU(6, 8, 2)
    y, h = rnn(x, prev_h)
    made.save(
        "paddle-gru",
        "paddle.nn.GRU, docstring",
        {"@.y.npy": y, "@.h.npy": h},
        "@.y.npy @.h.npy",
        "--outputs @.y.npy --state @.h.npy",
        saved="npy, two files",
        changed=SMALL,
    )
    lengths = paddle.to_tensor([3, 7, 1, 4])
    rnn = paddle.nn.LSTM(6, 8, direction="bidirect")
    y, (h, c) = rnn(x, sequence_length=lengths)
    names = {"y": y, "h": h, "c": c, "sequence_length": lengths}
    page = "paddle.nn.LSTM, arguments direction and sequence_length"
    made.save(
        "paddle-bilstm-lengths", page, {".npz": names}, "@.npz", "@.npz --bidirectional", saved="npz", changed=SMALL
    )
    rnn = paddle.nn.GRU(6, 8, time_major=True)
    y, h = rnn(x, sequence_length=paddle.to_tensor([3, 4, 1, 4, 2, 2, 4]))
    names = {"outputs": y, "final_states": h}
    page = "paddle.nn.GRU, argument time_major"
    made.save(
        "paddle-time-major",
        page,
        {".npz": names},
        "@.npz",
        "@.npz --time-major --lengths 3,4,1,4,2,2,4",
        saved="npz, lengths not saved",
        changed=SMALL,
    )


def cells(made: Set) -> None:
    x, prev_h, prev_c = paddle.randn((4, 6)), paddle.randn((4, 8)), paddle.randn((4, 8))
    y, h = paddle.nn.SimpleRNNCell(6, 8)(x, prev_h)
    made.save(
        "paddle-simplernncell",
        "paddle.nn.SimpleRNNCell, docstring",
        {".npz": {"y": y, "h": h}},
        saved="npz, one step",
        changed=SMALL,
    )
    y, (h, c) = paddle.nn.LSTMCell(6, 8)(x, (prev_h, prev_c))
    made.save(
        "paddle-lstmcell",
        "paddle.nn.LSTMCell, docstring",
        {".npz": {"y": y, "h": h, "c": c}},
        saved="npz, one step",
        changed=SMALL,
    )
    y, h = paddle.nn.GRUCell(6, 8)(x, prev_h)
    made.save(
        "paddle-grucell",
        "paddle.nn.GRUCell, docstring",
        {".npz": {"y": y, "h": h}},
        saved="npz, one step",
        changed=SMALL,
    )
