"""The check against OpenAI's document: it finds what is wrong, and every known conflict is still there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.peers.conflicts import CHAT, CONFLICTS, FILE, STORED, Conflict, unknown
from tests.peers.document import Answer, Document, Finding, packaged_document
from tests.peers.tap import tapped
from tests.serving import ADMIN_KEY, serving

MODEL = {"id": "fast", "object": "model", "created": 1, "owned_by": "frontdesk"}


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(packaged_document())


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    return []


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, answers: list[Answer]) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("document")) as served, tapped(served.port, answers.append) as port:
        yield f"http://127.0.0.1:{port}/v1"


def answer(path: str, body: Any, status: int = 200, method: str = "GET") -> Answer:
    return Answer(method, path, status, "application/json", json.dumps(body).encode())


def stream(path: str, *events: str, is_whole: bool = True) -> Answer:
    return Answer("POST", path, 200, "text/event-stream; charset=utf-8", "".join(events).encode(), is_whole)


@pytest.mark.parametrize("conflict", CONFLICTS, ids=lambda conflict: conflict.name)
def test_known_conflict_is_still_there(url: str, answers: list[Answer], document: Document, conflict: Conflict) -> None:
    answers.clear()
    secret = {"Authorization": f"Bearer {ADMIN_KEY}"}
    form: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": ("lines.jsonl", b"{}")}}
    file_id = httpx2.post(f"{url}/files", headers=secret, **form).json()["id"]
    stored_id = httpx2.post(f"{url}/responses", headers=secret, json={"input": "hello"}).json()["id"]
    chat: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}], "store": True}
    chat_id = httpx2.post(f"{url}/chat/completions", headers=secret, json=chat).json()["id"]
    shown_by = json.dumps(conflict.shown_by)
    for name, value in ((FILE, file_id), (STORED, stored_id), (CHAT, chat_id)):
        shown_by = shown_by.replace(name, value)
    path, body = json.loads(shown_by)
    method = conflict.method or ("GET" if body is None else "POST")

    httpx2.request(method, url + path, json=body, headers=secret).raise_for_status()

    *_, seen = answers
    findings = document.check(seen)
    assert any(conflict.is_in(finding) for finding in findings), f"{conflict.name} is gone: take it off the list"
    assert unknown(findings) == []


def test_right_body_passes(document: Document) -> None:
    assert document.check(answer("/v1/models/fast", MODEL)) == []
    assert document.check(answer("/v1/models", {"object": "list", "data": [MODEL]})) == []


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        (
            {"object": "list", "data": [{**MODEL, "created": "now"}]},
            Finding("GET /models data.*.created", '"now" is not of type "integer"'),
        ),
        ({"object": "list"}, Finding("GET /models", '"data" is a required property')),
    ],
)
def test_wrong_body_is_found(document: Document, body: Any, finding: Finding) -> None:
    assert document.check(answer("/v1/models", body)) == [finding]


def test_error_is_one_of_openais_at_every_path(document: Document) -> None:
    wrong = {"error": {"message": "no", "type": "invalid_request_error", "param": None}}

    assert document.check(answer("/v1/nowhere", {"error": {**wrong["error"], "code": None}}, 404)) == []
    assert document.check(answer("/v1/nowhere", wrong, 404)) == [
        Finding("GET /nowhere error", '"code" is a required property')
    ]


def test_answer_that_the_document_does_not_know_is_found(document: Document) -> None:
    assert document.check(answer("/v1/nowhere", {})) == [Finding("GET /nowhere", "is not in the document")]
    assert document.check(answer("/api/sessions", {})) == []
    page = Answer("GET", "/v1/models", 200, "text/html", b"<p>")
    assert document.check(page) == [Finding("GET /models", "is text/html")]


def test_every_event_of_a_stream_is_checked_by_its_type(document: Document) -> None:
    delta = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    findings = document.check(
        stream(
            "/v1/responses",
            event("response.output_text.delta", {**delta, "sequence_number": 0, "delta": 1}),
            ": keep-alive\n\n",
            event("response.output_text.delta", {**delta, "sequence_number": 2, "delta": "two"}),
            event("response.surprise", {"sequence_number": 2}),
        )
    )

    text = "POST /responses response.output_text.delta"
    assert [finding.where for finding in findings] == [
        f"{text} delta",
        text,
        "POST /responses response.surprise",
        "POST /responses response.surprise",
        "POST /responses",
    ]
    assert findings[-1].says.startswith("ends with response.surprise")


def test_chat_stream_ends_with_done_or_an_error(document: Document) -> None:
    error = {"error": {"message": "no", "type": "server_error", "param": None, "code": None}}

    assert document.check(stream("/v1/chat/completions", "data: [DONE]\n\n")) == []
    assert document.check(stream("/v1/chat/completions", f"data: {json.dumps(error)}\n\n")) == []
    assert len(document.check(stream("/v1/chat/completions", "data: [DONE]\n\n" * 2))) == 1
    assert len(document.check(stream("/v1/chat/completions", ": nothing\n\n"))) == 1
    assert document.check(stream("/v1/chat/completions", "data: {", is_whole=False)) == []
    assert document.check(stream("/v1/chat/completions", "data: [DONE]\n\ndata: 世", is_whole=False)) == []


def test_error_within_alternatives_is_the_one_that_was_meant(document: Document) -> None:
    item = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text"}],
    }
    done = event("response.output_item.done", {"sequence_number": 0, "output_index": 0, "item": item})

    findings = document.check(stream("/v1/responses", done, is_whole=False))

    assert [str(finding) for finding in findings] == [
        'POST /responses response.output_item.done item.content.*: "text" is a required property'
    ]


def event(kind: str, fields: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"
