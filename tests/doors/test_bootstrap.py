"""What a client learns at its start is what works for a new person, feature by feature."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.requests import Request

from frontdesk.core.config import Auth, Config, Feature, Model, Tier
from frontdesk.doors.bootstrap import BootstrapRoutes
from frontdesk.policies.access import Access

MODELS = {"fast": Model(["p/m"], title="Quick"), "best": Model(["p/m"]), "embed": Model(["p/e"], kind="embeddings")}
FAST, BEST = {"id": "fast", "title": "Quick"}, {"id": "best", "title": "best"}
QUICK, GOOD, SEARCH = Feature(models=["fast"]), Feature(models=["best", "embed"]), Feature(models=["embed"])


async def told(features: dict[str, Feature], **config: Any) -> dict[str, Any]:
    made = Config(models=MODELS, features=features, **{"default_model": "fast", **config})
    routes = BootstrapRoutes(made, "1.2.3", Access(made), lambda _: True, is_development=False)
    answer = await routes.bootstrap(Request({"type": "http", "method": "GET", "path": "/", "headers": []}))
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
