"""Transformers, convolutions, hand-written cells, reinforcement learning, left padding."""

import torch
from common import floats, real, tokens
from torch import nn
from torch.nn import functional as F


class Transformer(nn.Module):
    def __init__(self, right):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.out = nn.Linear(8, 3)
        self.right = right

    def forward(self, x, lengths):
        pad = torch.arange(x.size(1)) >= lengths[:, None]
        y = self.encoder(self.embed(x), src_key_padding_mask=pad if self.right else None)
        y = y.masked_fill(pad[:, : y.size(1), None], 0)
        return self.out(y.sum(1) / lengths[:, None])


class AttentionPool(nn.Module):
    def __init__(self, right):
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.query = nn.Parameter(torch.randn(1, 1, 8))
        self.right = right

    def forward(self, x, key_padding_mask):
        q = self.query.expand(len(x), -1, -1)
        return self.attn(q, x, x, key_padding_mask=key_padding_mask if self.right else None)[0][:, 0]


class TextCNN(nn.Module):
    def __init__(self, right):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.convs = nn.ModuleList([nn.Conv1d(8, 6, k, padding=k // 2) for k in (1, 3)])
        self.fc = nn.Linear(12, 2)
        self.right = right

    def forward(self, x, lengths):
        m = (torch.arange(x.size(1)) < lengths[:, None])[:, None]
        e = self.embed(x).transpose(1, 2)
        if self.right:
            e = e * m
        feats = []
        for conv in self.convs:
            c = F.relu(conv(e))
            if self.right:
                c = c.masked_fill(~m, float("-inf"))
            feats.append(c.max(2)[0])
        return self.fc(torch.cat(feats, 1))


class Dilated(nn.Module):
    """A stack of dilated convolutions, masked between."""

    def __init__(self, right):
        super().__init__()
        self.inp = nn.Conv1d(6, 8, 1)
        self.layers = nn.ModuleList([nn.Conv1d(8, 8, 3, padding=2**i, dilation=2**i) for i in range(3)])
        self.out = nn.Conv1d(8, 4, 1)
        self.right = right

    def forward(self, x, mask):
        m = mask[:, None].float()
        h = self.inp(x.transpose(1, 2)) * (m if self.right else 1)
        for layer in self.layers:
            h = (h + F.relu(layer(h))) * (m if self.right else 1)
        return (self.out(h) * m).transpose(1, 2)


class HandGRU(nn.Module):
    """A loop over a cell, with the mask carried or not."""

    def __init__(self, right):
        super().__init__()
        self.cell = nn.GRUCell(6, 8)
        self.out = nn.Linear(8, 3)
        self.right = right

    def forward(self, x, lengths):
        h = x.new_zeros(len(x), 8)
        for t in range(x.size(1)):
            new = self.cell(x[:, t], h)
            h = torch.where((t < lengths)[:, None], new, h) if self.right else new
        return self.out(h)


class PeepholeLSTM(nn.Module):
    """A cell written by hand, backwards over time."""

    def __init__(self, right):
        super().__init__()
        self.wx, self.wh = nn.Linear(6, 32), nn.Linear(8, 32, bias=False)
        self.peep = nn.Parameter(torch.randn(3, 8) * 0.1)
        self.right = right

    def forward(self, x, mask):
        h = c = x.new_zeros(len(x), 8)
        outs = []
        for t in reversed(range(x.size(1))):
            i, f, g, o = (self.wx(x[:, t]) + self.wh(h)).chunk(4, 1)
            c2 = torch.sigmoid(f + self.peep[0] * c) * c + torch.sigmoid(i + self.peep[1] * c) * torch.tanh(g)
            h2 = torch.sigmoid(o + self.peep[2] * c2) * torch.tanh(c2)
            m = mask[:, t, None].float()
            h, c = (h2 * m + h * (1 - m), c2 * m + c * (1 - m)) if self.right else (h2, c2)
            outs.append(h)
        return torch.stack(outs[::-1], 1)


class ActorCritic(nn.Module):
    """PPO, `[T, B, F]`: the state is reset where an episode ends; flattened rows are split as they were merged."""

    def __init__(self, right):
        super().__init__()
        self.net = nn.Linear(6, 8)
        self.gru = nn.GRU(8, 8)
        self.pi, self.v = nn.Linear(8, 3), nn.Linear(8, 1)
        self.right = right

    def forward(self, obs, done, h0):
        T, B = done.shape
        x = torch.tanh(self.net(obs.reshape(T * B, -1)))
        x = x.view(T, B, -1) if self.right else x.view(B, T, -1).transpose(0, 1)
        h, outs = h0, []
        for t in range(T):
            h = h * (1 - done[t].float())[None, :, None]
            y, h = self.gru(x[t : t + 1], h)
            outs.append(y)
        y = torch.cat(outs)
        return self.pi(y), self.v(y).squeeze(-1)


class LeftPadded(nn.Module):
    """Padding in front; the state must not start in it."""

    def __init__(self, right):
        super().__init__()
        self.cell = nn.LSTMCell(6, 8)
        self.right = right

    def forward(self, x, mask):
        h = c = x.new_zeros(len(x), 8)
        for t in range(x.size(1)):
            h2, c2 = self.cell(x[:, t], (h, c))
            m = mask[:, t, None].float() if self.right else 1.0
            h, c = m * h2 + (1 - m) * h, m * c2 + (1 - m) * c
        return h


class LayerNormAll(nn.Module):
    """Normalised over time and units together, or over units alone."""

    def __init__(self, right):
        super().__init__()
        self.rnn = nn.GRU(6, 8, batch_first=True)
        self.norm = nn.GroupNorm(1, 8)
        self.ln = nn.LayerNorm(8)
        self.right = right

    def forward(self, x, lengths):
        y, _ = self.rnn(x)
        y = self.ln(y) if self.right else self.norm(y.transpose(1, 2)).transpose(1, 2)
        return y[torch.arange(len(x)), lengths - 1]


class BatchSoftmax(nn.Module):
    """A softmax over the wrong axis: rows share their weights."""

    def __init__(self, right):
        super().__init__()
        self.rnn = nn.GRU(6, 8, batch_first=True)
        self.score = nn.Linear(8, 1)
        self.dim = 1 if right else 0

    def forward(self, x, lengths):
        y, _ = self.rnn(x)
        s = self.score(y).squeeze(-1)
        s = s.masked_fill(torch.arange(x.size(1)) >= lengths[:, None], -1e9)
        return (s.softmax(self.dim)[..., None] * y).sum(1)


class FromTheEnd(nn.Module):
    """Positions counted from the end of the batch, or of the row."""

    def __init__(self, right):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.position = nn.Embedding(40, 8)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.right = right

    def forward(self, x, lengths):
        t = torch.arange(x.size(1))
        end = lengths[:, None] if self.right else x.size(1)
        place = (end - 1 - t).clamp(min=0).expand_as(x)
        y, _ = self.rnn(self.embed(x) + self.position(place))
        return y[torch.arange(len(x)), lengths - 1]


def text(seed, size):
    return tokens(seed, size), {}


def frames(seed, size):
    return floats(seed, size, 6), {}


def keyed(seed, size):
    x, n = floats(seed, size, 8)
    return (x, ~real(n, x.size(1))), {"mask": "key_padding_mask"}


def masked(seed, size):
    x, n = floats(seed, size, 6)
    return (x, real(n, x.size(1))), {"mask": "mask"}


def episodes(seed, size):
    x, n = floats(seed, size, 6, zero=False)
    g = torch.Generator().manual_seed(seed)
    done = torch.rand(x.size(1), len(x), generator=g) < 0.2
    return (x.transpose(0, 1).contiguous(), done, torch.zeros(1, len(x), 8)), {"lengths": "full"}


def left(seed, size):
    x, n = floats(seed, size, 6)
    m = real(n, x.size(1))
    return (x.flip(1), m.flip(1)), {"mask": "mask"}


CASES = {
    "transformer": (lambda: Transformer(True), lambda: Transformer(False), text, "reads-padding", "encoder.*self_attn"),
    "attention-pool": (lambda: AttentionPool(True), lambda: AttentionPool(False), keyed, "reads-padding", "attn"),
    "textcnn": (lambda: TextCNN(True), lambda: TextCNN(False), text, "reads-padding", "conv|TextCNN"),
    "dilated": (lambda: Dilated(True), lambda: Dilated(False), masked, "reads-padding", "layers|Dilated"),
    "hand-gru": (lambda: HandGRU(True), lambda: HandGRU(False), frames, "reads-padding", "HandGRU"),
    "peephole": (lambda: PeepholeLSTM(True), lambda: PeepholeLSTM(False), masked, "reads-padding", "PeepholeLSTM"),
    "actor-critic": (lambda: ActorCritic(True), lambda: ActorCritic(False), episodes, "rows-mixed", "ActorCritic"),
    "left-padded": (lambda: LeftPadded(True), lambda: LeftPadded(False), left, "reads-padding", "LeftPadded"),
    "norm-over-time": (lambda: LayerNormAll(True), lambda: LayerNormAll(False), frames, "reads-padding", "norm"),
    "batch-softmax": (lambda: BatchSoftmax(True), lambda: BatchSoftmax(False), frames, "rows-mixed", "BatchSoftmax"),
    "from-the-end": (
        lambda: FromTheEnd(True),
        lambda: FromTheEnd(False),
        text,
        "depends-on-padded-width",
        "FromTheEnd",
    ),
}
