"""A case's arrays under the names that fixes use, and what a fix made of them, track by track.

The names are those of `Rule.fix`. A fix is code that the package itself holds; what it is run on are copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rnninspect.core.trace import Array, Direction, Track
from rnninspect.diagnosis.case import Case
from rnninspect.errors import UserError

Names = dict[str, Any]
Field = Literal["outputs", "final", "cell", "lengths", "mask", "inputs"]
HALVES: dict[Direction, str] = {"forward": "fw", "backward": "bw"}


@dataclass(frozen=True, eq=False)
class Mended:
    """One array as a fix leaves it: a track's field, or (`track` None) what all tracks share.

    Outputs and inputs are `[B, T, …]` here, whatever axes the dump has.
    """

    field: Field
    array: Array
    track: Track | None = None


def run(case: Case, code: str, layer: int, of_cell: bool = False) -> list[Mended]:
    """What the code makes of a layer's arrays: those that it changed. `of_cell`: c stands where it says h.

    Raises UserError where it needs an array that there is not.
    """
    names = names_of(case, layer, of_cell)
    before = {name: np.array(value) for name, value in names.items() if isinstance(value, np.ndarray)}
    try:
        exec(compile(code, "<fix>", "exec"), names)  # a rule's own text, into which no user's goes
    except NameError as missing:
        raise UserError(f"these arrays hold no {missing.name}, which its fix needs: run again, and save it") from None
    changed = {n: names[n] for n, old in before.items() if n in names and not _same(old, np.asarray(names[n]))}
    return list(_taken_apart(case, layer, changed, of_cell))


def names_of(case: Case, layer: int, of_cell: bool = False) -> Names:
    """A layer's arrays under the names that fixes use, in the axes of the dump; copies, which a fix may write into."""
    trace, tracks = case.trace, _layer(case, layer)
    field, beside = ("cell", "final") if of_cell else ("final", "cell")
    names: Names = {"np": np, "B": trace.batch_size, "T": trace.steps, "L": trace.layers, "D": trace.directions}
    names |= {"lengths": _lengths(case), "mask": trace.mask}
    names |= _by_direction(
        "outputs", [t.outputs if t.outputs is None else stored(case, t.outputs) for t in tracks], tracks
    )
    names |= _by_direction("h", [getattr(t, field) for t in tracks], tracks)
    names |= _by_direction("c", [getattr(t, beside) for t in tracks], tracks)
    names |= _by_direction("h_0", [_initial(t, of_cell) for t in tracks], tracks)
    for name, state in (("states", field), ("cells", beside)):
        states = [getattr(t, state) for t in trace.tracks]
        if all(s is not None for s in states) and len({s.shape for s in states}) == 1:
            names[name] = np.stack(states)
    if "states" in names:
        names["final"] = np.concatenate(list(names["states"]), -1)
        by_layer = names["states"].reshape(trace.layers, trace.directions, trace.batch_size, -1)
        names["joined"] = by_layer.swapaxes(1, 2).reshape(trace.layers, trace.batch_size, -1)
    if case.batch is not None:
        names["inputs"] = stored(case, case.batch.inputs)
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in names.items()}


def _taken_apart(case: Case, layer: int, changed: Mapping[str, Any], of_cell: bool) -> Iterator[Mended]:
    """What changed, by track."""
    tracks = _layer(case, layer)
    fields: dict[str, Field] = {"h": "cell" if of_cell else "final", "c": "final" if of_cell else "cell"}
    for name, array in changed.items():
        if name in ("lengths", "mask"):
            yield Mended(name, array)  # type: ignore[arg-type]
        elif name == "inputs":
            yield Mended("inputs", stored(case, array))
        elif name in ("states", "cells"):
            yield from _each(fields["h" if name == "states" else "c"], list(array), case.trace.tracks)
        elif name == "joined":
            halves = [half for both in array for half in np.split(both, case.trace.directions, -1)]
            yield from _each(fields["h"], halves, case.trace.tracks)
        elif name == "final":
            yield from _each(fields["h"], np.split(array, len(case.trace.tracks), -1), case.trace.tracks)
        elif name in fields or name == "outputs":
            halves = np.split(array, len(tracks), -1)
            mended = [stored(case, half) for half in halves] if name == "outputs" else halves
            yield from _each(fields.get(name, "outputs"), mended, tracks)
        else:
            whole, _, way = name.rpartition("_")
            alone = [t for t in tracks if HALVES[t.direction] == way]
            mended = [stored(case, array)] if whole == "outputs" else [array]
            if whole in (*fields, "outputs"):
                yield from _each(fields.get(whole, "outputs"), mended, alone)


def _each(field: Field, arrays: Sequence[Array], tracks: Sequence[Track]) -> Iterator[Mended]:
    for array, track in zip(arrays, tracks, strict=True):
        yield Mended(field, array, track)


def _by_direction(name: str, halves: list[Any], tracks: Sequence[Track]) -> Names:
    """The directions side by side, as far as they are there, and each under a name of its own where there are two."""
    there = [half for half in halves if half is not None]
    names: Names = {name: np.concatenate(there, -1)} if there else {}
    if len(halves) > 1:
        names |= {
            f"{name}_{HALVES[track.direction]}": half
            for half, track in zip(halves, tracks, strict=True)
            if half is not None
        }
    return names


def _layer(case: Case, layer: int) -> list[Track]:
    return [t for t in case.trace.tracks if t.layer == layer]


def _initial(track: Track, of_cell: bool) -> Array | None:
    """The initial state, zeros where the dump has none and the final one is there."""
    initial, final = (track.initial_cell, track.cell) if of_cell else (track.initial, track.final)
    return np.zeros_like(final) if initial is None and final is not None else initial


def _lengths(case: Case) -> Array:
    """`[B]`: as stated, else as many as steps are real."""
    lengths = case.trace.lengths
    return np.asarray(case.trace.real_counts if lengths is None else lengths)


def stored(case: Case, array: Array) -> Array:
    """`[B, T, …]` in the axes of the dump, and back."""
    return array.swapaxes(0, 1) if case.reading.time_major else array


def _same(old: Array, new: Array) -> bool:
    return old.shape == new.shape and bool(np.array_equal(old, new, equal_nan=old.dtype.kind == "f"))
