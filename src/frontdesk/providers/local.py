"""Models on this machine: prompts become what a small model can follow, its words become events.

Nothing of a request is dropped in silence. What the model cannot do is refused by name; what only
hints (who asks, how to cache, how hard to think) changes no answer and is passed over.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.core.ids import new_id
from frontdesk.local.catalogue import Kind, Sampling, known_models
from frontdesk.local.frames import Chat, Chunk, Embed, Failed, Job, JobAnswer, Vectors
from frontdesk.local.models import LocalModel, find_model
from frontdesk.local.options import worker_command
from frontdesk.local.schemas import (
    Call,
    Reply,
    ToolChoice,
    bound,
    envelope,
    read_cut_reply,
    read_envelope,
    told,
    written,
)
from frontdesk.local.supervisor import State, Supervisor
from frontdesk.providers.chat_dialect import ChatStreamDecoder
from frontdesk.providers.local_speech import TranscriptReader, transcription_job
from frontdesk.turn.events import (
    AnswerDescribed,
    ChoiceFinished,
    EmbeddingsProduced,
    Event,
    ItemFinished,
    MessageStarted,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import (
    Compaction,
    EmbeddingRequest,
    Image,
    Item,
    Message,
    Part,
    Prompt,
    Reference,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
    TranscriptionRequest,
    Unknown,
    unresolved,
)

_encode = msgspec.json.Encoder().encode
_MOST_WAITING = 32  # jobs beyond those under way; more would wait for minutes


class LocalProvider:
    """Answers from models of this machine, each in a process of its own that starts when it is needed.

    `model` is the one that the settings are for; other models that were pulled run with their
    own. `path` takes the model from that file. `close()` ends the processes.
    """

    def __init__(
        self,
        home: Path,
        clock: Clock,
        *,
        model: str,
        path: Path | None = None,
        threads: int | None = None,
        context_tokens: int | None = None,
        slots: int | None = None,
    ) -> None:
        self._home = home
        self._clock = clock
        self._model = model
        self._path = path
        self._threads = threads
        self._context_tokens = context_tokens
        self._slots = slots
        self._running: dict[str, _Running] = {}

    def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        """Yield the events of what the model's process said since the last time."""
        if isinstance(request, Prompt):
            return self._chat(request, model)
        if isinstance(request, EmbeddingRequest):
            return self._embed(request, model)
        if isinstance(request, TranscriptionRequest):
            return self._transcribe(request, model)
        words = "Models on this machine answer in words, make vectors of texts, or write down what is said."
        raise BadRequest(f"{words} Ask another one.", code="unsupported_request", param="model")

    def warm(self) -> None:
        """Start the configured model in the background, so that the first caller need not wait."""
        if self._configured().kind == "stopped":
            self._find(self._model).supervisor.warm()

    def states(self) -> Mapping[str, State]:
        """What each model's process is doing; the configured model is always among them.

        A state's kind may be told to anybody, its reason names files.
        """
        states = {self._model: self._configured()}
        return states | {name: running.supervisor.state for name, running in self._running.items()}

    async def close(self) -> None:
        """End all processes."""
        for running in self._running.values():
            await running.supervisor.close()

    def _configured(self) -> State:
        try:
            return self._find(self._model).supervisor.state
        except ProviderError as error:
            return State("failed", error.reason)

    def _chat(self, prompt: Prompt, name: str) -> AsyncGenerator[list[Event], None]:
        running = self._find(name, "chat")
        question = read_prompt(prompt, running.model.sampling)
        reader = _EnvelopeReader(question.stop) if question.is_enveloped else _WordsReader()
        return _read_events(running, lambda job: Chat(job, question.body, question.schema), reader)

    async def _embed(self, request: EmbeddingRequest, name: str) -> AsyncGenerator[list[Event], None]:
        running = self._find(name, "embedding")
        texts = _texts_to_embed(request, name)
        conversation = await running.supervisor.ask(lambda job: Embed(job, texts))
        vectors: list[bytes] = []
        tokens = 0
        try:
            is_done = False
            while not is_done:
                for answer in await conversation.read():
                    match answer:
                        case Vectors():
                            vectors.extend(answer.vectors)
                            tokens += answer.tokens
                        case Failed():
                            raise _error_of(answer, "input")
                        case _:
                            is_done = True
        finally:
            conversation.close()
        yield [EmbeddingsProduced(vectors), UsageReported(Usage(tokens, 0)), TurnCompleted()]

    def _transcribe(self, request: TranscriptionRequest, name: str) -> AsyncGenerator[list[Event], None]:
        running = self._find(name, "transcription")
        return _read_events(running, lambda job: transcription_job(request, job), TranscriptReader(request))

    def _find(self, name: str, kind: Kind | None = None) -> _Running:
        running = self._running.get(name)
        if running is None:
            running = self._running[name] = self._open(name)
        if kind not in (None, running.model.kind):
            does = _DOES[running.model.kind]
            raise BadRequest(f"The model behind this name {does}; ask another one.", code="wrong_model", param="model")
        return running

    def _open(self, name: str) -> _Running:
        if name == self._model:
            model = find_model(
                name,
                self._home,
                path=self._path,
                threads=self._threads,
                context_tokens=self._context_tokens,
                slots=self._slots,
            )
        else:
            model = find_model(name, self._home)
        if model is None:
            names = ", ".join(known.name for known in known_models())
            raise ProviderError(f"there is no local model {name!r}; known are {names}, and what was pulled by address")
        supervisor = Supervisor(
            name,
            worker_command(model),
            self._clock,
            find_obstacle=model.obstacle,
            most_jobs=model.slots + _MOST_WAITING,
        )
        return _Running(model, supervisor)


_DOES: Mapping[Kind, str] = {
    "chat": "answers in words",
    "embedding": "makes vectors of texts",
    "transcription": "writes down what is said in recordings",
}


class _Running:
    __slots__ = ("model", "supervisor")

    def __init__(self, model: LocalModel, supervisor: Supervisor) -> None:
        self.model = model
        self.supervisor = supervisor


async def _read_events(
    running: _Running, job_of: Callable[[int], Job], reader: _Reader
) -> AsyncGenerator[list[Event], None]:
    conversation = await running.supervisor.ask(job_of)
    try:
        while not reader.is_done:
            events: list[Event] = []
            for answer in await conversation.read():
                reader.take(answer, events)
            if events:
                yield events
            if reader.error is not None:
                raise reader.error
    finally:
        conversation.close()


def _texts_to_embed(request: EmbeddingRequest, name: str) -> list[str]:
    if request.dimensions not in (None, _DIMENSIONS):
        raise _unsupported("dimensions", f"{name} makes vectors of {_DIMENSIONS} numbers and was not trained for less.")
    texts = [each for each in request.inputs if isinstance(each, str)]
    if len(texts) < len(request.inputs):
        raise _unsupported("input", "Token ids are those of another model. Send the texts.")
    return texts


_DIMENSIONS = 384


# --- what is asked ------------------------------------------------------------------------------


class Question(msgspec.Struct, frozen=True):
    """A prompt as the model's process takes it. `stop` is for us where the answer is enveloped."""

    body: dict[str, Any]
    schema: bytes | None
    is_enveloped: bool
    stop: Sequence[str]


def read_prompt(prompt: Prompt, sampling: Sampling) -> Question:
    """Write a prompt for the model's process. Raises BadRequest for what the model cannot do."""
    if prompt.choices != 1:
        raise _unsupported("n", "The local model gives one answer at a time; send 1 or leave it out.")
    try:
        return _read_prompt(prompt, sampling)
    except RecursionError:
        raise BadRequest("A schema is nested too deeply for this model.", code="invalid_value") from None


def _read_prompt(prompt: Prompt, sampling: Sampling) -> Question:
    tools, may_reply = _tools_to_offer(prompt)
    schema = _schema_of(prompt)
    body: dict[str, Any] = {
        "messages": _messages(prompt, _advice(schema, tools, may_reply=may_reply)),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **_read_parameters(prompt.parameters),
    }
    if prompt.max_output_tokens is not None:
        body["max_tokens"] = min(prompt.max_output_tokens, _MOST_TOKENS)
    if not tools:
        return Question(body, None if schema is None else _encode(bound(schema)), is_enveloped=False, stop=())
    return Question(
        body,
        _encode(envelope(tools, may_reply=may_reply, reply=schema)),
        is_enveloped=True,
        stop=body.pop("stop", ()),  # it stands for the reply's words, not for the envelope's
    )


_MOST_TOKENS = 1_000_000  # beyond every context, and within what llama.cpp counts in


def _schema_of(prompt: Prompt) -> dict[str, Any] | None:
    if prompt.format is None:
        return None
    if prompt.format.kind == "json_object":
        return {"type": "object"}
    schema = prompt.format.definition.get("schema")
    return cast("dict[str, Any]", schema) if isinstance(schema, dict) else {}


def _advice(schema: dict[str, Any] | None, tools: Sequence[ToolChoice], *, may_reply: bool) -> str:
    lines: list[str] = []
    if tools:
        lines.append(told(tools, may_reply=may_reply))
    if schema is not None:
        shape = "that fits this schema: " + _encode(schema).decode() if schema != {"type": "object"} else ""
        lines.append(f"{'Your answer is' if tools else 'Answer with'} JSON alone {shape}".rstrip())
    return "\n".join(lines)


# --- parameters ---------------------------------------------------------------------------------

_Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
_Stop = Annotated[str, msgspec.Meta(min_length=1)]
_CARRIED: dict[str, Any] = {
    "temperature": Annotated[float, msgspec.Meta(ge=0, le=2)],
    "top_p": Annotated[float, msgspec.Meta(ge=0, le=1)],
    "frequency_penalty": _Penalty,
    "presence_penalty": _Penalty,
    "seed": int,
    "stop": _Stop | Annotated[list[_Stop], msgspec.Meta(max_length=4)],
}
_HINTS = frozenset(
    {
        "metadata",
        "parallel_tool_calls",  # it calls one at a time in any case
        "prediction",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)
_SAYS_NOTHING: dict[str, Any] = {
    "audio": None,
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "top_logprobs": 0,
}


def _read_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    carried: dict[str, Any] = {}
    for name, value in parameters.items():
        if name in _CARRIED:
            try:
                carried[name] = msgspec.convert(value, _CARRIED[name])
            except msgspec.ValidationError as error:
                raise BadRequest(f"Invalid value for {name!r}: {error}.", code="invalid_value", param=name) from None
        elif name not in _HINTS and not (name in _SAYS_NOTHING and value == _SAYS_NOTHING[name]):
            raise _unsupported(name, "The local model cannot do that; leave it out or use another model.")
    if "seed" in carried:
        carried["seed"] %= _RANDOM_SEED
    if isinstance(carried.get("stop"), str):
        carried["stop"] = [carried["stop"]]
    return carried


_RANDOM_SEED = 0xFFFF_FFFF  # llama.cpp takes this one for "choose any"; those below it are seeds


# --- tools --------------------------------------------------------------------------------------


def _tools_to_offer(prompt: Prompt) -> tuple[list[ToolChoice], bool]:
    """The tools that may be called now, and whether a reply in words will do."""
    tools = [_read_tool(tool) for tool in prompt.tools]
    match prompt.tool_choice:
        case "none":
            return [], True
        case None | "auto":
            return tools, True
        case "required":
            chosen = tools
        case {"type": "function", "name": name}:
            chosen = [tool for tool in tools if tool.name == name]
        case _:
            raise _unsupported("tool_choice", "Send none, auto, required or a function by its name.")
    if not chosen:
        raise BadRequest(
            "'tool_choice' asks for a tool that 'tools' does not have.", code="invalid_value", param="tool_choice"
        )
    return chosen, False


def _read_tool(tool: Tool) -> ToolChoice:
    if tool.kind != "function":
        raise _unsupported("tools", f"The local model calls functions, no tools of type {tool.kind!r}.")
    definition = tool.definition
    parameters = definition.get("parameters")
    description = definition.get("description")
    return ToolChoice(
        name=definition["name"],
        description=description if isinstance(description, str) else "",
        parameters=cast("dict[str, Any]", parameters) if isinstance(parameters, dict) else _NO_PARAMETERS,
        is_strict=definition.get("strict") is True,
    )


_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


# --- messages -----------------------------------------------------------------------------------

_SYSTEM = "You are a helpful, concise assistant."  # without one, small models ramble
_SILENT_EXTRAS = frozenset({"annotations", "id", "name", "phase", "refusal", "status"})
# The marks of chat templates are read as such wherever they stand, also in what a person wrote.
_TEMPLATE_MARK = re.compile(r"<(?=\|[\w.:-]{1,40}\|>|(?:start|end)_of_turn>)")


def _messages(prompt: Prompt, advice: str) -> list[dict[str, str]]:
    """One system message, then turns: templates differ in whether they take two of a role in a row."""
    field = "messages" if prompt.dialect == "chat" else "input"  # as the caller calls them
    names = {item.call_id: item.name for item in prompt.items if isinstance(item, ToolCall)}
    spoken = [] if prompt.instructions is None else [("system", prompt.instructions)]
    spoken += [message for item in prompt.items if (message := _message(item, names, field)) is not None]
    if not spoken or spoken[0][0] != "system":
        spoken.insert(0, ("system", _SYSTEM))
    merged: list[dict[str, str]] = []
    for role, text in spoken:
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += "\n\n" + text
        else:
            merged.append({"role": role, "content": text})
    if advice:
        merged[0]["content"] += "\n\n" + advice
    for message in merged:
        message["content"] = _TEMPLATE_MARK.sub("< ", message["content"])
    return merged


def _message(item: Item, tool_names: Mapping[str, str], field: str) -> tuple[str, str] | None:
    match item:
        case Message():
            odd = next((name for name in item.extra or () if name not in _SILENT_EXTRAS), None)
            if odd is not None:
                raise _unsupported(field, f"The local model takes no message with {odd!r}.")
            return "system" if item.role == "developer" else item.role, _words(item.content, field)
        case ToolCall():
            return "assistant", written(Call(item.name, item.arguments))
        case ToolOutput():
            name = tool_names.get(item.call_id, "the tool")
            return "user", f"Result of {name}: {_words(item.output, field)}"
        case Reference() | Compaction():
            raise unresolved(item)
        case Unknown():
            if item.raw.get("type") == "reasoning":  # of an earlier answer; no model reads another's
                return None
            kind = item.raw.get("type") or item.raw.get("role")
            raise _unsupported(field, f"The local model takes no item of type {kind!r}.")


def _words(content: str | list[Part], field: str) -> str:
    return content if isinstance(content, str) else "\n".join(_words_of_part(part, field) for part in content)


def _words_of_part(part: Part, field: str) -> str:
    match part:
        case Text():
            return part.text
        case Image():
            raise _unsupported(field, "The local model sees no images. Send words, or use another model.")
        case Unknown():
            refusal = part.raw.get("refusal")
            if part.raw.get("type") == "refusal" and isinstance(refusal, str):
                return refusal
            raise _unsupported(field, f"The local model reads words, no parts of type {part.raw.get('type')!r}.")


def _unsupported(param: str, remedy: str) -> BadRequest:
    return BadRequest(f"{param!r} is not supported here. {remedy}", code="unsupported_parameter", param=param)


# --- what is answered ---------------------------------------------------------------------------


class _Reader(Protocol):
    """Makes events of what the model's process says of one job."""

    is_done: bool
    error: FrontdeskError | None

    def take(self, answer: JobAnswer, events: list[Event]) -> None:
        """Add the events of an answer. Where `error` is set afterwards, those before it are good."""
        ...


class _WordsReader:
    """Words, released as they come."""

    def __init__(self) -> None:
        self.is_done = False
        self.error: FrontdeskError | None = None
        self._decoder = ChatStreamDecoder()

    def take(self, answer: JobAnswer, events: list[Event]) -> None:
        """Add the events of an answer."""
        match answer:
            case Chunk():
                decoded = self._decoder.feed(b"data: " + answer.data + b"\n\n")
            case Failed():
                self.error = _error_of(answer, "messages")
                return
            case _:
                decoded = self._decoder.feed(b"data: [DONE]\n\n")
                self.is_done = True
        self.error = self._decoder.error
        for event in decoded:
            if isinstance(event, UsageReported):
                events.append(_without_cache(event))
            elif not isinstance(event, AnswerDescribed):  # the wheel's fingerprint is the same for every build
                events.append(event)


class _EnvelopeReader:
    """A tool call or a reply, released when it is whole: before, it is not known which."""

    def __init__(self, stop: Sequence[str]) -> None:
        self.is_done = False
        self.error: FrontdeskError | None = None
        self._stop = stop
        self._words = _WordsReader()
        self._text: list[str] = []

    def take(self, answer: JobAnswer, events: list[Event]) -> None:
        """Keep the text of an answer; at its end, add the events."""
        decoded: list[Event] = []
        self._words.take(answer, decoded)
        self._text += [event.text for event in decoded if isinstance(event, TextDelta)]
        self.error = self._words.error
        if not self._words.is_done or self.error is not None:
            return
        try:
            events.extend(self._opened("".join(self._text), is_cut=isinstance(decoded[-1], TurnIncomplete)))
        except ProviderError as error:
            self.error = error
            return
        events.extend(event for event in decoded if isinstance(event, UsageReported))
        events.append(decoded[-1])
        self.is_done = True

    def _opened(self, text: str, *, is_cut: bool) -> list[Event]:
        match None if is_cut else read_envelope(text):
            case Call(name, arguments):
                return [
                    ToolCallStarted(0, new_id("fc_"), new_id("call_"), name),
                    ToolArgumentsDelta(0, arguments),
                    ItemFinished(0),
                    ChoiceFinished(0, "tool_calls"),
                ]
            case Reply(words):
                return [*_message_of(self._until_stop(words)), ItemFinished(0), ChoiceFinished(0, "stop")]
            case None if is_cut:
                words = read_cut_reply(text)
                return [*(_message_of(self._until_stop(words)) if words else ()), ChoiceFinished(0, "length")]
            case None:
                raise ProviderError("the local model's answer is neither a call nor a reply")

    def _until_stop(self, words: str) -> str:
        return words[: min((at for stop in self._stop if (at := words.find(stop)) >= 0), default=len(words))]


def _message_of(words: str) -> list[Event]:
    return [MessageStarted(0, new_id("msg_")), TextDelta(0, words)] if words else [MessageStarted(0, new_id("msg_"))]


def _without_cache(event: UsageReported) -> UsageReported:
    """Usage without how much of the prompt was known: that would tell what others have asked before."""
    return UsageReported(Usage(event.usage.input_tokens, event.usage.output_tokens))


def _error_of(answer: Failed, param: str) -> FrontdeskError:
    if not answer.is_refusal:
        return ProviderError(f"local model failed: {answer.message}")
    if answer.code == "unsupported_schema":
        return BadRequest(
            f"The local model cannot be bound to this schema: {answer.message}",
            code=answer.code,
            param="response_format",
        )
    return BadRequest(answer.message, code=answer.code, param=param)
