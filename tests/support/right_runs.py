"""Random right runs of every convention, and what their owners may know of them, taken away step by step.

A right run is never accused, however little is said about it: it may be left unjudged. `python -m
tests.support.right_runs FIRST COUNT` prints what is accused by step and rule, when stopped before its end
too; `… SEED` alone shows one run.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from rnninspect import conventions
from rnninspect.api.inspect import inspect
from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.roles import assign_roles
from rnninspect.core.evidence import Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.trace import Array
from rnninspect.core.weights import Weights
from rnninspect.diagnosis import build_case
from rnninspect.errors import UserError
from rnninspect.report.report import Report
from tests.support.made import random_weights

Knowledge = Literal["lengths", "names", "convention", "axes", "weights"]
ORDER: tuple[Knowledge, ...] = ("lengths", "names", "convention", "axes", "weights")

# Frameworks whose layers take a row of no steps; the others refuse it.
TAKE_EMPTY = {"tf1", "keras", "onnx", "paddle", "flax", "mxnet"}
# Names of the field that no convention owns; the first of a list is the commonest.
FIELD_NAMES = {
    "outputs": ("out", "encoder_outputs", "lstm_out", "y", "memory"),
    "h": ("hidden", "hx", "last_state", "encoder_hidden", "h_t"),
    "c": ("cell", "cx", "last_cell", "encoder_cell", "c_t"),
    "inputs": ("x", "emb", "src", "features", "batch"),
    "lengths": ("lens", "seq_lens", "src_lengths", "input_lengths", "n_frames"),
    "mask": ("attention_mask", "masks", "padding_mask", "valid", "keep"),
    "initial_h": ("h0", "init_state", "hx0", "start", "prev_h"),
    "initial_c": ("c0", "init_cell", "cx0", "start_cell", "prev_c"),
}
LETTERS = "abdefgijklmnpqrsuvwz"  # without those that mean something here


@dataclass(frozen=True)
class RightRun:
    """A right run as its framework's user holds it: arrays, weights, and all that could be stated.

    `about`: what is known of the layer, as keywords of `inspect`; `empty`: a row has no real step.
    """

    seed: int
    convention: Convention
    config: LayerConfig
    arrays: dict[str, Array]
    weights: dict[str, Array]
    attributes: dict[str, Any]
    about: dict[str, Any]
    kind: str
    empty: bool


def right_run(seed: int) -> RightRun:
    """The run of that seed; UserError where its framework has no such layer."""
    rng = np.random.default_rng(seed)
    convention = conventions.get(str(rng.choice(list(conventions.conventions()))))
    cell = str(rng.choice(["lstm", "gru", "rnn"]))
    layers, way = int(rng.choice([1, 1, 2, 3])), _direction(convention.name, rng)
    directions = 2 if way == "bidirectional" else 1
    rows, steps = _sizes(rng, layers * directions)
    config = LayerConfig(
        cell=cell,  # type: ignore[arg-type]
        layers=layers,
        direction=way if way != "forward" else None,  # type: ignore[arg-type]
        time_major=bool(rng.random() < (0.5 if convention.name in ("torch", "haiku", "onnx", "mxnet") else 0.2)),
    )
    if convention.name == "keras":
        backwards = way == "reverse"
        config = replace(config, direction=None if backwards else config.direction, go_backwards=backwards)
        if directions == 2 and layers == 1 and rng.random() < 0.4:
            config = replace(config, merge_mode=str(rng.choice(["sum", "mul", "ave"])))  # type: ignore[arg-type]
    if convention.name == "flax" and way == "reverse":
        config = replace(config, keep_order=bool(rng.random() < 0.5))
    kind, real_steps = _real_steps(convention.name, rng, rows, steps)
    if convention.name == "torch" and kind == "uneven" and directions == 1 and rng.random() < 0.4:
        kind, config = "unpacked, gathered", replace(config, padding="computed")
    weights = _weights(convention, config, rng)
    inputs = rng.normal(size=(rows, steps, weights.layers[0].features)).astype(np.float32)
    batch = {"inputs": inputs.swapaxes(0, 1) if config.time_major else inputs, **real_steps}
    initial = _initial(weights, rows, rng) if rng.random() < 0.25 else None
    options = build_case.RunOptions(truncate=kind != "masked" and rng.random() < 0.2)
    case = build_case.run_case(batch, config, convention.name, weights=weights, initial_state=initial, options=options)
    axes = {"batch_first": not config.time_major, "cell": cell, "layers": layers}
    shape = {n: getattr(config, n) for n in ("direction", "keep_order", "padding") if getattr(config, n) is not None}
    merged = {"merge_mode": config.merge_mode} if config.merge_mode != "concat" else {}
    turned = {"go_backwards": True} if config.go_backwards else {}
    return RightRun(
        seed,
        convention,
        config,
        build_case.dump(case),
        convention.write_weights(weights),
        convention.attributes(weights.spec),
        {**axes, **shape, **merged, **turned},
        kind,
        bool((~case.trace.mask.any(1)).any()),
    )


def _direction(name: str, rng: np.random.Generator) -> str:
    """Directions that this framework has."""
    if rng.random() < 0.35:
        return "bidirectional" if name != "haiku" else "forward"
    return "reverse" if name in ("keras", "flax", "onnx", "haiku") and rng.random() < 0.2 else "forward"


def _sizes(rng: np.random.Generator, tracks: int) -> tuple[int, int]:
    """Rows and steps, the awkward ones among them: one row, one step, as many rows as steps, or as tracks."""
    rows, steps = int(rng.integers(2, 7)), int(rng.integers(2, 9))
    kind = int(rng.integers(8))
    return {0: (1, steps), 1: (rows, 1), 2: (steps, steps), 3: (tracks, steps), 4: (steps, tracks)}.get(
        kind, (rows, steps)
    )


def _real_steps(name: str, rng: np.random.Generator, rows: int, steps: int) -> tuple[str, dict[str, Array]]:
    """Lengths or a mask such as this framework's layer takes, and what kind they are."""
    full = np.full(rows, steps)
    if name == "haiku":  # it takes no lengths: every row is full
        return "full", {"lengths": full} if rng.random() < 0.5 else {}
    chance = rng.random()
    if chance < 0.15:
        return "not known", {}
    if chance < 0.3:
        return "full", {"lengths": full}
    lengths = rng.integers(1, steps + 1, rows)
    if rng.random() < 0.5:
        lengths[rng.integers(rows)] = steps
    if name in TAKE_EMPTY and rng.random() < 0.15:
        lengths[rng.integers(rows)] = 0
    mask = np.arange(steps) < lengths[:, None]
    if name == "keras" and rng.random() < 0.5:
        form = int(rng.integers(3))
        mask = mask[:, ::-1] if form == 1 else (mask & (rng.random(mask.shape) < 0.7) if form == 2 else mask)
        return "masked", {"mask": np.ascontiguousarray(mask)}
    return "uneven", {"lengths": lengths}


def _weights(convention: Convention, config: LayerConfig, rng: np.random.Generator) -> Weights:
    """Random weights of a cell that this framework builds, read back from its own arrays."""
    cell, features, units = config.cell or "lstm", int(rng.integers(1, 6)), int(rng.integers(2, 7))
    directions = 2 if config.direction == "bidirectional" else 1
    attributes = {"cell_clip": 0.5} if cell == "lstm" and "cell_clip" in convention.takes and rng.random() < 0.2 else {}
    spec = convention.spec(cell, attributes)
    fields = {"reset_after": spec.reset_after} if cell == "gru" else {"cell_clip": spec.cell_clip}
    fields |= {"forget_bias": spec.forget_bias} if cell == "lstm" else {}
    made = random_weights(cell, features, units, config.layers or 1, directions, int(rng.integers(2**31)), **fields)
    if config.direction == "reverse" or config.go_backwards:
        made = replace(made, layers=tuple(replace(w, direction="backward") for w in made.layers))
    if cell != "gru" or not spec.reset_after:
        made = replace(made, layers=tuple(replace(w, recurrent_bias=None) for w in made.layers))
    return made


def _initial(weights: Weights, rows: int, rng: np.random.Generator) -> dict[Any, Any]:
    """An initial state for every layer and direction."""

    def drawn(width: int) -> Array:
        return rng.uniform(-1, 1, (rows, width)).astype(np.float32)

    has_c = weights.spec.cell == "lstm"
    return {(w.layer, w.direction): (drawn(w.units), drawn(w.cell_units) if has_c else None) for w in weights.layers}


def steps_of(seed: int) -> list[tuple[str, frozenset[Knowledge]]]:
    """What is unknown, step by step, with a label: in order, one at a time, or in an order of the seed's own."""
    if seed % 3 == 1:
        return [("all stated", frozenset()), *((f"no {k} alone", frozenset({k})) for k in ORDER)]
    order = ORDER if seed % 3 == 0 else tuple(np.random.default_rng(seed).permutation(list(ORDER)).tolist())
    steps: list[tuple[str, frozenset[Knowledge]]] = [("all stated", frozenset())]
    for k in range(1, len(order) + 1):
        label = f"{k}. and no {order[k - 1]}" if seed % 3 == 0 else f"any {k} unknown"
        steps.append((label, frozenset(order[:k])))
    return steps


def question(run: RightRun, unknown: frozenset[Knowledge]) -> tuple[dict[str, Array], dict[str, Any]]:
    """What is handed to `inspect`: arrays under their names, and keywords."""
    arrays = dict(run.arrays)
    if "lengths" in unknown:
        arrays = {name: a for name, a in arrays.items() if name not in ("lengths", "mask")}
    if "weights" in unknown:
        arrays.pop("inputs", None)
    keywords: dict[str, Any] = {}
    if "names" in unknown:
        arrays = renamed(run, arrays)
    if "convention" not in unknown:
        keywords["convention"] = run.convention.name
    if "axes" not in unknown:
        keywords |= run.about
    if "weights" not in unknown:
        keywords |= {"weights": run.weights, "weights_convention": run.convention.name, **run.attributes}
    return arrays, keywords


def renamed(run: RightRun, arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays under the field's names, under letters, or under numpy's `arr_0`, as the seed has it."""
    style = (run.seed // 3) % 3
    if style == 1:
        return {f"arr_{k}": array for k, array in enumerate(arrays.values())}
    if style == 2:
        return {LETTERS[k % len(LETTERS)] + LETTERS[0] * (k // len(LETTERS)): a for k, a in enumerate(arrays.values())}
    config = replace(run.config, time_major=False)
    named = {slot.name: _field_name(slot, run) for slot in assign_roles(run.convention, arrays, config)}
    arrays_renamed: dict[str, Array] = {}
    for name, array in arrays.items():
        new = named.get(name, name)
        arrays_renamed[new if new not in arrays_renamed else f"{new}_{len(arrays_renamed)}"] = array
    return arrays_renamed


def _field_name(slot: Slot, run: RightRun) -> str:
    names = FIELD_NAMES[slot.role]
    parts = [names[(run.seed // 9) % len(names)]]
    parts += [{"forward": "fw", "backward": "bw"}[slot.direction]] if slot.direction else []
    parts += [str(slot.layer)] if slot.layer is not None and (run.config.layers or 1) > 1 else []
    return "_".join(parts)


def accusations(run: RightRun, report: Report) -> list[Any]:
    """Findings above a note; that a row without steps is a trap may be said of one that has such a row."""
    return [f for f in report.findings if f.severity != "note" and not (f.rule == "zero-length-row" and run.empty)]


@dataclass
class Tally:
    """What came of many runs: verdicts by step, accusations by step and rule, the first seeds of each, crashes."""

    verdicts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    accused: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    crashed: list[str] = field(default_factory=list)
    runs: int = 0

    @property
    def share(self) -> float:
        """Of the answers that were no refusals, how many accuse."""
        verdicts: Counter[str] = sum(self.verdicts.values(), Counter())
        return verdicts["accused"] / max(1, verdicts.total() - verdicts["refused"])

    def table(self) -> str:
        lines = [f"{self.runs} right runs"]
        for label in sorted(self.verdicts):
            counts = self.verdicts[label]
            shares = ", ".join(f"{n} {v}" for v, n in sorted(counts.items()))
            lines.append(f"{label}: {sum(counts.values())} ({shares})")
            kinds = sorted(((r, s) for (at, r), s in self.accused.items() if at == label), key=lambda k: -len(k[1]))
            lines += [f"    {rule} {len(seeds)} (seeds {', '.join(map(str, seeds[:4]))})" for rule, seeds in kinds]
        return "\n".join([*lines, *self.crashed[:5]])


def answers(seed: int) -> Iterator[tuple[RightRun, str, Report | str]]:
    """Every step's report of one seed's run, or the line of its refusal; nothing where there is no such layer."""
    try:
        run = right_run(seed)
    except UserError:
        return
    for label, unknown in steps_of(seed):
        arrays, keywords = question(run, unknown)
        try:
            yield run, label, inspect(arrays, **keywords)
        except UserError as error:
            yield run, label, str(error)


def tally(seeds: range) -> Tally:
    """What comes of the runs of these seeds."""
    counted = Tally()
    for seed in seeds:
        count(seed, counted)
    return counted


def count(seed: int, counted: Tally) -> None:
    """Adds the answers to one seed's run."""
    before = None
    try:
        for run, label, answer in answers(seed):
            counted.runs += run is not before
            before = run
            if isinstance(answer, str):
                counted.verdicts[label]["refused"] += 1
                continue
            accused = accusations(run, answer)
            counted.verdicts[label]["accused" if accused else answer.verdict.replace("findings", "clean")] += 1
            for rule in dict.fromkeys(f.rule for f in accused):
                counted.accused[label, rule].append(seed)
    except Exception as error:  # what is no UserError is a crash, which the caller must see beside the rest
        counted.crashed.append(f"seed {seed}: {type(error).__name__}: {error}")


def tally_until_stopped(seeds: range) -> Tally:
    """What came of these seeds, or of those before a SIGINT or SIGTERM."""
    counted = Tally()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for seed in seeds:
            count(seed, counted)
    except KeyboardInterrupt:
        print(f"stopped at seed {seed}")
    return counted


def main(arguments: list[str]) -> None:
    """Prints the table of many seeds, or the answers to one."""
    if len(arguments) == 2:
        print(tally_until_stopped(range(int(arguments[0]), int(arguments[0]) + int(arguments[1]))).table())
        return
    for run, label, answer in answers(int(arguments[0])):
        print(f"\n{label}: {run.convention.name}, {run.kind}, {run.about}")
        arrays, _ = question(run, dict(steps_of(run.seed))[label])
        print("  ", {name: array.shape for name, array in arrays.items()})
        if isinstance(answer, str):
            print("   refused:", answer)
            continue
        print("  ", answer.verdict)
        for f in answer.findings:
            print(f"   {f.severity} {f.rule}: {f.message}")


if __name__ == "__main__":
    main(sys.argv[1:])
