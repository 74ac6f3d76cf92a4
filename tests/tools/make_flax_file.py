"""Makes `flax-file-lstm.msgpack` beside this file: a parameter tree as Flax writes it, with a run as `.npz`.

    pip install flax==0.12.8 && python make_flax_file.py

Two layers in float32 (parameters, inputs and padding random, seed 1), and beside them one array in bfloat16, one in
chunks and a number, as training states have them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

HERE = Path(__file__).resolve().parents[1] / "data" / "recorded"
LENGTHS = np.array([6, 2, 4])
draw = np.random.default_rng(1)
x = draw.normal(size=(3, 6, 2)).astype(np.float32)


class Stack(nn.Module):
    @nn.compact
    def __call__(self, inputs: Any) -> Any:
        _, low = nn.RNN(nn.LSTMCell(4), return_carry=True, name="low")(inputs, seq_lengths=LENGTHS)
        return nn.RNN(nn.LSTMCell(3), return_carry=True, name="high")(low, seq_lengths=LENGTHS)


model = Stack()
shaped = model.init(jax.random.PRNGKey(0), x)
params = jax.tree.map(lambda a: jnp.asarray(draw.normal(size=a.shape, scale=0.5), jnp.float32), shaped)
(c, h), outputs = model.apply(params, x)
whole = draw.normal(size=(5, 7)).astype(np.float32)
narrow = jnp.asarray(whole, jnp.bfloat16)
serialization.MAX_CHUNK_SIZE = 100  # bytes, to have chunks in a small file
state = {**params, "ema": {"narrow": narrow, "chunked": whole}, "step": 7, "rate": np.float32(0.5)}
(HERE / "flax-file-lstm.msgpack").write_bytes(serialization.msgpack_serialize(serialization.to_state_dict(state)))
run = {"inputs": x, "seq_lengths": LENGTHS, "outputs": outputs, "carry.c": c, "carry.h": h}
held = {"ema/narrow": np.asarray(narrow, np.float32), "ema/chunked": whole}
np.savez(HERE / "flax-file-lstm.npz", **run, **held)
