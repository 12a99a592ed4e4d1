"""Texts in tokens: exactly where the vocabulary is known, each text once; else by what providers told before."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.tokens.texts import TextTokens, about
from frontdesk.tokens.vocabularies import UNKNOWN, Framing, Vocabulary
from frontdesk.turn.events import Usage
from frontdesk.turn.items import EmbeddingRequest, Message, Prompt
from frontdesk.turn.sizes import measure
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock

WORDS = Vocabulary("words", Framing(), lambda text: len(text.split()))
PUBLISHED = Vocabulary("o200k_base", Framing())
FROM_FILE = Vocabulary("gguf:/models/some.gguf", Framing())
MODELS = {"play": WORDS, "gpt": PUBLISHED, "gpt-too": PUBLISHED, "small": FROM_FILE, "other": UNKNOWN}


class Elsewhere:
    """Counts characters, or cannot."""

    def __init__(self) -> None:
        self.can_count = True
        self.asked: list[tuple[str, list[str]]] = []

    async def count_each(self, texts: Sequence[str], encoding: str) -> list[int] | None:
        self.asked.append((encoding, list(texts)))
        return [len(text) for text in texts] if self.can_count else None


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def tokens(elsewhere: Elsewhere, clock: HandClock) -> TextTokens:
    return TextTokens(MODELS, elsewhere, clock)


async def count(tokens: TextTokens, model: str, *texts: str) -> list[int]:
    counted = tokens.count(model, texts)
    return counted if isinstance(counted, list) else await counted


# --- counting -----------------------------------------------------------------------------------


def test_what_is_counted_here_is_known_at_once(tokens: TextTokens) -> None:
    assert tokens.count("play", ["one two", "", "one two", "three"]) == [2, 0, 2, 1]


async def test_what_is_counted_elsewhere_is_asked_once_and_known_from_then_on(
    tokens: TextTokens, elsewhere: Elsewhere
) -> None:
    assert await count(tokens, "gpt", "a", "bb", "a", "") == [1, 2, 1, 0]
    assert tokens.count("gpt-too", ["bb", "a"]) == [2, 1]
    assert await count(tokens, "gpt", "bb", "ccc") == [2, 3]
    assert await count(tokens, "small", "bb") == [2]

    assert elsewhere.asked == [("o200k_base", ["a", "bb", ""]), ("o200k_base", ["ccc"]), (FROM_FILE.name, ["bb"])]


async def test_much_is_asked_in_portions_none_of_which_is_long(tokens: TextTokens, elsewhere: Elsewhere) -> None:
    long = [str(number) * 200_000 for number in range(5)]
    many = [f"text {number}" for number in range(2_500)]

    assert await count(tokens, "gpt", *long, *many) == [len(text) for text in (*long, *many)]
    assert all(sum(map(len, texts)) <= 512 * 1024 and len(texts) <= 2_000 for _, texts in elsewhere.asked)


async def test_half_a_surrogate_pair_costs_only_itself(tokens: TextTokens, elsewhere: Elsewhere) -> None:
    assert await count(tokens, "gpt", "fine", "half \ud83d", "é") == [4, 6, 1]
    assert elsewhere.asked[0][1] == ["fine", "half ?", "é"]


async def test_what_cannot_be_counted_now_is_estimated_and_tried_again_later(
    tokens: TextTokens, elsewhere: Elsewhere, clock: HandClock
) -> None:
    assert await count(tokens, "gpt", "known") == [5]
    elsewhere.can_count = False

    assert await count(tokens, "gpt", "known", "x" * 30) == [5, 10]
    assert await count(tokens, "gpt", "y" * 60) == [20]
    assert len(elsewhere.asked) == 2  # nobody waits for it again
    assert not tokens.is_exact("gpt")
    assert tokens.is_exact("small")

    clock.move(31)
    elsewhere.can_count = True
    assert await count(tokens, "gpt", "x" * 30) == [30]
    assert tokens.is_exact("gpt")


def test_a_model_that_nobody_configured_is_estimated(tokens: TextTokens) -> None:
    assert tokens.count("never heard of", ["x" * 30]) == [10]
    assert not tokens.is_exact("never heard of")


# --- what is remembered -------------------------------------------------------------------------


async def test_memory_has_a_bound(elsewhere: Elsewhere, clock: HandClock) -> None:
    tokens = TextTokens(MODELS, elsewhere, clock, most_bytes=16 * 400)
    for number in range(100):
        text = f"{number:010}"
        await count(tokens, "gpt" if number % 3 else "play", text)
        assert tokens.size_bytes <= 16 * 400
        assert tokens.count("gpt" if number % 3 else "play", [text]) == [10 if number % 3 else 1]

    asked = len(elsewhere.asked)
    await count(tokens, "gpt", "0000000001")  # the oldest was forgotten
    assert len(elsewhere.asked) == asked + 1
    await count(tokens, "gpt", "x" * 500)  # one that is large beside all others is not kept
    await count(tokens, "gpt", "x" * 500)
    assert len(elsewhere.asked) == asked + 3


async def test_only_what_is_counted_alike_everywhere_is_worth_storing(tokens: TextTokens) -> None:
    for model in ("play", "small"):
        await count(tokens, model, "text")
    assert tokens.counted("text") is None

    await count(tokens, "gpt", "text")
    assert tokens.counted("text") == ("o200k_base", 4)


async def test_what_was_stored_is_not_counted_again(tokens: TextTokens, elsewhere: Elsewhere) -> None:
    tokens.know("o200k_base", "text", 99)

    assert tokens.count("gpt", ["text"]) == [99]
    assert elsewhere.asked == []


# --- estimates ----------------------------------------------------------------------------------


@given(reports=st.lists(st.tuples(st.integers(-5, 10**7), st.integers(-5, 10**8)), max_size=50))
def test_no_report_leads_beyond_the_bounds(reports: list[tuple[int, int]]) -> None:
    tokens = TextTokens(MODELS, Elsewhere(), HandClock())
    for estimated, reported in reports:
        tokens.learn("other", estimated, reported)

    assert 0.25 <= tokens.ratio_of("other") <= 4.0
    assert tokens.count("other", [""]) == [0]


@pytest.mark.parametrize("ratio", [0.5, 0.75, 1.3, 2.0])
def test_estimates_come_to_what_a_provider_reports(tokens: TextTokens, ratio: float) -> None:
    for estimated in (500, 12_000, 3_000, 9_000) * 30:
        tokens.learn("other", estimated, int(estimated * ratio))

    (told,) = tokens.count("other", ["x" * 30_000])  # type: ignore[misc] - nobody is asked
    assert told == pytest.approx(10_000 * ratio, rel=0.01)
    assert tokens.ratio_of("gpt") == 1.0


def test_of_what_is_counted_and_of_what_is_not_configured_nothing_is_learnt(tokens: TextTokens) -> None:
    for model in ("gpt", "play", "never heard of"):
        for _ in range(50):
            tokens.learn(model, 10_000, 20_000)
        assert tokens.ratio_of(model) == 1.0


def test_a_turn_that_has_ended_teaches_what_its_provider_reported(tokens: TextTokens, clock: HandClock) -> None:
    prompt = Prompt([Message("user", "x" * 60_000)])
    estimated = measure(prompt).estimate

    def ended(usage: Usage | None, request: Prompt | EmbeddingRequest = prompt) -> float:
        turn = Turn("chat", Caller("user", "sess_1"), "other", request, clock)
        turn.usage = usage
        tokens.hear(turn)
        return tokens.ratio_of("other")

    assert ended(None) == 1.0
    assert ended(Usage(estimated * 2, 1, source="counted")) == 1.0
    assert ended(Usage(estimated * 2, 1, image_input_tokens=9)) == 1.0
    assert ended(Usage(estimated * 2, 1), EmbeddingRequest(["x"])) == 1.0
    assert 1.5 < ended(Usage(estimated * 2, 1)) < 2.0


@given(text=st.text())
def test_an_estimate_is_a_token_for_three_bytes(text: str) -> None:
    assert about(text) == -(-len(text.encode("utf-8", "surrogatepass")) // 3)
