"""The scripted provider: deterministic answers in process, chosen by the model's name.

For tests, for trying an app without a model, and for showing failures on purpose:

    echo            the last message of the user, word by word
    words-N         N words, one event list each
    slow            as echo, with a pause before every word (50 ms; slow-MS for another)
    error-STATUS    fails before the first event, as a provider with that status would
    break-N         N words, then the connection breaks
    silent          never answers
    length          stops for its length; refusal declines; thinking thinks aloud first

It is obedient: with a JSON schema the answer fits it, with tools that must be called it calls the
one that is demanded, or the first. It embeds texts by their letters, in 64 dimensions or as many as asked for.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from array import array
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.core.ids import new_id
from frontdesk.providers.schema_sample import sample
from frontdesk.turn.events import (
    ChoiceFinished,
    EmbeddingsProduced,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import EmbeddingRequest, Message, Prompt, Request, Text, ToolOutput

_MODEL = re.compile(r"(?P<script>[a-z]+)(?:-(?P<number>\d+))?")
_DEFAULT_PAUSE_MS = 50
_DIMENSIONS = 64
_MAX_DIMENSIONS = 4096


class ScriptedProvider:
    """Plays the script that the model's name asks for."""

    def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        """Yield the script's events; an unknown script is a BadRequest."""
        if isinstance(request, EmbeddingRequest):
            return _embed(request)
        match = _MODEL.fullmatch(model)
        script = _SCRIPTS.get(match["script"]) if match else None
        if match is None or script is None:
            raise BadRequest(
                f"The scripted provider has no script {model!r}. Known: {', '.join(_SCRIPTS)}.", param="model"
            )
        return script(request, int(match["number"]) if match["number"] else None)


async def _echo(prompt: Prompt, number: int | None) -> AsyncGenerator[list[Event], None]:  # noqa: ARG001
    for batch in _answer(prompt):
        yield batch


async def _slow(prompt: Prompt, number: int | None) -> AsyncGenerator[list[Event], None]:
    pause_s = (_DEFAULT_PAUSE_MS if number is None else number) / 1000
    for batch in _answer(prompt):
        await asyncio.sleep(pause_s)
        yield batch


async def _words(prompt: Prompt, number: int | None) -> AsyncGenerator[list[Event], None]:
    count = 100 if number is None else number
    for batch in _message(prompt, [f"word{place} " for place in range(count)]):
        yield batch


def _error(prompt: Prompt, number: int | None) -> AsyncGenerator[list[Event], None]:  # noqa: ARG001
    status = 500 if number is None else number
    if status == 400:
        return _failing(BadRequest("The scripted provider refuses this request, as asked.", code="scripted_refusal"))
    is_timeout, is_busy = status in (408, 504), status in (429, 529)
    return _failing(
        ProviderError(
            f"scripted failure with status {status}",
            status=504 if is_timeout else 503 if is_busy else 502,
            code="provider_timeout" if is_timeout else "provider_busy" if is_busy else None,
            upstream_status=status,
            retry_after_s=1 if is_busy else None,
        )
    )


async def _failing(error: Exception) -> AsyncGenerator[list[Event], None]:
    nothing: tuple[list[Event], ...] = ()
    for batch in nothing:
        yield batch
    raise error


async def _break(prompt: Prompt, number: int | None) -> AsyncGenerator[list[Event], None]:
    batches = _message(prompt, [f"word{place} " for place in range(5 if number is None else number)])
    for batch in batches:
        if any(isinstance(event, ItemFinished) for event in batch):
            raise ProviderError("scripted break")
        yield batch


async def _silent(prompt: Prompt, number: int | None) -> AsyncGenerator[list[Event], None]:  # noqa: ARG001
    await asyncio.get_running_loop().create_future()
    yield []


async def _length(prompt: Prompt, number: int | None) -> AsyncGenerator[list[Event], None]:  # noqa: ARG001
    yield [MessageStarted(0, new_id("msg_")), TextDelta(0, "This goes on and")]
    yield [ChoiceFinished(0, "length"), _usage(prompt, 4), TurnIncomplete("max_output_tokens")]


async def _refusal(prompt: Prompt, number: int | None) -> AsyncGenerator[list[Event], None]:  # noqa: ARG001
    yield [MessageStarted(0, new_id("msg_")), RefusalDelta(0, "I cannot help "), RefusalDelta(0, "with that.")]
    yield [ItemFinished(0), ChoiceFinished(0, "stop"), _usage(prompt, 6), TurnCompleted()]


async def _thinking(prompt: Prompt, number: int | None) -> AsyncGenerator[list[Event], None]:  # noqa: ARG001
    yield [
        ReasoningStarted(0, new_id("rs_")),
        ReasoningDelta(0, "Let me "),
        ReasoningDelta(0, "think."),
        ItemFinished(0),
    ]
    for batch in _message(prompt, _pieces(_last_words(prompt)), output=1):
        yield batch


_SCRIPTS = {
    "echo": _echo,
    "words": _words,
    "slow": _slow,
    "error": _error,
    "break": _break,
    "silent": _silent,
    "length": _length,
    "refusal": _refusal,
    "thinking": _thinking,
}


def _answer(prompt: Prompt) -> Iterator[list[Event]]:
    """What an obedient model would say: a tool call, JSON, or the user's own words."""
    call = _demanded_call(prompt)
    if call is not None:
        yield from _call(prompt, *call)
    elif prompt.format is not None:
        schema = prompt.format.definition.get("schema", {"type": "object"})
        yield from _message(prompt, _pieces(json.dumps(sample(schema))))
    else:
        yield from _message(prompt, _pieces(_last_words(prompt)))


def _demanded_call(prompt: Prompt) -> tuple[str, str, dict[str, Any]] | None:
    """The tool to call: (kind, name, schema). "auto" calls the first until there is an output."""
    choice = prompt.tool_choice or "auto"
    if not prompt.tools or choice == "none":
        return None
    has_output = isinstance(prompt.items[-1], ToolOutput)
    if choice == "auto" and has_output:
        return None
    wanted = choice.get("name") if isinstance(choice, dict) else None
    for tool in prompt.tools:
        name = cast("str", tool.definition.get("name", tool.kind))
        if wanted in (None, name):
            return tool.kind, name, cast("dict[str, Any]", tool.definition.get("parameters") or {})
    raise BadRequest(f"'tool_choice' names {wanted!r}, which is no tool of this request.", param="tool_choice")


def _call(prompt: Prompt, kind: str, name: str, schema: dict[str, Any]) -> Iterator[list[Event]]:
    is_custom = kind == "custom"
    text = _last_words(prompt) if is_custom else json.dumps(sample(schema))
    item_id, call_id = new_id("ctc_" if is_custom else "fc_"), new_id("call_")
    yield [ToolCallStarted(0, item_id, call_id, name, "custom" if is_custom else "function")]
    for piece in _pieces(text):
        yield [ToolArgumentsDelta(0, piece)]
    yield [ItemFinished(0), ChoiceFinished(0, "tool_calls"), _usage(prompt, len(_pieces(text))), TurnCompleted()]


def _message(prompt: Prompt, pieces: list[str], output: int = 0) -> Iterator[list[Event]]:
    """One message a choice, cut where the caller's limit of tokens says; a piece is a token here."""
    limit = prompt.max_output_tokens
    is_cut = limit is not None and limit < len(pieces)
    pieces = pieces[:limit] if is_cut else pieces
    for choice in range(prompt.choices):
        place = output + choice
        yield [MessageStarted(place, new_id("msg_"), choice)]
        for piece in pieces:
            yield [TextDelta(place, piece)]
        yield [ChoiceFinished(choice, "length")] if is_cut else [ItemFinished(place), ChoiceFinished(choice, "stop")]
    yield [
        _usage(prompt, len(pieces) * prompt.choices),
        TurnIncomplete("max_output_tokens") if is_cut else TurnCompleted(),
    ]


def _pieces(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def _last_words(prompt: Prompt) -> str:
    for item in reversed(prompt.items):
        content = item.content if isinstance(item, Message) else item.output if isinstance(item, ToolOutput) else None
        if isinstance(content, str):
            return content
        if content is not None:
            return " ".join(part.text for part in content if isinstance(part, Text))
    return ""


def _usage(prompt: Prompt, output_tokens: int) -> UsageReported:
    """A word is a token."""
    words = sum(
        len(item.content.split())
        for item in prompt.items
        if isinstance(item, Message) and isinstance(item.content, str)
    )
    return UsageReported(Usage(input_tokens=words, output_tokens=output_tokens, raw={"scripted": True}))


async def _embed(request: EmbeddingRequest) -> AsyncGenerator[list[Event], None]:
    dimensions = request.dimensions or _DIMENSIONS
    if dimensions > _MAX_DIMENSIONS:
        raise BadRequest(
            f"'dimensions' is {dimensions}. The scripted provider has at most {_MAX_DIMENSIONS}.", param="dimensions"
        )
    vectors = [_vector(str(given), dimensions) for given in request.inputs]
    usage = Usage(input_tokens=sum(len(str(given).split()) for given in request.inputs), output_tokens=0)
    yield [EmbeddingsProduced(vectors), UsageReported(usage), TurnCompleted()]


def _vector(text: str, dimensions: int) -> bytes:
    counts: dict[int, int] = {}
    for place, byte in enumerate(text.encode()):
        letter = (byte * 31 + place) % dimensions
        counts[letter] = counts.get(letter, 0) + 1
    length = math.sqrt(sum(count * count for count in counts.values())) or 1.0
    vector = array("f", bytes(4 * dimensions))
    for letter, count in counts.items():
        vector[letter] = count / length
    return vector.tobytes()
