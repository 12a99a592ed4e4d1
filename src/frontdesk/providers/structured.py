"""Structured output from models that cannot be held to a schema: told in words, read leniently, checked, or failed.

    told_format      the words that ask for it
    told_prompt      a prompt that has them among its instructions
    held_to          the answer's events, held back until it is whole: then its text fits, or it is a ProviderError

What a model writes around its JSON (a fence, a greeting, its thoughts) and small slips (a comma too many, a bracket
too few, a line end within a text) are put right where only one thing can be meant. All else is the provider's
failure, so that it, or another one, is asked again.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from frontdesk.core.errors import ProviderError
from frontdesk.providers.structured_schema import Schema, TooComplex
from frontdesk.turn.events import (
    TERMINAL_TYPES,
    AnswerDescribed,
    ChoiceFinished,
    Event,
    MessageStarted,
    ReasoningStarted,
    RefusalDelta,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from frontdesk.turn.items import Format, Prompt

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_MOST_CHARS = 4 * 1024 * 1024  # of one answer


def told_format(form: Format) -> str:
    """The words that ask for a format."""
    words = "Answer with JSON alone: no other words, no code fence."
    if form.kind == "json_object":
        return f"{words} It is an object."
    about = form.definition.get("description")
    purpose = f" It is {about}" if isinstance(about, str) and about else ""
    return f"{words}{purpose} It must fit this JSON schema:\n{_encode(_schema_of(form)).decode()}"


def told_prompt(prompt: Prompt, form: Format, *, native: Format | None) -> Prompt:
    """The prompt with a format told in its instructions. `native` is the format that is asked for besides, if any."""
    words = told_format(form)
    instructions = words if prompt.instructions is None else f"{prompt.instructions}\n\n{words}"
    return msgspec.structs.replace(prompt, instructions=instructions, format=native)


def schema_of_format(form: Format) -> Schema:
    """The schema that answers are held to. Raises BadRequest (`invalid_schema`) where it is none."""
    return Schema(_schema_of(form))


async def held_to(schema: Schema, batches: AsyncGenerator[list[Event], None]) -> AsyncGenerator[list[Event], None]:
    """Yield an answer whose text fits, once it is whole; before that, only that items begin.

    Raises ProviderError (`invalid_structured_output`) where it does not fit. An answer that was cut short, that was
    declined, or that calls tools is told as it came.
    """
    held = _Held(schema)
    async with aclosing(batches):
        async for batch in batches:
            events = held.take(batch)
            if events:
                yield events
            if held.error is not None:
                raise held.error


def _schema_of(form: Format) -> Any:
    return {"type": "object"} if form.kind == "json_object" else form.definition.get("schema", {})


# What says nothing to a reader: it is told at once, and whoever waits for a first sign has one.
_BEGINNINGS = frozenset({AnswerDescribed, MessageStarted, ReasoningStarted, ToolCallStarted})


class _Held:
    """The events of one answer that wait for its end. `error` is set where it does not fit."""

    __slots__ = ("_chars", "_declined", "_events", "_messages", "_reasons", "_schema", "error")

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._events: list[Event] = []
        self._messages: dict[int, _Text] = {}
        self._declined: set[int] = set()  # choices
        self._reasons: dict[int, str] = {}
        self._chars = 0
        self.error: ProviderError | None = None

    def take(self, batch: list[Event]) -> list[Event]:
        """Return what may be told now."""
        told: list[Event] = []
        for event in batch:
            if type(event) in _BEGINNINGS:
                told.append(event)
                if isinstance(event, MessageStarted):
                    self._messages[event.output] = _Text(event.choice)
                continue
            self._hold(event)
            if type(event) in TERMINAL_TYPES:
                told += self._released()
        return told

    def _hold(self, event: Event) -> None:
        self._events.append(event)
        match event:
            case TextDelta():
                self._messages[event.output].pieces.append(event.text)
                self._chars += len(event.text)
                if self._chars > _MOST_CHARS:
                    self.error = ProviderError(f"the answer is longer than {_MOST_CHARS} characters")
            case RefusalDelta():
                self._declined.add(self._messages[event.output].choice)
            case ChoiceFinished():
                self._reasons[event.choice] = event.reason
            case _:
                pass

    def _released(self) -> list[Event]:
        last: dict[int, int] = {}  # the message of a choice that is its answer: what it said before comments on it
        for output, text in self._messages.items():
            if text.words.strip() or text.choice not in last:
                last[text.choice] = output
        fitting: dict[int, str] = {}
        for choice, reason in self._reasons.items():
            if reason != "stop" or choice in self._declined:
                continue
            output = last.get(choice)
            words = None if output is None else fitted(self._messages[output].words, self._schema)
            if output is None or words is None:
                return self._failed()
            fitting[output] = words
        return self._with_texts(fitting)

    def _failed(self) -> list[Event]:
        """Only what it used: that is paid for."""
        self.error = ProviderError(
            "the answer does not fit the format that was asked for", code="invalid_structured_output"
        )
        return [event for event in self._events if isinstance(event, UsageReported)]

    def _with_texts(self, fitting: dict[int, str]) -> list[Event]:
        """The events, each message that was put right in one piece. Its log probabilities are of other words."""
        events: list[Event] = []
        for event in self._events:
            if isinstance(event, TextDelta) and event.output in fitting:
                text = self._messages[event.output]
                if text.words == fitting[event.output]:
                    events.append(event)
                elif not text.is_told:
                    text.is_told = True
                    events.append(TextDelta(event.output, fitting[event.output]))
            else:
                events.append(event)
        return events


class _Text:
    """What one message says."""

    __slots__ = ("choice", "is_told", "pieces")

    def __init__(self, choice: int) -> None:
        self.choice = choice
        self.pieces: list[str] = []
        self.is_told = False

    @property
    def words(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""


# --- reading leniently --------------------------------------------------------------------------

_THOUGHTS = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_BEGINS = re.compile(r"[{\[]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]|[^"{}\[\],]+', re.DOTALL)
_CLOSES = {"{": "}", "[": "]"}
_CONTROL = re.compile(r"[\x00-\x1f]")
_MOST_TOKENS = 300_000  # looked at in one text: some 0.2 s


def fitted(text: str, schema: Schema) -> str | None:
    """Return the JSON in a text that fits; None where there is none, or more than one that may be meant."""
    thoughts = _THOUGHTS.match(text)
    words = text[thoughts.end() if thoughts else 0 :].strip()
    whole = _decoded(words)
    if whole is not None:
        return (text if words == text else words) if _fits(whole, schema) else None
    found: list[str] = []
    mender = _Mender(words)
    place = 0
    while (begins := _BEGINS.search(words, place)) and mender.tokens_left > 0:
        candidate, end = mender.mended(begins.start())
        value = None if candidate is None else _decoded(candidate)
        if value is None:
            place = begins.end()  # a bracket of the words around it
            continue
        place = end
        if _fits(value, schema):
            found.append(candidate or "")
    return found[0] if len(set(found)) == 1 else None


class _Decoded(msgspec.Struct, frozen=True):
    """A value; null is one too."""

    value: Any


def _decoded(text: str) -> _Decoded | None:
    try:
        return _Decoded(_decode(text))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _fits(decoded: _Decoded, schema: Schema) -> bool:
    try:
        return schema.fits(decoded.value)
    except (RecursionError, TooComplex):
        return False


class _Mender:
    """Puts right what stands in a text from a bracket on. `tokens_left` bounds its work."""

    __slots__ = ("_text", "tokens_left")

    def __init__(self, text: str) -> None:
        self._text = text
        self.tokens_left = _MOST_TOKENS

    def mended(self, start: int) -> tuple[str | None, int]:
        """Return the object or list that begins at `start`, as JSON should have it, and where it ends.

        None where it cannot be told what is meant: an end within a text, a name, or a number that may go on.
        """
        pieces: list[str] = []
        open_brackets: list[str] = []
        place = start
        while (match := _TOKEN.match(self._text, place)) and self.tokens_left > 0:
            self.tokens_left -= 1
            token = match[0]
            place = match.end()
            if token in _CLOSES:
                open_brackets.append(token)
            elif token in ("}", "]"):
                if _CLOSES[open_brackets.pop()] != token:
                    return None, place
                _drop_comma(pieces)
            elif token[0] == '"':
                token = _CONTROL.sub(_escaped, token)
            pieces.append(token)
            if not open_brackets:
                return "".join(pieces), place
        if place < len(self._text) or not _may_end(pieces):
            return None, place
        _drop_comma(pieces)
        pieces.extend(_CLOSES[bracket] for bracket in reversed(open_brackets))
        return "".join(pieces), place


def _drop_comma(pieces: list[str]) -> None:
    """Take away a comma before a bracket that closes."""
    while pieces and not pieces[-1].strip():
        pieces.pop()
    if pieces and pieces[-1] == ",":
        pieces.pop()


def _may_end(pieces: list[str]) -> bool:
    """Whether a value surely ends here: a number may go on, a word too unless it is one of JSON's, and after a comma
    there was more to come.
    """
    last = next((piece.strip() for piece in reversed(pieces) if piece.strip()), "")
    if last and (last[0] == '"' or last in ("}", "]")):
        return True
    return last.lstrip(": ") in ("true", "false", "null")


def _escaped(match: re.Match[str]) -> str:
    return _encode(match[0]).decode()[1:-1]
