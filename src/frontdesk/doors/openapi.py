"""The OpenAPI document: made of the list of routes, and of the shapes that reading checks against.

Imported when somebody asks for it, so that a server starts without it.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from frontdesk import __version__
from frontdesk.core.config import PRIORITIES
from frontdesk.doors.client_context import MAX_BYTES
from frontdesk.doors.operations import OPERATIONS, Operation
from frontdesk.limits.telling import HEADERS
from frontdesk.wire import openai_answers as answers
from frontdesk.wire.reading import Kinds

Json = dict[str, Any]
_COMPONENTS = "#/components/schemas/"


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
            "batch_not_cancellable",
            "call_answered",
            "call_not_found",
            "chain_too_long",
            "context_length_exceeded",
            "conversation_full",
            "conversation_too_large",
            "conversations_not_kept",
            "credential_found",
            "duplicate_cookie",
            "duplicate_credential",
            "duplicate_header",
            "empty_file",
            "file_not_found",
            "files_too_large",
            "history_too_large",
            "invalid_audio",
            "invalid_content_type",
            "invalid_context",
            "invalid_encoding",
            "invalid_encrypted_content",
            "invalid_feature",
            "invalid_form",
            "invalid_handshake",
            "invalid_http",
            "invalid_idempotency_key",
            "invalid_json",
            "invalid_msgpack",
            "invalid_request",
            "invalid_schema",
            "invalid_type",
            "invalid_value",
            "invalid_variable",
            "item_exists",
            "missing_feature",
            "missing_required_parameter",
            "missing_subprotocol",
            "missing_variable",
            "mutually_exclusive_parameters",
            "not_a_session",
            "not_anonymous",
            "nothing_is_stored",
            "previous_response_in_progress",
            "previous_response_not_found",
            "scripted_refusal",
            "session_exists",
            "session_too_long",
            "tokens_not_screenable",
            "too_complex",
            "too_many_branches",
            "too_many_files",
            "too_many_groups",
            "too_many_pinned",
            "too_many_references",
            "unknown_app",
            "unknown_feature",
            "unknown_tier",
            "unknown_variable",
            "unsupported_item",
            "unsupported_language",
            "unsupported_parameter",
            "unsupported_part",
            "unsupported_request",
            "unsupported_schema",
            "unsupported_tool",
            "websocket_connection_limit_reached",
            "websocket_stream_limit_reached",
            "wrong_model",
            "wrong_model_kind",
        ),
    ),
    401: Failure(
        "No credential, or one that is forged, expired or revoked.",
        (
            "attestation_invalid",
            "attestation_required",
            "invalid_api_key",
            "invalid_token",
            "key_expired",
            "missing_credential",
            "refresh_token_expired",
            "refresh_token_reused",
            "token_expired",
            "token_not_yet_valid",
            "token_revoked",
            "unknown_issuer",
            "wrong_audience",
        ),
    ),
    403: Failure(
        "A good credential that may not do this.",
        (
            "csrf_failed",
            "feature_not_allowed",
            "forbidden",
            "missing_scope",
            "model_unpriced",
            "not_allowed_by_feature",
            "not_under_a_budget",
        ),
    ),
    404: Failure(
        "Not there, or not the caller's to know of.",
        (
            "batch_not_found",
            "chat_completion_not_found",
            "conversation_not_found",
            "events_gone",
            "fact_not_found",
            "feedback_not_found",
            "file_not_found",
            "item_not_found",
            "job_not_found",
            "key_not_found",
            "model_not_found",
            "not_found",
            "response_not_found",
            "route_not_found",
            "session_not_found",
            "unknown_url",
            "user_not_found",
        ),
    ),
    405: Failure("The path answers other methods, which `Allow` names.", ("method_not_allowed",)),
    408: Failure("The request did not arrive in time.", ("request_timeout",)),
    409: Failure(
        "What the request is about is being changed, or has changed since it was read; or its `Idempotency-Key` was "
        "used before and leads to no answer. Where asking again is of use, `Retry-After` says when; where it is of "
        "none, `x-should-retry` is `false`.",
        (
            "conflict",
            "conversation_changed",
            "conversation_locked",
            "idempotency_answer_not_kept",
            "idempotency_key_in_use",
            "idempotency_outcome_unknown",
            "job_not_cancellable",
            "job_not_retryable",
            "response_under_way",
        ),
    ),
    413: Failure(
        "The body, or a file, is larger than the limit, or all of a person's files with it; or they have as many "
        "conversations, or facts, as they may.",
        ("file_too_large", "request_too_large", "storage_full", "too_many_conversations", "too_many_facts"),
    ),
    415: Failure("The body is in a form that nobody reads here.", ("unsupported_media_type",)),
    422: Failure(
        "A provider understood the request and declined it, with its own code; or a rule of this server withholds what "
        "it answered; or its `Idempotency-Key` is that of another request.",
        ("content_filter", "idempotency_key_reused", "unprocessable"),
    ),
    426: Failure(
        "The path is a WebSocket's, and a handshake must be of version 13; or the app, as `Frontdesk-Client` says, is "
        "older than is served here.",
        ("client_too_old", "upgrade_required"),
    ),
    429: Failure(
        "A limit or a budget is reached; `Retry-After` says for how long, unless it is for ever. Where it is money, "
        "`x-should-retry` is `false`.",
        (
            "insufficient_quota",
            "rate_limit_exceeded",
            "too_many_batches",
            "too_many_frames",
            "too_many_streams",
            "too_many_waiting",
        ),
    ),
    431: Failure("The headers have more than 64 kB.", ("headers_too_large",)),
    500: Failure(
        "A bug, which was logged with the request's id. Of a stored response: the server went down while it was made, "
        "or before, and its caller may not ask any more.",
        ("caller_gone", "internal_error", "server_crashed"),
    ),
    502: Failure(
        "All routes of the model failed.", ("invalid_structured_output", "model_failed", "no_summary", "provider_error")
    ),
    503: Failure(
        "Nothing can be served now; where it is known for how long, `Retry-After` says it.",
        (
            "answer_interrupted",
            "issuer_unavailable",
            "provider_busy",
            "provider_unavailable",
            "report_too_slow",
            "server_overloaded",
            "server_shutting_down",
            "store_unavailable",
            "upload_given_up",
        ),
    ),
    504: Failure("All routes of the model took too long.", ("provider_timeout", "turn_timeout")),
}
# What is no status of its own: inside of a stream, and of commands.
STREAM_CODES = ("cancelled",)
_ANYWHERE = (400, 405, 408, 431, 500)
_WITH_CREDENTIAL = (401, 403, 503)
_WITH_KEY = (409, 422)
_CREDENTIALS = (
    "A secret key (`fd_sk_…`) of an app's server or an operator, or a user's own token: a session token (`fd_st_…`), "
    "or one of an identity provider."
)
_COOKIE = (
    "A user's session, where the server takes cookies: this one over https, `frontdesk_session` over plain http. What "
    "may change something needs the header `Frontdesk-CSRF` as well. Beside an Authorization it is not read."
)
_DESCRIPTION = """\
`/v1/*` has OpenAI's shapes, so OpenAI's SDKs work by changing `base_url`; `/api/*` is Frontdesk's own.
Fields of a request that are not named here are passed on to the model's provider. Fields of OpenAI's that are
named here nowhere are refused by name: docs/wire.md lists them with their remedies. Where an app has attestation, its
users' requests carry a token of it in `Frontdesk-Attestation` or `X-Firebase-AppCheck`: docs/api.md."""


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
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": _CREDENTIALS},
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-frontdesk_session",
                    "description": _COOKIE,
                },
            },
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
        asked_in = "multipart/form-data" if operation.is_form else "application/json"
        body: Json = {asked_in: {"schema": _schema(operation.asks)}}
        described["requestBody"] = {"required": True, "content": body}
    described["responses"] = _responses(operation)
    return described


_ID: Json = {"type": "string", "minLength": 1, "maxLength": 128}


def _parameters(operation: Operation) -> Iterator[Json]:
    if operation.path_parameter is not None:
        schema: Json = {"type": "string", "minLength": 1}
        yield {"name": operation.path_parameter, "in": "path", "required": True, "schema": schema}
    if operation.is_paged:
        yield {"name": "after", "in": "query", "description": "The id behind which to begin.", "schema": _ID}
        yield {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}}
    yield from map(dict, operation.query)
    if _is_door(operation):
        yield {
            "name": "Frontdesk-Feature",
            "in": "header",
            "description": "What the request is for; as `metadata.feature`.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"},
        }
        yield {
            "name": "Frontdesk-Context",
            "in": "header",
            "description": "What the client says of itself, a dictionary of RFC 9651, for variables of its feature.",
            "schema": {"type": "string", "maxLength": MAX_BYTES},
            "example": 'locale="de-DE", time_zone="Europe/Berlin", location="52.5,13.4";consent, screen="cart"',
        }
        yield {
            "name": "Frontdesk-Events",
            "in": "header",
            "description": "`status` asks for notices: what budgets change, and how long a stream waits for a slot.",
            "schema": {"type": "string", "examples": ["status"]},
        }
        yield {
            "name": "Frontdesk-Priority",
            "in": "header",
            "description": "Who waits for the answer; a user's cannot be higher than their feature's.",
            "schema": {"type": "string", "enum": list(PRIORITIES)},
        }
        yield {
            "name": "Frontdesk-Timeout",
            "in": "header",
            "description": "How long the answer may take in all, in seconds: to `limits.turn_timeout_s`.",
            "schema": {"type": "number", "minimum": 0.05},
        }
    if _has_key(operation):
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The name under which this is done once, however often it is sent: docs/idempotency.md.",
            "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
        }


def _is_door(operation: Operation) -> bool:
    return 504 in operation.failures


def _has_key(operation: Operation) -> bool:
    return operation.is_done_once or _is_door(operation)


_HEADERS_OF_DOORS: Json = {
    name: {"required": False, "schema": {"type": "string"}, "description": words}
    for name, words in (
        *((name, "Of the limit of which least is left, if the caller may know one.") for name in HEADERS),
        ("frontdesk-notice", "A notice of a budget, in JSON, for who asks by `Frontdesk-Events`; one for each."),
    )
}
_REPLAYED: Json = {
    "idempotent-replayed": {
        "required": False,
        "schema": {"enum": ["true"]},
        "description": "The answer is that of an earlier request with the same `Idempotency-Key`.",
    }
}


def _responses(operation: Operation) -> Json:
    responses: dict[str, Json] = {}
    for status, kind in operation.answers.items():
        content: Json = {} if kind is None else {"application/json": {"schema": _schema(kind)}}
        if status == 200:
            content |= {each: {"schema": {"type": "string", **_BYTES.get(each[:5], {})}} for each in operation.contents}
        if status == 200 and operation.events is not None:
            content["text/event-stream"] = {"schema": _schema(operation.events)}
        if status == 200 and operation.is_table:
            content["text/csv"] = {"schema": {"type": "string"}}
        responses[str(status)] = {"description": _SAYS.get(status, "It cannot."), "content": content}
        headers = (_HEADERS_OF_DOORS if _is_door(operation) else {}) | (_REPLAYED if _has_key(operation) else {})
        if status == 200 and headers:
            responses[str(status)]["headers"] = headers
    usual = {*_ANYWHERE, *operation.failures, *(_WITH_CREDENTIAL if operation.security else ())}
    usual |= {*(_WITH_KEY if _has_key(operation) else ())}
    for status in sorted(usual - operation.answers.keys()):
        responses[str(status)] = {"$ref": f"#/components/responses/{_name_of(status)}"}
    return responses


_SAYS = {200: "As asked for.", 304: "It is as the request says that it knows it."}
_BYTES: Mapping[str, Json] = {"audio": {"format": "binary"}}


def _schema(kind: Any) -> Json:
    if typing.get_origin(kind) is dict:
        return {"type": "object"}
    options: list[Json] = [{"$ref": _COMPONENTS + option.__name__} for option in typing.get_args(kind) or (kind,)]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _name_of(status: int) -> str:
    return f"Failure{status}"


# Statuses that clients ask again for, which is of no use where it would be answered the same.
_MAY_BE_FINAL = (409, 429, 500, 502, 503, 504)


def _failure(status: int, failure: Failure) -> Json:
    described: Json = {
        "description": f"{failure.says} Codes: {', '.join(f'`{code}`' for code in failure.codes)}.",
        "content": {"application/json": {"schema": {"$ref": _COMPONENTS + answers.Error.__name__}}},
    }
    headers: Json = {}
    if name := {405: "Allow", 409: "Retry-After", 429: "Retry-After"}.get(status):
        # A budget without a period is spent for ever, and not every conflict ends by itself.
        headers[name] = {"required": status == 405, "schema": {"type": "string"}}
    if status in _MAY_BE_FINAL:
        headers["x-should-retry"] = {"required": False, "schema": {"enum": ["false"]}}
    if status == 429:
        headers |= _HEADERS_OF_DOORS
    if headers:
        described["headers"] = headers
    return described
