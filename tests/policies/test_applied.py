"""Which budgets apply, and when their windows change: at midnight UTC exactly, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config import Budget, Config, PersonBudget, Tier
from frontdesk.core.periods import Period
from frontdesk.ledger.holds import Window
from frontdesk.policies import applied as applied_module
from frontdesk.policies.applied import AppliedBudgets
from frontdesk.policies.spending import Cap
from frontdesk.turn.turn import Caller
from tests.fakes import HandClock

SERVER = Caller("server", "key_1")


def person(name: str = "u1", *groups: str) -> Caller:
    return Caller("user", "sess_1", name, groups=groups)


def at(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


def ms(moment: str) -> int:
    return round(at(moment) * 1000)


def everything(clock: HandClock | None = None) -> AppliedBudgets:
    """A budget of each scope, and two for each person of the tier `free`."""
    scopes = ["app", "tier:free", "tier:paid", "feature:notes", "group:red", "group:blue", "user:u1"]
    config = Config(
        tiers={"free": Tier(budget=[PersonBudget(0.05), PersonBudget(1, "month")]), "paid": Tier()},
        default_tier="free",
        budgets=[Budget(100 + place, "total", scope=scope) for place, scope in enumerate(scopes)],
    )
    return AppliedBudgets(config, clock or HandClock())


def scopes_of(caller: Caller, tier: str | None, feature: str) -> list[str]:
    return [each.window.scope for each in everything().of(caller, tier, feature)]


# --- which ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "tier", "feature", "scopes"),
    [
        (person("u2"), "free", "chat", ["user:u2", "user:u2", "app", "tier:free"]),
        (person("u1"), "free", "notes", ["user:u1", "user:u1", "user:u1", "app", "feature:notes", "tier:free"]),
        (person("u1"), "paid", "chat", ["user:u1", "app", "tier:paid"]),
        (person("u2"), None, "chat", ["app"]),
        (person("u2", "red", "green", "blue", "red"), None, "chat", ["app", "group:red", "group:blue"]),
        (SERVER, None, "chat", ["app"]),
        (SERVER, None, "notes", ["app", "feature:notes"]),
        (Caller("operator", "key_2", tier="free", groups=("red",)), "free", "notes", ["app", "feature:notes"]),
    ],
)
def test_each_caller_falls_under_the_scopes_that_are_theirs(
    caller: Caller, tier: str | None, feature: str, scopes: list[str]
) -> None:
    assert scopes_of(caller, tier, feature) == scopes


def test_only_what_counts_a_person_alone_is_their_own() -> None:
    own = {each.window.scope: each.is_own for each in everything().of(person("u1", "red"), "free", "notes")}

    assert own == {"user:u1": True, "app": False, "feature:notes": False, "tier:free": False, "group:red": False}


def test_without_budgets_nothing_applies() -> None:
    budgets = AppliedBudgets(Config(tiers={"free": Tier()}, default_tier="free"), HandClock())

    assert not budgets.are_any
    assert budgets.of(person(), "free", "chat") == ()
    assert everything().are_any


def test_amounts_are_micro_dollars_and_steps_whole_ones_above_their_fraction() -> None:
    budget = PersonBudget(0.000_333, degrade_at=[0.9, 0.1], when_spent="free")
    [found] = AppliedBudgets(Config(tiers={"free": Tier(budget=budget)}), HandClock()).of(person(), "free", "chat")

    assert found.cap == Cap(333, (34, 300), leaves_free=True)


def test_what_many_share_is_found_once_and_forgotten_where_groups_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applied_module, "_MOST_KEPT", 10)
    budgets = everything()
    first = budgets.of(SERVER, None, "chat")

    assert budgets.of(SERVER, None, "chat") is first
    for number in range(50):
        budgets.of(person("u2", f"g{number}"), None, "chat")
        assert len(budgets._known) <= 10


# --- when -----------------------------------------------------------------------------------------


def windows(clock: HandClock) -> AppliedBudgets:
    periods: list[Period] = ["day", "month", "total"]
    return AppliedBudgets(Config(budgets=[Budget(1, per, scope="app") for per in periods]), clock)


def starts(budgets: AppliedBudgets) -> list[tuple[int, int | None]]:
    return [(each.window.starts_at_ms, each.ends_at_ms) for each in budgets.of(SERVER, None, "chat")]


@pytest.mark.parametrize(
    ("before", "day", "month", "next_month"),
    [
        ("2026-10-07T23:59:59.999", "2026-10-07", "2026-10-01", "2026-11-01"),
        ("2026-12-31T23:59:59.999", "2026-12-31", "2026-12-01", "2027-01-01"),
        ("2028-02-28T23:59:59.999", "2028-02-28", "2028-02-01", "2028-03-01"),
        ("2028-02-29T23:59:59.999", "2028-02-29", "2028-02-01", "2028-03-01"),
        ("2027-02-28T23:59:59.999", "2027-02-28", "2027-02-01", "2027-03-01"),
        ("2100-02-28T23:59:59.999", "2100-02-28", "2100-02-01", "2100-03-01"),
        ("2026-03-29T00:59:59.999", "2026-03-29", "2026-03-01", "2026-04-01"),
    ],
)
def test_the_last_millisecond_of_a_day_is_of_that_day(before: str, day: str, month: str, next_month: str) -> None:
    clock = HandClock(at(before))

    (day_start, day_end), (month_start, month_end), total = starts(windows(clock))

    assert (day_start, day_end) == (ms(day), ms(day) + 86_400_000)
    assert (month_start, month_end) == (ms(month), ms(next_month))
    assert total == (0, None)


@pytest.mark.parametrize("midnight", ["2026-10-08", "2027-01-01", "2028-02-29", "2028-03-01", "2027-03-01"])
def test_at_midnight_the_next_windows_count(midnight: str) -> None:
    clock = HandClock(at(midnight) - 0.001)
    budgets = windows(clock)
    (_, day_end), (_, month_end), _ = starts(budgets)
    clock.move(0.001)

    (day, _), (month, _), _ = starts(budgets)

    assert day == day_end == ms(midnight)
    assert (month == month_end) == midnight.endswith("-01")


def test_a_clock_that_is_set_back_finds_the_windows_of_before() -> None:
    clock = HandClock(at("2026-11-01T00:00:05"))
    budgets = windows(clock)
    starts(budgets)

    clock.move(-10)

    assert starts(budgets)[0][0] == ms("2026-10-31")
    assert starts(budgets)[1][0] == ms("2026-10-01")


@given(st.lists(st.floats(-4e8, 4e8), min_size=1, max_size=20))
def test_however_the_clock_jumps_now_lies_in_every_window(jumps_s: list[float]) -> None:
    clock = HandClock(at("2028-02-29T12:00:00"))
    budgets = windows(clock)
    for jump_s in jumps_s:
        if clock.now() + jump_s < 0:
            continue
        clock.move(jump_s)
        now_ms = int(clock.now() * 1000)
        day, month, total = budgets.of(SERVER, None, "chat")

        for each in (day, month):
            assert each.ends_at_ms is not None
            assert each.window.starts_at_ms <= now_ms < each.ends_at_ms
        moment = datetime.fromtimestamp(now_ms / 1000, UTC)
        assert day.window.starts_at_ms == ms(moment.strftime("%Y-%m-%d"))
        assert month.window.starts_at_ms == ms(moment.strftime("%Y-%m-01"))
        assert total.window == Window("app", "total", 0)
