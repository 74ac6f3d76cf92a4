"""Cases from the field: what people had in hand, and what a good answer says (an `index.json` beside the files).

A case names the rules that must be said (`want`: of each list one), those that may be (`allow`; `notes` where they are
no errors), the verdicts that are right, the steps of rows, and patterns that the answer must hold or must not.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import traceback
from pathlib import Path
from typing import Any

from tests.support.commandline import Done, rnninspect

Case = dict[str, Any]


def cases(folder: Path) -> list[Case]:
    """The cases of a folder."""
    index: list[Case] = json.loads((folder / "index.json").read_text("utf-8"))
    return index


def answer(case: Case) -> Done:
    """What the command, or the case's own program, says of a case; it runs in the folder of the case's files."""
    if case.get("script"):
        return _program(case["script"])
    dump = [case["dump"]] if case.get("dump") else []
    return rnninspect("compare", *dump, *case.get("args", []), "--format", "json")


def _program(path: str) -> Done:
    """A program that prints one report, run in this process and with its own seed; what it leaves behind."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except Exception:
            code = 1
            err.write(traceback.format_exc())
    return Done(code, out.getvalue().encode(), err.getvalue())


def wrong(case: Case, done: Done) -> str | None:
    """What is wrong with the answer, in one line; None where it is right."""
    if "Traceback (most recent call last)" in done.err:
        return f"a traceback: {done.err.strip().splitlines()[-1]}"
    text = done.out + "\n" + done.err
    unsaid = [pattern for pattern in case.get("says", ()) if not re.search(pattern, text, re.I | re.S)]
    if unsaid:
        return f"does not say {unsaid[0]!r}: {done.err[-200:]}"
    if not done.out.strip().startswith("{"):
        stray = not case.get("script") and len(done.err.strip().splitlines()) > 3
        return "more than a line" if stray else None if "error" in case["verdict"] else done.err[-300:]
    report = json.loads(done.out)
    spoken = "\n".join([done.err, *(f["message"] + "\n" + (f.get("fix") or "") for f in report["findings"])])
    oversaid = [pattern for pattern in case.get("not_says", ()) if re.search(pattern, spoken, re.I | re.S)]
    if oversaid:
        return f"says {oversaid[0]!r}"
    return _wrong_findings(case, report) or _wrong_verdict(case, report, done.code) or _wrong_steps(case, report)


def _wrong_findings(case: Case, report: dict[str, Any]) -> str | None:
    """A rule that ought to be named and is not, or one that is accused without reason."""
    named = [({f["rule"], *f["alternatives"][:2]}, f["severity"]) for f in report["findings"]]
    wanted = {rule for group in case.get("want", ()) for rule in group}
    for group in case.get("want", ()):
        if not any(set(group) & rules for rules, _ in named):
            return f"does not name {group}; names {named}"
    for rules, severity in named:
        noted = severity != "error" and rules & set(case.get("notes", ()))
        if not rules & (wanted | set(case.get("allow", ()))) and not noted:
            return f"accuses {rules}"
    return None


def _wrong_verdict(case: Case, report: dict[str, Any], code: int) -> str | None:
    """Another verdict than is right, or an exit code that does not go with it."""
    errors = any(f["severity"] == "error" for f in report["findings"])
    right = 1 if errors else 2 * (report["verdict"] == "unjudged")
    if report["verdict"] not in case["verdict"] or (not case.get("script") and code != right):
        return f"verdict {report['verdict']}, exit {code}"
    return None


def _wrong_steps(case: Case, report: dict[str, Any]) -> str | None:
    """Other steps that states equal than the case's."""
    for track in case.get("steps", ()):
        rows = [
            t["rows"] for t in report["tracks"] if (t["layer"], t["direction"]) == (track["layer"], track["direction"])
        ]
        steps = [row["steps"] for row in rows[0]] if rows else []
        if any(
            asked is not None and asked != row_steps for asked, row_steps in zip(track["steps"], steps, strict=True)
        ):
            return f"steps {steps}, not {track['steps']}"
    return None
