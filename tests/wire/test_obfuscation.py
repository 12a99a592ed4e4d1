"""Obfuscation: an event's size says nothing of how long its words are."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.wire.obfuscation import obfuscated


def filled(delta: str) -> int:
    """How many bytes the delta and its obfuscation have together."""
    text = json.dumps(delta).encode()
    frame = obfuscated(b'data: {"delta":' + text + b"}\n\n", text)
    event = json.loads(frame.removeprefix(b"data: "))
    assert list(event) == ["delta", "obfuscation"]
    assert event["delta"] == delta
    assert frame.endswith(b"}\n\n")
    return len(text) + len(event["obfuscation"])


@given(st.text(max_size=200))
def test_it_fills_up_to_a_block_and_a_random_part_of_another(delta: str) -> None:
    blocks = -(-len(json.dumps(delta)) // 32)

    assert 32 * blocks <= filled(delta) < 32 * (blocks + 1)


def test_short_and_long_words_of_a_block_have_the_same_sizes() -> None:
    """Of some hundred words each every size between 32 and 63 comes up, whatever the word."""
    sizes = {word: {filled(word) for _ in range(2000)} for word in ("a", "extraordinarily long word")}

    assert sizes["a"] == sizes["extraordinarily long word"] == set(range(32, 64))
