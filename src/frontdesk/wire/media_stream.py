"""What the streams of endpoints that are no chat have in common: every event becomes frames by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from frontdesk.core.errors import FrontdeskError
from frontdesk.turn.events import Event
from frontdesk.wire.media import check_whole, data_frame


class MediaStream(ABC):
    """Renders events as server-sent events."""

    __slots__ = ()

    def render(self, events: list[Event]) -> bytes:
        """Return the events' bytes."""
        check_whole(events)
        return b"".join(frame for event in events for frame in self._frames(event))

    def render_error(self, error: FrontdeskError) -> bytes:
        """Return the event that ends a stream which broke off."""
        return data_frame(error.body())

    @abstractmethod
    def _frames(self, event: Event) -> Iterator[bytes]: ...
