"""Sums of the first counts are those of a plain list, however deep it goes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.scheduling.depths import Depths

CHANGES = st.lists(st.tuples(st.integers(1, 300), st.integers(-2, 3)), max_size=60)


@given(CHANGES, st.integers(0, 1000))
def test_sums_are_those_of_a_list(changes: list[tuple[int, int]], depth: int) -> None:
    depths, counts = Depths(), [0] * 1001
    for at, by in changes:
        depths.add(at, by)
        counts[at] += by

    assert depths.up_to(depth) == sum(counts[: depth + 1])
