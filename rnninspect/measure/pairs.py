"""Two layers that arrays only number: they may be the (forward, backward) of one, or an LSTM's c and h."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnninspect.conventions.dumps.cell_behind import are_pairs, of_one_sign
from rnninspect.conventions.dumps.numbered_pairs import are_numbered_pairs, is_numbered_pair
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.wording import argument
from rnninspect.engine import cells
from rnninspect.measure.choose_reading import Choice
from rnninspect.measure.matching import gather

MOST_ROWS = 64  # rows that are looked at
LAYERS = "the layers"  # what a trace's `source` says this of
GROWN = 0.8  # how small outputs begin beside how they end, at most, where they are plainly read forward


def maybe_a_pair(choice: Choice, slots: tuple[Slot, ...]) -> Choice:
    """The choice, said to be undecided where its two layers were only numbered, may be a pair (forward, backward), and
    the outputs of the second begin no smaller than they end: a layer that reads backwards ends where it began."""
    trace = choice.reading.trace
    upper = next((facts for facts in choice.measured or () if facts.track.layer == 1), None)
    if upper is None or (trace.layers, trace.directions) != (2, 1) or not are_numbered_pairs(slots):
        return choice
    rows = np.flatnonzero(upper.real_counts > 1)[:MOST_ROWS]
    if not rows.size:
        return choice
    steps = upper.mask[rows].argmax(1), np.maximum(upper.expected[rows], 0)
    first, last = (float(np.abs(gather(upper.outputs, rows, at).astype(np.float64)).sum()) for at in steps)
    if first < GROWN * last:
        return choice
    because = (
        "none was stated; the arrays numbered 0 and 1 fit two layers, and so they do the (forward, backward) of one, "
        "whose backward state would then be at the wrong end"
    )
    source = {**trace.source, "direction": because}
    return replace(choice, reading=replace(choice.reading, trace=replace(trace, source=source)))


def maybe_c_and_h(choice: Choice, slots: tuple[Slot, ...], config: LayerConfig) -> Choice:
    """The choice, said to be undecided where a list of two states `[B, H]` was read as two layers, and the first may be
    the c behind the second: of its signs, and larger. Then it is one LSTM's list in the wrong order, (c, h), as well.

    Of many numbers the list is read so; of few, two layers look so by chance.
    """
    trace = choice.reading.trace
    final = {track.layer: track.final for track in trace.tracks if track.final is not None}
    if config.layers is not None or (trace.layers, trace.directions) != (2, 1) or len(final) != 2:
        return choice
    if (config.cell is not None and not cells.get(config.cell).has_c) or any(slot.role == "c" for slot in slots):
        return choice
    states = [slot for slot in slots if slot.role == "h"]
    if not is_numbered_pair(states) or sum(slot.role == "outputs" for slot in slots) != 1:
        return choice
    lower, upper = final[0], final[1]
    if lower.shape != upper.shape or not of_one_sign(upper, lower) or not are_pairs([upper], [lower]):
        return choice
    because = (
        "none were stated; the two states fit two layers, and so they do the (c, h) of one LSTM, whose h comes first "
        f"in most frameworks: state {argument('layers', 2)} or the cell (gru, lstm or rnn)"
    )
    source = {**trace.source, LAYERS: because}
    return replace(choice, reading=replace(choice.reading, trace=replace(trace, source=source)))
