"""Makes the pages of tables under `rnninspect/pages/` again: `python -m tests.tools.make_pages`."""

from __future__ import annotations

from rnninspect.cli.catalogue import PAGES, page
from tests.support.places import PACKAGE

if __name__ == "__main__":
    for kind in PAGES:
        (PACKAGE / "pages" / f"{kind}.md").write_text(page(kind), "utf-8")
