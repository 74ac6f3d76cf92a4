"""What there is, as rows of text under a head: `rnninspect list` and the pages under `pages/` are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path

from rnninspect import conventions as known_conventions
from rnninspect import formats as known_formats
from rnninspect.conventions.base import Convention, Facts
from rnninspect.diagnosis import rules as known_rules
from rnninspect.diagnosis.examples import packaged
from rnninspect.engine import activations as known_activations
from rnninspect.engine import cells as known_cells
from rnninspect.invariance.frameworks import frameworks
from rnninspect.invariance.probes import probes as known_probes
from rnninspect.recording.registry import recorders as known_recorders
from rnninspect.report import renderers as known_renderers

Rows = list[tuple[str, ...]]
_NO_DATA = ("demos.json",)  # what `explain` shows, beside the samples


def rules() -> Rows:
    """Every mistake that is named."""
    return [("rule", "severity", "summary"), *((r.name, r.severity, r.summary) for r in known_rules.rules().values())]


def formats() -> Rows:
    """Every file format that is read or written, with the extra that it needs, and every format of a report."""
    rows: Rows = [("format", "suffixes", "use", "extra", "summary")]
    for f in known_formats.formats():
        rows.append((f.name, " ".join(f.suffixes), "read, write" if f.writes else "read", f.extra or "", f.summary))
    return rows + [(name, "", "report", "", summary) for name, summary in known_renderers.renderers()]


def renderers() -> Rows:
    """Every format of a report."""
    return [("format", "summary"), *known_renderers.renderers()]


def conventions() -> Rows:
    """Every framework, with all that its users may rely on: axes, orders, padding, gates, kernels, defaults."""
    names = [f.name for f in fields(Facts)]
    head = ("convention", *(name.replace("_", " ") for name in names), "defaults", "options", "weights")
    return [head, *(_convention(c, names) for c in known_conventions.conventions().values())]


def _convention(convention: Convention, names: list[str]) -> tuple[str, ...]:
    facts = (str(getattr(convention.facts, name)) for name in names)
    return (convention.name, *facts, _defaults(convention), _options(convention.takes), convention.variables)


def _defaults(convention: Convention) -> str:
    """What a layer computes where nothing is stated, as far as frameworks differ in it.

    >>> _defaults(known_conventions.get("tf1"))
    'forget bias 1; GRU resets before; RNN tanh'
    """
    specs = {cell: convention.spec(cell, {}) for cell in ("lstm", "gru", "rnn")}
    reset = "after" if specs["gru"].reset_after else "before"
    return f"forget bias {specs['lstm'].forget_bias:g}; GRU resets {reset}; RNN {specs['rnn'].activation}"


def cells() -> Rows:
    """Every cell: its gates in canonical order, its equations, and what can be varied."""
    rows: Rows = [("cell", "gates", "equations", "varied by")]
    return rows + [
        (c.name, " ".join(c.gates), c.equations, _options(c.varied_by)) for c in known_cells.cells().values()
    ]


def recorders() -> Rows:
    """Every framework whose live models can be recorded."""
    return [("recorder", "models"), *((r.name, r.models) for r in known_recorders().values())]


def probes() -> Rows:
    """Every change that is made to a live model's batch, with the finding where it changes a real result."""
    return [
        ("probe", "finding", "severity", "holds"),
        *((p.probe, p.name, p.severity, p.holds) for p in known_probes().values()),
    ]


def models() -> Rows:
    """Every framework whose live models can be checked."""
    return [("models", "which"), *((f.name, f.models) for f in frameworks().values())]


def _options(names: Iterable[str]) -> str:
    return " ".join(f"--{name.replace('_', '-')}" for name in sorted(names))


def activations() -> Rows:
    """Every activation that a cell may have, with the formula and the defaults of its parameters."""
    rows: Rows = [("activation", "formula", "alpha", "beta")]
    for name, a in known_activations.ACTIVATIONS.items():
        alpha, beta = (
            "" if word not in a.formula else f"{value:.6g}" for word, value in (("alpha", a.alpha), ("beta", a.beta))
        )
        rows.append((name, a.formula, alpha, beta))
    return rows


def samples() -> Rows:
    """The packaged data: what a command can read."""
    folder = Path(packaged.path("batch.npy")).parent
    return [("sample", "path"), *((p.name, str(p)) for p in sorted(folder.iterdir()) if p.name not in _NO_DATA)]


LISTS: dict[str, Callable[[], Rows]] = {
    "rules": rules,
    "conventions": conventions,
    "cells": cells,
    "activations": activations,
    "formats": formats,
    "renderers": renderers,
    "recorders": recorders,
    "probes": probes,
    "models": models,
    "samples": samples,
}


# The lists that have a page under `pages/`: its title, and what a reader should know before the table.
PAGES = {
    "rules": (
        "The mistakes that rnninspect names",
        "`rnninspect explain RULE` explains a rule, `rnninspect demo RULE` shows it on an example. Those of live "
        "models are [probes](probes.md).",
    ),
    "formats": (
        "Files and formats",
        "A file's content decides its format, then its suffix; nothing in a file is executed. 'Extra' is what to "
        "install for a format: `pip install 'rnninspect[hdf5]'`. Rows marked 'report' are formats of reports.",
    ),
    "renderers": ("Formats of a report", "`--format NAME` chooses one, or the suffix of `-o FILE`."),
    "conventions": (
        "What the frameworks return",
        "Axes: B batch, T steps, H units, F features, L layers, D directions; letters in brackets share one axis.",
    ),
    "cells": ("Cells", "Gates in their canonical order, equations, and the options that vary them."),
    "activations": (
        "Activations",
        "What `--activation`, `--recurrent-activation` and `--activations` accept; alpha and beta are defaults.",
    ),
    "recorders": ("Live models that can be recorded", "What `rnninspect.record` and `rnninspect record` accept."),
    "probes": (
        "The checks of a live model",
        "`rnninspect.check_padding` and `rnninspect check` run the model on changed batches. Each probe makes one "
        "change; if the statement in the last column is false, the model has the finding of that row.",
    ),
    "models": ("Live models that can be checked", "What `rnninspect.check_padding` and `rnninspect check` accept."),
}


def page(kind: str) -> str:
    """The page of a list as Markdown: title, introduction, table."""
    title, introduction = PAGES[kind]
    made = f"Made by `rnninspect list {kind} --format markdown`."
    return f"# {title}\n\n{introduction} {made}\n\n{markdown(LISTS[kind]())}\n"


def written_page(name: str) -> str:
    """A page that was written and not made, as it is packaged."""
    return (Path(__file__).parents[1] / "pages" / f"{name}.md").read_text("utf-8")


def markdown(rows: Rows) -> str:
    r"""The rows as a GitHub table.

    >>> print(markdown([("cell", "gates"), ("gru", "r | z")]))
    | cell | gates |
    |---|---|
    | gru | r \| z |
    """
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
