"""What a model's outermost call was given of the lengths that are asked for by name, kept until it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rnninspect.recording.asked import USUAL, answer, asked_for, is_asked, stated_by
from rnninspect.recording.stated import Stated, stated_for


class Answers:
    """The answers of the call that this thread is in."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def within(self, lengths: Any, bound: Mapping[str, Any], args: Any, kwargs: Any) -> Iterator[None]:
        """Within the outermost call, what `lengths` ask for among its arguments (`bound`: by their names)."""
        if getattr(self._local, "answers", None) is not None:
            yield
            return
        asked = {one for one in asked_for(lengths) if one != USUAL}
        self._local.answers = {one: answer(one, bound, args, kwargs) for one in asked}
        try:
            yield
        finally:
            self._local.answers = None

    def stated_for(self, lengths: Any, name: str) -> Stated:
        """What `lengths` state for the call of a layer of that name."""
        value = lengths.get(name) if isinstance(lengths, Mapping) else lengths
        if not is_asked(value):
            return stated_for(lengths, name, values={})
        return stated_by(lengths, name, getattr(self._local, "answers", None) or {})
