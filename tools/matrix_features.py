"""What is tried with each dialect: requests as callers send them, and what shows that they were obeyed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from frontdesk.turn.events import (
    ChoiceFinished,
    EmbeddingsProduced,
    Event,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningSummaryDelta,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    UsageReported,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: its events in order."""

    events: Sequence[Event]

    def all(self, kind: type[Any]) -> list[Any]:
        """The events of a kind."""
        return [event for event in self.events if type(event) is kind]

    @property
    def text(self) -> str:
        """The words of its messages."""
        return "".join(event.text for event in self.all(TextDelta))

    @property
    def arguments(self) -> list[str]:
        """The arguments of each call, in their order."""
        by_output: dict[int, str] = {event.output: "" for event in self.all(ToolCallStarted)}
        for event in self.all(ToolArgumentsDelta):
            by_output[event.output] += event.text
        return list(by_output.values())

    @property
    def is_whole(self) -> bool:
        """Whether it ended as it should."""
        return type(self.events[-1]) is TurnCompleted


@dataclass(frozen=True, slots=True)
class Feature:
    """A request, as a caller sends it to a door, and what shows that it was obeyed.

    `told` are values that the provider must be told as they are for "works". `script` is what the upstream plays.
    `may_be_absent`: it asks for something more of an answer that is right without. `is_hint`: no answer depends on it.
    """

    family: str
    name: str
    door: str
    body: Json
    is_right: Callable[[Answer], bool]
    told: Sequence[object] = ()
    script: str = "echo"
    may_be_absent: bool = False
    is_hint: bool = False


def _says(*words: str) -> Callable[[Answer], bool]:
    return lambda answer: answer.is_whole and all(word in answer.text for word in words)


_TEXT = [{"role": "user", "content": "lighthouse"}]
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_PDF = base64.b64encode(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n").decode()
_WAV = base64.b64encode(
    b"RIFF\x28\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data"
    b"\x04\x00\x00\x00\x00\x00\x00\x00"
).decode()
_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "nights": {"type": "integer"}},
    "required": ["city", "nights"],
    "additionalProperties": False,
}
_TRIP = [{"role": "user", "content": "Plan it as JSON, with city = Bergen, nights = 3."}]
_TRIP_FORMAT = {"type": "json_schema", "json_schema": {"name": "trip", "schema": _SCHEMA, "strict": True}}
_BOOK = {"name": "book", "description": "Books a room.", "parameters": _SCHEMA}
_CALL = {"name": "call_taxi", "description": "Calls a taxi.", "parameters": _SCHEMA}
_CHAT_BOOK = {"type": "function", "function": _BOOK}
_CHAT_TAXI = {"type": "function", "function": _CALL}
_BEFORE = [
    {"role": "user", "content": "Book it."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "book", "arguments": '{"nights": 31415}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "booked-27182"},
]


def _chat(**fields: Any) -> Json:
    return {"messages": _TEXT, **fields}


def _part(part: Json) -> Json:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "lighthouse"}, part]}]}


def _calls(*names: str) -> Callable[[Answer], bool]:
    return lambda answer: [event.name for event in answer.all(ToolCallStarted)] == list(names)


def _fits(answer: Answer) -> bool:
    try:
        found = msgspec.json.decode(answer.text)
    except msgspec.DecodeError:
        return False
    return isinstance(found, dict) and answer.is_whole


def _responses(**fields: Any) -> Json:
    return {"input": "lighthouse", **fields}


_ECHOES = _says("lighthouse")
FEATURES: tuple[Feature, ...] = (
    # --- texts
    Feature("Messages", "a message", "chat", _chat(), _ECHOES, ["lighthouse"]),
    Feature("Messages", "streamed", "chat", _chat(stream=True), _ECHOES, ["lighthouse"]),
    Feature(
        "Messages",
        "instructions of the system",
        "chat",
        {"messages": [{"role": "system", "content": "Be-brief-16180"}, *_TEXT]},
        _ECHOES,
        ["Be-brief-16180"],
    ),
    Feature(
        "Messages",
        "several turns",
        "chat",
        {"messages": [{"role": "user", "content": "one-141"}, {"role": "assistant", "content": "two-173"}, *_TEXT]},
        _ECHOES,
        ["one-141", "two-173"],
    ),
    Feature(
        "Messages",
        "instructions amid a conversation",
        "chat",
        {"messages": [{"role": "user", "content": "one-141"}, {"role": "developer", "content": "mid-577"}, *_TEXT]},
        lambda answer: answer.is_whole,
        ["mid-577"],
    ),
    # --- what else is read
    Feature(
        "Input",
        "image, inline",
        "chat",
        _part({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}"}}),
        lambda answer: answer.is_whole,
        [_PNG],
    ),
    Feature(
        "Input",
        "image, by its address",
        "chat",
        _part({"type": "image_url", "image_url": {"url": "https://pictures.example/sea-628.png"}}),
        lambda answer: answer.is_whole,
        ["https://pictures.example/sea-628.png"],
    ),
    Feature(
        "Input",
        "sound",
        "chat",
        _part({"type": "input_audio", "input_audio": {"data": _WAV, "format": "wav"}}),
        lambda answer: answer.is_whole,
        [_WAV],
    ),
    Feature(
        "Input",
        "PDF, inline",
        "responses",
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "lighthouse"},
                        {
                            "type": "input_file",
                            "filename": "map.pdf",
                            "file_data": f"data:application/pdf;base64,{_PDF}",
                        },
                    ],
                }
            ]
        },
        lambda answer: answer.is_whole,
        [_PDF],
    ),
    Feature(
        "Input",
        "PDF, by its address",
        "responses",
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "lighthouse"},
                        {"type": "input_file", "file_url": "https://papers.example/map-707.pdf"},
                    ],
                }
            ]
        },
        lambda answer: answer.is_whole,
        ["https://papers.example/map-707.pdf"],
    ),
    # --- how is answered
    Feature("Sampling", "`max_completion_tokens`", "chat", _chat(max_completion_tokens=2718), _ECHOES, [2718]),
    Feature("Sampling", "`temperature`", "chat", _chat(temperature=0.37), _ECHOES, [0.37]),
    Feature("Sampling", "`temperature` above 1", "chat", _chat(temperature=1.37), _ECHOES, [1.37]),
    Feature("Sampling", "`top_p`", "chat", _chat(top_p=0.83), _ECHOES, [0.83]),
    Feature("Sampling", "`stop`", "chat", _chat(stop=["halt-223"]), _ECHOES, ["halt-223"]),
    Feature("Sampling", "`seed`", "chat", _chat(seed=271828), _ECHOES, [271828]),
    Feature(
        "Sampling",
        "`n`",
        "chat",
        _chat(n=2),
        lambda answer: {event.choice for event in answer.all(ChoiceFinished)} == {0, 1},
        [2],
    ),
    Feature("Sampling", "`frequency_penalty`", "chat", _chat(frequency_penalty=0.61), _ECHOES, [0.61]),
    Feature("Sampling", "`presence_penalty`", "chat", _chat(presence_penalty=0.59), _ECHOES, [0.59]),
    Feature("Sampling", "`logit_bias`", "chat", _chat(logit_bias={"1234": 7}), _ECHOES, ["1234"]),
    Feature(
        "Sampling",
        "`logprobs`",
        "chat",
        _chat(logprobs=True, top_logprobs=3),
        lambda answer: any(event.logprobs for event in answer.all(TextDelta)),
        [3],
    ),
    Feature(
        "Sampling",
        "`prediction`",
        "chat",
        _chat(prediction={"type": "content", "content": "guess-919"}),
        _ECHOES,
        ["guess-919"],
        is_hint=True,
    ),
    Feature("Sampling", "`verbosity`", "chat", _chat(verbosity="low"), _ECHOES, ["low"]),
    Feature("Sampling", "`service_tier`", "chat", _chat(service_tier="flex"), _ECHOES, ["flex"]),
    Feature(
        "Sampling",
        "`safety_identifier`",
        "chat",
        _chat(safety_identifier="person-353"),
        _ECHOES,
        ["person-353"],
        is_hint=True,
    ),
    # --- tools
    Feature("Tools", "functions", "chat", _chat(tools=[_CHAT_BOOK]), _calls("book"), ["book", _SCHEMA]),
    Feature("Tools", "functions, streamed", "chat", _chat(tools=[_CHAT_BOOK], stream=True), _calls("book"), ["book"]),
    Feature(
        "Tools",
        "several calls at once",
        "chat",
        _chat(tools=[_CHAT_BOOK, _CHAT_TAXI]),
        _calls("book", "call_taxi"),
        ["book", "call_taxi"],
        "tools-all",
    ),
    Feature(
        "Tools",
        "`parallel_tool_calls: false`",
        "chat",
        _chat(tools=[_CHAT_BOOK, _CHAT_TAXI], parallel_tool_calls=False),
        lambda answer: len(answer.arguments) == 1,
        (),
        "tools-all",
    ),
    Feature(
        "Tools",
        "`tool_choice: required`",
        "chat",
        _chat(tools=[_CHAT_BOOK], tool_choice="required"),
        _calls("book"),
        (),
    ),
    Feature(
        "Tools",
        "`tool_choice: none`",
        "chat",
        _chat(tools=[_CHAT_BOOK], tool_choice="none"),
        lambda answer: not answer.arguments and answer.is_whole,
        (),
    ),
    Feature(
        "Tools",
        "`tool_choice` by name",
        "chat",
        _chat(tools=[_CHAT_BOOK, _CHAT_TAXI], tool_choice={"type": "function", "function": {"name": "call_taxi"}}),
        _calls("call_taxi"),
        (),
    ),
    Feature(
        "Tools",
        "`allowed_tools`",
        "responses",
        _responses(
            tools=[{"type": "function", "strict": False, **_BOOK}, {"type": "function", "strict": False, **_CALL}],
            tool_choice={
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "call_taxi"}],
            },
        ),
        _calls("call_taxi"),
        (),
    ),
    Feature(
        "Tools",
        "strict arguments",
        "chat",
        _chat(tools=[{"type": "function", "function": {**_BOOK, "strict": True}}]),
        _calls("book"),
        [True],
    ),
    Feature(
        "Tools",
        "free text for a tool (`custom`)",
        "chat",
        _chat(
            tools=[{"type": "custom", "custom": {"name": "run_query", "description": "SQL"}}], tool_choice="required"
        ),
        _calls("run_query"),
        ["run_query"],
    ),
    Feature(
        "Tools",
        "what a tool returned",
        "chat",
        {"messages": _BEFORE, "tools": [_CHAT_BOOK]},
        lambda answer: answer.is_whole,
        ["booked-27182"],
    ),
    Feature(
        "Tools",
        "a picture that a tool returned",
        "responses",
        {
            "input": [
                {"role": "user", "content": "Show it."},
                {"type": "function_call", "call_id": "call_1", "name": "book", "arguments": "{}"},
                {
                    "type": "function_call_output",
                    "call_id": "call_1",
                    "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{_PNG}"}],
                },
            ],
            "tools": [{"type": "function", "strict": False, **_BOOK}],
        },
        lambda answer: answer.is_whole,
        [_PNG],
    ),
    # --- shapes
    Feature(
        "Structured output",
        "`json_schema`",
        "chat",
        {"messages": _TRIP, "response_format": _TRIP_FORMAT},
        _fits,
        [_SCHEMA],
    ),
    Feature(
        "Structured output",
        "`json_schema`, streamed",
        "chat",
        {"messages": _TRIP, "response_format": _TRIP_FORMAT, "stream": True},
        _fits,
        [_SCHEMA],
    ),
    Feature(
        "Structured output",
        "`json_object`",
        "chat",
        {"messages": _TRIP, "response_format": {"type": "json_object"}},
        _fits,
        (),
    ),
    # --- reasoning
    Feature("Reasoning", "`reasoning_effort: high`", "chat", _chat(reasoning_effort="high"), _ECHOES, ["high"]),
    Feature("Reasoning", "`reasoning_effort: none`", "chat", _chat(reasoning_effort="none"), _ECHOES, ["none"]),
    Feature(
        "Reasoning",
        "shown, as a summary",
        "responses",
        _responses(reasoning={"effort": "high", "summary": "auto"}),
        lambda answer: bool(answer.all(ReasoningSummaryDelta) or answer.all(ReasoningDelta)),
        (),
        "thinking",
    ),
    Feature(
        "Reasoning",
        "sealed, for the next request",
        "responses",
        _responses(reasoning={"effort": "high"}, include=["reasoning.encrypted_content"]),
        lambda answer: bool(answer.all(ReasoningEncrypted)),
        (),
        "thinking",
        may_be_absent=True,
    ),
    # --- caches
    Feature(
        "Prompt cache",
        "a mark in a text",
        "chat",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "lighthouse " * 5000, "prompt_cache_breakpoint": {"mode": "explicit"}}
                    ],
                }
            ]
        },
        lambda answer: answer.is_whole,
        (),
    ),
    Feature(
        "Prompt cache",
        "`prompt_cache_key`",
        "chat",
        _chat(prompt_cache_key="key-449"),
        _ECHOES,
        ["key-449"],
        is_hint=True,
    ),
    # --- how answers end
    Feature(
        "Endings",
        "the length is reached",
        "chat",
        _chat(max_completion_tokens=64),
        lambda answer: answer.events[-1] == TurnIncomplete("max_output_tokens"),
        (),
        "length:pace=0",
    ),
    Feature(
        "Endings",
        "the provider's filter",
        "chat",
        _chat(),
        lambda answer: answer.events[-1] == TurnIncomplete("content_filter"),
        (),
        "filtered",
    ),
    Feature(
        "Endings",
        "the model declines",
        "responses",
        _responses(),
        lambda answer: bool(answer.all(RefusalDelta)) or answer.events[-1] == TurnIncomplete("content_filter"),
        (),
        "refusal",
        may_be_absent=True,
    ),
    Feature(
        "Endings",
        "what was used",
        "chat",
        _chat(),
        lambda answer: (
            all(event.usage.input_tokens > 0 and event.usage.output_tokens > 0 for event in answer.all(UsageReported))
            and bool(answer.all(UsageReported))
        ),
        (),
    ),
    Feature(
        "Endings",
        "used, from the provider's cache",
        "chat",
        _chat(),
        lambda answer: [event.usage.cached_tokens for event in answer.all(UsageReported)] == [5],
        (),
        "echo:usage=12/34/5/6",
    ),
    # --- vectors
    Feature(
        "Embeddings",
        "texts",
        "embeddings",
        {"input": ["one-141", "two-173"]},
        lambda answer: len(answer.all(EmbeddingsProduced)[0].vectors) == 2,
        ["one-141"],
    ),
    Feature(
        "Embeddings",
        "`dimensions`",
        "embeddings",
        {"input": ["one-141"], "dimensions": 256},
        lambda answer: len(answer.all(EmbeddingsProduced)[0].vectors[0]) == 1024,
        [256],
    ),
    Feature(
        "Embeddings",
        "tokens instead of texts",
        "embeddings",
        {"input": [[11, 22, 33]]},
        lambda answer: len(answer.all(EmbeddingsProduced)[0].vectors) == 1,
        [[11, 22, 33]],
    ),
)
