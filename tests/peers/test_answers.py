"""Whatever is asked, and however it ends, the answer is one that OpenAI's document knows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx2
import pytest

from tests.peers.conflicts import unknown
from tests.peers.document import Document, Finding, official_document
from tests.peers.tap import tapped
from tests.serving import ADMIN_KEY, SCRIPTED, serving

ENDLESS = {"slow", "crawling", "many", "silent", "embed"}
MODELS = [*sorted(SCRIPTED["models"].keys() - ENDLESS), "nowhere"]

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FORMAT = {"name": "place", "schema": SCHEMA, "strict": True}
FUNCTION = {"name": "weather", "parameters": SCHEMA, "strict": True}
CALLERS = {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "metadata": {"a": "b"}}

CHATS: list[dict[str, Any]] = [
    {},
    {"n": 2},
    {"tools": [{"type": "function", "function": FUNCTION}]},
    {"tools": [{"type": "custom", "custom": {"name": "run"}}], "tool_choice": "required"},
    {"response_format": {"type": "json_object"}},
    {"response_format": {"type": "json_schema", "json_schema": FORMAT}},
    {"max_completion_tokens": 1},
    {"logprobs": True, "top_logprobs": 2},
    {**CALLERS, "store": False, "service_tier": "auto", "reasoning_effort": "low", "seed": 1, "stop": ["x"]},
]
RESPONSES: list[dict[str, Any]] = [
    {},
    {"tools": [{"type": "function", **FUNCTION}]},
    {"tools": [{"type": "custom", "name": "run"}], "tool_choice": "required"},
    {"text": {"format": {"type": "json_schema", **FORMAT}, "verbosity": "low"}},
    {"max_output_tokens": 1},
    {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    {"include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low", "summary": "auto"}},
    {**CALLERS, "store": False, "service_tier": "auto", "instructions": "Be brief.", "parallel_tool_calls": False},
]
REQUESTS = [
    *(("/chat/completions", {"messages": [{"role": "user", "content": "hello there"}], **fields}) for fields in CHATS),
    *(("/responses", {"input": "hello there", **fields}) for fields in RESPONSES),
]


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(official_document())


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return []


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, document: Document, findings: list[Finding]
) -> Iterator[httpx2.Client]:
    with (
        serving(tmp_path_factory.mktemp("answers")) as served,
        tapped(served.port, lambda answer: findings.extend(document.check(answer))) as port,
        httpx2.Client(
            base_url=f"http://127.0.0.1:{port}/v1", headers={"Authorization": f"Bearer {ADMIN_KEY}"}, timeout=30
        ) as opened,
    ):
        yield opened


@pytest.mark.parametrize("model", MODELS)
def test_every_answer_and_event_is_in_the_document(
    client: httpx2.Client, document: Document, findings: list[Finding], model: str
) -> None:
    before = sum(document.checked.values())
    findings.clear()

    for (path, body), streamed in product(REQUESTS, [False, True]):
        client.post(path, json={"model": model, **body, "stream": streamed})

    assert {str(finding) for finding in unknown(findings)} == set()
    assert sum(document.checked.values()) - before >= 2 * len(REQUESTS)
