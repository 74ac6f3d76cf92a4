"""How numbers were rounded: by printing, or by a cast."""

from __future__ import annotations

from rnninspect.core.frozen import frozen


@frozen
class Precision:
    """To `decimals` (fixed notation), to `digits` behind the first one that counts (scientific notation), or by a cast
    to the type `kind` ("float16").

    None is known of numbers that were not rounded: whole ones, or as many digits as their type holds.
    """

    decimals: int | None = None
    digits: int | None = None
    kind: str | None = None

    def __str__(self) -> str:
        """In words: `4 decimals`, `5 significant digits`, `float16`, or all digits."""
        parts = [] if self.decimals is None else [f"{self.decimals} decimal{'s' if self.decimals != 1 else ''}"]
        parts += [] if self.digits is None else [f"{self.digits + 1} significant digits"]
        parts += [] if self.kind is None else [self.kind]
        return " and ".join(parts) or "all digits"


EXACT = Precision()
