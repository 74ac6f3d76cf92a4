"""Makes the `keras-file-*` models beside this file: what Keras 3 really writes, with inputs and results as `.npz`.

    pip install keras==3.15.1 torch && KERAS_BACKEND=torch python make_keras_files.py

Weights, inputs and padding are random (seed 1). Each model is saved as `.keras`, some as legacy `.h5` too; `NAME.npz`
holds a dump under Keras' names, the mask, and what the recurrent layer read as `inputs`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).resolve().parents[1] / "data" / "recorded"
B, T, F = 3, 6, 2
MASK = np.arange(T)[None] < np.array([6, 2, 4])[:, None]
draw = np.random.default_rng(1)
x = draw.normal(size=(B, T, F)).astype(np.float32)


def filled(model: Any) -> Any:
    model.set_weights([draw.normal(size=w.shape, scale=0.5).astype(np.float32) for w in model.get_weights()])
    return model


def record(name: str, model: Any, names: list[str], *suffixes: str) -> None:
    """Saves the model, and what it returns under `names` (the recurrent layer's own inputs first)."""
    for suffix in suffixes:
        model.save(HERE / f"keras-file-{name}{suffix}")
    results = keras.tree.flatten(model.predict([x, MASK], verbose=0))
    dump = dict(zip(names, results, strict=True))
    np.savez(HERE / f"keras-file-{name}.npz", mask=MASK, **dump)


def inputs() -> tuple[Any, Any]:
    return keras.Input((T, F)), keras.Input((T,), dtype="bool")


batch, mask = inputs()
returns = {"return_sequences": True, "return_state": True}
gru = layers.GRU(
    4,
    reset_after=False,
    activation="softsign",
    recurrent_activation="hard_sigmoid",
    go_backwards=True,
    name="reader",
    **returns,
)
trained = filled(keras.Model([batch, mask], [layers.Identity()(batch), *gru(batch, mask=mask)]))
trained.compile("adam", ["mse"] * 3)
trained.fit([x, MASK], [x, np.zeros((B, T, 4)), np.zeros((B, 4))], verbose=0)  # its optimizer has a state now
record("gru", trained, ["inputs", "outputs", "state_h"], ".keras", ".h5")

batch, mask = inputs()
wide = layers.Dense(3, activation="softmax")(batch)
below = layers.Bidirectional(layers.LSTM(3, return_sequences=True, activation="relu"), name="below")
above = layers.Bidirectional(layers.LSTM(2, activation="relu", **returns), name="above")
low = below(wide, mask=mask)
model = keras.Model([batch, mask], [wide, low, *above(low, mask=mask)])
names = ["inputs", "below.outputs", "above.outputs"]
names += ["above.forward_h", "above.forward_c", "above.backward_h", "above.backward_c"]
record("bilstm", filled(model), names, ".keras", ".h5")

batch, mask = inputs()
cells = [layers.GRUCell(4, activation="relu"), layers.GRUCell(3, activation="relu")]
stack = layers.RNN(cells, **returns)
model = keras.Model([batch, mask], [layers.Identity()(batch), *stack(batch, mask=mask)])
record("stacked", filled(model), ["inputs", "outputs", "states.0", "states.1"], ".keras")

batch = keras.Input((T, F))
narrow = layers.LSTM(3, dtype="bfloat16", recurrent_initializer="zeros")
model = filled(keras.Model(batch, narrow(batch)))
model.save_weights(HERE / "keras-file-bfloat16.weights.h5")
held = {f"layers/lstm/cell/vars/{i}": np.asarray(v.value.float().detach()) for i, v in enumerate(model.weights)}
np.savez(HERE / "keras-file-bfloat16.npz", **held)
