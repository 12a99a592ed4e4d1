"""Code that nothing uses, found by vulture. Not asked: what tests use, for that alone is no use.

    python -m tools.check_unused

A finding that is used after all, by somebody whom vulture does not see, goes into USED_BY_OTHERS, or
gets a `# noqa: V1xx` with the reason.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vulture import Vulture  # pyright: ignore[reportMissingTypeStubs] - there are none
from vulture.core import Item  # pyright: ignore[reportMissingTypeStubs]

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "bench", "tools")
NOT_READ = ("*/migrations/versions/*",)  # Alembic calls them

USED_BY_OTHERS = {
    "import-linter": ("OnlyImports", "OnlyImportedBy", "render_broken_contract"),
    "asyncio's protocols": ("connection_lost", "data_received", "eof_received", "pipe_data_received", "process_exited"),
    "httptools": ("on_url", "on_header", "on_body"),
    "uvicorn, whose methods these replace": ("capture_signals", "on_response_complete"),
}


def main() -> int:
    """Print what nothing uses. Returns the exit code."""
    findings = list(unused([ROOT / folder for folder in FOLDERS]))
    for item in findings:
        print(f"{item.filename.relative_to(ROOT)}:{item.first_lineno}: {item.message}")
    return 1 if findings else 0


def unused(folders: Iterable[Path]) -> Iterator[Item]:
    """Yield what nothing in these folders uses."""
    vulture: Any = Vulture(ignore_names=[name for names in USED_BY_OTHERS.values() for name in names])
    vulture.scavenge([str(folder) for folder in folders], exclude=list(NOT_READ))
    for item in vulture.get_unused_code(min_confidence=60):
        if not _is_read_elsewhere(item):
            yield item


def _is_read_elsewhere(item: Item) -> bool:
    """Whether it is of a kind that vulture cannot judge.

    Parameters are ruff's matter (ARG). Fields of a class are read by name: a row goes to SQL, a Struct
    to JSON; but a setting that nothing reads promises what nobody keeps. An attribute that is set on
    anything but `self` is a setting of that library.
    """
    if item.typ not in ("variable", "attribute"):
        return False
    if item.filename.parent.name == "config":
        return False
    tree = ast.parse(item.filename.read_text(encoding="utf-8"))
    return item.name in _exempt_names(tree, item.first_lineno)


def _exempt_names(tree: ast.Module, line: int) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, lineno=at) if at == line:
                yield name
            case ast.ClassDef(body=body):
                yield from (
                    field.target.id
                    for field in body
                    if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.lineno == line
                )
            case ast.Attribute(value=value, attr=name, ctx=ast.Store(), lineno=at) if at == line:
                if not (isinstance(value, ast.Name) and value.id == "self"):
                    yield name
            case _:
                pass


if __name__ == "__main__":
    sys.exit(main())
