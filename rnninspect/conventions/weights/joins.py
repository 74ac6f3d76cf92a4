"""Which cells of a file are layers of one stack, and what says so: a module's names, or what a file says they read.

Widths that chain are no evidence: an encoder's outputs fit a decoder that never reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rnninspect.conventions.weights.scopes import Scope
from rnninspect.core.feed import Feed, owners
from rnninspect.core.trace import Direction
from rnninspect.core.wording import argument

Placed = tuple[tuple[Scope, int, Direction], ...]  # each cell with its layer and direction
ModuleOf = Callable[[Scope], str | None]


def fed_layer(scope: Scope, feeds: Mapping[str, Feed]) -> str | None:
    """The layer that a cell is of, by the name under which the file says what it reads; None where it does not."""
    held = [layer for layer in owners(scope.name, feeds) if layer]
    return held[-1] if held else None


def height(scope: Scope, feeds: Mapping[str, Feed]) -> int:
    """How many layers of one stack lie below the cell's, as the file says; 0 where it does not."""
    layer, passed = fed_layer(scope, feeds), set[str]()
    while layer is not None and layer not in passed and layer in feeds:
        passed.add(layer)
        layer = feeds[layer].below
    return max(0, len(passed) - 1)


def unjoined(placed: Placed, feeds: Mapping[str, Feed], module_of: ModuleOf) -> list[Scope]:
    """The cells of upper layers of which nothing says that they read the layer below."""
    return [
        upper
        for lower, upper in _neighbours(placed)
        if not _one_module(lower, upper, module_of) and not _reads(lower, upper, feeds)
    ]


def because(placed: Placed, feeds: Mapping[str, Feed], module_of: ModuleOf) -> str:
    """Why several layers are read as one stack, as a sentence; empty for one layer."""
    depth = 1 + max(layer for _, layer, _ in placed)
    if depth == 1:
        return ""
    from rnninspect.conventions.weights.prefix import layer_of

    names = list(dict.fromkeys(layer_of(scope.name) for scope, _, _ in placed))
    reasons = dict.fromkeys(_reason(lower, upper, feeds, module_of, depth) for lower, upper in _neighbours(placed))
    if names[0] and list(reasons) == [_is_one_module(names[0])]:
        return f"{_is_one_module(names[0])}: {depth} layers, read as one stack"
    shown = ", ".join(name or "the unnamed one" for name in names)
    layers = f"{depth} layers of {shown}" if len(names) == 1 else f"layers {shown}"
    return f"{layers} are read as one stack: {'; '.join(reasons)}"


def _neighbours(placed: Placed) -> list[tuple[Scope, Scope]]:
    """Each cell of an upper layer behind the one below it in the same direction."""
    cells = {(layer, direction): scope for scope, layer, direction in placed}
    return [(cells[k - 1, d], scope) for (k, d), scope in cells.items() if (k - 1, d) in cells]


def _one_module(lower: Scope, upper: Scope, module_of: ModuleOf) -> bool:
    if lower.layer is not None and upper.layer is not None and upper.layer != lower.layer + 1:
        return False  # a layer between the two is missing
    module = module_of(lower)
    return module is not None and module == module_of(upper)


def _reads(lower: Scope, upper: Scope, feeds: Mapping[str, Feed]) -> bool:
    below, layer = fed_layer(lower, feeds), fed_layer(upper, feeds)
    return layer is not None and below is not None and feeds[layer].below == below


def _is_one_module(module: str | None) -> str:
    return f"{module} is one module" if module else "they are one module's"


def _reason(lower: Scope, upper: Scope, feeds: Mapping[str, Feed], module_of: ModuleOf, depth: int) -> str:
    if _one_module(lower, upper, module_of):
        module = module_of(upper)
        return _is_one_module(module)
    layer = fed_layer(upper, feeds)
    if not _reads(lower, upper, feeds) or layer is None:
        return f"as {argument('layers', depth)} states"
    feed = feeds[layer]
    through = f", through {', '.join(feed.unchanged)}, which changes no value in a run" if feed.unchanged else ""
    return f"{layer} reads the outputs of {feed.below}{through}"


def may_be_stated(placed: Placed, feeds: Mapping[str, Feed], layers: int | None) -> bool:
    """Whether the user may say of these cells that they are one stack: the file says nothing of what they read."""
    depth = 1 + max(layer for _, layer, _ in placed)
    return layers == depth and all(fed_layer(scope, feeds) is None for scope, layer, _ in placed if layer)


def reads_of(scopes: Sequence[Scope], feeds: Mapping[str, Feed]) -> str:
    """What the lowest of a layer's cells reads, in words: `the outputs of lstm; called top`, with the layer's own name
    where its weights go by another; empty where the file does not say."""
    layer = fed_layer(scopes[0], feeds)
    if layer is None:
        return ""
    feed = feeds[layer]
    return f"{feed.reads}; called {feed.called}" if feed.called else feed.reads
