"""Random right runs of every convention, printed in every form at 3 to 17 digits: printing alone accuses none.

Run in full by `pytest -m long`; the suite itself prints a few hundred. `RNNINSPECT_LONG` sets how many (10,000).
"""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from rnninspect.core.trace import Array
from rnninspect.diagnosis import build_case
from rnninspect.formats.text import from_text
from tests.support.print_outs import FORMS, wrapped
from tests.test_long import LONG, findings, quote_findings, random_case

SHORT = 200
Count = Counter[tuple[str, int]]


def printed(arrays: dict[str, Array], draw: random.Random) -> tuple[str, str, int]:
    """The arrays as text, in which form and with how many digits: all at once, or each with digits of its own."""
    form = draw.choice(
        [*FORMS]
        if all(a.ndim in (2, 3) for a in arrays.values() if a.dtype.kind == "f")
        else ["numpy_str", "torch_print", "jax"]
    )
    digits = draw.randint(3, 17)
    numbers = {name: a for name, a in arrays.items() if a.dtype.kind == "f"}
    code = "".join(f"{name} = {a.tolist()}\n" for name, a in arrays.items() if a.dtype.kind in "iu")
    if draw.random() < 0.5:
        return code + FORMS[form](numbers, digits, draw), form, digits
    apart = [FORMS[form]({name: a}, max(3, digits - draw.choice([0, 0, 1, 4])), draw) for name, a in numbers.items()]
    return code + "\n\n".join(apart), form, digits


def check(seeds: range) -> Count:
    """Judges each run as it is and as it was printed; what is accused in print alone fails."""
    counts: Count = Counter()
    for seed in seeds:
        draw = random.Random(seed)
        case = random_case(seed)
        arrays = {n: np.asarray(a) for n, a in case.dump.arrays.items() if n != "inputs" and a.dtype.kind in "fiu"}
        floats = {n: a for n, a in arrays.items() if a.dtype.kind == "f" and a.ndim > 1 and a.size}
        lengths = {n: a for n, a in arrays.items() if n in ("lengths", "sequence_length", "sequence_lens")}
        if len(floats) < 2:
            continue
        text, form, digits = printed({**lengths, **floats}, draw)
        read = from_text(wrapped(text, draw), f"run {seed}")
        assert set(read.arrays) == {*lengths, *floats}, (seed, form)
        framework = case.convention.name
        as_it_is = build_case.read_case({**lengths, **floats}, case.config, framework)
        as_printed = build_case.read_case(
            read.arrays, case.config, framework, printed=read.precisions, elided=read.elided
        )
        new = {f.rule for f in findings(as_printed)} - {f.rule for f in findings(as_it_is)}
        assert not new, (seed, form, digits, quote_findings(as_printed, findings(as_printed)))
        counts[form, digits] += 1
    return counts


def test_some_printed_runs() -> None:
    """A few hundred of them, every form among them."""
    counts = check(range(SHORT))
    assert {form for form, _ in counts} == set(FORMS)


@pytest.mark.parametrize("seed", [628, 6029, 10923])
def test_steps_that_print_alike_accuse_nothing(seed: int) -> None:
    """A layer whose last steps hardly move prints them equal: neither a repeated output nor a masked step."""
    assert check(range(seed, seed + 1))


@pytest.mark.long
def test_ten_thousand_printed_runs() -> None:
    """Every form at every number of digits."""
    counts = check(range(LONG))
    assert len(counts) == len(FORMS) * 15 or LONG < 10000
