"""Responses that are being made, ended by whoever asked for them."""

from __future__ import annotations

import msgspec

from frontdesk.doors.kept.turns import KeptTurns, no_response
from frontdesk.files.owner import owner_of
from frontdesk.turn.live import LiveTurns, Running
from frontdesk.turn.turn import Caller, Turn
from frontdesk.wire.openai_responses_render import ResponsesBody, ResponsesMessages, ResponsesStream


class Ending:
    """Ends the responses of whoever asks, stored or not."""

    def __init__(self, kept: KeptTurns, live: LiveTurns) -> None:
        self._kept = kept
        self._live = live

    async def end(self, caller: Caller, response_id: str) -> bytes:
        """End one that is being made, and return it as JSON, as far as it came; one that has ended, as it is.

        Raises NotFound.
        """
        running = self._live.find(response_id)
        if running is not None and _owns(caller, running.turn) and (told := await self._end_here(running)) is not None:
            return told
        row = await self._kept.end(await self._kept.response(caller, response_id))
        if row is None:
            raise no_response(response_id)
        return await self._kept.told(row)

    async def _end_here(self, running: Running) -> bytes | None:
        """End a turn of this process, stored or not; None, and nothing is done, where it is none of a Response."""
        kept = self._kept.keeper.find(running.turn.id)
        if kept is not None and kept.plan.response_facts is not None:
            await self._kept.keeper.cancel(running.turn.id)
            return ResponsesBody.of(kept.plan.response_facts, kept.log.entries).body()
        renderer = running.sink.renderer
        if not isinstance(renderer, ResponsesBody | ResponsesStream | ResponsesMessages):
            return None
        await self._live.cancel(running.turn.id)
        return msgspec.json.encode(renderer.response())


def _owns(caller: Caller, turn: Turn) -> bool:
    """Whether a turn under way is this caller's to end, which tells them what it said: as of what is stored."""
    return owner_of(caller) == owner_of(turn.caller)
