"""The HTML page in a real browser: it opens, answers mouse and keyboard, keeps to itself, and harmful text stays text.

Without a Chromium these tests are skipped and say so; what the page holds is tested without one too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnninspect import inspect
from rnninspect.diagnosis.rules import rules
from rnninspect.report.load import from_dict
from rnninspect.report.record import Levels, ReportRecord
from rnninspect.report.renderers import excerpt, render
from rnninspect.report.renderers.html import fragment
from tests.report.test_renderers import REPORTS, hostile, long_and_wide, not_finite
from tests.report.test_renderers_ci import wicked
from tests.support.browser import Browser, find
from tests.support.golden_reports import golden_reports
from tests.support.places import PACKAGE
from tests.support.reports import (
    a_finding,
    a_report,
    both_directions,
    lengths_ignored,
    many_rows,
    measured,
    wave,
    worked_example,
)

CELL = (44, 24)  # of a small map, in pixels
every_report = pytest.mark.parametrize("make", [*REPORTS, wicked])


class Elements(HTMLParser):
    """Every start tag with its attributes, the text outside scripts and styles, and what scripts and styles hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.inside, self.open = "", {"script": [], "style": []}, [""]
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " "
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.open[-1] in self.inside:
            self.inside[self.open[-1]].append(data)
        else:
            self.text += data


def held(page: str) -> Any:
    """The data that the page's scripts draw."""
    return json.loads(Elements(page).inside["script"][0])


@every_report
def test_the_page_is_one_file_that_asks_nothing(make: Any) -> None:
    """No element can fetch anything, the policy forbids it too, and allows exactly this style and this script."""
    page = Elements(render(make(), "html"))
    assert not [
        tag for tag, _ in page.tags if tag in ("link", "img", "iframe", "object", "embed", "base", "form", "a:x")
    ]
    addresses = [
        value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href", "action")
    ]
    assert all(value and re.fullmatch(r"#t\d+-r\d+", value) for value in addresses)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]
    (policy,) = [attributes["content"] for tag, attributes in page.tags if tag == "meta" and "http-equiv" in attributes]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    (style,), (_, script) = page.inside["style"], page.inside["script"]
    for text in (style, script):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy


def test_the_guard_against_fetching_can_fail() -> None:
    """An element that fetches, or code in an attribute, would be seen by the test above."""
    page = Elements("<a href='http://x'>y</a><p onclick='z'>")
    assert page.tags == [("a", {"href": "http://x"}), ("p", {"onclick": "z"})]


@pytest.mark.parametrize("make", [hostile, wicked])
def test_hostile_text_adds_no_element(make: Any) -> None:
    """Whatever names, notes and messages hold, the page has the elements that it has with harmless ones."""
    plain = replace(make(), **{k: getattr(lengths_ignored(), k) for k in ("command", "convention")})
    for text in (render(make(), "html"), fragment(make())):
        seen = Elements(text)
        assert {tag for tag, _ in seen.tags} <= {tag for tag, _ in Elements(render(worked_example(), "html")).tags} | {
            *("article", "button", "a", "pre", "p", "dl", "dt", "dd", "details", "summary", "h3", "small", "li", "ul")
        }
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ufffe\ud800-\udfff]", text)
    shown = Elements(render(make(), "html"))
    assert sum(tag == "script" for tag, _ in shown.tags) == 2
    assert render(plain, "html").count("<script") == 2
    assert "\\u202etxt" in shown.text or "::stop-commands::" in shown.text


def test_the_page_says_what_the_terminal_says() -> None:
    """Verdict, facts, message, fix, each row's verdict and what was not checked are there without the script."""
    text = " ".join(Elements(render(lengths_ignored(), "html")).text.split())
    for config in (
        "1 error 3 rows: 2 not as expected, 1 as expected",
        "reading outputs [batch, steps, units], final state [batch, units]",
        "lengths-ignored proven, explains 2 rows",
        "outputs, state = tf.nn.dynamic_rnn(cell, inputs, sequence_length=lengths, dtype=tf.float32)",
        "1 1 →•✗ h = outputs[1, 2] expected step 0, padding computed: steps 1:3",
        "needs two directions: backward-final-at-last-step, direction-duplicated",
        "Unit values of every row.",
    ):
        assert config in text
    assert "differs most at outputs[2, 1], unit 3" in Elements(render(REPORTS[-1](), "html")).text


def test_the_fragment_has_no_script() -> None:
    """What a notebook shows: verdict, findings, fixes and rows, and nothing that a notebook would strip."""
    seen = Elements(fragment(lengths_ignored()))
    assert not {"script", "a", "button", "link"} & {tag for tag, _ in seen.tags}
    assert {"table", "caption", "th", "pre"} <= {tag for tag, _ in seen.tags}
    text = " ".join(seen.text.split())
    assert "1 error 3 rows" in text
    assert "✗ 2 2 ▪→✗ h = outputs[2, 2] expected step 1" in text
    assert "next: rnninspect explain lengths-ignored" in text
    assert "step 1 → -0.0003 0.0458 0.0046 -0.6504 should equal final_state.h[2]" in text
    assert len(fragment(many_rows())) < 12_000


def test_a_saved_report_gives_the_same_page() -> None:
    """`show` needs no arrays: JSON and back gives the same bytes, levels included."""
    for report in (with_levels(lengths_ignored()), both_directions()):
        assert render(from_dict(json.loads(render(report, "json"))), "html") == render(report, "html")


def with_levels(report: ReportRecord) -> ReportRecord:
    """The same report with the size of every step, measured with plain loops."""
    tracks = []
    for track in report.tracks:
        sizes = [[max(abs(x or 0.0) for x in step) for step in excerpt.outputs or []] for excerpt in track.excerpt]
        most = max(size for row in sizes for size in row)
        digits = ["".join(f"{-int(-15 * size // most):x}" for size in row) for row in sizes]
        tracks.append(replace(track, levels=Levels(most, digits)))
    return replace(report, tracks=tracks)


def test_levels_are_the_sizes_of_the_steps() -> None:
    """Against plain loops: fifteenths of the largest output, rounded up; ! where not finite; only where asked for."""
    rng = np.random.default_rng(3)
    outputs = rng.normal(size=(4, 6, 5)).astype(np.float32)
    outputs[1, 4:] = 0
    outputs[2, 3, 1] = np.nan
    outputs[3, 0] = 1e-30
    asked = inspect(outputs, outputs[:, 5], lengths=[6, 4, 6, 6], excerpt=None).tracks[0].levels
    assert asked is not None
    sizes = [[max((abs(float(x)) for x in step), key=lambda x: (math.isnan(x), x)) for step in row] for row in outputs]
    most = max(size for row in sizes for size in row if not math.isnan(size))
    assert asked.largest == most
    for row, digits in zip(sizes, asked.rows, strict=True):
        for size, digit in zip(row, digits, strict=True):
            if math.isnan(size) or size == 0:
                assert digit == ("!" if math.isnan(size) else "0")
            else:
                assert (int(digit, 16) - 1) * most / 15 < size <= int(digit, 16) * most / 15 * (1 + 1e-12)
    assert asked.rows[2][3] == "!"
    assert asked.rows[3][0] == "1"
    assert inspect(outputs, outputs[:, 5], lengths=[6, 4, 6, 6]).tracks[0].levels is None


def test_units_are_kept_for_findings_first_and_within_the_budget() -> None:
    """Of more numbers than the page may hold, rows with findings come first; the page says how many it keeps."""
    steps, units, rows = 200, 64, 60
    outputs = wave(rows, steps, units, [steps] * rows)
    final = [outputs[b][steps - (2 if b in (17, 55) else 1)] for b in range(rows)]
    finding = a_finding(rule="off-by-one-length", rows=[17, 55])
    report = a_report([measured(outputs, final, [steps] * rows)], lengths=[steps] * rows, findings=[finding])
    page = render(report, "html")
    kept = held(page)["tracks"][0]["excerpt"]
    assert {"17", "55"} <= set(kept)
    assert 10 < len(kept) < rows
    assert len(page) < 10_000_000
    assert f"Unit values of {len(kept)} rows of {rows}, findings first. The page keeps at most 8 MB of data." in page
    others = sorted(int(row) for row in kept)
    assert max(b - a for a, b in pairwise(others)) <= rows // 4


def test_the_format_asks_for_more_numbers() -> None:
    """The page wants more than a table quotes; other formats are content with the usual excerpt."""
    assert excerpt("html") == 300_000
    assert excerpt("table") is None
    assert excerpt("no such format") is None


# In a browser
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find()
    if path is None:
        pytest.skip("no Chromium found (apt-get install chromium)")
    with Browser(path) as opened:
        yield opened


class Page:
    """A report opened in the browser; with all its rows, unless it is to be seen `as_opened`."""

    def __init__(
        self, browser: Browser, folder: Path, report: ReportRecord, anchor: str = "", as_opened: bool = False
    ) -> None:
        self.browser = browser
        path = folder / "report.html"
        path.write_text(render(report, "html"), encoding="utf-8")
        browser.emulate(prefers_color_scheme="light")
        browser.open(path, anchor=anchor)
        if not anchor and not as_opened and report.tracks:
            self("choose('all')")

    def __call__(self, script: str) -> Any:
        return self.browser.run(script)

    def cell(self, row: int, step: int, track: int = 0) -> tuple[float, float]:
        """The middle of a cell of a small map in the window, scrolled to."""
        find = f"document.querySelectorAll('.drawn > .map')[{track}]"
        self(f"{find}.scrollIntoView({{block: 'center'}})")
        box = self(f"(box => [box.x, box.y])({find}.querySelector('canvas').getBoundingClientRect())")
        left = self(f"tracks[{track}].map.left")
        return box[0] + left + (step + 0.5) * CELL[0], box[1] + 22 + (row + 0.5) * CELL[1]

    def hint(self) -> str:
        return str(self("document.getElementById('hint').hidden ? '' : document.getElementById('hint').textContent"))

    def opened(self) -> str:
        return str(self("document.querySelector('.row')?.innerText ?? ''"))

    def listed(self) -> list[list[int]]:
        steps: list[list[int]] = self("tracks.map(({steps}) => steps.listed)")
        return steps

    def colour(self, x: float, y: float) -> tuple[int, int, int]:
        """The colour of the map's canvas at a point of the window."""
        script = "((x, y) => {const c = document.elementFromPoint(x, y), b = c.getBoundingClientRect();"
        script += f"return [...c.getContext('2d').getImageData(x - b.x, y - b.y, 1, 1).data]}})({x}, {y})"
        red, green, blue, _ = self(script)
        return red, green, blue


@every_report
def test_every_report_opens_without_a_complaint(browser: Browser, tmp_path: Path, make: Any) -> None:
    """Each opens, draws, asks for nothing but itself, and the browser complains of nothing; nor with a row open."""
    page = Page(browser, tmp_path, make(), "#t0-r0")
    assert browser.complaints() == []
    assert [address.split("#")[0] for address in browser.requests()] == [(tmp_path / "report.html").as_uri()]
    assert "row 0" in page.opened()
    assert page("document.querySelectorAll('.drawn > .map canvas').length") == len(make().tracks)
    assert page("document.querySelectorAll('script').length") == 2


def test_complaints_and_refusals_are_seen(browser: Browser, tmp_path: Path) -> None:
    """The guard can fail: an exception is heard, and the policy stops a script, a fetch and markup put in by hand."""
    page = Page(browser, tmp_path, worked_example())
    page("setTimeout(() => { throw new Error('on purpose') })")
    page("document.head.append(Object.assign(document.createElement('style'), {textContent: 'p {color: red}'}))")
    config = page("fetch('https://example.invalid').then(() => 'fetched', () => 'refused')")
    assert config == "refused"
    assert (
        page("(() => { try { document.body.innerHTML = '<b>x'; return 'put' } catch { return 'refused' } })()")
        == "refused"
    )
    complaints = "\n".join(browser.complaints())
    assert "on purpose" in complaints
    assert "Content Security Policy" in complaints


def test_hovering_says_what_a_step_is(browser: Browser, tmp_path: Path) -> None:
    """The real, the expected, the wrongly equal and the zero step, with their numbers; off the map nothing."""
    page = Page(browser, tmp_path, with_levels(lengths_ignored()))
    for place, config in {
        (0, 0): "row 0, step 0: real, all zero",
        (1, 0): "row 1, step 0: real; should equal final_state.h[1]",
        (1, 1): "row 1, step 1: padding, computed",
        (1, 2): "row 1, step 2: padding, computed; = final_state.h[1], not step 0",
        (0, 2): "row 0, step 2: real; = final_state.h[0]",
    }.items():
        browser.mouse(*page.cell(*place))
        assert page.hint().splitlines()[0] == config
    assert page.hint().splitlines()[-1] == "units 0, 1, 2, 3: -0.0608, 0.3504, 0.0601, -0.1604"
    assert "largest |output|" in page.hint()
    x, y = page.cell(1, 0)
    browser.mouse(x - CELL[0], y)
    assert page.hint() == "row 1: h = outputs[1, 2]; expected step 0; padding computed: steps 1:3\nlengths-ignored"
    browser.mouse(2, 2)
    assert page.hint() == ""


def test_a_click_opens_the_units_beside_h_and_c(browser: Browser, tmp_path: Path) -> None:
    """The row's steps, then h and c, with every number on hover; going back closes it."""
    page = Page(browser, tmp_path, lengths_ignored())
    browser.mouse(*page.cell(2, 1), click=True)
    assert page("location.hash") == "#t0-r2"
    assert page.opened().splitlines()[0] == "layer 0 forward, row 2"
    assert "h = outputs[2, 2]; expected step 1" in page.opened()
    model = "new Units(data.tracks[0].excerpt[2], data.tracks[0].rows[2], tracks[0].steps, 4)"
    names = page(f"(model => model.across.map((_, j) => model.columnName(j)))({model})")
    assert names == ["0", "1 →", "2 ✗", "", "h", "", "c"]
    box = page("(b => [b.x, b.y])(document.querySelector('.row canvas').getBoundingClientRect())")
    browser.mouse(box[0] + 60 + 64 * 1.5, box[1] + 22 + 20 * 3.5)
    assert page.hint() == "step 1, unit 3: -0.65035087 (real)"
    browser.mouse(box[0] + 60 + 64 * 6.5, box[1] + 22 + 10)
    assert page.hint() == "final_state.c, unit 0: -0.00034701003"
    page("history.back()")
    page("new Promise(done => setTimeout(done, 50))")
    assert page.opened() == ""


def test_the_keyboard_is_enough(browser: Browser, tmp_path: Path) -> None:
    """Tab reaches the map, arrows move and say the cell, Enter opens the row, Escape closes it and gives focus back."""
    page = Page(browser, tmp_path, both_directions())
    for _ in range(40):
        browser.press("Tab")
        if page("document.activeElement.getAttribute('role')") == "grid":
            break
    assert page("document.activeElement.getAttribute('aria-label')").startswith("layer 0 forward: rows down")
    assert page("document.activeElement.matches(':focus-visible')")
    browser.press("ArrowDown", "ArrowRight", "ArrowRight")
    config = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
    assert page(f"{config}.textContent").startswith("row 1, step 2: real")
    assert page.hint().startswith("row 1, step 2: real")
    assert [
        page(f"{config}.getAttribute('aria-colindex')"),
        page(f"{config}.parentElement.getAttribute('aria-rowindex')"),
    ] == ["3", "2"]
    browser.press("End")
    assert page(f"{config}.textContent").startswith("row 1, step 4")
    browser.press("Home", modifiers=2)
    assert page(f"{config}.textContent").startswith("row 0, step 0")
    browser.press("ArrowUp", "ArrowLeft", "Enter")
    assert page.opened().startswith("layer 0 forward, row 0")
    assert page("document.activeElement.closest('.row') !== null")
    browser.press("Escape")
    assert page.opened() == ""
    assert page("document.activeElement === tracks[0].map.host")


def test_the_map_comes_before_the_links(browser: Browser, tmp_path: Path) -> None:
    """With Tab a reader meets the maps before any link to a row of them."""
    page = Page(browser, tmp_path, both_directions(), as_opened=True)
    assert page("document.querySelector('.map, a').className") == "map"
    names = page("[...document.querySelectorAll('.map, .finding a')].map(e => e.className)")
    assert names == ["map"] * 4 + [""]


def test_it_opens_on_the_wrong_rows(browser: Browser, tmp_path: Path) -> None:
    """Rows that are not as expected, and the tracks that have some; a right report opens on all."""
    page = Page(browser, tmp_path, both_directions(), as_opened=True)
    assert page.listed() == [[], [], [], [1]]
    assert page("[...document.querySelectorAll('.track')].map(t => t.offsetParent !== null)") == [False] * 3 + [True]
    assert Page(browser, tmp_path, worked_example(), as_opened=True).listed() == [[0, 1, 2]]


def test_the_address_holds_what_is_shown(browser: Browser, tmp_path: Path) -> None:
    """Filter, theme and open row stand in the address, and an address with them shows the same."""
    page = Page(browser, tmp_path, many_rows(), as_opened=True)
    page("filter.value = 'all'; filter.dispatchEvent(new Event('change'))")
    page("theme.value = 'dark'; theme.dispatchEvent(new Event('change'))")
    page("go(0, 5)")
    page("new Promise(done => setTimeout(done, 50))")
    address = page("location.hash")
    assert address == "#t0-r5&rows=all&theme=dark"
    again = Page(browser, tmp_path, many_rows(), address)
    assert again.listed() == [list(range(64))]
    assert again.opened().startswith("layer 0 forward, row 5")
    assert again("document.documentElement.dataset.theme") == "dark"
    assert Page(browser, tmp_path, many_rows(), "#rows=rule%3Aoff-by-one-length").listed() == [[40, 61]]


def test_unknown_addresses_do_no_harm(browser: Browser, tmp_path: Path) -> None:
    """A row, a filter or a theme that there is not leaves the page as it opens."""
    for address in ("#t9-r9", "#rows=none", "#theme=pink", "#&&=", "#t0-r99999"):
        page = Page(browser, tmp_path, many_rows(), address)
        assert browser.complaints() == []
        assert page.listed() == [[40, 61]]


def test_fix_and_command_are_copied(browser: Browser, tmp_path: Path) -> None:
    """A button beside each, which copies it, or selects it where there is no clipboard, and says which."""
    report = lengths_ignored()
    page = Page(browser, tmp_path, report, as_opened=True)
    texts = page(
        "[...document.querySelectorAll('.copy')].map(b => b.closest('.copied').querySelector('code').innerText)"
    )
    assert texts == [report.findings[0].fix, "rnninspect explain lengths-ignored", report.findings[0].fix]
    page("document.querySelector('.copy').click()")
    page("new Promise(done => setTimeout(done, 100))")
    assert page("document.querySelector('.copy').textContent") in ("copied", "selected")
    assert browser.complaints() == []


def test_a_circle_is_a_zero_step_alone(browser: Browser, tmp_path: Path) -> None:
    """On the smallest cells too a match is a square, so that a sign means what the legend says."""
    page = Page(browser, tmp_path, worked_example())
    corners = page("""["=", "✗", "→", "≈", "?"].map(mark => {
        const canvas = document.createElement("canvas"), ctx = canvas.getContext("2d");
        canvas.width = canvas.height = 30; let round = 0; ctx.arc = () => { round += 1; };
        drawMark(ctx, mark, 12, 12, 6, 6); return round; })""")
    assert corners == [0] * 5


def test_outputs_that_were_not_recorded_are_hatched(browser: Browser, tmp_path: Path) -> None:
    """Their cells have their own hatching, whose meaning stands in the legend; the hint says so too."""
    report = worked_example()
    rows = [
        replace(row, padding="absent", status=None, steps=None, step_count=None, nearest_step=None, distance=None)
        for row in report.tracks[0].rows
    ]
    page = Page(browser, tmp_path, replace(report, tracks=[replace(report.tracks[0], rows=rows, excerpt=[])]))
    assert "outputs not recorded" in page("document.getElementById('legend').innerText")
    assert page("tracks[0].steps.unrecorded(0)") == [[0, 3]]
    x, y = page.cell(0, 0)
    shades = {page.colour(x + dx, y + dy) for dx in range(-8, 9) for dy in (-3, 0, 3)}
    assert len({round(lightness(shade) / 16) for shade in shades}) >= 2
    browser.mouse(x, y)
    assert page.hint().startswith("row 0, step 0: not recorded")
    assert "not recorded" not in Page(browser, tmp_path, report)("document.getElementById('legend').innerText")


def test_each_finding_carries_its_explanation() -> None:
    """Folded below it stands why people make the mistake, or what an unexplained finding is; a saved report has it."""
    why = "Somebody forgot the lengths."
    page = Elements(render(replace(lengths_ignored(), findings=[a_finding(why=why)]), "html"))
    assert why in page.text
    unexplained = render(replace(lengths_ignored(), findings=[a_finding(rule="unexplained-state")]), "html")
    assert "no known mistake gives these numbers" in unexplained
    report = inspect([[[0.1], [0.2], [0.0]]], [[0.0]], lengths=[2])
    assert report.findings[0].why == rules()[report.findings[0].rule].why


def test_findings_link_to_their_rows(browser: Browser, tmp_path: Path) -> None:
    """A finding about one layer and direction links to the row in that track, and the track opens it."""
    page = Page(browser, tmp_path, both_directions())
    assert page("[...document.querySelectorAll('.finding a')].map(a => a.getAttribute('href'))") == ["#t3-r1"]
    page("document.querySelector('.finding a').click()")
    page("new Promise(done => setTimeout(done, 50))")
    assert page.opened().startswith("layer 1 backward, row 1")


def test_filters_choose_rows(browser: Browser, tmp_path: Path) -> None:
    """All, with findings, not as expected, by rule, from the list or a finding; the link of a hidden row shows it."""
    page = Page(browser, tmp_path, many_rows(), as_opened=True)
    options = page("[...document.getElementById('filter').options].map(o => o.textContent)")
    assert options == ["all (64)", "with findings (2)", "not as expected (2)", "off-by-one-length (2)"]
    assert page.listed() == [[40, 61]]
    page("choose('all')")
    assert page.listed() == [list(range(64))]
    page("document.querySelector('.only').click()")
    assert page.listed() == [[40, 61]]
    assert page("document.getElementById('shown').textContent") == "2 of 64 rows shown"
    browser.mouse(*page.cell(1, 0))
    assert page.hint().startswith("row 61, step 0")
    page("go(0, 3)")
    page("new Promise(done => setTimeout(done, 50))")
    assert page.listed() == [list(range(64))]
    assert page.opened().startswith("layer 0 forward, row 3")
    page("filter.value = 'bad'; filter.dispatchEvent(new Event('change'))")
    assert page.listed() == [[40, 61]]


def test_each_kind_of_step_is_drawn(browser: Browser, tmp_path: Path) -> None:
    """By the canvas' pixels: real is even, padding hatched, a match ringed, a zero step empty but for its circle."""
    page = Page(browser, tmp_path, worked_example())

    def greys(row: int, step: int, inset: int) -> set[int]:
        x, y = page.cell(row, step)
        wide, high = CELL[0] // 2 - inset, CELL[1] // 2 - inset
        across = [page.colour(x + dx, y + 7) for dx in range(-wide, wide)]
        down = [page.colour(x + 7, y + dy) for dy in range(-high, high)]
        return {round(lightness(colour) / 8) for colour in (*across, *down)}

    real, padding, ringed, zero = greys(0, 1, 3), greys(1, 1, 3), greys(0, 2, 1), greys(0, 0, 3)
    assert len(real) == 1
    assert len(padding) >= 2
    assert len(ringed) >= 3
    assert min(ringed) < 8
    assert zero == {32}
    centre = [page.colour(page.cell(0, 0)[0] + dx, page.cell(0, 0)[1]) for dx in range(-6, 7)]
    assert min(map(lightness, centre)) < 120


def lightness(colour: tuple[int, int, int]) -> float:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def test_both_themes_and_a_switch(browser: Browser, tmp_path: Path) -> None:
    """The page follows the system, and the switch overrules it; the map's own colours change with it."""
    page = Page(browser, tmp_path, with_levels(worked_example()))

    def paper() -> float:
        return lightness(
            tuple(page("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"))
        )

    def map_paper() -> float:
        x, y = page.cell(0, 0)
        return lightness(page.colour(x - CELL[0] / 2 - 4, y - CELL[1]))

    assert paper() > 240
    assert map_paper() > 240
    browser.emulate(prefers_color_scheme="dark")
    assert paper() < 40
    assert map_paper() < 40
    page("theme.value = 'light'; theme.dispatchEvent(new Event('change'))")
    browser.settle()
    assert paper() > 240
    assert map_paper() > 240
    browser.emulate(prefers_color_scheme="light")
    page("theme.value = 'dark'; theme.dispatchEvent(new Event('change'))")
    browser.settle()
    assert map_paper() < 40


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_grey(browser: Browser, tmp_path: Path, scheme: str) -> None:
    """Larger sizes and numbers are ever darker or ever lighter, whatever the colour; text stands out on all."""
    page = Page(browser, tmp_path, with_levels(worked_example()))
    browser.emulate(prefers_color_scheme=scheme)
    for scale in ("palette.sizes.slice(1)", "Array.from({length: 21}, (_, k) => signed(k - 10, 10))"):
        grey = [lightness(tuple(colour)) for colour in page(scale)]
        assert grey in (sorted(grey), sorted(grey, reverse=True))
        assert abs(grey[-1] - grey[0]) > 100
    contrast = "Array.from({length: 21}, (_, k) => (c => [c, inkOn(c)])(signed(k - 10, 10)))"
    for colour, ink in page(contrast):
        other = lightness(tuple(int(ink[i : i + 2], 16) for i in (1, 3, 5)))
        assert abs(lightness(tuple(colour)) - other) > 85
    marks = page("""["=", "✗", "→", "≈", "?", "○", "!"].map(mark => {
        const canvas = document.createElement("canvas"), ctx = canvas.getContext("2d");
        canvas.width = canvas.height = 26; ctx.filter = "grayscale(1)";
        ctx.fillStyle = css(palette.mid); ctx.fillRect(0, 0, 26, 26); drawMark(ctx, mark, 0, 0, 26, 26);
        return [...ctx.getImageData(0, 0, 26, 26).data].filter((_, k) => k % 4 === 0).join()})""")
    assert len(set(marks)) == 7


def test_hostile_names_stay_text(browser: Browser, tmp_path: Path) -> None:
    """Markup and scripts in every text show as themselves in the browser and run nothing."""
    for report in (hostile(), wicked()):
        page = Page(browser, tmp_path, report, "#t0-r1")
        assert browser.complaints() == []
        assert page("document.querySelectorAll('script').length") == 2
        browser.mouse(*page.cell(1, 1))
        assert page.hint()
    assert "<script>c</script>" in Page(browser, tmp_path, hostile())("document.body.innerText")
    assert "[a](http://b)" in Page(browser, tmp_path, wicked())("document.body.innerText")


def test_numbers_that_are_not_finite_are_named(browser: Browser, tmp_path: Path) -> None:
    """NaN and both infinities have their own mark and word, in steps and in units."""
    page = Page(browser, tmp_path, not_finite(), "#t0-r0")
    model = "new Units(data.tracks[0].excerpt[0], data.tracks[0].rows[0], tracks[0].steps, 4)"
    assert page(f"[0, 1, 2].map(i => {model}.say(i, 1))") == [
        "step 1, unit 0: nan (real)",
        "step 1, unit 1: inf (real)",
        "step 1, unit 2: -inf (real)",
    ]
    assert page(f"{model}.text(0, 0)[0]") == "1e-9"


def test_a_large_batch_opens_within_two_seconds(browser: Browser, tmp_path: Path) -> None:
    """1000 rows x 1000 steps with their units: below 10 MB, drawn within 2 s, every row and step in the map."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(1, 1001, 1000)
    outputs = rng.standard_normal((1000, 1000, 2), np.float32)
    outputs[np.arange(1000)[None] >= lengths[:, None]] = 0
    final = outputs[np.arange(1000), lengths - 1]
    final[[7, 500]] = outputs[[7, 500], np.maximum(lengths[[7, 500]] - 2, 0)]
    report = inspect(outputs, final, lengths=lengths, convention="torch", excerpt=excerpt("html"))
    path = tmp_path / "report.html"
    path.write_text(render(report, "html"), encoding="utf-8")
    assert 1_000_000 < path.stat().st_size < 10_000_000
    browser.open(path)
    start = time.perf_counter()
    browser.open(path)
    assert time.perf_counter() - start < 2
    assert browser.complaints() == []
    assert browser.run("tracks[0].steps.listed") == [7, 500]
    browser.run("choose('all')")
    assert (
        browser.run("[tracks[0].steps.rows, tracks[0].steps.columns, tracks[0].track.levels.rows.length]") == [1000] * 3
    )
    assert browser.run("(m => m.host.scrollHeight >= 1000 * m.h && m.host.scrollWidth >= 1000 * m.w)(tracks[0].map)")
    start = time.perf_counter()
    browser.run("tracks[0].map.fit(true)")
    browser.settle()
    assert time.perf_counter() - start < 2


@pytest.mark.long
def test_every_recorded_report_opens(browser: Browser, tmp_path: Path) -> None:
    """Each recorded run's page opens, with a row of each track, and the browser complains of none."""
    for name, report in golden_reports().items():
        for track in range(len(report.tracks)):
            Page(browser, tmp_path, report, f"#t{track}-r0")
            assert browser.complaints() == [], name


def test_long_rows_scroll_with_their_names(browser: Browser, tmp_path: Path) -> None:
    """Far to the right the cursor is in view, and the step under the mouse is the step that is drawn there."""
    page = Page(browser, tmp_path, long_and_wide())
    page("tracks[0].map.host.focus()")
    browser.press("End")
    assert page("tracks[0].map.j") == 999
    x, y = page("(b => [b.right - 3, b.y + 30])(tracks[0].map.canvas.getBoundingClientRect())")
    browser.mouse(x, y)
    assert page.hint().startswith("row 0, step 999: padding")


@pytest.mark.parametrize(("name", "begins"), [("page.png", b"\x89PNG"), ("table.svg", b"<svg")])
def test_pictures_are_small(name: str, begins: bytes) -> None:
    """The pages' pictures are there, are what their names say, and stay below 200 kB."""
    picture = (PACKAGE / "pages" / name).read_bytes()
    assert picture.startswith(begins)
    assert len(picture) < 200_000
