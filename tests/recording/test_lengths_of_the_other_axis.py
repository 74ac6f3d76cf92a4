"""Lengths that count the axis which a recorded layer took for time: the cause is named, and the call is unjudged."""

from __future__ import annotations

import numpy as np
import pytest

import rnninspect

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_batch_read_as_time_is_named(kind: str) -> None:
    """torch's default reads [T, B, F]: of a batch [B, T, F] it has as many steps as there are lengths. Lengths that fit
    neither axis, or count more steps than there are, name nothing."""
    layer, x = getattr(torch.nn, kind)(3, 5), torch.randn(4, 7, 3)
    for lengths, named in (([7, 3, 5, 2], True), ([7, 3, 5], False), ([9, 3, 5, 2], False)):
        with rnninspect.record(layer, lengths=np.array(lengths)) as recording:
            layer(x)
        report = recording.inspect()[0]
        assert report.verdict == "unjudged"
        assert ("batch-time-swapped" in {f.rule for f in report.findings}) is named
        assert ("[B, T, F]" in report.untested) is named
