"""What the weighing of a dump's readings gives."""

from __future__ import annotations

from rnninspect.conventions.base import Convention
from rnninspect.core.evidence import Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.measure.choose_reading import Choice, Tolerance


@frozen(eq=False)
class Weighed:
    """The choice, with whose arrays they are, the layer as it was read, and the arrays that have a role."""

    choice: Choice
    convention: Convention
    config: LayerConfig
    slots: tuple[Slot, ...]
    tolerance: Tolerance
