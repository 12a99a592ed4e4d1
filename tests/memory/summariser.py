"""A provider of the tests' own that really sums up: it picks sentences out of what it is told.

What it is not asked to sum up it answers at some length, so that a window is soon full.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from tests.providers import recorded
from tests.upstreams import STREAM_HEAD, piece

_MATERIAL = re.compile(r"<(?P<name>\w+) (?P<mark>[0-9a-f]{8})>\n(?P<text>.*?)\n</(?P=name) (?P=mark)>", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]")
_WORDS = re.compile(r"at most (\d+) words")
_OF_THEMSELVES = re.compile(r"\b(?:my|i am|i have|i live|i like)\b", re.IGNORECASE)
SMALL_TALK = " ".join(f"Small talk goes on and on, word {number} of it." for number in range(12))


def summed_up(question: str) -> str:
    """The sentences that matter most, in their order: of persons about themselves, then what was said last."""
    texts = {found["name"]: found["text"] for found in _MATERIAL.finditer(question)}
    found = _WORDS.search(question)
    assert found is not None
    words = int(found[1])
    sentences = [
        each.strip() for name in ("summary", "conversation") for each in _SENTENCE.findall(texts.get(name, ""))
    ]
    sentences = list(dict.fromkeys(re.sub(r"^(?:The person|The assistant): ", "", each) for each in sentences))
    ranked = sorted(range(len(sentences)), key=lambda place: (_OF_THEMSELVES.search(sentences[place]) is None, -place))
    chosen: list[int] = []
    for place in ranked:
        words -= len(sentences[place].split())
        if words < 0:
            break
        chosen.append(place)
    return " ".join(sentences[place] for place in sorted(chosen))


def taken_down(question: str) -> str:
    """What a person wants to be remembered, without the words by which they ask for it."""
    (found,) = _MATERIAL.finditer(question)
    asked = re.sub(r"(?i)please remember (?:that )?", "", found["text"])
    return next((each.strip() for each in _SENTENCE.findall(asked) if _OF_THEMSELVES.search(each)), "NONE")


def tokens_of(text: str) -> int:
    """The tokens of a message, as it counts them: three bytes each, and four around it."""
    return -(-len(text.encode()) // 3) + 4


def answer_to(request: dict[str, Any]) -> str:
    """What it says."""
    last = request["messages"][-1]["content"]
    if last.endswith("The summary:"):
        return summed_up(last)
    if last.endswith("To be remembered:"):
        return taken_down(last)
    return SMALL_TALK


async def summariser(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Answer one request, streamed or not."""
    said = answer_to(request)
    if request.get("stream"):
        writer.write(STREAM_HEAD + piece(recorded.chunk({"role": "assistant", "content": said})))
        writer.write(piece(recorded.chunk({}, "stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n")
        return
    message = {"role": "assistant", "content": said}
    read, written = (
        sum(map(tokens_of, texts)) for texts in ([each["content"] for each in request["messages"]], [said])
    )
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}).encode()
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    )
