"""/api/feedback: what a caller says of their own responses. /api/admin/feedback: what everybody said, for reviewers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.accounts.routes.answers import listed, seconds, secret
from frontdesk.conversations.routes.pages import after_of, check_parameters, limit_of
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.doors.desk import ASKING
from frontdesk.feedback.question import NARROWINGS, read_page_question, read_sums_question
from frontdesk.feedback.rows import MOST_COMMENT_CHARS, MOST_CORRECTION_CHARS, FeedbackRow, Rating, Reason, Said
from frontdesk.feedback.service import Feedback, Sum
from frontdesk.feedback.shares import share_of
from frontdesk.files.owner import owner_of
from frontdesk.http.callers import Callers, GuardedRoute, May, guarded
from frontdesk.http.once import Idempotency, Once
from frontdesk.http.starlette import with_body
from frontdesk.reports.question import single_values
from frontdesk.turn.turn import Caller
from frontdesk.wire.reading import read_object, view

REVIEWING = May("operator", "reviewer", scope="feedback")
"""Who may read what people say of answers."""

_RANGE = ("from", "to")


class FeedbackBody(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody says of a response of theirs. It replaces what they said of it before, all of it."""

    response_id: Annotated[str, Meta(min_length=1, max_length=128)]
    rating: Rating
    reason: Reason | None = None
    comment: Annotated[str, Meta(max_length=MOST_COMMENT_CHARS)] | None = None
    correction: Annotated[str, Meta(max_length=MOST_CORRECTION_CHARS)] | None = None


class FeedbackRoutes:
    """The routes of feedback."""

    def __init__(
        self, feedback: Feedback, callers: Callers, clock: Clock, idempotency: Idempotency | None = None
    ) -> None:
        self._feedback = feedback
        self._callers = callers
        self._clock = clock
        self._said_once = Once(idempotency, may_repeat=True)

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/api/feedback", "POST", self.say, self._callers, self._said_once),
            guarded("/api/feedback", "GET", self.list_own, self._callers),
            guarded("/api/feedback/{response_id}", "DELETE", self.take_back, self._callers),
            guarded("/api/admin/feedback", "GET", self.list_all, self._callers),
            guarded("/api/admin/feedback/sums", "GET", self.sums, self._callers),
        ]

    async def say(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Say something of a response of one's own, or something else than before."""
        body = await (await with_body(request)).body()
        asked = view(read_object(body or b"{}"), FeedbackBody)
        said = Said(asked.rating, asked.reason, asked.comment, asked.correction)
        return secret(told_of(await self._feedback.say(owner_of(caller), asked.response_id, said)))

    async def list_own(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """What the caller said, the latest first; of one response, where it is named."""
        check_parameters(request, ("after", "limit", "response_id"))
        after, limit = after_of(request), limit_of(request)
        response_id = request.query_params.get("response_id")
        if response_id is None:
            rows = await self._feedback.own(owner_of(caller), after, limit + 1)
        else:
            rows = await self._feedback.own_of(owner_of(caller), response_id)
        return secret(listed(rows, told_of, limit))

    async def take_back(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """Take back what the caller said of a response."""
        feedback_id = await self._feedback.take_back(owner_of(caller), request.path_params["response_id"])
        return secret({"id": feedback_id, "object": "feedback", "deleted": True})

    async def list_all(self, request: Request, caller: Annotated[Caller, REVIEWING]) -> Response:
        """What everybody of the tenant said, the latest first."""
        known = ("after", "limit", *_RANGE, *NARROWINGS)
        question = read_page_question(single_values(request.query_params.multi_items(), known))
        after, limit = after_of(request), limit_of(request)
        rows = await self._feedback.page(caller.tenant, question, after, limit + 1)
        tell = _told_to_operators if caller.role == "operator" else _told_to_reviewers
        return secret(listed(rows, tell, limit))

    async def sums(self, request: Request, caller: Annotated[Caller, REVIEWING]) -> Response:
        """How often everybody of the tenant said up and down, by what they said it of."""
        given = single_values(request.query_params.multi_items(), (*_RANGE, "group_by", *NARROWINGS))
        question, group_by = read_sums_question(given, unix_ms(self._clock))
        sums = await self._feedback.sums(caller.tenant, question, group_by)
        return secret(
            {
                "object": "list",
                "data": [{"value": each.value, "object": "feedback.sum", **_counts(each)} for each in sums],
                "from": question.from_ms // 1000,
                "to": question.to_ms // 1000,
                "group_by": group_by,
                "totals": _counts(Sum(None, sum(each.up for each in sums), sum(each.down for each in sums))),
            }
        )


def told_of(row: FeedbackRow) -> dict[str, Any]:
    """Feedback as whoever gave it is told of it."""
    return {
        "id": row.id,
        "object": "feedback",
        "response_id": row.response,
        "rating": row.rating,
        "reason": row.reason,
        "comment": row.comment,
        "correction": row.correction,
        "feature": row.feature,
        "model": row.model,
        "created_at": seconds(row.created_at_ms),
        "changed_at": seconds(row.changed_at_ms),
        "expires_at": seconds(row.expires_at_ms),
    }


def _told_to_reviewers(row: FeedbackRow) -> dict[str, Any]:
    """With the version of the instructions: by it users could tell whether they guessed them."""
    return {**told_of(row), "prompt": row.prompt}


def _told_to_operators(row: FeedbackRow) -> dict[str, Any]:
    """With whom it is of, null where a key: who judges answers need not know it."""
    return {**_told_to_reviewers(row), "user": row.person or None}


def _counts(counted: Sum) -> dict[str, Any]:
    share = share_of(counted.up, counted.down)
    return {
        "up": counted.up,
        "down": counted.down,
        "share": None if share is None else share.share,
        "low": None if share is None else share.low,
        "high": None if share is None else share.high,
    }
