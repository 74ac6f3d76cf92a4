"""Records what the recurrent layers of a live torch model read and return, without changing either.

with rnninspect.record(model, lengths=lengths) as recording:
    model(x)
print(recording.inspect())
"""

from rnninspect.recording.recorder import Recording, record

__all__ = ["Recording", "record"]
