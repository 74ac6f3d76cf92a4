"""The recurrent examples of the frameworks' documentation are right code: none of them is accused.

Each was run by its framework and saved as a reader would save it (`tests/tools/make_documentation.py`). What is accused
all the same is listed in the index, with the reason; an entry that no longer holds must be taken off the list, which
`python -m tests.support.documentation` does; with `--add REASON` it enters what cannot be mended at once.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.support.documentation import FOLDER, Call, accusations, calls, examples, verdict

READ = 180  # calls that gave a report when this was last looked at; the others were refused, most for want of a name


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.name)
def test_no_documentation_example_is_accused(call: Call) -> None:
    """No finding above a note, with and without the framework, unless the index says why; no stale entry there."""
    accused = accusations(call.done)
    if call.excuse is None:
        assert not accused, f"right code is accused ({call.example['source']}; list it only with a reason): {accused}"
    else:
        assert accused, f"mended ({call.excuse}): take it off the list with `python -m tests.support.documentation`"


def test_most_examples_are_read() -> None:
    """A refusal accuses nobody, but a set that is refused as a whole would prove nothing."""
    counts = Counter(verdict(call.done) for call in calls())
    assert sum(counts.values()) - counts["refused"] >= READ, counts


def test_the_set_is_whole() -> None:
    """At least forty examples of six frameworks, every file in its place and none besides, every list entry a call."""
    kept: list[dict[str, Any]] = examples()
    assert len(kept) >= 40
    assert {e["convention"] for e in kept} >= {"torch", "keras", "flax", "haiku", "onnx", "paddle"}
    assert len({e["name"] for e in kept}) == len(kept)
    files = [file for e in kept for file in e["files"]]
    assert sorted([*files, "index.json", "README.md"]) == sorted(p.name for p in FOLDER.iterdir())
    assert {name for e in kept for name in e["known_failures"]} <= {call.name for call in calls()}
