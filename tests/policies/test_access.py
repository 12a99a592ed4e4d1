"""Access: features and models that are not allowed look like ones that do not exist."""

from __future__ import annotations

import contextlib

import pytest

from frontdesk.core.config import Config, Feature, Model, ModelKind, Priority, Tier
from frontdesk.core.errors import BadRequest, Forbidden, NotFound
from frontdesk.policies.access import NO_FEATURE, Access
from frontdesk.turn.turn import Caller
from tests.fakes import make_turn

MODELS = {name: Model(["p/m"]) for name in ("fast", "best")} | {"embed": Model(["p/e"], kind="embeddings")}
ACCESS = Access(
    Config(
        models=MODELS,
        default_model="fast",
        tiers={"free": Tier(models=["fast", "embed"]), "paid": Tier()},
        default_tier="free",
    )
)
SERVER = Caller("server", "key_1", None, None)


def person(tier: str | None = None, features: list[str] | None = None) -> Caller:
    return Caller("user", "sess_1", "u1", tier, features=None if features is None else frozenset(features))


@pytest.mark.parametrize(
    ("caller", "models"),
    [
        (person("free"), ["fast", "embed"]),
        (person("paid"), ["fast", "best", "embed"]),
        (person(None), ["fast", "embed"]),
        (person("a tier that is gone"), ["fast", "embed"]),
        (SERVER, ["fast", "best", "embed"]),
    ],
)
def test_each_caller_has_the_models_of_its_tier(caller: Caller, models: list[str]) -> None:
    assert ACCESS.models_of(caller) == models
    assert [name for name in (*MODELS, "unknown") if ACCESS.allows(caller, name, NO_FEATURE)] == models


@pytest.mark.parametrize(
    ("caller", "tier"),
    [(person("paid"), "paid"), (person(None), "free"), (person("a tier that is gone"), "free"), (SERVER, None)],
)
@pytest.mark.parametrize("model", ["fast", "no such model"])
def test_a_turn_says_which_tier_counts_also_where_it_is_refused(caller: Caller, tier: str | None, model: str) -> None:
    turn = make_turn(caller=caller, model=model)

    with contextlib.suppress(NotFound):
        ACCESS.admit(turn)

    assert turn.tier == tier


def test_without_tiers_a_turn_has_none() -> None:
    turn = make_turn(caller=person("free"))

    Access(Config(models=MODELS)).admit(turn)

    assert turn.tier is None


def test_disallowed_and_unknown_models_are_told_alike() -> None:
    messages: list[str] = []
    for model in ("best", "nonsense"):
        with pytest.raises(NotFound) as caught:
            ACCESS.admit(make_turn(caller=person("free"), model=model))
        messages.append(caught.value.message.replace(model, "X"))
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")

    assert messages[0] == messages[1]


def test_a_model_answers_only_at_its_own_door() -> None:
    with pytest.raises(BadRequest, match="for embeddings"):
        ACCESS.admit(make_turn(caller=SERVER, model="embed"))
    with pytest.raises(BadRequest, match="for chat"):
        ACCESS.admit(make_turn(caller=SERVER, model="fast", door="embeddings"))


def test_without_features_every_name_is_only_a_label() -> None:
    for caller in (person("free"), SERVER):
        ACCESS.check_feature(caller, "whatever")
        assert ACCESS.choose_feature(caller, None) == "default"
        assert ACCESS.choose_feature(caller, "mine") == "mine"
        assert ACCESS.choose_model(caller, "mine", "chat") == "fast"


# --- features -------------------------------------------------------------------------------------

FEATURES = {
    "chat": Feature(models=["best", "fast"], default_model="best"),
    "notes": Feature(models=["best", "embed"]),
    "free_for_all": Feature(),
}


def access(default_feature: str | None = None, features: dict[str, Feature] | None = None) -> Access:
    return Access(
        Config(
            models=MODELS,
            default_model="fast",
            features=FEATURES if features is None else features,
            default_feature=default_feature,
            tiers={
                "free": Tier(models=["fast", "embed"], features=["chat", "notes"]),
                "paid": Tier(),
                "none": Tier(features=[]),
            },
            default_tier="free",
        )
    )


@pytest.mark.parametrize(
    ("caller", "names"),
    [
        (person("free"), ["chat", "notes"]),
        (person("paid"), ["chat", "notes", "free_for_all"]),
        (person("none"), []),
        (person("free", ["notes", "free_for_all", "unheard_of"]), ["notes"]),
        (person("paid", []), []),
        (SERVER, ["chat", "notes", "free_for_all"]),
    ],
)
def test_a_person_has_the_features_of_tier_and_token(caller: Caller, names: list[str]) -> None:
    found: list[str] = []
    for name in FEATURES:
        try:
            access().check_feature(caller, name)
        except Forbidden:
            continue
        found.append(name)

    assert found == names


def test_disallowed_and_unknown_features_are_told_alike() -> None:
    messages: list[str] = []
    for feature in ("free_for_all", "unheard_of"):
        turn = make_turn(caller=person("free"), model="best")
        turn.feature = feature
        with pytest.raises(Forbidden) as caught:
            access().admit(turn)
        messages.append(caught.value.message.replace(feature, "X"))
        assert (caught.value.status, caught.value.code) == (403, "feature_not_allowed")
        assert feature in caught.value.message

    assert messages[0] == messages[1]


def test_a_secret_key_is_told_the_nearest_name() -> None:
    with pytest.raises(BadRequest, match=r"'chatt' is not configured\. Did you mean 'chat'") as caught:
        access().check_feature(SERVER, "chatt")

    assert caught.value.code == "unknown_feature"


@pytest.mark.parametrize(
    ("default_feature", "only", "chosen"), [("notes", False, "notes"), (None, True, "chat"), ("chat", True, "chat")]
)
def test_people_have_a_default_feature_and_keys_have_none(default_feature: str | None, only: bool, chosen: str) -> None:
    one = access(default_feature, {"chat": FEATURES["chat"]} if only else None)

    assert one.choose_feature(person(), None) == chosen
    assert one.choose_feature(person(), "named") == "named"
    assert one.choose_feature(SERVER, None) == NO_FEATURE
    one.check_feature(SERVER, NO_FEATURE)


def test_a_person_who_must_name_a_feature_is_told_which() -> None:
    turn = make_turn(caller=person("free"))
    turn.feature = access().choose_feature(turn.caller, None)

    with pytest.raises(
        BadRequest, match=r"Frontdesk-Feature or in metadata\.feature\. You may use: chat, notes"
    ) as caught:
        access().admit(turn)

    assert (caught.value.code, caught.value.param) == ("missing_feature", "metadata.feature")
    with pytest.raises(BadRequest, match=r"in the header Frontdesk-Feature\. You may use: chat, notes") as caught:
        access().admit(make_turn(caller=person("free"), door="embeddings"))
    assert (caught.value.code, caught.value.param) == ("missing_feature", None)


@pytest.mark.parametrize(
    ("caller", "feature", "kind", "model"),
    [
        (person("paid"), "chat", "chat", "best"),  # the feature's default
        (person("free"), "chat", "chat", "fast"),  # which the tier has not; the configuration's
        (person("paid"), "notes", "chat", "best"),  # which the feature has not; the first of its models
        (person("free"), "notes", "embeddings", "embed"),
        (person("paid"), "free_for_all", "chat", "fast"),
        (person("free"), "free_for_all", "chat", ""),  # refused afterwards, for its feature
        (SERVER, "notes", "chat", "best"),
        (SERVER, "notes", "embeddings", "embed"),
        (SERVER, NO_FEATURE, "chat", "fast"),
        (SERVER, NO_FEATURE, "embeddings", None),
    ],
)
def test_the_model_of_a_request_that_names_none(
    caller: Caller, feature: str, kind: ModelKind, model: str | None
) -> None:
    assert access().choose_model(caller, feature, kind) == model


@pytest.mark.parametrize(
    ("caller", "feature", "kind"), [(person("free"), "notes", "chat"), (person("paid"), "chat", "embeddings")]
)
def test_a_feature_without_a_model_of_the_kind_says_so(caller: Caller, feature: str, kind: ModelKind) -> None:
    with pytest.raises(
        BadRequest, match=f"feature '{feature}' has no model for {kind} that you may use.* You may use: chat, notes"
    ) as caught:
        access().choose_model(caller, feature, kind)

    assert (caught.value.code, caught.value.param) == ("wrong_model_kind", None)


def test_a_feature_with_a_model_of_the_kind_only_asks_which() -> None:
    one = access(features={"any": Feature(), "holders": FEATURES["chat"]})

    assert one.choose_model(person("paid"), "any", "embeddings") is None
    assert one.choose_model(SERVER, "holders", "embeddings") is None


@pytest.mark.parametrize(
    ("caller", "feature", "models"),
    [
        (person("free"), "chat", ["fast"]),
        (person("paid"), "chat", ["fast", "best"]),
        (person("free"), "notes", ["embed"]),
        (person("free"), None, ["fast", "embed"]),
        (person("free", ["notes"]), None, ["embed"]),
        (person("none"), None, []),
        (person("paid"), None, ["fast", "best", "embed"]),
        (SERVER, "notes", ["fast", "best", "embed"]),
        (SERVER, None, ["fast", "best", "embed"]),
    ],
)
def test_models_are_those_of_feature_and_tier(caller: Caller, feature: str | None, models: list[str]) -> None:
    assert access().models_of(caller, feature) == models


def test_a_model_outside_of_the_feature_looks_like_none() -> None:
    turn = make_turn(caller=person("paid"), model="fast")
    turn.feature = "notes"

    with pytest.raises(NotFound, match="does not exist or you do not have access"):
        access().admit(turn)


# --- priority -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "feature", "named", "priority"),
    [
        (person(), "chat", None, "interactive"),
        (person(), "chat", "draft", "draft"),
        (person(), "chat", "interactive", "interactive"),
        (person(), "titles", None, "prefetch"),
        (person(), "titles", "interactive", "prefetch"),
        (person(), "titles", "draft", "prefetch"),
        (person(), "titles", "batch", "batch"),
        (person(), "unknown", "batch", "batch"),
        (SERVER, "titles", None, "prefetch"),
        (SERVER, "titles", "interactive", "interactive"),
        (SERVER, "titles", "batch", "batch"),
        (SERVER, NO_FEATURE, None, "interactive"),
        (SERVER, NO_FEATURE, "background", "background"),
    ],
)
def test_people_can_lower_the_priority_of_a_feature_and_keys_may_name_any(
    caller: Caller, feature: str, named: Priority | None, priority: Priority
) -> None:
    access = Access(Config(models=MODELS, features={"chat": Feature(), "titles": Feature(priority="prefetch")}))

    assert access.choose_priority(caller, feature, named) == priority


def test_without_features_whatever_is_named_counts() -> None:
    assert ACCESS.choose_priority(person(), NO_FEATURE, None) == "interactive"
    assert ACCESS.choose_priority(person(), NO_FEATURE, "batch") == "batch"
