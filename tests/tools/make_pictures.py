"""Makes the pictures under `rnninspect/pages/` again: `python -m tests.tools.make_pictures`. Needs a Chromium.

`page.png`: the HTML page of a batch that a TensorFlow layer ran without its lengths, one row opened.
`table.svg`: the terminal's table of the first worked example with the same mistake planted in it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from rnninspect import inspect, run
from rnninspect.api.inspect import inspect_case
from rnninspect.diagnosis import rules
from rnninspect.diagnosis.examples import runs
from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import excerpt, render
from tests.support.browser import Browser, find

PICTURES = Path(__file__).resolve().parents[2] / "rnninspect" / "pages"
ROWS, STEPS, FEATURES, UNITS, SEED = 10, 20, 3, 6, 4
SIZE = (1120, 1300)  # pixels of the window
OPENED = "#t0-r5"


def without_lengths() -> ReportRecord:
    """The lengths never reach the layer, so it reads on through padding that is not zero."""
    rng = np.random.default_rng(SEED)
    batch = rng.normal(size=(ROWS, STEPS, FEATURES)).astype(np.float32)
    track = run(batch, hidden_size=UNITS, seed=SEED).tracks[0]
    lengths = rng.integers(4, STEPS, ROWS)
    lengths[:2] = STEPS
    return inspect(
        track.outputs,
        track.final,
        cell_state=track.cell,
        lengths=lengths,
        convention="tf1",
        excerpt=excerpt("html"),
    )


def picture(report: ReportRecord, browser: Browser) -> bytes:
    """The page as a PNG, a row opened and no cursor in it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(render(report, "html"), encoding="utf-8")
        browser.emulate(prefers_color_scheme="light")
        browser.open(path, size=SIZE, anchor=OPENED)
        browser.run("document.activeElement.blur(); scrollTo(0, 0)")
        browser.settle()
        return browser.picture()


def table() -> str:
    """The terminal's table as a picture."""
    case = rules.get("lengths-ignored").inject(runs.case("single"))
    return render(inspect_case(case, "demo", source={"example": "lengths-ignored"}), "svg", width=80)


def main() -> None:
    """Writes both pictures."""
    path = find()
    if path is None:
        raise SystemExit("no Chromium found: apt-get install chromium")
    with Browser(path) as browser:
        (PICTURES / "page.png").write_bytes(picture(without_lengths(), browser))
    (PICTURES / "table.svg").write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()
