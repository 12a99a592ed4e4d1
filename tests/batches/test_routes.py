"""/v1/batches over ASGI: what is wrong with a batch is said as the other doors say it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from frontdesk.app import Frontdesk
from frontdesk.core.config import parse_config, read_environment
from frontdesk.storage.database import open_database
from tests.files.test_routes import SETTINGS, token_of
from tests.http.asgi import Answer, ask

GOOD = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}


@pytest.fixture
async def app(sqlite_url: str) -> AsyncIterator[Frontdesk]:
    opened = Frontdesk(
        parse_config(SETTINGS, {}), read_environment({}), await open_database(sqlite_url), is_development=False
    )
    await opened.accounts.load()
    yield opened
    await opened.close()


async def post(app: Frontdesk, body: bytes) -> Answer:
    headers = [(b"authorization", f"Bearer {await token_of(app, 'u1')}".encode())]
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    return await ask(app.asgi, "POST", "/v1/batches", headers=headers, messages=messages)


@pytest.mark.parametrize(
    ("said", "code", "param", "words"),
    [
        ({"completion_window": "1h"}, "invalid_value", "completion_window",
         "Invalid value for 'completion_window': '1h'. It must be one of '24h'."),
        ({"completion_window": 24}, "invalid_type", "completion_window",
         "Invalid value for 'completion_window': expected a text, not 24."),
        ({"input_file_id": 1}, "invalid_type", "input_file_id",
         "Invalid value for 'input_file_id': expected a text, not 1."),
        ({"surprise": 1}, "unsupported_parameter", "surprise",
         "'surprise' is not supported here. It is not known here; leave it out."),
        ({"endpoint": "/v1/images"}, "invalid_value", "endpoint",
         ("Invalid value for 'endpoint': '/v1/images'. It must be one of '/v1/chat/completions', '/v1/responses', "
          "'/v1/embeddings', '/v1/moderations'.")),
        ({"metadata": {"a": 1}}, "invalid_type", "metadata",
         "Invalid value for 'metadata': expected a text."),
        ({"metadata": {str(n): "" for n in range(17)}}, "invalid_value", "metadata",
         "'metadata' has 17 keys. It may have 16."),
        ({"output_expires_after": {"anchor": "now", "seconds": 3600}}, "invalid_value", "output_expires_after.anchor",
         "Invalid value for 'output_expires_after.anchor': 'now'. It must be one of 'created_at'."),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, "invalid_value",
         "output_expires_after.seconds",
         "Invalid value for 'output_expires_after.seconds': expected an integer >= 3600, not 1."),
        ({"output_expires_after": {"anchor": "created_at"}}, "missing_required_parameter",
         "output_expires_after.seconds", "Missing required parameter: 'output_expires_after.seconds'."),
        ({}, "file_not_found", "input_file_id", "There is no file 'file-1'."),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(app: Frontdesk, said: dict[str, Any], code: str, param: str, words: str) -> None:
    answer = await post(app, json.dumps({**GOOD, **said}).encode())

    assert answer.status == 400
    assert answer.body["error"] == {"message": words, "type": "invalid_request_error", "param": param, "code": code}


@pytest.mark.parametrize("name", GOOD)
async def test_what_is_missing_is_named(app: Frontdesk, name: str) -> None:
    answer = await post(app, json.dumps({each: GOOD[each] for each in GOOD if each != name}).encode())

    assert (answer.status, answer.code) == (400, "missing_required_parameter")
    assert answer.body["error"]["param"] == name


@pytest.mark.parametrize(
    ("body", "code"), [(b"", "missing_required_parameter"), (b"{", "invalid_json"), (b"[]", "invalid_json")]
)
async def test_what_is_no_object_is_refused(app: Frontdesk, body: bytes, code: str) -> None:
    assert (await post(app, body)).code == code
