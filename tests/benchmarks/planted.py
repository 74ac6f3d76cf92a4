"""How long it takes to judge a dump with its inputs and weights, where each rule's mistake was planted in it."""

from __future__ import annotations

import time

import numpy as np

from rnninspect.core.layer_config import LayerConfig
from rnninspect.diagnosis import build_case
from rnninspect.diagnosis.judge import judge
from rnninspect.diagnosis.rule import CannotInject
from rnninspect.diagnosis.rules import rules
from rnninspect.engine.initialise import glorot

SHAPE, TINY = (64, 200, 256), (3, 5, 4)


def table(tiny: bool) -> None:
    """Prints the seconds of every rule whose mistake an LSTM of one layer can show, the slowest first."""
    rows, steps, units = TINY if tiny else SHAPE
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, steps + 1, rows)
    lengths[0] = steps
    arrays = {"inputs": rng.normal(size=(rows, steps, units)).astype(np.float32), "lengths": lengths}
    right = build_case.run_case(arrays, LayerConfig(), "tf1", weights=glorot("lstm", units, units, 1, ("forward",)))
    seconds: dict[str, float] = {}
    for name, rule in rules().items():
        try:
            planted = rule.inject(right)
        except CannotInject:
            continue
        start = time.perf_counter()
        judge(planted, rules())
        seconds[name] = time.perf_counter() - start
    print(f"\njudged with inputs and weights, {rows} x {steps} x {units}, a mistake planted")
    print(f"{'':<36}{'s':>8}")
    for name in sorted(seconds, key=lambda name: -seconds[name]):
        print(f"{name:<36}{seconds[name]:8.2f}")
