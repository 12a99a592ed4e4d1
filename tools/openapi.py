"""The API as documents: contract/openapi.json, and docs/wire.md for people.

python -m tools.openapi            says whether they are what the code makes of them
python -m tools.openapi --write    writes them
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from frontdesk.doors.openapi import document
from tools.wire_page import wire_page

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = Path("contract/openapi.json")
PAGE = Path("docs/wire.md")


def main(arguments: list[str]) -> int:
    """Check the documents, or write them. Returns the exit code."""
    made = {DOCUMENT: document_text(), PAGE: wire_page(document())}
    if arguments == ["--write"]:
        for path, text in made.items():
            (ROOT / path).parent.mkdir(exist_ok=True)
            (ROOT / path).write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in made.items() if not is_current(ROOT / path, text)]
    for path in stale:
        print(f"{path}: is not what the code says; `python -m tools.openapi --write` writes it")
    return 1 if stale else 0


def document_text() -> str:
    """The OpenAPI document as it is committed."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def is_current(path: Path, text: str) -> bool:
    """Whether a file is there and says this."""
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
