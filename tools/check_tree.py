"""What no committed file may hold: addresses of package indexes, paths of one machine, keys, open ends, bulk.

python -m tools.check_tree
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 700_000


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that must not occur, and what to do instead."""

    pattern: re.Pattern[str]
    says: str


RULES = (
    Rule(
        re.compile(r"files\.pythonhosted\.org|pypi\.org/simple|registry\.(?:npmjs|yarnpkg)\.|deb\.debian\.org"),
        "names a package index; each machine has its own",
    ),
    Rule(
        re.compile(r"^\s*(?:--(?:extra-)?index-url|--find-links|-i\s+http|-f\s+(?:http|/|file:)|registry\s*=)"),
        "sets a package index; each machine has its own",
    ),
    Rule(re.compile(r'"resolved":\s*"(?:https?|git|file):'), "locks an address; see omit-lockfile-registry-resolved"),
    Rule(
        re.compile(r"(?<![\w.~/<>}-])/(?:work|root|home|Users)/[\w.]"),
        "is a path of one machine; write it relative to the clone",
    ),
    Rule(
        re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"), "is a private key; make one in the test that needs it"
    ),
    Rule(
        re.compile(r"\b(?:AKIA[0-9A-Z]{16}|AIza[\w-]{35}|gh[pousr]_\w{36}|sk-(?:ant|proj)-[\w-]{24,})"),
        "has the shape of a live key; put an invented one together from two pieces",
    ),
    Rule(
        re.compile(r"\b(?:T[O]DO|F[I]XME|X{3}|H[A]CK)\b(?!.*https?://)"),  # in brackets, so as not to find itself
        "is an open end; finish it, or link where it is discussed",
    ),
    Rule(re.compile(r"^(?:<{7}|>{7}) "), "is a merge that was not finished"),
)


def main() -> int:
    """Check every file that git tracks or would add. Returns the exit code."""
    findings = [finding for path in tree_files(ROOT) for finding in check_file(ROOT, path)]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def tree_files(root: Path) -> list[Path]:
    """The files that git tracks or would add, relative to the root, sorted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = {Path(name) for name in listed.stdout.split("\0") if name}
    return sorted(path for path in paths if (root / path).is_file())


def check_file(root: Path, path: Path) -> Iterator[str]:
    """Yield what is wrong with a file, one line each."""
    content = (root / path).read_bytes()
    if len(content) > MOST_BYTES:
        yield f"{path}: has {len(content):,} bytes; the most is {MOST_BYTES:,}"
    if b"\0" not in content:
        yield from check_text(path, content.decode(errors="replace"))


def check_text(path: Path, text: str) -> Iterator[str]:
    """Yield what is wrong with a text, one line each."""
    for number, line in enumerate(text.splitlines(), 1):
        for rule in RULES:
            found = rule.pattern.search(line)
            if found is not None:
                yield f"{path}:{number}: {found[0].strip()[:60]!r} {rule.says}"


if __name__ == "__main__":
    sys.exit(main())
