"""What the routes of accounts have in common: names that must be configured, times, pages of a list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse

from frontdesk.accounts.people import is_name
from frontdesk.core.errors import BadRequest

_Row = TypeVar("_Row")
_DEFAULT_LIMIT = 20
_MOST_LIMIT = 100


def secret(content: Any) -> JSONResponse:
    """An answer that says something of a person or of a key, so that no cache may keep a copy."""
    return JSONResponse(content, headers={"cache-control": "no-store"})


def missing(parameter: str) -> BadRequest:
    """The error for a field that must be there."""
    return BadRequest(f"Missing required parameter: {parameter!r}.", code="missing_required_parameter", param=parameter)


def check_names(names: Iterable[str], known: Collection[str], *, code: str, param: str) -> None:
    """Raise BadRequest, naming those that are known, for one that is not configured."""
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise BadRequest(
            f"{param!r} has {unknown!r}, which is not configured. Known: {', '.join(sorted(known)) or 'none'}.",
            code=code,
            param=param,
        )


def seconds(time_ms: int | None) -> int | None:
    """A stored time in Unix seconds, as all answers tell times."""
    return None if time_ms is None else time_ms // 1000


def page_of(request: Request, *narrowings: str) -> tuple[str, int]:
    """Which page of a list is asked for: behind which id, and how many. Raises BadRequest.

    `narrowings` are the other parameters that the list has, which are not looked at here.
    """
    asked = request.query_params
    known = ("after", "limit", *narrowings)
    for name in asked:
        if name not in known:
            raise BadRequest(
                f"Unknown parameter: {name!r}. Known: {', '.join(known)}.", code="invalid_value", param=name
            )
    limit = asked.get("limit", str(_DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= _MOST_LIMIT):
        raise BadRequest(f"'limit' must be from 1 to {_MOST_LIMIT}.", code="invalid_value", param="limit")
    after = asked.get("after", "")
    if after and not is_name(after):
        raise BadRequest(f"'after' is {after!r}, which is no id.", code="invalid_value", param="after")
    return after, int(limit)


def listed(rows: Sequence[_Row], tell: Callable[[_Row], dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page as OpenAI's lists are. `rows` holds one more than `limit` where more are to come."""
    told = [tell(row) for row in rows[:limit]]
    ids = [each["id"] for each in told]
    return {
        "object": "list",
        "data": told,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
        "has_more": len(rows) > limit,
    }
