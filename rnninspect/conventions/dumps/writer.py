"""A trace -> arrays under a framework's own names and axes, as its users would have saved them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Direction, Trace, Track
from rnninspect.errors import UserError

StateField = Literal["final", "cell", "initial", "initial_cell"]


@frozen(eq=False)
class DumpNames:
    """Lays a trace's arrays out as a framework's users would have saved them."""

    trace: Trace
    config: LayerConfig

    @property
    def bidirectional(self) -> bool:
        return self.trace.directions > 1

    @property
    def has_cell(self) -> bool:
        return any(track.cell is not None for track in self.trace.tracks)

    def layer(self, layer: int) -> tuple[Track, ...]:
        """One layer's tracks, forward first."""
        return tuple(t for t in self.trace.tracks if t.layer == layer)

    def name(self, track: Track, name: str, direction_words: tuple[str, str]) -> str:
        """`name` with the direction's word where there are two, and the layer where there are several."""
        parts = [name]
        if self.bidirectional:
            parts.append(direction_words[track.direction == "backward"])
        if self.trace.layers > 1:
            parts.append(str(track.layer))
        return ".".join(parts)

    def time_axis(self, outputs: Array) -> Array:
        """`[B, T, …]` -> `[T, B, …]` where the user's axes are time-major."""
        return outputs.swapaxes(0, 1) if self.config.time_major else outputs

    def apart(self, layer: int) -> dict[Direction, Array]:
        """One layer's outputs by direction; empty where they were not recorded."""
        return {t.direction: self.time_axis(t.outputs) for t in self.layer(layer) if t.outputs is not None}

    def merged(self, layer: int, name: str = "outputs") -> dict[str, Array]:
        """One layer's outputs as one array: the directions side by side, or merged as stated (Keras `merge_mode`)."""
        arrays = list(self.apart(layer).values())
        if not arrays:
            return {}
        mode = self.config.merge_mode
        if len(arrays) == 1 or mode in ("concat", "none"):
            return {name: np.concatenate(arrays, -1) if len(arrays) > 1 else arrays[0]}
        both = arrays[0] * arrays[1] if mode == "mul" else arrays[0] + arrays[1]
        return {name: both / 2 if mode == "ave" else both}

    def top(self, name: str = "outputs") -> dict[str, Array]:
        """The top layer's outputs as one array."""
        return self.merged(self.trace.layers - 1, name)

    def stacked(self, **names: StateField) -> dict[str, Array]:
        """`[L*D, B, H]` by name: l0 forward, l0 backward, l1 forward, …; the top layer alone where no more is known.

        Raises UserError where layers have different widths: one array cannot hold them.
        """
        arrays = {}
        for name, field in names.items():
            recorded = [t for t in self.trace.tracks if getattr(t, field) is not None]
            every = len(recorded) == len(self.trace.tracks)
            if not recorded or not (every or recorded == list(self.layer(self.trace.layers - 1))):
                continue
            widths = [getattr(t, field).shape[-1] for t in recorded]
            if len(set(widths)) > 1:
                raise UserError(f"{name} holds all layers in one array, but their widths differ: {widths}")
            arrays[name] = np.stack([getattr(t, field) for t in recorded])
        return arrays
