"""POST /v1/responses/input_tokens: how many tokens a request would send. Nobody is asked, and it costs nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Annotated, Protocol

import msgspec

from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.doors.responses import begin_response
from frontdesk.turn.items import Prompt
from frontdesk.turn.run import Admitted
from frontdesk.turn.seams import Policy
from frontdesk.turn.sinks import send_json
from frontdesk.wire.openai_responses import read_input_tokens


class Tokens(Protocol):
    """Counts prompts, as contexts are counted (`policies.context`)."""

    def whole(self, model: str, prompt: Prompt) -> Awaitable[int]:
        """The tokens of a prompt as it goes to a configured model."""
        ...


class InputTokensDoor:
    """Counts what a Responses request would send.

    `policies` are those of the line that say who may ask what, and make of a request what a provider is sent; none
    that counts requests or money.
    """

    def __init__(self, desk: Desk, policies: Sequence[Policy], tokens: Tokens) -> None:
        self._desk = desk
        self._policies = policies
        self._tokens = tokens

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        body = visit.take_body()
        turn, _ = begin_response(self._desk, visit, read_input_tokens(body), body)
        admitted = Admitted(turn)
        try:
            await admitted.admit(self._policies)
            assert isinstance(turn.request, Prompt)  # as it was read, whatever was made of it
            tokens = await self._tokens.whole(turn.model, turn.request)
        finally:
            admitted.settle()
        answer = {"object": "response.input_tokens", "input_tokens": tokens}
        await send_json(visit.send, 200, msgspec.json.encode(answer), [(b"cache-control", b"no-store")])
