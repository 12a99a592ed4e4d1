"""The scripts of the scripted provider: what is said, without a clock and without a wire.

A script is chosen by name, and a number may follow:

    echo            the last message of the user, word by word
    words-N         N words
    varied-N        N words drawn by chance; the same ones for the same `seed`
    slow            as echo, with a pause before every word (50 ms; slow-MS for another)
    tools-all       as echo, but calls every tool that it may, not the first
    error-STATUS    fails before the first event, as a provider with that status would
    break-N         N words, then the connection breaks
    silent          never answers
    length          stops for its length; refusal declines
    filtered-N      stops for its content, after N words
    thinking        thinks aloud first, or in a summary, and sealed, where these are asked for

The answers are obedient: with a JSON schema the answer fits it, with tools that may be called it calls
the one that is demanded, or the first. Values that a schema leaves free come out of the user's last
message, where it has such (`schema_hints`). `n`, `stop`, the limit of tokens, `parallel_tool_calls` and log
probabilities are heeded. A word is a token, a picture 85 of them. Texts are embedded by their letters,
in 64 dimensions or as many as asked for. Judgements, transcripts, speech and pictures are in `media_scripts`.
"""

from __future__ import annotations

import base64
import functools
import itertools
import json
import math
import random
import re
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, cast

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.core.ids import new_id
from frontdesk.providers.directives import SCRIPT_NAME, unknown
from frontdesk.providers.media_scripts import media_batches, media_tokens, written_tokens
from frontdesk.providers.schema_hints import Hints, object_in
from frontdesk.providers.schema_sample import sample
from frontdesk.turn.events import (
    ChoiceFinished,
    Delta,
    EmbeddingsProduced,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import (
    EmbeddingRequest,
    Image,
    MediaRequest,
    Message,
    Part,
    Prompt,
    Request,
    Text,
    ToolCall,
    ToolOutput,
)
from frontdesk.turn.media_sizes import units_about

DELTAS = (TextDelta, RefusalDelta, ReasoningDelta, ReasoningSummaryDelta, ToolArgumentsDelta)
_DEFAULT_PACE_MS = 50
_DIMENSIONS = 64
_MAX_DIMENSIONS = 4096
_IMAGE_TOKENS = 85  # OpenAI's for one of low detail


class Outcome:
    """What an answer has come to so far; for what the events do not say. It fills while they are made."""

    __slots__ = ("is_cut", "stop_sequence", "thought_tokens", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self.thought_tokens = 0
        self.is_cut = False
        self.stop_sequence: str | None = None


class Performance(NamedTuple):
    """A script at work. After the batches comes the failure, or silence for ever, or nothing."""

    batches: Iterator[list[Event]]
    pace_s: float = 0.0
    failure: FrontdeskError | None = None
    is_silent: bool = False
    outcome: Outcome | None = None


def perform(request: Request, name: str, seed: int | None = None) -> Performance:
    """Begin the script of this name; raises BadRequest where there is none, or the request is wrong.

    Where the wrong only shows while the answer is made, the first batch raises.
    """
    match = SCRIPT_NAME.fullmatch(name)
    kind, number = (match["script"], match["number"]) if match else ("", None)
    count = None if number is None else int(number)
    if isinstance(request, EmbeddingRequest):  # a model for vectors may have any name
        return _SCRIPTS[kind](Prompt([]), count) if kind in _UNANSWERED else Performance(_embed(request))
    if not isinstance(request, Prompt):
        return _media(request, kind, count)
    if kind not in _SCRIPTS:
        error = unknown("script", name, list(_SCRIPTS))
        error.param = "model"
        raise error
    if kind == "varied":
        return _varied(request, count, seed)
    return _SCRIPTS[kind](request, count)


def is_script(name: str) -> bool:
    """Whether a script is called that."""
    match = SCRIPT_NAME.fullmatch(name)
    return match is not None and match["script"] in _SCRIPTS


def script_names() -> list[str]:
    """Return the names of all scripts, without numbers."""
    return list(_SCRIPTS)


def count_chunks(batch: list[Event]) -> int:
    """Return how many tokens a batch brings; what begins and ends an answer and its items brings none."""
    return sum(isinstance(event, DELTAS) for event in batch) or written_tokens(batch)


def count_input(request: Request) -> int:
    """Return the tokens of what is asked: a word is one."""
    if isinstance(request, EmbeddingRequest):
        return sum(len(str(given).split()) for given in request.inputs)
    if not isinstance(request, Prompt):
        return media_tokens(request)
    return len((request.instructions or "").split()) + sum(map(_tokens_of, request.items))


def count_units(request: Request) -> tuple[int, int, int]:
    """Return the seconds heard, the characters spoken and the pictures drawn for what is asked."""
    if isinstance(request, Prompt | EmbeddingRequest):
        return 0, 0, 0
    units = units_about(request)
    return units.audio_seconds, units.characters, units.images


# --- scripts ------------------------------------------------------------------------------------


def _echo(prompt: Prompt, number: int | None) -> Performance:  # noqa: ARG001
    return _performed(prompt, _answer(prompt))


def _words(prompt: Prompt, number: int | None) -> Performance:
    count = 100 if number is None else number
    return _performed(prompt, lambda _: [_text(prompt, _numbered(count))])


def _varied(prompt: Prompt, number: int | None, seed: int | None = None) -> Performance:
    count = 100 if number is None else number
    asked = prompt.parameters.get("seed", seed)

    def answer(choice: int) -> list[_Said]:
        chance = random.Random(None if asked is None else f"{asked}/{choice}")  # noqa: S311 - words, no secrets
        return [_text(prompt, (f"{chance.choice(_VOCABULARY)} " for _ in range(count)))]

    return _performed(prompt, answer)


_VOCABULARY = (
    "amber",
    "brook",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "inlet",
    "jetty",
    "knoll",
    "larch",
)


def _slow(prompt: Prompt, number: int | None) -> Performance:
    pace_s = (_DEFAULT_PACE_MS if number is None else number) / 1000
    return _performed(prompt, _answer(prompt))._replace(pace_s=pace_s)


def _tools_all(prompt: Prompt, number: int | None) -> Performance:  # noqa: ARG001
    is_parallel = prompt.parameters.get("parallel_tool_calls") is not False
    return _performed(prompt, _answer(prompt, most_calls=None if is_parallel else 1))


def _error(prompt: Prompt, number: int | None) -> Performance:  # noqa: ARG001
    return Performance(iter(()), failure=failure_of_status(500 if number is None else number))


def failure_of_status(status: int) -> FrontdeskError:
    """Return what a provider's answer with this status is to us."""
    if status == 400:
        return BadRequest("The scripted provider refuses this request, as asked.", code="scripted_refusal")
    is_timeout, is_busy = status in (408, 504), status in (429, 529)
    return ProviderError(
        f"scripted failure with status {status}",
        status=504 if is_timeout else 503 if is_busy else 502,
        code="provider_timeout" if is_timeout else "provider_busy" if is_busy else None,
        upstream_status=status,
        retry_after_s=1 if is_busy else None,
    )


def _break(prompt: Prompt, number: int | None) -> Performance:
    whole = _performed(prompt, lambda _: [_text(prompt, _numbered(5 if number is None else number))])
    begun = itertools.takewhile(
        lambda batch: not any(isinstance(event, ItemFinished) for event in batch), whole.batches
    )
    return whole._replace(batches=begun, failure=ProviderError("scripted break"))


def _silent(prompt: Prompt, number: int | None) -> Performance:  # noqa: ARG001
    return Performance(iter(()), is_silent=True)


def _length(prompt: Prompt, number: int | None) -> Performance:  # noqa: ARG001
    return _performed(prompt, lambda _: [_text(prompt, _pieces("This goes on and on"))], limit=4)


def _filtered(prompt: Prompt, number: int | None) -> Performance:
    words = _pieces("This is") if number is None else list(_numbered(number))
    return _performed(prompt, lambda _: [_text(prompt, words)], reason="content_filter")


def _refusal(prompt: Prompt, number: int | None) -> Performance:  # noqa: ARG001
    return _performed(prompt, lambda _: [_Said(_message, _pieces("I cannot help with that."), RefusalDelta)])


def _thinking(prompt: Prompt, number: int | None) -> Performance:  # noqa: ARG001
    answer = _answer(prompt)
    if prompt.reasoning_effort == "none":
        return _performed(prompt, answer)
    return _performed(prompt, lambda choice: [_thought(prompt), *answer(choice)])


_SCRIPTS: dict[str, Callable[[Prompt, int | None], Performance]] = {
    "echo": _echo,
    "words": _words,
    "varied": _varied,
    "slow": _slow,
    "tools-all": _tools_all,
    "error": _error,
    "break": _break,
    "silent": _silent,
    "length": _length,
    "filtered": _filtered,
    "refusal": _refusal,
    "thinking": _thinking,
}
_UNANSWERED = ("error", "silent")


# --- what is said -------------------------------------------------------------------------------


class _Said(NamedTuple):
    """An item of an answer: how it begins, its pieces, each a token, and how it ends."""

    begin: Callable[[int, int], list[Event]]  # output and choice
    pieces: Iterable[str]
    delta: Callable[[int, str], Delta]
    end: Callable[[int], list[Event]] = lambda _: []
    is_thought: bool = False
    stop_sequence: str | None = None  # what the pieces end before


_Answer = Callable[[int], list[_Said]]  # the items of a choice
_Called = tuple[str, str, dict[str, Any]]  # kind, name and schema of a tool
_Reason = Literal["stop", "content_filter"]


def _answer(prompt: Prompt, most_calls: int | None = 1) -> _Answer:
    """What an obedient model would say: tool calls, JSON, or the user's own words."""
    calls = _calls(prompt)[:most_calls]
    if calls:
        arguments = functools.cache(lambda: _arguments(prompt, calls))
        return lambda _: [_call(kind, name, text) for (kind, name, _), text in zip(calls, arguments(), strict=True)]
    if prompt.format is None:
        return lambda _: [_text(prompt, _pieces(_last_words(prompt)))]
    definition = prompt.format.definition
    made = functools.cache(lambda: _object(prompt, definition))
    return lambda _: [_text(prompt, _pieces(made()))]


def _object(prompt: Prompt, definition: dict[str, Any]) -> str:
    asked = _asked(prompt)
    value = sample(definition["schema"], Hints(asked)) if "schema" in definition else object_in(asked)
    return json.dumps(value, ensure_ascii=False)


def _arguments(prompt: Prompt, calls: list[_Called]) -> list[str]:
    """What each tool is called with: a value of the prompt goes to one of them, the names of tools to none."""
    hints = Hints(_asked(prompt))
    hints.expect({name for _, name, _ in _callable(prompt)})
    return [
        _last_words(prompt) if kind == "custom" else json.dumps(sample(schema, hints), ensure_ascii=False)
        for kind, _, schema in calls
    ]


def _calls(prompt: Prompt) -> list[_Called]:
    """The tools to call. Under "auto" none once there is an output."""
    choice = prompt.tool_choice or "auto"
    allowed: Any = None
    if isinstance(choice, dict):
        named = choice.get("type") in ("function", "custom")
        allowed = [choice.get("name")] if named else [tool.get("name") for tool in choice.get("tools") or ()]
        choice = "required" if named else choice.get("mode", "auto")
    if choice == "none" or (choice == "auto" and prompt.items and isinstance(prompt.items[-1], ToolOutput)):
        return []
    calls = [called for called in _callable(prompt) if not allowed or called[1] in allowed]
    if allowed and not calls:
        raise BadRequest(f"'tool_choice' names {allowed[0]!r}, which is no tool of this request.", param="tool_choice")
    return calls


def _callable(prompt: Prompt) -> list[_Called]:
    return [
        (
            tool.kind,
            cast("str", tool.definition["name"]),
            cast("dict[str, Any]", tool.definition.get("parameters") or {}),
        )
        for tool in prompt.tools
        if tool.kind in ("function", "custom")
    ]


def _call(kind: str, name: str, text: str) -> _Said:
    is_custom = kind == "custom"

    def begin(output: int, choice: int) -> list[Event]:
        item_id, call_id = new_id("ctc_" if is_custom else "fc_"), new_id("call_")
        return [ToolCallStarted(output, item_id, call_id, name, "custom" if is_custom else "function", choice)]

    return _Said(begin, _pieces(text), ToolArgumentsDelta)


def _text(prompt: Prompt, pieces: Iterable[str]) -> _Said:
    stop, met = prompt.parameters.get("stop"), None
    if stop:
        text, met = _before(cast("list[str]", [stop] if isinstance(stop, str) else stop), "".join(pieces))
        pieces = _pieces(text)
    alternatives = _alternatives(prompt)
    if alternatives is None:
        return _Said(_message, pieces, TextDelta, stop_sequence=met)

    def delta(output: int, token: str) -> Delta:
        return TextDelta(output, token, [_logprob(token, alternatives)])

    return _Said(_message, pieces, delta, stop_sequence=met)


def _message(output: int, choice: int) -> list[Event]:
    return [MessageStarted(output, new_id("msg_"), choice)]


def _thought(prompt: Prompt) -> _Said:
    """Thoughts aloud, as open models send them; as a summary instead where one is asked for."""
    has_summary = prompt.reasoning_summary is not None
    is_sealed = "reasoning.encrypted_content" in prompt.include
    words = "Let me think."

    def begin(output: int, choice: int) -> list[Event]:
        started: list[Event] = [ReasoningStarted(output, new_id("rs_"), choice)]
        return [*started, ReasoningSummaryStarted(output)] if has_summary else started

    def end(output: int) -> list[Event]:
        return [ReasoningEncrypted(output, base64.b64encode(words.encode()).decode())] if is_sealed else []

    delta = ReasoningSummaryDelta if has_summary else ReasoningDelta
    return _Said(begin, _pieces(words), delta, end, is_thought=True)


def _performed(prompt: Prompt, answer: _Answer, *, reason: _Reason = "stop", limit: int | None = None) -> Performance:
    outcome = Outcome()
    return Performance(_speak(prompt, answer, outcome, reason, limit), outcome=outcome)


def _speak(
    prompt: Prompt, answer: _Answer, outcome: Outcome, reason: _Reason, limit: int | None
) -> Iterator[list[Event]]:
    """Say all choices at the same time, a token each in turn, then what they came to."""
    outputs = itertools.count()
    limits = [each for each in (prompt.max_output_tokens, limit) if each is not None]
    limit = min(limits, default=None)
    voices = [_voice(choice, answer(choice), limit, reason, outputs, outcome) for choice in range(prompt.choices)]
    while voices:
        for voice in list(voices):
            batch = next(voice, None)
            if batch is None:
                voices.remove(voice)
            else:
                yield batch
    usage = Usage(count_input(prompt), outcome.tokens, cached_tokens=0, reasoning_tokens=outcome.thought_tokens)
    end = TurnCompleted()
    if outcome.is_cut:
        end = TurnIncomplete("max_output_tokens")
    elif reason == "content_filter":
        end = TurnIncomplete("content_filter")
    yield [UsageReported(usage), end]


def _voice(
    choice: int, items: list[_Said], limit: int | None, reason: _Reason, outputs: Iterator[int], outcome: Outcome
) -> Iterator[list[Event]]:
    said = 0
    ended: list[Event] = []  # of the item before; it leaves with what comes next
    has_called = False
    for item in items:
        output = next(outputs)
        begun = item.begin(output, choice)
        has_called = has_called or isinstance(begun[0], ToolCallStarted)
        yield [*ended, *begun]
        for piece in item.pieces:
            if said == limit:
                outcome.is_cut = True
                yield [ChoiceFinished(choice, "length")]
                return
            said += 1
            outcome.tokens += 1
            outcome.thought_tokens += item.is_thought
            yield [item.delta(output, piece)]
        outcome.stop_sequence = item.stop_sequence
        ended = [*item.end(output), ItemFinished(output)] if reason == "stop" else []
    yield [*ended, ChoiceFinished(choice, "tool_calls" if has_called else reason)]


def _numbered(count: int) -> Iterator[str]:
    return (f"word{place} " for place in range(count))


def _pieces(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def _before(stops: Sequence[str], text: str) -> tuple[str, str | None]:
    """The text before the first of these, and which one it was."""
    met = [(place, stop) for stop in stops if stop and (place := text.find(stop)) >= 0]
    place, stop = min(met, default=(len(text), None), key=lambda each: each[0])
    return text[:place], stop


def _last_words(prompt: Prompt) -> str:
    """What was said last to the model; of pictures and the like it says that they came."""
    for item in reversed(prompt.items):
        content = item.content if isinstance(item, Message) else item.output if isinstance(item, ToolOutput) else None
        if isinstance(content, str):
            return content
        if content is not None:
            return " ".join(_words_of(part) for part in content)
    return ""


def _asked(prompt: Prompt) -> str:
    """The words of the user's last message."""
    messages = (item for item in reversed(prompt.items) if isinstance(item, Message) and item.role == "user")
    content = next((message.content for message in messages), "")
    return content if isinstance(content, str) else " ".join(part.text for part in content if isinstance(part, Text))


def _words_of(part: Part) -> str:
    match part:
        case Text():
            return part.text
        case Image():
            return "[image]"
        case _:
            return f"[{part.raw.get('type')}]"


def _tokens_of(item: object) -> int:
    match item:
        case Message():
            return _tokens_in(item.content)
        case ToolOutput():
            return _tokens_in(item.output)
        case ToolCall():
            return len(item.arguments.split())
        case _:
            return 0


def _tokens_in(content: str | list[Part]) -> int:
    if isinstance(content, str):
        return len(content.split())
    return sum(_IMAGE_TOKENS if isinstance(part, Image) else len(_words_of(part).split()) for part in content)


# --- log probabilities --------------------------------------------------------------------------


def _alternatives(prompt: Prompt) -> int | None:
    """How many alternatives of each token are asked for; None where log probabilities are not."""
    top = prompt.parameters.get("top_logprobs")
    is_asked = prompt.parameters.get("logprobs") or top or "message.output_text.logprobs" in prompt.include
    return int(top or 0) if is_asked else None


def _logprob(token: str, alternatives: int) -> dict[str, Any]:
    """Invented, and always the same for a token: between -0.01 and -1, each alternative a whole less likely."""
    first = -(1 + zlib.crc32(token.encode()) % 100) / 100
    tokens = [token, *(f"{token}{place}" for place in range(1, alternatives))][:alternatives]
    tops = [_one_logprob(each, first - place) for place, each in enumerate(tokens)]
    return {**_one_logprob(token, first), "top_logprobs": tops}


def _one_logprob(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


# --- what is no chat ----------------------------------------------------------------------------


def _media(request: MediaRequest, kind: str, count: int | None) -> Performance:
    """Models for judgements, sound and pictures may have any name; how an answer fails is heeded."""
    if kind in _UNANSWERED:
        return _SCRIPTS[kind](Prompt([]), count)
    batches = media_batches(request)
    match kind:
        case "break":
            begun = itertools.takewhile(lambda batch: not isinstance(batch[-1], TurnCompleted), batches)
            few = itertools.islice(begun, 5 if count is None else count)
            return Performance(few, failure=ProviderError("scripted break"))
        case "slow":
            return Performance(batches, pace_s=(_DEFAULT_PACE_MS if count is None else count) / 1000)
        case _:
            return Performance(batches)


# --- embeddings ---------------------------------------------------------------------------------


def _embed(request: EmbeddingRequest) -> Iterator[list[Event]]:
    dimensions = request.dimensions or _DIMENSIONS
    if dimensions > _MAX_DIMENSIONS:
        raise BadRequest(
            f"'dimensions' is {dimensions}. The scripted provider has at most {_MAX_DIMENSIONS}.", param="dimensions"
        )
    vectors = [_vector(str(given), dimensions) for given in request.inputs]
    usage = Usage(input_tokens=count_input(request), output_tokens=0)
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
