"""Items as conversations keep them: with ids of their own, what is searched of them, what is shown of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from typing import Any, cast

from frontdesk.core.errors import BadRequest
from frontdesk.core.ids import new_id
from frontdesk.wire.openai_listed_items import listed_input
from frontdesk.wire.refusing import wrong

Json = dict[str, Any]

_MOST_WORDS_CHARS = 32_000
_WORDS_AT_ONCE_CHARS = 4 * _MOST_WORDS_CHARS
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LOGPROBS, _SEALED = "message.output_text.logprobs", "reasoning.encrypted_content"


def check_kept(items: Sequence[Json], where: str) -> None:
    """Raise BadRequest for the first item that cannot be kept; `where` is what the request calls them."""
    seen: set[str] = set()
    for position, item in enumerate(items):
        if item["type"] == "item_reference":
            raise BadRequest(
                "A reference cannot be kept in a conversation. Send the item itself.",
                code="unsupported_item",
                param=f"{where}[{position}]",
            )
        if item["id"] in seen:
            raise taken(f"{where}[{position}].id", item["id"])
        seen.add(item["id"])


def with_free_ids(items: Sequence[Json], used: Collection[str]) -> list[Json]:
    """Items of an answer, each with an id that no other has: a provider may give the same ones again and again."""
    seen = set(used)
    kept: list[Json] = []
    for item in items:
        if item["id"] in seen or not _ID.fullmatch(item["id"]):
            (named,) = listed_input([{**item, "id": None}], new_id(""))
            item = {**item, "id": named["id"]}  # noqa: PLW2901 - the same item
        seen.add(item["id"])
        kept.append(item)
    return kept


def taken(param: str, item_id: str) -> BadRequest:
    """The error for an id that another item of the conversation has, or had."""
    return wrong(
        param,
        f"The conversation has an item {item_id!r} already. Leave out the id, or the item where it is the same.",
        "item_exists",
    )


def words_of(item: Json) -> str | None:
    """What is searched of an item: the words of a message and the names of its files. None where it has none."""
    text = folded(" ".join(_texts(item)))[:_MOST_WORDS_CHARS]
    return text or None


def first_words(item: Json, most_chars: int) -> str:
    """How a message begins, in one line."""
    return " ".join(" ".join(_texts(item))[: 4 * most_chars].split())[:most_chars]


def title_line(title: str | None) -> str | None:
    """A conversation's title as it is kept: one line. Raises BadRequest for what nobody sees."""
    if title is None:
        return None
    line = " ".join(title.split())
    if not line or not line.isprintable():
        raise wrong("title", "'title' must be a line of text, without characters that nobody sees. Null takes it away.")
    return line


def folded(text: str) -> str:
    """A text as it is searched: letters whatever their case and form, one space between words."""
    text = unicodedata.normalize("NFKC", text[:_WORDS_AT_ONCE_CHARS]).casefold()
    # No text of PostgreSQL's holds this one.
    return " ".join(unicodedata.normalize("NFKC", text).replace("\0", " ").split())


def pattern_of(words: str) -> str:
    r"""What `LIKE .. ESCAPE '\'` finds a text by that has these words in it."""
    escaped = re.sub(r"([\\%_])", r"\\\1", folded(words))
    return f"%{escaped}%"


def shown(item: Json, include: Collection[str]) -> Json:
    """An item without what is told only to those who ask for it."""
    if item.get("type") == "reasoning" and _SEALED not in include:
        return {name: value for name, value in item.items() if name != "encrypted_content"}
    if item.get("type") != "message" or _LOGPROBS in include:
        return item
    return {**item, "content": [_without_logprobs(part) for part in item["content"]]}


def _without_logprobs(part: Json) -> Json:
    return {**part, "logprobs": []} if part.get("logprobs") else part


def _texts(item: Json) -> Iterator[str]:
    if item.get("type", "message") != "message":
        return
    content = item.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in cast("list[Any]", content):
            if isinstance(part, dict):
                yield from _texts_of_part(cast("Json", part))


def _texts_of_part(part: Json) -> Iterator[str]:
    for name in ("text", "refusal", "filename"):
        value = part.get(name)
        if isinstance(value, str):
            yield value
