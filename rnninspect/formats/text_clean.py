"""Pasted bytes -> plain text: what pages, mails, terminals and translations put around a print-out is taken away.

No line is added or removed, so that messages can name the lines of what was pasted: the end of a block of HTML becomes
a carriage return, which separates as a line end does and is not counted as one.
"""

from __future__ import annotations

import codecs
import html
import re
from collections import Counter
from itertools import pairwise
from operator import itemgetter

from rnninspect.core.regex import regex
from rnninspect.errors import UnreadableError

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CONTROLS = regex(rb"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")
_PLAIN = 0.9  # the least share of ASCII in text of an unknown 8-bit encoding

_SIGNS = {
    **dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000\t\f\v", " "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
    **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d", "-"),
    **dict.fromkeys("\u2018\u2019\u201b\u2032`", "'"),
    **dict.fromkeys("\u201c\u201d\u2033", '"'),
    "\u2026": "...",
    "\u22ef": "...",
    "\uff0c": ",",
    "\uff1a": ":",
    "\uff1d": "=",
    "\uff08": "(",
    "\uff09": ")",
    "\u3010": "[",
    "\u3011": "]",
}
_TABLE = str.maketrans(_SIGNS)

_ANSI = regex(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
_HTML = regex(r"<(?:!doctype|/?(?:html|body|pre|code|p|div|span|br|table|td|li)\b)[^<>]*>|&(?:[lg]t|nbsp|#\d+);", re.I)
_INVISIBLE = (("<script", "</script>"), ("<style", "</style>"), ("<!--", "-->"))
_BLOCK = regex(r"</?(?:p|div|pre|br|hr|tr|li|ul|ol|h[1-6]|table|blockquote|section|article|title)\b[^<>]*>", re.I)
_INLINE = regex(
    r"</?(?:html|head|body|code|span|a|b|i|em|strong|font|td|th|tt|samp|kbd|sub|sup|small|img|meta|link|main|header|"
    r"footer|nav|button|input|label|svg|path|tbody|thead|time|mark|u|s|q|cite|!doctype)\b[^<>]*>",
    re.I,
)

_CONTINUED = regex(r"^(?:[> ]*>>> .*\n)(?:[> ]*\.\.\.(?: .*)?\n)+", re.M)
_PROMPT = regex(
    r"(?:^|(?<=\r))[ ]*(?:(?:>[ ]?)+|\|[ ](?=[ ]*[\[(\w]))?[ ]*"
    r"(?:(?:In|Out) ?\[\d*\]: ?|\.{3}: |\(Pdb\+*\) (?:pp? )?|i?pdb> (?:pp? )?)?",
    re.M,
)
_COMMENTED = regex(r"(?:^|(?<=\r))[ ]*(?:#|//|%)+[>=]?[ ]*(?=[\[(]|array|tensor|Array|dtype|\.\.\.|[-\d.])", re.M)
_MARGINS = (regex(r"[ ]*(\d+)(?:[:|.)]|[ ])[ ]?"), regex(r"([\w./@-]+)[ ]*\|[ ]?"), regex(r"(\+)(?![\d.])[ ]?"))
_HUNK = regex(r"^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@", re.M)
_OF_DIFF = regex(r"@@ |diff .* [ab]/|index [\da-f]+\.\.|--- |\+\+\+ |new file mode ")
_FEW, _MANY, _MOST = 4, 20000, 0.8  # lines of a text that may have a margin, and the share of them that must
_ASSERTED = regex(r"^E(?: {3}| *$)", re.M)  # what pytest puts before the lines of a failure
_TIME = (
    r"[\[(]?(?:\d{4}[-/.]\d\d[-/.]\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[-+]\d\d:?\d\d)?[\])]?(?: \d+(?= [A-Za-z]))?"
)
_LEVEL = r"[\[(<]?(?:DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|TRACE|stdout|stderr|(?:\w+ )?pid=\d+|rank ?\d+)[\])>]?"
_WHERE = r"\[?(?!(?:nan|inf|tensor|array|Array)\b)[A-Za-z_<][\w./@>-]*(?::\w+)*"
_LOGGED = regex(rf"(?:(?:{_TIME}|{_LEVEL}|{_WHERE})(?: *[-:|\]] ?| +|(?<=[\])])))+")
_OF_LOGS = regex(rf"{_TIME}|\b{_LEVEL}")
_DIGIT = regex(r"\d")
_FENCE = regex(r"^[ ]*(?:'''|~~~).*$|^[ ]*'''", re.M)
_SCALAR = regex(
    r"\b(?:(?:np|numpy)\.(?:float|int|uint|bool)\w*|(?:torch\.)?tensor|Array|np\.bool_?)"
    r"\(\s*([-+]?[\d.][\w.+-]*|True|False|nan|-?inf)\s*(?:,[^()\[\]\n]*)?\)"
)


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are text: UTF-8 or UTF-16, or nearly all ASCII; no control characters.

    >>> is_text("h = [0.5]".encode()), is_text(b"\\x93NUMPY\\x01\\x00"), is_text(bytes(range(128, 200)))
    (True, False, False)
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        even = head[: len(head) // 2 * 2]
        return "\x00" not in even.decode("utf-16", errors="replace")
    if _CONTROLS.search(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return sum(byte < 128 for byte in head) >= _PLAIN * len(head)
    return True


def decoded(raw: bytes, name: str) -> str:
    """The text; UnreadableError where it is none."""
    if not is_text(raw[:4096]):
        raise UnreadableError(f"{name}: neither UTF-8 nor UTF-16 text")
    encoding = next((encoding for bom, encoding in _BOMS if raw.startswith(bom)), "utf-8")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return raw.decode(encoding if encoding == "utf-16" else "cp1252", errors="replace")


# A line of lengths as people type it, which has no brackets, or round ones: `lengths: 5, 2, 3`, `seq_len = (5 2 3)`.
_LENGTHS = regex(
    r"(?im)^(?P<label>[ \t>*#-]*+(?:[a-z]\w*_)?(?:lengths?|lens?)[ \t]*+(?:[:=][ \t]*+)?)"
    r"\(?(?P<numbers>\d++(?:(?:[ \t]*+,[ \t]*+|[ \t]++)\d++)++),?\)?[ \t]*+$"
)


def with_brackets(text: str) -> str:
    """The text with brackets around lengths that a line states without them.

    >>> with_brackets("lengths: 5, 2, 3"), with_brackets("x_len = (4 1)"), with_brackets("length 5")
    ('lengths: [5, 2, 3]', 'x_len = [4 1]', 'length 5')
    """
    return _LENGTHS.sub(r"\g<label>[\g<numbers>]", text)


def clean(text: str) -> str:
    """The text without HTML, colours, typographic signs, quote marks, prompts and fences, on the lines it had.

    >>> clean("&gt;&gt;&gt; h<br>> [[ 1.5\\u00a0 \\u22122. ]]").replace("\\r", "|")
    'h|[[ 1.5  -2. ]]'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if _HTML.search(text):
        text = _without_html(text)
    if not text.isascii() or "\t" in text or "`" in text:
        text = text.translate(_TABLE)
    if "@@ -" in text and _HUNK.search(text):
        text = _after_change(text)
    if ">>> " in text:
        text = _CONTINUED.sub(_without_continuation, text)
    text = _PROMPT.sub("", text)
    text = _COMMENTED.sub("", text)
    if "\nE   " in text:
        text = _ASSERTED.sub("", text)
    text = _without_margin(text)
    text = _FENCE.sub("", text)
    return _SCALAR.sub(r"\1", text)


def _after_change(text: str) -> str:
    """The lines of a diff as they are after it: without its marks, and empty where it says which lines and files."""
    lines = text.split("\n")
    first = next(at for at, line in enumerate(lines) if _HUNK.match(line))
    return "\n".join(
        ""
        if _OF_DIFF.match(line) or (at > first and line[:1] == "-")
        else line[1:]
        if at > first and line[:1] in ("+", " ")
        else line
        for at, line in enumerate(lines)
    )


def _without_html(text: str) -> str:
    for opening, closing in _INVISIBLE:
        text = _without_parts(text, opening, closing)
    text = _BLOCK.sub(lambda m: "\r" + "\n" * m[0].count("\n"), text)
    text = _INLINE.sub(lambda m: "\n" * m[0].count("\n"), text)
    return html.unescape(text)


def _without_margin(text: str) -> str:
    """The text without what stands before most of its lines: their numbers, a container's name, the `+` of a diff, what
    a log puts there."""
    lines = text.split("\n")
    filled = [line for line in lines if line.strip()]
    if len(filled) < _FEW or len(filled) > _MANY:
        return text
    for margin in _MARGINS:
        margins = [margin.match(line) for line in filled]
        if sum(m is not None for m in margins) < _MOST * len(filled):
            continue
        numbers = [int(m[1]) for m in margins if m is not None and m[1].isdecimal()]
        if not numbers or all(b == a + 1 for a, b in pairwise(numbers)):
            return "\n".join(margin.sub("", line, count=1) for line in lines)
    logged = _logged(filled)
    return "\n".join(line[len(logged) :] if _shape(line).startswith(logged) else line for line in lines)


def _logged(lines: list[str]) -> str:
    """What a log put before most lines, digits as zeros: time, level, place (`0000-00-00 00:00:00 INFO:root:`); else
    nothing. A label behind it, as `h_n:`, is before few lines and stays."""
    margins = [m[0].rstrip() for line in lines if (m := _LOGGED.match(line, 0, 200)) and _OF_LOGS.search(m[0])]
    if len(margins) < _MOST * len(lines):
        return ""
    likely = max(Counter(map(_shape, margins)).items(), key=itemgetter(1))[0]
    return likely if sum(_shape(line).startswith(likely) for line in lines) >= _MOST * len(lines) else ""


def _shape(line: str) -> str:
    """The line with its digits as zeros: what the times of two lines of a log have in common."""
    return _DIGIT.sub("0", line)


def _without_parts(text: str, opening: str, closing: str) -> str:
    """The text without what stands between these, line ends aside."""
    kept: list[str] = []
    at = 0
    while (start := text.find(opening, at)) >= 0 and (stop := text.find(closing, start)) >= 0:
        kept += [text[at:start], "\n" * text.count("\n", start, stop)]
        at = stop + len(closing)
    return "".join([*kept, text[at:]])


def _without_continuation(match: re.Match[str]) -> str:
    """A command over several lines without the dots of its further prompts, which are no elided rows."""
    return re.sub(r"(?m)^([> ]*)\.\.\.(?= |$)", r"\1", match[0])
