"""Logprobs, whichever way a provider spells them."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.wire.logprobs import chat_logprobs, event_logprobs, part_logprobs

BARE = {"token": "a", "logprob": -0.5}


@pytest.mark.parametrize(
    ("given", "in_chat", "in_part"),
    [
        (BARE, {**BARE, "bytes": None, "top_logprobs": []}, {**BARE, "bytes": [], "top_logprobs": []}),
        (
            {**BARE, "bytes": [97], "top_logprobs": [BARE], "vendor": 1},
            {**BARE, "bytes": [97], "top_logprobs": [{**BARE, "bytes": None}]},
            {**BARE, "bytes": [97], "top_logprobs": [{**BARE, "bytes": []}]},
        ),
    ],
)
def test_spellings(given: dict[str, Any], in_chat: dict[str, Any], in_part: dict[str, Any]) -> None:
    tops = [BARE for _ in given.get("top_logprobs", ())]

    assert chat_logprobs([given]) == [in_chat]
    assert part_logprobs([given]) == [in_part]
    assert event_logprobs([given]) == [{**BARE, "top_logprobs": tops}]


@pytest.mark.parametrize("given", [[7], [{"token": "a"}], [{"token": "a", "logprob": "likely"}], [None]])
def test_what_cannot_be_read_is_left_out_and_breaks_nothing(given: list[Any]) -> None:
    assert chat_logprobs(given) == part_logprobs(given) == event_logprobs(given) == []
