"""Pages of lists that are read whole: they are no longer than a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from frontdesk.core.errors import BadRequest

Json = dict[str, Any]


def page_of_all(items: Sequence[Json], after: str, limit: int, *, is_ascending: bool) -> Json:
    """A page of items, as OpenAI's lists are, behind the item `after`. Raises BadRequest where there is none such."""
    ordered = items if is_ascending else items[::-1]
    begin = 0
    if after:
        place = next((place for place, item in enumerate(ordered) if item["id"] == after), None)
        if place is None:
            raise BadRequest(
                f"'after' is {after!r}, which is no item of this list.", code="invalid_value", param="after"
            )
        begin = place + 1
    some = ordered[begin : begin + limit]
    return {
        "object": "list",
        "data": some,
        "first_id": some[0]["id"] if some else None,
        "last_id": some[-1]["id"] if some else None,
        "has_more": len(ordered) > begin + limit,
    }
