"""Right models that a check might take for wrong ones."""

from typing import NamedTuple

import torch
from common import floats, real, tokens
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Packed(nn.Module):
    def __init__(self, units=8, batch_first=True):
        super().__init__()
        self.rnn = nn.GRU(6, units, batch_first=batch_first, bidirectional=True)
        self.batch_first = batch_first

    def forward(self, x, lengths):
        p = pack_padded_sequence(x, lengths.cpu(), batch_first=self.batch_first, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(p)[0], batch_first=self.batch_first)[0]


class Final(Packed):
    def forward(self, x, lengths):
        p = pack_padded_sequence(x, lengths.cpu(), batch_first=self.batch_first, enforce_sorted=False)
        return self.rnn(p)[1].transpose(0, 1).flatten(1)


class Similarity(Final):
    def forward(self, x, lengths):
        z = F.normalize(super().forward(x, lengths), dim=1)
        return z @ z.t() / 0.1


class Loss(Packed):
    def forward(self, x, lengths):
        y = super().forward(x, lengths)
        m = real(lengths, y.size(1))
        return ((y.sum(-1) - 1) ** 2)[m].mean()


class Sampler(Final):
    """A variational encoder that samples in forward, and a policy."""

    def forward(self, x, lengths):
        mu, logvar = super().forward(x, lengths).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return z, mu, torch.distributions.Categorical(logits=mu).sample()


class FromZeros(Final):
    def forward(self, x):
        return super().forward(x, (x.abs().sum(-1) > 0).sum(1))


class FromPadToken(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6, padding_idx=0)
        self.rnn = Final()

    def forward(self, text):
        return self.rnn(self.embed(text), (text != 0).sum(1))


class MaxPool(Packed):
    def forward(self, x, lengths):
        y = super().forward(x, lengths)
        return y.masked_fill(~real(lengths, y.size(1))[..., None], float("-inf")).max(1)[0]


class Shifted(nn.Module):
    """A language model that is given everything and drops the last token itself."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.rnn = nn.LSTM(6, 8, batch_first=True)
        self.out = nn.Linear(8, 20)

    def forward(self, x, lengths):
        return self.out(self.rnn(self.embed(x[:, :-1]))[0])


class Nested(Final):
    def forward(self, batch):
        y = super().forward(batch["features"]["x"], batch["lengths"])
        return {"last": y, "extra": [y * 2, (y[:, :2], None)], "name": "n", "lengths": batch["lengths"]}


class Out(NamedTuple):
    logits: torch.Tensor
    attention: torch.Tensor


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k = nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, x, mask):
        s = self.q(x) @ self.k(x).transpose(1, 2)
        a = s.masked_fill(~mask[:, None], -1e9).softmax(-1)
        return Out(a @ x, a)


class TimeMajor(Packed):
    def __init__(self):
        super().__init__(batch_first=False)


class TopK(nn.Module):
    def __init__(self):
        super().__init__()
        self.score, self.value = nn.Linear(6, 1), nn.Linear(6, 4)

    def forward(self, x, lengths):
        s = self.score(x).squeeze(-1).masked_fill(~real(lengths, x.size(1)), -1e9)
        top, at = s.topk(2, 1)
        v = self.value(x).gather(1, at[..., None].expand(-1, -1, 4))
        return (top.softmax(1)[..., None] * v).sum(1)


class Decoded(Packed):
    """Python lists, one a row."""

    def forward(self, x, lengths):
        y = super().forward(x, lengths)
        best = y.argmax(-1)
        return [row[:n].tolist() for row, n in zip(best, lengths)]


class SortedOut(Packed):
    """Sorted inside, returned sorted, with the order beside it."""

    def forward(self, x, lengths):
        n, order = lengths.sort(descending=True)
        return super().forward(x[order], n), n, order


class Stateful(Final):
    """It keeps what it saw, as models in training loops do."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.last = None
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x, lengths):
        self.count += 1
        y = super().forward(x, lengths)
        if self.last is not None:
            y = y + self.last.mean()
        self.last = y.detach()
        self.seen.append(y)
        return y


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x, mask):
        h = torch.tanh(self.a(x)) * mask[..., None]
        return self.b(h.sum(1) / mask.sum(1, keepdim=True))


class Relative(Final):
    """Lengths as parts of the width, as SpeechBrain has them."""

    def forward(self, x, wav_lens):
        return super().forward(x, (wav_lens * x.size(1)).round().long())


class Squeezed(Final):
    def forward(self, x, lengths):
        return super().forward(x, lengths)[:, :1].squeeze()


class Flat(Packed):
    """Logits as the loss wants them: `[B * T, C]`."""

    def forward(self, x, lengths):
        y = super().forward(x, lengths)
        return y.reshape(-1, y.size(-1))


class NeedsSorted(Packed):
    def forward(self, x, lengths):
        p = pack_padded_sequence(x, lengths.cpu(), batch_first=True)
        return pad_packed_sequence(self.rnn(p)[0], batch_first=True)[0]


def frames(seed, size):
    return floats(seed, size, 6), {}


def only(seed, size):
    x, n = floats(seed, size, 6)
    return (x,), {"lengths": n}


def text(seed, size):
    x, n = tokens(seed, size)
    return (x, n), {}


def only_text(seed, size):
    x, n = tokens(seed, size)
    return (x,), {"lengths": n}


def nested(seed, size):
    x, n = floats(seed, size, 6)
    return ({"features": {"x": x}, "lengths": n},), {"lengths": "lengths"}


def one(seed, size):
    x, n = floats(seed, size, 6)
    return (torch.cat([x[:1], torch.zeros(1, 2, 6)], 1), n[:1]), {}


def square(seed, size):
    x = torch.randn(5, 5, 6, generator=torch.Generator().manual_seed(seed))
    n = torch.tensor([5, 3, 2, 4, 3])
    return (x, n), {}


def square_major(seed, size):
    x = torch.randn(5, 5, 6, generator=torch.Generator().manual_seed(seed))
    return (x, torch.tensor([5, 3, 2, 4, 3])), {}


def major(seed, size):
    x, n = floats(seed, size, 6)
    return (x.transpose(0, 1).contiguous(), n), {}


def masked(seed, size):
    x, n = floats(seed, size, 6)
    return (x, real(n, x.size(1))), {"mask": "mask"}


def half(seed, size):
    (x, m), how = masked(seed, size)
    return (x.half(), m.half()), how


def relative(seed, size):
    x, n = floats(seed, size, 6)
    return (x, n / x.size(1)), {"lengths": "wav_lens"}


def listed(seed, size):
    x, n = floats(seed, size, 6)
    return (x,), {"lengths": n.tolist()}


def descending(seed, size):
    x, n = floats(seed, size, 6)
    n, order = n.sort(descending=True)
    return (x[order], n), {}


RIGHT = {
    "similarity": (Similarity, frames),
    "scalar-loss": (Loss, frames),
    "sampling": (Sampler, frames),
    "lengths-from-zeros": (FromZeros, only),
    "lengths-from-pad-token": (FromPadToken, only_text),
    "max-pooling": (MaxPool, frames),
    "shifted": (Shifted, text),
    "nested": (Nested, nested),
    "self-attention": (SelfAttention, masked),
    "one-row": (Final, one),
    "as-many-rows-as-steps": (Packed, square),
    "time-major-square": (TimeMajor, square_major),
    "time-major": (TimeMajor, major),
    "top-k": (TopK, frames),
    "lists": (Decoded, frames),
    "sorted-with-order": (SortedOut, frames),
    "stateful": (Stateful, frames),
    "float16": (lambda: Half().half(), half),
    "relative-lengths": (Relative, relative),
    "squeezed": (Squeezed, frames),
    "flat-logits": (Flat, frames),
    "lengths-passed-on": (Final, listed),
    "needs-sorted": (NeedsSorted, descending),
}
