"""The finding of two probes: a row's result depends on the other rows, or on its place among them."""

from __future__ import annotations

from typing import Any

from rnninspect.diagnosis.rule import Thread
from rnninspect.invariance.probe import Outcome, Probe, amount


class RowsMixed(Probe):
    name = "rows-mixed"
    summary = "a row's result depends on the other rows of the batch, or on their order"
    why = (
        "Rows sorted by length and not put back, a view across the row axis, two axes mistaken for each other, "
        "batch statistics: a row's result is then partly that of another row."
    )
    fix = "back = np.argsort(order)  # undo the sort\nfinal = final[back]"
    place = 3
    threads = (
        Thread(
            "https://github.com/marian-nmt/marian/issues/254",
            "The order of the test set changes the decoded text, because the batch limits its length.",
        ),
    )

    def shown_on(self) -> tuple[Any, tuple[Any, ...]]:
        from rnninspect.invariance.torch_modules.example import example

        return example(self.name)

    def message(self, outcome: Outcome) -> str:
        return f"{{rows}}: {outcome.what}, they give different results, {amount(outcome)}"
