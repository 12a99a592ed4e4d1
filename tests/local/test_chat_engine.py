"""What the engine makes of llama.cpp's chunks, on a server that says what a test wants it to say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from frontdesk.local.chat_engine import ChatEngine, _Grammars
from frontdesk.local.frames import Answer, Chat, Chunk, Done, Failed
from frontdesk.local.schemas import bound
from frontdesk.local.worker import Ticket

CITY = msgspec.json.encode(bound({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}))


def text(words: str, reason: str | None = None) -> bytes:
    return json.dumps({"choices": [{"delta": {"content": words}, "finish_reason": reason}]}).encode()


class SaidServer:
    """Says its chunks, and stops where it is told to."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self.chunks = chunks
        self.asked: dict[str, Any] = {}
        self.said = 0

    def handle_chat_completions(self, prompt: bytes, callback: Callable[[bytes], bool], /) -> None:
        self.asked = json.loads(prompt)
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.said += 1
            if callback(chunk):
                return


def answers_to(server: SaidServer, job: Chat, ticket: Ticket | None = None) -> list[Answer]:
    answers: list[Answer] = []
    work = ChatEngine(server, _Grammars(), 1).begin(job, ticket or Ticket(), answers.append)
    assert work.step()
    return answers


def test_chunks_are_passed_on_as_they_are() -> None:
    server = SaidServer(text("Hel"), text("lo"), text("", "stop"))

    answers = answers_to(server, Chat(7, {"messages": []}))

    assert answers == [*(Chunk(7, chunk) for chunk in server.chunks if isinstance(chunk, bytes)), Done(7)]
    assert server.asked["stream"] is True
    assert server.asked["return_progress"] is True


def test_an_answer_inside_its_grammar_passes() -> None:
    server = SaidServer(text('{"city": "K'), text('öln"'), text("}"), text("", "stop"))

    answers = answers_to(server, Chat(1, {}, CITY))

    assert [type(answer) for answer in answers] == [Chunk] * 4 + [Done]
    assert "%llguidance" in server.asked["grammar"]


def test_words_outside_the_grammar_are_never_passed_on() -> None:
    server = SaidServer(text('{"city'), text('": 5'), text("}"))

    answers = answers_to(server, Chat(1, {}, CITY))

    assert answers == [
        Chunk(1, text('{"city')),
        Failed(1, is_refusal=False, code="model_failed", message="the answer left its grammar"),
    ]
    assert server.said == 2


def test_an_end_inside_the_grammar_is_no_end() -> None:
    server = SaidServer(text('{"city'), text("", "stop"))

    assert answers_to(server, Chat(1, {}, CITY))[-1] == Failed(
        1, is_refusal=False, code="model_failed", message="the answer ended inside its grammar"
    )
    assert answers_to(server, Chat(1, {"stop": ["x"]}, CITY))[-1] == Done(1)


def test_a_grammar_that_cannot_be_followed_is_the_callers_matter() -> None:
    many = {f"p{number}": {"type": "string"} for number in range(500)}
    schema = msgspec.json.encode({"type": "object", "properties": many})
    server = SaidServer(text('{"p1": "x"}'))

    assert answers_to(server, Chat(1, {}, schema)) == [
        Failed(
            1,
            is_refusal=True,
            code="unsupported_schema",
            message="it has more alternatives than the grammar can follow",
        )
    ]


def test_a_schema_that_does_not_compile_asks_nothing_of_the_model() -> None:
    server = SaidServer()

    (answer,) = answers_to(server, Chat(1, {}, b'{"type": "array", "uniqueItems": true}'))

    assert answer == Failed(
        1, is_refusal=True, code="unsupported_schema", message='Unimplemented keys: ["uniqueItems"]'
    )
    assert server.asked == {}


@pytest.mark.parametrize(
    ("chunk", "failed"),
    [
        (
            b'{"error":{"code":400,"message":"m","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}',
            Failed(
                1,
                is_refusal=True,
                code="context_length_exceeded",
                message="The prompt has 9 tokens; this model takes 8 for prompt and answer together. "
                "Shorten it, or use a model with a larger context.",
            ),
        ),
        (
            b'{"error":{"code":400,"message":"no such field","type":"invalid_request_error"}}',
            Failed(1, is_refusal=True, code="invalid_request", message="no such field"),
        ),
        (
            b'{"error":{"code":500,"message":"words of a prompt","type":"server_error"}}',
            Failed(1, is_refusal=False, code="model_failed", message="llama.cpp failed with server_error"),
        ),
        (
            ValueError("roles must alternate"),
            Failed(
                1,
                is_refusal=True,
                code="invalid_request",
                message="the model's template does not take these messages: roles must alternate",
            ),
        ),
    ],
)
def test_errors_are_told_once(chunk: bytes | Exception, failed: Failed) -> None:
    assert answers_to(SaidServer(chunk), Chat(1, {})) == [failed]


def test_a_cancelled_job_stops_at_its_next_chunk_and_says_nothing() -> None:
    ticket = Ticket()
    server = SaidServer(text("a"), text("b"), text("c"))
    answers: list[Answer] = []

    def send(answer: Answer) -> None:
        answers.append(answer)
        ticket.is_cancelled = True

    ChatEngine(server, _Grammars(), 1).begin(Chat(1, {}), ticket, send).step()

    assert answers == [Chunk(1, text("a"))]
    assert server.said == 2
