"""Messages of a WebSocket: what is read of them, and what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._models import validate_type
from openai.types.responses import ResponsesServerEvent

from frontdesk.core.errors import BadRequest, QuotaSpent, RateLimited, Unavailable
from frontdesk.wire.openai_responses_socket import (
    Creation,
    Steering,
    error_message,
    lane_of,
    lane_tail,
    read_message,
    steering_failed,
)

EVENT: Any = ResponsesServerEvent  # a union of types, and so none for a type checker


def test_a_creation_is_a_streamed_request_without_its_envelope() -> None:
    envelope = {"type": "response.create", "stream_id": "a", "generate": True, "idempotency_key": "k 1"}

    assert read_message({**envelope, "model": "m", "x": 1}) == Creation(
        {"model": "m", "x": 1, "stream": True}, True, "k 1"
    )
    assert read_message({"type": "response.create", "generate": False}) == Creation({"stream": True}, generates=False)
    assert read_message({"type": "response.create", "generate": None, "background": None}).fields == {  # type: ignore[union-attr]
        "background": None,
        "stream": True,
    }


@pytest.mark.parametrize(("named", "previous"), [("resp_1", "resp_1"), (None, None), (7, None), (["resp_1"], None)])
def test_what_a_creation_goes_on_with_is_a_name(named: Any, previous: str | None) -> None:
    creation = read_message({"type": "response.create", "previous_response_id": named})

    assert isinstance(creation, Creation)
    assert creation.previous == previous


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        ({}, "type"),
        ({"type": 1}, "type"),
        ({"type": "response.cancel"}, "type"),
        ({"type": "response.steer", "input": "x"}, "previous_response_id"),
        ({"type": "response.steer", "previous_response_id": "r", "input": 1}, "input"),
        ({"type": "response.create", "idempotency_key": "a\nb"}, "idempotency_key"),
        ({"type": "response.create", "idempotency_key": "x" * 256}, "idempotency_key"),
        ({"type": "response.create", "generate": 0}, "generate"),
        ({"type": "response.create", "background": True}, "background"),
        ({"type": "response.create", "stream": False}, "stream"),
    ],
)
def test_what_cannot_be_read_is_named(raw: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_message(raw)

    assert refusal.value.param == param


def test_who_would_cancel_is_told_where() -> None:
    with pytest.raises(BadRequest, match=r"/v1/responses/\{id\}/cancel"):
        read_message({"type": "response.cancel"})


@given(lane=st.text(min_size=1, max_size=128))
def test_a_lane_s_name_comes_back_as_it_went(lane: str) -> None:
    assert lane_of({"stream_id": lane}) == lane
    message = b'{"type":"x","n":{}}'
    assert json.loads(message[:-1] + lane_tail(lane)) == {"type": "x", "n": {}, "stream_id": lane}
    assert message[:-1] + lane_tail(None) == message


@pytest.mark.parametrize("lane", ["", "x" * 129, 1, False, ["a"], {}])
def test_what_is_no_lane_is_refused(lane: Any) -> None:
    with pytest.raises(BadRequest) as refusal:
        lane_of({"stream_id": lane})

    assert refusal.value.param == "stream_id"


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (BadRequest("No.", param="model"), None),
        (RateLimited("Later.", retry_after_s=1.2), {"x-request-id": "resp_1", "retry-after": "2"}),
        (Unavailable("Not now.", retry_after_s=0), {"x-request-id": "resp_1", "retry-after": "1"}),
        (QuotaSpent("Spent."), {"x-request-id": "resp_1", "x-should-retry": "false"}),
    ],
)
def test_an_error_says_what_a_refused_post_says(error: Any, headers: dict[str, str] | None) -> None:
    given_headers = [(b"x-request-id", b"resp_1")] if headers else []
    told = json.loads(error_message(error, given_headers))

    validate_type(type_=EVENT, value=told)
    expected = error.body()["error"] | ({"headers": headers} if headers else {})
    assert told == {"type": "error", "status": error.status, "error": expected}


@pytest.mark.parametrize("given_input", ["left", [{"type": "message", "role": "user", "content": "left"}]])
def test_steering_gives_its_input_back(given_input: Any) -> None:
    steering = read_message({"type": "response.steer", "previous_response_id": "resp_1", "input": given_input})
    assert isinstance(steering, Steering)
    told = json.loads(steering_failed(steering))

    validate_type(type_=EVENT, value=told)
    assert told["steer"] == {"previous_response_id": "resp_1", "input": given_input}
