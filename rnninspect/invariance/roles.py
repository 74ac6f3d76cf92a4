"""Which arrays of a call are sequences, which are lengths and masks, and where their rows and steps lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnninspect.core.trace import Array, Bools
from rnninspect.errors import ShapeError
from rnninspect.invariance.batch import Batch, Group, Input, Kind, Layout, Side
from rnninspect.invariance.companions import companion
from rnninspect.invariance.padding_content import constant_step, with_padding
from rnninspect.invariance.sequence_axes import layouts, primary, real_steps
from rnninspect.invariance.statements import Sequences
from rnninspect.invariance.words import with_inner


@dataclass
class _Placing:
    """What is settled so far while inputs are placed: each input by its path, the groups, and the first sequence's
    layout and rows."""

    parts: dict[str, Input]
    groups: list[Group]
    layout: Layout | None = None
    rows: int | None = None

    def place(self, one: Input, layout: Layout, group: Group) -> Input:
        """Make an input the sequence of a new group."""
        placed = replace(one, kind="data", row=layout.row, time=layout.time, group=len(self.groups), noised=True)
        self.parts[one.path] = placed
        self.groups.append(group)
        return placed


def understood(
    inputs: Sequence[Input], sequences: Sequence[Sequences], choice: int = 0, side: Side | None = None
) -> Batch | None:
    """The batch with every array's part in it; `choice`: which layout of the first sequence, None where it has fewer.

    Raises ShapeError where no input has the rows and steps that lengths or masks speak of.
    """
    placing = _Placing({one.path: one for one in inputs}, [])
    settled = _place_stated(placing, inputs, sequences, choice, side) if sequences else _place_full(placing, choice)
    if not settled:
        return None
    assert placing.rows is not None
    assert placing.layout is not None
    batch = tuple(companion(placing.parts[one.path], placing.rows, placing.groups, placing.layout) for one in inputs)
    return Batch(with_inner(batch), tuple(placing.groups), placing.rows)


def _place_stated(
    placing: _Placing, inputs: Sequence[Input], sequences: Sequence[Sequences], choice: int, side: Side | None
) -> bool:
    """Place the input that each statement speaks of; False where the first has no layout of that number."""
    parts = placing.parts
    for number, stated_by in enumerate(sequences):
        if stated_by.name is not None:
            kind: Kind = "mask" if stated_by.is_mask else "lengths"
            parts[stated_by.name] = replace(parts[stated_by.name], kind=kind, group=number)
    taken: set[str] = set()
    placing.rows = sequences[0].rows
    for number, stated_by in enumerate(sequences):
        one = primary(list(parts.values()), stated_by, taken)
        if one is None and number:
            parts[stated_by.name or ""] = replace(parts[stated_by.name or ""], kind="other", group=None, row=0)
            placing.groups.append(Group(np.ones((stated_by.rows, 1), bool)))
            continue
        options = [] if one is None else _options(one, stated_by)
        if one is None or not options:
            raise ShapeError(_misfit(inputs, stated_by))
        if number == 0:
            if choice >= len(options):
                return False
            placing.layout = options[choice]
        layout = placing.layout if placing.layout in options else options[0]
        taken.add(one.path)
        group = _group(one, layout, stated_by, side)
        parts[one.path] = with_padding(placing.place(one, layout, group), group)
    return True


def _options(one: Input, stated_by: Sequences) -> list[Layout]:
    """The layouts of an array in which the statement fits."""
    options = list(layouts(one.array, stated_by.rows, stated_by.longest))
    if one.bare:  # it was padded here, row by row
        return [option for option in options if option == Layout(0, 1)]
    if stated_by.is_mask:
        options = [option for option in options if one.array.shape[option.time] == stated_by.longest]
    return options


def _group(one: Input, layout: Layout, stated_by: Sequences, side: Side | None) -> Group:
    """The real steps of a sequence, and the side of its padding: `side` where that is stated."""
    steps_first = np.moveaxis(one.array, (layout.row, layout.time), (0, 1))
    real = real_steps(stated_by, steps_first.shape[1])
    group = Group(real, side or _side(steps_first, real, stated_by))
    if group.side == "left" and not stated_by.is_mask:
        return replace(group, real=real[:, ::-1])
    return group


def _place_full(placing: _Placing, choice: int) -> bool:
    """Place the first input that can hold sequences, all of its steps real; False where it has no such layout."""
    inputs = list(placing.parts.values())
    one = primary(inputs, None, set())
    if one is None:
        raise ShapeError(f"no input has two axes or more: {', '.join(_shown(i) for i in inputs) or 'none'}")
    counts = one.array.shape[:2]
    options = list(dict.fromkeys(layout for rows in counts for layout in layouts(one.array, rows, 1)))
    if choice >= len(options):
        return False
    layout = placing.layout = options[choice]
    placing.rows = int(one.array.shape[layout.row])
    placing.place(one, layout, Group(np.ones((placing.rows, one.array.shape[layout.time]), bool)))
    return True


def _misfit(inputs: Sequence[Input], sequences: Sequences) -> str:
    what = "the mask says" if sequences.is_mask else "the lengths say"
    shapes = ", ".join(_shown(one) for one in inputs) or "none"
    return (
        f"no input has {sequences.rows} rows of {sequences.longest} steps or more, as {what}; the inputs are {shapes}"
    )


def _shown(one: Input) -> str:
    return f"{one.path} {list(one.array.shape)}"


def _side(steps: Array, real: Bools, sequences: Sequences) -> Side:
    """Where the padding is: of a mask where it says, of lengths on the left where only the left holds one value."""
    short = np.flatnonzero(~real.all(1) & real.any(1))
    if sequences.is_mask:
        return "left" if short.size and real[:, -1].all() and not real[short, 0].any() else "right"
    if not short.size:
        return "right"
    behind = [steps[b, real[b].sum() :] for b in short]
    before = [steps[b, : steps.shape[1] - real[b].sum()] for b in short]
    return "left" if constant_step(before) is not None and constant_step(behind) is None else "right"
