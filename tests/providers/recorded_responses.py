"""Streams of Responses events as OpenAI sends them, and as other servers do, with invented content."""

from __future__ import annotations

import json
from typing import Any

USAGE: dict[str, Any] = {
    "input_tokens": 75,
    "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 0},
    "output_tokens": 42,
    "output_tokens_details": {"reasoning_tokens": 32},
    "total_tokens": 117,
}
MESSAGE_ID = "msg_0a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef01"
REASONING_ID = "rs_0a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef02"
CALL_ID = "fc_0a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef03"
OTHER_CALL_ID = "fc_0a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef04"
CUSTOM_ID = "ctc_0a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef05"
SEAL = "gAAAAABo" + "Zm9vYmFy" * 12 + "=="


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """An event without its number."""
    return {"type": kind, **fields}


def stream(*events: dict[str, Any]) -> bytes:
    """The bytes of a stream of these events, named and numbered."""
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (
            each["type"].encode(),
            json.dumps({**each, "sequence_number": number}, ensure_ascii=False, separators=(",", ":")).encode(),
        )
        for number, each in enumerate(events)
    )


def response(status: str, output: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A Response object, as long as OpenAI's."""
    is_over = status in ("completed", "incomplete")
    return {
        "id": "resp_0a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef00",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": "Be brief.",
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "gpt-5-mini-2025-08-07",
        "output": output or [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": "medium", "summary": None},
        "safety_identifier": None,
        "service_tier": "default" if is_over else "auto",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE if is_over else None,
        "user": None,
        "metadata": {},
        **more,
    }


def opening() -> list[dict[str, Any]]:
    """How every stream begins."""
    return [
        event("response.created", response=response("in_progress")),
        event("response.in_progress", response=response("in_progress")),
    ]


def added(index: int, item: dict[str, Any]) -> dict[str, Any]:
    """The beginning of an item."""
    return event("response.output_item.added", output_index=index, item=item)


def done(index: int, item: dict[str, Any]) -> dict[str, Any]:
    """The end of an item."""
    return event("response.output_item.done", output_index=index, item=item)


def ending(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The end of a whole answer."""
    return event("response.completed", response=response("completed", list(output), **more))


def message(text: str, status: str = "completed", **more: Any) -> dict[str, Any]:
    """A message of one text."""
    return {
        "id": MESSAGE_ID,
        "type": "message",
        "status": status,
        "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}],
        "role": "assistant",
        **more,
    }


def begun_message(**more: Any) -> dict[str, Any]:
    """A message of which nothing was said yet."""
    return {"id": MESSAGE_ID, "type": "message", "status": "in_progress", "content": [], "role": "assistant", **more}


def words(*pieces: str, index: int = 0, logprobs: list[list[dict[str, Any]]] | None = None) -> list[dict[str, Any]]:
    """Deltas of a message's text, between the beginning and the end of its part."""
    place: dict[str, Any] = {"item_id": MESSAGE_ID, "output_index": index, "content_index": 0}
    empty = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    given = logprobs or [[] for _ in pieces]
    every = [each for some in given for each in some]
    whole = "".join(pieces)
    return [
        event("response.content_part.added", **place, part=empty),
        *(
            event("response.output_text.delta", **place, delta=piece, logprobs=some, obfuscation="x7Jq0bT2")
            for piece, some in zip(pieces, given, strict=True)
        ),
        event("response.output_text.done", **place, text=whole, logprobs=every),
        event("response.content_part.done", **place, part={**empty, "text": whole, "logprobs": every}),
    ]


def call(item_id: str, call_id: str, name: str, arguments: str, status: str = "completed") -> dict[str, Any]:
    """A function call."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": call_id,
        "name": name,
    }


def arguments(index: int, item_id: str, piece: str) -> dict[str, Any]:
    """More of a call's arguments."""
    return event(
        "response.function_call_arguments.delta",
        item_id=item_id,
        output_index=index,
        delta=piece,
        obfuscation="Jq0bT2x7",
    )


def arguments_done(index: int, item_id: str, whole: str) -> dict[str, Any]:
    """All of a call's arguments."""
    return event("response.function_call_arguments.done", item_id=item_id, output_index=index, arguments=whole)


TEXT_MESSAGE = message("Grüße, 世界 🛎️\n", phase="final_answer")
BARE_REASONING = {"id": REASONING_ID, "type": "reasoning", "summary": []}
TEXT = stream(
    *opening(),
    added(0, BARE_REASONING),
    done(0, BARE_REASONING),
    added(1, begun_message(phase="final_answer")),
    *words("Grüße", ", 世界 ", "🛎️\n", index=1),
    done(1, TEXT_MESSAGE),
    ending(BARE_REASONING, TEXT_MESSAGE),
)

_PAGE = {"type": "url_citation", "url": "https://example.test/a", "title": "Ä", "start_index": 0, "end_index": 5}
_FILE = {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 2}


def _annotated(index: int, content_index: int, annotation: dict[str, Any]) -> dict[str, Any]:
    return event(
        "response.output_text.annotation.added",
        item_id=MESSAGE_ID,
        output_index=0,
        content_index=content_index,
        annotation_index=index,
        annotation=annotation,
    )


def _part(text: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "logprobs": [], "annotations": list(annotations)}


# Two parts of one message: the indexes of each count from its own beginning. The last source is told at the end alone.
_SOURCED = {**message(""), "content": [_part("Zwei.", _PAGE), _part(" Oder drei?", _FILE, {**_PAGE, "title": "B"})]}
SOURCES = stream(
    *opening(),
    added(0, begun_message()),
    event(
        "response.output_text.delta", item_id=MESSAGE_ID, output_index=0, content_index=0, delta="Zwei.", logprobs=[]
    ),
    _annotated(0, 0, _PAGE),
    event(
        "response.content_part.done", item_id=MESSAGE_ID, output_index=0, content_index=0, part=_part("Zwei.", _PAGE)
    ),
    event(
        "response.output_text.delta",
        item_id=MESSAGE_ID,
        output_index=0,
        content_index=1,
        delta=" Oder drei?",
        logprobs=[],
    ),
    _annotated(0, 1, _FILE),
    _annotated(1, 1, {"type": "file_path", "file_id": "file-2", "index": 0}),
    done(0, _SOURCED),
    ending(_SOURCED),
)

_WEATHER = call(CALL_ID, "call_aB3", "weather", '{"city": "Köln"}')
_TIME = call(OTHER_CALL_ID, "call_cD4", "time", "{}")
TOOLS = stream(
    *opening(),
    added(0, call(CALL_ID, "call_aB3", "weather", "", "in_progress")),
    arguments(0, CALL_ID, '{"city":'),
    added(1, call(OTHER_CALL_ID, "call_cD4", "time", "", "in_progress")),
    arguments(1, OTHER_CALL_ID, "{}"),
    arguments(0, CALL_ID, ' "Köln"}'),
    arguments_done(0, CALL_ID, '{"city": "Köln"}'),
    done(0, _WEATHER),
    arguments_done(1, OTHER_CALL_ID, "{}"),
    done(1, _TIME),
    ending(_WEATHER, _TIME),
)

_PATCH: dict[str, Any] = {
    "id": CUSTOM_ID,
    "type": "custom_tool_call",
    "status": "completed",
    "call_id": "call_eF5",
    "input": "*** a patch",
    "name": "patch",
}
CUSTOM = stream(
    *opening(),
    added(0, {**_PATCH, "input": "", "status": "in_progress"}),
    event("response.custom_tool_call_input.delta", item_id=CUSTOM_ID, output_index=0, delta="*** a", obfuscation="q"),
    event("response.custom_tool_call_input.delta", item_id=CUSTOM_ID, output_index=0, delta=" patch", obfuscation="q"),
    event("response.custom_tool_call_input.done", item_id=CUSTOM_ID, output_index=0, input="*** a patch"),
    done(0, _PATCH),
    ending(_PATCH),
)


def summary(index: int, *pieces: str) -> list[dict[str, Any]]:
    """A part of the summary of reasoning."""
    place: dict[str, Any] = {"item_id": REASONING_ID, "output_index": 0, "summary_index": index}
    whole = "".join(pieces)
    return [
        event("response.reasoning_summary_part.added", **place, part={"type": "summary_text", "text": ""}),
        *(
            event("response.reasoning_summary_text.delta", **place, delta=piece, obfuscation="T2x7Jq0b")
            for piece in pieces
        ),
        event("response.reasoning_summary_text.done", **place, text=whole),
        event("response.reasoning_summary_part.done", **place, part={"type": "summary_text", "text": whole}),
    ]


_SEALED: dict[str, Any] = {
    "id": REASONING_ID,
    "type": "reasoning",
    "encrypted_content": SEAL,
    "summary": [
        {"type": "summary_text", "text": "**Counting** the bells"},
        {"type": "summary_text", "text": "**Answering**"},
    ],
}
REASONING = stream(
    *opening(),
    # OpenAI seals an item twice: what counts is what it says at its end.
    added(0, {**_SEALED, "encrypted_content": "gAAAAABoYmVnaW4=", "summary": []}),
    *summary(0, "**Counting**", " the bells"),
    *summary(1, "**Answering**"),
    done(0, _SEALED),
    added(1, begun_message()),
    *words("Two.", index=1),
    done(1, message("Two.")),
    ending({**_SEALED, "encrypted_content": "gAAAAABoYW5vdGhlcg=="}, message("Two.")),
)

# vLLM and others: the thoughts themselves.
_THOUGHT: dict[str, Any] = {
    "id": "rs_e5f6",
    "type": "reasoning",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "Hm… so."}],
    "encrypted_content": None,
    "status": None,
}
OPEN_REASONING = stream(
    *opening(),
    added(0, {**_THOUGHT, "content": None, "status": "in_progress"}),
    event(
        "response.reasoning_part.added",
        item_id="rs_e5f6",
        output_index=0,
        content_index=0,
        part={"type": "reasoning_text", "text": ""},
    ),
    event("response.reasoning_text.delta", item_id="rs_e5f6", output_index=0, content_index=0, delta="Hm… "),
    event("response.reasoning_text.delta", item_id="rs_e5f6", output_index=0, content_index=0, delta="so."),
    event("response.reasoning_text.done", item_id="rs_e5f6", output_index=0, content_index=0, text="Hm… so."),
    done(0, _THOUGHT),
    added(1, begun_message()),
    *words("42", index=1),
    done(1, message("42")),
    ending(_THOUGHT, message("42"), service_tier=None),
)

_REFUSED = {**message(""), "content": [{"type": "refusal", "refusal": "I cannot do that."}]}
_REFUSAL_PLACE: dict[str, Any] = {"item_id": MESSAGE_ID, "output_index": 0, "content_index": 0}
REFUSAL = stream(
    *opening(),
    added(0, begun_message()),
    event("response.content_part.added", **_REFUSAL_PLACE, part={"type": "refusal", "refusal": ""}),
    event("response.refusal.delta", **_REFUSAL_PLACE, delta="I cannot ", obfuscation="b"),
    event("response.refusal.delta", **_REFUSAL_PLACE, delta="do that.", obfuscation="b"),
    event("response.refusal.done", **_REFUSAL_PLACE, refusal="I cannot do that."),
    event("response.content_part.done", **_REFUSAL_PLACE, part={"type": "refusal", "refusal": "I cannot do that."}),
    done(0, _REFUSED),
    ending(_REFUSED),
)


def logprob(token: str) -> dict[str, Any]:
    """A token's log probability, as events have it: without bytes."""
    return {"token": token, "logprob": -0.25, "top_logprobs": [{"token": token, "logprob": -0.25}]}


LOGPROBS = stream(
    *opening(),
    added(0, begun_message()),
    *words("Hé", "!", logprobs=[[logprob("Hé")], [logprob("!")]]),
    done(0, message("Hé!")),
    ending(message("Hé!")),
)

_CUT = message("Half an", status="incomplete")
INCOMPLETE = stream(
    *opening(),
    added(0, begun_message()),
    *words("Half", " an"),
    done(0, _CUT),
    event(
        "response.incomplete",
        response=response("incomplete", [_CUT], incomplete_details={"reason": "max_output_tokens"}),
    ),
)
FILTERED = stream(
    *opening(),
    added(0, begun_message()),
    *words("Half", " an"),
    done(0, _CUT),
    event(
        "response.incomplete", response=response("incomplete", [_CUT], incomplete_details={"reason": "content_filter"})
    ),
)

# Servers that send few events, or say less at the end than before.
ONLY_DONE = stream(
    added(0, begun_message()),
    event("response.output_text.done", item_id=MESSAGE_ID, output_index=0, content_index=0, text="whole"),
    event("response.completed", response={"status": "completed", "output": []}),
)
ONLY_ITEMS = stream(done(0, message("whole")), ending())
ONLY_COMPLETED = stream(ending(BARE_REASONING, message("whole"), _WEATHER))
WITHOUT_BEGINNINGS = stream(
    event("response.output_text.delta", output_index=0, content_index=0, delta="who"),
    event("response.output_text.delta", output_index=0, content_index=0, delta="le"),
    event("response.completed", response={"status": "completed"}),
)
# Ids that change, an end that leaves items out, and a [DONE] after all.
OTHER_IDS = (
    stream(
        *opening(),
        added(0, BARE_REASONING),
        done(0, {**BARE_REASONING, "status": "in_progress"}),
        added(1, begun_message()),
        *words("who", "le", index=1),
        done(1, message("whole", id="msg_changed")),
        ending(message("whole", id="msg_new")),
    )
    + b"data: [DONE]\n\n"
)
PARTIAL_DELTAS = stream(
    *opening(),
    added(0, begun_message()),
    event("response.output_text.delta", output_index=0, content_index=0, delta="who"),
    done(0, message("whole")),
    ending(message("whole")),
)
TRIMMED = stream(
    *opening(),
    added(0, begun_message()),
    event("response.output_text.delta", output_index=0, content_index=0, delta=" whole\n"),
    done(0, message("whole")),
    added(1, call(CALL_ID, "call_aB3", "weather", "", "in_progress")),
    arguments(1, CALL_ID, '{"city":"Bonn"}'),
    done(1, call(CALL_ID, "call_aB3", "weather", '{"city": "Bonn"}')),
    ending(),
)

HALF = [*opening(), added(0, begun_message()), *words("Half", " an")[:3]]
"""The beginning of an answer that will break."""
