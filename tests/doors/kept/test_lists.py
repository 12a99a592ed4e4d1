"""Pages of lists that are read whole: together they are the list, in either order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest
from frontdesk.doors.kept.lists import Json, page_of_all


@given(st.integers(0, 30), st.integers(1, 9), st.booleans())
def test_pages_make_up_the_list(count: int, limit: int, is_ascending: bool) -> None:
    items: list[Json] = [{"id": f"i{number}"} for number in range(count)]
    seen: list[Json] = []
    while True:
        page = page_of_all(items, seen[-1]["id"] if seen else "", limit, is_ascending=is_ascending)
        seen += page["data"]
        assert (page["first_id"], page["last_id"]) == (
            (page["data"][0]["id"], page["data"][-1]["id"]) if page["data"] else (None, None)
        )
        if not page["has_more"]:
            break

    assert seen == (items if is_ascending else items[::-1])


def test_behind_what_is_not_there_is_no_page() -> None:
    with pytest.raises(BadRequest):
        page_of_all([{"id": "a"}], "b", 1, is_ascending=True)
