"""Encoders and decoders: bridge, attention, copying, captioning, autoencoders, siamese, hierarchical."""

import torch
from common import ends, floats, real, tokens
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Encoder(nn.Module):
    def __init__(self, packed):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.rnn = nn.GRU(8, 12, bidirectional=True)
        self.fc = nn.Linear(24, 12)
        self.packed = packed

    def forward(self, src, src_len):
        x = self.embedding(src)
        if self.packed:
            out, hidden = self.rnn(pack_padded_sequence(x, src_len.cpu(), enforce_sorted=False))
            out, _ = pad_packed_sequence(out)
        else:
            out, hidden = self.rnn(x)
        return out, torch.tanh(self.fc(torch.cat((hidden[-2], hidden[-1]), 1)))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = nn.Linear(24 + 12, 12)
        self.v = nn.Linear(12, 1, bias=False)

    def forward(self, hidden, encoder_outputs, mask):
        hidden = hidden[None].repeat(len(encoder_outputs), 1, 1)
        energy = self.v(torch.tanh(self.attn(torch.cat((hidden, encoder_outputs), 2)))).squeeze(2).t()
        if mask is not None:
            energy = energy.masked_fill(mask == 0, -1e10)
        return energy.softmax(1)


class Seq2Seq(nn.Module):
    """Time-major, as in the tutorials; the mask from the tokens."""

    def __init__(self, packed=True, masked=True):
        super().__init__()
        self.encoder = Encoder(packed)
        self.attention = Attention()
        self.embedding = nn.Embedding(20, 8)
        self.rnn = nn.GRU(8 + 24, 12)
        self.fc_out = nn.Linear(12 + 24, 20)
        self.masked = masked

    def forward(self, src, src_len, trg):
        outputs, hidden = self.encoder(src, src_len)
        mask = (src != 0).t()[:, : len(outputs)] if self.masked else None
        logits = []
        for t in range(trg.size(0)):
            a = self.attention(hidden, outputs, mask)
            weighted = torch.bmm(a[:, None], outputs.transpose(0, 1)).transpose(0, 1)
            y, h = self.rnn(torch.cat((self.embedding(trg[t])[None], weighted), 2), hidden[None])
            hidden = h[0]
            logits.append(self.fc_out(torch.cat((y, weighted), 2)[0]))
        return torch.stack(logits)


class Bridge(nn.Module):
    def __init__(self, right):
        super().__init__()
        self.encoder = nn.LSTM(6, 8, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(16, 10)
        self.decoder = nn.LSTM(4, 10, batch_first=True)
        self.right = right

    def forward(self, source, source_lengths, target):
        x = source
        if self.right:
            x = pack_padded_sequence(source, source_lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, (h, c) = self.encoder(x)
        h = torch.tanh(self.bridge(h.transpose(0, 1).reshape(len(source), -1)))[None]
        return self.decoder(target, (h, torch.zeros_like(h)))[0]


class BridgeView(nn.Module):
    """`view` in place of a transpose: rows meet."""

    def __init__(self, right):
        super().__init__()
        self.encoder = nn.LSTM(6, 8, batch_first=True, bidirectional=True)
        self.out = nn.Linear(16, 3)
        self.right = right

    def forward(self, source, lengths):
        x = pack_padded_sequence(source, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, (h, _) = self.encoder(x)
        h = h.transpose(0, 1).reshape(len(source), -1) if self.right else h.view(len(source), -1)
        return self.out(h)


class Captioner(nn.Module):
    """A decoder whose batch shrinks as captions end; rows sorted inside, and put back or not."""

    def __init__(self, right):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.init_h = nn.Linear(5, 10)
        self.cell = nn.LSTMCell(8, 10)
        self.fc = nn.Linear(10, 20)
        self.right = right

    def forward(self, features, captions, caption_lengths):
        lengths, order = caption_lengths.sort(descending=True)
        features, word_ids = features[order], self.embedding(captions[order])
        h = self.init_h(features)
        c = torch.zeros_like(h)
        out = torch.zeros(len(features), int(lengths[0]), 20)
        for t in range(int(lengths[0])):
            n = int((lengths > t).sum())
            h, c = self.cell(word_ids[:n, t], (h[:n], c[:n]))
            out[:n, t] = self.fc(h)
        return out[order.argsort()] if self.right else out


class Autoencoder(nn.Module):
    def __init__(self, right):
        super().__init__()
        self.encoder = nn.LSTM(6, 8, batch_first=True)
        self.decoder = nn.LSTM(8, 8, batch_first=True)
        self.out = nn.Linear(8, 6)
        self.right = right

    def forward(self, x, lengths):
        if self.right:
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            z = self.encoder(packed)[1][0][-1]
        else:
            z = self.encoder(x)[1][0][-1]
        y, _ = self.decoder(z[:, None].expand(-1, x.size(1), -1))
        return self.out(y)


class Siamese(nn.Module):
    def __init__(self, right):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.right = right

    def encode(self, x, n):
        out, (h, _) = self.lstm(self.embedding(x))
        return out[torch.arange(len(x)), n - 1] if self.right else out[:, -1, :]

    def forward(self, q1, q1_len, q2, q2_len):
        return torch.exp(-(self.encode(q1, q1_len) - self.encode(q2, q2_len)).abs().sum(1))


class Hierarchical(nn.Module):
    """Documents of sentences of word_ids; sentences are padded in both."""

    def __init__(self, right):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.word_ids = nn.GRU(6, 6, batch_first=True)
        self.sentences = nn.GRU(6, 6, batch_first=True)
        self.out = nn.Linear(6, 2)
        self.right = right

    def forward(self, docs, doc_lengths, word_lengths):
        B, S, W = docs.shape
        x, _ = self.word_ids(self.embedding(docs.view(B * S, W)))
        x = x[torch.arange(B * S), word_lengths.view(-1).clamp(min=1) - 1].view(B, S, -1)
        if self.right:
            packed = pack_padded_sequence(x, doc_lengths.cpu(), batch_first=True, enforce_sorted=False)
            return self.out(self.sentences(packed)[1][0])
        return self.out(self.sentences(x)[1][0])


class Sorted(nn.Module):
    """Rows sorted by hand for packing."""

    def __init__(self, right):
        super().__init__()
        self.rnn = nn.GRU(6, 8, batch_first=True)
        self.out = nn.Linear(8, 3)
        self.right = right

    def forward(self, x, lengths):
        n, order = lengths.sort(descending=True)
        h = self.rnn(pack_padded_sequence(x[order], n.cpu(), batch_first=True))[1][0]
        if self.right:
            h = h[order.argsort()]
        return self.out(h)


def translation(seed, size):
    x, n = tokens(seed, size)
    trg = torch.randint(1, 20, (5, len(x)), generator=torch.Generator().manual_seed(seed))
    return (x.t().contiguous(), n, trg), {"lengths": "src_len"}


def sources(seed, size):
    x, n = floats(seed, size, 6)
    return (x, n, torch.randn(len(x), 7, 4, generator=torch.Generator().manual_seed(seed))), {
        "lengths": "source_lengths"
    }


def frames(seed, size):
    return floats(seed, size, 6), {}


def captions(seed, size):
    x, n = tokens(seed, size)
    return (torch.randn(len(x), 5, generator=torch.Generator().manual_seed(seed)), x, n), {}


def pairs(seed, size):
    a, n = tokens(seed, size)
    b, m = tokens(seed + 50, size)
    return (a, n, b, m), {"lengths": {"q1": "q1_len", "q2": "q2_len"}}


def documents(seed, size):
    B, S, n = ends(seed, size)
    g = torch.Generator().manual_seed(seed)
    word_ids = torch.randint(1, 6, (B, S), generator=g) * real(n, S)
    docs = torch.randint(1, 20, (B, S, 6), generator=g) * (torch.arange(6) < word_ids[..., None])
    return (docs, n, word_ids), {"lengths": "doc_lengths"}


CASES = {
    "seq2seq-encoder": (lambda: Seq2Seq(), lambda: Seq2Seq(packed=False), translation, "reads-padding", "encoder.rnn"),
    "seq2seq-attention": (
        lambda: Seq2Seq(),
        lambda: Seq2Seq(masked=False),
        translation,
        "depends-on-padded-width",
        "attention",
    ),
    "bridge": (lambda: Bridge(True), lambda: Bridge(False), sources, "reads-padding", "encoder"),
    "bridge-view": (lambda: BridgeView(True), lambda: BridgeView(False), frames, "rows-mixed", "BridgeView"),
    "captioner": (lambda: Captioner(True), lambda: Captioner(False), captions, "rows-mixed", "Captioner"),
    "autoencoder": (lambda: Autoencoder(True), lambda: Autoencoder(False), frames, "reads-padding", "encoder"),
    "siamese": (lambda: Siamese(True), lambda: Siamese(False), pairs, "reads-padding", "lstm|Siamese"),
    "hierarchical": (lambda: Hierarchical(True), lambda: Hierarchical(False), documents, "reads-padding", "sentences"),
    "sorted": (lambda: Sorted(True), lambda: Sorted(False), frames, "rows-mixed", "Sorted"),
}
