"""Who may judge, hear, speak and draw, what they may bring, and what is put aside for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from frontdesk.core.config import Config, Feature, Model, PersonBudget, Provider, Tier
from frontdesk.core.errors import BadRequest, Forbidden, NotFound, QuotaSpent
from frontdesk.core.money import Price, Rates
from frontdesk.ledger.holds import Balance, Window
from frontdesk.policies.access import Access
from frontdesk.policies.budgets import Budgets
from frontdesk.policies.features import Features
from frontdesk.turn.items import (
    Image,
    ImageRequest,
    MediaRequest,
    ModerationRequest,
    SpeechRequest,
    TranscriptionRequest,
    Upload,
)
from frontdesk.turn.turn import Caller, Door, Turn
from tests.fakes import HandClock
from tests.policies.treasury import MemoryTreasury, PaperPrices
from tests.turn.test_recordings import wav

NOW = datetime(2026, 10, 7, 19, 0, tzinfo=UTC).timestamp()
DAY = 1_791_331_200_000  # 2026-10-07
OWN = Window("user:u1", "day", DAY)
PERSON, SERVER = Caller("user", "sess_1", "u1", "free"), Caller("server", "key_1")
RECORDING = Upload(wav(60), "a.wav", "audio/wav")
DOORS: dict[str, Door] = {"judge": "moderations", "ears": "transcriptions", "voice": "speech", "brush": "images"}
ASKED: dict[str, MediaRequest] = {
    "judge": ModerationRequest(["x"]),
    "ears": TranscriptionRequest(RECORDING),
    "voice": SpeechRequest("x" * 100, "v"),
    "brush": ImageRequest("generate", "a cat", n=2),
}
MODELS = {
    "fast": Model(["one/chat"]),
    "judge": Model(["one/judge"], kind="moderation"),
    "ears": Model(["one/ears", "two/ears"], kind="transcription"),
    "voice": Model(["one/voice"], kind="speech"),
    "brush": Model(["one/brush"], kind="image"),
}


def turn_of(model: str, request: MediaRequest | None = None, caller: Caller = PERSON, feature: str = "default") -> Turn:
    turn = Turn(DOORS[model], caller, model, request or ASKED[model], HandClock(NOW), feature)
    turn.tier = caller.tier
    return turn


def access(features: dict[str, Feature] | None = None, **tier: Any) -> Access:
    tiers = {"free": Tier(**tier)}
    return Access(
        Config(models=MODELS, default_model="fast", features=features or {}, tiers=tiers, default_tier="free")
    )


# --- access -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", DOORS)
def test_without_features_a_persons_tier_says_which_models_are_theirs(model: str) -> None:
    access().admit(turn_of(model))

    with pytest.raises(NotFound):
        access(models=["fast"]).admit(turn_of(model))


@pytest.mark.parametrize("model", DOORS)
def test_with_features_a_person_has_only_models_that_the_feature_lists(model: str) -> None:
    features = {"open": Feature(), "media": Feature(models=[*DOORS]), "words": Feature(models=["fast"])}

    access(features).admit(turn_of(model, feature="media"))
    access(features).admit(turn_of(model, caller=SERVER))
    for feature in ("open", "words"):
        with pytest.raises(NotFound):
            access(features).admit(turn_of(model, feature=feature))


def test_models_that_a_feature_does_not_list_are_not_told() -> None:
    assert access({"open": Feature()}).models_of(PERSON, "open") == ["fast"]
    assert access().models_of(PERSON) == list(MODELS)


@pytest.mark.parametrize("model", DOORS)
def test_a_model_answers_at_the_doors_of_its_kind_alone(model: str) -> None:
    for other, door in DOORS.items():
        turn = Turn(door, SERVER, model, ASKED[other], HandClock(NOW))
        if other == model:
            access().admit(turn)
        else:
            with pytest.raises(BadRequest) as refused:
                access().admit(turn)
            assert refused.value.code == "wrong_model_kind"


@pytest.mark.parametrize(
    ("caller", "features", "feature", "chosen"),
    [
        (PERSON, {}, "default", "ears"),
        (SERVER, {}, "default", "ears"),
        (SERVER, {"open": Feature()}, "default", "ears"),
        (PERSON, {"media": Feature(models=["fast", "ears"])}, "media", "ears"),
        (SERVER, {"media": Feature(models=["ears"])}, "media", "ears"),
    ],
)
def test_a_request_without_a_model_gets_the_first_of_the_kind(
    caller: Caller, features: dict[str, Feature], feature: str, chosen: str
) -> None:
    assert access(features).choose_model(caller, feature, "transcription") == chosen


def test_a_feature_without_a_model_of_the_kind_says_so() -> None:
    with pytest.raises(BadRequest) as refused:
        access({"words": Feature(models=["fast"])}).choose_model(PERSON, "words", "image")

    assert refused.value.code == "wrong_model_kind"


def test_nobody_gets_a_model_that_their_tier_has_not() -> None:
    assert access(models=["fast"]).choose_model(PERSON, "default", "image") is None


# --- features -----------------------------------------------------------------------------------------

BROUGHT: list[Any] = [
    (ModerationRequest([Image("https://x.example/a.png")]), "images", "input"),
    (ModerationRequest(["x"], parameters={"vendor": 1}), "other_parameters", "vendor"),
    (SpeechRequest("x", "v", instructions="softly"), "instructions", "instructions"),
    (SpeechRequest("x", "v", parameters={"speed": 2.0}), "parameters", "speed"),
    (SpeechRequest("x", "v", parameters={"pitch": 2.0}), "other_parameters", "pitch"),
    (TranscriptionRequest(RECORDING, parameters={"temperature": 0.5}), "parameters", "temperature"),
    (TranscriptionRequest(RECORDING, parameters={"chunking_strategy": "auto"}), "parameters", "chunking_strategy"),
    (TranscriptionRequest(RECORDING, parameters={"diarize": "true"}), "other_parameters", "diarize"),
    (ImageRequest("generate", "x", n=2), "parameters", "n"),
    (ImageRequest("generate", "x", size="1024x1024"), "parameters", "size"),
    (ImageRequest("generate", "x", quality="high"), "parameters", "quality"),
    (ImageRequest("generate", "x", stream=True, partial_images=1), "parameters", "partial_images"),
    (ImageRequest("generate", "x", parameters={"background": "transparent"}), "parameters", "background"),
    (ImageRequest("generate", "x", parameters={"seed": 1}), "other_parameters", "seed"),
]
PLAIN: list[Any] = [
    *ASKED.values(),
    TranscriptionRequest(RECORDING, format="srt", language="de", prompt="p", granularities=("word",), stream=True),
    SpeechRequest("x", {"id": "v"}, format="wav", stream=True),
    ImageRequest("edit", "x", (RECORDING,), RECORDING, size="auto", parameters={"output_format": "webp"}),
]
PLAIN[3] = ImageRequest("generate", "a cat")
DOOR_OF: dict[type[MediaRequest], str] = {type(request): model for model, request in ASKED.items()}


def admitted(feature: Feature, request: MediaRequest, caller: Caller = PERSON) -> Turn:
    turn = turn_of(DOOR_OF[type(request)], request, caller, "media")
    Features({"media": feature}).admit(turn)
    return turn


@pytest.mark.parametrize(("request_", "capability", "param"), BROUGHT)
def test_what_a_person_brings_beyond_takes_a_capability(request_: MediaRequest, capability: Any, param: str) -> None:
    with pytest.raises(Forbidden) as refused:
        admitted(Feature(), request_)

    assert (refused.value.code, refused.value.param) == ("not_allowed_by_feature", param)
    assert repr(capability) in refused.value.message
    assert admitted(Feature(client_may=[capability]), request_).request is request_
    assert admitted(Feature(), request_, SERVER).request is request_


@pytest.mark.parametrize("request_", PLAIN)
def test_what_an_endpoint_is_for_takes_none(request_: MediaRequest) -> None:
    assert admitted(Feature(), request_).request is request_


@pytest.mark.parametrize("request_", PLAIN)
def test_instructions_and_parameters_of_a_feature_are_for_chats(request_: MediaRequest) -> None:
    feature = Feature(instructions="Be kind.", parameters={"temperature": 0.1}, max_output_tokens=5)

    turn = admitted(feature, request_)

    assert turn.request is request_
    assert turn.instructions is None


def test_a_feature_says_how_many_pictures_there_may_be() -> None:
    feature = Feature(client_may=["parameters"], ceilings={"n": 2})

    assert admitted(feature, ImageRequest("generate", "x", n=2))
    with pytest.raises(Forbidden) as refused:
        admitted(feature, ImageRequest("generate", "x", n=3))
    assert refused.value.param == "n"


# --- budgets -----------------------------------------------------------------------------------------------

A_MINUTE, A_CHARACTER, A_PICTURE = 6_000_000_000, 15_000_000, 40_000_000_000
PRICES = {
    "one/judge": Price(Rates(request=1_000_000)),
    "one/ears": Price(Rates(audio_minute=A_MINUTE)),
    "two/ears": Price(Rates(audio_minute=A_MINUTE // 10)),
    "one/voice": Price(Rates(character=A_CHARACTER)),
    "one/brush": Price(Rates(image=A_PICTURE)),
}


class Desk:
    """Budgets with all that they stand on."""

    def __init__(self, usd: float, **more: Any) -> None:
        config = Config(
            providers={"one": Provider("openai-compatible"), "two": Provider("openai-compatible")},
            models=MODELS,
            tiers={"free": Tier(budget=PersonBudget(usd, **more))},
            default_tier="free",
        )
        self.treasury = MemoryTreasury()
        self.prices = PaperPrices(PRICES)
        self.policy = Budgets(config, self.prices, self.treasury, Access(config), HandClock(NOW))

    async def admit(self, model: str, request: MediaRequest | None = None) -> Turn:
        turn = turn_of(model, request)
        waiting = self.policy.admit(turn)
        assert waiting is not None
        await waiting
        return turn


@pytest.mark.parametrize(("model", "micros"), [("judge", 1), ("ears", 6_000), ("voice", 1_500), ("brush", 80_000)])
async def test_the_most_that_it_can_cost_is_put_aside(model: str, micros: int) -> None:
    desk = Desk(1)

    turn = await desk.admit(model)

    assert desk.treasury.holds[turn.id] == micros
    assert turn.request is ASKED[model]


@pytest.mark.parametrize(("model", "micros"), [("judge", 1), ("ears", 600), ("voice", 1_500), ("brush", 80_000)])
async def test_what_does_not_fit_is_refused_and_nothing_is_made_shorter(model: str, micros: int) -> None:
    enough, little = Desk(micros / 1e6), Desk((micros + 1) / 1e6)
    little.treasury.put(OWN, 2)

    turn = await enough.admit(model)

    assert (turn.request, enough.treasury.holds[turn.id]) == (ASKED[model], micros)
    with pytest.raises(QuotaSpent):
        await little.admit(model)
    assert little.treasury.holds == {}


async def test_the_cheaper_route_answers_where_the_first_does_not_fit() -> None:
    turn = await Desk(0.001).admit("ears")

    assert turn.routes == ("two/ears",)


async def test_a_step_of_a_budget_asks_the_cheaper_route_first_and_shortens_nothing() -> None:
    desk = Desk(1, degrade_at=[0.1, 0.2, 0.3])
    desk.treasury.put(OWN, 400_000)

    turn = await desk.admit("ears")

    assert turn.routes == ("two/ears", "one/ears")
    assert turn.request is ASKED["ears"]


async def test_a_compressed_recording_is_bounded_by_its_size() -> None:
    desk = Desk(1)

    turn = await desk.admit("ears", TranscriptionRequest(Upload(bytes(750 * 60), "a.mp3", "audio/mpeg")))

    assert desk.treasury.holds[turn.id] == 6_000


async def test_tokens_are_bounded_as_well() -> None:
    desk = Desk(10)
    desk.prices.prices["one/brush"] = Price(Rates(input=1_000_000, output=40_000_000))

    turn = await desk.admit("brush", ImageRequest("generate", "a cat"))

    assert 16_384 * 40 <= desk.treasury.holds[turn.id] < 16_384 * 40 + 1_000


async def test_what_nobody_can_price_is_not_sent_under_a_budget() -> None:
    desk = Desk(1)
    del desk.prices.prices["one/brush"]

    with pytest.raises(Forbidden) as unpriced:
        await desk.admit("brush")
    with pytest.raises(Forbidden) as unbounded:
        await Desk(1).admit("brush", ImageRequest("generate", "x", parameters={"upscale": 4}))

    assert (unpriced.value.code, unbounded.value.code) == ("model_unpriced", "not_under_a_budget")


async def test_what_openai_knows_may_be_sent_under_a_budget() -> None:
    parameters = {"background": "opaque", "output_format": "png", "user": "u"}

    assert await Desk(1).admit("brush", ImageRequest("generate", "x", parameters=parameters))


async def test_models_that_still_answer_are_those_that_a_small_call_fits() -> None:
    desk = Desk(0.01)
    desk.treasury.put(OWN, 0)

    standings = await desk.policy.standing(PERSON)

    assert desk.treasury.windows[("default", OWN)] == Balance(0, 0)
    assert standings.answering == ["judge", "ears", "voice"]  # a picture costs four times that
