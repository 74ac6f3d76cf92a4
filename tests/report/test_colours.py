"""Every colour can be read: on white and on black, in a terminal, in the picture, in pages, in notebooks.

The measure is the W3C's contrast ratio of two colours' relative luminances, of which large or bold text needs 3 to 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from rich.color import Color, ColorSystem
from rich.color_triplet import ColorTriplet
from rich.style import Style

from rnninspect.report.record import ReportRecord
from rnninspect.report.renderers import _text, render
from rnninspect.report.renderers._templates import asset
from tests.support.reports import against_a_reference, both_directions, lengths_ignored, many_rows, worked_example

WHITE, BLACK = ColorTriplet(255, 255, 255), ColorTriplet(0, 0, 0)
LEAST = 3.0
FIXED = 16  # the first of the 256 colours that no terminal's theme redefines
ESCAPE = re.compile("\x1b\\[([0-9;]*)m")
STYLES = {name: getattr(_text, name) for name in ("OK", "BAD", "HINT", "FACT", "WARN", "QUIET", "TITLE")}
every_report = pytest.mark.parametrize(
    "make", [worked_example, lengths_ignored, both_directions, many_rows, against_a_reference]
)


def contrast(one: ColorTriplet, other: ColorTriplet) -> float:
    """The ratio of two colours: 1 where they are alike, 21 for black and white."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: ColorTriplet) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _of(hexadecimal: str) -> ColorTriplet:
    return ColorTriplet(*bytes.fromhex(hexadecimal.removeprefix("#")))


def test_the_measure_is_the_w3cs() -> None:
    """Its ends, and #767676, the lightest grey that has 4.5 to 1 on white."""
    assert contrast(WHITE, BLACK) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    assert contrast(_of("#767676"), WHITE) == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("name", STYLES)
def test_every_style_is_read_on_white_and_on_black(name: str) -> None:
    """A style's colour is one that no theme changes; dim is half of what the text's own colour is."""
    style = Style.parse(STYLES[name])
    for paper, ink in ((WHITE, BLACK), (BLACK, WHITE)):
        shade = ink if style.color is None else style.color.get_truecolor()
        if style.dim:
            shade = ColorTriplet(*((a + b) // 2 for a, b in zip(ink, paper, strict=True)))
        assert contrast(shade, paper) >= LEAST, name
    assert style.color is None or (style.color.number or 0) >= FIXED
    assert style.color is None or not style.dim, "dim makes a colour darker than was measured"


def test_sixteen_colours_get_their_usual_names() -> None:
    """A terminal with 16 colours gets red, green, magenta and cyan, none of them bright."""
    numbers = [Style.parse(style).color for style in STYLES.values()]
    fallen = {colour.downgrade(ColorSystem.STANDARD).number for colour in numbers if colour is not None}
    assert fallen == {1, 2, 5, 6}


@every_report
@pytest.mark.parametrize("table", ["brief", "full"])
def test_no_other_colour_is_printed(make: Callable[[], ReportRecord], table: str) -> None:
    """What is printed is bold, dim, or in one of the styles' colours: never a background, never a theme's colour."""
    codes = set(ESCAPE.findall(render(make(), "table", color=True, table=table)))
    colours = {Style.parse(style).color for style in STYLES.values()} - {None}
    allowed = {f"38;5;{colour.number}" for colour in colours if isinstance(colour, Color)}
    assert {re.sub(r"^[12];|^[012]$", "", code) for code in codes} <= allowed | {""}
    assert any("38;5;" in code for code in codes)


@every_report
def test_the_picture_is_read_on_its_own_background(make: Callable[[], ReportRecord]) -> None:
    """Every text's fill in the SVG against the window that is drawn behind it."""
    picture = render(make(), "svg", table="full")
    (window,) = re.findall(r'<rect fill="(#[0-9a-f]{6})" stroke', picture)
    fills = set(re.findall(r"-r\d+ \{ fill: (#[0-9a-f]{6})", picture))
    assert fills
    assert [fill for fill in fills if contrast(_of(fill), _of(window)) < LEAST] == []


def test_the_pages_inks_are_read_on_its_papers() -> None:
    """Each ink of the page on paper and on panel, light and dark, at 4.5 to 1: a page has small text too."""
    shades = {
        name: (_of(light), _of(dark))
        for name, light, dark in re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", asset("page.css"))
    }
    for ink in ("ink", "quiet", "link", "good", "bad", "warn"):
        for paper in ("paper", "panel"):
            for theme in (0, 1):
                assert contrast(shades[ink][theme], shades[paper][theme]) >= 4.5, (ink, paper, theme)


def test_a_notebooks_signs_are_read_on_white_and_on_black() -> None:
    """A cell's colours are the same in a light and in a dark notebook."""
    colours = re.findall(r" color: (#[0-9a-f]{6});", asset("fragment.css"))
    assert len(colours) == 3
    for colour in colours:
        assert min(contrast(_of(colour), WHITE), contrast(_of(colour), BLACK)) >= LEAST, colour
