"""POST /v1/responses."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.doors.shelf import Wish
from frontdesk.turn.turn import Turn
from frontdesk.wire.openai_listed_items import listed_input
from frontdesk.wire.openai_responses import ResponsesRequest, read_responses
from frontdesk.wire.openai_responses_facts import ResponseTurnFacts
from frontdesk.wire.openai_responses_render import ResponsesBody, ResponsesStream, output_items
from frontdesk.wire.refusing import unsupported


class ResponsesDoor:
    """Answers Responses."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        body = visit.take_body()
        asked = read_responses(body)
        turn, wish = begin_response(self._desk, visit, asked, body)
        if wish.stores:
            visit.asked = body
        if asked.prompt.stream:
            seen = last_event_id(visit)
            await self._desk.stream(
                turn,
                visit,
                lambda facts: ResponsesStream(
                    facts,
                    obfuscates=asked.obfuscates,
                    after=None if facts.id == turn.id else seen,  # of one that begins now nobody has seen anything
                    is_background=asked.background,
                ),
                wish,
            )
        elif asked.background:
            await self._desk.accept(turn, visit, lambda facts: ResponsesBody(facts).accepted(), ResponsesBody, wish)
        else:
            await self._desk.collect(turn, visit, ResponsesBody, wish)


def begin_response(desk: Desk, visit: Visit, asked: ResponsesRequest, body: bytes) -> tuple[Turn, Wish]:
    """Make the turn of a request for a response, and what it wishes to be kept. Raises BadRequest."""
    if asked.prompt_id is not None and not desk.has_features:
        raise unsupported("prompt", "It names a feature, and none is configured. Use 'instructions' or 'input'.")
    if asked.conversation is not None and not asked.store:
        raise BadRequest(
            "'conversation' keeps what is said, and 'store': false says that nothing is kept. Send one of them.",
            code="invalid_value",
            param="store",
        )
    features = {"metadata.feature": asked.feature, "prompt.id": asked.prompt_id}
    turn = desk.begin("responses", visit, asked.model, asked.prompt, features)
    brings: list[dict[str, Any]] = []
    if asked.conversation is not None:
        desk.check_conversation(turn)
        brings = listed_input(msgspec.json.decode(body).get("input"), turn.id)
    stores = asked.store and desk.keeps(turn)
    facts = ResponseTurnFacts(turn, asked.echo if stores or not asked.store else {**asked.echo, "store": False})
    metadata = asked.echo["metadata"]
    return turn, Wish(
        facts,
        stores=stores,
        is_secret=not asked.store,
        is_background=asked.background,
        conversation=asked.conversation,
        previous=asked.previous,
        metadata=msgspec.json.encode(metadata).decode() if metadata else None,
        brings=brings,
        says=output_items,
    )


def last_event_id(visit: Visit) -> int | None:
    """The last event that a client has, as its header Last-Event-ID says (WHATWG HTML §9.2.4)."""
    header = visit.head.last_event_id
    if header is None:
        return None
    if not header.isdigit() or len(header) > _MAX_DIGITS:
        raise BadRequest(
            f"The header Last-Event-ID is {header[:64].decode('latin-1')!r}. It is the number of an event, from 0.",
            code="invalid_value",
        )
    return int(header)


_MAX_DIGITS = 9
