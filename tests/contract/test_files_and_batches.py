"""Files and batches by the official OpenAI client, strict; OpenAI's document and ours check what it is answered."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types import Batch

from tests.contract.conftest import begin_session, strict_client
from tests.serving import Served

CHAT = "/v1/chat/completions"


def lines(*bodies: dict[str, Any]) -> bytes:
    return b"\n".join(
        json.dumps({"custom_id": f"n{n}", "method": "POST", "url": CHAT, "body": body}).encode()
        for n, body in enumerate(bodies)
    )


def asking(text: str, **body: Any) -> dict[str, Any]:
    return {"model": "fast", "messages": [{"role": "user", "content": text}], **body}


def ended(client: OpenAI, batch_id: str) -> Batch:
    deadline = time.monotonic() + 20
    while (batch := client.batches.retrieve(batch_id)).status not in ("completed", "failed", "cancelled"):
        assert time.monotonic() < deadline, batch
        time.sleep(0.02)
    return batch


def test_a_files_life(client: OpenAI) -> None:
    content = b"%PDF-1.4" + bytes(range(256)) * 3000
    made = client.files.create(
        file=("a report.pdf", io.BytesIO(content)),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )

    assert (made.bytes, made.filename, made.purpose) == (len(content), "a report.pdf", "user_data")
    assert made.expires_at == made.created_at + 3600
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).read() == content
    assert client.files.wait_for_processing(made.id) == made
    assert client.files.delete(made.id).deleted
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError) as refused:
            ask(made.id)
        assert refused.value.code == "file_not_found"


def test_lists_of_files_page_by_themselves(served: Served) -> None:
    with strict_client(served, begin_session(served, user="lister")["token"]) as client:
        made = [
            client.files.create(file=(f"{n}.txt", b"x"), purpose="vision" if n % 2 else "assistants") for n in range(5)
        ]

        ids = sorted(each.id for each in made)
        assert [each.id for each in client.files.list(limit=2, order="asc")] == ids
        assert [each.id for each in client.files.list(limit=2)] == ids[::-1]
        assert {each.id for each in client.files.list(purpose="vision")} == {each.id for each in made[1::2]}


def test_a_file_goes_along_with_a_question(client: OpenAI) -> None:
    made = client.files.create(file=("a.pdf", b"%PDF-1.4"), purpose="user_data")
    picture = client.files.create(file=("a.png", b"\x89PNG"), purpose="vision")

    chat = client.chat.completions.create(
        model="fast",
        messages=[
            {
                "role": "user",
                "content": [{"type": "text", "text": "what is it"}, {"type": "file", "file": {"file_id": made.id}}],
            }
        ],
    )
    response = client.responses.create(
        model="fast",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "what is it"},
                    {"type": "input_file", "file_id": made.id},
                    {"type": "input_image", "file_id": picture.id, "detail": "auto"},
                ],
            }
        ],
    )

    assert (chat.choices[0].message.content or "").startswith("what is it")
    assert response.output_text.startswith("what is it")
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(
            model="fast",
            input=[{"role": "user", "content": [{"type": "input_file", "file_id": "file-" + "0" * 32}]}],
        )
    assert refused.value.code == "file_not_found"


def test_a_batchs_life(client: OpenAI) -> None:
    content = lines(*(asking(f"question {n}") for n in range(5)), asking("x", model="unheard_of"))
    file = client.files.create(file=("lines.jsonl", content), purpose="batch")

    made = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"app": "test"},
        output_expires_after={"anchor": "created_at", "seconds": 7200},
    )
    batch = ended(client, made.id)

    assert (made.status, made.metadata) == ("validating", {"app": "test"})
    assert (batch.status, batch.errors) == ("completed", None)
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": 6, "completed": 5, "failed": 1}
    assert batch.output_file_id is not None
    assert batch.error_file_id is not None
    output = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    (error,) = [json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()]
    said = {each["custom_id"]: each["response"]["body"]["choices"][0]["message"]["content"] for each in output}
    assert said == {f"n{n}": f"question {n}" for n in range(5)}
    assert (error["custom_id"], error["response"]["status_code"]) == ("n5", 404)
    results = client.files.retrieve(batch.output_file_id)
    assert (results.purpose, results.expires_at) == ("batch_output", results.created_at + 7200)
    assert made.id in [each.id for each in client.batches.list(limit=1)]
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.cancel(made.id)
    assert refused.value.code == "batch_not_cancellable"


def test_a_batch_that_cannot_be(client: OpenAI) -> None:
    file = client.files.create(file=("lines.jsonl", b"{\n" + lines(asking("x", stream=True))), purpose="batch")

    batch = ended(
        client,
        client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h").id,
    )

    assert batch.status == "failed"
    assert batch.errors is not None
    assert [(error.code, error.line) for error in batch.errors.data or ()] == [
        ("invalid_json_line", 1),
        ("unsupported_parameter", 2),
    ]


def test_a_batch_is_cancelled(client: OpenAI) -> None:
    file = client.files.create(
        file=("lines.jsonl", lines(*(asking("x", model="slow") for _ in range(200)))), purpose="batch"
    )
    made = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")

    cancelled = client.batches.cancel(made.id)

    assert cancelled.status == "cancelling"
    batch = ended(client, made.id)
    assert (batch.status, batch.cancelled_at is None) == ("cancelled", False)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"endpoint": "/v1/completions"}, "endpoint"),
        ({"input_file_id": "file-" + "0" * 32}, "input_file_id"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 5}}, "output_expires_after.seconds"),
    ],
)
def test_what_no_batch_can_be_is_refused(client: OpenAI, asked: dict[str, Any], param: str) -> None:
    file = client.files.create(file=("lines.jsonl", lines(asking("x"))), purpose="batch")
    good: dict[str, Any] = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}

    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(**{**good, **asked})

    assert refused.value.param == param
