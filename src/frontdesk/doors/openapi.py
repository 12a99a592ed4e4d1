"""The OpenAPI document: made of the shapes that reading checks against, and of the list of routes below.

Imported when somebody asks for it, so that a server starts without it.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from frontdesk import __version__
from frontdesk.accounts.routes import SessionBody
from frontdesk.wire import openai_answers as answers
from frontdesk.wire.openai_chat_shapes import ChatCompletionRequest
from frontdesk.wire.openai_embeddings import EmbeddingsAsked
from frontdesk.wire.openai_responses_shapes import ResponseRequest
from frontdesk.wire.reading import Kinds

Json = dict[str, Any]
_COMPONENTS = "#/components/schemas/"


class Session(msgspec.Struct):
    """A session that began. `token` is shown only here."""

    id: str
    token: str
    user: str
    expires_at: int


class SessionEnded(msgspec.Struct):
    """A session that ended."""

    id: str
    object: Literal["session"]
    deleted: Literal[True]


class SessionsEnded(msgspec.Struct):
    """How many sessions of a user ended."""

    user: str
    sessions_ended: int


class BootstrapModel(msgspec.Struct):
    """A model that a new person may chat with."""

    id: str
    title: str


class Bootstrap(msgspec.Struct):
    """What a client needs to know at its start."""

    name: str
    version: str
    development: bool
    anonymous: bool
    default_model: str | None
    models: list[BootstrapModel]


class Health(msgspec.Struct):
    """The process answers."""

    status: Literal["ok"]


class Readiness(msgspec.Struct):
    """Whether the process can serve. Local models are told beside, as `model:PROVIDER/MODEL`."""

    status: Literal["ok", "failing"]
    store: Literal["ok", "failing"]


class Failure(msgspec.Struct, frozen=True):
    """A status that answers with an error: what it means, and its codes."""

    says: str
    codes: tuple[str, ...]


FAILURES: dict[int, Failure] = {
    400: Failure(
        "The request cannot be understood, or asks for what is not supported. A provider's own code may stand here.",
        (
            "ambiguous_feature",
            "bad_directive",
            "context_length_exceeded",
            "credential_found",
            "duplicate_header",
            "invalid_feature",
            "invalid_http",
            "invalid_json",
            "invalid_request",
            "invalid_schema",
            "invalid_type",
            "invalid_value",
            "missing_required_parameter",
            "scripted_refusal",
            "tokens_not_screenable",
            "too_complex",
            "unknown_tier",
            "unsupported_item",
            "unsupported_parameter",
            "unsupported_part",
            "unsupported_schema",
            "unsupported_tool",
            "wrong_model",
            "wrong_model_kind",
        ),
    ),
    401: Failure(
        "No credential, or one that is forged, expired or revoked.",
        ("missing_credential", "invalid_api_key", "invalid_token", "token_expired", "token_revoked"),
    ),
    403: Failure("A good credential that may not do this.", ("forbidden",)),
    404: Failure(
        "Not there, or not the caller's to know of.",
        ("model_not_found", "not_found", "response_not_found", "session_not_found", "unknown_url"),
    ),
    405: Failure("The path answers other methods, which `Allow` names.", ("method_not_allowed",)),
    408: Failure("The request did not arrive in time.", ("request_timeout",)),
    413: Failure("The body is larger than the limit.", ("request_too_large",)),
    422: Failure("A provider understood the request and declined it; its own code.", ("unprocessable",)),
    429: Failure(
        "A limit of the caller's is reached for now; `Retry-After` says for how long.", ("rate_limit_exceeded",)
    ),
    431: Failure("The headers have more than 64 kB.", ("headers_too_large",)),
    500: Failure("A bug. It was logged with the request's id.", ("internal_error",)),
    502: Failure("All routes of the model failed.", ("provider_error", "model_failed")),
    503: Failure(
        "Nothing can be served now; where it is known for how long, `Retry-After` says it.",
        ("provider_busy", "server_overloaded", "server_shutting_down", "store_unavailable"),
    ),
    504: Failure("All routes of the model took too long.", ("provider_timeout", "turn_timeout")),
}
# What is no status of its own: inside of a stream, and of commands.
STREAM_CODES = ("cancelled",)
_ANYWHERE = (400, 405, 408, 431, 500)
_WITH_CREDENTIAL = (401, 503)
_OF_DOORS = (404, 413, 422, 429, 502, 504)


class Operation(msgspec.Struct, frozen=True):
    """One method of one path. `answers` are by status, `failures` what it fails with beside the usual."""

    method: str
    path: str
    name: str
    tag: str
    says: str
    answers: Mapping[int, Any]
    asks: type[msgspec.Struct] | None = None
    events: Any = None
    failures: tuple[int, ...] = ()
    security: tuple[Mapping[str, list[str]], ...] = ({"bearer": []},)
    path_parameter: str | None = None


_NOBODY: tuple[Mapping[str, list[str]], ...] = ()
OPERATIONS = (
    Operation(
        "post",
        "/v1/chat/completions",
        "createChatCompletion",
        "OpenAI",
        "Answer a conversation.",
        {200: answers.ChatCompletion},
        asks=ChatCompletionRequest,
        events=answers.ChatCompletionChunk | answers.Error,
        failures=_OF_DOORS,
    ),
    Operation(
        "post",
        "/v1/responses",
        "createResponse",
        "OpenAI",
        "Answer an input.",
        {200: answers.Response},
        asks=ResponseRequest,
        events=answers.ResponseEvent,
        failures=_OF_DOORS,
    ),
    Operation(
        "post",
        "/v1/responses/{response_id}/cancel",
        "cancelResponse",
        "OpenAI",
        "End a response that is being made, and return it as far as it came.",
        {200: answers.Response},
        failures=(404,),
        path_parameter="response_id",
    ),
    Operation(
        "post",
        "/v1/embeddings",
        "createEmbedding",
        "OpenAI",
        "Turn texts into vectors.",
        {200: answers.EmbeddingList},
        asks=EmbeddingsAsked,
        failures=_OF_DOORS,
    ),
    Operation(
        "get",
        "/v1/models",
        "listModels",
        "OpenAI",
        "The models that this caller may use.",
        {200: answers.ModelList},
    ),
    Operation(
        "get",
        "/v1/models/{model}",
        "retrieveModel",
        "OpenAI",
        "One of them.",
        {200: answers.Model},
        failures=(404,),
        path_parameter="model",
    ),
    Operation(
        "post",
        "/api/sessions",
        "createSession",
        "Sessions",
        "Begin a session: of a user, by a secret key; where it is allowed, of somebody new, by anybody.",
        {200: Session},
        asks=SessionBody,
        failures=(403, 413, 429),
        security=({"bearer": []}, {}),
    ),
    Operation(
        "delete",
        "/api/sessions/{session_id}",
        "endSession",
        "Sessions",
        "End a session: any by a secret key, `current` by its own token.",
        {200: SessionEnded},
        failures=(403, 404),
        path_parameter="session_id",
    ),
    Operation(
        "delete",
        "/api/users/{user}/sessions",
        "endSessionsOfUser",
        "Sessions",
        "End all sessions of a user. Needs a secret key.",
        {200: SessionsEnded},
        failures=(403, 404),
        path_parameter="user",
    ),
    Operation(
        "get",
        "/api/bootstrap",
        "bootstrap",
        "Start and health",
        "What a client needs to know at its start.",
        {200: Bootstrap},
        security=_NOBODY,
    ),
    Operation(
        "get", "/healthz", "healthz", "Start and health", "The process answers.", {200: Health}, security=_NOBODY
    ),
    Operation(
        "get",
        "/readyz",
        "readyz",
        "Start and health",
        "The process can serve; how its local models are.",
        {200: Readiness, 503: Readiness},
        security=_NOBODY,
    ),
    Operation(
        "get",
        "/openapi.json",
        "openapi",
        "Start and health",
        "This document.",
        {200: dict[str, Any]},
        security=_NOBODY,
    ),
)
_CREDENTIALS = "A secret key (`fd_sk_…`) of an app's server, or a session token (`fd_st_…`) of a person."
_DESCRIPTION = """\
`/v1/*` has OpenAI's shapes, so OpenAI's SDKs work by changing `base_url`; `/api/*` is Frontdesk's own.
Fields of a request that are not named here are passed on to the model's provider. Fields of OpenAI's that are
named here nowhere are refused by name: docs/wire.md lists them with their remedies."""


def document() -> Json:
    """Make the document. It is the same for every server of this version."""
    shapes = list(_reached([kind for operation in OPERATIONS for kind in _types_of(operation)]))
    _, schemas = msgspec.json.schema_components(shapes, ref_template=_COMPONENTS + "{name}")
    for shape in shapes:
        _tell_kinds(schemas[shape.__name__], shape)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Frontdesk",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": _paths(),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": {_name_of(status): _failure(status, failure) for status, failure in FAILURES.items()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": _CREDENTIALS}},
        },
    }


# --- shapes -------------------------------------------------------------------------------------


def _types_of(operation: Operation) -> list[Any]:
    return [kind for kind in (operation.asks, operation.events, *operation.answers.values()) if kind is not None]


def _reached(kinds: Iterable[Any]) -> Iterator[type[msgspec.Struct]]:
    """Yield all shapes that these types hold, those that only a table of kinds names included."""
    waiting: list[Any] = list(kinds)
    seen: set[Any] = set()
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, Kinds):
            waiting += kind.shapes.values()
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if kind not in seen:
                seen.add(kind)
                yield kind
                waiting += [field.type for field in msgspec.structs.fields(kind)]
        else:
            waiting += _inside(kind)


def _tell_kinds(schema: Json, shape: type[msgspec.Struct]) -> None:
    """Say in a shape's schema what its lists of plain objects hold."""
    for field in msgspec.structs.fields(shape):
        for kinds in _kinds_in(field.type):
            _replace_objects(schema["properties"][field.encode_name], _schema_of_kinds(kinds))


def _kinds_in(kind: Any) -> Iterator[Kinds]:
    for inner in _inside(kind):
        if isinstance(inner, Kinds):
            yield inner
        else:
            yield from _kinds_in(inner)


def _inside(kind: Any) -> tuple[Any, ...]:
    """What a type is made of: its options, its items, its annotations."""
    return (*typing.get_args(kind), *getattr(kind, "__metadata__", ()))


def _replace_objects(schema: Json, kinds: Json) -> None:
    if schema.get("items") == {"type": "object"}:
        schema["items"] = kinds
    for option in schema.get("anyOf", ()):
        if option == {"type": "object"}:
            option.clear()
            option.update(kinds)
        else:
            _replace_objects(option, kinds)


def _schema_of_kinds(kinds: Kinds) -> Json:
    options: list[Json] = [{"$ref": _COMPONENTS + shape.__name__} for shape in kinds.shapes.values()]
    if kinds.carries:
        known = sorted({*kinds.shapes, *kinds.refused})
        other: Json = {"type": "string", "not": {"enum": known}}
        options.append(
            {
                "type": "object",
                "description": "Not one of OpenAI's: passed on for providers that know it.",
                "properties": {kinds.field: other},
                "required": [kinds.field],
            }
        )
    return {"anyOf": options}


# --- paths --------------------------------------------------------------------------------------


def _paths() -> Json:
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return paths


def _operation(operation: Operation) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.says,
        "security": list(operation.security),
    }
    parameters = list(_parameters(operation))
    if parameters:
        described["parameters"] = parameters
    if operation.asks is not None:
        body: Json = {"application/json": {"schema": _schema(operation.asks)}}
        described["requestBody"] = {"required": True, "content": body}
    described["responses"] = _responses(operation)
    return described


def _parameters(operation: Operation) -> Iterator[Json]:
    if operation.path_parameter is not None:
        schema: Json = {"type": "string", "minLength": 1}
        yield {"name": operation.path_parameter, "in": "path", "required": True, "schema": schema}
    if 422 in operation.failures:  # a door
        yield {
            "name": "Frontdesk-Feature",
            "in": "header",
            "description": "What the request is for; as `metadata.feature`.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"},
        }


def _responses(operation: Operation) -> Json:
    responses: dict[str, Json] = {}
    for status, kind in operation.answers.items():
        content: Json = {"application/json": {"schema": _schema(kind)}}
        if status == 200 and operation.events is not None:
            content["text/event-stream"] = {"schema": _schema(operation.events)}
        responses[str(status)] = {"description": "As asked for." if status == 200 else "It cannot.", "content": content}
    usual = {*_ANYWHERE, *operation.failures, *(_WITH_CREDENTIAL if operation.security else ())}
    for status in sorted(usual - operation.answers.keys()):
        responses[str(status)] = {"$ref": f"#/components/responses/{_name_of(status)}"}
    return responses


def _schema(kind: Any) -> Json:
    if typing.get_origin(kind) is dict:
        return {"type": "object"}
    options: list[Json] = [{"$ref": _COMPONENTS + option.__name__} for option in typing.get_args(kind) or (kind,)]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _name_of(status: int) -> str:
    return f"Failure{status}"


def _failure(status: int, failure: Failure) -> Json:
    described: Json = {
        "description": f"{failure.says} Codes: {', '.join(f'`{code}`' for code in failure.codes)}.",
        "content": {"application/json": {"schema": {"$ref": _COMPONENTS + answers.Error.__name__}}},
    }
    header = {405: "Allow", 429: "Retry-After"}.get(status)
    if header is not None:
        described["headers"] = {header: {"required": True, "schema": {"type": "string"}}}
    return described
