"""Throws mutants at readers: `python -m tests.tools.fuzz READER... --executions 1000000 --seed 0`.

Every mutant must be read or refused with a UserError. A find is whatever else comes of one: another exception, numbers
other than those that the format's own library reads (npy, npz, hdf5, safetensors), a process that ended, or one that
gave no sign for `--seconds`. Mutants are read in a process of its own with `--memory`, which is begun again where it
ends. atheris chooses them where it is installed (`pip install atheris`), else the mutator of `tests/hostile`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from mmap import mmap
from pathlib import Path
from typing import Any

from tests.hostile.corpus import seeds
from tests.hostile.mutator import MOST, Mutator, within

STATE = struct.Struct("<QQQ")  # executions begun, mutants read, mutants refused
PAUSE = 0.05  # seconds between two looks at a worker
PATIENCE = 15  # seconds that a user would wait for an answer


@dataclass
class Tally:
    """What came of the executions so far. `finds`: how many of each kind, and where its first mutant is kept."""

    executions: int = 0
    read: int = 0
    refused: int = 0
    survived: int = 0  # ended or stalled the format's library, which the package runs in a process of its own
    finds: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        counts = f"{self.executions} executions: {self.read} read, {self.refused} refused"
        return f"{counts}, {self.survived} ended their library and were survived, {sum(self.finds.values())} finds"


@dataclass(frozen=True)
class Target:
    """One reader, and the scratch file in which each mutant is before it is read."""

    reader: str
    path: Path
    keep: Path
    in_one_process: bool = True

    def attempt(self, raw: bytes) -> str:
        """`read`, `refused`, or what the find is."""
        from rnninspect.errors import UserError
        from rnninspect.formats import formats, read_arrays
        from tests.hostile.libraries import LIBRARIES, difference

        self.path.write_bytes(raw)
        module = next(each.module for each in formats() if each.name == self.reader)
        try:
            read = read_arrays(self.path)
            for array in read.arrays.values():
                array.tobytes() if array.nbytes < MOST << 6 else None
        except UserError:
            return "refused"
        except Exception as error:
            return f"{type(error).__name__} in {_where(error)}"
        if self.reader not in LIBRARIES or read.format != module.NAME:
            return "read"
        return (difference(self.reader, self.path, read) or "read") if self.in_one_process else "read"

    def kept(self, kind: str) -> Path:
        """Where the scratch file is kept as the first mutant of a find."""
        name = "".join(c if c.isalnum() else "-" for c in kind)[:60]
        place = self.keep / f"{self.reader}-{name}{self.path.suffix}"
        self.keep.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            shutil.copy(self.path, place)
        return place


def _where(error: BaseException) -> str:
    """The last line of this package that an exception came through."""
    at, line = "", 0
    trace = error.__traceback__
    while trace is not None:
        if "rnninspect" in trace.tb_frame.f_code.co_filename:
            at, line = trace.tb_frame.f_code.co_filename.rpartition("rnninspect/")[2], trace.tb_lineno
        trace = trace.tb_next
    return f"{at}:{line}"


def fuzz(target: Target, executions: int, seed: int, engine: str, memory: int, seconds: float) -> Tally:
    """Run so many mutants, in as many processes as it takes."""
    tally = Tally()
    files = seeds(target.reader)  # here, so that no worker is taken for stalled while it imports what makes them
    log = target.path.with_suffix(".finds")
    while tally.executions < executions:
        log.write_text("")
        state = mmap(-1, STATE.size)
        worker = os.fork()
        if not worker:
            _work(target, engine, files, (tally.executions, executions, seed), state, log, memory)
        why = _watched(worker, state, seconds)
        begun, read, refused = STATE.unpack(state[:])
        tally.executions += begun
        tally.read += read
        tally.refused += refused
        tally.finds.update(log.read_text().splitlines())
        if why and not begun:
            raise SystemExit(f"the process ends before it reads anything: {why}")
        if why:
            _judge_ended(target, tally, why)
    return tally


def _watched(worker: int, state: mmap, seconds: float) -> str:
    """Why a worker ended; empty where it had done all."""
    last, since = b"", time.monotonic()
    while True:
        pid, status = os.waitpid(worker, os.WNOHANG)
        if pid:
            return "" if status == 0 else f"ended by {os.waitstatus_to_exitcode(status)}"
        if state[:] != last:
            last, since = state[:], time.monotonic()
        elif time.monotonic() - since > seconds:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
            return "stalled"
        time.sleep(PAUSE)


def _judge_ended(target: Target, tally: Tally, why: str) -> None:
    """A mutant that ended its process or stalled it is a find, unless the package itself survives it in time."""
    place = target.kept(f"{why} {tally.executions}")
    again = Target(target.reader, target.path, target.keep, in_one_process=False)
    state = mmap(-1, STATE.size)
    worker = os.fork()
    if not worker:
        outcome = again.attempt(place.read_bytes())
        os._exit(0 if outcome in ("read", "refused") else 1)
    if _watched(worker, state, PATIENCE):
        tally.finds[f"{why}: {place}"] += 1
    else:
        tally.survived += 1
        place.unlink()


def _work(
    target: Target, engine: str, files: list[bytes], numbers: tuple[int, int, int], state: mmap, log: Path, memory: int
) -> None:
    """A worker's whole life.

    Args: `files` from which mutants are made; `numbers`: executions done, executions to do, and the run's seed;
    `state` and `log`: where it says how far it is, and what it finds; `memory` in bytes.
    """
    import resource

    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        _read_here(target)
        counts = [0, 0, 0]

        def attempt(raw: bytes) -> None:
            counts[0] += 1
            state[:] = STATE.pack(*counts)
            outcome = target.attempt(raw)
            if outcome in ("read", "refused"):
                counts[1 + (outcome == "refused")] += 1
                state[:] = STATE.pack(*counts)
                return
            target.kept(outcome)
            with log.open("a") as file:
                print(re.sub(r"\d+", "N", " ".join(outcome.split())), file=file)

        ENGINES[engine](files, target.path.parent, attempt, *numbers)
        code = 0
    finally:
        os._exit(code)


def _read_here(target: Target) -> None:
    """Let HDF5 read in this process, which is watched already: a fork for each mutant takes most of the time."""
    from rnninspect.formats import hdf5
    from rnninspect.formats.base import guarded
    from rnninspect.formats.supervised import Ahead

    def unsupervised(work: Callable[[], Iterator[Any]], name: str) -> Iterator[Any]:
        with guarded(name):
            yield from (item for item in work() if not isinstance(item, Ahead))

    hdf5.supervised = unsupervised


def _by_mutator(
    files: list[bytes], _: Path, attempt: Callable[[bytes], None], done: int, executions: int, seed: int
) -> None:
    mutator = Mutator(files, seed)
    for number in range(done, executions):
        attempt(mutator.mutant(number))


def _by_atheris(
    files: list[bytes], place: Path, attempt: Callable[[bytes], None], done: int, executions: int, seed: int
) -> None:
    from random import Random

    import atheris

    folder = place / "corpus"
    folder.mkdir(exist_ok=True)
    for number, raw in enumerate(files):
        (folder / str(number)).write_bytes(raw)

    def mutated(raw: bytes, most: int, chosen: int) -> bytes:
        rng = Random(chosen)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(raw, most))
        try:
            return within(raw or rng.choice(files), rng, files)[:most]
        except Exception:  # no whole zip any more
            return bytes(atheris.Mutate(raw, most))

    options = [f"-runs={executions - done}", f"-seed={seed + done + 1}", f"-max_len={MOST >> 4}", "-rss_limit_mb=0"]
    atheris.Setup([sys.argv[0], *options, "-timeout=86400", str(folder)], attempt, custom_mutator=mutated)
    atheris.Fuzz()


ENGINES: dict[str, Callable[..., None]] = {"own-mutator": _by_mutator, "atheris": _by_atheris}


def _imported() -> str:
    """Import what is fuzzed, and return the engine: what atheris follows it must see being imported."""
    try:
        import atheris
    except ImportError:
        return "own-mutator"
    instrumented = atheris.instrument_imports(include=["rnninspect.formats", "rnninspect.core"])
    with redirect_stderr(StringIO()), instrumented:  # it names every module
        import rnninspect.formats

        rnninspect.formats.formats()
    return "atheris"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="+", help="formats' names, as `rnninspect list formats` has them")
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=list(ENGINES), help="atheris where it is installed")
    parser.add_argument("--memory", type=float, default=6, help="GiB of address space a process")
    parser.add_argument("--seconds", type=float, default=10, help="without a sign of life")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "rnninspect-finds"))
    options = parser.parse_args()
    engine = options.engine or _imported()
    if engine == "atheris":
        _imported()
    tallies = [_fuzzed(reader, engine, options) for reader in options.readers]
    return 1 if any(tally.finds for tally in tallies) else 0


def _fuzzed(reader: str, engine: str, options: argparse.Namespace) -> Tally:
    """One reader's executions, and a line about them."""
    from rnninspect.formats import formats

    suffix = next(each.suffixes[0] for each in formats() if each.name == reader)
    began, scratch = _cpu_seconds(), "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        target = Target(reader, Path(folder, f"mutant{suffix}"), options.keep)
        memory = int(options.memory * (1 << 30))
        tally = fuzz(target, options.executions, options.seed, engine, memory, options.seconds)
    print(f"{reader}, {engine}, seed {options.seed}: {tally}; {_cpu_seconds() - began:.0f} s of CPU", flush=True)
    for kind, count in tally.finds.most_common():
        print(f"  {count} x {kind}")
    if tally.finds:
        print(f"  the first mutant of each is in {options.keep}", flush=True)
    return tally


def _cpu_seconds() -> float:
    import resource

    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    sys.exit(main())
