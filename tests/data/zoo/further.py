"""Models that the check once missed or could not read, and some more that go wrong in their own way."""

import torch
from common import ends, floats, real, tokens
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Words(nn.Module):
    """The words of a sentence have lengths of their own."""

    def __init__(self, right):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.word_gru = nn.GRU(6, 6, batch_first=True)
        self.sentences = nn.GRU(6, 6, batch_first=True)
        self.right = right

    def forward(self, docs, doc_lengths, word_lengths):
        B, S, W = docs.shape
        y, h = self.word_gru(self.embedding(docs.view(B * S, W)))
        if self.right:
            v = y[torch.arange(B * S), word_lengths.view(-1).clamp(min=1) - 1]
        else:
            v = h[0]
        packed = pack_padded_sequence(v.view(B, S, -1), doc_lengths.cpu(), batch_first=True, enforce_sorted=False)
        return self.sentences(packed)[1][0]


class MajorMask(nn.Module):
    """A mask `[T, B]` beside `[T, B, F]`."""

    def __init__(self, right):
        super().__init__()
        self.cell = nn.GRUCell(6, 8)
        self.right = right

    def forward(self, x, mask):
        h = x.new_zeros(x.size(1), 8)
        for t in range(x.size(0)):
            new = self.cell(x[t], h)
            h = torch.where(mask[t, :, None], new, h) if self.right else new
        return h


class AddedMask(nn.Module):
    """A mask that is added to scores."""

    def __init__(self, right):
        super().__init__()
        self.query = nn.Linear(8, 8)
        self.right = right

    def forward(self, x, attention_mask):
        scores = (self.query(x) @ x.transpose(1, 2))[:, None]
        if self.right:
            scores = scores + attention_mask
        return (scores.softmax(-1)[:, 0] @ x)[:, 0]


class Misaligned(nn.Module):
    """Lengths sorted, rows not."""

    def __init__(self, right):
        super().__init__()
        self.gru = nn.GRU(6, 8, batch_first=True)
        self.right = right

    def forward(self, x, lengths):
        n, order = lengths.sort(descending=True)
        if self.right:
            return self.gru(pack_padded_sequence(x[order], n.cpu(), batch_first=True))[1][0][order.argsort()]
        return self.gru(pack_padded_sequence(x, n.cpu(), batch_first=True))[1][0]


class WeakLeak(nn.Module):
    """A leak of a thousandth."""

    def __init__(self, right):
        super().__init__()
        self.gru = nn.GRU(6, 8, batch_first=True)
        self.share = 0.0 if right else 1e-3

    def forward(self, x, lengths):
        y, _ = self.gru(x)
        return y[torch.arange(len(x)), lengths - 1] + self.share * x.mean((1, 2))[:, None]


class ZeroInMaximum(nn.Module):
    """Zeros of packing win a maximum over negative outputs."""

    def __init__(self, right):
        super().__init__()
        self.gru = nn.GRU(6, 64, batch_first=True)
        self.right = right

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        if self.right:
            y = y.masked_fill(~real(lengths, y.size(1))[..., None], -2)
        return y.max(1)[0]


class CenteredOnTheBatch(nn.Module):
    def __init__(self, right):
        super().__init__()
        self.gru = nn.GRU(6, 8, batch_first=True)
        self.right = right

    def forward(self, x, lengths):
        y, _ = self.gru(x)
        h = y[torch.arange(len(x)), lengths - 1]
        return h if self.right else h - h.mean(0)


class PreNorm(nn.Module):
    """Its fast path leaves padding as memory that nobody wrote to."""

    def __init__(self, right):
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True) for _ in range(2)]
        )
        self.right = right

    def forward(self, x, lengths):
        pad = ~real(lengths, x.size(1))
        for i, layer in enumerate(self.layers):
            x = layer(x, src_key_padding_mask=pad if self.right or i == 0 else None)
        return x


def documents(seed, size):
    B, S, n = ends(seed, size)
    g = torch.Generator().manual_seed(seed)
    word_lengths = torch.randint(2, 6, (B, S), generator=g) * real(n, S)
    docs = torch.randint(1, 20, (B, S, 6), generator=g) * (torch.arange(6) < word_lengths[..., None])
    return (docs, n, word_lengths), {"lengths": "doc_lengths"}


def major(seed, size):
    x, n = floats(seed, size, 6)
    return (x.transpose(0, 1).contiguous(), real(n, x.size(1)).t().contiguous()), {"mask": "mask"}


def added(seed, size):
    x, n = floats(seed, size, 8)
    return (x, (~real(n, x.size(1)))[:, None, None].float() * -1e9), {}


def frames(seed, size):
    return floats(seed, size, 6), {}


def eight(seed, size):
    return floats(seed, size, 8), {}


CASES = {
    "words": (lambda: Words(True), lambda: Words(False), documents, "reads-padding", ""),
    "mask-time-major": (lambda: MajorMask(True), lambda: MajorMask(False), major, "reads-padding", "MajorMask"),
    "added-mask": (lambda: AddedMask(True), lambda: AddedMask(False), added, "reads-padding", "AddedMask"),
    "misaligned": (lambda: Misaligned(True), lambda: Misaligned(False), frames, "rows-mixed", "Misaligned"),
    "weak-leak": (lambda: WeakLeak(True), lambda: WeakLeak(False), frames, "reads-padding", "WeakLeak"),
    "zero-in-maximum": (
        lambda: ZeroInMaximum(True),
        lambda: ZeroInMaximum(False),
        frames,
        "depends-on-padded-width",
        "ZeroInMaximum",
    ),
    "centered": (
        lambda: CenteredOnTheBatch(True),
        lambda: CenteredOnTheBatch(False),
        frames,
        "rows-mixed",
        "CenteredOnTheBatch",
    ),
    "pre-norm": (lambda: PreNorm(True), lambda: PreNorm(False), eight, "reads-padding", "layers.1.self_attn"),
}


class SumOfZeros(nn.Module):
    """The padding's vector is zero for good: to add it is to leave it out."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8, padding_idx=0)

    def forward(self, text, lengths):
        return self.embed(text).sum(1) / lengths[:, None]


class Autocast(nn.Module):
    """Half precision within, which the result's dtype does not tell."""

    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(6, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x, lengths):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y, _ = self.gru(x)
            return self.out(y[torch.arange(len(x)), lengths - 1]).float()


class Strides(nn.Module):
    """A stride passes over the last steps of some lengths."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(6, 8, 3, stride=2)

    def forward(self, x, lengths):
        y = F.relu(self.conv(x.transpose(1, 2)))
        n = (lengths - 3) // 2 + 1
        return (y * real(n, y.size(2))[:, None]).sum(2)


class KeywordsAlone(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(6, 8, batch_first=True)

    def forward(self, *, batch):
        y, _ = self.gru(batch["x"])
        return y[torch.arange(len(y)), batch["lengths"] - 1]


def text(seed, size):
    return tokens(seed, size), {}


def keyword(seed, size):
    x, n = floats(seed, size, 6)
    return (), {"kwargs": {"batch": {"x": x, "lengths": n}}}


def narrow(seed, size):
    x, n = floats(seed, 0, 6)
    return (x[:1, :, :], n[:1]), {}


class OneOfABatch(nn.Module):
    """One row of a batch, with as many units as it has steps, say."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(6, 5, batch_first=True)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return self.gru(packed)[1][-1]


RIGHT = {
    "sum-of-zeros": (SumOfZeros, text),
    "autocast": (Autocast, frames),
    "strides": (Strides, frames),
    "keywords-alone": (KeywordsAlone, keyword),
    "one-of-a-batch": (OneOfABatch, narrow),
}
