"""Variables in a file to the layers of one stack: which cell is which layer and direction, and what is missing.

What is checked here is the same for every framework; a framework says how its variables are named and laid out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.layer_names import natural_order
from rnninspect.conventions.weights.checks import check_finite, check_stated, is_stack, units_of
from rnninspect.conventions.weights.express import attributes
from rnninspect.conventions.weights.joins import Placed, because, height, may_be_stated, reads_of, unjoined
from rnninspect.conventions.weights.scopes import Parts, Scope, find_scopes
from rnninspect.core.cell import Cell, CellSpec
from rnninspect.core.feed import NO_FEEDS, Feed
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array, Direction
from rnninspect.core.weights import Between, LayerWeights, Weights
from rnninspect.core.wording import argument
from rnninspect.engine import cells
from rnninspect.errors import ShapeError, UserError

if TYPE_CHECKING:
    from rnninspect.conventions.weights.prefix import LayerOverview


class ScopedConvention(Convention):
    """A framework whose weights are variables in scopes; the parts of reading that do not depend on which.

    `variable` matches a whole name (see `find_scopes`); `variables`: what names look like, for messages.
    `stacks_directions`: cells can be stacked within one direction, so that a layer reads its own direction alone.
    `of_cells`: its variables are a cell's, whatever runs it: a layer, or a loop of the user's own.
    """

    variable: re.Pattern[str]
    separator: str = "/"
    variables: str
    stacks_directions: bool = False
    of_cells: bool = False

    def attributes(self, spec: CellSpec) -> dict[str, Any]:
        return attributes(self, spec)

    def scopes(self, arrays: Mapping[str, Array], config: LayerConfig) -> tuple[Scope, ...]:
        """Every cell in the file."""
        return find_scopes(arrays, self.variable, self.separator, self.normalise_name)

    def normalise_name(self, name: str) -> str:
        """A variable's name as `variable` expects it, where the framework has several spellings."""
        return name

    def cell_of(self, scope: Scope) -> Cell | None:
        """The cell that these variables are of, or None where they do not tell."""
        raise NotImplementedError

    def parts(self, scope: Scope, cell: Cell) -> Parts:
        """What such a cell is made of here."""
        raise NotImplementedError

    def read_layer(self, scope: Scope, spec: CellSpec, layer: int, direction: Direction) -> LayerWeights:
        """One cell's canonical gates; ShapeError names the array that does not fit."""
        raise NotImplementedError

    def spec_of(self, scopes: Sequence[Scope], cell: Cell, config: LayerConfig) -> CellSpec:
        """The cell as stated; a framework may learn more from the arrays."""
        return self.spec(cell, config.attributes)

    def backward_spec(self, scopes: Sequence[Scope], cell: Cell, config: LayerConfig) -> CellSpec | None:
        """The cell of the backward direction, where it computes otherwise than the forward one."""
        return None

    def whole_cells(self, arrays: Mapping[str, Array]) -> int:
        try:
            scopes = self.scopes(arrays, LayerConfig())
        except UserError:
            return 0
        return sum(self._is_whole(scope) for scope in scopes)

    def _is_whole(self, scope: Scope) -> bool:
        """Whether a cell has all its parts, in shapes that go together."""
        cell = self.cell_of(scope)
        if cell not in self.cells or not {*self.parts(scope, cell).required} <= {*scope.arrays}:
            return False
        try:
            self.read_layer(scope, self.spec_of([scope], cell, LayerConfig()), 0, "forward")
        except UserError:
            return False
        return True

    def module_of(self, scope: Scope) -> str | None:
        """The name of the one module whose layers are stacked, of which this cell is a layer; None of a lone layer."""
        return scope.name if scope.layer is not None else None

    def read_weights(
        self, arrays: Mapping[str, Array], config: LayerConfig, feeds: Mapping[str, Feed] = NO_FEEDS
    ) -> Weights:
        """Canonical Weights of the one stack in `arrays`; `feeds`: what the layers read, where the file says it.

        Raises UserError (ShapeError) where there is none or more than one, where parts are missing or left over,
        where a shape does not fit, or a weight is not finite; it names every array concerned.
        """
        scopes = self.scopes(arrays, config)
        if not scopes:
            raise ShapeError(_no_variables(self, arrays))
        cell = _one_cell(self, scopes, config, feeds)
        _check_parts(self, scopes, cell)
        check_finite(scopes)
        spec = self.spec_of(scopes, cell, config)
        placed = _placed(self, scopes, config, feeds)
        layers = tuple(self.read_layer(scope, spec, layer, direction) for scope, layer, direction in placed)
        names = tuple(dict.fromkeys(s.name for s, _, _ in placed))
        backward = self.backward_spec(scopes, cell, config) if any(d == "backward" for *_, d in placed) else None
        weights = Weights(spec, layers, "", self.name, names, backward=backward, of_a_cell=self.of_cells)
        weights = replace(weights, between=self.between(weights, config))
        _check_chain(self, placed, weights, config, feeds)
        why = because(placed, feeds, self.module_of)
        check_stated(layers, config)
        return replace(weights, notes=(why,) if why else ())

    def between(self, weights: Weights, config: LayerConfig) -> Between:
        """What a layer reads of the two directions below: its own where cells are stacked, else what is stated."""
        if self.stacks_directions and config.merge_mode == "concat" and len(weights.directions) == 2:
            upper = [w for w in weights.layers if w.layer]
            reads_own_direction = all(w.features == units_of(weights, w.layer - 1, w.direction) for w in upper)
            if upper and reads_own_direction:
                return "apart"
        return "concat" if config.merge_mode == "none" else config.merge_mode


def _no_variables(convention: ScopedConvention, arrays: Mapping[str, Array]) -> str:
    from rnninspect.conventions.weights.variants import offer

    listed = ", ".join(list(arrays)[:12]) + (f" and {len(arrays) - 12} more" if len(arrays) > 12 else "")
    offered = offer(arrays)
    return f"found no {convention.name} weights ({convention.variables}) among {listed or 'no arrays'}" + (
        f"; {offered}" if offered else ""
    )


def _one_cell(
    convention: ScopedConvention, scopes: tuple[Scope, ...], config: LayerConfig, feeds: Mapping[str, Feed]
) -> Cell:
    """The cell of all scopes, as stated or as the shapes say."""
    seen = [convention.cell_of(scope) for scope in scopes]
    kinds = {cell for cell in seen if cell is not None}
    if len(kinds) > 1:
        raise several(convention, scopes, "these weights hold several kinds of cell", feeds)
    stated_cell = config.cell if config.cell is None else cells.get(config.cell).name
    if stated_cell is not None and kinds and stated_cell not in kinds:
        shown = ", ".join(scopes[0].shown(part) for part in scopes[0].arrays)
        raise ShapeError(
            f"the cell of these weights is {kinds.pop()}, not {stated_cell} ({shown}); "
            f"state the right {argument('cell')}, or give that layer's weights"
        )
    cell = stated_cell or (kinds.pop() if kinds else None)
    if cell is None:
        shown = ", ".join(scopes[0].shown(part) for part in scopes[0].arrays)
        raise UserError(f"the weights do not tell which cell they are of ({shown}); state {argument('cell')}")
    if cell not in convention.cells:
        raise UserError(
            f"{convention.name} has no names for weights of the cell {cell}; its cells: {', '.join(convention.cells)}"
        )
    return cell


def _check_parts(convention: ScopedConvention, scopes: Iterable[Scope], cell: Cell) -> None:
    """Raise ShapeError that lists every part missing and every part left over, of all scopes."""
    missing: list[str] = []
    surplus: dict[str, None] = {}
    for scope in scopes:
        parts = convention.parts(scope, cell)
        missing += [scope.path_of(part) for part in parts.required if part not in scope.arrays]
        named_parts = {*parts.required, *parts.optional}
        surplus.update(dict.fromkeys([scope.paths[part] for part in scope.arrays if part not in named_parts]))
        surplus.update(dict.fromkeys(scope.surplus))
    if missing or surplus:
        problems = [
            f"{word}: {', '.join(names)}" for word, names in (("missing", missing), ("surplus", surplus)) if names
        ]
        raise ShapeError(f"the weights of the cell {cell} do not fit {convention.name}'s names; {'; '.join(problems)}")


def _placed(
    convention: ScopedConvention, scopes: tuple[Scope, ...], config: LayerConfig, feeds: Mapping[str, Feed]
) -> Placed:
    """Each scope with its layer and direction, bottom layer first, forward before backward."""
    rank = {name: i for i, name in enumerate(natural_order(s.name for s in scopes))}
    ordered = sorted(
        _directed(convention, scopes, config, feeds), key=lambda s: (height(s, feeds), s.layer or 0, rank[s.name])
    )
    seen: dict[Direction | None, int] = {}
    placed = []
    for scope in ordered:
        assert scope.direction is not None
        layer = seen.get(scope.direction, 0)
        seen[scope.direction] = layer + 1
        placed.append((scope, layer, scope.direction))
    return tuple(sorted(placed, key=lambda p: (p[1], p[2] == "backward")))


def _directed(
    convention: ScopedConvention, scopes: tuple[Scope, ...], config: LayerConfig, feeds: Mapping[str, Feed]
) -> list[Scope]:
    """The scopes with their directions: what names say where they say both, else what is stated."""
    named = {scope.direction for scope in scopes}
    both = "backward" in named and len(named) > 1
    directions = config.directions
    if both and directions is not None and len(directions) == 1:
        raise several(
            convention,
            scopes,
            f"one direction is stated, but the weights hold both; state {argument('bidirectional', True)}",
            feeds,
        )
    if both:
        return [replace(scope, direction=scope.direction or "forward") for scope in scopes]
    if directions is None or len(directions) == 1:
        only = directions[0] if directions else ("backward" if named == {"backward"} else "forward")
        return [replace(scope, direction=only) for scope in scopes]
    if len(scopes) % 2 or any(scope.layer is not None for scope in scopes):
        listed = "; ".join(map(str, overview(convention, scopes, feeds)))
        raise UserError(
            f"two directions are stated, but the weights hold one ({listed}); "
            f"state one {argument('direction')}, or give both directions' weights"
        )
    order = natural_order(scope.name for scope in scopes)
    pairs = sorted(scopes, key=lambda s: order.index(s.name))
    return [replace(scope, direction=directions[i % 2]) for i, scope in enumerate(pairs)]


def _check_chain(
    convention: ScopedConvention, placed: Placed, weights: Weights, config: LayerConfig, feeds: Mapping[str, Feed]
) -> None:
    """Raise UserError that lists the layers unless each reads what the one below returns, and something says so."""
    scopes = [scope for scope, _, _ in placed]
    if config.layers is not None and config.layers != weights.depth:
        reason = f"{argument('layers', config.layers)} is stated, but the weights hold {weights.depth}; state "
        raise several(convention, scopes, f"{reason}{argument('layers', weights.depth)} or", feeds, joint=" ")
    if not is_stack(weights):
        raise several(convention, scopes, "these weights hold several layers that are no stack", feeds)
    if not unjoined(placed, feeds, convention.module_of) or may_be_stated(placed, feeds, config.layers):
        return
    if not may_be_stated(placed, feeds, weights.depth):
        raise several(convention, scopes, "these weights hold several layers that are no stack", feeds)
    reason = (
        "these weights hold several layers, and nothing says that they form one stack; give "
        f"{argument('layers', weights.depth)} if each reads the one before it, or"
    )
    raise several(convention, scopes, reason, feeds, joint=" ")


def overview(
    convention: ScopedConvention, scopes: Iterable[Scope], feeds: Mapping[str, Feed]
) -> tuple[LayerOverview, ...]:
    """Every layer, by name (a stack under one name is one)."""
    from rnninspect.conventions.weights.prefix import layer_of

    by_name: dict[str, list[Scope]] = {}
    for scope in scopes:
        by_name.setdefault(layer_of(scope.name), []).append(scope)
    return tuple(_overview(convention, name, members, reads_of(members, feeds)) for name, members in by_name.items())


def _overview(convention: ScopedConvention, name: str, scopes: list[Scope], reads: str) -> LayerOverview:
    from rnninspect.conventions.weights.prefix import LayerOverview

    kinds = [convention.cell_of(scope) for scope in scopes]
    cells_named = [cell for cell in kinds if cell is not None]
    directions = len({scope.direction for scope in scopes})
    layers, shown = len(scopes) // directions, " and ".join(dict.fromkeys(cells_named))
    if len(cells_named) < len(kinds):
        untold = ", ".join(scopes[kinds.index(None)].arrays)
        problem = f"a cell that does not tell its kind ({untold})"
        return LayerOverview(name, shown, layers, directions, 0, 0, reads, problem)
    try:
        read = [
            convention.read_layer(scope, convention.spec_of([scope], cell, LayerConfig()), 0, "forward")
            for scope, cell in zip(scopes, cells_named, strict=True)
        ]
    except UserError as error:
        return LayerOverview(name, shown, layers, directions, 0, 0, reads, error.message)
    return LayerOverview(name, shown, layers, directions, read[0].features, read[-1].units, reads)


def several(
    convention: ScopedConvention, scopes: Iterable[Scope], reason: str, feeds: Mapping[str, Feed], joint: str = "; "
) -> UserError:
    """The error that says why one layer must be picked, with every layer as a note of its own."""
    error = UserError(f"{reason}{joint}pick one with {argument('weights_prefix')}:")
    for layer in overview(convention, scopes, feeds):
        error.add_note(str(layer))
    return error
