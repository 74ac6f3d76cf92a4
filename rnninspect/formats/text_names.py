"""Literals of a text -> arrays with names: labels, fields and places of containers; and what is none of the data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rnninspect.core.regex import regex
from rnninspect.formats.text_labels import as_name, is_no_data, label_before
from rnninspect.formats.text_listings import Listing, in_turn, listed, listing_before, named_by, prints_above
from rnninspect.formats.text_nodes import Broken, Group, Literal, Node, Plain

RETURNED = "returned"  # what a layer's call returned, printed as one tuple or list: `returned.0`, `returned.1.0`
_HARMLESS = (
    "cuda|cpu|to|float|double|long|int|half|astype|numpy|detach|clone|contiguous|requires_grad_?|type|copy|type_as"
)
_AFTER = regex(rf"(?:\.(?:{_HARMLESS})\([^()\n]*\))*")
_COMPUTED = regex(r"[ ]*(?:\.(?:[A-Za-z_]\w*)|\[|\*|/|@|[-+](?=[ ]*[\w(]))")
_KEPT = frozenset(
    ["dict", "list", "tuple", "deque", "defaultdict", "OrderedDict", "dict_values", "dict_items", "odict_values"]
)


@dataclass(frozen=True, eq=False)
class LabelledArray:
    """An array, its name, and the label as the text has it."""

    name: str
    literal: Literal
    label: str


def named(
    nodes: list[Literal | Group | Broken], text: str, line: Callable[[int], int], left: list[str]
) -> Iterator[LabelledArray]:
    """Every array of the text that is data, by its name.

    Args: `nodes` in the text's order; `text`; `line`: the number of the line of a place; `left`: is told of what was
    computed from a literal.
    """
    unnamed = []
    plain: list[LabelledArray] = []
    for node, label, listing in _labelled([node for node in nodes if not isinstance(node, Broken)], text):
        if _is_place(node, text) or is_no_data(label):
            continue
        if _is_computed(node, text):
            left.append(
                f"{label or 'the array'} of line {line(node.start)}: computed from a literal, and code is not run"
            )
            continue
        if isinstance(node, Literal) and not _counts(node, label, text):
            continue
        for path, literal in _leaves(node, label, listing):
            plain.append(LabelledArray(path, literal, label))
            unnamed += [] if path else [literal]
    number = 0
    for one in _with_states_named(plain):
        if one.name or len(plain) == 1:
            yield one
        else:
            number += 1
            yield LabelledArray(f"array_{number}", one.literal, "")


def _labelled(nodes: list[Literal | Group], text: str) -> Iterator[tuple[Literal | Group, str, Listing]]:
    """Each value with the label before it, and the names that it gives the parts of a tuple."""
    labels: list[str] = []
    floors = [0]
    for node in nodes:
        labels.append(label_before(text, node.start, min(floors[-1], node.start)))
        floors.append(max(floors[-1], node.end))
    for first, node in enumerate(nodes):
        prints = prints_above(text, node.start, min(floors[first], node.start))
        if len(prints) > 1:
            count = 1
            while first + count < len(nodes) and not labels[first + count] and _follows(nodes, first + count, text):
                count += 1
            values = nodes[first : first + count]
            decimals = [isinstance(one, Literal) and one.values.dtype.kind == "f" for one in values]
            labels[first : first + count] = in_turn(prints, decimals)
    alone = False
    for place, (node, label) in enumerate(zip(nodes, labels, strict=True)):
        beside = nodes[place + 1] if place + 1 < len(nodes) and not (label or labels[place + 1]) else None
        whole = None if beside is None or not _follows(nodes, place + 1, text) else _as_one(node, beside)
        if whole is not None and not alone:
            yield whole, "", []
        elif not alone:
            floor = min(floors[place], node.start)
            yield node, label, (listing_before(text, node.start, floor) or listed(label)) if _is_tuple(node) else []
        alone = whole is not None and not alone


def _is_tuple(node: Literal | Group) -> bool:
    return isinstance(node, Group)


def _as_one(first: Literal | Group, second: Literal | Group) -> Group | None:
    """Outputs and a tuple of states printed side by side, `print(out, (h, c))`, as what the call returned."""
    if isinstance(first, Group) is isinstance(second, Group):
        return None
    whole = Group("(", "", ((None, first), (None, second)), first.start, second.end)
    return whole if _is_returned(list(_walk(whole, ()))) else None


def _follows(nodes: list[Literal | Group], place: int, text: str) -> bool:
    """Whether nothing stands between this value and the one before it."""
    return not text[nodes[place - 1].end : nodes[place].start].strip()


def _is_place(node: Literal | Group, text: str) -> bool:
    """Whether it is a place in another array, `o[0, 3]`, and no array itself."""
    if not isinstance(node, Literal) or node.wrapped or node.values.ndim != 1:
        return False
    return (
        node.values.dtype.kind != "f" and re.search(r"[\w\])]\Z", text[max(0, node.start - 1) : node.start]) is not None
    )


def _is_computed(node: Literal | Group, text: str) -> bool:
    """Whether the text goes on with the value: `[3, 1] * 2`, `np.array(…).reshape(…)`."""
    behind = _AFTER.match(text, node.end)
    assert behind is not None
    after = _COMPUTED.match(text, behind.end())
    return after is not None and isinstance(node, Literal)


def _counts(node: Literal, label: str, text: str) -> bool:
    """Whether a literal on its own is an array: not a few numbers in a sentence."""
    line = re.split(r"[\n\r]", text[max(0, node.start - 200) : node.start])[-1]
    argument = line.count("(") > line.count(")") and not line.rstrip().endswith("=")
    if argument and not node.wrapped and (node.values.ndim == 1 or node.values.dtype.kind != "f"):
        return False
    if node.wrapped or node.values.ndim > 1:
        return True
    if not label:
        return False
    line_end = re.compile(r"[ ]*[,;.)\]}]*[ ]*(?:#.*)?").match(text, node.end)
    assert line_end is not None
    if line_end.end() < len(text) and text[line_end.end()] not in "\n\r":
        return False
    before = text[max(0, node.start - 60) : node.start]
    strong = re.search(r"[=:][ \n\r]*\Z|(?:^|[\n\r])[ ]*[\w.]+ \Z|[\n\r][ ]*\Z", before) or len(before) < 60
    return bool(strong) or "length" in label.lower()


def _with_states_named(arrays: list[LabelledArray]) -> list[LabelledArray]:
    """The arrays with a tuple that has no label as `state.0`, …, where outputs of three axes stand outside it."""
    apart = {one.literal.values.shape for one in arrays if not one.name[:1].isdecimal()}
    if not any(len(shape) == 3 for shape in apart):
        return arrays
    return [
        LabelledArray(f"state.{one.name}", one.literal, one.label)
        if one.name[:1].isdecimal() and one.literal.values.shape not in apart
        else one
        for one in arrays
    ]


def _leaves(node: Literal | Group, label: str, listing: Listing) -> Iterator[tuple[str, Literal]]:
    """The arrays of a value with their names below `label`; those of a tuple under the names that its label lists."""
    if isinstance(node, Literal):
        yield as_name(label), node
        return
    paths = [(path, literal) for path, literal in _walk(node, ()) if not is_no_data(path[-1] if path else "")]
    paths = _without_single_places(paths)
    if each := named_by(listing, paths, _is_returned(paths)):
        yield from each
        return
    if _is_returned(paths):
        label = RETURNED
    group = as_name(label)
    bare = [path[-1] if path else "" for path, _ in paths]
    for path, literal in paths:
        last = path[-1] if path else ""
        if (
            len(path) == 1
            and len(last) > 1
            and not last.isdecimal()
            and last not in ("hidden", "cell")
            and bare.count(last) == 1
        ):
            yield as_name(last), literal
        else:
            yield ".".join(part for part in (group, *path) if part), literal


def _walk(node: Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Literal]]:
    if isinstance(node, Literal):
        yield path, node
    elif isinstance(node, Group):
        yield from _items(node, path)


def _items(group: Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Literal]]:
    """The arrays of a container; those handed to a function without a name are arguments, and no data."""
    name = group.name.rpartition(".")[2]
    if is_no_data(name):
        return
    called = group.bracket == "(" and name and not (name[0].isupper() or name in _KEPT)
    inner = [(key, node) for key, node in group.items if not isinstance(node, Plain)]
    if _is_pair(group):
        yield from _walk(inner[0][1], (*path, as_name(getattr(group.items[0][1], "text", ""))))
        return
    alone = len(inner) == 1 and inner[0][0] is None and not called
    for place, (key, node) in enumerate(inner):
        if key is not None:
            yield from _walk(node, (*path, as_name(key)))
        elif alone or _is_pair(node):
            yield from _walk(node, path)
        elif not called:
            yield from _walk(node, (*path, str(place)))


def _is_pair(node: Node) -> bool:
    """Whether it is a name and a value, as an OrderedDict prints its items: `('outputs', array(…))`."""
    if not isinstance(node, Group) or node.bracket != "(" or node.name or len(node.items) != 2:
        return False
    first, second = node.items[0][1], node.items[1][1]
    return isinstance(first, Plain) and first.text[-1:] in ("'", '"') and not isinstance(second, Plain)


def _without_single_places(paths: list[tuple[tuple[str, ...], Literal]]) -> list[tuple[tuple[str, ...], Literal]]:
    """Paths without a first part that all of them share and that is a mere place."""
    while paths and all(len(p) > 1 and p[0] == paths[0][0][0] and p[0].isdecimal() for p, _ in paths):
        paths = [(p[1:], literal) for p, literal in paths]
    return paths


def _is_returned(paths: list[tuple[tuple[str, ...], Literal]]) -> bool:
    """Whether this is what a layer's call returned: outputs of three axes, first or last, beside other shapes."""
    parts: dict[str, list[tuple[tuple[str, ...], Literal]]] = {}
    for path, literal in paths:
        parts.setdefault(path[0] if path else "", []).append((path, literal))
    if len(parts) < 2 or not all(place.isdecimal() for place in parts):
        return False
    listed = list(parts.values())
    return any(
        _are_outputs(part, [one for other in listed if other is not part for one in other])
        for part in (listed[0], listed[-1])
    )


def _are_outputs(part: list[tuple[tuple[str, ...], Literal]], others: list[tuple[tuple[str, ...], Literal]]) -> bool:
    """One array of three axes, or a pair of them, unlike every other array (none of which is a mere list)."""
    shapes = {literal.values.shape for _, literal in part}
    plain = all(path[-1:] and len(path) == len(part) and path[-1].isdecimal() for path, _ in part)
    rest = [literal.values.shape for _, literal in others]
    return (
        len(shapes) == 1
        and len(part) <= 2
        and plain
        and len(min(shapes)) == 3
        and all(len(shape) > 1 and shape not in shapes for shape in rest)
    )
