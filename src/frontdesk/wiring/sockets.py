"""The sockets of people's devices wired up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from frontdesk.conversations.service import Conversations
from frontdesk.core.config import Config
from frontdesk.doors.api_socket import PATH, ApiSocketDoor, SocketServices
from frontdesk.doors.bootstrap import SyncTerms
from frontdesk.doors.desk import Desk
from frontdesk.doors.responses_socket import ResponsesSocketDoor
from frontdesk.doors.socket_asking import PATH as ASKING_PATH
from frontdesk.doors.socket_asking import SocketAsking
from frontdesk.feeds.rounds import BEAT_EVERY_S
from frontdesk.feeds.service import POLL_AFTER_S, Feeds
from frontdesk.http.sockets import Socket, SocketDoor, Sockets
from frontdesk.sync.push import Pushing
from frontdesk.sync.shapes import MOST_ENTRIES
from frontdesk.turn.live import LiveTurns
from frontdesk.turn.seams import Policy
from frontdesk.wiring.kept import KeptDoors

_MEGABYTE = 1024 * 1024


class SocketDoors:
    """The doors of WebSockets. `policies` are those that make of a request what is sent of it."""

    def __init__(self, config: Config, sockets: Sockets, desk: Desk, policies: Sequence[Policy]) -> None:
        self._sockets = sockets
        self._desk = desk
        self._policies = policies
        self._limit_bytes = int(config.limits.body_mb * _MEGABYTE)

    def doors(
        self,
        kept: KeptDoors,
        live: LiveTurns,
        feeds: Feeds,
        conversations: Conversations,
        pushing: Pushing,
        revision: str,
    ) -> dict[str, SocketDoor]:
        """The doors by their paths. `revision` is the bootstrap's."""
        asking = partial(_asking, self._desk, self._policies, self._limit_bytes)
        services = SocketServices(asking, kept.kept, kept.ending(live), feeds, conversations, pushing)
        responses = ResponsesSocketDoor(self._desk, self._policies, self._limit_bytes)
        return {
            ASKING_PATH: self._sockets.door(responses.serve),
            PATH: self._sockets.door(ApiSocketDoor(services, revision, self._limit_bytes).serve),
        }


def sync_terms(config: Config) -> SyncTerms:
    """How apps keep up, for the bootstrap."""
    return SyncTerms(BEAT_EVERY_S, POLL_AFTER_S, MOST_ENTRIES, int(config.limits.body_mb * _MEGABYTE))


def _asking(desk: Desk, policies: Sequence[Policy], limit_bytes: int, socket: Socket) -> SocketAsking:
    return SocketAsking(desk, policies, socket, limit_bytes)
