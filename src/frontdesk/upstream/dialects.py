"""What a dialect is to the server: it reads requests and gives answers their shape. One is one file.

Who adds one writes a class with the methods of `Dialect` and puts it into the server's list. A request comes as its
bytes and all of its headers, so a form's parts are a dialect's own to read; an answer leaves as bytes of the
type that it names, so it may be a sound or a picture as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

from frontdesk.providers.scripts import Outcome
from frontdesk.turn.events import Event, Usage
from frontdesk.turn.items import Request


class Asked(NamedTuple):
    """A request as dialects see it. `path` is as it was sent, with its escapes; of headers the names are small."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """A whole response that no script plays. It is JSON where its headers do not say otherwise."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


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

    @property
    def content_type(self) -> str:
        """What the answer's body is."""
        ...

    @property
    def tells_usage(self) -> Literal["last", "first and last", "always"]:
        """When a stream tells its usage: with what ends it, with its first chunk as well, or with each."""
        ...

    def begin(self, script: str, outcome: Outcome) -> None:
        """Be told which script plays, and where it will say what it came to.

        Raises a FrontdeskError where the provider would refuse this request from such a model.
        """
        ...

    def counted(self, usage: Usage) -> Usage:
        """Return the usage as this provider counts it, with what its cache read and wrote."""
        ...

    def render(self, events: list[Event]) -> bytes:
        """Return the server-sent events of these, each ended by a blank line; for streams.

        Usage that is reported before the end belongs to the event that follows it.
        """
        ...

    def in_transit(self, frames: bytes) -> bytes:
        """Return what is sent for server-sent events; the same, where that is what is sent."""
        ...

    def render_body(self, events: list[Event]) -> bytes:
        """Return the whole answer; for all else."""
        ...

    def render_failure(self, kind: Literal["error", "failed"], message: str) -> bytes:
        """Return the error as this dialect tells it inside a 200: as an event or a body of its own, or
        as the state of the answer where it can say that it failed.
        """
        ...

    def without_finish(self, payload: dict[str, Any]) -> dict[str, Any] | None:
        """Return an event's payload without the word that the answer is whole; None where it says nothing else."""
        ...


class Dialect(Protocol):
    """A provider's way of speaking."""

    def claims(self, asked: Asked) -> bool:
        """Whether a request is meant for this provider, be it right or wrong. The body may not be there yet."""
        ...

    def read(self, asked: Asked) -> Answer | Reply:
        """Return what is asked: an answer to be played, or a response that is known already.

        Raises a FrontdeskError for the request's own faults, and NotFound for a path that nothing is under.
        """
        ...

    def refusal(
        self, status: int, message: str, code: str | None, param: str | None, retry_after_s: float | None = None
    ) -> Reply:
        """Return an error in this provider's shape, with its headers. `retry_after_s` is told as it tells that."""
        ...

    def headers(self, status: int) -> Mapping[str, str]:
        """Return the headers that every answer of this provider has."""
        ...

    def key_of(self, asked: Asked) -> str | None:
        """Return the key that a request brings."""
        ...

    def unauthenticated(self, key: str | None) -> Reply:
        """Return what a missing or wrong key is answered with."""
        ...
