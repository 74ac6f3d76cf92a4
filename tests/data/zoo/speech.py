"""CRNN, DeepSpeech, speaker encoders, Tacotron."""

import torch
from common import floats, real
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class CRNN(nn.Module):
    """Images `[B, 1, H, W]`, padded on the right to one width; log probabilities `[T, B, C]` for CTC."""

    def __init__(self, right):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1)
        self.rnn = nn.LSTM(6 * 2, 8, bidirectional=True)
        self.out = nn.Linear(16, 5)
        self.right = right

    def keep(self, x, n):
        if not self.right:
            return x
        return x * (torch.arange(x.size(-1), device=x.device) < n[:, None])[:, None, None]

    def forward(self, image, widths):
        x = self.keep(image, widths)
        x = self.keep(F.relu(self.conv1(x)), widths)
        x = F.max_pool2d(x, (2, 1))
        x = self.keep(F.relu(self.conv2(x)), widths)
        x = F.max_pool2d(x, (2, 1))
        b, c, h, w = x.shape
        x = x.permute(3, 0, 1, 2).reshape(w, b, c * h)
        if self.right:
            x, _ = self.rnn(pack_padded_sequence(x, widths.cpu(), enforce_sorted=False))
            x, _ = pad_packed_sequence(x, total_length=w)
        else:
            x, _ = self.rnn(x)
        return self.out(x).log_softmax(-1)


class DeepSpeech(nn.Module):
    """Frames -> a layer with batch normalisation -> recurrent -> CTC."""

    def __init__(self, right):
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.bn = nn.BatchNorm1d(8)
        self.rnn = nn.GRU(8, 8, batch_first=True, bidirectional=True)
        self.out = nn.Linear(16, 5)
        self.right = right

    def forward(self, x, lengths):
        h = self.fc(x)
        mask = torch.arange(x.size(1)) < lengths[:, None]
        if self.right:
            y = torch.zeros_like(h)
            y[mask] = self.bn(h[mask])
        else:
            y = self.bn(h.transpose(1, 2)).transpose(1, 2)
        p = pack_padded_sequence(F.hardtanh(y, 0, 20), lengths.cpu(), batch_first=True, enforce_sorted=False)
        o, _ = pad_packed_sequence(self.rnn(p)[0], batch_first=True)
        return self.out(o).log_softmax(-1), lengths


class Strided(nn.Module):
    """Convolution with stride in front, lengths divided along."""

    def __init__(self, right):
        super().__init__()
        self.conv = nn.Conv1d(6, 8, 3, stride=2, padding=1)
        self.rnn = nn.LSTM(8, 8, batch_first=True)
        self.out = nn.Linear(8, 3)
        self.right = right

    def forward(self, x, lengths):
        if self.right:
            x = x * (torch.arange(x.size(1)) < lengths[:, None])[..., None]
        y = F.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        m = (lengths - 1) // 2 + 1
        if self.right:
            packed = pack_padded_sequence(y, m.cpu(), batch_first=True, enforce_sorted=False)
            return self.out(self.rnn(packed)[1][0][-1])
        return self.out(self.rnn(y)[1][0][-1])


class SpeakerEncoder(nn.Module):
    def __init__(self, right):
        super().__init__()
        self.lstm = nn.LSTM(6, 12, num_layers=2, batch_first=True)
        self.linear = nn.Linear(12, 8)
        self.right = right

    def forward(self, utterances, lengths):
        out, (h, _) = self.lstm(utterances)
        last = out[torch.arange(len(out)), lengths - 1] if self.right else h[-1]
        e = F.relu(self.linear(last))
        return e / (e.norm(dim=1, keepdim=True) + 1e-5)


class StatsPool(nn.Module):
    """x-vector: mean and deviation over time."""

    def __init__(self, right):
        super().__init__()
        self.tdnn = nn.Conv1d(6, 8, 1)
        self.embed = nn.Linear(16, 8)
        self.right = right

    def forward(self, feats, lengths):
        h = F.relu(self.tdnn(feats.transpose(1, 2)))
        if not self.right:
            return self.embed(torch.cat([h.mean(2), h.std(2)], 1))
        m = (torch.arange(h.size(2)) < lengths[:, None])[:, None].float()
        n = lengths[:, None].float()
        mean = (h * m).sum(2) / n
        var = ((h - mean[..., None]) ** 2 * m).sum(2) / (n - 1)
        return self.embed(torch.cat([mean, (var + 1e-6).sqrt()], 1))


class ZoneoutCell(nn.Module):
    def __init__(self, i, h, p=0.1):
        super().__init__()
        self.cell = nn.LSTMCell(i, h)
        self.p = p

    def forward(self, x, state):
        h, c = self.cell(x, state)
        if self.training:
            m = torch.bernoulli(torch.full_like(h, self.p))
            return m * state[0] + (1 - m) * h, c
        return self.p * state[0] + (1 - self.p) * h, c


class Tacotron(nn.Module):
    """Characters -> encoder -> attention at every frame of the decoder, with zoneout."""

    def __init__(self, right):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.encoder = nn.LSTM(8, 4, batch_first=True, bidirectional=True)
        self.query = nn.Linear(12, 8)
        self.decoder = ZoneoutCell(8 + 3, 12)
        self.frame = nn.Linear(20, 3)
        self.right = right

    def forward(self, chars, char_lengths, mels):
        p = pack_padded_sequence(self.embed(chars), char_lengths.cpu(), batch_first=True, enforce_sorted=False)
        memory, _ = pad_packed_sequence(self.encoder(p)[0], batch_first=True, total_length=chars.size(1))
        B = len(chars)
        h, c, ctx = mels.new_zeros(B, 12), mels.new_zeros(B, 12), mels.new_zeros(B, 8)
        mask = torch.arange(chars.size(1)) >= char_lengths[:, None]
        frames = []
        for t in range(mels.size(1)):
            h, c = self.decoder(torch.cat([mels[:, t], ctx], 1), (h, c))
            e = torch.bmm(memory, self.query(h)[..., None]).squeeze(2)
            if self.right:
                e = e.masked_fill(mask, float("-inf"))
            a = e.softmax(1)
            ctx = torch.bmm(a[:, None], memory).squeeze(1)
            frames.append(self.frame(torch.cat([h, ctx], 1)))
        return torch.stack(frames, 1)


def images(seed, size):
    x, n = floats(seed, size, 8)
    return (x.transpose(1, 2)[:, None].contiguous(), n), {"lengths": "widths"}


def frames(seed, size):
    return floats(seed, size, 6), {}


def speech(seed, size):
    x, n = floats(seed, size, 1)
    g = torch.Generator().manual_seed(seed)
    chars = torch.randint(1, 20, x.shape[:2], generator=g) * real(n, x.size(1))
    return (chars, n, torch.randn(len(x), 6, 3, generator=g)), {"lengths": "char_lengths"}


CASES = {
    "crnn": (lambda: CRNN(True), lambda: CRNN(False), images, "reads-padding", "conv1|rnn"),
    "deepspeech": (lambda: DeepSpeech(True), lambda: DeepSpeech(False), frames, "reads-padding", "bn"),
    "strided": (lambda: Strided(True), lambda: Strided(False), frames, "reads-padding", "conv|rnn"),
    "speaker": (lambda: SpeakerEncoder(True), lambda: SpeakerEncoder(False), frames, "reads-padding", "lstm"),
    "stats-pool": (lambda: StatsPool(True), lambda: StatsPool(False), frames, "reads-padding", "StatsPool"),
    "tacotron": (lambda: Tacotron(True), lambda: Tacotron(False), speech, "depends-on-padded-width", "Tacotron"),
}
