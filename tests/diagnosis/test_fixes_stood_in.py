"""Fixes of frameworks that are not installed, run against stand-ins: applied to the mistake, they leave a clean report.

Each runs in layers of one and two directions, one and two layers, of an LSTM and a GRU, in both orders of the axes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import pytest

from rnninspect.conventions import conventions
from rnninspect.core.trace import DIRECTIONS, Track
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from tests.support.made import correct_case, needs_backward
from tests.support.stand_ins.frameworks import FRAMEWORKS, Calls, names_of
from tests.support.stand_ins.layers import Layer, a_layer_each, flat, nested_outputs, stacked
from tests.support.stand_ins.tensors import tensor

Names = dict[str, Any]
FIELDS = (("h", "hidden"), ("c", "cell"))
HALVES = {"forward": "outputs_fw", "backward": "outputs_bw"}

# What changes a cell has a file of its own: `test_fixes_of_cells`.
OF_CELLS = {"gru-reset-variant", "recurrent-activation", "clip-or-peephole-ignored"}
# What a fix gives, by rule: a final state that is taken from what there is, outputs, inputs or lengths that go into the
# next run, or a run itself.
STATE = {
    "last-column-as-final-state", "backward-final-at-last-step", "direction-missing", "direction-duplicated",
    "state-read-batch-first", "state-reshaped-not-transposed", "wrong-layer", "rows-permuted", "lengths-ignored",
    "directions-exchanged",
}  # fmt: skip
OUTPUTS = {
    "padding-computed", "padding-repeats-last-output", "mask-hole", "directions-interleaved", "backward-not-flipped",
    "outputs-aliased", "output-dropout", "truncated-time-axis",
}  # fmt: skip
INPUTS = {"off-by-one-length", "length-exceeds-time", "lengths-misaligned", "lengths-rescaled", "left-padded"}
RUN = {"state-from-another-run", "stale-initial-state", "cell-hidden-swapped", "cell-overwritten-by-hidden"}
OWN_TESTS = {
    "flat-gather-wrong-stride", "backward-read-padding", "zero-length-row", "nonfinite-values", "batch-time-swapped",
    "gate-order", "forget-bias", "bias-dropped", "update-gate-flipped", "kernel-transposed", "precision-drift",
    "layer-order-reversed", "output-residual",
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    framework: str
    cell: str
    layers: int
    directions: int
    time_major: bool

    @property
    def axes(self) -> Any:
        """Turns `[B, T, …]` into the axes of the framework's arrays, and back."""
        return (lambda a: np.swapaxes(a, 0, 1)) if self.time_major else (lambda a: a)


SHAPES = [("lstm", 1, 1), ("gru", 1, 2), ("lstm", 2, 2), ("gru", 2, 1), ("gru", 1, 1), ("lstm", 1, 2)]


def settings(framework: str) -> list[Setting]:
    return [Setting(framework, *shape, time_major) for shape in SHAPES for time_major in (False, True)]


@functools.cache
def right_of(setting: Setting, full: bool = False) -> Case:
    """The right run; its rows differ in length, none where `full`."""
    rows = 4 if setting.layers * setting.directions == 4 else 5
    lengths = np.full(rows, 7) if full else np.array([4, 1, 7, 3, 6])[:rows]
    case = correct_case(setting.cell, setting.layers, setting.directions, lengths=lengths, convention=setting.framework)
    return replace(case, layer=replace(case.layer, config=replace(case.config, time_major=setting.time_major)))


def wrong_of(rule: str, right: Case) -> Case | None:
    try:
        return rules()[rule].inject(right)
    except CannotInject:
        return None


def names_in(setting: Setting, right: Case, wrong: Case, calls: Calls) -> Names:
    """What the user has: the wrong dump's arrays, what the right run returned, and the framework."""
    trace, layer = wrong.trace, Layer(right, setting.framework, setting.time_major)
    assert wrong.batch is not None
    assert right.trace.lengths is not None
    axes = setting.axes
    names: Names = {"np": np, "B": trace.batch_size, "T": right.trace.steps, "L": trace.layers, "D": trace.directions}
    names |= {"F": 5, "H": 5, "p": 0.5, "steps": [], "lengths": np.array(trace.lengths), "mask": tensor(trace.mask)}
    names |= {"x": tensor(axes(wrong.batch.inputs)), "order": np.argsort(-right.trace.lengths, kind="stable")}
    names |= {"last_index": right.trace.lengths - 1, "stride": 2, "kernel_size": 2, "padding": 0, "kernel": 2, "pad": 0}
    names |= {"inputs": names["x"], "initial_state": None}
    top = [t for t in trace.tracks if t.layer == trace.layers - 1]
    if all(t.outputs is not None for t in top):
        outputs = nested_outputs(trace, setting.time_major)
        names["outputs"] = tensor(np.concatenate(list(outputs.values()), -1))
        names |= {HALVES[way]: array for way, array in outputs.items()}
    return names | names_of(layer, calls) | states_of(setting, right.trace)


def states_of(setting: Setting, trace: Any) -> Names:
    """The states of a run as the framework nests them."""
    if setting.framework == "paddle":
        both = stacked(trace)
        return {"h": both[0], "c": both[1]} if isinstance(both, tuple) else {"h": both}
    if setting.framework == "mxnet":
        both = stacked(trace)
        top = [t.final for t in trace.tracks if t.layer == trace.layers - 1]
        h, c = both if isinstance(both, tuple) else (both, None)
        return {"states": flat(trace), "h": h, "c": c, "final": tensor(np.concatenate(top, -1))}
    if setting.directions == 1:
        return {"state": a_layer_each(trace, setting.framework, "forward")}
    forward, backward = (a_layer_each(trace, setting.framework, way) for way in DIRECTIONS)
    pairs = zip(forward, backward, strict=True) if type(forward) is tuple else [(forward, backward)]
    return {"state_fw": forward, "state_bw": backward, "state": tuple(half for pair in pairs for half in pair)}


def code_of(rule: str, setting: Setting) -> str:
    code = conventions()[setting.framework].fix(
        rule,
        setting.time_major,
        setting.cell,
        setting.directions,
        None,
        setting.layers,  # type: ignore[arg-type]
    )
    assert code is not None
    return code


def ran(rule: str, setting: Setting, names: Names) -> Names:
    code = code_of(rule, setting)
    try:
        exec(compile(code, rule, "exec"), names)
    except Exception as error:
        raise AssertionError(f"{rule}, {setting}: {type(error).__name__}: {error}\n{code}") from error
    return names


def assert_clean(case: Case, rule: str, setting: Setting) -> None:
    top = case.trace.layers - 1
    bare = case.with_tracks(lambda t: t if t.layer == top else replace(t, outputs=None))  # as dumps of stacks are
    findings = [f for f in judge(bare, rules()).findings if f.severity != "note"]
    assert not findings, (rule, setting, code_of(rule, setting), [(f.rule, f.message) for f in findings])


def with_final(case: Case, final: Any) -> Case:
    """The case with the top layer's, or all layers', states from one vector a row; no other state is given then."""
    final = np.asarray(final)
    if final.ndim == 3:  # a stack
        final = np.concatenate(list(final), -1)
    tracks = case.trace.tracks
    units = next(t.final.shape[1] for t in reversed(tracks) if t.final is not None)
    count = final.shape[1] // units
    assert count in (len(tracks), case.trace.directions)
    parts = dict(zip([id(t) for t in tracks[-count:]], np.split(final, count, 1), strict=True))
    return case.with_tracks(lambda t: replace(t, final=parts.get(id(t)), cell=None))


def run_again(rule: str, setting: Setting, right: Case, names: Names) -> Case:
    """The layer run on the names' inputs and lengths."""
    layer = Layer(right, setting.framework, setting.time_major)
    x = names["inputs" if "inputs" in code_of(rule, setting) else "x"]
    lengths = np.asarray(names["lengths"]).astype(np.int64)
    trace = replace(layer.run(x, lengths), padding=right.trace.padding)
    return replace(right.with_trace(trace), batch=None)


def cases_of(rule: str, framework: str) -> list[tuple[Setting, Case, Case]]:
    """Where the mistake can be made, the right run, and the wrong dump."""
    if rule not in conventions()[framework].fixes:
        return []
    made = []
    for setting in settings(framework):
        right = right_of(setting, full=framework == "haiku" and rule in RUN)
        wrong = wrong_of(rule, right)
        if wrong is not None and (setting.directions == 2) >= needs_backward(rule):
            made.append((setting, right, wrong))
    return made


def all_of(names: set[str]) -> list[Any]:
    return [
        pytest.param(rule, framework, id=f"{framework}-{rule}")
        for framework in FRAMEWORKS
        for rule in sorted(names & set(conventions()[framework].fixes))
    ]


@pytest.mark.parametrize(("rule", "framework"), all_of(STATE))
def test_a_state_is_taken(rule: str, framework: str) -> None:
    """The final state that the code takes, in place of the wrong one, leaves nothing to say."""
    for setting, right, wrong in cases_of(rule, framework):
        names = names_in(setting, right, wrong, calls := Calls())
        if rule == "rows-permuted":
            names |= states_of(setting, wrong.trace)
        if "states" in code_of(rule, setting) and framework == "haiku":
            if setting.directions == 2:
                continue  # two cores, each unrolled by a call of its own, in the order in which it reads
            if rule == "last-column-as-final-state":
                names |= ran("lengths-ignored", setting, dict(names))
        names = ran(rule, setting, names)
        if "final" in code_of(rule, setting):
            case = with_final(wrong, names["final"])
        elif rule == "rows-permuted":
            case = permuted_back(setting, wrong, names)
        else:
            case = right.with_trace(calls.traces[-1])
        if calls.traces:
            case = case.with_tracks(functools.partial(_outputs_of, calls.traces[-1]))
        assert_clean(case.with_weights(None), rule, setting)


def _outputs_of(trace: Any, track: Track) -> Track:
    return replace(track, outputs=trace.track(track.layer, track.direction).outputs)


def permuted_back(setting: Setting, wrong: Case, names: Names) -> Case:
    """The case with the states that the code put back, c as well as h."""
    if setting.framework in ("paddle", "mxnet"):
        states = [*zip_longest(names["h"], names["c"] if setting.cell == "lstm" else ())]
    else:
        apart = setting.framework == "tf1" and setting.directions == 2
        ways = [names["state_fw"], names["state_bw"]] if apart else [names["state"]]
        layers = zip(*(way if type(way) is tuple else (way,) for way in ways), strict=True)
        states = [h_and_c(state) for layer in layers for state in layer]
    of_track = dict(zip(map(id, wrong.trace.tracks), states, strict=True))
    return wrong.with_tracks(lambda t: replace(t, final=of_track[id(t)][0], cell=of_track[id(t)][1]))


def h_and_c(state: Any) -> tuple[Any, Any]:
    """The fields of a pair, by their names in tf1 and haiku; a state without c is h itself."""
    h, c = (next((getattr(state, name) for name in names if hasattr(state, name)), None) for names in FIELDS)
    return (state, None) if c is None else (h, c)


@pytest.mark.parametrize(("rule", "framework"), all_of(OUTPUTS))
def test_outputs_are_mended(rule: str, framework: str) -> None:
    """The outputs that the code gives, in place of the wrong ones, leave nothing to say."""
    for setting, right, wrong in cases_of(rule, framework):
        names = names_in(setting, right, wrong, Calls())
        halves = nested_outputs(wrong.trace, False)
        if rule == "directions-interleaved":
            both = list(nested_outputs(right.trace, setting.time_major).values())
            names |= {"outputs": tensor(np.concatenate(both, -1))}
            names |= {HALVES[way]: array for way, array in nested_outputs(right.trace, setting.time_major).items()}
        if "row =" in code_of(rule, setting):
            for b, n in enumerate(right.trace.lengths):  # type: ignore[arg-type]
                row = ran(rule, setting, {**names, "b": b, "n": n})["row"]
                halves["backward"][b, :n] = row
        elif rule == "outputs-aliased":
            names["steps"] = []
            buffer = np.zeros_like(right.trace.tracks[-1].outputs[:, 0])  # type: ignore[index]
            names |= {"h": tensor(buffer), "output": tensor(buffer)}
            if setting.directions == 2:
                continue
            for t in range(right.trace.steps):
                for name in ("h", "output"):
                    names[name][...] = right.trace.tracks[-1].outputs[:, t]  # type: ignore[index]
                ran(rule, setting, names)
            halves["forward"] = tensor(np.stack(names["steps"], 1))
        elif rule in ("output-dropout", "truncated-time-axis"):
            if "outputs =" not in code_of(rule, setting) or rule == "output-dropout":
                continue
            mended = setting.axes(ran(rule, setting, names)["outputs"])
            assert mended.shape[1] == right.trace.steps
            halves = dict(zip(halves, np.split(mended, len(halves), -1), strict=True))
        else:
            if rule == "mask-hole":
                holed = right.trace.mask.copy()
                holed[int(np.argmax(holed.sum(1))), 1] = False
                names["mask"] = tensor(holed)
                wrong = wrong.with_trace(replace(wrong.trace, mask=holed, lengths=None, mask_given=True))
            names = ran(rule, setting, names)
            if "outputs_bw" in code_of(rule, setting):
                halves = {way: setting.axes(names[HALVES[way]]) for way in halves}
            else:
                halves = dict(zip(halves, np.split(setting.axes(names["outputs"]), len(halves), -1), strict=True))
        source = right if rule in ("directions-interleaved", "truncated-time-axis") else wrong
        top = source.trace.layers - 1
        case = source.with_tracks(
            lambda t, halves=halves, top=top: (
                replace(t, outputs=np.asarray(halves[t.direction])) if t.layer == top else t
            )  # type: ignore[misc]
        )
        assert_clean(case.with_weights(None), rule, setting)


@pytest.mark.parametrize(("rule", "framework"), all_of(INPUTS))
def test_inputs_and_lengths_are_mended(rule: str, framework: str) -> None:
    """The layer run again on the inputs and lengths that the code gives leaves nothing to say."""
    for setting, right, wrong in cases_of(rule, framework):
        names = names_in(setting, right, wrong, Calls())
        assert right.batch is not None
        assert right.trace.lengths is not None
        rows = [np.asarray(right.batch.inputs[b, :n]) for b, n in enumerate(right.trace.lengths)]
        names["rows"] = rows
        if rule == "left-padded" and "row" in code_of(rule, setting).replace("rows", ""):
            padded = [np.asarray(ran(rule, setting, {**names, "row": row, "n": len(row)})["x"]) for row in rows]
            names["x"] = setting.axes(np.stack(padded))
        elif rule == "left-padded" and framework == "mxnet":
            continue  # a class of gluonnlp's
        else:
            if rule == "lengths-misaligned":  # one order for both, whichever
                names["lengths"] = np.array(right.trace.lengths)
                names["order"] = np.array([2, 0, 1, 3, 4][: len(rows)])
            names = ran(rule, setting, names)
        case = run_again(rule, setting, right, names)
        assert (np.asarray(names["lengths"]) <= right.trace.steps).all()
        assert_clean(case.with_weights(None), rule, setting)
        if rule != "lengths-misaligned" and rule != "length-exceeds-time":
            assert np.array_equal(case.trace.lengths, right.trace.lengths)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rule", "framework"), all_of(RUN))
def test_the_layer_is_run_again(rule: str, framework: str) -> None:
    """What the call in the code returns leaves nothing to say; c and h are in the places that the code gives them."""
    for setting, right, wrong in cases_of(rule, framework):
        names = names_in(setting, right, wrong, calls := Calls())
        if framework == "tf1" and setting.directions == 2 and "nn.dynamic_rnn" in code_of(rule, setting):
            raise AssertionError(f"{rule}: one direction's code for {setting}")
        if framework == "haiku" and setting.directions == 2:
            continue  # two cores, each unrolled by a call of its own
        if "sess.run" in code_of(rule, setting):
            names |= {"outputs": 1, "state": 2}
            assert ran(rule, setting, names)["state_value"] == 2
            continue
        names = ran(rule, setting, names)
        if rule.startswith("cell-") and framework != "paddle":  # the states that there are, under other names
            tops = [t for t in right.trace.tracks if t.layer == setting.layers - 1]
            for track in tops:
                way = "" if len(tops) == 1 else "fw" if track.direction == "forward" else "bw"
                for letter, state in (("h", track.final), ("c", track.cell)):
                    name = f"{way}_{letter}" if framework == "mxnet" else f"{letter}_{way}"
                    np.testing.assert_array_equal(names[name.strip("_")], state)
            continue
        assert calls.traces, (rule, setting, code_of(rule, setting))
        assert_clean(replace(right.with_trace(calls.traces[-1])), rule, setting)


def test_every_fix_has_its_place() -> None:
    """No rule's fix in these frameworks is passed over without a reason."""
    placed = STATE | OUTPUTS | INPUTS | RUN | OWN_TESTS | OF_CELLS
    for framework in FRAMEWORKS:
        assert set(conventions()[framework].fixes) <= placed, set(conventions()[framework].fixes) - placed
