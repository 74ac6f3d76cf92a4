"""Named arrays -> the reading to use: roles, framework, axes, directions and lengths are guessed, measured and weighed.

What was stated holds; of the rest, what explains most of the numbers is used, then what has more evidence. The reasons
are kept in the reading's `evidence`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from rnninspect import conventions
from rnninspect.conventions.base import Convention
from rnninspect.conventions.dumps.calls import refuse_other_results, refuse_two_runs
from rnninspect.conventions.dumps.elided import show_alike
from rnninspect.conventions.dumps.frameworks import Hints, likeliest
from rnninspect.conventions.dumps.inverted import with_true_at_real_steps
from rnninspect.conventions.dumps.larger_batch import with_rows_of_outputs
from rnninspect.conventions.dumps.misfits import unplaced
from rnninspect.conventions.dumps.misnamed import (
    Renamed,
    are_of_places,
    exchanged,
    exchanged_cell,
    guesses_by_shape,
    guesses_renamed,
    is_told,
)
from rnninspect.conventions.dumps.offsets import with_lengths_of_offsets
from rnninspect.conventions.dumps.positions import in_order_of, note_of_turned
from rnninspect.conventions.dumps.roles import Guess, guess_roles
from rnninspect.conventions.dumps.stacked import is_stacked_otherwise
from rnninspect.conventions.dumps.unpacking import packed_otherwise
from rnninspect.conventions.dumps.unread import printed_again, unread
from rnninspect.core.evidence import STATED, Belief, Evidence, Role, Slot
from rnninspect.core.layer_config import LayerConfig
from rnninspect.errors import ShapeError
from rnninspect.measure.casts import alike, cast_alike
from rnninspect.measure.choose_reading import (
    Measurer,
    Tolerance,
    choose_reading,
    fit_of,
    measure_all,
    with_axes_of_padding,
)
from rnninspect.measure.choose_roles import (
    CONVINCING,
    are_told_otherwise,
    choose_by_numbers,
    choose_exchanged,
    choose_roles,
    fit_as_named,
)
from rnninspect.measure.decimals import sample_of
from rnninspect.measure.directions import turned, without_exchanged
from rnninspect.measure.dump_arrays import DumpArrays
from rnninspect.measure.fitting import readings_fitting
from rnninspect.measure.hints import with_measured, with_shapes
from rnninspect.measure.merged import may_be_merged, merging, reading_merged
from rnninspect.measure.one_or_two import maybe_two
from rnninspect.measure.pairs import maybe_a_pair, maybe_c_and_h
from rnninspect.measure.units_last import with_units_last
from rnninspect.measure.unnamed_lengths import read_as_shown
from rnninspect.measure.weighed import Weighed


def weigh(dump: DumpArrays, config: LayerConfig, tolerance: Tolerance, measurer: Measurer = measure_all) -> Weighed:
    """The reading of the arrays that explains most, with the evidence for it.

    Outputs and states that were printed with different numbers of decimals are rounded to the fewest, unless not
    `as_printed`. `measurer`: what measures the tracks.
    Raises ShapeError where no reading fits, and where several arrays could be the outputs or the final state.
    """
    refuse_other_results(dump.arrays, {*dump.named, *(slot.role for slot in dump.returned)})
    return with_units_last(
        dump,
        config,
        lambda turned: _weigh_open(turned, config, tolerance, measurer),
        lambda: _guesses(_framework(dump, config)[0], dump, config),
    )


def _weigh_open(dump: DumpArrays, config: LayerConfig, tolerance: Tolerance, measurer: Measurer) -> Weighed:
    open_axes = dump.without_axes_of_node(config)
    try:
        return _weigh_as(dump, open_axes, tolerance, measurer)
    except ShapeError:
        if open_axes is config:
            raise
        return _weigh_as(dump, config, tolerance, measurer)


def _weigh_as(dump: DumpArrays, config: LayerConfig, tolerance: Tolerance, measurer: Measurer) -> Weighed:
    convention, beliefs = _framework(dump, config)
    weighed = _weigh(convention, dump, config, tolerance, measurer)
    if dump.convention == "auto":
        beliefs = _believed(dump, with_measured(_hints(dump, config, weighed.slots), weighed.choice, weighed.config))
        likely = conventions.get(beliefs[0].name)
        if likely is not convention:
            weighed = _under(likely, weighed, dump, config, tolerance, measurer)
        if dump.order_is_told(beliefs):
            ordered = dump if dump.origin.packages else replace(dump, returned=in_order_of(likely, dump.returned))
            if ordered.returned != dump.returned or _orders_otherwise(weighed, ordered, config):
                dump = ordered
                weighed = _weigh(weighed.convention, dump, config, tolerance, measurer, order_known=True)
    weighed = replace(weighed, slots=tuple(map(dump.under_whole_name, weighed.slots)))
    return _with_evidence(weighed, dump.under_whole_names(), beliefs)


def _orders_otherwise(weighed: Weighed, dump: DumpArrays, config: LayerConfig) -> bool:
    """Whether h and c were taken in another order than that of the framework, which is known: the values told it."""
    if is_stacked_otherwise(weighed.slots, weighed.convention, config):
        return True
    other: dict[Role, Role] = {"h": "c", "c": "h"}
    roles = {slot.name: other.get(slot.role, slot.role) for slot in weighed.slots}
    guesses = _guesses(weighed.convention, dump, config, order_known=True)
    return any(roles == {slot.name: slot.role for slot in guess.slots} for guess in guesses)


def _framework(dump: DumpArrays, config: LayerConfig) -> tuple[Convention, tuple[Belief, ...]]:
    """The framework that was stated, or the likeliest before anything is measured."""
    if dump.convention != "auto":
        return conventions.get(dump.convention), (Belief(dump.convention, (STATED,)),)
    first = _believed(dump, Hints(tuple(dump.arrays), dump.origin, options=config.options))
    beliefs = _believed(dump, _hints(dump, config, _guesses(conventions.get(first[0].name), dump, config)[0].slots))
    return conventions.get(beliefs[0].name), beliefs


def _guesses(convention: Convention, dump: DumpArrays, config: LayerConfig, order_known: bool = False) -> list[Guess]:
    """Every way of giving the arrays their roles, as this framework's; `order_known`: lists of h and c in its order."""
    whose = dump.convention != "auto"
    return guess_roles(convention, dump.arrays, config, dump.named, dump.returned, whose, order_known or whose)


def _hints(dump: DumpArrays, config: LayerConfig, slots: tuple[Slot, ...]) -> Hints:
    return with_shapes(Hints(tuple(dump.arrays), dump.origin, options=config.options), slots)


def _believed(dump: DumpArrays, hints: Hints) -> tuple[Belief, ...]:
    return likeliest(conventions.conventions(), hints)


def _weigh(
    convention: Convention,
    dump: DumpArrays,
    config: LayerConfig,
    tolerance: Tolerance,
    measurer: Measurer,
    order_known: bool = False,
) -> Weighed:
    """The best reading as this framework's arrays, over all guesses of their roles: by names, else by shape alone."""
    guesses = _guesses(convention, dump, config, order_known)
    refuse_two_runs(guess.slots for guess in guesses if {"outputs", "h"} <= {*guess.by_shape})

    def read(guess: Guess) -> Weighed:
        return read_as_shown(guess, dump.named, read_guess)

    def read_guess(guess: Guess) -> Weighed:
        return _read(convention, dump, guess, config, tolerance, measurer)

    whose_known = dump.convention != "auto"

    def renamed(others: Renamed | None) -> Iterator[Guess]:
        return guesses_renamed(convention, dump.arrays, config, dump.named, others, whose_known)

    def of_shapes() -> Iterator[Guess]:
        return guesses_by_shape(convention, convention.prepare(dump.arrays, config), config, dump.named, whose_known)

    try:
        chosen = choose_roles(guesses, read)
        fit = fit_as_named(chosen)
        if dump.returned:
            return chosen
        if fit < CONVINCING and are_of_places(chosen.slots):
            chosen = choose_by_numbers(of_shapes(), read) or chosen
        elif fit < CONVINCING:
            chosen = choose_exchanged(chosen, fit, renamed(exchanged(chosen.slots, dump.named)), read)
    except ShapeError:
        if dump.returned or any(is_told(guess) for guess in guesses):
            raise
        weighed = choose_by_numbers(of_shapes(), read)
        if weighed is None:
            raise
        chosen = weighed
    cell = exchanged_cell(chosen.slots, dump.named, convention.prepare(dump.arrays, config))
    return next(map(read, renamed(cell)), chosen)


def _read(
    convention: Convention,
    dump: DumpArrays,
    guess: Guess,
    config: LayerConfig,
    tolerance: Tolerance,
    measurer: Measurer,
) -> Weighed:
    """The guess, read; where a state equals no step, with its last bits taken for those of the outputs, if that fits
    more."""
    slots, of_lengths = with_lengths_of_offsets(guess.slots)
    reversed_axis = int(not config.time_major) if convention.order(config) == "reversed" else None
    slots, of_mask = with_true_at_real_steps(slots, "mask" in dump.named, reversed_axis)
    slots, of_rows = with_rows_of_outputs(slots, config.time_major)
    guess = replace(guess, slots=slots, notes=(*guess.notes, *filter(None, [of_lengths, of_mask, of_rows])))
    weighed = _read_as_given(convention, dump, guess, config, tolerance, measurer)
    if tolerance != Tolerance() or weighed.choice.rounded_to is not None or fit_of(weighed.choice) == 1:
        return weighed
    from rnninspect.measure.last_bits import without_last_bits

    closer = without_last_bits(guess.slots)
    if closer is None:
        return weighed
    note = (
        f"states that are outputs but for the last bits ({closer[1]:.2g}) are taken for them: compiled code rounds so"
    )
    rounded = replace(guess, slots=closer[0], notes=(*guess.notes, note))
    again = _read_as_given(convention, dump, rounded, config, tolerance, measurer)
    return again if fit_of(again.choice) >= fit_of(weighed.choice) else weighed


def _read_as_given(
    convention: Convention,
    dump: DumpArrays,
    guess: Guess,
    config: LayerConfig,
    tolerance: Tolerance,
    measurer: Measurer,
) -> Weighed:
    slots = show_alike(guess.slots, dump.elided, config)
    to = None
    if dump.as_printed:
        slots, to, tolerance = alike(slots, dump.printed, tolerance)
    else:
        slots, to = cast_alike(slots, [sample_of(s.array) for s in slots if s.role in ("outputs", "h")])
    slots, fitting = readings_fitting(convention, slots, config, guess)
    measurer = cache(measurer)  # two questions may be about one reading
    fitting = with_axes_of_padding(fitting, tolerance, measurer)
    chosen = replace(choose_reading(without_exchanged(fitting), tolerance, measurer), rounded_to=to)
    chosen = turned(chosen, fitting, config, tolerance, measurer)
    if config.directions is None:
        chosen = maybe_two(chosen, slots, stacks=dump.convention != "auto" and convention.stacks_states)
        chosen = chosen if config.layers is not None else maybe_a_pair(chosen, slots)
    chosen = maybe_c_and_h(chosen, slots, config)
    may_be_two = config.directions is None or may_be_merged(slots, config)
    if fit_of(chosen) == 0 and may_be_two:
        merged = reading_merged(convention, guess, slots, config)
        if merged is not None and not are_told_otherwise(chosen.reading):  # which reads all outputs, and so comes last
            config = merging(config)
            chosen = replace(chosen, reading=merged, rivals=(), measured=())
    reading = chosen.reading
    if reading.time_major and not reading.time_swapped and not config.time_major:
        config = replace(config, time_major=True)
    noted = replace(reading.evidence, notes=(*guess.notes, *reading.evidence.notes))
    return Weighed(replace(chosen, reading=replace(reading, evidence=noted)), convention, config, slots, tolerance)


def _under(
    convention: Convention,
    weighed: Weighed,
    dump: DumpArrays,
    config: LayerConfig,
    tolerance: Tolerance,
    measurer: Measurer,
) -> Weighed:
    """The same arrays as another framework's: measured again only where they would be read in another way."""
    guesses = _guesses(convention, dump, config)
    placed = [(s.role, s.name, s.layer, s.direction, s.position) for s in guesses[0].slots]
    reading = weighed.choice.reading
    same = placed == [(s.role, s.name, s.layer, s.direction, s.position) for s in weighed.slots]
    default = config.axes_stated or config.time_major or convention.time_major == weighed.convention.time_major
    if not same or not default or convention.order(config) != weighed.convention.order(config):
        return _weigh(convention, dump, config, tolerance, measurer)
    directed = replace(config, direction="bidirectional") if reading.trace.directions == 2 else config
    padding = convention.padding_for(directed)
    trace = replace(reading.trace, padding=padding, zero_length=convention.zero_length, convention=convention.name)
    choice = replace(weighed.choice, reading=replace(reading, trace=trace))
    return replace(weighed, convention=convention, choice=choice)


def _with_evidence(weighed: Weighed, dump: DumpArrays, beliefs: tuple[Belief, ...]) -> Weighed:
    """The reading with why it was read so, and what was not read at all."""
    reading = weighed.choice.reading if dump.turned is None else dump.turned.told(weighed.choice.reading)
    trace = reading.trace
    arrays = weighed.convention.prepare(dump.arrays, weighed.config)
    units = next((t.final.shape[1] for t in trace.tracks if t.final is not None), 0)
    unused = (
        *unread(arrays, weighed.slots, trace.batch_size, trace.steps, units),
        *unplaced(weighed.slots, reading, dump.named, dump.returned),
    )
    reasons = () if dump.convention != "auto" or dump.turned is not None else beliefs[0].because
    notes = (*reading.evidence.notes, *filter(None, [packed_otherwise(dump.arrays, weighed.slots)]))
    if dump.convention == "auto" and not dump.origin.packages:
        notes = (*notes, *note_of_turned(dump.returned))
    evidence = Evidence(tuple(dict.fromkeys((*reasons, *reading.evidence.because))), beliefs, unused, notes)
    if again := printed_again(dump.printed, arrays, weighed.slots):
        trace = replace(trace, source={**trace.source, "printed twice": again})
    return replace(weighed, choice=replace(weighed.choice, reading=replace(reading, evidence=evidence, trace=trace)))
