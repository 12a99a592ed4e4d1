"""What is counted is what the package itself makes of a text; a count is never less, and never more than its bytes."""

from __future__ import annotations

from typing import Any, get_args

import bpe_openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.local.frames import Answer, Count, Counted, Done
from frontdesk.local.worker import Ticket
from frontdesk.tokens.encodings import Encoding
from frontdesk.tokens.worker import Counter, load_vocabulary

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
SPECIAL = ["<|endoftext|>", "<|endofprompt|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|im_start|>"]
# As people write, and as they do not: any character that UTF-8 has, blanks, digits, other scripts, special tokens.
WORDS = st.sampled_from(
    [
        "the",
        "don't",
        " ",
        "  ",
        "\n",
        "\r\n\r\n",
        "\t",
        "2026",
        "3.14",
        "Straße",
        "日本語",
        "🏳️‍🌈",
        "é",
        "\x00",
        "{",
        *SPECIAL,
    ]
)
ANY = st.text(st.characters(codec="utf-8"), max_size=30)
TEXTS = st.lists(WORDS | ANY, max_size=30).map("".join)

pytestmark = pytest.mark.filterwarnings("ignore:open_binary is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def counter() -> Counter:
    return Counter()


def counted(counter: Counter, texts: list[str], encoding: str) -> int:
    said: list[Answer] = []
    work = counter.begin(Count(7, [text.encode() for text in texts], encoding), Ticket(), said.append)
    while not work.step():
        pass
    answer, done = said
    assert done == Done(7)
    assert isinstance(answer, Counted)
    assert answer.job_id == 7
    assert len(answer.tokens) == len(texts)
    return sum(answer.tokens)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_a_count_is_that_of_the_plain_text_and_at_most_its_bytes(counter: Counter, encoding: Encoding, text: str):
    plain: Any = bpe_openai.get_encoding(encoding)

    tokens = counted(counter, [text], encoding)

    assert tokens == len(plain.encode_ordinary(text))
    assert tokens <= len(text.encode())


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=50, deadline=None)
@given(text=TEXTS, special=st.sampled_from(SPECIAL), more=TEXTS)
def test_special_tokens_in_a_text_are_never_undercounted(
    counter: Counter, encoding: Encoding, text: str, special: str, more: str
):
    """Whether a provider takes them for the token or for text."""
    plain: Any = bpe_openai.get_encoding(encoding)
    whole = text + special + more

    tokens = counted(counter, [whole], encoding)

    assert tokens >= len(plain.encode(whole, allowed_special="all"))
    assert tokens >= len(plain.encode(whole, disallowed_special=()))


@pytest.mark.parametrize(
    ("encoding", "text", "tokens"),
    [
        ("cl100k_base", "hello world", 2),
        ("cl100k_base", "tiktoken is great!", 6),
        ("o200k_base", "hello world", 2),
        ("o200k_base", "antidisestablishmentarianism", 6),
        ("cl100k_base", "antidisestablishmentarianism", 6),
        ("cl100k_base", "お誕生日おめでとう", 9),
        ("o200k_base", "お誕生日おめでとう", 8),
        ("cl100k_base", "2 + 2 = 4", 7),
    ],
)
def test_counts_that_openai_publishes(counter: Counter, encoding: str, text: str, tokens: int):
    """See https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken."""
    assert counted(counter, [text], encoding) == tokens


def test_texts_are_counted_each_by_itself_and_in_order(counter: Counter):
    said: list[Answer] = []
    work = counter.begin(Count(1, [b"one", b"two words", b"", b"and three more"], "o200k_base"), Ticket(), said.append)
    while not work.step():
        pass

    assert said == [Counted(1, [1, 2, 0, 3]), Done(1)]


@pytest.mark.parametrize("text", ["a", " ", "1", "a ", "\n", "\x00", "日", "🏳️‍🌈"])
def test_a_long_text_is_counted_whole(counter: Counter, text: str):
    """The front of the package refuses a million characters."""
    long = text * (1_200_000 // len(text))

    assert 1_000 < counted(counter, [long], "o200k_base") <= len(long.encode())


def test_a_cancelled_count_ends_and_says_nothing(counter: Counter):
    said: list[Answer] = []
    ticket = Ticket()
    work = counter.begin(Count(1, [b"one", b"two"], "o200k_base"), ticket, said.append)
    assert not work.step()
    ticket.is_cancelled = True

    assert work.step()
    assert said == []


def test_a_vocabulary_that_is_not_known_fails_its_job():
    with pytest.raises(ValueError):
        load_vocabulary("p50k_unknown")
