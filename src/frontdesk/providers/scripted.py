"""The scripted provider: deterministic answers in process, chosen by the model's name.

For tests, for trying an app without a model, and for showing failures on purpose. What it says is in
`scripts`; behind a colon the name may say how, as in `words-200:ttft=300,pace=20` (`directives`).
`frontdesk upstream` plays the same over HTTP, and all that goes wrong on a wire besides.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from frontdesk.core.errors import BadRequest
from frontdesk.providers.directives import Directives, read_model
from frontdesk.providers.scripts import Performance, count_chunks, failure_of_status, perform
from frontdesk.turn.events import Event
from frontdesk.turn.items import Request

_PLAYED = frozenset({"ttft", "pace", "jitter", "seed", "fault"})
_PLAYED_FAULTS = frozenset({"timeout", "silence"})


class ScriptedProvider:
    """Plays the script that the model's name asks for."""

    def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        """Yield the script's events; an unknown script is a BadRequest."""
        direction = read_model(model)
        directives = direction.read()
        strange = [name for name in direction.options if name not in _PLAYED]
        strange += [
            fault.kind for fault in directives.fault if fault.kind not in _PLAYED_FAULTS | {str(directives.status)}
        ]
        if strange:
            raise BadRequest(f"{strange[0]!r} needs a wire: `frontdesk upstream` plays it.", param="model")
        performance = perform(request, direction.script or "", directives.seed)
        if directives.status is not None:
            performance = Performance(iter(()), failure=failure_of_status(directives.status))
        return _play(performance, directives)


async def _play(performance: Performance, directives: Directives) -> AsyncGenerator[list[Event], None]:
    pauses = directives.pauses(performance.pace_s)
    silence = directives.find("timeout", "silence")
    chunks = 0
    for batch in performance.batches:
        if count_chunks(batch):
            if silence is not None and chunks == (silence.at or 0):
                break
            chunks += 1
            pause_s = next(pauses)
            if pause_s:
                await asyncio.sleep(pause_s)
        yield batch
    if performance.is_silent or silence is not None:
        await asyncio.get_running_loop().create_future()
    if performance.failure is not None:
        raise performance.failure
