"""torch: the docstrings of its layers and cells, and the recurrent parts of the official tutorials."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from documentation.saving import Set


def make() -> Set:
    made = Set("torch", torch.__version__.partition("+")[0], "torch")
    torch.manual_seed(0)
    with torch.no_grad():
        for part in (layers, cells, packed, notes, quantized, tutorials, sequence_tutorial, chatbot, repository):
            part(made)
    return made


def layers(made: Set) -> None:
    rnn = nn.LSTM(10, 20, 2)
    input = torch.randn(5, 3, 10)
    h0 = torch.randn(2, 3, 20)
    c0 = torch.randn(2, 3, 20)
    output, (hn, cn) = rnn(input, (h0, c0))
    page = "torch.nn.LSTM, docstring"
    names = {"output": output, "hn": hn, "cn": cn}
    made.save("torch-lstm", page, {".npz": names}, "@.npz", "@.npz --time-major", saved="npz, the docstring's names")
    made.save("torch-lstm-nested", page, {".pt": {"output": output, "state": (hn, cn)}}, saved="pt, a tuple in a dict")
    made.save("torch-lstm-returned", page, {".pt": (output, (hn, cn))}, saved="pt, what the call returned")
    made.save(
        "torch-lstm-savez", page, {".npz": ((output, hn, cn), {})}, saved="npz without names: arr_0, arr_1, arr_2"
    )
    made.save(
        "torch-lstm-whole",
        page,
        {".pt": {"input": input, "h0": h0, "c0": c0, **names}, "@.weights.pt": rnn.state_dict()},
        "@.pt",
        "@.pt --weights @.weights.pt",
        "@.pt --weights @.weights.pt --time-major --layers 2",
        saved="pt, every variable of the example, and the state dict",
    )
    made.save(
        "torch-lstm-two-files",
        page,
        {"@.output.npy": output, "@.hn.npy": hn, "@.cn.npy": cn},
        "--outputs @.output.npy --state @.hn.npy",
        "--outputs @.output.npy --state @.hn.npy --cell-state @.cn.npy --time-major",
        saved="npy, a file an array",
    )

    rnn = nn.GRU(10, 20, 2)
    input = torch.randn(5, 3, 10)
    h0 = torch.randn(2, 3, 20)
    output, hn = rnn(input, h0)
    page = "torch.nn.GRU, docstring"
    made.save("torch-gru", page, {".pt": {"output": output, "hn": hn}}, saved="pt, the docstring's names")
    made.save(
        "torch-gru-whole",
        page,
        {".npz": {"input": input, "h0": h0, "output": output, "hn": hn}, "@.weights.pt": rnn.state_dict()},
        "@.npz",
        "@.npz --weights @.weights.pt",
        saved="npz, every variable of the example, and the state dict",
    )
    made.save(
        "torch-gru-pair",
        page,
        {"@.output.npy": output, "@.hn.npy": hn},
        "@.output.npy @.hn.npy",
        saved="npy, two files, given side by side",
    )

    rnn = nn.RNN(10, 20, 2)
    input = torch.randn(5, 3, 10)
    h0 = torch.randn(2, 3, 20)
    output, hn = rnn(input, h0)
    page = "torch.nn.RNN, docstring"
    made.save("torch-rnn", page, {".safetensors": {"output": output, "h_n": hn}}, saved="safetensors, the text's names")
    made.save(
        "torch-rnn-json", page, {".json": {"input": input, "h0": h0, "output": output, "hn": hn}}, saved="json, lists"
    )


def cells(made: Set) -> None:
    rnn = nn.RNNCell(10, 20)
    input = torch.randn(6, 3, 10)
    hx = torch.randn(3, 20)
    output = []
    for i in range(6):
        hx = rnn(input[i], hx)
        output.append(hx)
    page = "torch.nn.RNNCell, docstring"
    made.save("torch-rnncell", page, {".npz": {"output": torch.stack(output), "hx": hx}}, saved="npz, stacked")
    made.save("torch-rnncell-list", page, {".pt": {"output": output, "hx": hx}}, saved="pt, the list of steps as it is")

    rnn = nn.GRUCell(10, 20)
    input = torch.randn(6, 3, 10)
    hx = torch.randn(3, 20)
    output = []
    for i in range(6):
        hx = rnn(input[i], hx)
        output.append(hx)
    made.save(
        "torch-grucell",
        "torch.nn.GRUCell, docstring",
        {".pt": {"input": input, "output": torch.stack(output), "hx": hx}, "@.weights.pt": rnn.state_dict()},
        "@.pt",
        "@.pt --time-major",
        saved="pt, stacked, the input beside it",
    )

    rnn = nn.LSTMCell(10, 20)
    input = torch.randn(2, 3, 10)
    hx = torch.randn(3, 20)
    cx = torch.randn(3, 20)
    output = []
    for i in range(input.size()[0]):
        hx, cx = rnn(input[i], (hx, cx))
        output.append(hx)
    output = torch.stack(output, dim=0)
    page = "torch.nn.LSTMCell, docstring"
    made.save(
        "torch-lstmcell", page, {".npz": {"output": output, "hx": hx, "cx": cx}}, saved="npz, the docstring's names"
    )
    made.save("torch-lstmcell-returned", page, {".pt": (output, (hx, cx))}, saved="pt, a tuple")


def packed(made: Set) -> None:
    seq = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    lens = [2, 1, 3]
    embedding, lstm = nn.Embedding(7, 4), nn.LSTM(4, 5, batch_first=True)
    packed_seq = pack_padded_sequence(embedding(seq), lens, batch_first=True, enforce_sorted=False)
    output, (hn, cn) = lstm(packed_seq)
    seq_unpacked, lens_unpacked = pad_packed_sequence(output, batch_first=True)
    page = "torch.nn.utils.rnn.pad_packed_sequence, docstring"
    changed = "the docstring's batch goes through an embedding and an LSTM on its way"
    made.save(
        "torch-packed",
        page,
        {".pt": {"seq_unpacked": seq_unpacked, "lens_unpacked": lens_unpacked, "hn": hn, "cn": cn}},
        "@.pt",
        "@.pt --outputs seq_unpacked --lengths lens_unpacked --batch-first",
        saved="pt, the docstring's names",
        changed=changed,
    )
    made.save(
        "torch-packed-sequence",
        page,
        {".pt": {"output": output, "hn": hn, "cn": cn, "lens": torch.tensor(lens)}},
        saved="pt, the PackedSequence as it is",
        changed=changed,
    )
    made.save(
        "torch-packed-lens",
        page,
        {".npz": {"output": seq_unpacked, "hn": hn, "cn": cn, "lens": lens}},
        "@.npz",
        "@.npz --batch-first --lengths 2,1,3",
        saved="npz, lens as in the docstring",
        changed=changed,
    )
    forward = nn.GRU(4, 5, num_layers=2, bidirectional=True, batch_first=True)
    packed_out, h_n = forward(packed_seq)
    padded, lengths = pad_packed_sequence(packed_out, batch_first=True, total_length=5)
    made.save(
        "torch-packed-total-length",
        "PyTorch FAQ, pack sequence -> recurrent network -> unpack sequence with data parallelism",
        {".npz": {"output": padded, "h_n": h_n, "input_lengths": lengths}},
        "@.npz",
        "@.npz --bidirectional --batch-first --lengths input_lengths",
        saved="npz, the page's names",
        changed="the module's layer is a two-layer bidirectional GRU of 5 units",
    )


def notes(made: Set) -> None:
    seq_len, batch, num_directions, hidden_size = 5, 3, 2, 4
    rnn = nn.LSTM(6, hidden_size, bidirectional=True)
    output, (h_n, c_n) = rnn(torch.randn(seq_len, batch, 6))
    page = "torch.nn.LSTM, notes"
    made.save(
        "torch-bilstm", page, {".pt": {"output": output, "h_n": h_n, "c_n": c_n}}, "@.pt", "@.pt --bidirectional",
        saved="pt, the text's names",
    )  # fmt: skip
    split = output.view(seq_len, batch, num_directions, hidden_size)
    made.save("torch-bilstm-split", page, {".npz": {"output": split, "h_n": h_n}}, saved="npz, directions on an axis")
    made.save(
        "torch-bilstm-halves",
        page,
        {".npz": {"output_fw": split[:, :, 0], "output_bw": split[:, :, 1], "h_fw": h_n[0], "h_bw": h_n[1]}},
        saved="npz, each direction apart",
    )
    rnn = nn.LSTM(6, 5, proj_size=3)
    output, (h_n, c_n) = rnn(torch.randn(4, 2, 6))
    made.save(
        "torch-proj",
        "torch.nn.LSTM, proj_size",
        {".npz": {"output": output, "h_n": h_n, "c_n": c_n}, "@.weights.pt": rnn.state_dict()},
        "@.npz",
        "@.npz --proj-size 3 --time-major",
        saved="npz, the text's names",
    )
    rnn = nn.GRU(6, 5, batch_first=True)
    output, h_n = rnn(torch.randn(4, 6))
    made.save(
        "torch-unbatched",
        "torch.nn.GRU, unbatched inputs (L, H_in)",
        {".npz": {"output": output, "h_n": h_n}},
        saved="npz, the text's names, no batch axis",
    )


def quantized(made: Set) -> None:
    import warnings

    model_dimension, sequence_length, batch_size, lstm_depth = 8, 20, 1, 1
    inputs = torch.randn(sequence_length, batch_size, model_dimension)
    hidden = (
        torch.randn(lstm_depth, batch_size, model_dimension),
        torch.randn(lstm_depth, batch_size, model_dimension),
    )
    float_lstm = nn.LSTM(model_dimension, model_dimension, lstm_depth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized_lstm = torch.ao.quantization.quantize_dynamic(float_lstm, {nn.LSTM, nn.Linear}, dtype=torch.qint8)
    out1, hidden1 = float_lstm(inputs, hidden)
    out2, hidden2 = quantized_lstm(inputs, hidden)
    page = "recipes/recipes/dynamic_quantization"
    made.save("torch-float", page, {".pt": {"out1": out1, "hidden1": hidden1}}, saved="pt, the recipe's names")
    made.save(
        "torch-quantized",
        page,
        {".pt": {"out": out2, "hidden": hidden2}},
        "@.pt",
        "@.pt --time-major",
        saved="pt, a tuple in a dict",
    )


def tutorials(made: Set) -> None:
    rnn, h2o = nn.RNN(58, 128 // 8), nn.Linear(128 // 8, 18)
    line_tensor = torch.zeros(6, 1, 58)
    line_tensor[range(6), 0, torch.randint(58, (6,))] = 1
    rnn_out, hidden = rnn(line_tensor)
    output = h2o(hidden[0])
    page = "intermediate/char_rnn_classification_tutorial"
    made.save(
        "torch-char-rnn",
        page,
        {".pt": {"rnn_out": rnn_out, "hidden": hidden, "output": nn.functional.log_softmax(output, dim=1)}},
        "@.pt",
        "@.pt --outputs rnn_out --state hidden",
        saved="pt, the tutorial's names: its output is the classifier's",
        changed="16 units instead of 128",
    )

    hidden_size, SOS_token = 8, 0
    input_tensor = torch.randint(2, 20, (4, 10))
    embedding, gru = nn.Embedding(20, hidden_size), nn.GRU(hidden_size, hidden_size, batch_first=True)
    encoder_outputs, encoder_hidden = gru(embedding(input_tensor))
    page = "intermediate/seq2seq_translation_tutorial"
    made.save(
        "torch-seq2seq-encoder",
        page,
        {".npz": {"encoder_outputs": encoder_outputs, "encoder_hidden": encoder_hidden}},
        "@.npz",
        "@.npz --batch-first",
        saved="npz, the tutorial's names",
        changed="8 units instead of 128, 4 rows instead of 32",
    )
    made.save(
        "torch-seq2seq-encoder-ids",
        page,
        {".npz": {"input_tensor": input_tensor, "output": encoder_outputs, "hidden": encoder_hidden}},
        saved="npz, names inside forward, the word ids beside them",
        changed="8 units instead of 128, 4 rows instead of 32",
    )
    embedding, gru, out = (
        nn.Embedding(15, hidden_size),
        nn.GRU(hidden_size, hidden_size, batch_first=True),
        nn.Linear(8, 15),
    )
    decoder_input = torch.empty(4, 1, dtype=torch.long).fill_(SOS_token)
    decoder_hidden, decoder_outputs, steps = encoder_hidden, [], []
    for _ in range(5):
        output, decoder_hidden = gru(nn.functional.relu(embedding(decoder_input)), decoder_hidden)
        steps.append(output)
        logits = out(output)
        decoder_outputs.append(logits)
        decoder_input = logits.topk(1)[1].squeeze(-1)
    logits = nn.functional.log_softmax(torch.cat(decoder_outputs, dim=1), dim=-1)
    made.save(
        "torch-seq2seq-decoder",
        page,
        {".npz": {"decoder_outputs": logits, "decoder_hidden": decoder_hidden}},
        saved="npz, the tutorial's names: outputs behind a linear layer, of another width",
        changed="8 units instead of 128, 4 rows instead of 32, 5 steps",
    )
    made.save(
        "torch-seq2seq-decoder-steps",
        page,
        {
            ".pt": {
                "outputs": torch.cat(steps, dim=1),
                "decoder_hidden": decoder_hidden,
                "encoder_hidden": encoder_hidden,
            }
        },
        saved="pt, the steps before the linear layer, the encoder's state beside them",
        changed="8 units instead of 128, 4 rows instead of 32, 5 steps",
    )

    linear = nn.Linear(4, 4)
    xs, h = torch.rand(10, 3, 4), torch.zeros(3, 4)
    y = h
    outs = []
    for i in range(xs.size(0)):
        new_h = torch.tanh(linear(xs[i]) + h)
        y, h = new_h, new_h
        outs.append(y)
    made.save(
        "torch-script-loop",
        "beginner/Intro_to_TorchScript_tutorial, MyRNNLoop",
        {".npz": {"xs": xs, "ys": torch.stack(outs), "h": h}},
        "@.npz",
        "@.npz --outputs ys --time-major",
        saved="npz, the tutorial's names, its ys stacked",
    )


def sequence_tutorial(made: Set) -> None:
    lstm = nn.LSTM(3, 3)
    inputs = [torch.randn(1, 3) for _ in range(5)]
    hidden = (torch.randn(1, 1, 3), torch.randn(1, 1, 3))
    steps = []
    for i in inputs:
        out, hidden = lstm(i.view(1, 1, -1), hidden)
        steps.append(out)
    page = "beginner/nlp/sequence_models_tutorial"
    made.save("torch-one-step", page, {".pt": {"out": out, "hidden": hidden}}, saved="pt, the last call of the loop")
    made.save(
        "torch-step-by-step",
        page,
        {".pt": {"out": torch.cat(steps), "hidden": hidden}},
        saved="pt, the loop's steps joined",
    )
    inputs = torch.cat(inputs).view(len(inputs), 1, -1)
    hidden = (torch.randn(1, 1, 3), torch.randn(1, 1, 3))
    out, hidden = lstm(inputs, hidden)
    made.save(
        "torch-entire-sequence",
        page,
        {".pt": {"inputs": inputs, "out": out, "hidden": hidden}, "@.weights.pt": lstm.state_dict()},
        "@.pt",
        "@.pt --outputs out --time-major",
        saved="pt, the tutorial's names: the first state was overwritten",
    )
    embeds, tagger, sentence = nn.Embedding(9, 6), nn.LSTM(6, 6), torch.tensor([0, 1, 2, 3, 4])
    lstm_out, (h, c) = tagger(embeds(sentence).view(len(sentence), 1, -1))
    made.save(
        "torch-tagger",
        page,
        {".npz": {"lstm_out": lstm_out, "h": h, "c": c}},
        saved="npz, the tutorial's names, its _ kept",
    )


def chatbot(made: Set) -> None:
    hidden_size, lengths = 8, torch.tensor([6, 5, 5, 3, 2])
    input_variable = torch.randint(1, 20, (6, 5)) * (torch.arange(6)[:, None] < lengths)
    embedding = nn.Embedding(20, hidden_size)
    gru = nn.GRU(hidden_size, hidden_size, 2, dropout=0.1, bidirectional=True).eval()
    outputs, hidden = gru(pack_padded_sequence(embedding(input_variable), lengths))
    outputs, _ = pad_packed_sequence(outputs)
    page = "beginner/chatbot_tutorial, EncoderRNN"
    changed = "8 units instead of 500, evaluated without dropout"
    made.save(
        "torch-chatbot-before-sum",
        page,
        {".npz": {"outputs": outputs, "hidden": hidden, "lengths": lengths}},
        "@.npz",
        "@.npz --bidirectional --time-major",
        saved="npz, before the directions are summed",
        changed=changed,
    )
    summed = outputs[:, :, :hidden_size] + outputs[:, :, hidden_size:]
    made.save(
        "torch-chatbot",
        page,
        {".npz": {"encoder_outputs": summed, "encoder_hidden": hidden, "lengths": lengths}},
        "@.npz",
        "@.npz --time-major",
        "@.npz --bidirectional --time-major --merge-mode sum",
        saved="npz, the tutorial's names, directions summed",
        changed=changed,
    )
    made.save(
        "torch-chatbot-decoder-hidden",
        page,
        {".pt": {"encoder_outputs": summed, "decoder_hidden": hidden[:2], "input_lengths": lengths}},
        saved="pt, the tutorial's first decoder state: encoder_hidden[:decoder.n_layers]",
        changed=changed,
    )


def repository(made: Set) -> None:
    encoder, rnn = nn.Embedding(20, 6), nn.LSTM(6, 6, 2)
    emb = encoder(torch.randint(20, (7, 4)))
    hidden = (torch.zeros(2, 4, 6), torch.zeros(2, 4, 6))
    output, hidden = rnn(emb, hidden)
    output2, hidden2 = rnn(encoder(torch.randint(20, (7, 4))), hidden)
    page = "pytorch/examples, word_language_model"
    changed = "6 units instead of 200, 7 steps instead of 35"
    made.save("torch-language-model", page, {".pt": {"output": output, "hidden": hidden}}, saved="pt", changed=changed)
    made.save(
        "torch-language-model-second",
        page,
        {".pt": {"output": output2, "hidden": hidden2, "previous_hidden": hidden}},
        saved="pt, the second batch, which goes on from the first",
        changed=changed,
    )
    lstm1, lstm2 = nn.LSTMCell(1, 5), nn.LSTMCell(5, 5)
    input = torch.sin(torch.arange(9) / 2 + torch.randint(9, (3, 1)))
    h_t, c_t, h_t2, c_t2 = (torch.zeros(3, 5) for _ in range(4))
    lower, upper = [], []
    for input_t in input.split(1, dim=1):
        h_t, c_t = lstm1(input_t, (h_t, c_t))
        h_t2, c_t2 = lstm2(h_t, (h_t2, c_t2))
        lower.append(h_t)
        upper.append(h_t2)
    names = {"h_t": h_t, "c_t": c_t, "h_t2": h_t2, "c_t2": c_t2}
    page = "pytorch/examples, time_sequence_prediction"
    changed = "5 units instead of 51, 9 steps instead of 999"
    made.save(
        "torch-time-sequence",
        page,
        {".npz": {"input": input, "outputs": torch.stack(upper, 1), **names}},
        "@.npz",
        "@.npz --state h_t2 --cell-state c_t2 --batch-first",
        saved="npz, the program's names, the upper cell's h collected",
        changed=changed,
    )
