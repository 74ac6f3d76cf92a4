"""Records what the recurrent layers of a live model read and return, without changing either.

with rnninspect.record(model, lengths=lengths) as recording:
    model(x)
print(recording.inspect())

A new file (or folder) here with a RECORDER is a new framework. Importing this imports none.
"""

from rnninspect.recording.recorder import Recording, record
from rnninspect.recording.registry import recorders

__all__ = ["Recording", "record", "recorders"]
