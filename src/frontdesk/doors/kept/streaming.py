"""A kept turn as an event stream: told from its log, as fast as its reader takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from frontdesk.turn.live import until_gone
from frontdesk.turn.log import TurnLog
from frontdesk.turn.sinks import STREAM_HEADERS, StreamRenderer, StreamSink


class LogStream(Response):
    """An answer that is a log's events. It is begun at once, so that what goes wrong later is told inside of it."""

    def __init__(self, log: TurnLog, renderer: StreamRenderer) -> None:
        super().__init__()
        self._log = log
        self._renderer = renderer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Attach a reader to the log; return when all was sent or the reader has gone."""
        sink = StreamSink(self._renderer, cast("Any", send), [])
        sink.keep_alive()
        abort: Callable[[], None] | None = scope.get("frontdesk.abort")
        reader = self._log.attach(sink, abort)
        try:
            await until_gone(receive)
        finally:
            reader.leave()


def frames_at_once(frames: bytes) -> Response:
    """Some events, whole, as a stream that ends with them."""
    response = Response(frames)
    response.raw_headers = [*STREAM_HEADERS, (b"content-length", b"%d" % len(frames))]
    return response
