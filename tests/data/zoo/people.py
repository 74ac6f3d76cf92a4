"""Eighty models as people write them, right and wrong, that the check was not written with.

CASES: name -> (right, wrong, batch of (seed, size), the findings of which one is to be made, a pattern of the place).
"""

from collections import namedtuple
from dataclasses import dataclass

import torch
from common import floats, tokens, ends, real
from torch import nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence as pack, pack_sequence, pad_packed_sequence as unpack, pad_sequence
RP, DW, RM, SU = "reads-padding", "depends-on-padded-width", "rows-mixed", "step-unread"
CASES = {}
def case(name, batch, finding, place=""):
    def deco(cls):
        CASES[name] = (lambda: cls(True), lambda: cls(False), batch, finding if isinstance(finding, tuple) else (finding,), place)
        return cls
    return deco
def ids(seed, size): x, n = tokens(seed, size); return (x, n), {}
def feats(F_, zero=True):
    def b(seed, size): x, n = floats(seed, size, F_, zero); return (x, n), {}
    return b

# text classifier attention pooling
@case("attn-pool-classifier", ids, (RP, DW), "")
class A1(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok
        s.emb = nn.Embedding(20, 8); s.drop = nn.Dropout(0.3)
        s.rnn = nn.LSTM(8, 10, batch_first=True, bidirectional=True, num_layers=2, dropout=0.2)
        s.att = nn.Linear(20, 1); s.out = nn.Linear(20, 4)
    def forward(s, ids, lengths):
        e = s.drop(s.emb(ids))
        p = pack(e, lengths, batch_first=True, enforce_sorted=False)
        o, _ = unpack(s.rnn(p)[0], batch_first=True, total_length=ids.shape[1])
        a = s.att(torch.tanh(o)).squeeze(-1)
        if s.ok:
            a = a.masked_fill(torch.arange(ids.shape[1])[None] >= lengths[:, None], float("-inf"))
        w = torch.softmax(a, 1)
        return s.out((w[..., None] * o).sum(1))

# unpacked last output
@case("gather-vs-last", ids, RP, "rnn|lstm|after|code")
class A2(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok
        s.embed = nn.Embedding(20, 6, padding_idx=0); s.lstm = nn.LSTM(6, 9, batch_first=True); s.cls = nn.Linear(9, 2)
    def forward(s, x, seq_lens):
        o, (h, c) = s.lstm(s.embed(x))
        if s.ok: last = o.gather(1, (seq_lens - 1).view(-1, 1, 1).expand(-1, 1, o.size(2))).squeeze(1)
        else: last = h[-1]
        return F.log_softmax(s.cls(last), dim=-1)

# CRNN
def images(seed, size):
    B, T, n = ends(seed, size); g = torch.Generator().manual_seed(seed)
    n = n * 2
    x = torch.randn(B, 1, 8, 2 * T, generator=g) * (torch.arange(2 * T)[None] < n[:, None])[:, None, None]
    return (x, n), {"lengths": "widths"}
@case("crnn", images, RP, "rnn|cnn")
class A3(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok
        s.cnn = nn.Sequential(nn.Conv2d(1, 4, (3, 1), padding=(1, 0)), nn.ReLU(), nn.MaxPool2d((2, 2)), nn.Conv2d(4, 6, (3, 1), padding=(1, 0)), nn.ReLU(), nn.MaxPool2d((4, 1)))
        s.rnn = nn.LSTM(6, 7, bidirectional=True); s.fc = nn.Linear(14, 11)
    def forward(s, img, widths):
        f = s.cnn(img).squeeze(2).permute(2, 0, 1)
        if s.ok:
            p = pack(f, (widths // 2).cpu(), enforce_sorted=False)
            y = unpack(s.rnn(p)[0], total_length=f.size(0))[0]
        else: y, _ = s.rnn(f)
        return s.fc(y).log_softmax(-1)

# DeepSpeech SequenceWise BatchNorm
@case("deepspeech-seqwise-bn", feats(6, False), RP, "bn|batch_norm")
class A4(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok
        s.bn = nn.BatchNorm1d(6); s.rnn = nn.GRU(6, 8, bidirectional=True); s.fc = nn.Linear(8, 5)
    def forward(s, x, lengths):
        x = x.transpose(0, 1); T, B, D = x.shape
        if s.ok:
            m = (torch.arange(T)[:, None] < lengths[None])
            y = x.new_zeros(T, B, D); y[m] = s.bn(x[m])
        else: y = s.bn(x.reshape(T * B, -1)).view(T, B, -1)
        o, _ = unpack(s.rnn(pack(y, lengths, enforce_sorted=False))[0], total_length=T)
        o = o.view(T, B, 2, -1).sum(2)
        return s.fc(o).transpose(0, 1), lengths

# seq2seq attention mask
def s2s(seed, size):
    x, n = tokens(seed, size); B = len(x); g = torch.Generator().manual_seed(seed + 7)
    return (x, n, torch.randint(1, 20, (B, 5), generator=g)), {"lengths": {"src": "src_len"}}
@case("bahdanau", s2s, (RP, DW), "")
class A5(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok
        s.se = nn.Embedding(20, 8); s.te = nn.Embedding(20, 8)
        s.enc = nn.GRU(8, 8, bidirectional=True, batch_first=True); s.bridge = nn.Linear(16, 12)
        s.wa = nn.Linear(16 + 12, 10); s.va = nn.Linear(10, 1, bias=False); s.cell = nn.GRUCell(8 + 16, 12); s.out = nn.Linear(12, 20)
    def forward(s, src, src_len, tgt):
        o, h = s.enc(pack(s.se(src), src_len, batch_first=True, enforce_sorted=False))
        o, _ = unpack(o, batch_first=True, total_length=src.size(1))
        st = torch.tanh(s.bridge(torch.cat([h[0], h[1]], 1)))
        outs = []
        for t in range(tgt.size(1)):
            e = s.va(torch.tanh(s.wa(torch.cat([o, st[:, None].expand(-1, o.size(1), -1)], -1)))).squeeze(-1)
            if s.ok: e = e.masked_fill(src.eq(0), -1e9)
            a = e.softmax(-1); ctx = torch.bmm(a[:, None], o).squeeze(1)
            st = s.cell(torch.cat([s.te(tgt[:, t]), ctx], -1), st); outs.append(s.out(st))
        return torch.stack(outs, 1)

# speaker encoder GE2E mean pooling
@case("speaker-mean", feats(7, False), RP, "")
class A6(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok
        s.lstm = nn.LSTM(7, 12, num_layers=2, batch_first=True); s.proj = nn.Linear(12, 6)
    def forward(s, mels, mel_lens):
        o, _ = s.lstm(mels)
        if s.ok:
            m = (torch.arange(o.size(1))[None] < mel_lens[:, None]).unsqueeze(-1).float()
            v = (o * m).sum(1) / m.sum(1)
        else: v = o.mean(dim=1)
        v = torch.relu(s.proj(v)); return v / v.norm(dim=1, keepdim=True)

# HAN
def docs(seed, size):
    g = torch.Generator().manual_seed(seed); B, S, W = [(3, 5, 7), (2, 6, 5), (4, 4, 6), (3, 3, 8), (5, 4, 5)][size % 5]
    sl = torch.randint(2, S + 1, (B,), generator=g); sl[0] = S; sl[1] = S - 1
    wl = torch.randint(1, W, (B, S), generator=g); wl[0, 0] = W
    wl = wl * (torch.arange(S)[None] < sl[:, None])
    x = torch.randint(1, 20, (B, S, W), generator=g) * (torch.arange(W) < wl[..., None])
    return (x, sl, wl), {}
@case("han", docs, RP, "")
class A7(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok
        s.emb = nn.Embedding(20, 6); s.wr = nn.GRU(6, 5, batch_first=True, bidirectional=True); s.wa = nn.Linear(10, 1)
        s.sr = nn.GRU(10, 5, batch_first=True, bidirectional=True); s.fc = nn.Linear(10, 3)
    def forward(s, docs, sent_lens, word_lens):
        B, S, W = docs.shape
        e = s.emb(docs).view(B * S, W, -1); wl = word_lens.view(-1).clamp(min=1)
        o = unpack(s.wr(pack(e, wl, batch_first=True, enforce_sorted=False))[0], batch_first=True, total_length=W)[0]
        a = s.wa(o).squeeze(-1).masked_fill(torch.arange(W)[None] >= wl[:, None], -1e9).softmax(-1)
        v = (o * a[..., None]).sum(1).view(B, S, -1)
        if s.ok:
            h = s.sr(pack(v, sent_lens, batch_first=True, enforce_sorted=False))[1]
        else: h = s.sr(v)[1]
        return s.fc(torch.cat([h[-2], h[-1]], -1))

# siamese
def two(seed, size):
    a, n = tokens(seed, size); b, m = tokens(seed + 50, size)
    return (a, n, b, m), {"lengths": {"a": "a_len", "b": "b_len"}}
@case("siamese", two, RP, "enc")
class A8(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.emb = nn.Embedding(20, 6, padding_idx=0); s.enc = nn.LSTM(6, 8, batch_first=True)
    def one(s, x, n):
        x = s.emb(x)
        return s.enc(pack(x, n, batch_first=True, enforce_sorted=False) if s.ok else x)[1][0][-1]
    def forward(s, a, a_len, b, b_len):
        return torch.exp(-(s.one(a, a_len) - s.one(b, b_len)).abs().sum(1))

# autoencoder
@case("autoencoder", feats(5), RP, "enc")
class A9(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.enc = nn.LSTM(5, 8, batch_first=True); s.dec = nn.LSTM(8, 8, batch_first=True); s.out = nn.Linear(8, 5)
    def forward(s, x, lengths):
        if s.ok: _, (h, _) = s.enc(pack(x, lengths, batch_first=True, enforce_sorted=False))
        else: _, (h, _) = s.enc(x)
        z = h[-1]; d, _ = s.dec(z.unsqueeze(1).repeat(1, x.size(1), 1))
        return {"recon": s.out(d), "z": z}

# captioning shrinking batch
def caps(seed, size):
    x, n = tokens(seed, size); g = torch.Generator().manual_seed(seed)
    n = n.sort(descending=True)[0]; x = torch.randint(1, 20, x.shape, generator=g) * real(n, x.size(1))
    return (torch.randn(len(x), 4, 6, generator=g), x, n), {"lengths": {"captions": "cap_lens"}}
@case("captioner-shrinking", caps, (RM,), "")
class A10(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.emb = nn.Embedding(20, 6); s.cell = nn.LSTMCell(12, 8); s.init = nn.Linear(6, 8); s.fc = nn.Linear(8, 20); s.att = nn.Linear(14, 1)
    def forward(s, feats, captions, cap_lens):
        lens, idx = cap_lens.sort(descending=True)
        if s.ok: feats, captions = feats[idx], captions[idx]
        else: captions = captions[idx]
        e = s.emb(captions); h = s.init(feats.mean(1)); c = torch.zeros_like(h)
        out = feats.new_zeros(len(feats), captions.size(1), 20)
        for t in range(int(lens.max())):
            bt = int((lens > t).sum())
            a = s.att(torch.cat([feats[:bt], h[:bt, None].expand(-1, 4, -1)], -1)).softmax(1)
            h, c = s.cell(torch.cat([e[:bt, t], (a * feats[:bt]).sum(1)], 1), (h[:bt], c[:bt]))
            out[:bt, t] = s.fc(h)
        return out[idx.argsort()]

# zoneout loop
@case("zoneout-loop", feats(5, False), RP, "")
class A11(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.cell = nn.LSTMCell(5, 7); s.z = 0.1
    def forward(s, x, lengths):
        h = c = x.new_zeros(len(x), 7)
        for t in range(x.size(1)):
            h2, c2 = s.cell(x[:, t], (h, c))
            h2 = s.z * h + (1 - s.z) * h2; c2 = s.z * c + (1 - s.z) * c2
            if s.ok:
                m = (t < lengths)[:, None]; h, c = torch.where(m, h2, h), torch.where(m, c2, c)
            else: h, c = h2, c2
        return h

# PPO episode resets: dones per step
def ppo(seed, size):
    x, n = floats(seed, size, 5, False); g = torch.Generator().manual_seed(seed)
    d = (torch.rand(x.shape[:2], generator=g) < 0.2).float()
    return (x.transpose(0, 1).contiguous(), d.t().contiguous()), {"lengths": "full"}
@case("ppo-resets", ppo, RM, "")
class A12(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.gru = nn.GRU(5, 6); s.pi = nn.Linear(6, 3)
    def forward(s, obs, dones):
        T, B = obs.shape[:2]; h = obs.new_zeros(1, B, 6); o = []
        for t in range(T):
            if s.ok: h = h * (1 - dones[t])[None, :, None]
            else: h = h * (1 - dones[t].max())
            y, h = s.gru(obs[t:t + 1], h); o.append(y)
        return s.pi(torch.cat(o))

# transformer encoder with src_key_padding_mask
def hf(seed, size):
    x, n = tokens(seed, size); return (), {"kwargs": {"input_ids": x, "attention_mask": real(n, x.size(1)).long()}}
@case("transformer-cls", hf, (RP, DW), "")
class A13(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.emb = nn.Embedding(20, 8); s.pos = nn.Embedding(64, 8)
        s.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False); s.fc = nn.Linear(8, 2)
    def forward(s, input_ids, attention_mask=None):
        x = s.emb(input_ids) + s.pos(torch.arange(input_ids.size(1)))
        y = s.enc(x, src_key_padding_mask=(attention_mask == 0) if s.ok else None)
        return {"logits": s.fc(y[:, 0]), "last_hidden_state": y}

# conv + masked max pooling (TextCNN)
@case("textcnn", ids, (RP, DW), "")
class A14(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.emb = nn.Embedding(20, 8); s.convs = nn.ModuleList([nn.Conv1d(8, 6, k, padding=k // 2) for k in (3, 5)]); s.fc = nn.Linear(12, 3)
    def forward(s, x, lengths):
        m = (torch.arange(x.size(1))[None] < lengths[:, None])
        e = s.emb(x)
        if s.ok: e = e * m[..., None]
        ys = [torch.relu(c(e.transpose(1, 2))) for c in s.convs]
        if s.ok: ys = [y.masked_fill(~m[:, None], 0) for y in ys]
        return s.fc(torch.cat([y.max(2)[0] for y in ys], 1))

# hand-written cell
@case("handwritten-gru", feats(4, False), RP, "")
class A15(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.x2h = nn.Linear(4, 18); s.h2h = nn.Linear(6, 18); s.out = nn.Linear(6, 2)
    def forward(s, x, lengths):
        h = x.new_zeros(x.size(0), 6); hs = []
        for t in range(x.size(1)):
            gx, gh = s.x2h(x[:, t]).chunk(3, 1), s.h2h(h).chunk(3, 1)
            r, z = torch.sigmoid(gx[0] + gh[0]), torch.sigmoid(gx[1] + gh[1]); n = torch.tanh(gx[2] + r * gh[2])
            h = (1 - z) * n + z * h; hs.append(h)
        hs = torch.stack(hs, 1)
        return s.out(hs[torch.arange(len(x)), lengths - 1] if s.ok else hs[:, -1])

# CTC head loss per row
def ctc(seed, size):
    x, n = floats(seed, size, 6, False); g = torch.Generator().manual_seed(seed)
    return (x, n, torch.randint(1, 5, (len(x), 2), generator=g)), {"lengths": {"x": "x_len"}}
@case("ctc-loss", ctc, RP, "")
class A16(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.LSTM(6, 8, batch_first=True); s.fc = nn.Linear(8, 5)
    def forward(s, x, x_len, y):
        o, _ = s.rnn(x); lp = s.fc(o).log_softmax(-1).transpose(0, 1)
        il = x_len if s.ok else torch.full_like(x_len, x.size(1))
        return F.ctc_loss(lp, y, il, torch.full((len(x),), 2), reduction="none")

# CRF-like
def crf(seed, size):
    x, n = tokens(seed, size); return (x,), {"mask": real(n, x.size(1)), "kwargs": {}}
def crf2(seed, size):
    x, n = tokens(seed, size); return (x, real(n, x.size(1))), {}
@case("crf-partition", crf2, (RP,), "")
class A17(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.emb = nn.Embedding(20, 6); s.rnn = nn.GRU(6, 5, batch_first=True); s.tag = nn.Linear(5, 4); s.trans = nn.Parameter(torch.randn(4, 4) * .3)
    def forward(s, text, mask):
        em = s.tag(s.rnn(s.emb(text))[0]); a = em[:, 0]
        for t in range(1, text.size(1)):
            nx = torch.logsumexp(a[:, :, None] + s.trans + em[:, t, None], 1)
            a = torch.where(mask[:, t, None], nx, a) if s.ok else nx
        return torch.logsumexp(a, 1)

# left padding
def left(seed, size):
    x, n = tokens(seed, size); B, T = x.shape
    y = torch.zeros_like(x); m = torch.zeros(B, T, dtype=torch.long)
    for b in range(B): y[b, T - n[b]:] = x[b, :n[b]]; m[b, T - n[b]:] = 1
    return (), {"kwargs": {"input_ids": y, "attention_mask": m}}
@case("left-padded-gpt", left, (RP, DW), "")
class A18(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.wte = nn.Embedding(20, 8); s.wpe = nn.Embedding(64, 8); s.attn = nn.MultiheadAttention(8, 2, batch_first=True); s.head = nn.Linear(8, 20)
    def forward(s, input_ids, attention_mask):
        T = input_ids.size(1)
        pos = (attention_mask.cumsum(-1) - 1).clamp(min=0) if s.ok else torch.arange(T)[None].expand_as(input_ids)
        x = s.wte(input_ids) + s.wpe(pos)
        m = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)[None] | (attention_mask[:, None] == 0)
        m = m & ~torch.eye(T, dtype=torch.bool)
        y, _ = s.attn(x, x, x, attn_mask=m.repeat_interleave(2, 0), need_weights=False)
        return s.head((x + y)[:, -1])

# batch_first mixture
@case("batch-first-mixed", feats(6, False), RM, "second|rnn")
class A19(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.first = nn.GRU(6, 6, batch_first=True); s.second = nn.GRU(6, 5, batch_first=ok)
    def forward(s, x, lengths):
        y, _ = s.first(x); y, _ = s.second(y); return y[torch.arange(len(x)), lengths - 1]

# LayerNorm over time
@case("layernorm-over-time", feats(6, False), (RP, DW), "norm|code|itself")
class A20(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.GRU(6, 8, batch_first=True); s.norm = nn.LayerNorm(8)
    def forward(s, x, lengths):
        y, _ = s.rnn(x)
        y = s.norm(y) if s.ok else F.layer_norm(y, y.shape[1:])
        return y

# InstanceNorm
@case("instancenorm", feats(6, False), (RP, DW), "norm")
class A21(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.norm = nn.InstanceNorm1d(6); s.rnn = nn.LSTM(6, 8, batch_first=True)
    def forward(s, x, lengths):
        m = (torch.arange(x.size(1))[None] < lengths[:, None])[..., None].float()
        if s.ok:
            mu = (x * m).sum(1, keepdim=True) / m.sum(1, keepdim=True); var = (((x - mu) ** 2) * m).sum(1, keepdim=True) / m.sum(1, keepdim=True)
            x = (x - mu) / (var + 1e-5).sqrt()
        else: x = s.norm(x.transpose(1, 2)).transpose(1, 2)
        o, (h, c) = s.rnn(pack(x, lengths, batch_first=True, enforce_sorted=False)); return h[-1]

# GroupNorm
@case("groupnorm", feats(4, False), (RP, DW), "gn|norm")
class A22(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.conv = nn.Conv1d(4, 8, 1); s.gn = nn.GroupNorm(2, 8); s.fc = nn.Linear(8, 3)
    def forward(s, x, lengths):
        y = s.conv(x.transpose(1, 2))
        if s.ok:
            B, Cc, T = y.shape; y = s.gn(y.transpose(1, 2).reshape(B * T, Cc)).view(B, T, Cc)
        else: y = s.gn(y).transpose(1, 2)
        m = (torch.arange(y.size(1))[None] < lengths[:, None])[..., None]
        return s.fc(y.masked_fill(~m, -1e9).max(1)[0])

# GLU conv
@case("glu-conv", feats(4, False), RP, "conv")
class A23(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.conv1 = nn.Conv1d(4, 16, 3, padding=1); s.conv2 = nn.Conv1d(8, 16, 3, padding=1)
    def forward(s, x, lengths):
        m = (torch.arange(x.size(1))[None] < lengths[:, None])[:, None].float(); x = x.transpose(1, 2)
        if s.ok: x = x * m
        y = F.glu(s.conv1(x), 1)
        if s.ok: y = y * m
        y = F.glu(s.conv2(y), 1)
        return y.transpose(1, 2)

# squeeze-excite
@case("squeeze-excite", feats(6), (RP, DW), "")
class A24(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.fc1 = nn.Linear(6, 3); s.fc2 = nn.Linear(3, 6); s.rnn = nn.GRU(6, 5, batch_first=True)
    def forward(s, x, x_lengths):
        m = (torch.arange(x.size(1))[None] < x_lengths[:, None])[..., None]
        z = (x * m).sum(1) / x_lengths[:, None] if s.ok else x.mean(1)
        x = x * torch.sigmoid(s.fc2(torch.relu(s.fc1(z))))[:, None]
        return s.rnn(pack(x, x_lengths, batch_first=True, enforce_sorted=False))[1][0]

# list of tensors
def ragged(seed, size):
    x, n = floats(seed, size, 5); return ([x[b, :n[b]] for b in range(len(x))],), {}
@case("list-of-tensors", ragged, (RP, RM, DW), "")
class A25(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.GRU(5, 7, batch_first=True)
    def forward(s, seqs):
        n = torch.tensor([len(q) for q in seqs]); x = pad_sequence(seqs, batch_first=True)
        o, h = s.rnn(pack(x, n, batch_first=True, enforce_sorted=False) if s.ok else x)
        return h[-1]

# dict outputs, mean over mask with inputs_embeds
def emb_in(seed, size):
    x, n = floats(seed, size, 8, False); return (), {"kwargs": {"inputs_embeds": x, "attention_mask": real(n, x.size(1)).long()}}
@case("inputs-embeds", emb_in, RP, "")
class A26(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.lin = nn.Linear(8, 8); s.ln = nn.LayerNorm(8)
    def forward(s, input_ids=None, attention_mask=None, inputs_embeds=None):
        q = s.ln(s.lin(inputs_embeds)); sc = q @ inputs_embeds.transpose(1, 2) / 8 ** .5
        ext = (1.0 - attention_mask[:, None].float()) * torch.finfo(sc.dtype).min
        y = (sc + (ext if s.ok else 0)).softmax(-1) @ inputs_embeds
        return {"last_hidden_state": y, "pooler_output": torch.tanh(y[:, 0])}

# tokens only with pad id
def only(seed, size): x, n = tokens(seed, size); return (x,), {"lengths": n}
@case("tokens-only", only, (RP, DW), "")
class A27(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.emb = nn.Embedding(20, 6, padding_idx=0); s.rnn = nn.LSTM(6, 8, batch_first=True, bidirectional=True); s.fc = nn.Linear(16, 2)
    def forward(s, ids):
        x = s.emb(ids)
        if s.ok:
            n = (ids != 0).sum(1); _, (h, _) = s.rnn(pack(x, n.cpu(), batch_first=True, enforce_sorted=False))
        else: _, (h, _) = s.rnn(x)
        return s.fc(torch.cat((h[-2], h[-1]), 1))

# h_n view wrong
@case("hn-view", feats(5, False), RM, "")
class A28(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.GRU(5, 6, batch_first=True, bidirectional=True); s.fc = nn.Linear(12, 3)
    def forward(s, x, lengths):
        h = s.rnn(pack(x, lengths, batch_first=True, enforce_sorted=False))[1]
        h = h.permute(1, 0, 2).reshape(len(x), -1) if s.ok else h.reshape(len(x), -1)
        return s.fc(h)

# sorted not restored
@case("sorted-not-restored", ids, RM, "")
class A29(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.emb = nn.Embedding(20, 6); s.rnn = nn.LSTM(6, 7, batch_first=True); s.fc = nn.Linear(7, 3)
    def forward(s, x, lengths):
        n, order = lengths.sort(descending=True)
        _, (h, _) = s.rnn(pack(s.emb(x[order]), n.cpu(), batch_first=True))
        h = h[-1]
        if s.ok: h = h[order.argsort()]
        return s.fc(h)

# restore with order instead of inverse
@case("restored-twice", ids, RM, "")
class A30(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.emb = nn.Embedding(20, 6); s.rnn = nn.GRU(6, 7, batch_first=True)
    def forward(s, x, lengths):
        n, order = lengths.sort(descending=True)
        o, _ = unpack(s.rnn(pack(s.emb(x[order]), n.cpu(), batch_first=True))[0], batch_first=True, total_length=x.size(1))
        return o[order.argsort()] if s.ok else o[order]

# flip whole row backward net
@case("flip-two-nets", feats(5, False), RP, "")
class A31(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.f = nn.GRU(5, 6, batch_first=True); s.b = nn.GRU(5, 6, batch_first=True); s.out = nn.Linear(12, 2)
    def rev(s, x, n):
        if not s.ok: return x.flip(1)
        T = x.size(1); i = torch.arange(T)[None].expand(len(x), T); j = torch.where(i < n[:, None], n[:, None] - 1 - i, i)
        return x.gather(1, j[..., None].expand_as(x))
    def forward(s, x, lengths):
        a, _ = s.f(x); b, _ = s.b(s.rev(x, lengths)); b = s.rev(b, lengths)
        return s.out(torch.cat([a, b], -1))

# time major last
def tm(seed, size): x, n = floats(seed, size, 5, False); return (x.transpose(0, 1).contiguous(), n), {}
@case("time-major-last", tm, RP, "")
class A32(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.RNN(5, 8, 2); s.fc = nn.Linear(8, 3)
    def forward(s, x, lengths):
        o, h = s.rnn(x)
        return s.fc(o[lengths - 1, torch.arange(x.size(1))] if s.ok else o[-1])

# off by one length gather -> step-unread
@case("off-by-one-gather", feats(5, False), SU, None)
class A33(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.GRU(5, 7, batch_first=True); s.fc = nn.Linear(7, 2)
    def forward(s, x, lengths):
        o, _ = s.rnn(x); return s.fc(o[torch.arange(len(x)), lengths - (1 if s.ok else 2)])

# first step dropped
@case("first-dropped", feats(5, False), SU, None)
class A34(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.GRU(5, 7, batch_first=True)
    def forward(s, x, lengths):
        if not s.ok: x, lengths = x[:, 1:], lengths - 1
        return s.rnn(pack(x, lengths, batch_first=True, enforce_sorted=False))[1][-1]

# softmax with mask multiply after
@case("mask-multiplied-softmax", feats(6), (RP, DW), "")
class A35(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.score = nn.Linear(6, 1); s.fc = nn.Linear(6, 2)
    def forward(s, x, mask):
        sc = s.score(x).squeeze(-1)
        a = sc.masked_fill(~mask, -1e9).softmax(1) if s.ok else (sc * mask).softmax(1)
        return s.fc((a[..., None] * x).sum(1))
def fm(seed, size): x, n = floats(seed, size, 6); return (x, real(n, x.size(1))), {}
CASES["mask-multiplied-softmax"] = (*CASES["mask-multiplied-softmax"][:2], fm, (RP, DW), "")

# softmax over batch
@case("softmax-over-batch", feats(6, False), RM, "")
class A36(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.GRU(6, 6, batch_first=True); s.fc = nn.Linear(6, 4)
    def forward(s, x, lengths):
        h = s.rnn(pack(x, lengths, batch_first=True, enforce_sorted=False))[1][-1]
        return s.fc(h).softmax(-1 if s.ok else 0)

# view instead of transpose
def square(seed, size): x, n = floats(seed, size, 5, False); return (x, n), {}
@case("view-for-transpose", square, (RM, RP, DW), "")
class A37(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.GRU(5, 6)
    def forward(s, x, lengths):
        B, T, D = x.shape
        y = x.transpose(0, 1) if s.ok else x.contiguous().view(T, B, D)
        o, _ = s.rnn(y); o = o.transpose(0, 1) if s.ok else o.reshape(B, T, -1)
        return o

# conv TDNN dilation with mask then stats pooling
@case("xvector-stats", feats(6, False), (RP, DW), "")
class A38(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.t1 = nn.Conv1d(6, 8, 3, dilation=1); s.fc = nn.Linear(16, 4)
    def forward(s, x, lengths):
        y = torch.relu(s.t1(x.transpose(1, 2))); n = lengths - 2
        if s.ok:
            m = (torch.arange(y.size(2))[None] < n[:, None])[:, None].float(); k = n[:, None].float()
            mu = (y * m).sum(2) / k; sd = ((((y - mu[..., None]) ** 2) * m).sum(2) / k + 1e-5).sqrt()
        else: mu, sd = y.mean(2), y.std(2)
        return s.fc(torch.cat([mu, sd], 1))

# BatchNorm over conv + rnn with padded eval? train-mode
@case("batchnorm-train", feats(6, False), RP, "bn")
class A39(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.lin = nn.Linear(6, 6); s.bn = nn.BatchNorm1d(6); s.rnn = nn.GRU(6, 5, batch_first=True)
    def forward(s, x, lengths):
        y = s.lin(x)
        if s.ok:
            m = torch.arange(x.size(1))[None] < lengths[:, None]; z = y.clone(); z[m] = s.bn(y[m]); y = z
        else: y = s.bn(y.transpose(1, 2)).transpose(1, 2)
        return s.rnn(pack(y, lengths, batch_first=True, enforce_sorted=False))[1][0]

# cudnn like bi-LSTM final from outputs[:, -1]
@case("bi-output-last", feats(6, False), (RP,), "")
class A40(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.LSTM(6, 5, batch_first=True, bidirectional=True)
    def forward(s, x, lengths):
        o, (h, _) = s.rnn(pack(x, lengths, batch_first=True, enforce_sorted=False)); o, _ = unpack(o, batch_first=True)
        if s.ok: return torch.cat([o[torch.arange(len(x)), lengths - 1, :5], o[:, 0, 5:]], 1)
        return o[:, -1]
CASES["bi-output-last"] = (*CASES["bi-output-last"][:3], (RP, DW, RM, SU), "")

# nested tuples batch dict
def nested(seed, size):
    x, n = tokens(seed, size); g = torch.Generator().manual_seed(seed)
    return ({"text": {"ids": x, "lengths": n}, "meta": torch.randn(len(x), 3, generator=g)},), {}
@case("nested-batch", nested, RP, "rnn")
class A41(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.emb = nn.Embedding(20, 6); s.rnn = nn.GRU(6, 6, batch_first=True); s.fc = nn.Linear(9, 2)
    def forward(s, batch):
        x = s.emb(batch["text"]["ids"]); n = batch["text"]["lengths"]
        h = s.rnn(pack(x, n.cpu(), batch_first=True, enforce_sorted=False) if s.ok else x)[1][-1]
        return s.fc(torch.cat([h, batch["meta"]], 1)), h

# LM per-token loss mean over padded
@case("nll-mean", ids, (RP, DW), "")
class A42(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.emb = nn.Embedding(20, 8); s.rnn = nn.LSTM(8, 8, batch_first=True); s.fc = nn.Linear(8, 20)
    def forward(s, x, lengths):
        o = s.fc(s.rnn(s.emb(x[:, :-1]))[0]); l = F.cross_entropy(o.transpose(1, 2), x[:, 1:], reduction="none")
        if s.ok:
            m = torch.arange(x.size(1) - 1)[None] < (lengths - 1)[:, None]; return (l * m).sum(1) / m.sum(1)
        return l.mean(1)

# cross attention two sequences with masks (True = pad)
def cross(seed, size):
    a, n = floats(seed, size, 8, False); b, m = floats(seed + 9, size, 8, False)
    return (a, b), {"kwargs": {"q_mask": ~real(n, a.size(1)), "kv_mask": ~real(m, b.size(1))}}
@case("cross-attention", cross, (RP,), "mha|attn|code")
class A43(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.mha = nn.MultiheadAttention(8, 2, batch_first=True)
    def forward(s, q, kv, q_mask=None, kv_mask=None):
        y, _ = s.mha(q, kv, kv, key_padding_mask=kv_mask if s.ok else None, need_weights=False)
        return y
CASES["cross-attention"] = (*CASES["cross-attention"][:2], cross, (RP,), "")
CASES["cross-attention-map"] = (*CASES["cross-attention"][:2], lambda sd, sz: ((lambda a: (a[0], {"mask": {"q": "q_mask", "kv": "kv_mask"}, **a[1]}))(cross(sd, sz))), (RP,), "")

# pyramidal (LAS)
@case("pyramidal-las", feats(4), (RP, DW), "")
class A44(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.l1 = nn.LSTM(4, 5, batch_first=True, bidirectional=True); s.l2 = nn.LSTM(20, 5, batch_first=True, bidirectional=True)
    def forward(s, x, lengths):
        if x.size(1) % 2: x = F.pad(x, (0, 0, 0, 1))
        o, _ = unpack(s.l1(pack(x, lengths, batch_first=True, enforce_sorted=False))[0], batch_first=True, total_length=x.size(1))
        y = o.reshape(len(x), x.size(1) // 2, -1); n = (lengths + 1) // 2
        if s.ok: return s.l2(pack(y, n, batch_first=True, enforce_sorted=False))[1][0].transpose(0, 1).reshape(len(x), -1)
        return s.l2(y)[1][0].transpose(0, 1).reshape(len(x), -1)

# gate of a highway conv with global max over T no mask (relu'd, negative outputs)
@case("tanh-max-pool", feats(5), (RP, DW), "")
class A45(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.LSTM(5, 8, batch_first=True, bidirectional=True)
    def forward(s, x, lengths):
        o, _ = unpack(s.rnn(pack(x, lengths, batch_first=True, enforce_sorted=False))[0], batch_first=True, total_length=x.size(1), padding_value=-1e4 if s.ok else 0.0)
        return o.max(1)[0]

# numpy-style lengths list; stateful h0 by learned param reshaped
def listed(seed, size): x, n = floats(seed, size, 5, False); return (x, n.tolist()), {}
@case("lengths-as-list", listed, RP, "rnn")
class A46(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.h0 = nn.Parameter(torch.randn(1, 1, 6)); s.rnn = nn.GRU(5, 6, batch_first=True)
    def forward(s, x, lengths):
        h0 = s.h0.expand(1, x.size(0), 6).contiguous()
        return s.rnn(pack(x, lengths, batch_first=True, enforce_sorted=False) if s.ok else x, h0)[1].squeeze(0)

# wrong-sorted lengths (features sorted, lengths not)
@case("lengths-not-sorted-along", feats(5, False), (RP, RM), "rnn|cell|itself")
class A47(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.GRU(5, 6, batch_first=True)
    def forward(s, x, lengths):
        order = lengths.argsort(descending=True); inv = order.argsort()
        o, _ = s.rnn(x[order]); n = lengths[order] if s.ok else lengths
        return o[torch.arange(len(x)), n - 1][inv]

# decoder init from wrong rows (repeat vs repeat_interleave beam)
@case("beam-repeat", feats(5, False), RM, "")
class A48(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.enc = nn.GRU(5, 6, batch_first=True); s.mem = nn.Linear(5, 6); s.out = nn.Linear(12, 4)
    def forward(s, x, lengths):
        h = s.enc(pack(x, lengths, batch_first=True, enforce_sorted=False))[1][0]; k = 2; B = len(x)
        m = s.mem(x[:, 0]).repeat_interleave(k, 0)
        h = h.repeat_interleave(k, 0) if s.ok else h.repeat(k, 1)
        return s.out(torch.cat([h, m], 1)).view(B, k, 4)

# stacked custom layers with residual and layernorm, time mixing (gMLP/MLP-Mixer): linear over T not possible; use cumulative mean
@case("cumulative-vs-global-mean", feats(5, False), (RP, DW), "")
class A49(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.lin = nn.Linear(10, 5)
    def forward(s, x, lengths):
        m = (torch.arange(x.size(1))[None] < lengths[:, None])[..., None].float()
        g = (x * m).sum(1, keepdim=True) / (m.sum(1, keepdim=True) if s.ok else x.size(1))
        return torch.tanh(s.lin(torch.cat([x, g.expand_as(x)], -1)))

# EOS from argmax / last nonzero
@case("relative-positions-from-end", feats(6, False), DW, "")
class A50(nn.Module):
    def __init__(s, ok):
        super().__init__(); s.ok = ok; s.rnn = nn.GRU(7, 6, batch_first=True)
    def forward(s, x, lengths):
        T = x.size(1); p = (torch.arange(T)[None].float() / (lengths[:, None].float() if s.ok else float(T))).expand(len(x), T)
        return s.rnn(torch.cat([x, p[..., None]], -1))[0]

def msk(F_, zero=False):
    def b(seed, size): x, n = floats(seed, size, F_, zero); return (x, real(n, x.size(1))), {}
    return b
class B(nn.Module):
    def __init__(s, ok): super().__init__(); s.ok = ok; s.build()

@case("bpe-bilstm-crf-decode", ids, (RP,))
class U1(B):
    def build(s): s.e = nn.Embedding(20, 6, padding_idx=0); s.l = nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True, dropout=.1); s.t = nn.Linear(10, 4)
    def forward(s, x, lens):
        e = s.e(x)
        if s.ok: o = unpack(s.l(pack(e, lens.cpu(), batch_first=True, enforce_sorted=False))[0], batch_first=True, total_length=x.size(1))[0]
        else: o = s.l(e)[0]
        em = s.t(o); return em, em.argmax(-1)

@case("hand-backward-loop", feats(4, False), (RP, DW))
class U2(B):
    def build(s): s.c = nn.GRUCell(4, 6); s.o = nn.Linear(6, 2)
    def forward(s, x, lengths):
        h = x.new_zeros(len(x), 6); outs = [None] * x.size(1)
        for t in reversed(range(x.size(1))):
            n = s.c(x[:, t], h)
            h = torch.where((t < lengths)[:, None], n, h) if s.ok else n
            outs[t] = h
        return s.o(torch.stack(outs, 1))

@case("masked-mean-keepdim-bug", msk(5), (RM, RP, DW))
class U3(B):
    def build(s): s.g = nn.GRU(5, 6, batch_first=True)
    def forward(s, x, mask):
        y = s.g(x)[0] * mask[..., None]
        return y.sum(1) / (mask.sum(1, keepdim=True) if s.ok else mask.sum() / len(x))

@case("conformer-conv-module", msk(6), (RP,))
class U4(B):
    def build(s): s.ln = nn.LayerNorm(6); s.pw = nn.Conv1d(6, 12, 1); s.dw = nn.Conv1d(6, 6, 5, padding=2, groups=6); s.out = nn.Linear(6, 3)
    def forward(s, x, pad_mask):
        y = F.glu(s.pw(s.ln(x).transpose(1, 2)), 1)
        if s.ok: y = y.masked_fill(~pad_mask[:, None], 0.)
        return s.out(F.silu(s.dw(y)).transpose(1, 2))

@case("decoder-cross-no-memory-mask", lambda sd, sz: ((lambda a, t: ((a[0], torch.randint(1, 20, (len(a[0]), 4), generator=torch.Generator().manual_seed(sd)), a[1]), {"lengths": {"src": "src_len"}}))(tokens(sd, sz), 0)), (RP, DW))
class U5(B):
    def build(s): s.e = nn.Embedding(20, 8); s.d = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, dropout=0.1), 1); s.enc = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    def forward(s, src, tgt, src_len):
        m = torch.arange(src.size(1))[None] >= src_len[:, None]
        mem = s.enc(s.e(src), src_key_padding_mask=m)
        c = torch.triu(torch.full((tgt.size(1), tgt.size(1)), float("-inf")), 1)
        return s.d(s.e(tgt), mem, tgt_mask=c, memory_key_padding_mask=m if s.ok else None)

@case("list-lengths-positional-tuple", lambda sd, sz: ((lambda a: (((a[0], a[1]),), {}))(tokens(sd, sz))), (RP,))
class U6(B):
    def build(s): s.e = nn.Embedding(20, 6); s.r = nn.GRU(6, 6, batch_first=True, bidirectional=True)
    def forward(s, text):
        x, n = text
        h = s.r(pack(s.e(x), n, batch_first=True, enforce_sorted=False) if s.ok else s.e(x))[1]
        return torch.cat((h[-2], h[-1]), dim=1)

@case("embedding-bag-mean", ids, (RP, DW))
class U7(B):
    def build(s): s.e = nn.Embedding(20, 6, padding_idx=0); s.f = nn.Linear(6, 2)
    def forward(s, x, lengths):
        e = s.e(x); return s.f(e.sum(1) / lengths[:, None].float() if s.ok else e.mean(1))

@case("wav-cnn-globalavg", feats(1, False), (RP, DW))
class U8(B):
    def build(s): s.c = nn.Conv1d(1, 4, 3, stride=2); s.f = nn.Linear(4, 2)
    def forward(s, wav, wav_lens):
        y = torch.relu(s.c(wav.transpose(1, 2))); n = (wav_lens - 3) // 2 + 1
        if s.ok:
            m = (torch.arange(y.size(2))[None] < n[:, None])[:, None]; p = (y * m).sum(2) / n[:, None]
        else: p = F.adaptive_avg_pool1d(y, 1).squeeze(2)
        return s.f(p)

@case("relative-lens-speechbrain", lambda sd, sz: ((lambda a: ((a[0], a[1].float() / a[0].size(1)), {}))(floats(sd, sz, 5, False))), (RP, DW))
class U9(B):
    def build(s): s.r = nn.GRU(5, 6, batch_first=True); s.f = nn.Linear(6, 2)
    def forward(s, feats, lens):
        y = s.r(feats)[0]; n = (lens * feats.size(1)).round().long()
        if s.ok: m = (torch.arange(y.size(1))[None] < n[:, None])[..., None].float(); v = (y * m).sum(1) / m.sum(1)
        else: v = y.mean(1)
        return s.f(v)

@case("dialogue-turns", lambda sd, sz: ((lambda g: ((torch.randn(3, 4, 6, 5, generator=g), torch.tensor([4, 2, 3])), {}))(torch.Generator().manual_seed(sd))), (RP,))
class U10(B):
    def build(s): s.u = nn.GRU(5, 6, batch_first=True); s.c = nn.GRU(6, 6, batch_first=True)
    def forward(s, turns, num_turns):
        Bn, T, W, D = turns.shape; v = s.u(turns.reshape(Bn * T, W, D))[1][0].view(Bn, T, -1)
        return s.c(pack(v, num_turns, batch_first=True, enforce_sorted=False) if s.ok else v)[1][0]

@case("namedtuple-out", feats(4, False), (RP,))
class U11(B):
    Out = namedtuple("Out", "state logits")
    def build(s): s.r = nn.LSTM(4, 6, batch_first=True, proj_size=3); s.f = nn.Linear(3, 2)
    def forward(s, x, lengths):
        o, (h, c) = s.r(pack(x, lengths, batch_first=True, enforce_sorted=False) if s.ok else x)
        return s.Out(h[-1], s.f(h[-1]))

@case("dataclass-batch", lambda sd, sz: ((lambda a: ((Bt(a[0], a[1]),), {}))(floats(sd, sz, 4, False))), (RP,))
class U12(B):
    def build(s): s.r = nn.GRU(4, 6, batch_first=True)
    def forward(s, batch):
        return s.r(pack(batch.x, batch.lengths, batch_first=True, enforce_sorted=False) if s.ok else batch.x)[1][0]
@dataclass
class Bt:
    x: torch.Tensor
    lengths: torch.Tensor

@case("kmax-pool", msk(5), (RP, DW))
class U13(B):
    def build(s): s.r = nn.GRU(5, 6, batch_first=True)
    def forward(s, x, mask):
        y = s.r(x)[0]
        if s.ok: y = y.masked_fill(~mask[..., None], -2)
        return y.topk(3, dim=1)[0].flatten(1)

@case("rope-attn-left", lambda sd, sz: ((lambda a: ((a[0], real(a[1], a[0].size(1))), {}))(floats(sd, sz, 8, False))), (RP,))
class U14(B):
    def build(s): s.q = nn.Linear(8, 8); s.k = nn.Linear(8, 8); s.v = nn.Linear(8, 8)
    def forward(s, hidden, padding_mask):
        at = F.scaled_dot_product_attention(s.q(hidden)[:, None], s.k(hidden)[:, None], s.v(hidden)[:, None], attn_mask=padding_mask[:, None, None, :] if s.ok else None)
        return at[:, 0]

@case("batch-mean-centering", feats(5, False), RM)
class U15(B):
    def build(s): s.r = nn.GRU(5, 6, batch_first=True)
    def forward(s, x, lengths):
        h = s.r(pack(x, lengths, batch_first=True, enforce_sorted=False))[1][0]
        return h - h.mean(1 if s.ok else 0, keepdim=True)

@case("time-distributed-bn2d", lambda sd, sz: ((lambda a: ((a[0][..., None].expand(-1, -1, -1, 2).contiguous(), a[1]), {}))(floats(sd, sz, 4, False))), (RP,))
class U16(B):
    def build(s): s.bn = nn.BatchNorm2d(1); s.r = nn.GRU(8, 5, batch_first=True)
    def forward(s, spec, lengths):
        if s.ok: x = spec
        else: x = s.bn(spec.flatten(2)[:, None])[:, 0].view_as(spec)
        return s.r(pack(x.flatten(2), lengths, batch_first=True, enforce_sorted=False))[1][0]

@case("teacher-forcing-dec-init", lambda sd, sz: ((lambda a: ((a[0], a[1], torch.randint(1, 20, (len(a[0]), 3), generator=torch.Generator().manual_seed(sd))), {"lengths": {"src": "src_lens"}}))(tokens(sd, sz))), (RP, DW))
class U17(B):
    def build(s): s.e = nn.Embedding(20, 6); s.enc = nn.LSTM(6, 6, batch_first=True); s.dec = nn.LSTM(6, 6, batch_first=True); s.o = nn.Linear(6, 20)
    def forward(s, src, src_lens, tgt):
        e = s.e(src); _, hc = s.enc(pack(e, src_lens, batch_first=True, enforce_sorted=False) if s.ok else e)
        return s.o(s.dec(s.e(tgt), hc)[0])

@case("h0-view-bug", feats(5, False), RM)
class U18(B):
    def build(s): s.enc = nn.GRU(5, 4, batch_first=True, bidirectional=True); s.dec = nn.GRU(5, 8, batch_first=True)
    def forward(s, x, lengths):
        p = pack(x, lengths, batch_first=True, enforce_sorted=False); h = s.enc(p)[1]
        h0 = (h.transpose(0, 1).reshape(1, len(x), 8) if s.ok else h.view(1, len(x), 8)).contiguous()
        return s.dec(p, h0)[1][0]

@case("indrnn-unrolled-list", feats(4, False), (RP,))
class U19(B):
    def build(s): s.w = nn.Linear(4, 5); s.u = nn.Parameter(torch.rand(5))
    def forward(s, x, lengths):
        h = torch.zeros(len(x), 5); out = []
        for t in range(x.shape[1]): h = torch.relu(s.w(x[:, t]) + s.u * h); out.append(h)
        out = torch.stack(out)
        return out[lengths - 1, torch.arange(len(x))] if s.ok else h

@case("ragged-pack-sequence", lambda sd, sz: ((lambda a: (([a[0][i, :k] for i, k in enumerate(a[1])],), {}))(floats(sd, sz, 4, False))), (RM, DW, RP))
class U20(B):
    def build(s): s.r = nn.GRU(4, 5)
    def forward(s, seqs):
        if s.ok: return s.r(pack_sequence(seqs, enforce_sorted=False))[1][0]
        return s.r(pad_sequence(seqs))[0][-1]

@case("multi-task-dict", ids, (RP, DW))
class U21(B):
    def build(s): s.e = nn.Embedding(20, 6); s.r = nn.GRU(6, 6, batch_first=True, bidirectional=True); s.a = nn.Linear(12, 2); s.b = nn.Linear(12, 3)
    def forward(s, tokens, token_lengths):
        o, h = s.r(pack(s.e(tokens), token_lengths, batch_first=True, enforce_sorted=False)); o = unpack(o, batch_first=True, total_length=tokens.size(1))[0]
        pooled = o.sum(1) / token_lengths[:, None] if s.ok else o.mean(1)
        return {"tags": s.b(o), "intent": s.a(pooled), "extras": [pooled, {"h": h.transpose(0, 1)}]}

@case("alibi-from-end", msk(6), (DW, RP))
class U22(B):
    def build(s): s.q = nn.Linear(6, 6)
    def forward(s, x, mask):
        T = x.size(1); pos = torch.arange(T) if s.ok else torch.arange(T) - T
        sc = (s.q(x) @ x.transpose(1, 2)) + 0.1 * pos[None, None] * (1 if s.ok else x.size(1) / 10)
        return sc.masked_fill(~mask[:, None], -1e9).softmax(-1) @ x

@case("per-row-minmax-norm", msk(5), (RP,))
class U23(B):
    def build(s): s.l = nn.Linear(5, 4)
    def forward(s, x, mask):
        if s.ok: lo = x.masked_fill(~mask[..., None], 1e9).amin(1, True); hi = x.masked_fill(~mask[..., None], -1e9).amax(1, True)
        else: lo, hi = x.amin(1, True), x.amax(1, True)
        return s.l((x - lo) / (hi - lo + 1e-5))

@case("global-norm-over-batch", feats(5, False), RM)
class U24(B):
    def build(s): s.r = nn.GRU(5, 6, batch_first=True)
    def forward(s, x, lengths):
        h = s.r(pack(x, lengths, batch_first=True, enforce_sorted=False))[1][0]
        return h / (h.norm(dim=1, keepdim=True) if s.ok else h.norm())

@case("qrnn-conv-pool", feats(4, False), (RP,))
class U25(B):
    def build(s): s.c = nn.Conv1d(4, 12, 2, padding=1)
    def forward(s, x, lengths):
        z, f, o = s.c(x.transpose(1, 2))[..., :-1].chunk(3, 1); h = 0; hs = []
        z, f, o = z.tanh(), f.sigmoid(), o.sigmoid()
        for t in range(x.size(1)): h = f[..., t] * h + (1 - f[..., t]) * z[..., t]; hs.append(o[..., t] * h)
        hs = torch.stack(hs, 1); return hs[torch.arange(len(x)), lengths - 1] if s.ok else hs[:, -1]

@case("scheduled-halting-act", msk(4), (RP,))
class U26(B):
    def build(s): s.c = nn.GRUCell(4, 5); s.p = nn.Linear(5, 1)
    def forward(s, x, mask):
        h = x.new_zeros(len(x), 5); acc = 0
        for t in range(x.size(1)):
            n = s.c(x[:, t], h); p = torch.sigmoid(s.p(n))
            if s.ok: m = mask[:, t, None]; n = torch.where(m, n, h); p = p * m
            h = n; acc = acc + p * h
        return acc

@case("stack-of-outputs-wrong-dim", feats(5, False), RM)
class U27(B):
    def build(s): s.c = nn.GRUCell(5, 6)
    def forward(s, x, lengths):
        h = x.new_zeros(len(x), 6); o = []
        for t in range(x.size(1)): h = s.c(x[:, t], h); o.append(h)
        y = torch.stack(o, 1) if s.ok else torch.cat(o, 0).view(len(x), x.size(1), 6)
        return y[torch.arange(len(x)), lengths - 1]

@case("bi-outputs-split-max", feats(5, False), (DW, RP))
class U28(B):
    def build(s): s.r = nn.LSTM(5, 6, batch_first=True, bidirectional=True)
    def forward(s, x, lengths):
        o = unpack(s.r(pack(x, lengths, batch_first=True, enforce_sorted=False))[0], batch_first=True, total_length=x.size(1))[0]
        if s.ok: o = o.masked_fill((torch.arange(x.size(1))[None] >= lengths[:, None])[..., None], -1e9)
        return F.max_pool1d(o.transpose(1, 2), o.size(1)).squeeze(2)

@case("prefix-cls-token", msk(6), (RP,))
class U29(B):
    def build(s): s.cls = nn.Parameter(torch.randn(1, 1, 6)); s.enc = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True)
    def forward(s, x, mask):
        x = torch.cat([s.cls.expand(len(x), -1, -1), x], 1); m = F.pad(mask, (1, 0), value=True)
        return s.enc(x, src_key_padding_mask=~m if s.ok else None)[:, 0]

@case("off-by-one-mask", feats(5, False), (RP, SU, DW))
class U30(B):
    def build(s): s.a = nn.Linear(5, 1)
    def forward(s, x, lengths):
        m = torch.arange(x.size(1))[None] < lengths[:, None] + (0 if s.ok else 1)
        w = s.a(x).squeeze(-1).masked_fill(~m, -1e9).softmax(1); return (w[..., None] * x).sum(1)

# Where each goes wrong, as its code says.
PLACES = {
    "attn-pool-classifier": "A1",
    "gather-vs-last": "lstm",
    "crnn": "rnn",
    "deepspeech-seqwise-bn": "A4",
    "bahdanau": "A5",
    "speaker-mean": "A6",
    "han": "sr",
    "siamese": "enc",
    "autoencoder": "enc",
    "captioner-shrinking": "A10",
    "zoneout-loop": "A11",
    "ppo-resets": "A12",
    "transformer-cls": "enc.layers.0.self_attn",
    "textcnn": "convs.0",
    "handwritten-gru": "A15",
    "ctc-loss": "A16",
    "crf-partition": "A17",
    "left-padded-gpt": "A18",
    "batch-first-mixed": "second",
    "layernorm-over-time": "A20",
    "instancenorm": "norm",
    "groupnorm": "gn",
    "glu-conv": "conv1",
    "squeeze-excite": "A24",
    "list-of-tensors": "rnn",
    "inputs-embeds": "A26",
    "tokens-only": "rnn",
    "hn-view": "A28",
    "sorted-not-restored": "A29",
    "restored-twice": "A30",
    "flip-two-nets": "A31",
    "time-major-last": "A32",
    "mask-multiplied-softmax": "A35",
    "softmax-over-batch": "A36",
    "view-for-transpose": "A37",
    "xvector-stats": "A38",
    "batchnorm-train": "bn",
    "bi-output-last": "A40",
    "nested-batch": "rnn",
    "nll-mean": "A42",
    "cross-attention": "mha",
    "cross-attention-map": "mha",
    "pyramidal-las": "l2",
    "tanh-max-pool": "A45",
    "lengths-as-list": "rnn",
    "lengths-not-sorted-along": "A47",
    "beam-repeat": "A48",
    "cumulative-vs-global-mean": "A49",
    "relative-positions-from-end": "A50",
    "bpe-bilstm-crf-decode": "l",
    "hand-backward-loop": "U2",
    "masked-mean-keepdim-bug": "U3",
    "conformer-conv-module": "dw",
    "decoder-cross-no-memory-mask": "d.layers.0.multihead_attn",
    "list-lengths-positional-tuple": "r",
    "embedding-bag-mean": "U7",
    "wav-cnn-globalavg": "U8",
    "relative-lens-speechbrain": "U9",
    "dialogue-turns": "c",
    "namedtuple-out": "r",
    "dataclass-batch": "r",
    "kmax-pool": "U13",
    "rope-attn-left": "U14",
    "batch-mean-centering": "U15",
    "time-distributed-bn2d": "bn",
    "teacher-forcing-dec-init": "enc",
    "h0-view-bug": "U18",
    "indrnn-unrolled-list": "U19",
    "ragged-pack-sequence": "U20",
    "multi-task-dict": "U21",
    "alibi-from-end": "U22",
    "per-row-minmax-norm": "U23",
    "global-norm-over-batch": "U24",
    "qrnn-conv-pool": "c|U25",
    "scheduled-halting-act": "U26",
    "stack-of-outputs-wrong-dim": "U27",
    "bi-outputs-split-max": "U28",
    "prefix-cls-token": "enc.self_attn",
    "off-by-one-mask": "U30"
}
