"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACES = (ROOT, ROOT / "src" / "native", ROOT / "src" / "pylog")
FILE = re.compile(r"`([a-z0-9_]+(?:/[a-z0-9_]+)*(?:/|\.(?:c|h|py|md)))`")
LINK = re.compile(r"\]\(([^)#:]+)\)")


def test_every_file_that_architecture_names_exists() -> None:
    names = FILE.findall((ROOT / "ARCHITECTURE.md").read_text())
    assert len(names) > 30
    bare = {path.name for path in (ROOT / "src").rglob("*.*")}
    missing = [
        name for name in names
        if not any((place / name).exists() for place in PLACES) and name not in bare
    ]  # fmt: skip
    assert not missing


def test_every_link_of_the_documents_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    missing = [
        f"{page.name}: {link}"
        for page in pages
        for link in LINK.findall(page.read_text())
        if not (page.parent / link).exists()
    ]
    assert not missing
