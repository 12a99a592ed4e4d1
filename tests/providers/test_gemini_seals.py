"""What Gemini answers goes back to it as it came: every signature on the part that it stood on."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.providers.gemini_answer import Asked, decode_gemini
from frontdesk.providers.gemini_dialect import encode_gemini
from frontdesk.providers.gemini_profiles import gemini_profile
from frontdesk.turn.events import (
    Event,
    MessageStarted,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
)
from frontdesk.turn.items import Item, Message, Prompt, ToolCall, ToolOutput, Unknown
from tests.providers.recorded_gemini import answer, body, call

MODEL = "gemini-3.8-flash"
SIGNED = st.sampled_from([{}, {"thoughtSignature": "Zmlyc3Q="}, {"thoughtSignature": "c2Vjb25k"}])
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
PARTS = st.one_of(
    st.builds(lambda words, signed: {"text": words, **signed}, WORDS, SIGNED),
    st.builds(lambda words: {"text": words, "thought": True}, WORDS),
    st.builds(
        lambda number, signed: {**call(f"tool_{number}", {"n": number}, f"id_{number}"), **signed},
        st.integers(),
        SIGNED,
    ),
)


@st.composite
def answers(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Parts of an answer, with a signature in a part without words at the end of some."""
    parts = draw(st.lists(PARTS, min_size=1, max_size=8, unique_by=json.dumps))
    parts = list(
        {json.dumps(part.get("functionCall", {"place": place})): part for place, part in enumerate(parts)}.values()
    )
    if "text" in parts[-1] and "thought" not in parts[-1] and draw(st.booleans()):
        parts.append({"text": "", "thoughtSignature": "bGFzdA=="})
    return parts


@given(answers())
def test_an_answer_goes_back_as_it_came(parts: list[dict[str, Any]]) -> None:
    events = decode_gemini(body(answer(*parts, reason="STOP")), Asked(MODEL, seals=True))

    items: list[Item] = [Message("user", "Hello"), *items_of(events)]
    items += [ToolOutput(item.call_id, "x") for item in items if isinstance(item, ToolCall)]
    prompt = Prompt([*items, Message("user", "Go on")], dialect="responses")
    written = json.loads(msgspec.json.encode(encode_gemini(prompt, MODEL, gemini_profile(MODEL))))

    expected = joined([part for part in parts if "thought" not in part])
    for part in expected:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", "skip_thought_signature_validator")
            break
    said = [part for content in written["contents"] if content["role"] == "model" for part in content["parts"]]
    assert joined(said) == expected


def items_of(events: list[Event]) -> list[Item]:
    """The output of a Response as a client sends it back."""
    items: dict[int, Item] = {}
    for event in events:
        match event:
            case MessageStarted():
                items[event.output] = Message("assistant", "")
            case TextDelta():
                message = items[event.output]
                assert isinstance(message, Message)
                items[event.output] = Message("assistant", f"{message.content}{event.text}")
            case ReasoningStarted():
                items[event.output] = Unknown({"type": "reasoning", "summary": []}, "responses")
            case ReasoningSummaryDelta():
                reasoning = items[event.output]
                assert isinstance(reasoning, Unknown)
                reasoning.raw["summary"].append({"type": "summary_text", "text": event.text})
            case ReasoningEncrypted():
                reasoning = items[event.output]
                assert isinstance(reasoning, Unknown)
                reasoning.raw["encrypted_content"] = event.content
            case ToolCallStarted():
                items[event.output] = ToolCall(event.call_id, event.name, "")
            case ToolArgumentsDelta():
                made = items[event.output]
                assert isinstance(made, ToolCall)
                items[event.output] = msgspec.structs.replace(made, arguments=made.arguments + event.text)
            case _:
                pass
    return list(items.values())


def joined(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parts with neighbouring texts that nothing is signed on as one."""
    told: list[dict[str, Any]] = []
    for part in parts:
        if told and set(part) == {"text"} and set(told[-1]) == {"text"}:
            told[-1] = {"text": told[-1]["text"] + part["text"]}
        else:
            told.append(dict(part))
    return told
