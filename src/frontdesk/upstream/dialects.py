"""What a dialect is to the server: it reads requests and gives answers their shape. One is one file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from frontdesk.turn.events import Event, Usage
from frontdesk.turn.items import Request


class Answer(Protocol):
    """One request that was read, and the shape of its answer."""

    @property
    def request(self) -> Request:
        """What is asked, as scripts understand it."""
        ...

    @property
    def model(self) -> str:
        """The model's name, as it was sent."""
        ...

    @property
    def is_streaming(self) -> bool:
        """Whether the answer is wanted as events."""
        ...

    def render(self, events: list[Event]) -> bytes:
        """Return the server-sent events of these, each ended by a blank line; for streams."""
        ...

    def render_body(self, events: list[Event]) -> bytes:
        """Return the whole answer; for all else."""
        ...

    def render_failure(self, kind: Literal["error", "failed"], message: str) -> bytes:
        """Return the error as this dialect tells it inside a 200: as an event or a body of its own, or
        as the state of the answer where it can say that it failed.
        """
        ...

    def with_usage(self, payload: dict[str, Any], usage: Usage) -> dict[str, Any]:
        """Return an event's payload with the usage in it, where such an event has a place for it."""
        ...

    def without_finish(self, payload: dict[str, Any]) -> dict[str, Any] | None:
        """Return an event's payload without the word that the answer is whole; None where it says nothing else."""
        ...


class Dialect(Protocol):
    """A provider's way of speaking."""

    def read(self, method: str, path: str, body: bytes) -> Answer | bytes | None:
        """Return what is asked: an answer to be played, a body that is known already, or None where
        the path is not this dialect's. Raises a FrontdeskError for the request's own faults.
        """
        ...

    def error(self, status: int, message: str, code: str | None, param: str | None) -> bytes:
        """Return the body of an error."""
        ...

    def headers(self, status: int) -> Mapping[str, str]:
        """Return the headers that every answer of this provider has."""
        ...

    def key_of(self, headers: Mapping[str, str]) -> str | None:
        """Return the key that a request brings."""
        ...

    def unauthenticated(self, key: str | None) -> bytes:
        """Return the body that a missing or wrong key is answered with."""
        ...
