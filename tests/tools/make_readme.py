"""Makes the output of every `$ command` in the README and the guide again: `python -m tests.tools.make_readme`.

What a command prints is put below it as it is; the snippets between the commands run first, as a reader would run them.
"""

from __future__ import annotations

import doctest
import os
import re
import tempfile
from pathlib import Path

from tests.support.places import ROOT
from tests.test_readme import sessions, shell

PAGES = [ROOT / "README.md", ROOT / "rnninspect" / "pages" / "guide.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def made_again(text: str, folder: Path) -> str:
    """A page's text with the output that its commands have now; the commands run in `folder`, in order."""
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    names: dict[str, object] = {}

    def block(fenced: re.Match[str]) -> str:
        nonlocal names
        language, body = fenced.groups()
        if language == "python":
            snippet = doctest.DocTestParser().get_doctest(body, names, "README", "README.md", 0)
            runner.run(snippet, clear_globs=False)
            names = snippet.globs
        if language != "console":
            return fenced[0]
        parts = []
        for command, output in sessions(body):
            shown = shell(command, folder).stdout.rstrip() if output.strip() else ""
            parts.append(f"$ {command}\n{shown}".rstrip() + "\n")
        return f"```console\n{''.join(parts)}```"

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    for page in PAGES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "sample_data").symlink_to(ROOT / "sample_data")
            os.chdir(folder)
            page.write_text(made_again(page.read_text("utf-8"), folder), "utf-8")
            os.chdir(ROOT)
