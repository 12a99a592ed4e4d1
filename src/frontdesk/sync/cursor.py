"""Where a device is in the changes of its person.

    EPOCH.SEQ           it has all up to the change SEQ, and goes on upward
    EPOCH.START.AT      in its first sync: it has all from AT up to START, and goes on downward, then upward from START
    .0                  there was nothing yet

To devices it is a word without a meaning.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MOST_CURSOR_CHARS = 100

_CURSOR = re.compile(r"(?P<epoch>[0-9a-z]{0,32})\.(?P<seq>0|[1-9][0-9]{0,17})(?:\.(?P<at>0|[1-9][0-9]{0,17}))?")


class Cursor(NamedTuple):
    """Where a device is; `at` is how far down it is in its first sync, None once that is behind it."""

    epoch: str
    seq: int
    at: int | None = None

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}" if self.at is None else f"{self.epoch}.{self.seq}.{self.at}"


NOTHING = Cursor("", 0)
"""Where a device is whose person had nothing yet."""


def read_cursor(text: str) -> Cursor | None:
    """The cursor that a text is; None where it is none of ours."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        return None
    at = None if match["at"] is None else int(match["at"])
    return Cursor(match["epoch"], int(match["seq"]), at)
