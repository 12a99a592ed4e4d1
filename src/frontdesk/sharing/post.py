"""How processes that serve together speak to each other: short messages that may be lost, and never hold anybody up.

What must not be lost is in the database. A message only says sooner what stands there, or where to look. Each is of a
topic, which is whose matter it is there; one that a process does not know is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from frontdesk.core.clock import Clock
from frontdesk.core.config.problems import ConfigError

Take = Callable[[bytes], None]
"""Is given each message of a topic that comes, in the order in which its sender sent them."""


class Post(Protocol):
    """The post of one process. `listen` before you `start` it, and `close` it."""

    @property
    def me(self) -> str:
        """The name under which this process gets its messages."""
        ...

    @property
    def is_well(self) -> bool:
        """Whether messages arrive, as far as this process knows. Where not, look for yourself."""
        ...

    def listen(self, topic: str, take: Take) -> None:
        """Say who is given what comes of a topic; one for all of it."""
        ...

    def move(self, me: str) -> None:
        """Go on under another name; what is sent to the old one from now on is lost."""
        ...

    def send(self, process: str, topic: str, message: bytes) -> None:
        """Send a message, which may be lost, or come twice. Never waits, never raises."""
        ...

    async def start(self) -> None:
        """Begin to send and to listen."""
        ...

    async def close(self) -> None:
        """Send what waits, for a moment at most; then end."""
        ...


class Alone:
    """The post of a process that nobody reaches: it has nothing to say, and never hears anything."""

    is_well = False

    def __init__(self, me: str) -> None:
        self.me = me

    def listen(self, topic: str, take: Take) -> None:
        """Nothing comes."""

    def move(self, me: str) -> None:
        """Take another name."""
        self.me = me

    def send(self, process: str, topic: str, message: bytes) -> None:
        """Nobody is there."""

    async def start(self) -> None:
        """There is nothing to start."""

    async def close(self) -> None:
        """There is nothing to end."""


def make_post(valkey: str | None, me: str, clock: Clock) -> Post:
    """Make the post of this process: with the address of a Valkey it reaches all who have the same.

    A Valkey that cannot be reached is no error. Raises ConfigError where the package for it is not installed.
    """
    if valkey is None:
        return Alone(me)
    try:
        from frontdesk.sharing.valkey import ValkeyPost  # noqa: PLC0415 - its package is an extra
    except ImportError as error:
        raise ConfigError(
            f"'valkey' needs a package that is not here: pip install 'frontdesk[valkey]' ({error})."
        ) from error

    return ValkeyPost(valkey, me, clock)
