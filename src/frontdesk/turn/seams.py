"""The four small interfaces of the line. A new policy, guard, provider or sink is one file that
fits one of these, its test, and one line in the list in `app`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol

from frontdesk.core.errors import FrontdeskError
from frontdesk.turn.events import Event
from frontdesk.turn.items import Request
from frontdesk.turn.turn import Turn

Push = Callable[[list[Event]], Awaitable[None]]


class Policy(Protocol):
    """A rule about who may do what, how often and for how much."""

    def admit(self, turn: Turn) -> Awaitable[None] | None:
        """Let the turn pass, or raise a FrontdeskError; nothing is then held for it.

        Returns an awaitable only where it must wait. When that wait is cancelled, the policy
        itself gives back what it had taken: `settle` is called only for what was admitted.
        """
        ...

    def settle(self, turn: Turn) -> None:
        """Give back what was borrowed, once, in reverse order of admission.

        A plain function: it decides and enqueues, so nothing can cancel it halfway.
        """
        ...


class Filter(Protocol):
    """One text passing a guard, in pieces of any size."""

    def feed(self, text: str) -> str:
        """Take the next piece, return what may be released now. Raises Refused to end the turn."""
        ...

    def flush(self) -> str:
        """Return what was held back; the text has ended."""
        ...


class Guard(Protocol):
    """A filter on what goes out and on what comes back, the same for both, or on answers alone (`Line`)."""

    def open(self, turn: Turn) -> Filter | None:
        """Start a text of this turn; None where the guard does not apply to the turn."""
        ...


class Provider(Protocol):
    """A source of answers."""

    def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        """Yield the events of one upstream read at a time, as turn.events describes them.

        `model` is the provider's own name of it. Raises ProviderError where another provider may
        do better, BadRequest where the request itself is at fault. Closing the generator closes
        the upstream connection. After the terminal event it ends soon and yields nothing more.
        """
        ...


class Sink(Protocol):
    """Where events end: a stream, a body, a log, a list.

    `has_written` is set with every write; who watches over silence takes it back.
    """

    has_written: bool

    @property
    def renderer(self) -> object:
        """What gives the events their shape; None where they keep their own."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether all that there is to send was handed over."""
        ...

    async def write(self, events: list[Event]) -> None:
        """Take a list of events; the last list ends with the terminal event."""
        ...

    def keep_alive(self) -> None:
        """Write what no reader sees, without waiting, where the sink has a connection that silence would cost."""
        ...

    async def fail(self, error: FrontdeskError) -> None:
        """End with an error instead of a terminal event: with its status where nothing was sent
        yet, else inside the stream.
        """
        ...

    def leave(self) -> None:
        """Nobody reads any more: take and forget what still comes."""
        ...


class Funds(Protocol):
    """What was put aside for a turn before any provider is asked."""

    def cover(self, route: str) -> Awaitable[bool] | bool:
        """Whether one more attempt, by this route ("provider/model"), is covered besides those before it.

        Puts aside more where it is not, and then only returns True once that is durable.
        """
        ...


class Entrance(Protocol):
    """How a turn that is kept enters the store: once, before anything is done for it."""

    @property
    def is_entered(self) -> bool:
        """Whether it is there."""
        ...

    @property
    def is_dispatched(self) -> bool:
        """Whether it is there, and noted that providers are asked."""
        ...

    def enter(self, most_tokens: int | None = None) -> Any:
        """Keep it: a generator of a transaction's steps, which returns the error that refuses it, or None.

        `most_tokens` is how long its answer may be, where that was decided with this.
        """
        ...

    def has_entered(self) -> None:
        """That transaction is on the disk."""
        ...

    def may_have_entered(self) -> None:
        """Nobody knows whether it is: see that it does not stay."""
        ...

    async def enter_alone(self) -> None:
        """Keep it, in a transaction of its own. Raises what refuses it, and Unavailable where nothing can be stored.

        Who waits is cancelled once it is known whether it has entered.
        """
        ...

    async def dispatch(self) -> None:
        """Note, before a first provider is asked, that one is; it enters with that, where it has not yet.

        Raises what refuses it, and Unavailable where nothing can be stored.
        """
        ...


class Router(Protocol):
    """Chooses the provider."""

    async def carry(self, turn: Turn, push: Push) -> None:
        """Push the events of the first provider of the turn's model that answers, and say which attempt that is.

        Raises what the last provider failed with where none does, the first refusal where all refused, and what an
        answer broke off with that had begun.
        """
        ...
