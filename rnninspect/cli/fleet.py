"""Many dumps at once: what is named becomes a list of files, each is judged, and results stream out in that order."""

from __future__ import annotations

import functools
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import click

from rnninspect.api.parallel.cluster import Cluster
from rnninspect.api.parallel.results_file import Outcome, Tally, error_line, is_results, resume_results, stamp
from rnninspect.api.parallel.workers import Engine, Processes, WorkerCrashed
from rnninspect.cli import progress
from rnninspect.cli.command_words import command_line
from rnninspect.cli.output import note, printable
from rnninspect.core.wording import argument, worded_as
from rnninspect.errors import UnreadableError, UserError
from rnninspect.formats import storage
from rnninspect.formats.limits import limited, parsed
from rnninspect.formats.witness import unchanged
from rnninspect.report.report import JOINED, Report

Judge = Callable[[str, dict[str, Any]], Report]


def run(judge: Judge, dumps: Sequence[str], options: dict[str, Any]) -> int:
    """Judge every dump and show what was found.

    The exit code: 2 where one could not be read, else 1 for findings, else 2 where one is unjudged. --exit-zero covers
    all but the unreadable.
    """
    _check(options)
    paths = expanded(dumps, options["recursive"], leave_out=options["output"])
    tally = Tally()
    done = resume_results(options["output"], set(paths)) if options["resume"] else []
    for outcome in done:
        tally.add(outcome)
    judged = {outcome.path for outcome in done}
    left = [path for path in paths if path not in judged]
    failed = False
    reached = any(outcome.reaches(options["fail_on"]) for outcome in done)
    with (
        _counted_at_interruption(tally, len(paths), options),
        engine_of(options) as engine,
        _target(options) as write,
        progress.over_dumps(len(paths), len(done), options["quiet"]) as advance,
    ):
        task = functools.partial(judge_one, judge, {**options, "quiet": True})
        for answer in engine.outcomes(task, left):
            outcome = _lost(answer) if isinstance(answer, WorkerCrashed) else answer
            write(_render(outcome, options))
            tally.add(outcome)
            reached = reached or outcome.reaches(options["fail_on"])
            failed = failed or outcome.failed
            advance(tally)
    _show_tally(tally, options)
    if tally.verdicts["error"] or failed:
        return 2
    if options["exit_zero"]:
        return 0
    return 1 if reached else 2 if tally.verdicts["unjudged"] else 0


@contextmanager
def _counted_at_interruption(tally: Tally, total: int, options: dict[str, Any]) -> Iterator[None]:
    """Say, where Ctrl-C ends the block, how many dumps were judged, and how to have the others."""
    try:
        yield
    except KeyboardInterrupt:
        kept = options["output"] not in (None, "-") and options["format_"] == "ndjson"
        rest = f"; the same command with {argument('resume')} judges the others" if kept else ""
        note(f"interrupted: {tally.dumps} of {total} dumps were judged{rest}", options["quiet"])
        raise


def engine_of(options: dict[str, Any]) -> Engine:
    """What does the work: the cluster that is named, or as many processes as --jobs says."""
    if options["scheduler"]:
        return Cluster(options["scheduler"], options["jobs"] or os.cpu_count() or 1)
    return Processes(options["jobs"] or 1)


def judge_one(judge: Judge, options: dict[str, Any], path: str) -> Outcome:
    """One dump's outcome; what goes wrong with it is its outcome, too, so that the others go on.

    It may run in another process, which words what it shows as this command does.
    """
    with worded_as(command_line), limited(**parsed(options["allow"])):
        return _outcome(judge, options, path)


def _outcome(judge: Judge, options: dict[str, Any], path: str) -> Outcome:
    try:
        with unchanged():
            report = judge(path, options)
        report.source.update(path=path, **stamp(path))
        findings = tuple((f.rule, f.severity) for f in report.findings)
        text = "" if options["format_"] == "table" else report.render(options["format_"])
        return Outcome(path, report.verdict, findings, text, failed=report.failed)
    except UserError as error:
        text = " ".join([str(error), *getattr(error, "__notes__", ())])
        return _failed(path, text if path in text else f"{path}: {text}")
    except (OSError, MemoryError) as error:
        return _failed(path, f"{path}: {error or 'not enough memory'}")
    except Exception as error:
        return _failed(path, f"{path}: unexpected {type(error).__name__}: {error} (please report this)")


def expanded(dumps: Sequence[str], recursive: bool, leave_out: str | None = None) -> list[str]:
    """The files that are named, each once, in the order named; within a folder or a pattern by name.

    A file that is not there stays in the list: it is one dump that cannot be read. UserError where nothing is named.
    """
    paths = [path for dump in dumps for path in _files(dump, recursive)]
    results = os.path.abspath(leave_out) if leave_out else None
    kept = [path for path in dict.fromkeys(paths) if os.path.abspath(path) != results]
    if leave_out and len(kept) < len(set(paths)) and os.path.exists(leave_out) and not is_results(leave_out):
        raise UserError(
            f"{argument('output', leave_out)}: it is one of the dumps and would be overwritten; name another"
        )
    if not kept:
        raise UserError(f"{', '.join(dumps) or 'nothing'}: no dumps found; name files, folders, patterns or @list.txt")
    return kept


def _files(dump: str, recursive: bool) -> list[str]:
    if os.path.isfile(dump):
        return [dump]
    if dump.startswith("@"):
        return _read_list(dump[1:])
    if os.path.isdir(dump):
        return _below(dump, recursive)
    if storage.is_remote(dump):
        return _remote(dump, recursive)
    return sorted(path for path in glob.glob(dump, recursive=True) if os.path.isfile(path)) or [dump]


def _read_list(name: str) -> list[str]:
    """One file a line; empty lines and those that begin with # say nothing."""
    try:
        lines = [line.strip() for line in storage.read_bytes(name).decode().splitlines()]
    except FileNotFoundError:
        raise UnreadableError(f"@{name}: there is no file {name} with a list of dumps, one path per line") from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UnreadableError(f"@{name}: cannot be read as a list of files ({why})") from None
    return [line for line in lines if line and not line.startswith("#")]


def _remote(url: str, recursive: bool) -> list[str]:
    """The files behind a URL; where its service cannot be asked, that is the dump whose record says why."""
    try:
        return storage.files_at(url, _suffixes(), recursive)
    except UserError:
        return [url]


def _below(folder: str, recursive: bool) -> list[str]:
    """The files in a folder, or below it, whose suffix is that of a known format; not the results of earlier runs."""
    suffixes = _suffixes()
    below = os.walk(folder) if recursive else [next(os.walk(folder))]
    paths = sorted(os.path.join(at, name) for at, _, names in below for name in names if name.endswith(suffixes))
    return [path for path in paths if not (path.endswith((".ndjson", ".jsonl")) and is_results(path))]


def _suffixes() -> tuple[str, ...]:
    from rnninspect.formats import formats

    return tuple(suffix for f in formats() if not f.last for suffix in f.suffixes)


def _check(options: dict[str, Any]) -> None:
    if options["format_"] not in JOINED:
        raise UserError(
            f"--format {options['format_']} holds one report, but there are several dumps: use --format ndjson"
        )
    if options["resume"] and (options["output"] in (None, "-") or options["format_"] != "ndjson"):
        raise UserError("--resume continues a results file: give -o FILE and --format ndjson with it")
    if options["resume"] and storage.is_remote(options["output"]):
        raise UserError(f"--resume continues a local results file, not {options['output']}")


def _failed(path: str, error: str) -> Outcome:
    return Outcome(path, "error", text=error_line(path, error), error=error)


def _lost(crash: WorkerCrashed) -> Outcome:
    return _failed(crash.item, f"{crash.item}: {crash.reason}")


def _render(outcome: Outcome, options: dict[str, Any]) -> str:
    """What goes into the result: the dump's lines, or, in a table, one line about it."""
    if options["format_"] == "ndjson":
        return outcome.text
    if outcome.error:
        line = f"{'error':<10} {printable(outcome.error)}\n"
        return line if options["format_"] == "table" else ""
    if options["format_"] != "table":
        return outcome.text
    rules = ", ".join(rule for rule, _ in outcome.findings)
    return f"{outcome.verdict:<10} {printable(outcome.path)}{': ' if rules else ''}{rules}\n"


@contextmanager
def _target(options: dict[str, Any]) -> Iterator[Callable[[str], None]]:
    """Where results go: stdout, or the file of -o, which grows by whole blocks; behind a URL it appears at the end."""
    name = options["output"]
    if name in (None, "-"):
        yield lambda text: click.echo(text, nl=False)
        return
    if storage.is_remote(name):
        with storage.writing(name) as remote:
            yield lambda text: _append(remote, text.encode())
        return
    with _Results(name, options["resume"]) as results:
        yield results.add


class _Results:
    """A results file. It is begun with the first result: until then what is there stays."""

    def __init__(self, name: str, resume: bool) -> None:
        self.name, self.mode = name, "ab" if resume else "wb"
        self.file: BinaryIO | None = None
        place = name if os.path.exists(name) else os.path.dirname(name) or "."
        if os.path.isdir(name) or not os.access(place, os.W_OK):  # said before the work, and not after
            here = "no permission" if os.path.exists(place) else "no such folder"
            why = "it is a folder" if os.path.isdir(name) else here
            raise UnreadableError(f"cannot write {name}: {why}")

    def __enter__(self) -> _Results:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()

    def add(self, text: str) -> None:
        """One dump's lines; UnreadableError where the file cannot be written."""
        try:
            if self.file is None:
                self.file = open(self.name, self.mode, buffering=0)  # type: ignore[assignment]  # noqa: SIM115
            _append(self.file, text.encode())  # type: ignore[arg-type]
        except OSError as error:
            raise UnreadableError(f"cannot write {self.name}: {error.strerror or error}") from None


def _append(file: BinaryIO, block: bytes) -> None:
    """A block at once, as far as the system takes it at once."""
    while block:
        block = block[file.write(block) :]


def _show_tally(tally: Tally, options: dict[str, Any]) -> None:
    """The summary by rule: part of a table, and for other formats a word on stderr."""
    counts = ", ".join(f"{n} {v}{'s' if v == 'error' and n > 1 else ''}" for v, n in sorted(tally.verdicts.items()))
    lines = [f"{tally.dumps} dump{'s' if tally.dumps != 1 else ''}: {counts}"]
    lines += [f"{severity:<8} {rule:<32} in {n}" for rule, severity, n in tally.by_rule()]
    if options["format_"] == "table" and options["output"] in (None, "-"):
        click.echo("\n" + "\n".join(lines))
        return
    for line in lines:
        note(line, options["quiet"])
