"""Text classifiers, taggers and language models."""

import torch
from common import floats, real, tokens
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class LastStep(nn.Module):
    def __init__(self, packed):
        super().__init__()
        self.embedding = nn.Embedding(20, 8, padding_idx=0)
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.fc = nn.Linear(16, 3)
        self.packed = packed

    def forward(self, text, lengths):
        x = self.embedding(text)
        if self.packed:
            _, (h, _) = self.lstm(pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False))
            return self.fc(h[-1])
        out, _ = self.lstm(x)
        return self.fc(out[:, -1])


class FinalState(nn.Module):
    def __init__(self, packed):
        super().__init__()
        self.embedding = nn.Embedding(20, 8, padding_idx=0)
        self.gru = nn.GRU(8, 16, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(32, 3)
        self.packed = packed

    def forward(self, text, lengths):
        x = self.embedding(text)
        if self.packed:
            x = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, h = self.gru(x)
        return self.fc(torch.cat([h[0], h[1]], -1))


class MeanPool(nn.Module):
    def __init__(self, masked):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.fc = nn.Linear(16, 3)
        self.masked = masked

    def forward(self, text, lengths):
        packed = pack_padded_sequence(self.embedding(text), lengths.cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=text.size(1))
        if self.masked:
            return self.fc(out.sum(1) / lengths[:, None])
        return self.fc(out.mean(1))


class Tagger(nn.Module):
    def __init__(self, packed):
        super().__init__()
        self.embedding = nn.Embedding(20, 8, padding_idx=0)
        self.lstm = nn.LSTM(8, 10, batch_first=True, bidirectional=True, num_layers=2)
        self.tag = nn.Linear(20, 5)
        self.packed = packed

    def forward(self, sentence, lens):
        x = self.embedding(sentence)
        if self.packed:
            out, _ = self.lstm(pack_padded_sequence(x, lens.cpu(), batch_first=True, enforce_sorted=False))
            out, _ = pad_packed_sequence(out, batch_first=True)
        else:
            out, _ = self.lstm(x)
        return {"logits": self.tag(out)}


class Gathered(nn.Module):
    """Unpacked, the state gathered: right; with lengths for an index, one step too far."""

    def __init__(self, right):
        super().__init__()
        self.rnn = nn.GRU(6, 12, batch_first=True)
        self.head = nn.Linear(12, 2)
        self.right = right

    def forward(self, x, lengths):
        out, h = self.rnn(x)
        at = lengths - 1 if self.right else lengths.clamp(max=x.size(1) - 1)
        return self.head(out[torch.arange(len(x)), at])


class WordTimesMask(nn.Module):
    """A bag of word_ids with an attention weight a word."""

    def __init__(self, right):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.score = nn.Linear(8, 1)
        self.out = nn.Linear(8, 2)
        self.right = right

    def forward(self, word_ids, mask):
        e = self.embed(word_ids)
        s = self.score(torch.tanh(e)).squeeze(-1)
        s = s.masked_fill(~mask, -1e9) if self.right else s * mask
        return self.out((s.softmax(1)[..., None] * e).sum(1))


class LanguageModel(nn.Module):
    def __init__(self, right):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.rnn = nn.LSTM(8, 16, batch_first=True, bidirectional=not right)
        self.out = nn.Linear(16 if right else 32, 20)

    def forward(self, x, lengths):
        y, _ = self.rnn(self.embed(x))
        return self.out(y)


class OffByOne(nn.Module):
    def __init__(self, right):
        super().__init__()
        self.rnn = nn.LSTM(6, 12, batch_first=True)
        self.head = nn.Linear(12, 2)
        self.less = 0 if right else 1

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, (lengths - self.less).cpu(), batch_first=True, enforce_sorted=False)
        return self.head(self.rnn(packed)[1][0][-1])


def text(seed, size):
    x, n = tokens(seed, size)
    return (x, n), {}


def masked_word_ids(seed, size):
    x, n = tokens(seed, size)
    return (x, real(n, x.size(1))), {"mask": "mask"}


def frames(seed, size):
    x, n = floats(seed, size, 6)
    return (x, n), {"lengths": "lengths"}


CASES = {
    "last-step": (lambda: LastStep(True), lambda: LastStep(False), text, "reads-padding", "lstm|LastStep"),
    "final-state": (lambda: FinalState(True), lambda: FinalState(False), text, "reads-padding", "gru"),
    "mean-pool": (lambda: MeanPool(True), lambda: MeanPool(False), text, "depends-on-padded-width", "MeanPool"),
    "tagger": (lambda: Tagger(True), lambda: Tagger(False), text, "reads-padding", "lstm"),
    "gathered": (lambda: Gathered(True), lambda: Gathered(False), frames, "reads-padding", "Gathered"),
    "word-attention": (
        lambda: WordTimesMask(True),
        lambda: WordTimesMask(False),
        masked_word_ids,
        "reads-padding",
        "WordTimesMask",
    ),
    "language-model": (lambda: LanguageModel(True), lambda: LanguageModel(False), text, "reads-padding", "rnn"),
    "off-by-one": (lambda: OffByOne(True), lambda: OffByOne(False), frames, "step-unread", ""),
}
