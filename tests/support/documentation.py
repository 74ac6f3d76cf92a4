"""The frameworks' own documentation examples, run and saved as their readers would: `tests/data/documentation/`.

`python -m tests.support.documentation` prints what is accused and takes off the list of known failures what no longer
is; `--add REASON` enters what is accused and not listed, which only the making of the set should need.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from tests.support.commandline import Done, rnninspect
from tests.support.places import DATA

FOLDER = DATA / "documentation"


@dataclass(frozen=True)
class Call:
    """One `compare` over an example: as its reader would call it, with the framework stated or not."""

    example: dict[str, Any]
    text: str
    with_framework: bool

    @property
    def name(self) -> str:
        """The arguments, which hold the example's name."""
        return self.text + (f" --convention {self.example['convention']}" if self.with_framework else "")

    @property
    def excuse(self) -> str | None:
        """Why this call is known to accuse, or None."""
        return self.example["known_failures"].get(self.name)

    @cached_property
    def done(self) -> Done:
        places = {file: str(FOLDER / file) for file in self.example["files"]}
        arguments = [places.get(word, word) for word in shlex.split(self.name)]
        return rnninspect("compare", *arguments, "--format", "json")


def examples() -> list[dict[str, Any]]:
    """Every entry of the index."""
    entries: list[dict[str, Any]] = json.loads((FOLDER / "index.json").read_text("utf-8"))
    return entries


@cache
def calls() -> tuple[Call, ...]:
    """Every call of every example, with and without the framework."""
    return tuple(
        Call(e, text, with_framework) for e in examples() for text in e["calls"] for with_framework in (False, True)
    )


def verdict(done: Done) -> str:
    """The report's verdict, or `refused` where there is no report but one clear line."""
    assert done.code in (0, 1, 2), done.err
    assert "Traceback" not in done.err, done.err
    if done.raw:
        return str(done.json["verdict"])
    assert done.code == 2, done.err
    assert done.err.startswith("rnninspect: "), done.err
    return "refused"


def accusations(done: Done) -> list[str]:
    """The findings above a note."""
    if verdict(done) == "refused":
        return []
    return [f"{f['rule']} ({f['severity']}): {f['message']}" for f in done.json["findings"] if f["severity"] != "note"]


def main(arguments: list[str]) -> None:
    """Prints what is accused, and brings the list of known failures up to date."""
    reason = arguments[1] if arguments[:1] == ["--add"] else None
    entries = examples()
    listed: dict[str, dict[str, str]] = {example["name"]: {} for example in entries}
    verdicts: Counter[str] = Counter()
    for call in calls():
        verdicts[verdict(call.done)] += 1
        accused = accusations(call.done)
        if accused:
            print(f"{'known' if call.excuse else 'NEW'}: {call.name}: {'; '.join(accused)[:160]}")
            rules = ", ".join(dict.fromkeys(text.partition(" ")[0] for text in accused))
            text = call.excuse or (f"{rules}: {reason}" if reason else None)
            listed[call.example["name"]] |= {call.name: text} if text else {}
        elif call.excuse:
            print(f"mended: {call.name}")
    entries = [{**example, "known_failures": listed[example["name"]]} for example in entries]
    (FOLDER / "index.json").write_text(
        "[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]\n", "utf-8"
    )
    print(dict(verdicts), f"{sum(map(len, listed.values()))} known failures")


if __name__ == "__main__":
    main(sys.argv[1:])
