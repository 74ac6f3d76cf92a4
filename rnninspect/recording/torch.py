"""Records torch models. Importing this does not import torch; a recording does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rnninspect.recording.base import RecordedCall, Recorder, Session, Wanted


def recognises(model: Any) -> bool:
    """Whether it is a module of torch's."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def session(wanted: Wanted) -> Session:
    """A recording by hooks."""
    from rnninspect.recording.torch_modules import hooks

    return hooks.Session(wanted)


def joined(calls: Sequence[RecordedCall]) -> RecordedCall | None:
    """The one run that calls of a single step are, if they are."""
    from rnninspect.recording.torch_modules.joined import joined

    return joined(calls)


RECORDER = Recorder(
    "torch", "nn.Module with nn.LSTM, nn.GRU, nn.RNN or their cells", recognises, session, True, joined=joined
)
