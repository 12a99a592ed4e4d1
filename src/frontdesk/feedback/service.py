"""Feedback: said, changed and taken back by whom the response belongs to, read and summed up by who reviews.

Another's response is as good as one that never was.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import msgspec

from frontdesk.accounts.people import is_name
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest, NotFound
from frontdesk.core.ids import new_id
from frontdesk.feedback.question import Grouping, Question
from frontdesk.feedback.rows import FeedbackRow, Rated, Said
from frontdesk.feedback.store import FeedbackStore
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database
from frontdesk.usage.arriving import Patience, arrived
from frontdesk.wire.refusing import wrong

MOST_GROUPS = 1_000
_DAY_MS = 86_400_000
_MAX_TOLD_CHARS = 128


class Terms(NamedTuple):
    """Whether texts may be kept of a turn, and until when what is said of it is; None for ever."""

    keeps_texts: bool
    until_ms: int | None


TermsOf = Callable[[Rated, int], Terms]
"""The terms of what is said of this turn at a time in milliseconds since 1970."""


class Sum(NamedTuple):
    """How often a value had up and down; None where there is no value."""

    value: str | None
    up: int
    down: int


class Feedback:
    """The feedback of everybody."""

    def __init__(self, database: Database, clock: Clock, terms_of: TermsOf, patience: Patience | None = None) -> None:
        self._store = FeedbackStore(database)
        self._clock = clock
        self._terms_of = terms_of
        self._patience = patience or Patience()

    # --- an owner's own -------------------------------------------------------------------------

    async def say(self, owner: Owner, response_id: str, said: Said) -> FeedbackRow:
        """Keep what an owner says of a response, in place of what they said before.

        Raises NotFound where the response is not theirs, BadRequest for texts where none of it may be kept.
        """
        row = await self.row_of(owner, response_id, said)
        return await self._store.put(row, row.changed_at_ms)

    async def row_of(self, owner: Owner, response_id: str, said: Said) -> FeedbackRow:
        """The row of what an owner says of a response now, which is to be kept. Raises NotFound, BadRequest."""
        said = msgspec.structs.replace(
            said, comment=_text("comment", said.comment), correction=_text("correction", said.correction)
        )
        rated = await self._rated(owner, response_id)
        now_ms = unix_ms(self._clock)
        terms = self._terms_of(rated, now_ms)
        if not terms.keeps_texts:
            _check_textless(said)
        return FeedbackRow(
            **owner._asdict(),
            response=response_id,
            id=new_id("fb_"),
            rating=said.rating,
            reason=said.reason,
            comment=said.comment,
            correction=said.correction,
            feature=rated.feature,
            model=rated.model,
            prompt=rated.prompt,
            created_at_ms=now_ms,
            changed_at_ms=now_ms,
            expires_at_ms=terms.until_ms,
        )

    async def take_back(self, owner: Owner, response_id: str) -> str:
        """Remove what an owner said of a response; returns its id. Raises NotFound where there is nothing."""
        removed = None
        if is_name(response_id):
            removed = await self._store.delete(owner, response_id, unix_ms(self._clock))
        if removed is None:
            raise NotFound(
                f"There is no feedback on {response_id[:_MAX_TOLD_CHARS]!r}.",
                code="feedback_not_found",
            )
        return removed

    async def own_of(self, owner: Owner, response_id: str) -> list[FeedbackRow]:
        """What an owner said of a response: one, or nothing."""
        row = None
        if is_name(response_id):
            row = await self._store.find(owner, response_id, unix_ms(self._clock))
        return [] if row is None else [row]

    async def own(self, owner: Owner, after: str, limit: int) -> list[FeedbackRow]:
        """What an owner said, the latest first."""
        return await self._store.list_own(owner, after, limit, unix_ms(self._clock))

    # --- a tenant's -----------------------------------------------------------------------------

    async def page(self, tenant: str, question: Question, after: str, limit: int) -> list[FeedbackRow]:
        """What everybody said, the latest first."""
        return await self._store.list_of(tenant, question, after, limit, unix_ms(self._clock))

    async def sums(self, tenant: str, question: Question, group_by: Grouping) -> list[Sum]:
        """How often everybody said up and down, in the order of the values, those without one first.

        Raises BadRequest where there are more than a thousand.
        """
        now_ms = unix_ms(self._clock)
        groups = await self._store.groups(tenant, question, group_by, MOST_GROUPS + 1, now_ms)
        if len(groups) > MOST_GROUPS:
            raise BadRequest(
                f"Grouped by {group_by}, this has more than {MOST_GROUPS:,} groups. Ask for a shorter range ('from', "
                "'to'), or name one value.",
                code="too_many_groups",
                param="group_by",
            )
        sums = [Sum(_name(value), up, down) for value, up, down in groups]
        return sorted(sums, key=lambda each: (each.value is not None, each.value or ""))

    async def _rated(self, owner: Owner, response_id: str) -> Rated:
        rated = await arrived(
            response_id, unix_ms(self._clock), self._patience, partial(self._store.rated, owner, response_id)
        )
        if rated is not None:
            return rated
        raise NotFound(
            f"There is no response {response_id[:_MAX_TOLD_CHARS]!r}.", code="response_not_found", param="response_id"
        )


def _text(name: str, text: str | None) -> str | None:
    """A text as it is kept; one of spaces alone says nothing. Raises BadRequest for what no database can keep."""
    if text is None or not text.strip():
        return None
    if "\0" in text:
        raise wrong(name, f"{name!r} has a character U+0000, which no text has. Leave it out.")
    return text


def _check_textless(said: Said) -> None:
    for name in ("comment", "correction"):
        if getattr(said, name) is not None:
            raise BadRequest(
                f"What is said of this response is kept without texts, so {name!r} cannot be. "
                "Send 'rating' and 'reason' alone.",
                code="nothing_is_stored",
                param=name,
            )


def _name(value: str | int | None) -> str | None:
    """A value by its name; a day as ISO 8601 has it."""
    if isinstance(value, int):
        return datetime.fromtimestamp(value * _DAY_MS / 1000, UTC).strftime("%Y-%m-%d")
    return value
