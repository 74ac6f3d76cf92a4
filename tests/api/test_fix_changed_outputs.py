"""A state is not taken from outputs that are not what the layer gave."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rnninspect
from rnninspect.errors import UserError

LENGTHS = np.array([7, 3, 5, 2, 6, 4])


def gru_run() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs and outputs `[6, 7, 8]`, padding zero, and h_n `[1, 6, 8]` of a packed run."""
    torch.manual_seed(3)
    layer, x = torch.nn.GRU(8, 8, batch_first=True), torch.randn(6, 7, 8)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.from_numpy(LENGTHS), True, enforce_sorted=False)
    with torch.no_grad():
        outputs, h = layer(packed)
    return x.numpy(), torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0].numpy(), h.numpy()


@pytest.mark.parametrize("residual", [True, False])
def test_no_state_is_taken_from_a_sum(residual: bool) -> None:
    """The last column of a layer whose inputs were added to its outputs afterwards: fix asks for a run; of the
    outputs themselves it takes the right step."""
    x, outputs, h = gru_run()
    dump = {"output": outputs + x if residual else outputs, "h_n": outputs[None, :, -1], "inputs": x}
    about = {"lengths": LENGTHS, "convention": "torch", "batch_first": True}
    if residual:
        with pytest.raises(UserError, match=r"last-column-as-final-state: .* from the outputs.*residual"):
            rnninspect.fix(dump, **about)
    else:
        np.testing.assert_array_equal(rnninspect.fix(dump, **about).arrays["h_n"], h)
