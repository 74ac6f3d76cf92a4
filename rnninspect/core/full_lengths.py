"""`full` in place of lengths: no row is shorter than the time axis."""

from __future__ import annotations

from typing import Literal

FULL = "full"  # reserved wherever lengths are named; a dump's member of that name is FILE#full

# Stated for this run; or assumed by a project's settings, which whatever a dump says of its lengths wins over.
FullLengths = Literal["stated", "assumed"]
