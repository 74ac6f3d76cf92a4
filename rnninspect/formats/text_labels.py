"""Names of printed arrays: the label before each, as people and programs write them.

h_n = tensor(…)      final state :⏎[[…      >>> print(s.h)⏎[[…      Out[7]:⏎array(…      # outputs⏎[[…
"""

from __future__ import annotations

import re

from rnninspect.core.regex import regex

NEAR = 300  # characters before an array in which its label is looked for
_ASSIGNED = regex(r"((?:[A-Za-z_]\w*)(?:(?:\.\w+)|(?:\[[^\[\]=]{0,30}\]))*)\s*(?::\s*[\w.\[\], ]+)?=\s*\Z")
_MARKS = regex(r"[:=]>?\s*\Z|->\s*\Z")
_CALL = regex(r"(?:print|pprint|pp|display|repr|str|evaluate|run|eval|type)\s*\(\s*(.*?)\)*\s*;?\s*\Z")
METHODS = regex(
    r"(?:\.(?:eval|numpy|detach|cpu|data|tolist|asnumpy|item|T|get|float|double|squeeze|clone|copy)(?:\([^()]*\)?)?)+\Z"
)
EXPRESSION = regex(r"[A-Za-z_]\w*(?:\.\w+|\[[^\[\]]{0,30}\])*")
_QUOTED = regex(r"[bfru]?(['\"])(.{0,60}?)\1")
_SKIPPED = regex(
    r"(?:Variable|Parameter) containing:?|Out ?\[\d*\]:?|<[^>]*>|\W*|array|tensor|python|py|text|console|pycon", re.I
)
_LEAD = regex(r"^(?:[\s*#>•·\-+]+|\(?\d+[.)]\s+|[$%]\s+)+")
_LOG = regex(r"\b(?:INFO|DEBUG|WARNING|WARN|ERROR|TRACE|root|stdout|stderr)\b[:\]\s]*|\d[\d:.,/T+-]{4,}Z?\s*")
_FILLERS = frozenset(
    [
        "my",
        "the",
        "this",
        "that",
        "these",
        "those",
        "is",
        "are",
        "was",
        "were",
        "a",
        "an",
        "here",
        "and",
        "get",
        "gets",
        "got",
        "get",
        "i",
        "we",
        "its",
        "it",
        "be",
        "being",
        "then",
        "now",
        "as",
        "follows",
        "following",
        "below",
        "like",
        "looks",
        "prints",
        "printed",
        "print",
        "gives",
        "give",
        "gave",
        "value",
        "values",
        "returns",
        "returned",
        "result",
        "results",
        "shows",
        "show",
        "showing",
        "so",
        "of",
        "for",
        "with",
        "where",
        "which",
        "i'm",
        "getting",
        "have",
        "has",
        "output's",
        "tensor",
        "array",
        "matrix",
        "vector",
        "numpy",
    ]
)
_WORDS = 4  # in a label; more are a sentence

# What the numbers of these say is a shape, an axis or a place, and no data of a run.
_NO_DATA = regex(
    r"(?:.*[._ ])?(?:shape|tensorshape|size|dim|dims|dimensions?|axis|axes|perm|strides?|rank|index|indices|idx)"
    r"s?",
    re.I,
)


def label_before(text: str, start: int, floor: int) -> str:
    """The label of the array that begins at `start`, as it is written, nothing before `floor`; empty where none is.

    >>> label_before("final state :\\n[[0.5]]", 14, 0), label_before("x = f(y)\\nh_n = [[0.5]]", 15, 0)
    ('final state', 'h_n')
    >>> label_before("and I ran it on the other machine that we have.\\n[[0.5]]", 48, 0)
    ''
    """
    floor = max(floor, start - NEAR)
    lines = re.split(r"[\n\r]", text[floor:start])
    last, above = lines[-1], [line for line in lines[:-1] if line.strip()]
    if last.strip():
        assigned = _ASSIGNED.search(last)
        label = assigned[1] if assigned else _label(last, before_array=True)
        if label or not _SKIPPED.fullmatch(last.strip()):
            return label
    for line in above[:-4:-1]:
        if not _SKIPPED.fullmatch(line.strip()):
            return _label(line, before_array=False)
    return ""


def last_line(text: str, start: int, floor: int) -> str:
    """The line that may hold the label of the array at `start`: its own as far as it goes, or the next one above."""
    *above, last = re.split(r"[\n\r]", text[max(floor, start - NEAR) : start])
    near = [last, *[line for line in above[::-1] if line.strip()][:3]]
    return next((line for line in near if not _SKIPPED.fullmatch(line.strip())), "")


def without_marks(line: str) -> str:
    """The line without what stands before and behind a label."""
    return _MARKS.sub("", _LEAD.sub("", _LOG.sub("", line)).strip().strip("*_ ")).strip()


def _label(line: str, before_array: bool) -> str:
    """The label that a line is: an expression, the argument of a print, or a few words."""
    line = _LEAD.sub("", _LOG.sub("", line)).strip().strip("*_ ")
    marked = _MARKS.search(line) is not None
    line = _MARKS.sub("", line).strip()
    if EXPRESSION.fullmatch(bare := METHODS.sub("", line)):
        return bare
    call = _CALL.search(line)
    if call:
        line = _argument(call[1])
    line = line.strip("'\"* ")
    if assigned := re.fullmatch(r"([A-Za-z_][\w.]*)\s*=\s*\S.*", line):
        return "" if not before_array and "(" not in line else assigned[1]
    bare = METHODS.sub("", line)
    if EXPRESSION.fullmatch(bare):
        return bare
    terms = [word for word in re.split(r"[\s,]+", re.sub(r"\([^()]*\)", "", line)) if word]
    if marked:
        terms = re.split(r"[.;:!?]\s", " ".join(terms))[-1].split()
    kept = [word for word in terms if word.lower().strip("'\"") not in _FILLERS]
    if not kept or (len(kept) > _WORDS and not marked) or (not marked and re.search(r"[.?!]$", kept[-1])):
        return ""
    return " ".join(kept[-_WORDS:])


def _argument(inner: str) -> str:
    """What a print was of: its quoted text, else its first argument (`sess.run(h, feed)` is of `h`)."""
    quoted = _QUOTED.match(inner.strip())
    if quoted:
        return _MARKS.sub("", quoted[2]).strip() or inner[quoted.end() :].strip(" ,")
    nested = re.search(r"\b(?:run|eval|numpy|array)\s*\(\s*([A-Za-z_][\w.]*)", inner)
    return nested[1] if nested else inner.split(",")[0].strip()


def as_name(label: str) -> str:
    """The name that an array of that label gets: identifiers stay, words are joined.

    >>> as_name("Final state"), as_name("lengths_"), as_name("state.h"), as_name("last output")
    ('final_state', 'lengths', 'state.h', 'last_output')
    >>> as_name("h_n.detach().cpu().numpy()"), as_name("outputs.tolist")
    ('h_n', 'outputs')
    """
    label = METHODS.sub("", label.strip().strip("'\"`*:= "))
    if re.fullmatch(r"[A-Za-z_][\w./]*(?:\[[^\[\]]*\])?", label):
        plain = label.lower() if re.fullmatch(r"[A-Z][a-z]{2,}", label) else label
        return plain.rstrip("_") or label
    return re.sub(r"\W+", "_", label.lower()).strip("_")


def is_no_data(label: str) -> bool:
    """Whether numbers under this label are a shape or the like.

    >>> is_no_data("output shape"), is_no_data("batch_sizes"), is_no_data("x.size"), is_no_data("h")
    (True, False, True, False)
    """
    return _NO_DATA.fullmatch(label.strip(" :=")) is not None and not label.endswith(("batch_sizes", "sorted_indices"))
