"""What every format gives: named arrays and the facts the file states about itself. No format knows a framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rnninspect.trace import Array

ANONYMOUS = ""  # the name of the one array of a file that has no names (.npy, a nested list)


@dataclass(frozen=True, eq=False)
class NamedArrays:
    """The content of one file.

    `arrays`: names (nested groups joined by dots, list entries by their index) to numeric or boolean arrays, in the
    file's order; memory-mapped where the format allows. bfloat16 arrives as float32 (exactly) and is named in `dtypes`.
    `attributes`: plain values that the file states (an ONNX node's attributes, a Keras config), by the same naming.
    `notes`: what was done on the way in that a user should know ("lengths derived from the ragged rows").
    """

    arrays: Mapping[str, Array]
    source: str
    format: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    dtypes: Mapping[str, str] = field(default_factory=dict)
