"""Cases from the field: what people had in hand, and what a good answer says (an `index.json` beside the files).

A case names the rules that must be said (`want`: of each list one), those that may be (`allow`; `notes` where they are
no errors), the verdicts that are right, the steps of rows, and patterns that the answer must hold or must not.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.support.commandline import Done, rnninspect

Case = dict[str, Any]


def cases(folder: Path) -> list[Case]:
    """The cases of a folder."""
    found: list[Case] = json.loads((folder / "index.json").read_text("utf-8"))
    return found


def answer(case: Case) -> Done:
    """What the command says of a case; it runs in the folder of the case's files."""
    dump = [case["dump"]] if case.get("dump") else []
    return rnninspect("compare", *dump, *case.get("args", []), "--format", "json")


def wrong(case: Case, done: Done) -> str | None:
    """What is wrong with the answer, in one line; None where it is right."""
    text = done.out + "\n" + done.err
    unsaid = [said for said in case.get("says", ()) if not re.search(said, text, re.I | re.S)]
    if unsaid:
        return f"does not say {unsaid[0]!r}: {done.err[-200:]}"
    if done.code == 2 and not done.out.strip().startswith("{"):
        stray = len(done.err.strip().splitlines()) > 3
        return "more than a line" if stray else None if "error" in case["verdict"] else done.err[-300:]
    report = json.loads(done.out)
    named = [({f["rule"], *f["alternatives"][:2]}, f["severity"]) for f in report["findings"]]
    wanted = {rule for group in case["want"] for rule in group}
    for group in case["want"]:
        if not any(set(group) & rules for rules, _ in named):
            return f"does not name {group}; names {named}"
    for rules, severity in named:
        noted = severity != "error" and rules & set(case.get("notes", ()))
        if not rules & (wanted | set(case.get("allow", ()))) and not noted:
            return f"accuses {rules}"
    errors = any(severity == "error" for _, severity in named)
    if report["verdict"] not in case["verdict"] or done.code != (
        1 if errors else 2 * (report["verdict"] == "unjudged")
    ):
        return f"verdict {report['verdict']}, exit {done.code}"
    for track in case.get("steps", ()):
        rows = [
            t["rows"] for t in report["tracks"] if (t["layer"], t["direction"]) == (track["layer"], track["direction"])
        ]
        steps = [row["steps"] for row in rows[0]] if rows else []
        if any(asked is not None and asked != own for asked, own in zip(track["steps"], steps, strict=True)):
            return f"steps {steps}, not {track['steps']}"
    return None
