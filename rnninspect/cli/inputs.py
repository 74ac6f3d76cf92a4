"""From what the command line names to arrays: files, members, stdin, the packaged examples."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from rnninspect.api.config import layer_config
from rnninspect.api.role_arrays import is_there, nowhere
from rnninspect.conventions.dumps.names import is_usual
from rnninspect.conventions.dumps.shapes import fits_as_state
from rnninspect.core.evidence import Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.regex import regex
from rnninspect.core.trace import Array
from rnninspect.core.wording import argument, worded
from rnninspect.diagnosis.case import Case
from rnninspect.errors import UnreadableError, UserError, about_argument, naming
from rnninspect.formats import read_arrays
from rnninspect.formats.base import ANONYMOUS, NamedArrays
from rnninspect.report import renderers

# Options that state the layer, by the names that `api.statement` takes.
STATED: tuple[str, ...] = (
    "cell",
    "layers",
    "bidirectional",
    "direction",
    "time_major",
    "batch_first",
    "state_batch_first",
)
STATED += ("go_backwards", "keep_order", "padding", "merge_mode", "full_lengths")


def stated_config(options: Mapping[str, Any]) -> LayerConfig:
    """What the options state about the layer; UserError where two of them contradict each other."""
    from rnninspect.conventions.weights.gates import ATTRIBUTES

    if options["bidirectional"] and options["direction"] in ("forward", "reverse"):
        raise UserError(f"--bidirectional and --direction {options['direction']} contradict each other; state one")
    if options.get("time_major") and options.get("batch_first"):
        raise UserError("--time-major and --batch-first contradict each other; state one")
    stated_options = {name: options[name] for name in (*STATED, *ATTRIBUTES) if name in options}
    unset = {name: options.get(name) or None for name in ("time_major", "bidirectional")}  # a flag that is not set
    return layer_config(**{**stated_options, **unset})


def source(argument: str | None) -> str | None:
    """What to read: the argument, or stdin where something is piped in; None where there is neither."""
    if argument is not None:
        return argument
    return None if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty() or _is_null(sys.stdin) else "-"


def _is_null(stream: Any) -> bool:
    """Whether stdin is the null device, as in cron jobs and CI: nothing was piped in."""
    import stat

    try:
        mode = os.fstat(stream.fileno()).st_mode
        return stat.S_ISCHR(mode) and os.path.samestat(os.fstat(stream.fileno()), os.stat(os.devnull))
    except (OSError, ValueError):
        return False


def as_pair(dumps: tuple[str, ...], options: Mapping[str, Any]) -> dict[str, str] | None:
    """`--outputs` and `--state`, where exactly two files of one array each are named, one fitting as the other's state.

    None where they are two dumps: one holds several arrays, neither or each fits (unless the files'
    names tell), or the options name roles themselves or are for many dumps. The note says what was taken for what.
    """
    from rnninspect.cli.output import note

    if len(dumps) != 2 or any(options[name] for name in ("outputs", "state", "recursive", "resume", "against")):
        return None
    arrays = [_lone_array(path) for path in dumps]
    if arrays[0] is None or arrays[1] is None:
        return None
    ways = [(0, 1)] if fits_as_state(arrays[1], arrays[0]) else []
    ways += [(1, 0)] if fits_as_state(arrays[0], arrays[1]) else []
    if len(ways) == 2:
        ways = [(o, h) for o, h in ways if is_usual("outputs", _stem(dumps[o])) and is_usual("h", _stem(dumps[h]))]
    if len(ways) != 1:
        return None
    outputs, state = ways[0]
    shown = [f"{path} {list(array.shape)}" for path, array in zip(dumps, arrays, strict=True) if array is not None]
    note(f"{shown[outputs]} is taken as the outputs and {shown[state]} as the final state", options["quiet"])
    return {"outputs": dumps[outputs], "state": dumps[state]}


def _lone_array(path: str) -> Array | None:
    """The array of a local file that holds one alone, else None."""
    if not os.path.isfile(path.rpartition("#")[0] or path) and not os.path.isfile(path):
        return None
    try:
        arrays = list(read_arrays(path).arrays.values())
    except (UserError, OSError):  # it is said where the dump is read
        return None
    return arrays[0] if len(arrays) == 1 else None


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def example(name: str, quiet: bool) -> str:
    """The packaged worked example, which is said on stderr."""
    from rnninspect.cli.output import note
    from rnninspect.diagnosis.examples import packaged

    note(f"no file given: this is the packaged worked example, {name}", quiet)
    return packaged.path(name)


def example_run(options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The packaged batch, and the options with its lengths and fitted weights where nothing else is stated."""
    from rnninspect.diagnosis.examples import packaged

    source = example("batch.npy", options["quiet"])
    defaults = {"lengths": packaged.path("lengths.npy")}
    if not (options["hidden_size"] or options["cell"] or options["layers"] or options["bidirectional"]):
        defaults["weights"] = packaged.path("weights.npz")
    return source, {**options, **{k: v for k, v in defaults.items() if options[k] is None}}


def read(source: str, quiet: bool, feed: Mapping[str, Array] | None = None) -> NamedArrays:
    """The arrays of a file or of stdin; what was done on the way in is said on stderr. `feed`: for `read_arrays`.

    Raises UnreadableError where there is nothing to read, or it holds no arrays.
    """
    from rnninspect.cli.output import note

    if source == "-" and (sys.stdin is None or sys.stdin.closed):
        raise UnreadableError("stdin is closed: there is nothing to read from '-'; name a file")
    with naming("stdin" if source == "-" else source):
        named = read_arrays(source, stdin=sys.stdin.buffer if source == "-" else None, feed=feed)
    for text in named.notes:
        note(f"{named.source}: {text}", quiet)
    if not named.arrays:
        raise UnreadableError(f"{named.source}: it holds no arrays")
    return named


def read_fed(source: str, feed: str | None, quiet: bool) -> NamedArrays:
    """`read`, a model of weights, with the file that --feed names."""
    if feed is None:
        return read(source, quiet)
    with about_argument("feed", feed):
        arrays = read(feed, quiet).arrays
    return read(source, quiet, arrays)


def initial_state(value: str | None, arrays: Mapping[str, Array]) -> Any:
    """h, or (h, c), from a member of the dump or a file that holds one or both; UserError where it is neither."""
    if value is None:
        return None
    if value in arrays:
        return arrays[value]
    if not is_there(value):
        raise nowhere(value, arrays, "initial_state")
    with about_argument("initial_state", value):
        named = read_arrays(value).arrays
        if len(named) == 1:
            return next(iter(named.values()))
        by_end = {_letter(name): array for name, array in named.items()}
        if set(by_end) != {"h", "c"} or len(named) != 2:
            raise UserError(f"it holds {', '.join(named)}; give one array, or h and c")
        return by_end["h"], by_end["c"]


def _letter(name: str) -> str:
    """`h` or `c`, where a state's name ends in it, or in what frameworks put behind it; else the name.

    >>> [_letter(name) for name in ("h", "state.c", "initial_h", "h_0", "c0", "hx", "c_n", "batch")]
    ['h', 'c', 'h', 'h', 'c', 'h', 'c', 'batch']
    """
    match = regex(r"(?:.*[._])?([hc])(?:_?[0nx])?$").fullmatch(name)
    return match[1] if match else name


def note_flat_batch(arrays: Mapping[str, Array], slots: Mapping[Role, Slot], quiet: bool) -> None:
    """Say that a 2-D batch was read as one feature a step."""
    from rnninspect.cli.output import note

    batch = slots["inputs"].array if "inputs" in slots else arrays.get(ANONYMOUS, arrays.get("inputs"))
    if batch is not None and batch.ndim == 2:
        note(f"the batch is {batch.shape}: read as rows and steps, with one feature per step", quiet)


def drawn_weights(case: Case, seed: int) -> dict[str, Any]:
    """What the weights of a run are where none were given, for the report's source."""
    assert case.weights is not None
    units = max(track.final.shape[-1] for track in case.trace.tracks if track.final is not None)
    how = worded(f"as TensorFlow draws them ({argument('weights')} takes yours)")
    return {"drawn": how, "cell": case.weights.spec.cell, "units": units, "seed": seed}


def judging(options: Mapping[str, Any]) -> dict[str, Any]:
    """Which rules to judge by, and how much to quote: what was asked for must be there to show.

    Raises UserError where it is not.
    """
    excerpt = options.get("excerpt")
    if excerpt is None:
        excerpt = "all" if options.get("rows") or options.get("steps") else renderers.excerpt(options["format_"])
    if excerpt not in (None, "all") and not str(excerpt).isdecimal():
        raise UserError(f"--excerpt {excerpt}: give a count of numbers, or all")
    chosen = {name: tuple(r for text in options[name] for r in text.split(",") if r) for name in ("select", "ignore")}
    return {**chosen, **({} if excerpt is None else {"excerpt": None if excerpt == "all" else int(excerpt)})}


def note_reading(case: Case, convention: str, quiet: bool) -> None:
    """Say which reading was used where it was not stated, and which others the numbers allow."""
    if quiet:
        return
    from rnninspect.cli.output import note
    from rnninspect.core.axis_words import in_words

    if convention == "auto":
        others = "".join(f" or {b.name}" for b in case.reading.evidence.conventions[1:])
        note(
            f"read as {case.convention.name}{others}: {in_words(case.reading.text)} (choose with --convention)",
            quiet,
        )
    elif not case.reading.as_stated:
        note(f"the usual or stated axes do not fit; read as {in_words(case.reading.text)}", quiet)
    for rival in case.choice.rivals:
        note(f"also possible: {in_words(rival.text)}", quiet)


def note_idle(case: Case, options: Mapping[str, Any], quiet: bool) -> None:
    """Say which of the attributes stated mean nothing to this cell."""
    from rnninspect.cli.output import note
    from rnninspect.conventions.weights.gates import ATTRIBUTES

    cell = case.weights.spec.cell if case.weights is not None else case.config.cell
    attributes = [name for name in ATTRIBUTES if options.get(name) is not None and name != "state_is_tuple"]
    if cell is None or not attributes:
        return
    from rnninspect.engine import cells

    idle = ["--" + name.replace("_", "-") for name in attributes if name not in cells.get(cell).varied_by]
    if idle:
        note(f"{', '.join(idle)}: not used: a cell of kind {cell} has no such attribute", quiet)
