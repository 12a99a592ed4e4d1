"""Budgets on the line: what is put aside for a turn, what becomes of its request, and what a person is told."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from frontdesk.core.config import Budget, Config, Feature, Limits, Model, PersonBudget, Provider, Tier
from frontdesk.core.errors import Forbidden, ProviderError, QuotaSpent, Unavailable
from frontdesk.core.money import Price
from frontdesk.ledger.holds import Balance, Facts, Window
from frontdesk.policies import step_log
from frontdesk.policies.access import Access
from frontdesk.policies.budgets import Budgets
from frontdesk.policies.funds import Funds
from frontdesk.policies.step_log import FoundSpent
from frontdesk.turn.items import EmbeddingRequest, Message, Prompt
from frontdesk.turn.sizes import measure
from frontdesk.turn.turn import Attempt, Caller, Turn
from tests.fakes import HandClock, make_turn
from tests.policies.treasury import FREE, MemoryTreasury, PaperPrices, price

NOW = datetime(2026, 10, 7, 19, 0, tzinfo=UTC).timestamp()
DAY = 1_791_331_200_000  # 2026-10-07
OWN = Window("user:u1", "day", DAY)
APP = Window("app", "day", DAY)
MODELS = {
    "best": Model(["openai/gpt-5", "openai/gpt-5-mini"]),
    "fast": Model(["openai/gpt-5-mini"], max_output_tokens=500),
    "kind": Model(["openai/gpt-5-mini", "local/small"]),
    "local": Model(["local/small"]),
    "odd": Model(["vllm/unheard-of"]),
    "mixed": Model(["vllm/unheard-of", "openai/gpt-5-mini"]),
    "embed": Model(["openai/vectors"], kind="embeddings"),
}
PRICES: dict[str, Price] = {
    "openai/gpt-5": price(2, 10),
    "openai/gpt-5-mini": price(0.2, 1),
    "openai/gpt-5-mini@priority": price(0.4, 2),
    "local/small": FREE,
    "openai/vectors": price(0.5, 0),
}
PERSON = Caller("user", "sess_1", "u1", "free")
SERVER = Caller("server", "key_1")


class Counter:
    """Says what it was told to, for every text."""

    def __init__(self, tokens: int | None) -> None:
        self._tokens = tokens
        self.asked: list[tuple[Sequence[str], str]] = []

    async def count(self, texts: Sequence[str], encoding: str) -> int | None:
        self.asked.append((list(texts), encoding))
        return self._tokens


class Desk:
    """The policy with all that it stands on. `usd` and `more` are the person's own budget."""

    def __init__(
        self,
        usd: float = 0.05,
        *,
        budgets: Sequence[Budget] = (),
        counter: Counter | None = None,
        found_spent: FoundSpent | None = None,
        models: Mapping[str, Model] = MODELS,
        features: dict[str, Feature] | None = None,
        **more: Any,
    ) -> None:
        self.config = Config(
            providers={"openai": Provider("openai"), "vllm": Provider("openai-compatible")},
            models=dict(models),
            features=features or {},
            tiers={"free": Tier(budget=PersonBudget(usd, **more)), "paid": Tier()},
            default_tier="free",
            budgets=list(budgets),
            limits=Limits(turn_timeout_s=600),
        )
        self.clock = HandClock(NOW)
        self.treasury = MemoryTreasury()
        self.prices = PaperPrices(PRICES)
        access = Access(self.config)
        self.policy = Budgets(self.config, self.prices, self.treasury, access, self.clock, counter, found_spent)

    def turn(self, model: str = "best", caller: Caller = PERSON, text: str = "hello", **fields: Any) -> Turn:
        turn = make_turn(self.clock, model=model, caller=caller, text=text)
        turn.tier = caller.tier
        turn.request = Prompt([Message("user", text)], stream=True, **fields)
        return turn

    async def admit(self, turn: Turn) -> Turn:
        waiting = self.policy.admit(turn)
        if waiting is not None:
            await waiting
        return turn

    async def refusal(self, turn: Turn) -> QuotaSpent:
        request = turn.request
        with pytest.raises(QuotaSpent) as caught:
            await self.admit(turn)
        assert (turn.routes, turn.funds, turn.notices) == (None, None, [])
        assert turn.request is request
        assert turn.id not in self.treasury.holds
        return caught.value


def funds_of(turn: Turn) -> Funds:
    assert isinstance(turn.funds, Funds)
    return turn.funds


# --- what is put aside ----------------------------------------------------------------------------


async def test_the_most_that_the_first_route_may_cost_is_put_aside_in_each_window() -> None:
    desk = Desk(budgets=[Budget(100, "day", scope="app")])
    turn = await desk.admit(desk.turn(max_output_tokens=100))
    bound = measure(turn.request).bound

    held = 2 * bound + 10 * 100
    assert desk.treasury.holds == {turn.id: held}
    assert desk.treasury.windows == {("default", OWN): Balance(0, held), ("default", APP): Balance(0, held)}
    assert turn.routes == ("openai/gpt-5", "openai/gpt-5-mini")


async def test_the_ledger_is_told_what_a_crash_would_leave_unsaid() -> None:
    desk = Desk()
    turn = await desk.admit(desk.turn())

    [reservation] = desk.treasury.reservations
    assert reservation is funds_of(turn).reservation
    assert (reservation.tenant, reservation.turn, reservation.windows) == ("default", turn.id, (OWN,))
    assert reservation.facts == Facts(
        "responses", "user", "sess_1", "u1", "default", "free", "best", True, round(NOW * 1000), "openai/gpt-5"
    )
    assert reservation.expires_at_ms == round(NOW * 1000) + 660_000


async def test_a_length_is_put_in_and_what_was_said_stays() -> None:
    desk = Desk(10)

    lengths = [
        (await desk.admit(desk.turn(model, max_output_tokens=said))).request.max_output_tokens  # type: ignore[union-attr]
        for model, said in [("best", None), ("fast", None), ("fast", 9_000), ("best", 5)]
    ]

    assert lengths == [4_096, 500, 9_000, 5]


async def test_what_was_said_is_lowered_to_what_is_left() -> None:
    desk = Desk(0.01)
    turn = await desk.admit(desk.turn(max_output_tokens=100_000, choices=2))

    assert isinstance(turn.request, Prompt)
    bound = measure(turn.request).bound
    assert turn.request.max_output_tokens == (10_000 - 2 * bound) // 20
    assert turn.request.items == [Message("user", "hello")]
    assert desk.treasury.holds[turn.id] <= 10_000


async def test_what_costs_nothing_holds_nothing_and_is_counted_all_the_same() -> None:
    desk = Desk()
    turn = desk.turn("local")
    request = turn.request
    await desk.admit(turn)

    assert desk.treasury.holds == {}
    assert turn.request is request
    assert funds_of(turn).reservation.windows == (OWN,)


async def test_embeddings_are_paid_by_what_they_read() -> None:
    desk = Desk()
    turn = desk.turn("embed")
    turn.door = "embeddings"
    turn.request = EmbeddingRequest(["one text"] * 100)
    await desk.admit(turn)

    assert desk.treasury.holds == {turn.id: -(-measure(turn.request).bound // 2)}
    assert turn.routes == ("openai/vectors",)


async def test_where_no_budget_applies_nothing_is_done() -> None:
    desk = Desk()
    for caller, model in [(SERVER, "best"), (Caller("user", "s", "u2", "paid"), "odd")]:
        turn = desk.turn(model, caller)
        request = turn.request

        assert desk.policy.admit(turn) is None
        assert (turn.request, turn.routes, turn.funds, turn.size) == (request, None, None, None)


async def test_a_service_tier_has_its_own_price() -> None:
    desk = Desk()
    turn = await desk.admit(desk.turn("fast", parameters={"service_tier": "priority"}, max_output_tokens=100))

    assert desk.treasury.holds[turn.id] == -(-measure(turn.request).bound * 4 // 10) + 200


async def test_a_price_that_changes_counts_for_the_next_turn() -> None:
    desk = Desk()
    first = await desk.admit(desk.turn("fast", max_output_tokens=100))
    desk.prices.prices["openai/gpt-5-mini"] = price(0.2, 10)
    second = await desk.admit(desk.turn("fast", max_output_tokens=100))

    assert desk.treasury.holds[second.id] - desk.treasury.holds[first.id] == 900


# --- what nobody can bound ------------------------------------------------------------------------


async def test_a_route_without_a_price_is_passed_over() -> None:
    desk = Desk()

    assert (await desk.admit(desk.turn("mixed"))).routes == ("openai/gpt-5-mini",)


@pytest.mark.parametrize(
    ("model", "parameters", "words"),
    [
        ("odd", {}, "'vllm/unheard-of' has no price."),
        ("fast", {"service_tier": "ultrafast"}, "'openai/gpt-5-mini' has no price in the service tier 'ultrafast'."),
    ],
)
async def test_a_model_without_a_price_is_refused_by_the_name_of_its_route(
    model: str, parameters: dict[str, Any], words: str
) -> None:
    desk = Desk()
    with pytest.raises(Forbidden) as caught:
        await desk.admit(desk.turn(model, parameters=parameters))

    assert (caught.value.code, caught.value.status) == ("model_unpriced", 403)
    assert words in caught.value.message
    assert "'prices'" in caught.value.message
    assert desk.treasury.holds == {}


@pytest.mark.parametrize(
    "parameters",
    [
        {"prediction": {"type": "content"}},
        {"best_of": 4},
        {"max_tokens": 90_000},
        {"n_predict": 90_000},
        {"models": ["openai/o1"]},
        {"search_parameters": {"mode": "on"}},
        {"extra_body": {"n": 8}},
        {"what_a_provider_learns_tomorrow": True},
    ],
)
async def test_parameters_that_cost_more_than_can_be_told_are_refused_where_it_costs(
    parameters: dict[str, Any],
) -> None:
    desk = Desk()
    with pytest.raises(Forbidden) as caught:
        await desk.admit(desk.turn("fast", parameters=parameters))

    assert (caught.value.code, caught.value.param) == ("not_under_a_budget", *parameters)
    assert desk.treasury.reservations == []
    await desk.admit(desk.turn("local", parameters=parameters))
    await desk.admit(desk.turn("fast", SERVER, parameters=parameters))
    await desk.admit(desk.turn("fast", parameters={"temperature": 0, "best_of": None, "service_tier": None}))
    await desk.admit(desk.turn("fast", parameters={"top_k": 4, "chat_template_kwargs": {"enable_thinking": False}}))


async def test_a_feature_may_decide_what_nobody_may_send() -> None:
    """Its operator knows what it costs, and can price it."""
    searching = Feature(parameters={"search_parameters": {"mode": "on"}})
    desk = Desk(features={"default": searching})

    await desk.admit(desk.turn("fast", parameters={"search_parameters": {"mode": "on"}}))

    with pytest.raises(Forbidden):
        await desk.admit(desk.turn("fast", parameters={"search_parameters": {"mode": "on", "max": 50}}))


# --- refusals -------------------------------------------------------------------------------------


async def test_a_person_reads_which_budget_how_much_until_when_and_what_still_answers() -> None:
    desk = Desk()
    desk.treasury.put(OWN, 50_000)
    refusal = await desk.refusal(desk.turn())

    assert refusal.message == (
        "Your budget of $0.05 a day is used up. It is renewed in 5 hours, at 2026-10-08T00:00:00Z. "
        "Nothing answers until then."
    )
    assert (refusal.status, refusal.code, refusal.type) == (429, "insufficient_quota", "insufficient_quota")
    assert refusal.should_retry is False
    assert refusal.retry_after_s == 5 * 3600


async def test_where_free_models_are_left_the_others_are_refused_by_their_names() -> None:
    desk = Desk(when_spent="free")
    desk.treasury.put(OWN, 50_000)

    assert (await desk.refusal(desk.turn("best"))).message.endswith(" Still answering: 'kind', 'local'.")
    turn = desk.turn("kind")
    turn.wants_status = True
    await desk.admit(turn)
    assert turn.routes == ("local/small",)
    assert desk.treasury.holds == {}
    assert turn.notices == [
        {
            "type": "frontdesk.budget",
            "state": "free_only",
            "measure": "free_models",
            "scope": "user",
            "per": "day",
            "until": DAY // 1000 + 86_400,
            "max_output_tokens": None,
        }
    ]


async def test_only_models_of_the_same_kind_are_named() -> None:
    models = {**MODELS, "near": Model(["local/small"], kind="embeddings")}
    desk = Desk(when_spent="free", models=models)
    desk.treasury.put(OWN, 50_000)
    turn = desk.turn("embed")
    turn.request = EmbeddingRequest(["one text"])

    assert (await desk.refusal(desk.turn("best"))).message.endswith(" Still answering: 'kind', 'local'.")
    assert (await desk.refusal(turn)).message.endswith(" Still answering: 'near'.")


async def test_of_shared_budgets_people_read_no_amounts_and_no_names() -> None:
    desk = Desk(100, budgets=[Budget(7, "month", scope="group:red")])
    desk.treasury.put(Window("group:red", "month", 1_790_812_800_000), 7_000_000)
    refusal = await desk.refusal(desk.turn(caller=Caller("user", "s", "u1", "free", groups=("red",))))

    assert refusal.message == (
        "The budget that you share with others is used up. It is renewed in 24 days, at 2026-11-01T00:00:00Z. "
        "Nothing answers until then."
    )
    assert "red" not in refusal.message


async def test_who_holds_a_secret_key_reads_all_of_it() -> None:
    desk = Desk(budgets=[Budget(7, "total", scope="app")])
    desk.treasury.put(Window("app", "total", 0), 7_000_000)
    refusal = await desk.refusal(desk.turn(caller=SERVER))

    assert refusal.message == ("The budget 'app' of $7.00 is used up. It is not renewed. Nothing answers any more.")
    assert refusal.retry_after_s is None


async def test_a_request_that_is_too_long_for_what_is_left_is_told_so() -> None:
    desk = Desk(0.02, when_spent="free")
    refusal = await desk.refusal(desk.turn("best", text="x" * 120_000))

    least = -(-measure(desk.turn(text="x" * 120_000).request).bound * 2 // 10) + 16
    assert refusal.message == (
        f"This request may cost ${least / 1e6:.6f} or more, and $0.02 is left of your budget of $0.02 a day. "
        "Send a shorter one. It is renewed in 5 hours, at 2026-10-08T00:00:00Z. Still answering: 'kind', 'local'."
    )
    shared = Desk(100, budgets=[Budget(0.02, "day", scope="app")])
    refusal = await shared.refusal(shared.turn("best", text="x" * 120_000))
    assert refusal.message == (
        "This request may cost more than is left of the budget that you share with others. "
        "Send a shorter one. It is renewed in 5 hours, at 2026-10-08T00:00:00Z. Still answering: 'local'."
    )


async def test_where_a_shorter_request_would_pass_nobody_is_told_that_nothing_answers() -> None:
    desk = Desk(0.02, models={"fast": MODELS["fast"]})
    refusal = await desk.refusal(desk.turn("fast", text="x" * 120_000))

    assert refusal.message.endswith("Send a shorter one. It is renewed in 5 hours, at 2026-10-08T00:00:00Z.")


async def test_who_has_used_up_a_feature_is_told_that_others_are_left() -> None:
    desk = Desk(100, budgets=[Budget(2, "day", scope="feature:default")], features={"default": Feature()})
    desk.treasury.put(Window("feature:default", "day", DAY), 2_000_000)
    refusal = await desk.refusal(desk.turn())

    assert refusal.message == (
        "The budget of the feature 'default' is used up. It is renewed in 5 hours, at 2026-10-08T00:00:00Z. "
        "Nothing answers in this feature until then; others may."
    )


async def test_money_that_is_only_put_aside_comes_back_soon() -> None:
    desk = Desk()
    desk.treasury.put(OWN, 10_000, held=40_000)
    refusal = await desk.refusal(desk.turn())

    assert refusal.message == (
        "What is left of your budget of $0.05 a day is put aside for answers that are under way. "
        "Try again when they have ended. Still answering: 'local'."
    )
    assert refusal.retry_after_s == 5
    assert refusal.should_retry is False


async def test_of_several_budgets_the_one_is_told_that_refuses_longest() -> None:
    month = Window("app", "month", 1_790_812_800_000)
    for budgets in ([Budget(1, "day", scope="app"), Budget(1, "month", scope="app")],) * 2:
        desk = Desk(budgets=budgets[::-1])
        desk.treasury.put(OWN, 50_000)
        desk.treasury.put(APP, 1_000_000)
        desk.treasury.put(month, 1_000_000)
        assert "2026-11-01" in (await desk.refusal(desk.turn())).message
        desk.treasury.put(month, 0)
        assert "Your budget of $0.05 a day" in (await desk.refusal(desk.turn())).message
        desk.treasury.put(OWN, 40_000, held=10_000)  # comes back soon: the other one does not
        assert "that you share" in (await desk.refusal(desk.turn())).message


async def test_a_new_day_has_a_new_budget_and_the_day_before_keeps_its_own() -> None:
    desk = Desk()
    desk.treasury.put(OWN, 50_000)
    await desk.refusal(desk.turn())

    desk.clock.move(5 * 3600 - 0.001)
    refusal = await desk.refusal(desk.turn())
    assert "within a minute" in refusal.message
    assert refusal.retry_after_s == 1
    desk.clock.move(0.001)
    await desk.admit(desk.turn())
    desk.clock.move(-60)
    await desk.refusal(desk.turn())


async def test_a_store_that_fails_refuses_what_would_cost() -> None:
    desk = Desk()
    desk.treasury.has_failed = True
    turn = desk.turn()
    with pytest.raises(Unavailable) as caught:
        await desk.admit(turn)

    assert (caught.value.status, caught.value.code) == (503, "store_unavailable")
    assert turn.funds is None
    assert desk.policy.admit(desk.turn(caller=SERVER)) is None


# --- degrading ------------------------------------------------------------------------------------


async def test_each_step_is_told_to_who_asks() -> None:
    desk = Desk(1, degrade_at=[0.5, 0.8])
    desk.treasury.put(OWN, 850_000)
    asking, silent = desk.turn(max_output_tokens=1_000), desk.turn(max_output_tokens=1_000)
    asking.wants_status = True
    await desk.admit(asking)
    await desk.admit(silent)

    told = {
        "type": "frontdesk.budget",
        "state": "degraded",
        "scope": "user",
        "per": "day",
        "until": DAY // 1000 + 86_400,
        "max_output_tokens": 500,
    }
    assert asking.notices == [{**told, "measure": "cheaper_model"}, {**told, "measure": "shorter_answer"}]
    assert silent.notices == []
    for turn in (asking, silent):
        assert turn.routes == ("openai/gpt-5-mini", "openai/gpt-5")
        assert turn.request.max_output_tokens == 500  # type: ignore[union-attr]


async def test_a_shared_budget_is_told_as_that() -> None:
    desk = Desk(1, budgets=[Budget(10, "total", scope="app", degrade_at=[0.5])], degrade_at=[0.9])
    desk.treasury.put(Window("app", "total", 0), 6_000_000)
    turn = desk.turn()
    turn.wants_status = True
    await desk.admit(turn)

    assert [(each["scope"], each["per"], each["until"]) for each in turn.notices] == [("shared", "total", None)]


async def test_the_log_says_each_step_of_a_window_once(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(1, budgets=[Budget(10, "day", scope="app", degrade_at=[0.5], when_spent="free")], degrade_at=[0.5, 0.8])
    with caplog.at_level(logging.INFO, "frontdesk.budgets"):
        for own, app in [(0, 0), (500_000, 0), (600_000, 5_000_000), (850_000, 6_000_000), (850_000, 10_000_000)]:
            desk.treasury.put(OWN, own)
            desk.treasury.put(APP, app)
            for _ in range(3):
                await desk.admit(desk.turn("kind"))

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "budget_step tenant=default scope=user:u1 per=day step=1 spent_usd=0.500000 usd=1.000000"),
        ("WARNING", "budget_step tenant=default scope=app per=day step=1 spent_usd=5.000000 usd=10.000000"),
        ("INFO", "budget_step tenant=default scope=user:u1 per=day step=2 spent_usd=0.850000 usd=1.000000"),
        ("WARNING", "budget_step tenant=default scope=app per=day step=spent spent_usd=10.000000 usd=10.000000"),
    ]


async def test_who_tells_of_spent_budgets_hears_of_each_once_though_a_little_is_left() -> None:
    found: list[tuple[str, Window, int]] = []
    desk = Desk(found_spent=lambda *spent: found.append(spent), budgets=[Budget(9, "day", scope="app")])
    await desk.admit(desk.turn())
    desk.treasury.put(OWN, 49_980)
    for _ in range(3):
        await desk.refusal(desk.turn("best"))
    await desk.refusal(desk.turn("fast", caller=Caller("user", "s", "u2", "free"), text="x" * 10**6))

    assert found == [("default", OWN, 50_000)]


async def test_what_the_log_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_log, "_MOST_TOLD", 3)
    desk = Desk(1, degrade_at=[0.5])
    for number in range(10):
        person = f"u{number}"
        desk.treasury.put(Window(f"user:{person}", "day", DAY), 600_000)
        await desk.admit(desk.turn(caller=Caller("user", "s", person, "free")))

    assert len(desk.policy._log._steps) == 3


# --- counting exactly -----------------------------------------------------------------------------


async def test_what_is_too_long_by_its_bytes_may_fit_by_its_tokens() -> None:
    counter = Counter(20_000)
    desk = Desk(0.02, counter=counter)
    turn = await desk.admit(desk.turn("fast", text="word " * 20_000, max_output_tokens=100))

    rest = measure(turn.request).bound - 100_000
    assert desk.treasury.holds == {turn.id: -(-(20_000 + rest) * 2 // 10) + 100}
    assert counter.asked == [(["word " * 20_000], "o200k_base")]


@pytest.mark.parametrize(
    ("model", "tokens", "text", "asked"),
    [
        ("fast", None, "x" * 100_000, 1),  # it cannot be counted now
        ("foreign", 1, "x" * 100_000, 0),  # nobody knows how
        ("namesake", 1, "x" * 100_000, 0),  # another server's, of the same name
        ("fast", 99_000, "x" * 100_000, 1),  # it is as long as it looks
        ("fast", 1, "x" * 500_000, 0),  # it cannot be that short
    ],
)
async def test_what_stays_too_long_is_refused(model: str, tokens: int | None, text: str, asked: int) -> None:
    counter = Counter(tokens)
    others = {"foreign": Model(["vllm/llama"]), "namesake": Model(["vllm/gpt-5-mini"])}
    desk = Desk(0.018, counter=counter, models={**MODELS, **others})
    desk.prices.prices |= dict.fromkeys(("vllm/llama", "vllm/gpt-5-mini"), PRICES["openai/gpt-5-mini"])

    await desk.refusal(desk.turn(model, text=text))
    assert len(counter.asked) == asked


async def test_nothing_is_counted_where_it_makes_no_difference() -> None:
    counter = Counter(1)
    desk = Desk(counter=counter, when_spent="free")
    for model in ("best", "kind", "local"):
        await desk.admit(desk.turn(model))
    desk.treasury.put(OWN, 50_000)
    await desk.admit(desk.turn("kind"))
    await desk.refusal(desk.turn("best"))

    assert counter.asked == []


# --- further attempts -----------------------------------------------------------------------------


def failed(turn: Turn, route: str, error: Exception | None = None, *, has_begun: bool = False) -> None:
    provider, _, model = route.partition("/")
    attempt = Attempt(provider, model, turn.clock.now())
    attempt.status = "failed"
    attempt.error = error or ProviderError("broke off")  # type: ignore[assignment]
    attempt.first_event_at = turn.clock.now() if has_begun else None
    turn.attempts.append(attempt)


async def cover(turn: Turn, route: str) -> tuple[bool, bool]:
    """Whether it is covered, and whether the treasury was asked."""
    found = funds_of(turn).cover(route)
    return (found, False) if isinstance(found, bool) else (await found, True)


async def test_the_first_route_and_cheaper_ones_after_a_refusal_are_covered_at_once() -> None:
    desk = Desk()
    turn = await desk.admit(desk.turn(max_output_tokens=100))

    assert await cover(turn, "openai/gpt-5") == (True, False)
    failed(turn, "openai/gpt-5", ProviderError("status 503", upstream_status=503))
    assert await cover(turn, "openai/gpt-5-mini") == (True, False)
    turn.attempts.clear()
    failed(turn, "openai/gpt-5", ProviderError("no way there", is_sent=False))
    assert await cover(turn, "openai/gpt-5-mini") == (True, False)


@pytest.mark.parametrize("has_begun", [False, True])
async def test_after_an_attempt_that_may_be_billed_more_is_put_aside(has_begun: bool) -> None:
    desk = Desk()
    turn = await desk.admit(desk.turn(max_output_tokens=100))
    held = desk.treasury.holds[turn.id]
    failed(turn, "openai/gpt-5", ProviderError("x", upstream_status=503 if has_begun else None), has_begun=has_begun)

    assert await cover(turn, "openai/gpt-5-mini") == (True, True)
    bound = -(-measure(turn.request).bound * 2 // 10) + 100
    assert desk.treasury.holds[turn.id] == held + bound
    assert await cover(turn, "openai/gpt-5-mini") == (True, False)
    failed(turn, "openai/gpt-5-mini")
    assert await cover(turn, "openai/gpt-5-mini") == (True, True)
    assert desk.treasury.holds[turn.id] == held + 2 * bound


async def test_what_does_not_fit_is_not_tried() -> None:
    desk = Desk(budgets=[Budget(1, "day", scope="app")])
    turn = await desk.admit(desk.turn(max_output_tokens=100))
    held = desk.treasury.holds[turn.id]
    desk.treasury.put(APP, 1_000_000 - held - 50, held=held)
    failed(turn, "openai/gpt-5")

    assert await cover(turn, "openai/gpt-5-mini") == (False, True)
    assert desk.treasury.holds[turn.id] == held


async def test_a_route_that_was_not_granted_is_not_covered() -> None:
    desk = Desk(when_spent="free")
    desk.treasury.put(OWN, 50_000)
    turn = await desk.admit(desk.turn("kind"))

    assert await cover(turn, "local/small") == (True, False)
    assert await cover(turn, "openai/gpt-5-mini") == (False, False)
    assert await cover(turn, "vllm/unheard-of") == (False, False)


async def test_a_fallback_that_costs_is_put_aside_after_one_that_does_not() -> None:
    desk = Desk(models={"home": Model(["local/small", "openai/gpt-5-mini"], max_output_tokens=100)})
    turn = await desk.admit(desk.turn("home"))
    assert desk.treasury.holds == {}
    assert await cover(turn, "local/small") == (True, False)
    failed(turn, "local/small")

    assert await cover(turn, "openai/gpt-5-mini") == (True, True)
    assert desk.treasury.holds == {turn.id: -(-measure(turn.request).bound * 2 // 10) + 100}


async def test_a_store_that_fails_ends_a_turn_that_needs_more() -> None:
    desk = Desk()
    turn = await desk.admit(desk.turn())
    failed(turn, "openai/gpt-5")
    desk.treasury.has_failed = True

    with pytest.raises(Unavailable):
        await cover(turn, "openai/gpt-5-mini")


# --- how they stand -------------------------------------------------------------------------------


async def test_people_see_amounts_of_their_own_budget_alone() -> None:
    desk = Desk(budgets=[Budget(9, "total", scope="app", degrade_at=[0.5], when_spent="free")])
    desk.treasury.put(OWN, 12_500, held=500)
    desk.treasury.put(Window("app", "total", 0), 4_500_000)

    standings = await desk.policy.standing(PERSON)

    assert standings.budgets == [
        {
            "scope": "user",
            "per": "day",
            "state": "ok",
            "step": 0,
            "when_spent": "refuse",
            "resets_at": DAY // 1000 + 86_400,
            "usd": 0.05,
            "spent_usd": 0.0125,
            "held_usd": 0.0005,
            "left_usd": 0.037,
        },
        {"scope": "shared", "per": "total", "state": "degraded", "step": 1, "when_spent": "free", "resets_at": None},
    ]
    assert standings.answering == ["best", "fast", "kind", "local", "mixed", "embed"]


async def test_keys_see_all_of_the_budgets_that_they_fall_under() -> None:
    desk = Desk(budgets=[Budget(9, "total", scope="app"), Budget(1, scope="group:red")])
    desk.treasury.put(Window("app", "total", 0), 10_000_000)

    standings = await desk.policy.standing(SERVER)

    assert standings.budgets == [
        {
            "scope": "app",
            "per": "total",
            "state": "spent",
            "step": 0,
            "when_spent": "refuse",
            "resets_at": None,
            "usd": 9.0,
            "spent_usd": 10.0,
            "held_usd": 0.0,
            "left_usd": 0.0,
        }
    ]
    assert standings.answering == []


async def test_a_spent_budget_leaves_what_is_free() -> None:
    desk = Desk(when_spent="free")
    desk.treasury.put(OWN, 50_000)
    standings = await desk.policy.standing(PERSON)

    assert (standings.budgets[0]["state"], standings.answering) == ("spent", ["kind", "local"])


async def test_the_budget_of_a_feature_stands_beside_its_name() -> None:
    features = {"chat": Feature(models=["fast"]), "notes": Feature(models=["best"])}
    desk = Desk(budgets=[Budget(1, scope="feature:notes")], features=features)
    desk.treasury.put(Window("feature:notes", "day", DAY), 1_000_000)

    all_of_them = await desk.policy.standing(PERSON)
    only_chat = await desk.policy.standing(PERSON, "chat")

    assert [(each["scope"], each.get("feature"), each["state"]) for each in all_of_them.budgets] == [
        ("user", None, "ok"),
        ("shared", "notes", "spent"),
    ]
    assert all_of_them.answering == ["fast"]
    assert [each["scope"] for each in only_chat.budgets] == ["user"]
    assert "usd" not in all_of_them.budgets[1]


async def test_who_has_no_budget_may_use_all_that_is_theirs() -> None:
    standings = await Desk().policy.standing(Caller("user", "s", "u2", "paid"))

    assert standings == ([], list(MODELS))


async def test_a_store_that_fails_says_so_of_how_they_stand() -> None:
    desk = Desk()
    desk.treasury.has_failed = True

    with pytest.raises(Unavailable):
        await desk.policy.standing(PERSON)
