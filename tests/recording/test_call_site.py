"""Whether a program uses the state that a call returned: read off the program itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from rnninspect.recording.call_site import Site

USES: list[str] = []


def layer() -> tuple[str, tuple[str, str]]:
    """Stands for a layer: it notes where it was called."""
    caller = sys._getframe(1)
    USES.append(Site(caller.f_code, caller.f_lasti).state_is)
    return "output", ("h", "c")


def either(*values: Any) -> Any:
    return values[0]


def zeros_like(*values: Any) -> Any:
    return values[0]


def underscore() -> Any:
    output, _ = layer()
    return output


def subscript() -> Any:
    return layer()[0]


def second() -> Any:
    return layer()[1]


def nested() -> Any:
    output, (_, c) = layer()
    return output, c


def whole() -> Any:
    result = layer()
    return result


def whole_first() -> Any:
    result = layer()
    return result[0]


def assigned_again() -> Any:
    output, h = layer()
    h = output
    return h


def of_two_layers() -> Any:
    output, state = layer()
    output, state = layer()
    return output, state


def in_a_branch(flag: bool = True) -> Any:
    output, h = layer()
    return output if flag else h


def after_a_return(flag: bool = True) -> Any:
    output, h = layer()
    if flag:
        return output
    return h


def asked_of_what_kind_it_is() -> Any:
    _, h = layer()
    return h[0] if isinstance(h, tuple) else h


def made_anew_alike() -> Any:
    output, h = layer()
    h = zeros_like(h)
    return output, h


def deleted() -> Any:
    output, h = layer()
    del h
    return output


def printed() -> Any:
    output, h = layer()
    print(f"{h}")
    return output


def handed_on_beside_outputs() -> Any:
    output, h = layer()
    return either(output, h)


def in_a_dict_beside_outputs() -> Any:
    output, h = layer()
    both = {"output": output, "h": h}
    return both["output"]


def handed_on_alone() -> Any:
    output, h = layer()
    return output, sorted(h)


def in_a_loop() -> Any:
    state: Any = None
    for _ in range(1):
        _, state = layer()
    return state


def kept() -> Any:
    holder: dict[str, Any] = {}
    output, holder["h"] = layer()
    return output


def in_a_closure() -> Any:
    _, h = layer()
    return lambda: h


def bare() -> None:
    layer()


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (underscore, ["dropped"]),
        (subscript, ["dropped"]),
        (second, ["used"]),
        (nested, ["used"]),
        (whole, ["used"]),
        (whole_first, ["dropped"]),
        (assigned_again, ["dropped"]),
        (of_two_layers, ["dropped", "used"]),
        (in_a_branch, ["perhaps"]),
        (after_a_return, ["perhaps"]),
        (asked_of_what_kind_it_is, ["used"]),
        (made_anew_alike, ["dropped"]),
        (deleted, ["dropped"]),
        (printed, ["dropped"]),
        (handed_on_beside_outputs, ["perhaps"]),
        (in_a_dict_beside_outputs, ["perhaps"]),
        (handed_on_alone, ["used"]),
        (in_a_loop, ["used"]),
        (kept, ["used"]),
        (in_a_closure, ["used"]),
        (bare, ["used"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_becomes_of_the_state(program: Callable[[], Any], expected: list[str]) -> None:
    """Dropped where no line reads it before it is assigned again; perhaps, where one does under a condition alone."""
    USES.clear()
    program()
    assert expected == USES


def test_a_program_that_cannot_be_read() -> None:
    """Without its source nothing is known."""
    USES.clear()
    exec("output, _ = layer()", {"layer": layer})
    assert USES == ["unknown"]
