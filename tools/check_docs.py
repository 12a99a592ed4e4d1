"""What the documents promise is there, and what is there is documented.

    python -m tools.check_docs

- Every setting has its row in docs/configuration.md, as `providers.NAME.kind` in a table whose first head
  is "setting", and every such row names one that exists. Every environment variable is named there.
- Every relative link leads to a file, and to a heading where it names one.
- Every `make` target and `frontdesk` command in the documents exists.
- Every dependency of pyproject.toml has its row in a table of ARCHITECTURE.md.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from frontdesk.core.config import Config
from tools.check_tree import ROOT, tree_files

SETTINGS = Path("docs/configuration.md")
PARTS = Path("ARCHITECTURE.md")


def main() -> int:
    """Check all documents. Returns the exit code."""
    documents = {path: read(ROOT / path) for path in tree_files(ROOT) if path.suffix == ".md"}
    variables = environment_names(read(ROOT / "src/frontdesk/core/config/__init__.py"))
    findings = [
        *check_settings(setting_names(Config), documents.get(SETTINGS, "")),
        *check_variables(variables, documents.get(SETTINGS, "")),
        *check_links(ROOT, documents),
        *check_targets(make_targets(read(ROOT / "Makefile")), documents),
        *check_commands(documents),
        *check_parts(dependency_names(tomllib.loads(read(ROOT / "pyproject.toml"))), documents.get(PARTS, "")),
    ]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def read(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


# --- settings -----------------------------------------------------------------------------------


def setting_names(shape: type[msgspec.Struct]) -> list[str]:
    """The settings of a configuration in its order: `database`, `cors.origins`, `providers.NAME.kind`."""
    return list(_names_within(msgspec.inspect.type_info(shape), ""))


def _names_within(kind: msgspec.inspect.Type, place: str) -> Iterator[str]:
    inspect = msgspec.inspect
    match kind:
        case inspect.StructType():
            for field in kind.fields:
                yield from _names_within(field.type, f"{place}.{field.encode_name}".removeprefix("."))
        case inspect.DictType() if _has_struct(kind.value_type):
            yield from _names_within(kind.value_type, f"{place}.NAME")
        case inspect.ListType() if _has_struct(kind.item_type):
            yield from _names_within(kind.item_type, f"{place}[]")
        case inspect.UnionType() if _has_struct(kind):
            for option in kind.types:
                if _has_struct(option):
                    yield from _names_within(option, place)
        case _:
            yield place


def _has_struct(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(_has_struct(option) for option in kind.types)
    return isinstance(kind, msgspec.inspect.StructType)


def check_variables(names: Iterable[str], document: str) -> Iterator[str]:
    """Yield environment variables that are not named."""
    yield from (f"{SETTINGS}: the variable `{name}` is not named" for name in names if f"`{name}`" not in document)


def environment_names(source: str) -> list[str]:
    """The environment variables that a module names in its strings."""
    return sorted(set(re.findall(r'"((?:FRONTDESK|OPENAI)_[A-Z_]+)"', source)))


def check_settings(names: Iterable[str], document: str) -> Iterator[str]:
    """Yield settings without a row and rows without a setting."""
    rows = set(_setting_rows(document))
    known = set(names)
    yield from (f"{SETTINGS}: the setting `{name}` has no row" for name in sorted(known - rows))
    yield from (f"{SETTINGS}: `{name}` is no setting" for name in sorted(rows - known))


def _setting_rows(document: str) -> Iterator[str]:
    is_settings = False
    for line in document.splitlines():
        first_cell = _first_cell(line)
        if first_cell.lower() == "setting":
            is_settings = True
        elif not first_cell:
            is_settings = False
        elif is_settings:
            yield from re.findall(r"`(.+?)`", first_cell)


def _first_cell(line: str) -> str:
    return line[1:].split("|", 1)[0].strip() if line.startswith("|") else ""


# --- links --------------------------------------------------------------------------------------

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(
    r"!?\[(?:[^\]\\]|\\.)*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|<(?:img|a|source)\s[^>]*?(?:src|srcset|href)=\"([^\"]+)\""
)


def check_links(root: Path, documents: dict[Path, str]) -> Iterator[str]:
    """Yield relative links that lead nowhere."""
    for path, text in documents.items():
        for markdown, html in _LINK.findall(_FENCE.sub("", text)):
            link = markdown or html
            if re.match(r"[a-z]+:", link):
                continue
            name, _, heading = link.partition("#")
            target = root / path.parent / name if name else root / path
            if not target.exists():
                yield f"{path}: the link {link!r} leads to no file"
            elif heading and target.suffix == ".md" and heading not in headings(read(target)):
                yield f"{path}: the link {link!r} leads to no heading"


def headings(text: str) -> set[str]:
    """The anchors that a Markdown text's headings get."""
    titles = re.findall(r"^#{1,6} +(.+?) *#*$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


# --- targets and commands -----------------------------------------------------------------------


def code_of(text: str) -> Iterator[str]:
    """Yield the pieces of a Markdown text that are code: fences, indented lines, spans."""
    yield from (match[0] for match in _FENCE.finditer(text))
    rest = _FENCE.sub("", text)
    yield from re.findall(r"^(?: {4}|\t).+$", rest, re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", rest)


def make_targets(makefile: str) -> set[str]:
    """The targets of a Makefile."""
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))


def check_targets(targets: set[str], documents: dict[Path, str]) -> Iterator[str]:
    """Yield calls of make that would fail."""
    for path, text in documents.items():
        for target in sorted(_called(r"(?<![\w/.-])make ([a-z][a-z-]*)\b", text) - targets):
            yield f"{path}: there is no `make {target}`"


def check_commands(documents: dict[Path, str]) -> Iterator[str]:
    """Yield commands that frontdesk does not know. Each is asked for its help once."""
    places = [
        (command, path)
        for path, text in documents.items()
        for command in _called(r"(?<![\w/.-])(?:\.venv/bin/)?frontdesk ([a-z]+(?: [a-z]+)?)(?![\w./-])", text)
    ]
    for command in sorted({command for command, _ in places}):
        asked = subprocess.run(
            [sys.executable, "-c", "from frontdesk.cli import main; main()", *command.split(), "--help"],
            capture_output=True,
            check=False,
        )
        if asked.returncode != 0:
            yield from (f"{path}: there is no `frontdesk {command}`" for known, path in places if known == command)


def _called(pattern: str, text: str) -> set[str]:
    return {call for code in code_of(text) for call in re.findall(pattern, code)}


# --- dependencies -------------------------------------------------------------------------------


def dependency_names(project: dict[str, Any]) -> list[str]:
    """The names of all dependencies of a pyproject.toml, those of its extras and groups included."""
    lists = [
        project["project"]["dependencies"],
        *project["project"].get("optional-dependencies", {}).values(),
        *project.get("dependency-groups", {}).values(),
        project["build-system"]["requires"],
    ]
    named = {
        re.split(r"[^\w.-]", line, maxsplit=1)[0].lower() for each in lists for line in each if isinstance(line, str)
    }
    return sorted(named)


def check_parts(names: Iterable[str], document: str) -> Iterator[str]:
    """Yield dependencies that no table names in its first column."""
    cells = [_first_cell(line) for line in document.splitlines()]
    named = {word for cell in cells for word in re.findall(r"[\w.-]+", cell.lower())}
    yield from (f"{PARTS}: the dependency {name} has no row" for name in names if name not in named)


if __name__ == "__main__":
    sys.exit(main())
