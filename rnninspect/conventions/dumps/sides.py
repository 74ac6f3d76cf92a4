"""Encoder and decoder in one dump: whose lengths, mask and states are beside whose outputs, as their names say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rnninspect.conventions.dumps.names import is_usual
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.trace import Array

_SIDES = (r"enc|src|source", r"dec|tgt|trg|target")  # an encoder reads the source, a decoder the target


def is_of_other_layer(slot: Slot, slots: Iterable[Slot]) -> bool:
    """Whether a state is the decoder's by its name, and the outputs are the encoder's, or the other way round."""
    if slot.role not in ("h", "c"):
        return False
    outputs = next((s.name for s in slots if s.role == "outputs"), "")
    return any(re.match(one, slot.name) and re.match(other, outputs) for one, other in (("enc", "dec"), ("dec", "enc")))


def is_of_other_side(name: str, slots: Iterable[Slot]) -> bool:
    """Whether a name speaks of what an encoder reads, and the outputs, or else the state, are the decoder's; or the
    other way round."""
    names = {slot.role: slot.name for slot in slots if slot.role in ("outputs", "h")}
    return are_of_two_sides(name, names.get("outputs") or names.get("h") or "")


def of_own_side(role: Role, arrays: Mapping[str, Array], slots: Iterable[Slot]) -> dict[str, Array]:
    """The arrays without the other side's; with them where outputs are sought, and only those are called so:
    a decoder begins at its encoder's final state."""
    slots = list(slots)
    same_side = {n: a for n, a in arrays.items() if not is_of_other_side(n, slots)}
    return dict(arrays) if role == "outputs" and not any(is_usual("outputs", n) for n in same_side) else same_side


def are_of_two_sides(name: str, other_name: str) -> bool:
    """Whether one name speaks of what an encoder reads, and the other of a decoder's.

    >>> are_of_two_sides("src_lengths", "decoder_"), are_of_two_sides("src_lengths", "encoder_")
    (True, False)
    """
    return any(re.match(one, name) and re.match(other, other_name) for one, other in (_SIDES, _SIDES[::-1]))
