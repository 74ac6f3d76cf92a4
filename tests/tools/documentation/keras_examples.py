"""Keras 3: the docstrings of its recurrent layers, its guides on RNNs and masking, and two of the code examples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from keras.layers import LSTM, RNN, Bidirectional, Embedding, Input

from documentation.saving import Set


def make() -> Set:
    made = Set("keras", keras.__version__ + " on " + keras.backend.backend(), "keras")
    keras.utils.set_random_seed(0)
    np.random.seed(0)
    for part in (docstrings, minimal, bidirectional, guide, states, masking, nested, seq2seq, convolutional):
        part(made)
    return made


def numbers(value: Any) -> Any:
    """Tensors in lists and tuples as numpy arrays."""
    return [numbers(v) for v in value] if isinstance(value, (list, tuple)) else ops.convert_to_numpy(value)


def random(*shape: int) -> np.ndarray:
    return np.random.random(shape).astype(np.float32)


BATCH = "8 rows instead of 32"


def docstrings(made: Set) -> None:
    inputs = random(8, 10, 8)
    lstm = layers.LSTM(4)
    output = numbers(lstm(inputs))
    page = "keras.layers.LSTM, docstring"
    made.save("keras-lstm-last", page, {".npy": output}, saved="npy, the last step alone", changed=BATCH)
    lstm = layers.LSTM(4, return_sequences=True, return_state=True)
    whole_seq_output, final_memory_state, final_carry_state = numbers(lstm(inputs))
    names = {
        "whole_seq_output": whole_seq_output,
        "final_memory_state": final_memory_state,
        "final_carry_state": final_carry_state,
    }
    made.save("keras-lstm", page, {".npz": names}, saved="npz, the docstring's names", changed=BATCH)
    made.save(
        "keras-lstm-weights",
        page,
        {".npz": {"inputs": inputs, **names}, "@.weights.npz": (lstm.get_weights(), {})},
        "@.npz",
        "@.npz --weights @.weights.npz",
        saved="npz, the inputs beside them; layer.get_weights() by position",
        changed=BATCH,
    )
    made.save(
        "keras-lstm-savez",
        page,
        {".npz": ((whole_seq_output, final_memory_state, final_carry_state), {})},
        saved="npz without names",
        changed=BATCH,
    )
    made.save(
        "keras-lstm-named",
        page,
        {".npz": {"outputs": whole_seq_output, "state_h": final_memory_state, "state_c": final_carry_state}},
        saved="npz, the guide's names",
        changed=BATCH,
    )
    inputs = random(8, 10, 8)
    gru = layers.GRU(4, return_sequences=True, return_state=True)
    whole_sequence_output, final_state = numbers(gru(inputs))
    names = {"whole_sequence_output": whole_sequence_output, "final_state": final_state}
    made.save("keras-gru", "keras.layers.GRU, docstring", {".npz": names}, saved="npz, its names", changed=BATCH)
    made.save(
        "keras-gru-pair",
        "keras.layers.GRU, docstring",
        {"@.sequence.npy": whole_sequence_output, "@.state.npy": final_state},
        "@.sequence.npy @.state.npy",
        "--outputs @.sequence.npy --state @.state.npy",
        saved="npy, two files",
        changed=BATCH,
    )
    simple_rnn = layers.SimpleRNN(4, return_sequences=True, return_state=True)
    whole_sequence_output, final_state = numbers(simple_rnn(inputs))
    names = {"whole_sequence_output": whole_sequence_output, "final_state": final_state}
    made.save("keras-simple-rnn", "keras.layers.SimpleRNN, docstring", {".json": names}, saved="json", changed=BATCH)
    for name, cell in (
        ("lstmcell", layers.LSTMCell(4)),
        ("grucell", layers.GRUCell(4)),
        ("rnncell", layers.SimpleRNNCell(4)),
    ):
        page = f"keras.layers.{type(cell).__name__}, docstring"
        rnn = layers.RNN(cell, return_sequences=True, return_state=True)
        whole_sequence_output, *final_state = numbers(rnn(inputs))
        states = (
            {f"final_state_{k}": s for k, s in enumerate(final_state)}
            if len(final_state) > 1
            else {"final_state": final_state[0]}
        )
        made.save(
            f"keras-{name}",
            page,
            {".npz": {"whole_sequence_output": whole_sequence_output, **states}},
            saved="npz, the docstring's names, numbered where there are two states",
            changed=BATCH,
        )
    rnn_cells = [layers.LSTMCell(8) for _ in range(2)]
    stacked = layers.RNN(layers.StackedRNNCells(rnn_cells), return_sequences=True, return_state=True)
    result = numbers(stacked(np.reshape(np.arange(30), (3, 5, 2)).astype(np.float32)))
    changed = "8 units instead of 128; sequences and states returned"
    page = "keras.layers.StackedRNNCells, docstring"
    tree = {"outputs": result[0], "states.0": result[1][0], "states.1": result[1][1]}
    tree |= {"states.2": result[2][0], "states.3": result[2][1]}
    made.save("keras-stacked", page, {".npz": tree}, saved="npz, states in the order returned", changed=changed)


class MinimalRNNCell(keras.Layer):
    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="uniform", name="kernel")
        shape = (self.units, self.units)
        self.recurrent_kernel = self.add_weight(shape=shape, initializer="uniform", name="recurrent_kernel")

    def call(self, inputs: Any, states: Any) -> Any:
        h = ops.matmul(inputs, self.kernel)
        output = h + ops.matmul(states[0], self.recurrent_kernel)
        return output, [output]


def minimal(made: Set) -> None:
    x = random(3, 7, 5)
    page, changed = "keras.layers.RNN, docstring", "8 units; sequences and states returned"
    y, state = numbers(RNN(MinimalRNNCell(8), return_sequences=True, return_state=True)(x))
    made.save("keras-minimal", page, {".npz": {"y": y, "state": state}}, saved="npz", changed=changed)
    y, *states = numbers(RNN([MinimalRNNCell(4), MinimalRNNCell(8)], return_sequences=True, return_state=True)(x))
    names = {"y": y, "state_0": states[0], "state_1": states[1]}
    made.save("keras-minimal-stacked", page, {".npz": names}, saved="npz, a name a layer", changed=changed)


def bidirectional(made: Set) -> None:
    x = random(4, 5, 10)
    page, changed = "keras.layers.Bidirectional, docstring", "states returned"
    y, fh, fc, bh, bc = numbers(Bidirectional(LSTM(10, return_sequences=True, return_state=True))(x))
    names = {"outputs": y, "forward_h": fh, "forward_c": fc, "backward_h": bh, "backward_c": bc}
    made.save(
        "keras-bidirectional", page, {".npz": names}, "@.npz", "@.npz --bidirectional", saved="npz", changed=changed
    )
    joined = {"output": y, "state_h": np.concatenate([fh, bh], -1), "state_c": np.concatenate([fc, bc], -1)}
    made.save("keras-bidirectional-joined", page, {".npz": joined}, saved="npz, both halves joined", changed=changed)
    forward = LSTM(10, return_sequences=True, return_state=True)
    backward = LSTM(10, activation="relu", return_sequences=True, return_state=True, go_backwards=True)
    y, *states = numbers(Bidirectional(forward, backward_layer=backward)(x))
    names = {"y": y, **{f"state_{k}": s for k, s in enumerate(states)}}
    made.save("keras-bidirectional-custom", page, {".npz": names}, saved="npz, numbered states", changed=changed)
    for mode in ("sum", "mul", "ave", None):
        layer = Bidirectional(LSTM(6, return_sequences=True, return_state=True), merge_mode=mode)
        values = numbers(layer(x))
        outputs = {"outputs_fw": values[0], "outputs_bw": values[1]} if mode is None else {"outputs": values[0]}
        states = dict(zip(("forward_h", "forward_c", "backward_h", "backward_c"), values[-4:], strict=True))
        made.save(
            f"keras-bidirectional-{mode}".lower(),
            "keras.layers.Bidirectional, argument merge_mode",
            {".npz": {**outputs, **states}},
            "@.npz",
            f"@.npz --bidirectional --merge-mode {mode}".lower(),
            saved="npz, the docstring's words",
            changed=changed,
        )


def guide(made: Set) -> None:
    page = "guides/working_with_rnns"
    ids = np.random.randint(1, 30, (4, 9))
    embedded = Embedding(30, 8)(ids)
    gru_output = layers.GRU(6, return_sequences=True)(embedded)
    simple = layers.SimpleRNN(5)(gru_output)
    names = {"gru": numbers(gru_output), "simple_rnn": numbers(simple)}
    changed = "smaller layers and vocabularies"
    made.save("keras-guide-stack", page, {".npz": names}, saved="npz, two layers' outputs by layer", changed=changed)
    output, state_h, state_c = layers.LSTM(6, return_state=True, name="encoder")(embedded)
    decoder = layers.LSTM(6, return_sequences=True, return_state=True, name="decoder")
    target = Embedding(20, 8)(np.random.randint(1, 20, (4, 5)))
    decoder_output, decoder_h, decoder_c = numbers(decoder(target, initial_state=[state_h, state_c]))
    output, state_h, state_c = numbers([output, state_h, state_c])
    made.save(
        "keras-guide-encoder",
        page,
        {".npz": {"output": output, "state_h": state_h, "state_c": state_c}},
        saved="npz, output is the last step",
        changed=changed,
    )
    made.save(
        "keras-guide-decoder",
        page,
        {".npz": {"decoder_output": decoder_output, "encoder_state_h": state_h, "encoder_state_c": state_c}},
        saved="npz, the guide's names: the states are the ones given",
        changed=changed,
    )
    names = {"outputs": decoder_output, "state_h": decoder_h, "state_c": decoder_c}
    started = {"initial_state.h": state_h, "initial_state.c": state_c}
    made.save(
        "keras-guide-decoder-whole",
        page,
        {".npz": {**names, **started, "inputs": numbers(target)}},
        saved="npz, the state given beside the state returned",
        changed=changed,
    )


def states(made: Set) -> None:
    page = "guides/working_with_rnns, cross-batch statefulness"
    paragraphs = [random(4, 5, 6) for _ in range(3)]
    layer = layers.LSTM(8, stateful=True, return_sequences=True, return_state=True)
    encodings = [numbers(layer(paragraph)) for paragraph in paragraphs]
    output, h, c = encodings[-1]
    changed = "smaller; sequences and states returned"
    made.save("keras-stateful", page, {".npz": {"output": output, "h": h, "c": c}}, saved="npz", changed=changed)
    existing_state = numbers(layer.states)
    made.save(
        "keras-stateful-existing",
        page,
        {
            ".npz": {
                "output": encodings[-1][0],
                "existing_state_0": existing_state[0],
                "existing_state_1": existing_state[1],
            }
        },
        saved="npz, layer.states by number",
        changed=changed,
    )
    layer.reset_state()
    again = numbers(layer(paragraphs[0]))
    made.save(
        "keras-stateful-reset",
        page,
        {".npz": dict(zip(("output", "h", "c"), again, strict=True))},
        saved="npz",
        changed=changed,
    )


def masking(made: Set) -> None:
    page = "guides/understanding_masking_and_padding"
    raw = [[711, 632, 71], [73, 8, 3215, 55, 927], [83, 91, 1, 645, 1253, 927]]
    padded_inputs = keras.utils.pad_sequences(raw, padding="post")
    embedding = Embedding(5000, 4, mask_zero=True)
    masked_output = embedding(padded_inputs)
    mask = numbers(embedding.compute_mask(padded_inputs))
    layer = layers.LSTM(5, return_sequences=True, return_state=True)
    outputs, state_h, state_c = numbers(layer(masked_output, mask=embedding.compute_mask(padded_inputs)))
    names = {"outputs": outputs, "state_h": state_h, "state_c": state_c}
    changed = "smaller; sequences and states returned"
    made.save(
        "keras-masked", page, {".npz": {**names, "mask": mask}}, saved="npz, the mask beside them", changed=changed
    )
    made.save("keras-masked-unsaid", page, {".npz": names}, saved="npz, the mask left out", changed=changed)
    made.save(
        "keras-masked-ids",
        page,
        {".npz": {"padded_inputs": padded_inputs, **names}},
        "@.npz",
        "@.npz --lengths 3,5,6",
        saved="npz, the word ids beside them",
        changed=changed,
    )
    values = numbers(
        Bidirectional(layers.GRU(5, return_sequences=True, return_state=True))(
            masked_output, mask=embedding.compute_mask(padded_inputs)
        )
    )
    names = {"outputs": values[0], "forward_h": values[1], "backward_h": values[2], "_keras_mask": mask}
    made.save(
        "keras-masked-bidirectional", page, {".npz": names}, saved="npz, the mask under Keras's name", changed=changed
    )
    pre = keras.utils.pad_sequences(raw)
    before = layers.GRU(5, return_sequences=True, return_state=True)
    outputs, state = numbers(before(embedding(pre), mask=embedding.compute_mask(pre)))
    names = {"outputs": outputs, "state": state, "mask": pre != 0}
    page = "keras.utils.pad_sequences, docstring: padding before is the default"
    made.save("keras-masked-before", page, {".npz": names}, saved="npz, the mask beside them", changed=changed)
    model = keras.Sequential([Input((None, 3)), layers.Masking(mask_value=0.0), layers.LSTM(5, return_sequences=True)])
    samples, timesteps, features = 4, 10, 3
    inputs = random(samples, timesteps, features)
    inputs[:, 3, :] = 0.0
    inputs[:, 5, :] = 0.0
    output = model.predict(inputs, verbose=0)
    page = "keras.layers.Masking, docstring"
    changed = "4 samples instead of 32"
    made.save(
        "keras-masking-holes",
        page,
        {".npz": {"inputs": inputs, "output": output, "final": output[:, -1]}},
        saved="npz, the last step taken as the state",
        changed=changed,
    )
    inputs = random(samples, timesteps, features)
    for row, length in enumerate((10, 4, 7, 2)):
        inputs[row, length:] = 0.0
    output = model.predict(inputs, verbose=0)
    made.save(
        "keras-masking-predict",
        page,
        {".npz": {"inputs": inputs, "output": output, "final": output[:, -1]}},
        saved="npz, the last step taken as the state",
        changed=changed + "; the rows end in zeros",
    )


class NestedCell(keras.Layer):
    def __init__(self, unit_1: int, unit_2: int, unit_3: int, **kwargs: Any) -> None:
        self.unit_1, self.unit_2, self.unit_3 = unit_1, unit_2, unit_3
        self.state_size = [(unit_1,), (unit_2, unit_3)]
        self.output_size = [(unit_1,), (unit_2, unit_3)]
        super().__init__(**kwargs)

    def build(self, input_shapes: Any) -> None:
        i1, i2, i3 = input_shapes[0][1], input_shapes[1][1], input_shapes[1][2]
        self.kernel_1 = self.add_weight(shape=(i1, self.unit_1), initializer="uniform", name="kernel_1")
        self.kernel_2_3 = self.add_weight(
            shape=(i2, i3, self.unit_2, self.unit_3), initializer="uniform", name="kernel_2_3"
        )

    def call(self, inputs: Any, states: Any) -> Any:
        input_1, input_2 = inputs
        s1, s2 = states
        output_1 = ops.matmul(input_1, self.kernel_1)
        output_2_3 = ops.einsum("bij,ijkl->bkl", input_2, self.kernel_2_3)
        state_1 = s1 + output_1
        state_2_3 = s2 + output_2_3
        return (output_1, output_2_3), (state_1, state_2_3)


def nested(made: Set) -> None:
    unit_1, unit_2, unit_3, i1, i2, i3, rows, steps = 4, 3, 2, 5, 4, 3, 3, 6
    cell = NestedCell(unit_1, unit_2, unit_3)
    one, two = random(rows, steps, i1), random(rows, steps, i2, i3)
    cell.build(((rows, i1), (rows, i2, i3)))
    state = ops.zeros((rows, unit_1)), ops.zeros((rows, unit_2, unit_3))
    outputs = []
    for t in range(steps):
        (output, _), state = cell((one[:, t], two[:, t]), state)
        outputs.append(output)
    made.save(
        "keras-nested",
        "guides/working_with_rnns, RNNs with nested structures",
        {".npz": {"output": np.stack(numbers(outputs), 1), "state": numbers(state[0])}},
        saved="npz, the first of two outputs and states: the state is a sum, no output",
        changed="smaller; the loop over steps written out",
    )


def seq2seq(made: Set) -> None:
    encoder_inputs = np.eye(12, dtype=np.float32)[np.random.randint(0, 12, (3, 7))]
    encoder_outputs, state_h, state_c = layers.LSTM(6, return_state=True)(encoder_inputs)
    decoder_lstm = layers.LSTM(6, return_sequences=True, return_state=True)
    decoder_inputs = np.eye(9, dtype=np.float32)[np.random.randint(0, 9, (3, 5))]
    decoder_outputs, h, c = numbers(decoder_lstm(decoder_inputs, initial_state=[state_h, state_c]))
    page, changed = "examples/nlp/lstm_seq2seq", "6 units instead of 256"
    names = {"encoder_outputs": numbers(encoder_outputs), "state_h": numbers(state_h), "state_c": numbers(state_c)}
    made.save("keras-seq2seq-encoder", page, {".npz": names}, saved="npz, the example's names", changed=changed)
    names = {"decoder_outputs": decoder_outputs, "state_h_dec": h, "state_c_dec": c}
    made.save(
        "keras-seq2seq-decoder",
        page,
        {".npz": names},
        "@.npz",
        "@.npz --state state_h_dec --cell-state state_c_dec",
        saved="npz, the example's names",
        changed=changed,
    )
    both = {
        "decoder_outputs": decoder_outputs,
        "encoder_states_0": numbers(state_h),
        "encoder_states_1": numbers(state_c),
    }
    made.save(
        "keras-seq2seq-both",
        page,
        {".npz": both},
        saved="npz, decoder outputs beside the encoder's states",
        changed=changed,
    )


def convolutional(made: Set) -> None:
    frames = random(2, 4, 5, 5, 1)
    layer = layers.ConvLSTM2D(filters=3, kernel_size=(3, 3), padding="same", return_sequences=True, return_state=True)
    outputs, h, c = numbers(layer(frames))
    page, changed = "examples/vision/conv_lstm", "3 filters instead of 64, 5 pixels, states returned"
    made.save("keras-convlstm", page, {".npz": {"outputs": outputs, "h": h, "c": c}}, saved="npz", changed=changed)
