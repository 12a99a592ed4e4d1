"""What a client learns at its start: what works for a new person, feature by feature, and how it is to be itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.core.config import Auth, Clients, Config, Feature, Model, Tier
from frontdesk.doors.bootstrap import BootstrapRoutes, SyncTerms
from frontdesk.policies.access import Access

MODELS = {"fast": Model(["p/m"], title="Quick"), "best": Model(["p/m"]), "embed": Model(["p/e"], kind="embeddings")}
FAST, BEST = {"id": "fast", "title": "Quick"}, {"id": "best", "title": "best"}
QUICK, GOOD, SEARCH = Feature(models=["fast"]), Feature(models=["best", "embed"]), Feature(models=["embed"])


def made(config: Config, *, is_open: bool = True) -> BootstrapRoutes:
    terms = SyncTerms(heartbeat_s=10, poll_after_s=5, most_entries=100, most_bytes=1_000_000)
    return BootstrapRoutes(config, "1.2.3", Access(config), lambda _: is_open, terms, is_development=False)


async def asked(routes: BootstrapRoutes, *conditions: str) -> Response:
    headers = [(b"if-none-match", each.encode()) for each in conditions]
    return await routes.bootstrap(Request({"type": "http", "method": "GET", "path": "/", "headers": headers}))


async def told(features: dict[str, Feature], **config: Any) -> dict[str, Any]:
    answer = await asked(made(Config(models=MODELS, features=features, **{"default_model": "fast", **config})))
    body = json.loads(bytes(answer.body))
    return {name: body[name] for name in ("features", "default_feature", "default_model", "models")}


def answer(features: list[str], feature: str | None, model: str | None, *models: dict[str, str]) -> dict[str, Any]:
    return {"features": features, "default_feature": feature, "default_model": model, "models": list(models)}


async def test_models_are_those_of_the_feature_that_requests_get_which_name_none() -> None:
    both = {"quick": QUICK, "good": GOOD}

    assert await told(both, default_feature="quick") == answer(["quick", "good"], "quick", "fast", FAST)
    assert await told(both, default_feature="good") == answer(["quick", "good"], "good", "best", BEST)
    assert await told({"good": GOOD}) == answer(["good"], "good", "best", BEST)


async def test_where_a_feature_must_be_named_there_are_no_models() -> None:
    assert await told({"quick": QUICK, "good": GOOD}) == answer(["quick", "good"], None, None)


async def test_a_feature_that_does_not_chat_has_no_model_for_it() -> None:
    assert await told({"search": SEARCH}) == answer(["search"], "search", None)


@pytest.mark.parametrize(("default", "model"), [("fast", "fast"), ("best", None), ("embed", None), (None, None)])
async def test_without_features_all_of_the_tier_are_listed(default: str | None, model: str | None) -> None:
    tiers: dict[str, Any] = {"tiers": {"free": Tier(models=["fast", "embed"])}, "default_tier": "free"}

    assert await told({}, default_model=default, **tiers) == answer([], None, model, FAST)


async def test_a_new_person_has_the_features_of_their_tier() -> None:
    tiers: dict[str, Any] = {
        "tiers": {"guest": Tier(features=["quick"]), "free": Tier(features=["good"])},
        "default_tier": "free",
        "default_feature": "good",
    }
    both = {"quick": QUICK, "good": GOOD}

    assert await told(both, **tiers) == answer(["good"], "good", "best", BEST)
    auth = Auth(anonymous=True, anonymous_tier="guest")
    assert await told(both, **tiers, auth=auth) == answer(["quick"], None, None)


# --- clients ------------------------------------------------------------------------------------

CLIENTS = Clients({"web": "1.2.0"}, {"voice": True, "share": 0.25, "words": "hi"})


async def test_apps_learn_what_they_speak_which_of_them_is_too_old_and_how_they_are_to_be() -> None:
    body = json.loads(bytes((await asked(made(Config(models=MODELS, clients=CLIENTS)))).body))

    assert body["protocol"] == {"version": 1, "minimum": 1}
    assert body["minimum_client"] == {"web": "1.2.0"}
    assert body["switches"] == {"voice": True, "share": 0.25, "words": "hi"}
    assert body["sync"] == {"heartbeat_s": 10, "poll_after_s": 5, "most_entries": 100, "most_bytes": 1_000_000}


async def test_who_knows_it_already_is_told_so() -> None:
    routes = made(Config(models=MODELS, clients=CLIENTS))
    first = await asked(routes)
    tag = first.headers["etag"]

    assert first.headers["cache-control"] == "no-cache"
    for conditions in ([tag], [f"W/{tag}"], ['"other"', tag], [f'"other" , {tag}'], ["*"]):
        again = await asked(routes, *conditions)
        assert (again.status_code, again.body, again.headers["etag"]) == (304, b"", tag)
    assert (await asked(routes, '"other"')).status_code == 200


async def test_the_revision_is_another_one_when_a_switch_is_and_else_the_same_in_every_process() -> None:
    config = Config(models=MODELS, clients=CLIENTS)
    switched = Config(models=MODELS, clients=Clients({"web": "1.2.0"}, {**CLIENTS.switches, "voice": False}))

    assert made(config).revision == made(config).revision != made(switched).revision
    body = json.loads(bytes((await asked(made(config))).body))
    assert body["revision"] == made(config).revision


async def test_who_may_begin_without_a_credential_is_told_by_request_and_is_another_answer() -> None:
    config = Config(models=MODELS)
    opened, shut = await asked(made(config)), await asked(made(config, is_open=False))

    assert [json.loads(bytes(each.body))["anonymous"] for each in (opened, shut)] == [True, False]
    assert opened.headers["etag"] != shut.headers["etag"]
    assert made(config).revision == made(config, is_open=False).revision
