"""Features on a real server: what reaches the providers behind it, and that nothing of its instructions comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

import openai
import pydantic
import pytest
import pytest_asyncio

from tests.edges.raw import RawConnection, ask, post
from tests.providers import recorded
from tests.serving import ADMIN_KEY, Served, serving
from tests.upstreams import STREAM_HEAD, ScriptedUpstream, piece, scripted_upstream
from tests.upstreams import upstream as socket_upstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

Door = Literal["chat", "responses"]
PATHS: dict[Door, str] = {"chat": "/v1/chat/completions", "responses": "/v1/responses"}
EACH_DOOR = pytest.mark.parametrize("door", ["chat", "responses"])
EACH_WAY = pytest.mark.parametrize("stream", [True, False], ids=["stream", "body"])
INSTRUCTIONS = (
    'You are Nora, the front desk of {{company}}.\nThe code word is "swordfish", and nobody may learn it. '
    "Answer in {{language}}."
)
RENDERED = INSTRUCTIONS.replace("{{company}}", "Bees &amp; Co").replace("{{language}}", "English")
FEATURES: dict[str, Any] = {
    "desk": {
        "models": ["fast", "parrot", "sealed"],
        "default_model": "fast",
        "instructions": INSTRUCTIONS,
        "variables": {"company": {"max_chars": 20}, "language": {"type": "choice", "choices": ["English", "German"]}},
        "max_output_tokens": 100,
        "parameters": {"temperature": 0.2},
    },
    "notes": {"models": ["fast"], "client_may": ["parameters", "json_schema"], "ceilings": {"temperature": 0.8}},
    "search": {"models": ["vectors"]},
    "vendor": {"models": ["fast"], "client_may": ["other_parameters"]},
    "stops": {"models": ["fast"], "parameters": {"n": 1, "stop": ["END"], "seed": 7}},
    "lab": {"client_may": ["instructions", "tools", "json_schema", "images", "audio", "files", "parameters"]},
}
FEATURES["desk"]["variables"]["language"]["default"] = "English"


async def parrot(request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    """Tell the whole request: in an answer, or as the reason to refuse it."""
    told = json.dumps(request)
    if request["model"] == "refuse":
        code, param = (str(request["messages"][0]["content"])[:size] for size in (60, 150))
        body = json.dumps({"error": {"message": f"Bad: {told}", "code": code, "param": param}}).encode()
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    elif request["model"] == "break":
        error = b"data: " + json.dumps({"error": {"message": told}}).encode() + b"\n\n"
        writer.write(STREAM_HEAD + piece(recorded.chunk({"content": told})) + piece(error) + b"0\r\n\r\n")
    elif request.get("stream"):
        words = [recorded.chunk({"content": told[start : start + 7]}) for start in range(0, len(told), 7)]
        end = recorded.chunk({}, "stop", system_fingerprint=told) + recorded.DONE
        writer.write(STREAM_HEAD + piece(b"".join([*words, end])) + b"0\r\n\r\n")
    else:
        choice = {"index": 0, "message": {"role": "assistant", "content": told}, "finish_reason": "stop"}
        usage = {**recorded.USAGE, "told": told}
        body = json.dumps({"choices": [choice], "usage": usage, "system_fingerprint": told}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with socket_upstream(parrot) as telling:
        common = {"kind": "openai-compatible", "api_key": "sk-upstream-secret", "idle_timeout_s": 5}
        settings = {
            "providers": {
                "up": {**common, "kind": "openai", "base_url": f"{upstream.url}/v1"},
                "parrot": {**common, "base_url": f"http://127.0.0.1:{telling.port}/v1"},
            },
            "models": {
                "fast": {"route": ["up/echo"]},
                "best": {"route": ["up/echo"]},
                "vectors": {"route": ["up/embed"], "kind": "embeddings"},
                "parrot": {"route": ["parrot/say"]},
                "sealed": {"route": ["parrot/refuse"]},
                "broken": {"route": ["parrot/break"]},
            },
            "default_model": "best",
            "features": FEATURES,
            "tiers": {"free": {"features": ["desk", "notes", "search", "vendor", "stops"]}, "staff": {}},
            "default_tier": "free",
        }
        with serving(tmp_path_factory.mktemp("features"), settings) as running:
            yield running
            await RawConnection.close_all()
            assert await asyncio.to_thread(running.stop) == 0
            assert "Traceback" not in running.log
            assert_untold(running.log)
            for file in running.folder.glob("frontdesk.db*"):
                assert_untold(file.read_bytes().decode("latin-1"))


def assert_untold(text: str) -> None:
    """No 32 characters of the instructions stand in it, as they are or between quotes."""
    for secret in (RENDERED, json.dumps(RENDERED)[1:-1]):
        assert [secret[at : at + 32] for at in range(len(secret) - 31) if secret[at : at + 32] in text] == []


async def token_of(served: Served, tier: str) -> str:
    body = json.dumps({"user": f"u-{tier}", "tier": tier}).encode()
    _, session = await ask(served, post("/api/sessions", body))
    return session["token"]


def asked(door: Door, text: str = "Hello there", **fields: Any) -> dict[str, Any]:
    words = [{"role": "user", "content": text}]
    return {**({"messages": words} if door == "chat" else {"input": words}), **fields}


def in_feature(feature: str, **variables: str) -> dict[str, str]:
    return {"feature": feature, **{f"variables.{name}": value for name, value in variables.items()}}


async def answer_of(
    served: Served, door: Door, body: dict[str, Any], token: str, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = await RawConnection.open(served)
    connection.send(post(PATHS[door], json.dumps(body).encode(), token, **headers))
    return await connection.answer()


def get(path: str, token: str, **headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {token}"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items())]).encode() + b"\r\n\r\n"


def reached(upstream: ScriptedUpstream, since: int) -> list[dict[str, Any]]:
    return [json.loads(bytes(record.body)) for record in upstream.journal(since) if record.body]  # type: ignore[arg-type]


def last_id(upstream: ScriptedUpstream) -> int:
    return max((record.id for record in upstream.journal()), default=0)


# --- what reaches the provider --------------------------------------------------------------------


@EACH_WAY
async def test_a_persons_chat_is_completed(served: Served, upstream: ScriptedUpstream, stream: bool) -> None:
    since, token = last_id(upstream), await token_of(served, "free")
    body = asked("chat", stream=stream, max_completion_tokens=5000, metadata=in_feature("desk", company="Bees & Co"))

    status, _, _ = await answer_of(served, "chat", body, token)

    assert status == 200
    (request,) = reached(upstream, since)
    assert request["messages"] == [
        {"role": "developer", "content": RENDERED},
        {"role": "user", "content": "Hello there"},
    ]
    assert (request["model"], request["temperature"], request["max_completion_tokens"]) == ("echo", 0.2, 100)
    assert "metadata" not in request


@EACH_WAY
async def test_a_persons_response_is_completed(served: Served, upstream: ScriptedUpstream, stream: bool) -> None:
    since, token = last_id(upstream), await token_of(served, "free")
    prompt = {"id": "desk", "variables": {"company": "Bees & Co"}}

    status, _, answer = await answer_of(served, "responses", asked("responses", stream=stream, prompt=prompt), token)

    assert status == 200
    (request,) = reached(upstream, since)
    assert request["instructions"] == RENDERED
    assert (request["temperature"], request["max_output_tokens"]) == (0.2, 100)
    text = answer.decode()
    assert_untold(text)
    response = json.loads(text.partition("data: ")[2].partition("\n")[0])["response"] if stream else json.loads(text)
    assert response["prompt"] == {**prompt, "version": None}
    assert (response["instructions"], response["max_output_tokens"], response["temperature"]) == (None, 100, 0.2)


async def test_an_apps_server_has_instructions_and_no_limits(served: Served, upstream: ScriptedUpstream) -> None:
    since = last_id(upstream)
    tool = {"type": "function", "function": {"name": "f"}}
    body = asked("chat", model="best", tools=[tool], temperature=1.5, max_tokens=5000)

    status, _, _ = await answer_of(
        served, "chat", {**body, "metadata": in_feature("desk", company="Bees & Co")}, ADMIN_KEY
    )
    plain, _, _ = await answer_of(served, "chat", body, ADMIN_KEY)

    assert (status, plain) == (200, 200)
    under, without = reached(upstream, since)
    assert under["messages"][0]["content"] == RENDERED
    assert (under["temperature"], under["max_completion_tokens"], len(under["tools"])) == (1.5, 5000, 1)
    assert without["messages"] == body["messages"]


async def test_vectors_have_features_too(served: Served, upstream: ScriptedUpstream) -> None:
    token = await token_of(served, "free")
    body = json.dumps({"input": "x", "dimensions": 8}).encode()

    status, answer = await ask(served, post("/v1/embeddings", body, token, **{"frontdesk-feature": "search"}))
    refused, error = await ask(served, post("/v1/embeddings", body, token, **{"frontdesk-feature": "desk"}))

    assert (status, answer["model"]) == (200, "vectors")
    assert (refused, error["error"]["code"]) == (400, "wrong_model_kind")
    assert "The feature 'desk' has no model for embeddings" in error["error"]["message"]
    unnamed, error = await ask(served, post("/v1/embeddings", body, token))
    assert (unnamed, error["error"]["code"], error["error"]["param"]) == (400, "missing_feature", None)
    assert "metadata" not in error["error"]["message"]
    for field in ("models", "user"):
        more = json.dumps({"input": "x", field: "y"}).encode()
        forbidden, error = await ask(served, post("/v1/embeddings", more, token, **{"frontdesk-feature": "search"}))
        assert (forbidden, error["error"]["code"]) == (403, "not_allowed_by_feature")


@EACH_WAY
async def test_a_default_that_a_wire_has_no_place_for_breaks_none_of_its_requests(
    served: Served, upstream: ScriptedUpstream, stream: bool
) -> None:
    since, token = last_id(upstream), await token_of(served, "free")

    for door in PATHS:
        status, _, _ = await answer_of(served, door, asked(door, stream=stream, metadata=in_feature("stops")), token)
        assert status == 200

    chat, response = reached(upstream, since)
    assert (chat["stop"], chat["seed"]) == (["END"], 7)
    assert {"stop", "seed", "n"} & response.keys() == set()


async def test_a_response_may_be_asked_for_again_as_it_tells_itself(served: Served, upstream: ScriptedUpstream) -> None:
    token = await token_of(served, "free")
    first = asked("responses", metadata=in_feature("desk", company="Bees & Co"))
    _, _, body = await answer_of(served, "responses", first, token)
    told = json.loads(body)
    of_answers = {"id", "object", "created_at", "completed_at", "status", "error", "incomplete_details", "output"}

    again = {**first, **{name: value for name, value in told.items() if name not in of_answers | {"usage"}}}
    status, _, _ = await answer_of(served, "responses", again, token)

    assert (status, told["temperature"]) == (200, 0.2)


async def test_what_a_provider_alone_understands_takes_a_word_of_its_own(
    served: Served, upstream: ScriptedUpstream
) -> None:
    since, token = last_id(upstream), await token_of(served, "free")

    for door in PATHS:
        for feature, expected in (("notes", 403), ("vendor", 200)):
            body = asked(door, n_predict=100_000, metadata=in_feature(feature))
            status, _, answer = await answer_of(served, door, body, token)
            assert status == expected
            assert ("client_may name 'other_parameters'" in answer.decode()) == (expected == 403)

    assert [request["n_predict"] for request in reached(upstream, since)] == [100_000, 100_000]


# --- what is refused ------------------------------------------------------------------------------


TOOL = {"type": "function", "function": {"name": "f"}}
STRANGE = {"type": "image_url", "image_url": "https://x.example/y.png"}
LATIN = {"id": "desk", "variables": {"company": "x", "language": "Latin"}}
NEEDLESS = {"id": "notes", "variables": {"company": "x"}}
NOT_ALLOWED = (403, "not_allowed_by_feature")


@pytest.mark.parametrize(
    ("door", "fields", "refusal", "param"),
    [
        ("chat", {"metadata": {}}, (400, "missing_feature"), "metadata.feature"),
        ("chat", {"metadata": in_feature("unheard_of")}, (403, "feature_not_allowed"), "metadata.feature"),
        ("chat", {"metadata": in_feature("lab")}, (403, "feature_not_allowed"), "metadata.feature"),
        ("responses", {"prompt": {"id": "lab"}}, (403, "feature_not_allowed"), "metadata.feature"),
        ("responses", {"prompt": LATIN, "metadata": in_feature("lab")}, (400, "ambiguous_feature"), "prompt.id"),
        ("chat", {"metadata": in_feature("notes"), "model": "best"}, (404, "model_not_found"), "model"),
        ("chat", {"metadata": in_feature("notes"), "tools": [TOOL]}, NOT_ALLOWED, "tools"),
        ("responses", {"prompt": {"id": "notes"}, "instructions": "Mine."}, NOT_ALLOWED, "instructions"),
        (
            "responses",
            {"prompt": {"id": "notes"}, "input": [{"role": "user", "content": [STRANGE]}]},
            NOT_ALLOWED,
            "input",
        ),
        ("responses", {"prompt": {"id": "notes"}, "n_predict": 9}, NOT_ALLOWED, "n_predict"),
        ("chat", {"metadata": in_feature("notes"), "provider": {"order": ["x"]}}, NOT_ALLOWED, "provider"),
        ("chat", {"metadata": in_feature("notes"), "temperature": 0.9}, NOT_ALLOWED, "temperature"),
        ("chat", {"metadata": in_feature("desk", company="x"), "temperature": 1}, NOT_ALLOWED, "temperature"),
        ("chat", {"metadata": in_feature("desk")}, (400, "missing_variable"), "variables.company"),
        ("chat", {"metadata": in_feature("desk", company="x" * 21)}, (400, "invalid_variable"), "variables.company"),
        ("responses", {"prompt": LATIN}, (400, "invalid_variable"), "variables.language"),
        ("responses", {"prompt": NEEDLESS}, (400, "unknown_variable"), "variables.company"),
    ],
)
async def test_what_a_person_may_not_is_refused_and_reaches_nobody(
    served: Served,
    upstream: ScriptedUpstream,
    door: Door,
    fields: dict[str, Any],
    refusal: tuple[int, str],
    param: str,
) -> None:
    since, token = last_id(upstream), await token_of(served, "free")

    status, _, body = await answer_of(served, door, asked(door, **fields), token)

    error = json.loads(body)["error"]
    assert (status, error["code"], error["param"]) == (*refusal, param)
    assert reached(upstream, since) == []
    assert_untold(body.decode())


async def test_a_refusal_leaves_a_row_with_its_feature(served: Served) -> None:
    token = await token_of(served, "free")

    await answer_of(served, "chat", asked("chat", metadata=in_feature("seen_in_rows")), token)

    statement = "select status, error_code, http_status from turn where feature = 'seen_in_rows'"
    await served.until_rows(statement, [("refused", "feature_not_allowed", 403)])


async def test_a_key_that_names_an_unknown_feature_is_told_the_nearest(served: Served) -> None:
    status, _, body = await answer_of(served, "chat", asked("chat"), ADMIN_KEY, **{"frontdesk-feature": "desc"})

    error = json.loads(body)["error"]
    assert (status, error["code"]) == (400, "unknown_feature")
    assert "Did you mean 'desk'" in error["message"]


async def test_models_are_listed_as_they_may_be_used(served: Served) -> None:
    token = await token_of(served, "free")

    async def models(path: str = "/v1/models", **headers: str) -> list[str]:
        _, listed = await ask(served, get(path, token, **headers))
        return [model["id"] for model in listed["data"]]

    assert await models() == ["fast", "vectors", "parrot", "sealed"]
    assert await models(**{"frontdesk-feature": "notes"}) == ["fast"]
    assert (await ask(served, get("/v1/models", token, **{"frontdesk-feature": "lab"})))[0] == 403
    assert (await ask(served, get("/v1/models/best", token)))[0] == 404
    _, bootstrap = await ask(served, get("/api/bootstrap", token))
    assert (bootstrap["default_feature"], bootstrap["default_model"], bootstrap["models"]) == (None, None, [])
    assert bootstrap["features"] == ["desk", "notes", "search", "vendor", "stops"]
    assert_untold(json.dumps(bootstrap))


# --- what does not come back ----------------------------------------------------------------------


@EACH_DOOR
@EACH_WAY
async def test_a_provider_that_tells_everything_tells_no_instructions(served: Served, door: Door, stream: bool) -> None:
    token = await token_of(served, "free")
    body = asked(door, model="parrot", stream=stream, metadata=in_feature("desk", company="Bees & Co"))

    status, _, answer = await answer_of(served, door, body, token)

    assert status == 200
    text = answer.decode()
    assert "[withheld]" in text
    assert "Hello there" in text.replace('\\"', "") or stream
    assert_untold(text)
    assert_untold("".join(_deltas(text)))


def _deltas(text: str) -> list[str]:
    told: list[str] = []
    for line in text.splitlines():
        event = json.loads(line.removeprefix("data: ")) if line.startswith("data: {") else {}
        choice = (event.get("choices") or [{}])[0]
        told.append(event.get("delta") or choice.get("delta", {}).get("content") or "")
    return told


@EACH_DOOR
@EACH_WAY
async def test_a_refusal_that_quotes_the_instructions_is_not_told(served: Served, door: Door, stream: bool) -> None:
    token = await token_of(served, "free")
    body = asked(door, model="sealed", stream=stream, metadata=in_feature("desk", company="Bees & Co"))

    status, _, answer = await answer_of(served, door, body, token)

    error = json.loads(answer)["error"]
    assert (status, error["code"]) == (400, "invalid_request")
    assert error["message"].startswith("The model's provider refused the request.")
    assert_untold(answer.decode())


@EACH_DOOR
async def test_an_answer_that_breaks_off_tells_none_either(served: Served, door: Door) -> None:
    body = asked(door, model="broken", stream=True, metadata=in_feature("desk", company="Bees & Co"))

    _, _, answer = await answer_of(served, door, body, ADMIN_KEY)

    assert_untold(answer.decode())


@EACH_WAY
async def test_a_person_who_knows_the_instructions_does_not_get_them_confirmed(served: Served, stream: bool) -> None:
    """The scripted provider repeats what was said last."""
    token = await token_of(served, "free")
    metadata = in_feature("desk", company="Bees & Co")
    body = asked("chat", f"Are these right? {RENDERED}", stream=stream, metadata=metadata)

    _, _, answer = await answer_of(served, "chat", body, token)

    assert_untold(answer.decode() if not stream else "".join(_deltas(answer.decode())))


# --- what SDKs send -------------------------------------------------------------------------------


class Verdict(pydantic.BaseModel):
    """An answer in fields."""

    is_good: bool


async def test_the_official_client_works_under_a_feature_that_allows_nothing(served: Served) -> None:
    token = await token_of(served, "free")
    headers = {"Frontdesk-Feature": "desk"}
    metadata = {"variables.company": "Bees & Co"}
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=token, default_headers=headers) as client:
        history: list[Any] = [{"role": "user", "content": "Hello"}]
        chat = await client.chat.completions.create(model="fast", messages=history, metadata=metadata)
        history += [chat.choices[0].message, {"role": "user", "content": "Again"}]
        again = await client.chat.completions.create(model="fast", messages=history, metadata=metadata)
        response = await client.responses.create(model="fast", input="Hello", metadata=metadata)
        items: list[Any] = [*response.output, {"role": "user", "content": "Again"}]
        followed = await client.responses.create(model="fast", input=items, metadata=metadata)

        assert (chat.choices[0].message.content, again.choices[0].message.content) == ("Hello", "Again")
        assert (response.output_text, followed.output_text) == ("Hello", "Again")
        with pytest.raises(openai.PermissionDeniedError, match="client_may name 'json_schema'"):
            await client.responses.parse(model="fast", input="x", text_format=Verdict, metadata=metadata)


async def test_the_official_client_may_ask_for_fields_where_that_is_allowed(served: Served) -> None:
    token = await token_of(served, "free")
    headers = {"Frontdesk-Feature": "notes"}
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=token, default_headers=headers) as client:
        parsed = await client.responses.parse(model="fast", input="x", text_format=Verdict, temperature=0.5)

    assert isinstance(parsed.output_parsed, Verdict)


async def test_nothing_of_the_instructions_is_public(served: Served) -> None:
    for path in ("/openapi.json", "/api/bootstrap", "/readyz", "/healthz"):
        _, body = await ask(served, get(path, ADMIN_KEY))
        assert_untold(json.dumps(body))
