"""What to write at a layer that reads padding: by what the layer computes, as its framework calls it."""

from __future__ import annotations

from collections.abc import Sequence

from rnninspect.core.regex import regex
from rnninspect.invariance.model import LayerCall

OF_PADDING = ("noise", "more")  # probes whose finding says that padding is read
_MASK = "mask = torch.arange(T) < lengths[:, None]  # [B, T], true where a step is real\n"
_STATISTICS = (
    "real = mask[:, None]  # of x [B, F, T], as the layer {name} reads it; in its place, statistics of real steps:\n"
    "n = real.sum(2, keepdim=True)\n"
    "mean = (x * real).sum(2, keepdim=True) / n\n"
    "variance = ((x - mean) ** 2 * real).sum(2, keepdim=True) / n\n"
    "y = (x - mean) / (variance + 1e-5).sqrt()"
)
_LOWEST = "x = x.masked_fill(~mask[:, None], torch.finfo(x.dtype).min)  # [B, F, T], before the layer {name}"

_OF_TORCH = {
    r"Conv(Transpose)?1d": "x = x * mask[:, None]  # [B, F, T], before the layer {name}: its windows reach the padding",
    r"Conv(Transpose)?2d": "x = x * mask[:, None, :, None]  # [B, C, T, F], before the layer {name}, which reads on",
    r"InstanceNorm1d": _STATISTICS,
    r"GroupNorm": "y = nn.LayerNorm(F)(x)  # [B, T, F], in place of the layer {name}: each step by itself",
    r"(Adaptive)?MaxPool1d": _LOWEST,
    r"AdaptiveAvgPool1d": "y = (x * mask[:, None]).sum(2) / lengths[:, None]  # x [B, F, T], in place of {name}",
    r"Softmax": "scores = scores.masked_fill(~mask, -torch.inf)  # before the layer {name}",
    r"MultiheadAttention": "{name}(x, x, x, key_padding_mask=~mask)  # batch_first=True, where x is [B, T, F]",
    r"TransformerEncoder(Layer)?": "{name}(x, src_key_padding_mask=~mask)  # batch_first=True, where x is [B, T, F]",
    r"TransformerDecoder(Layer)?": (
        "{name}(tgt, memory, tgt_key_padding_mask=~mask, memory_key_padding_mask=~mask)  # each of its own lengths"
    ),
    r"Transformer": (
        "{name}(src, tgt, src_key_padding_mask=~mask, tgt_key_padding_mask=~mask, memory_key_padding_mask=~mask)\n"
        "# each of its own lengths: the memory has those of src"
    ),
}
_BUILT = regex(r"Transformer((En|De)coder(Layer)?)?")
_OF_KERAS = {
    r"(LSTM|GRU|SimpleRNN|RNN|Bidirectional|ConvLSTM[1-3]D)": (
        "{name}(x, mask=mask)  # [B, T], true where a step is real; or, before the layer {name},\n"
        "x = keras.layers.Masking(0.0)(x)  # of vectors; of tokens Embedding(…, mask_zero=True)"
    ),
    r"Conv1D": "x = x * mask[..., None]  # [B, T, F], before the layer {name}: its windows reach into the padding",
    r"GlobalMaxPooling1D": "x = ops.where(mask[..., None], x, -1e9)  # before the layer {name}",
    r"GlobalAveragePooling1D": "{name}(x, mask=mask)  # [B, T], true where a step is real",
    r"MultiHeadAttention": "{name}(x, x, attention_mask=mask[:, None])  # [B, T], true where a step is real",
}
_BATCH_FIRST = "nn.{kind}(…, batch_first=True)  # the layer {name}: it reads [B, T, F]; without it [T, B, F]"


def layer_fix(call: LayerCall, calls: Sequence[LayerCall], framework: str, probe: str) -> str:
    """The code for a layer without a state, of which a probe shows that it reads padding, or that it takes rows for
    steps; empty where no code is known for it. `calls`: all calls of the run, those around it among them.
    """
    by_key = {one.key: one for one in calls}
    around = by_key.get(call.parent) if call.parent else None
    while around is not None and _BUILT.fullmatch(around.kind):  # whose own code is the framework's
        call, around = around, by_key.get(around.parent) if around.parent else None
    if around is not None and around.kind == "Bidirectional":  # the code calls it, not the two layers within
        call = around
    kinds = {"torch": _OF_TORCH, "keras": _OF_KERAS}.get(framework, {})
    code = next((code for kind, code in kinds.items() if regex(kind).fullmatch(call.kind)), "")
    if probe not in OF_PADDING:
        return _BATCH_FIRST.format(kind=call.kind, name=call.name) if "batch_first" in code else ""
    code = code.replace("{name}", call.name)
    return _MASK + code if code and framework == "torch" else code
