"""TensorFlow 1's own code against the mistakes: for one layer read forward, in two directions, and with time first."""

from __future__ import annotations

from collections.abc import Mapping

OTHER_AXES: Mapping[str, str] = {
    "dtype=tf.float32)": "dtype=tf.float32, time_major=True)",
    "tf.float32))": "tf.float32), time_major=True)",
    "padding='post')": "padding='post').swapaxes(0, 1)",
    "tf.shape(inputs)[1]": "tf.shape(inputs)[0]",
    "inputs[order]": "inputs[:, order]",
    "tf.sequence_mask(lengths, tf.shape(outputs)[1], dtype=outputs.dtype)": (
        "tf.transpose(tf.sequence_mask(lengths, tf.shape(outputs)[0], dtype=outputs.dtype))"
    ),
    "tf.cast(mask, outputs.dtype)": "tf.transpose(tf.cast(mask, outputs.dtype))",
    "seq_axis=1, batch_axis=0": "seq_axis=0, batch_axis=1",
    "[[0, 0], [0, T - tf.shape(outputs)[1]], [0, 0]]": "[[0, T - tf.shape(outputs)[0]], [0, 0], [0, 0]]",
    "tf.range(B) * T + lengths - 1  # time-major: (lengths - 1) * B + tf.range(B)": ("(lengths - 1) * B + tf.range(B)"),
    "outputs[:, -1]": "outputs[-1]",
    "outputs_bw[:, 0]": "outputs_bw[0]",
}
TWO_DIRECTIONS: Mapping[str, str] = {
    "lengths-ignored": (
        "outputs, (state_fw, state_bw) = tf.nn.bidirectional_dynamic_rnn("
        "cell_fw, cell_bw, inputs, sequence_length=lengths, dtype=tf.float32)"
    ),
    "stale-initial-state": (
        "outputs, (state_fw, state_bw) = tf.nn.bidirectional_dynamic_rnn("
        "cell_fw, cell_bw, inputs, sequence_length=lengths, dtype=tf.float32)"
    ),
    "cell-hidden-swapped": (
        "(c_fw, h_fw), (c_bw, h_bw) = state_fw, state_bw  # LSTMStateTuple(c, h): c comes first here"
    ),
    "cell-overwritten-by-hidden": (
        "(c_fw, h_fw), (c_bw, h_bw) = state_fw, state_bw  # LSTMStateTuple(c, h): c comes first here"
    ),
    "rows-permuted": (
        "back = tf.argsort(order)  # after sorting by length\n"
        "state_fw, state_bw = tf.nest.map_structure(lambda s: tf.gather(s, back), (state_fw, state_bw))"
    ),
    "wrong-layer": "final = tf.concat([state_fw[-1].h, state_bw[-1].h], axis=1)  # MultiRNNCell: the top layer",
    "output-residual": "final = tf.concat([state_fw.h, state_bw.h], axis=1)  # ResidualWrapper changes only the "
    "outputs",
}
FIXES: Mapping[str, str] = {
    "lengths-ignored": ("outputs, state = tf.nn.dynamic_rnn(cell, inputs, sequence_length=lengths, dtype=tf.float32)"),
    "last-column-as-final-state": "final = state.h  # not outputs[:, -1]; a GRU's state is h itself",
    "off-by-one-length": "lengths = last_index + 1  # lengths count the real steps of a row",
    "length-exceeds-time": "lengths = tf.minimum(lengths, tf.shape(inputs)[1])",
    "left-padded": "inputs = tf.keras.preprocessing.sequence.pad_sequences(rows, dtype='float32', padding='post')",
    "lengths-misaligned": (
        "inputs, lengths = inputs[order], lengths[order]  # one order for both: batch and shuffle them together"
    ),
    "rows-permuted": (
        "back = tf.argsort(order)  # after sorting by length\n"
        "state = tf.nest.map_structure(lambda s: tf.gather(s, back), state)"
    ),
    "zero-length-row": "keep = lengths > 0  # or treat the state of an empty row as its initial state",
    "padding-computed": ("outputs *= tf.sequence_mask(lengths, tf.shape(outputs)[1], dtype=outputs.dtype)[..., None]"),
    "padding-repeats-last-output": (
        "outputs *= tf.sequence_mask(lengths, tf.shape(outputs)[1], dtype=outputs.dtype)[..., None]"
    ),
    "nonfinite-values": "inputs = tf.debugging.check_numerics(inputs, 'inputs')",
    "cell-hidden-swapped": "c, h = state  # LSTMStateTuple(c, h): c comes first here",
    "cell-overwritten-by-hidden": "c, h = state  # LSTMStateTuple(c, h): c comes first here",
    "backward-final-at-last-step": "final = tf.concat([state_fw.h, state_bw.h], 1)  # outputs_bw[:, 0]",
    "state-read-batch-first": "final = tf.concat([s.h for s in state], axis=1)  # not tf.reshape(tf.stack(…), …)",
    "state-reshaped-not-transposed": (
        "final = tf.concat([s.h for s in state], axis=1)  # not tf.reshape(tf.stack(…), …)"
    ),
    "batch-time-swapped": (
        "outputs, state = tf.nn.dynamic_rnn(cell, inputs, time_major=True, dtype=tf.float32)"
        "  # for [T, B, F]; the default is [B, T, F]"
    ),
    "flat-gather-wrong-stride": (
        "index = tf.range(B) * T + lengths - 1  # time-major: (lengths - 1) * B + tf.range(B)"
    ),
    "wrong-layer": "final = state[-1].h  # MultiRNNCell: one state per layer, the bottom layer first",
    "layer-order-reversed": "bottom, top = state[0], state[-1]  # MultiRNNCell: the bottom layer first",
    "backward-not-flipped": "outputs_bw = tf.reverse_sequence(outputs_bw, lengths, seq_axis=1, batch_axis=0)",
    "backward-read-padding": "reversed_inputs = tf.reverse_sequence(inputs, lengths, seq_axis=1, batch_axis=0)",
    "directions-exchanged": "final = tf.concat([state_fw.h, state_bw.h], 1)  # forward first",
    "direction-duplicated": "final = tf.concat([state_fw.h, state_bw.h], axis=1)",
    "direction-missing": "final = tf.concat([state_fw.h, state_bw.h], axis=1)",
    "directions-interleaved": "outputs = tf.concat([outputs_fw, outputs_bw], axis=2)  # not a reshape of tf.stack",
    "output-dropout": "DropoutWrapper(cell, output_keep_prob=keep)  # 1.0 when evaluating; state.h keeps all",
    "output-residual": "final = state.h  # ResidualWrapper adds the inputs only to the outputs",
    "state-from-another-run": "outputs_value, state_value = sess.run([outputs, state], feed)  # both from one run",
    "stale-initial-state": (
        "outputs, state = tf.nn.dynamic_rnn("
        "cell, inputs, lengths, initial_state=cell.zero_state(batch_size, tf.float32))"
    ),
    "gate-order": "i, j, f, o = np.split(kernel, 4, axis=1)  # TensorFlow's order; j is the candidate g",
    "forget-bias": "LSTMCell(units, forget_bias=0.0)  # where the weights hold the forget bias already",
    "bias-dropped": "bias = bias_ih + bias_hh  # there is one bias here: the sum of the two",
    "gru-reset-variant": ("tf.contrib.cudnn_rnn.CudnnCompatibleGRUCell(units)  # resets after; GRUCell resets before"),
    "update-gate-flipped": "u = -u  # that block of gates/kernel and gates/bias; here h' = u * h + (1 - u) * c",
    "kernel-transposed": "kernel = np.concatenate([w_ih.T, w_hh.T])  # [F + H, 4H]: the inputs' rows come first",
    "recurrent-activation": "tf.keras.layers.LSTMCell(units, recurrent_activation='hard_sigmoid')",
    "clip-or-peephole-ignored": "LSTMCell(units, use_peepholes=True, cell_clip=3.0, num_proj=size, proj_clip=3.0)",
    "precision-drift": (
        "inputs = tf.cast(inputs, tf.float32)  # and dtype=tf.float32 in both runs\n"
        "tf.config.experimental.enable_tensor_float_32_execution(False)  # on a GPU it is on by default"
    ),
    "truncated-time-axis": "outputs = tf.pad(outputs, [[0, 0], [0, T - tf.shape(outputs)[1]], [0, 0]])",
    "mask-hole": "outputs *= tf.cast(mask, outputs.dtype)[..., None]  # sequence_length cannot express holes",
}
