"""What was found in each of many dumps, and the file that holds it: a block of NDJSON lines a dump.

A block is what the `ndjson` format writes of a report, rows, findings and last its summary; or one line of kind
`error`. Blocks are appended whole. What an interruption tore is cut off when the file is taken up again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from rnninspect.core.finding import SEVERITIES, NotChecked
from rnninspect.core.wording import argument
from rnninspect.errors import UserError
from rnninspect.formats import storage
from rnninspect.formats.atomic_write import write_whole

BEGINS = b'{"kind":"'
ENDS = (b'{"kind":"summary"', b'{"kind":"error"')
VERDICTS = ("clean", "findings", "unjudged", "error")
STAMPS = ("size", "mtime_ns", "version")


@dataclass(frozen=True)
class Outcome:
    """Of one dump: `verdict` clean, findings, unjudged or error; its findings as (rule, severity); its lines.

    `failed`: a rule failed by a fault of its own, so that what it would have found is not known.
    """

    path: str
    verdict: str
    findings: tuple[tuple[str, str], ...] = ()
    text: str = ""
    error: str = ""
    failed: bool = False

    def reaches(self, severity: str) -> bool:
        """Whether a finding is at least that severe."""
        return any(SEVERITIES.index(of_finding) <= SEVERITIES.index(severity) for _, of_finding in self.findings)


@dataclass
class Tally:
    """Counts over dumps: by verdict, and by rule in how many dumps it was found."""

    verdicts: Counter[str] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one dump's outcome: its verdict, and each of its rules once."""
        self.verdicts[outcome.verdict] += 1
        self.rules.update(set(outcome.findings))

    @property
    def dumps(self) -> int:
        return sum(self.verdicts.values())

    def by_rule(self) -> list[tuple[str, str, int]]:
        """(rule, severity, dumps), the worst and most frequent first."""
        order = sorted(self.rules.items(), key=lambda item: (SEVERITIES.index(item[0][1]), -item[1], item[0]))
        return [(rule, severity, count) for (rule, severity), count in order]


def stamp(path: str) -> dict[str, Any]:
    """What tells a dump from its own later self, as `places.stamp` does; of `FILE#member` the file counts."""
    return storage.stamp(path) or storage.stamp(path.rpartition("#")[0])


def error_line(path: str, error: str) -> str:
    """The block of a dump that could not be judged."""
    line = {"kind": "error", "source": {"path": path, **stamp(path)}, "error": error}
    return json.dumps(line, separators=(",", ":")) + "\n"


def is_results(file: str) -> bool:
    """Whether a local file begins as results do: it is no dump."""
    try:
        if not os.path.isfile(file):  # a pipe would keep whoever opens it waiting
            return False
        with open(file, "rb") as opened:
            return opened.read(len(BEGINS)) == BEGINS
    except OSError:
        return False


def resume_results(target: str, paths: Collection[str]) -> list[Outcome]:
    """The outcomes of these dumps that a results file holds and that still stand; their others are cut out of it.

    Cut are: a torn end; dumps that have changed since; errors and failed rules, whose cause may be mended by now; all
    but the last block of a dump. Other dumps' blocks stay. UserError where the file is no results file: nothing is cut
    from it.
    """
    if not os.path.exists(target):
        return []
    blocks = {block.outcome.path: block for block in _blocks(Path(target))}
    kept = [block for path, block in blocks.items() if path not in paths or block.stands]
    kept.sort(key=lambda block: block.start)
    if [block.start for block in kept[1:]] == [block.stop for block in kept[:-1]] and (not kept or not kept[0].start):
        os.truncate(target, kept[-1].stop if kept else 0)
    else:
        _rewrite(target, kept)
    return [block.outcome for block in kept if block.outcome.path in paths]


@dataclass(frozen=True)
class _Block:
    """First byte, and last byte + 1, of a whole block; its outcome; whether its dump is still the same."""

    start: int
    stop: int
    outcome: Outcome
    stands: bool


def _blocks(file: Path) -> Iterator[_Block]:
    start = end = 0
    findings: list[tuple[str, str]] = []
    with file.open("rb") as lines:
        for line in lines:
            if not end and not BEGINS.startswith(line[: len(BEGINS)]):
                raise UserError(
                    f"{argument('resume')}: {file} holds no results of an earlier run; "
                    f"name another file with {argument('output')}"
                )
            end += len(line)
            if line.startswith(b'{"kind":"finding"') and line.endswith(b"\n"):
                findings.append(_finding(line, file))
            if not line.startswith(ENDS) or not line.endswith(b"\n"):
                continue
            source, verdict, failed = _last(line, file)
            stands = verdict != "error" and not failed and _is_as_it_was(source)
            yield _Block(start, end, Outcome(source["path"], verdict, tuple(findings)), stands)
            start, findings = end, []


def _finding(line: bytes, file: Path) -> tuple[str, str]:
    """(rule, severity) of a finding's line."""
    with _as_written(file):
        finding = json.loads(line)
        rule, severity = finding["rule"], finding["severity"]
        if not isinstance(rule, str) or severity not in SEVERITIES:
            raise ValueError(finding)
        return rule, severity


def _last(line: bytes, file: Path) -> tuple[Mapping[str, Any], str, bool]:
    """The source and the verdict of a block's last line, and whether a rule failed."""
    with _as_written(file):
        last = json.loads(line)
        source, verdict = last["source"], last.get("verdict", "error")
        if not isinstance(source["path"], str) or verdict not in VERDICTS:
            raise ValueError(last)
        failed = any(NotChecked(**rule).failed for rule in last.get("not_checked", ()))
        return source, verdict, failed


@contextmanager
def _as_written(file: Path) -> Iterator[None]:
    """UserError where a line is not of the shape in which results are written."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(
            f"{argument('resume')}: {file} holds lines that are no results of this version; name another file with "
            f"{argument('output')}"
        ) from None


def _is_as_it_was(source: Mapping[str, Any]) -> bool:
    """Whether the dump still has the stamp that its report bears; without one nothing tells."""
    stamped = {name: source[name] for name in STAMPS if name in source}
    return bool(stamped) and stamped == stamp(source["path"])


def _rewrite(target: str, kept: list[_Block]) -> None:
    """The file anew, of these blocks of itself only; whole or not at all."""

    def copy(new: BinaryIO) -> None:
        with open(target, "rb") as old:  # and closed before it is replaced: Windows replaces no open file
            for block in kept:
                old.seek(block.start)
                new.write(old.read(block.stop - block.start))

    write_whole(target, copy)
