"""The same server on PostgreSQL, and with the real models of this machine, through the official client."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import openai
import pytest

from tests.contract.conftest import begin_session, strict_client
from tests.local.machine import CHAT, EMBEDDING, home_with
from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving

LOCAL: dict[str, Any] = {
    "providers": {
        "local": {"kind": "local", "model": CHAT},
        "embeddings": {"kind": "local", "model": EMBEDDING},
        "dead": {"kind": "openai", "api_key": "sk-test", "base_url": "http://127.0.0.1:9/v1"},
    },
    "models": {
        "fast": {"route": [f"local/{CHAT}"]},
        "rescued": {"route": ["dead/gpt-5-mini", f"local/{CHAT}"]},
        "embed": {"route": [f"embeddings/{EMBEDDING}"], "kind": "embeddings"},
    },
    "default_model": "fast",
}


async def test_postgresql_serves_as_sqlite_does(tmp_path: Path, postgresql_url: str) -> None:
    with serving(tmp_path, {**SCRIPTED, "database": postgresql_url}) as served:
        session = begin_session(served, user="u1", tier="paid")
        with strict_client(served, session["token"]) as client:
            assert client.responses.create(model="fast", input="hello").output_text == "hello"
            with pytest.raises(openai.InternalServerError):
                client.responses.create(model="broken", input="hello")
            with client.responses.stream(model="slow", input="one two three") as stream:
                assert stream.get_final_response().output_text == "one two three"
        served.stop()

    connection = await asyncpg.connect(postgresql_url)
    rows = await connection.fetch("select model, status, person, is_streaming, error_code from turn order by model")
    attempts = await connection.fetch("select model, status from attempt order by model")
    await connection.close()
    assert [tuple(row) for row in rows] == [
        ("broken", "failed", "u1", False, "provider_error"),
        ("fast", "completed", "u1", False, None),
        ("slow", "completed", "u1", True, None),
    ]
    assert [tuple(row) for row in attempts] == [
        ("echo", "completed"),
        ("error-500", "failed"),
        ("slow-20", "completed"),
    ]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = home_with(CHAT, EMBEDDING)
    with serving(tmp_path_factory.mktemp("local"), LOCAL, {"FRONTDESK_HOME": str(home)}) as served:
        yield served


def test_a_real_model_answers_whole_and_streamed(local: Served) -> None:
    with strict_client(local, ADMIN_KEY) as client:
        whole = client.chat.completions.create(
            model="fast", messages=[{"role": "user", "content": "Say hello."}], max_tokens=12, temperature=0
        )
        assert whole.choices[0].message.content
        assert whole.usage is not None
        assert whole.usage.completion_tokens <= 12

        with client.responses.stream(model="fast", input="Say hello.", max_output_tokens=12) as stream:
            events: list[Any] = list(stream)
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == events[-1].response.output_text != ""
        assert events[-1].type in ("response.completed", "response.incomplete")
        assert len(deltas) > 1


def test_the_local_model_rescues_one_that_cannot_be_reached(local: Served) -> None:
    with strict_client(local, ADMIN_KEY) as client:
        chunks = list(
            client.chat.completions.create(
                model="rescued", messages=[{"role": "user", "content": "Hi"}], max_tokens=8, stream=True
            )
        )

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_real_embeddings_know_what_is_alike(local: Served) -> None:
    texts = ["A hotel's front desk has a bell.", "You ring a bell at the reception.", "Stocks fell sharply today."]
    with strict_client(local, ADMIN_KEY) as client:
        answer = client.embeddings.create(model="embed", input=texts, encoding_format="float")

    bell, ring, stocks = (entry.embedding for entry in answer.data)
    assert math.isclose(_dot(bell, bell), 1, rel_tol=1e-3)
    assert _dot(bell, ring) > _dot(bell, stocks) + 0.2


def _dot(one: list[float], two: list[float]) -> float:
    return sum(a * b for a, b in zip(one, two, strict=True))


def test_a_killed_model_is_a_clean_error_and_the_next_request_works(local: Served) -> None:
    with strict_client(local, ADMIN_KEY) as client:
        stream = client.responses.create(
            model="fast",
            input="Write a long story about the bell of a hotel.",
            stream=True,
            max_output_tokens=600,
            temperature=0,
        )
        events: list[Any] = []
        for event in stream:
            events.append(event)
            if len(events) == 8:
                os.kill(_model_process_of(local, CHAT), signal.SIGKILL)
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")

        assert events[-1].type == "response.failed"
        assert events[-1].response.error.code == "server_error"
        assert events[-1].response.output_text == text != ""
        local.wait_for_rows(
            f"select status, error_code from turn where id = '{events[0].response.id}'", [("failed", "provider_error")]
        )
        again = client.responses.create(model="fast", input="Say hello.", max_output_tokens=8)
        assert again.output_text


def _model_process_of(served: Served, model: str) -> int:
    """The child of the server that runs a model."""
    for children in Path(f"/proc/{served.process.pid}/task").glob("*/children"):
        for child in children.read_text().split():
            if model in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
    raise AssertionError(f"no process runs {model}")
