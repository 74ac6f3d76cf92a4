"""Every benchmark, one table after the other: `python -m tests.benchmarks`. Nothing is asserted about time.

    python -m tests.benchmarks --only compare      one of them
    python -m tests.benchmarks --largest 10        the largest dump, in GB (1 by default)
    python -m tests.benchmarks --cpu               CPU time of one thread in `compare` and `forward`, on a busy machine
    python -m tests.benchmarks --tiny              tiny sizes, one round: only shows that it runs
    python -m tests.benchmarks --device cuda       the forward pass on a GPU alone; skipped, and said so, without one

Ways that are compared are timed in turn, in one process or as children of one, and ratios are what is to be read:
times drift from machine to machine.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks import compare, processes, startup

NAMES = ("startup", "compare", "memory", "against", "jobs", "planted", "forward")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Every benchmark, in tables.")
    parser.add_argument("--only", choices=NAMES, action="append", help="one of them (repeat for more)")
    parser.add_argument("--largest", type=float, default=1.0, metavar="GB", help="the largest dump of `memory`")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where dumps are written (a temporary folder by default)")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, one round")
    parser.add_argument("--cpu", action="store_true", help="CPU time of one thread, in `compare` and `forward`")
    parser.add_argument("--device", metavar="NAME", help="the forward pass on that device, and nothing else")
    options = parser.parse_args(arguments)
    rounds, chosen = 1 if options.tiny else options.rounds, options.only or NAMES
    if options.device:
        from tests.benchmarks import device  # imports torch

        device.table(options.device, options.tiny, rounds)
        return
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        if "startup" in chosen:
            startup.main(["--repeat", str(rounds)])
        if "compare" in chosen:
            compare.table(folder, options.tiny, rounds, options.cpu)
        if "memory" in chosen:
            processes.memory(folder, options.tiny, options.largest)
        if "against" in chosen:
            processes.against(folder, options.tiny)
        if "jobs" in chosen:
            processes.jobs(folder, options.tiny)
    if "planted" in chosen:
        from tests.benchmarks import planted  # imports torch

        planted.table(options.tiny)
    if "forward" in chosen:
        from tests.benchmarks import forward  # imports torch

        flags = [*(["--tiny"] if options.tiny else []), *(["--cpu"] if options.cpu else [])]
        forward.main(["--cells", "all", "--rounds", str(rounds), *flags])


if __name__ == "__main__":
    main()
