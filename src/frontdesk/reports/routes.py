"""GET /api/usage: what was used and what it cost. Of everybody for keys; their own for users.

GET /api/usage/output_limits: how long answers got, against how long they might get. For keys.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from frontdesk.accounts.routes.answers import listed, secret
from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.errors import BadRequest, Forbidden, NotFound
from frontdesk.http.callers import Callers, GuardedRoute, May, guarded
from frontdesk.reports.lengths import Figures
from frontdesk.reports.output_limits import OutputLimits
from frontdesk.reports.question import NARROWINGS, OF_ATTEMPTS, Question, read_question, single_values
from frontdesk.reports.report import Names, Report, Reports, order_of
from frontdesk.reports.sums import Sums, told
from frontdesk.reports.tables import csv_of, csv_with
from frontdesk.turn.turn import Caller

_KNOWN = ("from", "to", "group_by", *NARROWINGS, "format", "limit", "after")
_OF_LENGTHS = ("from", "to", "feature", "model", "format", "limit", "after")
_LENGTHS_OF = ("feature", "model")
_DEFAULT_LIMIT = 100
_MOST_LIMIT = 500


class UsageRoutes:
    """The routes of reports."""

    def __init__(self, callers: Callers, reports: Reports, limits: OutputLimits, clock: Clock) -> None:
        self._callers = callers
        self._reports = reports
        self._limits = limits
        self._clock = clock

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/api/usage", "GET", self.usage, self._callers),
            guarded("/api/usage/output_limits", "GET", self.output_limits, self._callers),
        ]

    async def usage(
        self, request: Request, caller: Annotated[Caller, May("user", "server", "operator", scope="usage")]
    ) -> Response:
        """Sums over the turns of a range of time, and over their attempts, in groups: a page of them, or all as CSV."""
        given = single_values(request.query_params.multi_items(), _KNOWN)
        is_csv = _wants_csv(given.get("format"), request.headers.get("accept", ""))
        page = _page_of(given, is_csv=is_csv)
        question = _for(caller, read_question(given, unix_ms(self._clock)))
        if page.after is not None and len(page.after) != len(question.group_by):
            raise _not_an_id(given["after"])
        report = await self._reports.make(caller.tenant, question)
        return _as_csv(csv_of(report), "usage") if is_csv else secret(_as_page(report, page))

    async def output_limits(
        self, request: Request, caller: Annotated[Caller, May("server", "operator", scope="usage")]
    ) -> Response:
        """How long answers got in a range of time, by feature and model: a page of them, or all as CSV."""
        given = single_values(request.query_params.multi_items(), _OF_LENGTHS)
        is_csv = _wants_csv(given.get("format"), request.headers.get("accept", ""))
        page = _page_of(given, is_csv=is_csv)
        if page.after is not None and len(page.after) != len(_LENGTHS_OF):
            raise _not_an_id(given["after"])
        question = read_question(given, unix_ms(self._clock))
        groups = await self._limits.make(caller.tenant, question)
        if is_csv:
            rows = ((names, _cells(figures)) for names, figures in groups)
            return _as_csv(csv_with([*_LENGTHS_OF, *Figures._fields], rows), "output_limits")
        return secret(_as_page_of_lengths(question, groups, page))


def _for(caller: Caller, question: Question) -> Question:
    """The question as this caller may ask it: users see themselves, and not who answers behind a model's name."""
    if caller.role != "user":
        return question
    assert caller.person is not None
    asked = question.only.get("user", caller.person)
    if asked != caller.person:
        raise NotFound(f"There is no user {asked!r}.", code="user_not_found", param="user")
    hidden = OF_ATTEMPTS.intersection((*question.group_by, *question.only))
    if hidden:
        raise Forbidden(
            f"{min(hidden)!r} needs a secret key: which providers are asked, and why, is not for users to see. "
            "Use 'model'.",
            param=min(hidden),
        )
    return msgspec.structs.replace(question, only={**question.only, "user": caller.person})


# --- JSON ---------------------------------------------------------------------------------------


class _Page(NamedTuple):
    after: Names | None
    limit: int


def _page_of(given: dict[str, str], *, is_csv: bool) -> _Page:
    if is_csv:
        for name in ("limit", "after"):
            if name in given:
                raise BadRequest(
                    f"{name!r} is for pages of JSON. CSV has all groups at once.", code="invalid_value", param=name
                )
    limit = given.get("limit", str(_DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= _MOST_LIMIT):
        raise BadRequest(f"'limit' must be from 1 to {_MOST_LIMIT}.", code="invalid_value", param="limit")
    after = given.get("after")
    return _Page(None if after is None else _names_of(after), int(limit))


def _as_page(report: Report, page: _Page) -> dict[str, Any]:
    rows = _behind(page.after, report.groups)
    question = report.question

    def tell(row: tuple[Names, Sums]) -> dict[str, Any]:
        names, sums = row
        named = zip(question.group_by, names, strict=True)
        return {"id": _id_of(names), "object": "usage.group", **dict(named), **told(sums)}

    return {
        **listed(rows, tell, page.limit),
        "from": question.from_ms // 1000,
        "to": question.to_ms // 1000,
        "group_by": list(question.group_by),
        "totals": told(report.totals),
    }


def _as_page_of_lengths(question: Question, groups: list[tuple[Names, Figures]], page: _Page) -> dict[str, Any]:
    def tell(row: tuple[Names, Figures]) -> dict[str, Any]:
        names, figures = row
        named = zip(_LENGTHS_OF, names, strict=True)
        return {"id": _id_of(names), "object": "usage.output_limit", **dict(named), **figures._asdict()}

    return {
        **listed(_behind(page.after, groups), tell, page.limit),
        "from": question.from_ms // 1000,
        "to": question.to_ms // 1000,
    }


_Row = TypeVar("_Row")


def _behind(after: Names | None, rows: list[tuple[Names, _Row]]) -> list[tuple[Names, _Row]]:
    return rows if after is None else [row for row in rows if order_of(row[0]) > order_of(after)]


def _id_of(names: Names) -> str:
    """What a page goes on behind: the names themselves, so that it holds whatever was used meanwhile."""
    return base64.urlsafe_b64encode(msgspec.json.encode(names)).decode().rstrip("=")


def _names_of(group_id: str) -> Names:
    try:
        data = base64.b64decode(group_id + "=" * (-len(group_id) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(data, type=tuple[str | None, ...])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise _not_an_id(group_id) from None


def _not_an_id(text: str) -> BadRequest:
    return BadRequest(
        f"'after' is {text!r}, which is no id of a group of this report. Send 'last_id' of the page before.",
        code="invalid_value",
        param="after",
    )


# --- CSV ----------------------------------------------------------------------------------------


def _wants_csv(named: str | None, accept: str) -> bool:
    if named is None:
        return _quality(accept, "text/csv") > _quality(accept, "application/json")
    if named not in ("json", "csv"):
        raise BadRequest(f"'format' is {named!r}. Known: json, csv.", code="invalid_value", param="format")
    return named == "csv"


def _quality(accept: str, media_type: str) -> float:
    """How much an Accept header wants a type that it names, from 0 to 1 (RFC 9110 §12.5.1)."""
    for offer in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in offer.split(";"))
        if kind == media_type:
            named = next((each[2:] for each in parameters if each.startswith("q=")), "1")
            try:
                return float(named)
            except ValueError:
                return 0.0
    return 0.0


def _as_csv(parts: Iterator[str], name: str) -> Response:
    headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(_sent(parts), media_type="text/csv", headers=headers)


def _cells(figures: Figures) -> list[str]:
    """What is not known is empty."""
    return ["" if value is None else str(value) for value in figures]


async def _sent(parts: Iterator[str]) -> AsyncIterator[str]:
    for part in parts:
        yield part
