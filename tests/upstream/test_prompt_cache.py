"""What of a prompt is written to the cache and what is read from it, in tokens."""

from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.upstream.anthropic_request import Piece
from frontdesk.upstream.prompt_cache import Cached, PromptCache
from tests.fakes import HandClock


def piece(name: str, tokens: int = 10, kept: Literal["5m", "1h"] | None = None) -> Piece:
    return Piece(name.encode(), tokens, kept)


def row(names: str, marks: str = "") -> list[Piece]:
    """A piece a letter; those of `marks` are kept for five minutes, in capitals for an hour."""
    return [
        piece(name, 10, "1h" if name.upper() in marks else "5m" if name in marks else None) for name in names.lower()
    ]


def test_nothing_is_kept_that_is_not_marked() -> None:
    cache = PromptCache(HandClock())

    assert cache.charge("m", row("abc")) == Cached()
    assert cache.charge("m", row("abc", "b")) == Cached(0, 20, 0)


def test_the_longest_beginning_is_read_and_the_rest_written() -> None:
    cache = PromptCache(HandClock())

    assert cache.charge("m", row("abcd", "bd")) == Cached(0, 40, 0)
    assert cache.charge("m", row("abcd", "bd")) == Cached(40, 0, 0)
    assert cache.charge("m", row("abxyz", "by")) == Cached(20, 20, 0)
    assert cache.charge("m", row("bxyz", "y")) == Cached(0, 30, 0)  # it begins otherwise


def test_another_model_has_another_cache() -> None:
    cache = PromptCache(HandClock())
    cache.charge("m", row("ab", "b"))

    assert cache.charge("n", row("ab", "b")) == Cached(0, 20, 0)


def test_a_beginning_is_found_from_a_later_mark_that_is_near() -> None:
    cache = PromptCache(HandClock())
    cache.charge("m", row("a", "a"))
    near = [*row("a"), *(piece(f"n{n}") for n in range(19)), piece("end", 10, "5m")]
    far = [*row("a"), *(piece(f"f{n}") for n in range(20)), piece("end", 10, "5m")]

    assert cache.charge("m", near).read_tokens == 10
    assert cache.charge("m", far).read_tokens == 0


def test_what_is_not_read_is_forgotten_after_its_time() -> None:
    clock = HandClock()
    cache = PromptCache(clock)
    assert cache.charge("m", row("ab", "Ab")) == Cached(0, 10, 10)

    clock.move(299)
    assert cache.charge("m", row("ab", "Ab")) == Cached(20, 0, 0)
    clock.move(299)  # reading kept it
    assert cache.charge("m", row("ab", "Ab")) == Cached(20, 0, 0)
    clock.move(301)
    assert cache.charge("m", row("ab", "Ab")) == Cached(10, 10, 0)
    clock.move(3601)
    assert cache.charge("m", row("ab", "Ab")) == Cached(0, 10, 10)


def test_the_oldest_are_forgotten_where_there_are_too_many() -> None:
    cache = PromptCache(HandClock())
    for number in range(1025):
        cache.charge("m", [piece(str(number), 10, "5m")])

    assert cache.charge("m", [piece("0", 10, "5m")]).read_tokens == 0
    assert cache.charge("m", [piece("1024", 10, "5m")]).read_tokens == 10


@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=6), max_size=12))
def test_read_and_written_are_the_tokens_up_to_the_last_mark(prompts: list[list[tuple[str, bool]]]) -> None:
    cache = PromptCache(HandClock())
    for prompt in prompts:
        pieces = [piece(name, 7, "5m" if is_marked else None) for name, is_marked in prompt]
        last = max((place for place, (_, is_marked) in enumerate(prompt) if is_marked), default=-1)

        cached = cache.charge("m", pieces)

        assert cached.read_tokens + cached.written_5m_tokens + cached.written_1h_tokens == 7 * (last + 1)
        assert cache.charge("m", pieces) == Cached(7 * (last + 1), 0, 0)
