"""What an answer says of its turn besides its events: the same while the turn runs, and when it is told again later."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class Facts(Protocol):
    """What every answer says. Times are seconds since 1970. A `Turn` has all of it."""

    @property
    def id(self) -> str:
        """The turn's."""
        ...

    @property
    def model(self) -> str:
        """The name that the app used."""
        ...

    @property
    def started_at(self) -> float:
        """When it began."""
        ...

    @property
    def finished_at(self) -> float | None:
        """When it ended; None until then."""
        ...


class ResponseFacts(Facts, Protocol):
    """What a Response says besides."""

    @property
    def said(self) -> dict[str, Any]:
        """The fields that repeat the request, and what was decided about it: final once the turn was admitted."""
        ...

    @property
    def include(self) -> frozenset[str]:
        """What the request wants to be told besides."""
        ...


class ToldTurn(msgspec.Struct):
    """The facts of a turn that is told again. `said` and `include` are of Responses alone."""

    id: str
    model: str
    started_at: float
    finished_at: float | None = None
    said: dict[str, Any] = {}
    include: frozenset[str] = frozenset()
