"""Who takes all that a device is told, page by page, and keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Change = dict[str, Any]
Key = tuple[str, ...]


def key_of(change: Change) -> Key:
    """What a change is of: the same for the same thing."""
    match change["type"]:
        case "conversation":
            return ("conversation", change["id"])
        case "item" | "turn" as kind:
            return (kind, change["conversation"], change["id"])
        case "feedback":
            return ("feedback", change["response"])
        case kind:
            return (kind, change["id"])


class Taker:
    """What one knows, by what it is of."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.things: dict[Key, Change] = {}
        self._stale: set[Key] = set()

    def take(self, answer: Mapping[str, Any]) -> None:
        """Take a page. After a reset, what is not told again until there is no more is no longer there."""
        if answer.get("reset"):
            self._stale = set(self.things)
        for change in answer["changes"]:
            key = key_of(change)
            self._stale.discard(key)
            if not change.get("deleted"):
                self.things[key] = change
                continue
            self.things.pop(key, None)
            if change["type"] == "conversation":
                for each in [each for each in self.things if each[1] == change["id"]]:
                    del self.things[each]
        self.cursor = answer["cursor"]
        if not answer["has_more"]:
            for key in self._stale:
                self.things.pop(key, None)
            self._stale = set()

    def of(self, kind: str) -> dict[Key, Change]:
        """The things of a kind."""
        return {key: thing for key, thing in self.things.items() if key[0] == kind}
