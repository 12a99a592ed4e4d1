"""How servers of OpenAI's dialects refuse: bodies in the shapes of each, and whose matter they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.providers.openai_errors import judged, lacks_schemas, read_error
from frontdesk.providers.refusals import Said


def said(body: Any) -> Said:
    return read_error(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "m", "type": "t", "param": "x", "code": "c"}}, Said("m", "c", "x")),
        ({"error": {"message": "m", "code": 402, "param": ["a"]}}, Said("m", None, "['a']")),
        ({"error": "model is loading"}, Said("model is loading")),
        # Azure
        ({"statusCode": 401, "message": "Access denied."}, Said("Access denied.")),
        (
            {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not exist."}},
            Said("The API deployment does not exist.", "DeploymentNotFound"),
        ),
        (
            {
                "error": {
                    "message": "The response was filtered.",
                    "type": None,
                    "param": "prompt",
                    "code": "content_filter",
                    "status": 400,
                    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
                }
            },
            Said("The response was filtered.", "content_filter", "prompt"),
        ),
        # Mistral
        (
            {"object": "error", "message": "Invalid model: m", "type": "invalid_model", "param": None, "code": "1500"},
            Said("Invalid model: m", "1500"),
        ),
        (
            {
                "object": "error",
                "message": {
                    "detail": [
                        {"type": "extra_forbidden", "loc": ["body", "user"], "msg": "Extra inputs", "input": "u"}
                    ]
                },
            },
            Said("user: Extra inputs", None, "user"),
        ),
        # FastAPI and vLLM
        ({"detail": "Not Found"}, Said("Not Found")),
        (
            {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "field required"}, {"loc": []}]},
            Said("messages.0.role: field required", None, "messages.0.role"),
        ),
        ({"detail": [7]}, Said()),
        ({"object": "error", "message": "m", "type": "BadRequestError", "param": None, "code": 400}, Said("m")),
        # OpenRouter
        ({"error": {"code": 402, "message": "Insufficient credits"}, "user_id": "u"}, Said("Insufficient credits")),
        (
            {
                "error": {
                    "code": 400,
                    "message": "Provider returned error",
                    "metadata": {
                        "provider_name": "A",
                        "raw": '{"error": {"message": "No.", "code": "odd", "param": "x"}}',
                    },
                }
            },
            Said("No.", "odd", "x"),
        ),
        (
            {"error": {"code": 400, "message": "Provider returned error", "metadata": {"raw": "upstream said no"}}},
            Said("upstream said no"),
        ),
        (
            {"error": {"code": 403, "message": "Flagged.", "metadata": {"reasons": ["x"], "flagged_input": "…"}}},
            Said("Flagged.", "content_filter"),
        ),
        ([], Said()),
        ({}, Said()),
        ({"error": None}, Said()),
    ],
)
def test_every_shape_is_read(body: Any, expected: Said) -> None:
    assert said(body) == expected


@pytest.mark.parametrize(
    "error",
    [
        {"message": "This model's maximum context length is 4096 tokens. However, you requested 5000.", "code": 400},
        {"message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"},
        {"message": "the request exceeds the available context size. try increasing it", "type": "invalid"},
        {"message": "m", "type": "exceed_context_size_error", "n_prompt_tokens": 9000},
        {"message": "Please reduce the length of the messages or completion.", "code": "context_length_exceeded"},
        {"message": "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000"},
        {"message": "This endpoint's maximum context length is 131072 tokens."},
        {"message": "prompt is too long: 210000 tokens > 200000 maximum"},
        {"message": "The input token count (1100000) exceeds the maximum number of tokens allowed"},
        {"message": "input length exceeds maximum context length"},
    ],
)
def test_a_prompt_that_is_too_long_has_one_code(error: dict[str, Any]) -> None:
    assert said({"error": error}).code == "context_length_exceeded"


@pytest.mark.parametrize(
    "message",
    [
        "Unknown parameter: 'context'.",
        "max_tokens is too large: 99999.",
        "Invalid 'context_management'.",
        "The context.",
    ],
)
def test_other_words_of_context_are_no_length(message: str) -> None:
    assert said({"error": {"message": message}}).code is None


@given(st.binary(max_size=200))
def test_no_body_is_too_odd_to_be_read(body: bytes) -> None:
    assert isinstance(read_error(body), Said)


_json = st.recursive(
    st.none() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "param", "metadata", "raw", "loc", "msg"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(_json)
def test_no_json_is_too_odd_to_be_read(body: Any) -> None:
    read = said(body)

    assert all(each is None or isinstance(each, str) for each in (read.message, read.code, read.param))


@pytest.mark.parametrize(
    ("status", "refusal", "expected"),
    [
        (400, Said("Failed to generate JSON.", "json_validate_failed"), (ProviderError, "invalid_structured_output")),
        (400, Said("Failed to call a function.", "tool_use_failed"), (ProviderError, "invalid_structured_output")),
        (498, Said(), (ProviderError, "provider_busy")),
        (413, Said("Request too large", "rate_limit_exceeded"), (ProviderError, "provider_busy")),
        (400, Said("Model Not Exist"), (ProviderError, "provider_error")),
        (400, Said("Invalid model: mistral-huge", "1500"), (ProviderError, "provider_error")),
        (400, Said("x/y is not a valid model ID"), (ProviderError, "provider_error")),
        (400, Said("Retired.", "model_decommissioned"), (ProviderError, "provider_error")),
        (
            404,
            Said("No endpoints found that can handle the requested parameters."),
            (BadRequest, "unsupported_parameter"),
        ),
        (404, Said("No endpoints found that support tool use."), (BadRequest, "unsupported_parameter")),
        (403, Said("Flagged.", "content_filter"), (BadRequest, "content_filter")),
    ],
)
def test_some_statuses_blame_the_wrong_side(status: int, refusal: Said, expected: tuple[type[Exception], str]) -> None:
    error = judged(status, refusal)

    assert error is not None
    assert (type(error), error.code) == expected


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (400, Said("Bad.", "invalid_request_error")),
        (400, Said("Filtered.", "content_filter", "prompt")),
        (403, Said("Forbidden.")),
        (404, Said("Not Found")),
        (413, Said("Too large.")),
        (429, Said("Slow down.", "rate_limit_exceeded")),
        (500, Said()),
    ],
)
def test_all_else_is_what_its_status_says(status: int, refusal: Said) -> None:
    assert judged(status, refusal) is None


@pytest.mark.parametrize(
    ("message", "param", "expected"),
    [
        ("This model does not support response format `json_schema`.", None, True),  # Groq
        ("This response_format type is unavailable now", None, True),  # DeepSeek
        ("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.", None, True),
        ("only supports json_object", "response_format", True),
        ("Structured outputs are not available for this model", None, True),
        ("Invalid schema for response_format 'stay': 'required' is required to be supplied.", "response_format", False),
        ("'temperature' is not supported with this model.", "temperature", False),
    ],
)
def test_a_model_without_schemas_is_known_by_its_refusal(message: str, param: str | None, expected: bool) -> None:
    assert lacks_schemas(BadRequest(message, param=param)) is expected
