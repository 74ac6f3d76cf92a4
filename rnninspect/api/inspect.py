"""run and inspect: what the commands call, and what a program calls. Nothing here prints.

The keywords are the command line's options with underscores (`time_major=True`). Importing this does
not import torch; `run` does, and `inspect` does only where a rule runs `weights`. What reads objects that a program
holds is imported where they come in: the command line, which has files, starts without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from rnninspect import conventions
from rnninspect.api.config import layer_config, with_full
from rnninspect.api.idle_options import with_idle_options
from rnninspect.core.arrays import is_array
from rnninspect.core.evidence import UNKNOWN, Origin
from rnninspect.core.layer_config import LayerConfig
from rnninspect.core.weights import Weights
from rnninspect.core.wording import argument
from rnninspect.diagnosis import rules as registry
from rnninspect.diagnosis.build_case import read_weights
from rnninspect.diagnosis.case import Case
from rnninspect.diagnosis.defaults import with_defaults, with_direction_of_weights
from rnninspect.diagnosis.half_of_outputs import with_half_of_outputs
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.mask_by_run import is_of_its_run, is_right
from rnninspect.diagnosis.otherwise import otherwise
from rnninspect.diagnosis.reading_by_run import with_axes_by_run, with_reading_by_run
from rnninspect.diagnosis.rule import Rule
from rnninspect.diagnosis.supposed import what_if, with_proven_lengths, with_proven_mask
from rnninspect.diagnosis.unexplained import UNEXPLAINED, UNEXPLAINED_DIFFERENCE
from rnninspect.errors import ShapeError, UnknownNameError, UserError
from rnninspect.measure.choose_reading import Tolerance
from rnninspect.report.build import compose
from rnninspect.report.excerpts import EXCERPT
from rnninspect.report.report import Report

if TYPE_CHECKING:
    import numpy.typing as npt

    from rnninspect.api.handed import Handed

Names = str | tuple[str, ...] | list[str]  # rules by name: "lengths-ignored", or several


@np.errstate(all="ignore")  # what a user should know of NaN and infinity is in the report
def inspect(
    outputs: Any = None,
    final_state: Any = None,
    *,
    text: str | None = None,
    cell_state: Any = None,
    initial_state: Any = None,
    lengths: npt.ArrayLike | str | None = None,
    mask: npt.ArrayLike | None = None,
    inputs: Any = None,
    weights: Any = None,
    weights_convention: str | None = None,
    weights_prefix: str | None = None,
    against: Any = None,
    convention: str = "auto",
    rtol: float = 0.0,
    atol: float = 0.0,
    select: Names = (),
    ignore: Names = (),
    excerpt: int | None = EXCERPT,
    **options: Any,
) -> Report:
    """Compare outputs with their final state and name what is wrong.

    `outputs`: `[B, T, H]`, `[B, T, 2H]` in two directions (time-major with `time_major=True`), an array of any
    framework, a pair (forward, backward), or torch's PackedSequence, which brings its lengths along. It may also be all
    that the layer's call returned, outputs and state, or a mapping of named arrays (a dump), or a Trace from `run`.
    `final_state`: h `[B, H]`, `[B, 2H]` or `[L*D, B, H]`; (h, c) in the convention's own order ((h, c) where nothing
    states one); an object with h and c; a flat list of states; tuples of those by layer or direction.
    `text`: a print-out instead of these, with its labels; `final_state`, `lengths`, … may then be names of arrays in it
    (`"last output"`).
    `cell_state`: c, if `final_state` is only h. `initial_state`: the initial state of the call, in the same forms.
    `lengths`: `[B]`, or `"full"`: no row is shorter than T; `mask`: `[B, T]`, True where a step is real; `inputs`:
    `[B, T, F]`.
    `weights`: Weights, arrays under `weights_convention`'s own names, nested or not (`layer.state_dict()`, Flax's and
    Haiku's parameters), `layer.get_weights()`, a module or layer itself, or a file's path: with `inputs`, the layer is
    run again and its numbers are compared too. `weights_prefix`: which layer of a model.
    `against`: a second run of the same inputs, in any form of `outputs`: compared step by step.
    `convention`: the layer's framework; `auto`: decided by the arrays' types, names, shapes and values.
    `rtol`, `atol`: a step matches within `atol + rtol * |h|`; 0 is bit for bit (numbers in lists or in a dump, where
    they were printed with different decimals, are first rounded to the fewer). `select`, `ignore`: rules by name.
    `excerpt`: how many numbers the report may quote; None: all.
    Further keywords state the layer: `cell`, `layers`, `bidirectional`, `time_major`, `forget_bias`, …

    Raises UserError for what the caller can correct: arrays that fit no reading or hold no numbers, and unknown names.

    >>> import numpy as np
    >>> o = np.array([[[0.1], [0.2], [0.0]], [[0.3], [0.4], [0.5]]])
    >>> inspect(o, np.array([[0.2], [0.5]]), lengths=[2, 3]).ok
    True
    >>> inspect(o, o[:, -1], lengths=[2, 3])
    <Report: 1 error (last-column-as-final-state), 2 rows, convention tf1>
    """
    from rnninspect.api.handed import Handed
    from rnninspect.api.live import beside, case_beside, case_of, of_text
    from rnninspect.api.role_arrays import source_of
    from rnninspect.api.state_alone import is_of_a_run
    from rnninspect.api.weights_given import weights_given, with_axes_of_layer, with_dropout

    config, lengths = with_full(layer_config(**options), lengths)
    attributes = config.attributes
    tolerance, whose = Tolerance(rtol, atol), None if convention == "auto" else convention
    layer, whose_weights = weights, {"weights_convention": weights_convention, "weights_prefix": weights_prefix}
    weights, config = weights_given(weights, config, weights_convention or whose, whose, outputs, weights_prefix)
    refuse_quantised(weights)
    handed = Handed(final_state, cell_state, initial_state, lengths, mask, inputs, layer)
    source: dict[str, Any] = {}
    if text is not None:
        read, handed = of_text(text, handed) if outputs is None else _both(outputs)
        outputs, source = dict(read.arrays), {**source_of(read), "notes": list(read.notes)}
    origin = origin_of_weights(weights, weights_convention)
    origin = origin if text is None else replace(origin, marks=read.marks)
    config = with_layers_of_states(config, weights, weights_convention or convention, outputs, handed)
    early = None if weights is None else weights_by_name(weights, config, weights_convention or convention)
    case = case_of(outputs, handed, with_cell_of(early, config), convention, tolerance, origin, early)
    if not is_of_a_run(case):
        case = case.with_weights(weights_of(weights, config, weights_convention or convention, case.convention.name))
    case = with_axes_of_layer(with_dropout(case, layer), layer)
    if against is not None:
        both = Handed(lengths=lengths, mask=mask, inputs=inputs)
        case = beside(case, case_beside(against, both, config, case.convention.name, tolerance))
    options = {**attributes, **whose_weights, "merge_mode": options.get("merge_mode")}
    return inspect_case(case, "inspect", source=source, select=select, ignore=ignore, excerpt=excerpt, options=options)


def _both(outputs: Any) -> NoReturn:
    raise UserError(f"outputs ({type(outputs).__name__}) and text are given: give one of them")


@np.errstate(all="ignore")  # what a user should know of NaN and infinity is in the report
def inspect_case(
    case: Case,
    command: str,
    *,
    source: Mapping[str, Any] | None = None,
    select: Names = (),
    ignore: Names = (),
    excerpt: int | None = EXCERPT,
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Judge a case by the chosen rules and report it. `options`: those of `with_idle_options`."""
    names, unwanted = as_names(select), as_names(ignore)
    rules = chosen_rules(names, unwanted)
    case = with_idle_options(prepared(case), options)
    judgement = judge(case, rules)
    other = otherwise(case, judgement, rules)
    if other is not None:
        case, judgement = other, judge(other, rules)
    judgement = replace(judgement, findings=[f for f in judgement.findings if f.rule not in unwanted])
    made = compose(case, judgement, command, dict(source or {}), excerpt, what_if(case, rules))
    failed = [f"the rule {rule.rule} {rule.reason}" for rule in judgement.not_checked if rule.failed]
    return Report(**{f.name: getattr(made, f.name) for f in fields(made)} | {"notes": [*made.notes, *failed]})


def prepared(case: Case) -> Case:
    """The case with what its numbers prove and nobody stated: merged directions, lengths, a mask, an activation."""
    if case.weights is not None:
        from rnninspect.api.half_of_two import with_half_of_two
        from rnninspect.api.merged_outputs import with_merged_outputs
        from rnninspect.diagnosis.reading_by_weights import with_tracks_of_weights

        case = with_tracks_of_weights(with_merged_outputs(with_half_of_two(case)))
        _refuse_other_widths(case)
        case = with_axes_by_run(case)
    case = with_direction_of_weights(with_half_of_outputs(case))
    proven = with_proven_lengths(with_proven_mask(case))
    settled = with_reading_by_run(proven)
    if proven is not case and not is_of_its_run(settled):  # the run may tell of steps that repeat others
        by_run = with_reading_by_run(case)
        settled = by_run if is_right(by_run) else settled
    if case.layer.dropout:
        from rnninspect.api.weights_given import without_dropped_units

        settled = without_dropped_units(settled)
    return with_defaults(settled)


def _refuse_other_widths(case: Case) -> None:
    """Raise ShapeError where a run of the weights would have other units than the outputs: another layer's weights."""
    widths = {(w.layer, w.direction): w.units for w in case.weights.layers} if case.weights else {}
    for track in case.trace.tracks if case.has("inputs") else ():
        units = widths.get((track.layer, track.direction))
        if track.outputs is not None and units is not None and units != track.outputs.shape[2]:
            raise ShapeError(
                f"the weights of {track.name} have {units} units, and its outputs in this dump "
                f"{track.outputs.shape[2]}: give the weights of the layer that ran, or state the outputs' axes"
            )


def chosen_rules(select: tuple[str, ...], ignore: tuple[str, ...]) -> Mapping[str, Rule]:
    """The rules by name, less those ignored, or only those selected; UnknownNameError on an unknown one.

    What a report says where no rule explains the numbers has a name too, and can be ignored.
    """
    all_rules = registry.rules()
    known_names = {*all_rules, UNEXPLAINED, UNEXPLAINED_DIFFERENCE}
    for name in (*select, *ignore):
        if name not in (all_rules if name in select else known_names):
            raise UnknownNameError("rule", name, sorted(known_names), "`rnninspect list rules`")
    names = [n for n in all_rules if (not select or n in select) and n not in ignore]
    return all_rules if len(names) == len(all_rules) else {n: all_rules[n] for n in names}


def weights_of(
    weights: Weights | Mapping[str, Any] | None, config: LayerConfig, whose: str, guess: str = ""
) -> Weights | None:
    """Weights from what was given for them: Weights, or arrays under the names of `whose`; where that is `auto`, of
    whom the arrays beside them were guessed to be, unless the names show another."""
    if weights is None or isinstance(weights, Weights):
        return weights
    if whose == "auto":
        alike = [convention.name for convention in conventions.of_weights(weights)]
        whose = guess if guess in alike or not alike else alike[0]
    return read_weights(weights, config, whose)


def refuse_quantised(weights: Any) -> None:
    """Raise UserError where no run of these weights gives a dump's numbers, as their operator rounds what it reads."""
    if isinstance(weights, Weights) and weights.quantised:
        raise UserError(
            f"{weights.quantised} rounds what it reads to 8 bits at every step, so that no run of its weights gives "
            f"its numbers again: compare without {argument('weights')}, or give a dump and weights of the model before "
            "it was quantised"
        )


def weights_by_name(weights: Weights | Mapping[str, Any], config: LayerConfig, whose: str) -> Weights | None:
    """Weights from what was given for them, before the dump beside them is read: under the names of `whose`, or, where
    that is `auto`, of the framework that they show; None where they show none."""
    if isinstance(weights, Weights):
        return weights
    alike = [whose] if whose != "auto" else [convention.name for convention in conventions.of_weights(weights)]
    return read_weights(weights, config, alike[0]) if alike else None


def with_layers_of_states(
    config: LayerConfig, weights: Weights | Mapping[str, Any] | None, whose: str, outputs: Any, handed: Handed
) -> LayerConfig:
    """The statement with as many layers as nested states are of, where the weights alone do not say that they are one
    stack: `get_weights()` has no names that would."""
    if not isinstance(weights, Mapping) or config.layers is not None or handed.final_state is None:
        return config
    try:
        weights_by_name(weights, config, whose)
    except UserError:
        from rnninspect.conventions.live import read_outputs, read_state

        slots = read_outputs(outputs, config).slots if is_array(outputs) else ()
        cells = (
            read_state(handed.final_state, slots, config, None) if isinstance(handed.final_state, (list, tuple)) else ()
        )
        layers = 1 + max((slot.layer or 0 for slot in cells), default=0)
        return replace(config, layers=layers) if layers > 1 else config
    return config


def with_cell_of(weights: Weights | None, config: LayerConfig) -> LayerConfig:
    """The statement with the weights' cell where it names none: it says whether the states hold a c."""
    return config if weights is None else replace(config, cell=config.cell or weights.spec.cell)


def origin_of_weights(weights: Weights | Mapping[str, Any] | None, whose: str | None) -> Origin:
    """Whose weights these are, as evidence of whose the outputs are; who states it says that they are another's."""
    from rnninspect.conventions.weights.prefix import likely_weights

    if whose is not None or weights is None:
        return UNKNOWN
    if isinstance(weights, Weights):
        return Origin(weights=(weights.convention,) if weights.convention else ())
    return Origin(weights=tuple(c.name for c in conventions.of_weights(likely_weights(weights))))


def as_names(names: Names) -> tuple[str, ...]:
    """Rules by name: one or several in one text, as on the command line, or a sequence."""
    return tuple(n.strip() for n in names.split(",") if n.strip()) if isinstance(names, str) else tuple(names)
