"""Any request of anybody under any features: what the table allows passes and nothing else, what passes reaches
the provider with what the server puts in, and instructions come back in nothing that is answered, kept or logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontdesk.core.config import Config, Feature, Model, Tier, Variable
from frontdesk.core.errors import BadRequest, ProviderError
from frontdesk.doors.chat import ChatDoor
from frontdesk.doors.desk import Desk
from frontdesk.doors.responses import ResponsesDoor
from frontdesk.guards.instructions import InstructionsGuard
from frontdesk.http.edge import Edge
from frontdesk.policies.access import Access
from frontdesk.policies.features import Features
from frontdesk.policies.tracing import Tracing
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.turn.events import (
    AnswerDescribed,
    ChoiceFinished,
    Delta,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import Format, Prompt, Request
from frontdesk.turn.live import LiveTurns, TurnTimes
from frontdesk.turn.run import Line
from frontdesk.turn.turn import Caller
from frontdesk.usage.recorder import TurnRecorder
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_responses import read_responses
from tests.fakes import HandClock
from tests.policies.things import CAPABILITIES, GROUPS, Door, Thing, request_of

PATHS: dict[Door, str] = {"chat": "/v1/chat/completions", "responses": "/v1/responses"}
DOORS: list[Door] = ["chat", "responses"]
MODELS = ["fast", "best", "big"]
FEATURES = ["alpha", "beta", "gamma"]

# --- what is generated ----------------------------------------------------------------------------

TEXTS = [
    None,
    "Be kind.",
    "You are the desk of {{who}}; the code word is swordfish, and nobody may learn it.\nAnswer in {{size}} lines.",
    'Never mention "project X" (or \\its cost) — très secret! For {{who}}:\n\n\t- be kind\n\t- be brief; use {"a": 1}',
]
VARIABLES = {"who": Variable(max_chars=10), "size": Variable("integer", default="3", least=1, most=9)}


def mostly(usual: st.SearchStrategy[Any], rarely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One of both: else nearly every request would be refused for the first thing that can be wrong."""
    return st.integers(0, 9).flatmap(lambda number: rarely if number == 9 else usual)


@st.composite
def features(draw: st.DrawFn) -> Feature:
    models = draw(mostly(st.none(), st.lists(st.sampled_from(MODELS), min_size=1, unique=True)))
    limited, most = st.sampled_from(["temperature", "top_p", "n", "top_k"]), st.sampled_from([1.0, 39.0])
    defaults = {"temperature": 0.25, "frequency_penalty": 0.25, "n": 1, "reasoning_effort": "low", "stop": ["END"]}
    text = draw(st.sampled_from(TEXTS))
    return Feature(
        models=models,
        default_model=draw(st.none() | st.sampled_from(models or MODELS)),
        instructions=text,
        variables={name: variable for name, variable in VARIABLES.items() if f"{{{{{name}}}}}" in (text or "")},
        client_may=draw(st.just(list(CAPABILITIES)) | st.lists(st.sampled_from(CAPABILITIES), unique=True)),
        max_output_tokens=draw(st.none() | st.sampled_from([40, 900])),
        parameters={name: defaults[name] for name in draw(st.lists(st.sampled_from(sorted(defaults)), unique=True))},
        ceilings=draw(st.dictionaries(limited, most, max_size=2)),
        response_format=draw(st.sampled_from([None, {"type": "json_object"}])),
    )


NAMES = st.lists(st.sampled_from([*FEATURES, "unheard_of"]), unique=True)
TIERS = st.builds(
    Tier,
    models=mostly(st.none(), st.lists(st.sampled_from(MODELS), min_size=1, unique=True)),
    features=mostly(st.none(), NAMES),
)
CONFIGS = st.builds(
    Config,
    models=st.just({name: Model(["p/m"]) for name in MODELS}),
    default_model=mostly(st.sampled_from(MODELS), st.none()),
    features=st.dictionaries(st.sampled_from(FEATURES), features(), min_size=1),
    default_feature=st.none(),
    tiers=st.fixed_dictionaries({"free": TIERS, "paid": TIERS}),
    default_tier=st.just("free"),
)
CALLERS = st.builds(
    Caller,
    mostly(st.just("user"), st.sampled_from(["server", "operator"])),
    st.just("c_1"),
    st.just("u_1"),
    st.sampled_from([None, "free", "paid", "gone"]),
    features=mostly(st.none(), NAMES.map(frozenset)),
)


@dataclass(frozen=True)
class Asked:
    """A request before it is written."""

    door: Door
    named: str | None
    named_in: str
    model: str | None
    things: list[Thing]
    variables: dict[str, str]
    is_streaming: bool
    more: dict[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        body = request_of(self.door, self.things, **self.more)
        metadata = {f"variables.{name}": value for name, value in self.variables.items()}
        if self.named is not None and self.named_in == "metadata":
            metadata["feature"] = self.named
        if self.named is not None and self.named_in == "prompt":
            body["prompt"] = {"id": self.named, "variables": self.variables}
            metadata = {}
        if metadata:
            body["metadata"] = {**body.get("metadata", {}), **metadata}
        return {**body, **({} if self.model is None else {"model": self.model}), "stream": self.is_streaming}

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"frontdesk-feature", self.named.encode())] if self.named and self.named_in == "header" else []


VALUES = {"who": ["Ann", "Bob & Co"], "size": ["5", "+07"]}
MOST = {"chat": "max_completion_tokens", "responses": "max_output_tokens"}
WRONG = {"who": "x" * 11, "size": "big"}


@st.composite
def requests(draw: st.DrawFn, config: Config) -> Asked:
    door = draw(st.sampled_from(DOORS))
    fit = [st.sampled_from([thing for thing in group if thing.fields(door) is not None]) for group in GROUPS]
    named = draw(mostly(st.sampled_from(list(config.features)), st.sampled_from([None, *FEATURES, "unheard_of"])))
    declared = config.features[named].variables if named in config.features else {}
    values = {name: draw(mostly(st.sampled_from(VALUES[name]), st.just(WRONG[name]))) for name in declared}
    return Asked(
        door,
        named,
        draw(st.sampled_from(["header", "metadata", *(["prompt"] if door == "responses" else [])])),
        draw(mostly(st.none(), st.sampled_from([*MODELS, "unheard_of"]))),
        draw(mostly(st.lists(st.one_of(fit), min_size=1, max_size=3, unique_by=_top_fields), st.just([]))),
        draw(mostly(st.just(values), st.sampled_from([{}, {"size": "5"}, {"other": "x"}]))),
        draw(st.booleans()),
        draw(st.just({}) | st.sampled_from([{MOST[door]: 30}, {MOST[door]: 5000}])),
    )


def _top_fields(thing: Thing) -> str:
    """Things that say the same field do not go together."""
    fields = thing.chat or thing.responses or {}
    (name, *_) = fields
    return thing.name if name in ("messages", "input") else name


# --- what must come of it -------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    status: int
    code: str
    params: frozenset[str | None]


def refusal_of(config: Config, caller: Caller, asked: Asked) -> Refusal | tuple[Feature | None, str]:
    """What docs/features.md says becomes of a request: a refusal, or the feature and the model that serve it."""
    is_person = caller.role == "user"
    name, param = asked.named, frozenset({"metadata.feature"})
    if name is None and is_person and len(config.features) == 1:
        name = min(config.features)
    tier = config.tiers[caller.tier if caller.tier in ("free", "paid") else "free"]
    theirs = [
        each
        for each in config.features
        if not is_person
        or ((tier.features is None or each in tier.features) and (caller.features is None or each in caller.features))
    ]
    feature = config.features[name] if name in theirs else None
    model = asked.model or _default_model(config, tier, feature, caller)
    if feature is None and (is_person or name is not None):
        if name is None:
            return Refusal(400, "missing_feature", param)
        return Refusal(403, "feature_not_allowed", param) if is_person else Refusal(400, "unknown_feature", param)
    if model is None and feature is not None and not _models(config, tier if is_person else Tier(), feature):
        return Refusal(400, "wrong_model_kind", frozenset({None}))
    if model is None:
        return Refusal(400, "missing_required_parameter", frozenset({"model"}))
    if model not in MODELS or (is_person and model not in _models(config, tier, feature)):
        return Refusal(404, "model_not_found", frozenset({"model"}))
    if is_person:
        assert feature is not None
        refused = _not_allowed(feature, asked)
        if refused:
            return Refusal(403, "not_allowed_by_feature", refused)
    return _wrong_variable(feature, asked.variables) or (feature, model)


def _models(config: Config, tier: Tier, feature: Feature | None) -> set[str]:
    models = set(config.models)
    for named in (tier.models, None if feature is None else feature.models):
        models &= set(models if named is None else named)
    return models


def _default_model(config: Config, tier: Tier, feature: Feature | None, caller: Caller) -> str | None:
    usable = _models(config, tier if caller.role == "user" else Tier(), feature)
    wanted = (
        [feature.default_model, config.default_model, *(feature.models or [])] if feature else [config.default_model]
    )
    return next((name for name in wanted if name in usable), None)


def _not_allowed(feature: Feature, asked: Asked) -> frozenset[str]:
    may: set[str] = set(feature.client_may)
    refused = {thing.param(asked.door) for thing in asked.things if not _is_allowed(thing, may, feature, asked.door)}
    if refused:
        return frozenset(refused)
    body = asked.body()
    said = {name: body[name] for name in feature.ceilings if body.get(name) is not None}
    return frozenset(name for name, value in said.items() if value > feature.ceilings[name])


def _is_allowed(thing: Thing, may: set[str], feature: Feature, door: Door) -> bool:
    if thing.needs is None:
        return False
    takes = set(thing.needs)
    fields = thing.fields(door) or {}
    if any(
        name in feature.parameters and fields[name] not in (None, feature.parameters[name])
        for name in fields
        if name not in ("n", "stop", *(["frequency_penalty"] if door == "responses" else []))
    ):
        takes.add("parameters")  # the feature has a default of its own: to say the wire's is to change it
    return takes <= may


def _wrong_variable(feature: Feature | None, variables: dict[str, str]) -> Refusal | None:
    declared = feature.variables if feature else {}
    for name, value in variables.items():
        param = frozenset({f"variables.{name}"})
        if name not in declared:
            return Refusal(400, "unknown_variable", frozenset(f"variables.{each}" for each in variables) | param)
        if value == WRONG[name]:
            return Refusal(400, "invalid_variable", frozenset(f"variables.{each}" for each in variables) | param)
    if "who" in declared and "who" not in variables:
        return Refusal(400, "missing_variable", frozenset({"variables.who"}))
    return None


RENDERED = {"Ann": "Ann", "Bob & Co": "Bob &amp; Co", "5": "5", "+07": "7"}


def served(feature: Feature | None, caller: Caller, asked: Asked) -> Prompt:
    """The prompt that the provider must get: the caller's own, with what the server puts in."""
    content = json.dumps(asked.body()).encode()
    own = read_chat(content).prompt if asked.door == "chat" else read_responses(content).prompt
    if feature is None:
        return own
    server = instructions_of(feature, asked)
    texts = [text for text in (server, own.instructions) if text]
    given = dict(feature.parameters)
    effort, most = given.pop("reasoning_effort", None), feature.max_output_tokens
    given.pop("n", None)
    if asked.door == "responses":
        for name in ("stop", "frequency_penalty"):  # which it has no place for
            given.pop(name, None)
    limit = own.max_output_tokens or most
    if caller.role == "user" and most is not None and limit is not None:
        limit = min(limit, most)
    return msgspec.structs.replace(
        own,
        instructions="\n\n".join(texts) if texts else own.instructions,
        parameters={**given, **own.parameters},
        reasoning_effort=own.reasoning_effort or effort,
        max_output_tokens=limit,
        format=own.format or (Format("json_object", {}) if feature.response_format else None),
    )


def instructions_of(feature: Feature | None, asked: Asked) -> str | None:
    if feature is None or feature.instructions is None:
        return None
    who, size = (RENDERED.get(asked.variables.get(name, other), other) for name, other in (("who", ""), ("size", "3")))
    return feature.instructions.replace("{{who}}", who).replace("{{size}}", size)


# --- a server that is asked in process ------------------------------------------------------------


class Parrot:
    """A provider that says everything that it was told: in answers, in names, or in errors."""

    def __init__(self, how: str, piece_chars: int) -> None:
        self._how = how
        self._piece_chars = piece_chars
        self.asked: list[Prompt] = []

    async def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        assert isinstance(request, Prompt)
        self.asked.append(request)
        told = f"I was told: {request.instructions}. All of it: {json.dumps(msgspec.to_builtins(request))}"
        if self._how == "refuse":
            raise BadRequest(f"No: {told}", code=told, param=told)
        if self._how == "fail":
            raise ProviderError(f"status 500: {told}", code=told)
        yield [AnswerDescribed(told, told)] if self._how == "name" else [AnswerDescribed("default")]
        name = told if self._how == "name" else "x"
        yield [ReasoningStarted(0, name), *self._pieces(ReasoningDelta, 0, told), ReasoningSummaryStarted(0)]
        yield [*self._pieces(ReasoningSummaryDelta, 0, told), ReasoningEncrypted(0, name), ItemFinished(0)]
        yield [MessageStarted(1, name, phase=name), *self._pieces(TextDelta, 1, told)]
        if self._how == "break off":
            raise ProviderError(f"status 500: {told}")
        yield [*self._pieces(RefusalDelta, 1, told.upper()), ItemFinished(1), ToolCallStarted(2, name, name, name)]
        yield [*self._pieces(ToolArgumentsDelta, 2, json.dumps({"told": told})), ItemFinished(2)]
        usage = Usage(input_tokens=1, output_tokens=1, raw={"told": told})
        yield [ChoiceFinished(0, "stop"), UsageReported(usage), TurnCompleted()]

    def _pieces(self, kind: type[Delta], output: int, text: str) -> list[Event]:
        size = self._piece_chars
        return [kind(output, text[start : start + size]) for start in range(0, len(text), size)]


class KeptRows:
    """Stands for the stores of turns."""

    failure = None

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def started(self, tenant: str, turn_id: str, row: Callable[[], Any]) -> None:
        self.rows.append(row())

    def settled(self, row: Any, attempts: Any) -> None:
        self.rows.append((row, attempts))


class OneCaller:
    """Everybody is this one."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def known(self, head: Any) -> Caller:
        return self._caller

    async def identify(self, head: Any) -> Caller:
        return self._caller


@dataclass
class Answered:
    status: int
    body: bytes
    rows: list[Any]


async def answered(config: Config, caller: Caller, asked: Asked, provider: Parrot) -> Answered:
    kept = KeptRows()
    access = Access(config)
    tracing = Tracing(TurnRecorder(kept, kept))  # type: ignore[arg-type]
    router = FallbackRouter({name: [Route("p", provider, name)] for name in MODELS})
    held = [Features(config.features)] if config.features else []
    live = LiveTurns(Line([tracing, access, *held], [], router, [InstructionsGuard()]), TurnTimes(60, 60, 0))
    desk = Desk(OneCaller(caller), live, HandClock(), access, 1_000_000)
    edge = Edge(
        {PATHS["chat"]: desk.door(ChatDoor(desk).serve), PATHS["responses"]: desk.door(ResponsesDoor(desk).serve)},
        nowhere,
    )
    coming = [{"type": "http.request", "body": json.dumps(asked.body()).encode()}]
    sent: list[dict[str, Any]] = []
    whole = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if coming:
            return coming.pop()
        await whole.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            whole.set()

    scope = {"type": "http", "method": "POST", "path": PATHS[asked.door], "scheme": "http", "headers": asked.headers()}
    await edge(scope, receive, send)
    await live.close(1)
    return Answered(sent[0]["status"], b"".join(message.get("body", b"") for message in sent), kept.rows)


async def nowhere(scope: Any, receive: Any, send: Any) -> None:
    pytest.fail("This is no door.")


@contextmanager
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logger, handler = logging.getLogger("frontdesk"), Keeping()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield lines
    finally:
        logger.propagate = True
        logger.removeHandler(handler)
        logger.setLevel(before)


def told_in(body: bytes) -> list[str]:
    """All that an answer says: as it is, each text in it, and what the texts of each kind of event add up to."""
    text = body.decode()
    values = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]
    if not values:
        values = [json.loads(text)]
    deltas: dict[str, str] = {}

    def strings(value: Any, place: str) -> Iterator[str]:
        if isinstance(value, str):
            deltas[place] = deltas.get(place, "") + value
            yield value
        for key, inner in (
            value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
        ):
            yield from strings(inner, f"{place}.{key}")

    each = [said for value in values for said in strings(value, str(value.get("type")))]
    return [text, *each, *deltas.values()]


def leaks(secret: str, told: str) -> bool:
    """Whether 32 characters of a secret stand in what was told, but for white space, case, and backslashes."""
    folded, place = (" ".join(text.lower().replace("\\", "").split()) for text in (secret, told))
    size = min(32, len(folded))
    return size >= 12 and any(folded[start : start + size] in place for start in range(len(folded) - size + 1))


def test_a_leak_would_be_seen() -> None:
    secret = TEXTS[3] or ""

    assert leaks(secret, f"I was told: {secret[20:80].upper()}")
    assert leaks(secret, json.dumps({"x": secret}))
    assert not leaks(secret, secret[:30])


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    config=CONFIGS,
    caller=CALLERS,
    data=st.data(),
    how=st.sampled_from(["say", "name", "refuse", "fail", "break off"]),
    piece_chars=st.integers(1, 80),
)
async def test_exactly_what_is_allowed_passes_and_no_instructions_come_back(
    config: Config, caller: Caller, data: st.DataObject, how: str, piece_chars: int
) -> None:
    asked = data.draw(requests(config))
    provider = Parrot(how, piece_chars)
    with logged() as lines:
        answer = await answered(config, caller, asked, provider)

    expected = refusal_of(config, caller, asked)
    if isinstance(expected, Refusal):
        error = json.loads(answer.body)["error"]
        assert (answer.status, error["code"]) == (expected.status, expected.code)
        assert error["param"] in expected.params
        assert provider.asked == []
        return
    feature, _ = expected
    assert provider.asked == [served(feature, caller, asked)]
    assert answer.status == (
        {"refuse": 400, "fail": 502}.get(how, 502 if not asked.is_streaming and "off" in how else 200)
    )
    secret = instructions_of(feature, asked)
    if secret is not None:
        for told in (*told_in(answer.body), repr(answer.rows), *lines):
            assert not leaks(secret, told)


ALPHA = {"alpha": Feature(instructions=TEXTS[3], variables={"who": VARIABLES["who"]})}


async def answer_to(features: dict[str, Feature], asked: Asked) -> Answered:
    config = Config(models={"fast": Model(["p/m"])}, default_model="fast", features=features)
    return await answered(config, Caller("user", "c_1", "u_1"), asked, Parrot("say", 40))


async def test_a_feature_may_be_named_more_than_once_but_not_two() -> None:
    more: dict[str, Any] = {"prompt": {"id": "alpha"}, "metadata": {"feature": "alpha"}}
    asked = Asked("responses", "alpha", "header", None, [], {"who": "Ann"}, False, more)
    assert (await answer_to(ALPHA, asked)).status == 200

    for other in ({"prompt": {"id": "beta"}}, {"metadata": {"feature": "beta"}}):
        answer = await answer_to(ALPHA, Asked("responses", "alpha", "header", None, [], {}, False, {**more, **other}))
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "ambiguous_feature")


async def test_where_there_are_no_features_a_prompt_of_the_servers_is_refused() -> None:
    """Whoever relies on it would be answered without its instructions."""
    prompt = await answer_to({}, Asked("responses", "alpha", "prompt", None, [], {}, False))
    label = await answer_to({}, Asked("responses", "alpha", "metadata", None, [], {"any": "x"}, False))

    error = json.loads(prompt.body)["error"]
    assert (prompt.status, error["code"], error["param"]) == (400, "unsupported_parameter", "prompt")
    assert label.status == 200
