"""What every HTML page is made of: the templates, which escape by themselves, and the files beside them."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from rnninspect.errors import MissingExtraError
from rnninspect.report.renderers import _text

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def templates() -> Environment:
    """The templates of `_html/`; MissingExtraError without jinja2."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise MissingExtraError("the HTML page", "html") from None
    loader = PackageLoader("rnninspect.report.renderers", "_html")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["clean"] = _text.clean
    made.filters["clean_code"] = clean_code
    return made


def clean_code(code: str) -> str:
    """Lines of code with nothing hidden in them; the line breaks stay."""
    return "\n".join(_text.clean(line) for line in code.expandtabs(4).splitlines())


@cache
def asset(name: str) -> str:
    """A style or a script of `_html/`, without blank space around it."""
    return (files("rnninspect.report.renderers") / "_html" / name).read_text("utf-8").strip()


def source(text: str) -> str:
    """A source of a page's content security policy: this text and no other (CSP level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
