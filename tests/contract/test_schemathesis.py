"""Requests that schemathesis makes of our own OpenAPI document, good ones and bad ones, on every route.

Nothing they say is a 500, a status, a header or a body that is not described, or a good answer to what the
document forbids. The same requests are made each time; the slow tests make more of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.contract.own_document import COMMITTED, OwnDocument
from tests.peers.document import Answer
from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving

CHATTING = ("fast", "thinking", "short", "declining", "cut", "rescued")
LONGEST_TIMEOUT_S = 1800  # the longest that the server takes: limits.turn_timeout_s
SUMMING_UP = ("fast", "thinking")  # to the end
OF_A_KIND = {
    "EmbeddingsAsked": "embed",
    "ModerationsAsked": "judge",
    "TranscriptionAsked": "ears",
    "TranslationAsked": "ears",
    "SpeechAsked": "voice",
    "ImageGenerationAsked": "brush",
    "ImageEditAsked": "brush",
    "ImageVariationAsked": "brush",
}
MODELS = (*CHATTING, *dict.fromkeys(OF_A_KIND.values()))
OWN = OwnDocument()
ALWAYS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    allow_header_conformance,
    missing_required_header,
    ignored_auth,
    unsupported_method,
]


def operations(*, names: dict[str, Any], has_configured: bool) -> list[Any]:
    """The operations of our document, where a model is one that answers: else almost no request came far.

    `has_configured` leaves out what this server has not configured, and would refuse by its name.
    """
    content = json.loads(COMMITTED.read_text(encoding="utf-8"))
    schemas = content["components"]["schemas"]
    for name in ("ChatCompletionRequest", "ResponseRequest", "InputTokensAsked"):
        schemas[name]["properties"]["model"] = {"enum": [*CHATTING, None]}
    schemas["CompactAsked"]["properties"]["model"] = {"enum": [*SUMMING_UP]}
    schemas["CompactAsked"]["required"] = ["model"]
    for name in ("ResponseRequest", "CompactAsked"):  # without an input there is nothing to go on with
        said = schemas[name]["properties"]["input"]
        said["anyOf"] = [{**each, "minItems": 1} for each in said["anyOf"] if each.get("type") != "null"]
        schemas[name]["required"] = [*schemas[name].get("required", ()), "input"]
    for name in ("ResponseRequest", "InputTokensAsked", "CompactAsked"):  # ids of what is not there
        for field in ("previous_response_id", "conversation"):
            if has_configured and field in schemas[name]["properties"]:
                schemas[name]["properties"][field] = {"const": None}
    for name, model in OF_A_KIND.items():
        schemas[name]["properties"]["model"] = {"const": model}
        if has_configured:  # of some kinds one is taken where none is named
            schemas[name]["required"].append("model")
    tiers, nothing = {"enum": ["free", "paid", None]}, {"const": None}
    schemas["SessionBody"]["properties"] |= {"user": names, "tier": tiers, "groups": {"type": "array", "items": names}}
    if has_configured:
        schemas["SessionBody"]["properties"] |= {"features": nothing, "app": nothing, "device": nothing}
        schemas["SessionBody"]["properties"]["cookie"] = {"const": False}
        for name in ("anchor", "seconds"):  # which need each other
            del schemas["FileForm"]["properties"][f"expires_after[{name}]"]
        schemas["FileForm"]["properties"]["file"]["minLength"] = 1
    schemas["SessionBody"]["required"] = ["user"]
    schemas["UserBody"]["properties"]["tier"] = tiers
    schemas["UserBody"]["required"] = ["tier"]
    schemas["KeyBody"]["properties"]["name"] = names
    schemas["KeyBody"]["required"] = ["name"]
    if has_configured:
        for timeout in _headers_of(content, "Frontdesk-Timeout"):
            timeout["schema"] = {"type": "integer", "minimum": 1, "maximum": LONGEST_TIMEOUT_S}
        for said in _headers_of(content, "Frontdesk-Context"):
            said["schema"] = {"enum": [said["example"]]}
        schemas["ConversationBody"]["properties"]["branch"] = {"enum": [0]}
        schemas["FactBody"]["properties"]["words"] = names
    content["paths"]["/v1/models/{model}"]["get"]["parameters"][0]["schema"] = {"enum": list(MODELS)}
    content["paths"]["/api/admin/users/{user}"]["patch"]["parameters"][0]["schema"] = names
    read: Any = schemathesis.openapi.from_dict(content)
    return [result.ok() for result in read.get_all_operations()]


def _headers_of(content: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The parameter for this header of each operation that has it."""
    for path in content["paths"].values():
        for operation in path.values():
            yield from (each for each in operation.get("parameters", ()) if each["name"] == name)


# Printable, of which a schema knows no word: most texts are not.
GOOD = operations(names={"type": "string", "pattern": "^[a-z]{1,9}$"}, has_configured=True)
ANY = operations(names={"type": "string", "minLength": 1, "maxLength": 128}, has_configured=False)
BAD = [operation for operation in ANY if operation.body]
# What these need is a token, or a file, that the server has.
NEVER_GOOD = {
    "POST /api/sessions/refresh",
    "POST /api/feedback",
    "POST /api/sessions/upgrade",
    "POST /v1/batches",
    "POST /v1/chat/completions/{completion_id}",
}
READ_BY_ENTRY = {"POST /api/sync"}
EXAMPLES = [40, pytest.param(120, marks=pytest.mark.slow)]
# For users alone: what these ask for, keys have none of.
OF_PEOPLE = ("/api/sync", "/api/facts", "/api/events", "/api/conversations/{conversation_id}/events")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of its own, without the pauses of slow models, that must not have seen a bug at its end."""
    models = {name: SCRIPTED["models"][name] for name in MODELS}
    with serving(
        tmp_path_factory.mktemp("fuzzed"), {**SCRIPTED, "models": models, "tiers": {"free": {}, "paid": {}}}
    ) as served:
        yield served
        assert "route_broke" not in served.log


def tried(examples: int) -> Any:
    """Settings for so many requests, the same each time."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("operation", GOOD, ids=lambda operation: operation.label)
def test_good_requests(fuzzed: Served, operation: Any, examples: int) -> None:
    statuses: Counter[int] = Counter()
    token = token_for(fuzzed, operation)
    known = what_is_there(fuzzed, operation) if operation.body else {}

    @tried(examples if operation.body else 8)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def check(case: Any) -> None:
        if "Idempotency-Key" in case.headers:  # what is made up comes again, with another body
            case.headers["Idempotency-Key"] = f"{operation.label} {statuses.total()}"
        case.path_parameters = {name: known.get(name, said) for name, said in case.path_parameters.items()}
        statuses[say(fuzzed, case, token)] += 1

    check()
    can_be_good = operation.body and operation.label not in NEVER_GOOD
    # Names of parts that no form has are invented beside those of the document.
    is_form = any(each.media_type == "multipart/form-data" for each in operation.body)
    assert not can_be_good or statuses[200] > examples / (4 if is_form else 2), f"too few came far: {statuses}"


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("operation", BAD, ids=lambda operation: operation.label)
def test_bad_requests(fuzzed: Served, operation: Any, examples: int) -> None:
    statuses: Counter[int] = Counter()
    token = token_for(fuzzed, operation)
    # In a form null is the text "null", and 1 is "1": what is wrong in JSON may be right there.
    is_form = any(body.media_type == "multipart/form-data" for body in operation.body)
    refusal = refused_in_part if operation.label in READ_BY_ENTRY else negative_data_rejection

    @tried(examples)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def check(case: Any) -> None:
        statuses[say(fuzzed, case, token, *([] if is_form else [refusal]))] += 1

    check()
    # What is wrong may be the id alone, which is then an id of nothing.
    refused = statuses[400] + (statuses[200] if operation.label in READ_BY_ENTRY else 0)
    assert refused > examples / (4 if "{" in operation.path else 2), f"too few were refused: {statuses}"


def refused_in_part(context: Any, answer: Any, case: Any) -> bool | None:
    """What is read entry by entry is refused by entry, where it is not refused whole."""
    try:
        return negative_data_rejection(context, answer, case)
    except AcceptedNegativeData:
        if "refused" in {result["status"] for result in answer.json().get("results", ())}:
            return None
        raise


def token_for(served: Served, operation: Any) -> str:
    """A credential of somebody who may ask for it."""
    if not operation.path.startswith(OF_PEOPLE):
        return ADMIN_KEY
    return post(served, "/api/sessions", ADMIN_KEY, {"user": "ann"})["token"]


def what_is_there(served: Served, operation: Any) -> dict[str, str]:
    """The ids of some things, for what is asked of them."""
    if operation.path.startswith("/api/facts/"):
        return {"fact_id": post(served, "/api/facts", token_for(served, operation), {"words": "I like tea."})["id"]}
    said = {"items": [{"role": "user", "content": "Hello."}]}
    conversation = post(served, "/v1/conversations", ADMIN_KEY, said)["id"]
    (item,) = get(served, f"/v1/conversations/{conversation}/items", ADMIN_KEY)["data"]
    return {"conversation_id": conversation, "item_id": item["id"]}


def post(served: Served, path: str, token: str, body: dict[str, Any]) -> Any:
    """Ask for something, and return what is answered."""
    return httpx2.post(f"{served.url}{path}", headers={"Authorization": f"Bearer {token}"}, json=body).json()


def get(served: Served, path: str, token: str) -> Any:
    """Read something."""
    return httpx2.get(f"{served.url}{path}", headers={"Authorization": f"Bearer {token}"}).json()


def say(served: Served, case: Any, token: str, *more: Any) -> int:
    """Make a request with a credential, and hold what is answered against the document."""
    answer = case.call_and_validate(
        base_url=served.url, headers={"Authorization": f"Bearer {token}"}, checks=[*ALWAYS, *more], timeout=30
    )
    assert answer.status_code != 500
    content_type = answer.headers["content-type"][0]
    seen = Answer(case.method, case.formatted_path, answer.status_code, content_type, answer.content)
    assert OWN.check(seen) == []
    return answer.status_code
