"""How the command line names an argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_options(attributes: Mapping[str, Any]) -> str:
    """Options as a user types them.

    >>> as_options({"reset_after": False, "num_proj": 3, "activations": ["Relu", "Tanh"], "use_peepholes": True})
    '--no-reset-after --num-proj 3 --activations Relu,Tanh --use-peepholes'
    """
    options = []
    for name, value in attributes.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            options.append(f"--{option}" if value else f"--no-{option}")
        else:
            shown = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            options.append(f"--{option} {shown}")
    return " ".join(options)


def command_line(name: str, value: Any) -> str:
    """An argument as a user of the command line types it: the wording of all that a command shows.

    >>> command_line("cell_state", None), command_line("layers", 2), command_line("output", None)
    ('--cell-state', '--layers 2', '-o')
    """
    if name == "output":
        return "-o"
    if name == "final_state_of":  # a live state, which no command can be given
        return "run `rnninspect check` on the model, which needs no state"
    if name == "reasons_of":
        return f"--why lists {value}"
    if name == "feed_of":
        return "save what the model is fed, np.savez('feed.npz', **feed), and give that file as the batch or --feed"
    return as_options({name: True if value is None else value})
