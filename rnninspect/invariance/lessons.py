"""The findings of the probes as lessons: each on a model that runs, right and with the mistake in it."""

from __future__ import annotations

from rnninspect.invariance.check import check_padding
from rnninspect.invariance.probe import Probe
from rnninspect.invariance.probes import findings, probes
from rnninspect.report.lessons import Worked
from rnninspect.report.record import ProbeReport, ReportRecord

SHOWN = 2  # probes of an example


def taught() -> list[tuple[str, Probe]]:
    """Every finding of a probe with its group, in the order that teaches."""
    ordered = sorted(findings().values(), key=lambda probe: (probe.place, probe.name))
    return [(probe.group, probe) for probe in ordered]


def example_report(probe: Probe | None) -> ReportRecord:
    """The report of the example with that probe's mistake in it; None: of the right one."""
    if probe is not None:
        model, inputs = probe.shown_on()
    else:
        from rnninspect.invariance.torch_modules.example import example

        model, inputs = example()
    return check_padding(model, *inputs, source={"example": "correct" if probe is None else probe.name})


def worked(probe: Probe, right: ReportRecord, wrong: ReportRecord) -> Worked:
    """What the mistake changed: what its probes gave before and after, and what the report says of it."""
    names = [one.probe for one in probes().values() if one.name == probe.name]
    pairs = [pair for pair in zip(right.probes, wrong.probes, strict=True) if pair[0].probe in names]
    changed = [pair for pair in pairs if pair[0].standing != pair[1].standing][:SHOWN]
    finding = next((f for f in wrong.findings if f.rule == probe.name), None)
    lengths = ", ".join(map(str, right.lengths or []))
    shape = f"{right.shape['batch']} rows with {lengths} steps (T = {right.shape['steps']})"
    before, after = tuple(_line(a) for a, _ in changed), tuple(_line(b) for _, b in changed)
    return Worked(probe.name, shape, before, after, finding.message if finding else "")


def _line(probe: ProbeReport) -> str:
    size = "" if probe.largest is None else f", largest difference {probe.largest:.2g}"
    return f"{probe.holds}: {probe.standing}{size}"
