"""The named arrays that are to be read, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from rnninspect.conventions import get
from rnninspect.conventions.dumps.elided import Gaps
from rnninspect.conventions.dumps.other_axes import Turned
from rnninspect.core.evidence import UNKNOWN, Belief, Origin, Role, Slot
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.precision import Precision
from rnninspect.core.trace import Array


@frozen(eq=False)
class DumpArrays:
    """What was handed over. `named`: arrays that the user named for a role. `returned`: what a framework's call
    returned, as slots. `origin`: where the arrays come from. `convention`: as stated, or `auto`. `as_printed`: whether
    numbers of unequal decimals are rounded alike (those of unequal types are); `printed`: to how many each array was,
    where known. `elided`: axes that a print-out cut short. `whole`: the names of arrays as the dump has them, where
    `arrays` have them without what all names share.
    """

    arrays: Mapping[str, Array]
    convention: str = "auto"
    named: Mapping[Role, Slot] = field(default_factory=dict)
    returned: tuple[Slot, ...] = ()
    origin: Origin = UNKNOWN
    as_printed: bool = True
    printed: Mapping[str, Precision] = field(default_factory=dict)
    elided: Mapping[str, Gaps] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)
    turned: Turned | None = None

    def under_whole_name(self, slot: Slot) -> Slot:
        """The slot with the name that its array has in the dump; the very slot where that is its name."""
        return replace(slot, name=self.whole[slot.name]) if slot.name in self.whole else slot

    def under_whole_names(self) -> DumpArrays:
        """The same with all names as the dump has them."""
        arrays = {self.whole.get(name, name): array for name, array in self.arrays.items()}
        printed = {self.whole.get(name, name): precision for name, precision in self.printed.items()}
        return replace(self, arrays=arrays, printed=printed, whole={})

    def turned_by(self, turned: Turned, slots: Sequence[Slot]) -> DumpArrays:
        """The same with the arrays of these slots turned, whoever named them or however they came."""
        outputs = next(slot.array for slot in slots if slot.role == "outputs")
        by_array = {id(slot.array): turned.array(slot, outputs) for slot in slots}

        def of_slot(slot: Slot) -> Slot:
            return replace(slot, array=by_array.get(id(slot.array), slot.array))

        return replace(
            self,
            arrays={name: by_array.get(id(array), array) for name, array in self.arrays.items()},
            named={role: of_slot(slot) for role, slot in self.named.items()},
            returned=tuple(map(of_slot, self.returned)),
            turned=turned,
        )

    def without_axes_of_node(self, config: LayerConfig) -> LayerConfig:
        """The config, its axes left open where only a model's node says that time comes first, and these are no node's
        own arrays, `[T, D, B, H]`: the graph around it turned them (an export of a batch-first layer does), or did not.
        """
        arrays = [*self.arrays.values(), *(slot.array for slot in (*self.named.values(), *self.returned))]
        if not config.axes_of_node or config.axes_stated or any(array.ndim == 4 for array in arrays):
            return config
        return replace(config, time_major=False)

    def order_is_told(self, beliefs: tuple[Belief, ...]) -> bool:
        """Whether one framework is known, or the weights leave open alone which of those that return h first."""
        if len(beliefs) == 1:
            return True
        of_weights = self.origin.weights
        return bool(of_weights) and all(b.name in of_weights and not get(b.name).cell_first for b in beliefs)
