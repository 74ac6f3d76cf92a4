"""What every convention is made of: how users state a layer, how names become roles, and what a reading is.

A convention is one file that holds *all* knowledge of one framework: the names of its arrays, axes, the order of
states, gates and biases, its defaults, what it leaves in the padding, and the code that mends a mistake there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.feed import NO_FEEDS, Feed
from rnninspect.core.frozen import frozen
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Direction, PaddingPolicy, Trace, ZeroLength
from rnninspect.core.weights import Between, Weights

# The role of the array that each option (and each keyword of the API) names.
OPTION_ROLES: dict[str, Role] = {
    "outputs": "outputs",
    "state": "h",
    "cell_state": "c",
    "inputs": "inputs",
    "lengths": "lengths",
    "mask": "mask",
}

DIRECTION_WORDS: dict[str, Direction] = {
    "fw": "forward",
    "forward": "forward",
    "l": "forward",
    "bw": "backward",
    "backward": "backward",
    "r": "backward",
    "f": "forward",
    "b": "backward",
    "fwd": "forward",
    "bwd": "backward",
}


@frozen
class Gates:
    """The gates of a cell in the order of a framework's kernels, by its own letters; `remark`: what tables say more.

    >>> gates = Gates(("i", "j", "f", "o"), "(j = g), forget bias 1.0 at run time")
    >>> gates.in_order, str(gates)
    ('i j f o', 'i j f o (j = g), forget bias 1.0 at run time')
    """

    letters: tuple[str, ...]
    remark: str = ""

    @property
    def in_order(self) -> str:
        return " ".join(self.letters)

    def __str__(self) -> str:
        joint = "" if self.remark[:1] in ("", ",", ";") else " "
        return self.in_order + joint + self.remark


@frozen
class Facts:
    """A convention's row in the tables of `rnninspect list conventions` and of its page: read by people alone."""

    framework: str
    outputs: str
    state: str
    order: str
    padding: str
    zero_length: str
    lstm_gates: Gates
    gru_gates: Gates
    kernels: str
    biases: str
    source: str


class Convention:
    """One framework. Subclasses fill in the attributes and the four verbs of weights; dumps are mostly declared.

    `variables`: what names of weights look like here, for people. `cell_first`: a state is (c, h)
    here. `takes`: the cell attributes that its layers have. `own_options`: of a layer, what no other framework's has.
    `also_leaves`: what masked outputs may hold, besides `padding`, after a right call.
    `activations`: by cell, the ones that may stand for tanh there; a cell that is not listed takes any. `apart`: each
    direction may have activations of its own.
    `cells`: the kinds of cell whose weights it has names for. `borrows_names`: its variables are named as another
    framework's, which is the likelier owner of a file. `joins`: what a layer may read of the two directions below it.
    `classes`: what its layers are called, by cell; a cell class is called `…Cell`.
    `fixes`: code that mends a mistake here better than the rule's own fix does, by the name of the rule. `own_names`,
    `own_calls`: what the arrays and the functions of a rule's own code are called here, where that is otherwise.

    Of its dumps: `files`: suffixes of files that speak for it, and how much. `prints`: what its arrays have around them
    where they are printed, and how much that speaks for it. `time_major`: its layers' own default.
    `stacks_states`, `keeps_states_apart`: states come as `[L*D, B, H]`, as `[B, H]` each. `lists_by_direction`: a list
    of the states of several layers holds all forward ones before the backward ones. `four_axes`: the letters of outputs
    with four axes, batch-major and time-major. `prior`: how likely it is where nothing tells.
    """

    name: str
    facts: Facts
    variables: str
    names: Mapping[Role, tuple[str, ...]] = {}
    padding: PaddingPolicy = "zero"
    bidirectional_padding: PaddingPolicy | None = None
    also_leaves: frozenset[PaddingPolicy] = frozenset()
    zero_length: ZeroLength = "initial"
    cell_first: bool = False
    takes: frozenset[str] = frozenset()
    own_options: frozenset[str] = frozenset()
    activations: Mapping[str, tuple[str, ...]] = {}
    apart: bool = False
    cells: tuple[Cell, ...] = ("lstm", "gru", "rnn")
    borrows_names: bool = False
    files: Mapping[str, float] = {}
    prints: Mapping[str, float] = {}
    time_major: bool = False
    stacks_states: bool = False
    keeps_states_apart: bool = True
    lists_by_direction: bool = False
    four_axes: tuple[str, str] | None = None
    prior: float = 0.0
    joins: frozenset[Between] = frozenset({"concat"})
    fixes: Mapping[str, str] = {}
    own_names: Mapping[str, str] = {}
    own_calls: Mapping[str, str] = {}
    classes: Mapping[Cell, str] = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}

    two_directions: Mapping[str, str] = {}
    # What the fixes, written for `[B, T, H]` (or `[T, B, H]`: `fixes_time_major`), say of arrays with the other axes.
    other_axes: Mapping[str, str] = {}
    fixes_time_major: bool = False
    returns_all_states: bool = True  # a call returns c where there is one, whatever was asked for
    nests_layers: bool = False  # the state of a stack is a tuple of states, one a layer

    def fix(
        self,
        rule: str,
        time_major: bool | None = None,
        cell: Cell | None = None,
        directions: int = 1,
        layer: int | None = None,
        layers: int = 1,
    ) -> str | None:
        """This framework's own code against a mistake; None where it has none. They are written for an LSTM.

        `time_major`, `cell`, `directions`, `layers`: of the layer that is there; of two directions the final state is
        both halves, and `two_directions` holds the code that differs. `time_major` None: as the code is written.
        `layer`: the one at fault, where it is not the top one, so that its place in a stack of states is named.
        """
        from rnninspect.conventions.fixes.fitting import OF_BOTH_DIRECTIONS, of_cell, of_layer, of_stack, replaced

        theirs = rule if directions == 1 else OF_BOTH_DIRECTIONS.get(rule, rule)
        snippet = self.fixes.get(theirs, self.fixes.get(rule))
        snippet = self.two_directions.get(rule, snippet) if directions == 2 else snippet
        if snippet is None:
            return None
        lower = None if rule == "wrong-layer" else layer  # that one's right state is the top layer's
        if layers > 1 and self.nests_layers:
            snippet = of_stack(snippet, -1 if lower is None else lower)
        snippet = of_cell(of_layer(snippet, directions, lower), cell, self.classes)
        written = time_major is None or time_major == self.fixes_time_major
        if written or rule == "batch-time-swapped":  # there the axes themselves are at issue
            return snippet
        return replaced(snippet, self.other_axes)

    def spec(self, cell: Cell, attributes: Mapping[str, Any]) -> CellSpec:
        """The cell that this framework builds where the user states only `attributes`."""
        raise NotImplementedError

    def attributes(self, spec: CellSpec) -> dict[str, Any]:
        """What a user of this framework states to get this cell, so that `spec(cell, attributes)` gives it again.

        Raises UserError with every part of the cell that the framework has no attribute for.
        """
        raise NotImplementedError

    def options_from_config(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Options by their Python names out of what a file of this framework says about one layer."""
        return {}

    def is_recurrent(self, attributes: Mapping[str, Any]) -> bool:
        """Whether what a file of this framework says of one layer is about a recurrent one."""
        return False

    def owns_weights(self, names: tuple[str, ...]) -> bool:
        """Whether these look like this framework's variable names."""
        raise NotImplementedError

    def whole_cells(self, arrays: Mapping[str, Array]) -> int:
        """How many cells of this framework are there with all their parts, by their names and shapes."""
        return 0

    def read_weights(
        self, arrays: Mapping[str, Array], config: LayerConfig, feeds: Mapping[str, Feed] = NO_FEEDS
    ) -> Weights:
        """Canonical Weights from arrays under the framework's own names; ShapeError names what does not fit.

        `feeds`: what the layers read, where the file says it.
        """
        raise NotImplementedError

    def write_weights(self, weights: Weights) -> dict[str, Array]:
        """Arrays under the framework's own names; UserError says what this framework cannot express."""
        raise NotImplementedError

    def arrays_for(self, path: str, weights: Weights) -> dict[str, Array]:
        """What `write_weights` gives, under the names that the framework itself reads from a file of that name."""
        return self.write_weights(weights)

    def prepare(self, arrays: Mapping[str, Array], config: LayerConfig) -> Mapping[str, Array]:
        """A first word on the arrays, before names become roles (packed sequences are unpacked here)."""
        return arrays

    def state_batch_first(self, time_major: bool) -> bool:
        """Whether stacked states are `[B, L*D, H]` here where the user states nothing about it."""
        return False

    def place(self, slots: tuple[Slot, ...], config: LayerConfig) -> tuple[Slot, ...]:
        """A last word on the slots that the names gave (a list of states by position, c and h in one array)."""
        return slots

    def order(self, config: LayerConfig) -> Literal["time", "reversed", "within"]:
        """How a backward track of this framework lies along the stored time axis."""
        return "time"

    def padding_for(self, config: LayerConfig) -> PaddingPolicy:
        """What masked outputs hold here."""
        if config.padding is not None:
            return config.padding
        if self.bidirectional_padding and config.direction == "bidirectional":
            return self.bidirectional_padding
        return self.padding

    def dump(self, trace: Trace, config: LayerConfig, weights: Weights | None = None) -> dict[str, Array]:
        """The trace's arrays under this framework's own names and axes: what its users would have saved."""
        raise NotImplementedError
