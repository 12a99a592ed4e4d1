"""Limits: whom each counts, what a request takes of it, what is settled, and what people are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import msgspec
import pytest

from frontdesk.core.config import Config, parse_config
from frontdesk.core.errors import RateLimited
from frontdesk.limits.counters import Counters, Denied, Left, Take, Taken
from frontdesk.limits.in_process import InProcessCounters
from frontdesk.policies import limits as limits_module
from frontdesk.policies.limits import Limits
from frontdesk.turn.events import Usage
from frontdesk.turn.items import Prompt
from frontdesk.turn.sizes import measure
from frontdesk.turn.turn import Attempt, Caller, Turn
from tests.fakes import HandClock, make_turn

BASE = "providers: {p: {kind: scripted}}\nmodels: {fast: {route: [p/echo]}}\nfeatures: {chat: {}, drafts: {}}\n"
PERSON = Caller("user", "sess_1", "u1", "free")
SERVER = Caller("server", "key_1")
MIDNIGHT_S = 57_600  # from the clock's moment


class Desk:
    """Limits of a configuration, a clock, and turns that ask."""

    def __init__(self, settings: str, counters: Counters | None = None) -> None:
        self.clock = HandClock()
        default = "\ndefault_tier: free" if "tiers:" in settings else ""
        self.config: Config = parse_config(f"{BASE}{settings}{default}", {})
        self.limits = Limits(self.config, counters or InProcessCounters(self.clock), self.clock)

    def turn(
        self,
        caller: Caller = PERSON,
        *,
        feature: str = "chat",
        address: str = "192.0.2.1",
        text: str = "hello",
        **request: Any,
    ) -> Turn:
        turn = make_turn(self.clock, caller=caller, text=text)
        turn.request = msgspec.structs.replace(turn.request, **request)
        turn.feature, turn.address = feature, address
        return turn

    def ask(self, caller: Caller = PERSON, **asked: Any) -> Turn:
        """A turn that must pass."""
        turn = self.turn(caller, **asked)
        assert self.limits.admit(turn) is None
        return turn

    def refusal(self, caller: Caller = PERSON, **asked: Any) -> RateLimited:
        """The error of a turn that must not."""
        with pytest.raises(RateLimited) as caught:
            self.limits.admit(self.turn(caller, **asked))
        return caught.value

    def answered(self, turn: Turn, tokens: int) -> None:
        """End a turn that used so many tokens."""
        attempt = Attempt("p", "echo", self.clock.now())
        attempt.status = "completed"
        attempt.usage = Usage(input_tokens=tokens // 2, output_tokens=tokens - tokens // 2)
        turn.attempts = [attempt]
        turn.status = "completed"
        self.limits.settle(turn)

    async def left(self, caller: Caller = PERSON) -> dict[str, int]:
        return {
            f"{each['kind']}/{each['per']}": each["remaining"]  # type: ignore[misc]
            for each in await self.limits.standing(caller)
        }


def headers_of(turn: Turn) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in turn.headers}


# --- whom a limit counts ------------------------------------------------------------------------


def test_each_person_has_the_limits_of_their_tier() -> None:
    desk = Desk("tiers: {free: {requests_per_minute: 2}, paid: {}}")
    for _ in range(2):
        desk.ask()

    desk.refusal()
    desk.refusal(Caller("user", "sess_2", "u1", None))
    desk.ask(Caller("user", "sess_3", "u2", "free"))
    desk.ask(Caller("user", "sess_4", "u1", "free", tenant="another"))
    for _ in range(5):
        desk.ask(Caller("user", "sess_5", "u3", "paid"))
        desk.ask(SERVER)


SAME = Caller("user", "sess_2", "u2", "free", groups=("org",))


@pytest.mark.parametrize(
    ("scope", "first", "same", "other"),
    [
        ("app", {}, {"caller": SERVER, "address": "198.51.100.9", "feature": "drafts"}, None),
        ("address", {}, {"caller": SERVER}, {"address": "192.0.2.2"}),
        ("address", {"address": "2001:db8::1"}, {"address": "2001:db8::2"}, {"address": "2001:db8:0:1::1"}),
        ("feature:chat", {}, {"caller": SERVER}, {"feature": "drafts"}),
        ("tier:free", {}, {"caller": SAME}, {"caller": Caller("user", "s", "u3", "paid")}),
        ("group:org", {"caller": SAME}, {"caller": Caller("user", "s", "u9", "paid", groups=("a", "org"))}, {}),
        ("user:u1", {}, {"caller": Caller("user", "s", "u1", "paid")}, {"caller": SAME}),
    ],
)
def test_a_scope_counts_all_that_it_names_and_nobody_else(
    scope: str, first: dict[str, Any], same: dict[str, Any], other: dict[str, Any] | None
) -> None:
    desk = Desk(f"tiers: {{free: {{}}, paid: {{}}}}\nrate_limits: [{{scope: '{scope}', requests_per_minute: 1}}]")
    desk.ask(**first)

    desk.refusal(**same)
    if other is not None:
        desk.ask(**other)


@pytest.mark.parametrize("scope", ["tier:free", "group:org", "user:u1"])
def test_secret_keys_fall_under_no_limit_of_people(scope: str) -> None:
    desk = Desk(f"tiers: {{free: {{}}}}\nrate_limits: [{{scope: '{scope}', concurrent: 1}}]")

    for _ in range(3):
        desk.ask(Caller("server", "key_1", "u1", "free", groups=("org",)))


def test_without_limits_nothing_is_measured_or_told() -> None:
    desk = Desk("tiers: {free: {}}")

    turn = desk.ask()

    assert (turn.size, turn.headers) == (None, [])
    desk.limits.settle(turn)


# --- what a request takes -----------------------------------------------------------------------


async def test_tokens_are_those_of_the_request_and_the_most_of_each_answer() -> None:
    desk = Desk("tiers: {free: {tokens_per_minute: 100000, tokens_per_day: 50000}}")
    size = measure(Prompt([]))

    turn = desk.ask(text="word " * 600, max_output_tokens=1000, choices=2)

    assert turn.size is not None
    taken = turn.size.estimate + 2000
    assert taken > 2000 + size.estimate
    assert await desk.left() == {"tokens/minute": 100_000 - taken, "tokens/day": 50_000 - taken}


async def test_an_estimate_larger_than_the_limit_counts_as_the_whole_limit() -> None:
    desk = Desk("tiers: {free: {tokens_per_minute: 1000}}")

    desk.ask(max_output_tokens=1_000_000)

    assert await desk.left() == {"tokens/minute": 0}
    assert desk.refusal(max_output_tokens=1_000_000).retry_after_s == pytest.approx(60)


def test_streams_count_by_themselves_and_among_all() -> None:
    desk = Desk("tiers: {free: {concurrent: 3, concurrent_streams: 1}}")
    stream = desk.ask(stream=True)

    assert "1 streamed answer under way" in desk.refusal(stream=True).message
    desk.ask(stream=False)
    desk.ask(stream=False)
    assert "3 answers under way" in desk.refusal(stream=False).message
    desk.answered(stream, 10)
    desk.ask(stream=True)


# --- what is settled ----------------------------------------------------------------------------


async def test_tokens_are_settled_with_those_that_were_used() -> None:
    desk = Desk("tiers: {free: {requests_per_minute: 5, tokens_per_minute: 9000, tokens_per_day: 9000, concurrent: 2}}")
    turn = desk.ask(max_output_tokens=5000)

    desk.answered(turn, 300)

    assert await desk.left() == {
        "requests/minute": 4,
        "tokens/minute": 8700,
        "tokens/day": 8700,
        "concurrent/None": 2,
    }


async def test_all_attempts_count() -> None:
    desk = Desk("tiers: {free: {tokens_per_day: 9000}}")
    turn = desk.ask()
    failed = Attempt("p", "echo", desk.clock.now())
    failed.status, failed.usage = "failed", Usage(input_tokens=100, output_tokens=7)
    desk.answered(turn, 50)
    assert await desk.left() == {"tokens/day": 8950}

    turn = desk.ask()
    last = Attempt("p", "other", desk.clock.now())
    last.status, last.usage = "completed", Usage(input_tokens=40, output_tokens=10)
    turn.attempts, turn.status = [failed, last], "completed"
    desk.limits.settle(turn)

    assert await desk.left() == {"tokens/day": 8950 - 107 - 50}


@pytest.mark.parametrize("status", ["refused", "failed"])
async def test_who_was_turned_away_before_any_provider_was_asked_used_nothing(status: Any) -> None:
    desk = Desk("tiers: {free: {requests_per_minute: 1, tokens_per_minute: 10, tokens_per_day: 10, concurrent: 1}}")
    for _ in range(50):
        turn = desk.ask(text="as much as there is " * 10)
        turn.status = status
        desk.limits.settle(turn)

    assert await desk.left() == {
        "requests/minute": 1,
        "tokens/minute": 10,
        "tokens/day": 10,
        "concurrent/None": 1,
    }


async def test_who_left_before_any_provider_was_asked_used_a_request_and_no_tokens() -> None:
    desk = Desk("tiers: {free: {requests_per_minute: 2, tokens_per_minute: 1000, concurrent: 1}}")
    turn = desk.ask()
    turn.status = "abandoned"

    desk.limits.settle(turn)

    assert await desk.left() == {"requests/minute": 1, "tokens/minute": 1000, "concurrent/None": 1}


async def test_a_refusal_by_one_limit_uses_nothing_of_the_others() -> None:
    desk = Desk(
        "tiers: {free: {requests_per_minute: 9, tokens_per_minute: 9000, concurrent: 9}}\n"
        "rate_limits: [{scope: app, concurrent: 1}]"
    )
    desk.ask(SERVER)

    for _ in range(20):
        desk.refusal()

    assert await desk.left() == {"requests/minute": 9, "tokens/minute": 9000, "concurrent/None": 9}


# --- what people are told -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tier", "turns", "asked", "words", "wait_s"),
    [
        (
            "requests_per_minute: 20",
            20,
            {},
            "You may send 20 messages a minute, and have. Try again in 3 s.",
            3,
        ),
        (
            "tokens_per_minute: 6000",
            1,
            {"max_output_tokens": 3994},
            (
                "You may use 6,000 tokens a minute. This request is for up to 4,000, and 2,000 are left. "
                "Try again in 20 s, or send a shorter one now."
            ),
            20,
        ),
        (
            "tokens_per_day: 6000",
            1,
            {"max_output_tokens": 5994},
            (
                "You may use 6,000 tokens a day. This request is for up to 6,000, and 0 are left. "
                "Try again at 00:00 UTC, in 16 h 0 min."
            ),
            MIDNIGHT_S,
        ),
        (
            "concurrent: 2",
            2,
            {},
            "You have 2 answers under way, as many as you may. Wait until one has ended, or stop one.",
            1,
        ),
        (
            "concurrent_streams: 1",
            1,
            {"stream": True},
            "You have 1 streamed answer under way, as many as you may. Wait until it has ended, or stop it.",
            1,
        ),
    ],
)
def test_a_refusal_says_which_limit_how_much_when_again_and_what_still_works(
    tier: str, turns: int, asked: dict[str, Any], words: str, wait_s: float
) -> None:
    desk = Desk(f"tiers: {{free: {{{tier}}}}}")
    for _ in range(turns):
        desk.ask(**asked)

    refusal = desk.refusal(**asked)

    assert refusal.message == words
    assert (refusal.status, refusal.code) == (429, "rate_limit_exceeded")
    assert refusal.retry_after_s == pytest.approx(wait_s)
    assert refusal.should_retry is (False if wait_s > 60 else None)


@pytest.mark.parametrize(
    ("scope", "limit", "words"),
    [
        ("app", "requests_per_minute: 1", "This app has had as many messages a minute as it may. Try again in 60 s."),
        (
            "feature:chat",
            "tokens_per_day: 10",
            (
                "The feature 'chat' has fewer tokens left for this day than this request is for. Try again at "
                "00:00 UTC, in 16 h 0 min, or send a shorter one. Other features work."
            ),
        ),
        ("address", "concurrent: 1", "Your network has as many answers under way as it may. Try again in a moment."),
        (
            "group:org",
            "concurrent_streams: 1",
            "Your group 'org' has as many streamed answers under way as it may. Try again in a moment.",
        ),
        (
            "tier:free",
            "tokens_per_minute: 10",
            (
                "The tier 'free' has fewer tokens left for this minute than this request is for. Try again in 60 s, "
                "or send a shorter one."
            ),
        ),
    ],
)
def test_of_limits_that_are_shared_nobody_learns_what_others_use(scope: str, limit: str, words: str) -> None:
    desk = Desk(f"tiers: {{free: {{}}}}\nrate_limits: [{{scope: '{scope}', {limit}}}]")
    turn = desk.ask(SAME, text="a dozen words and more " * 5, stream=True)

    refused = desk.turn(SAME, text="a dozen words and more " * 5, stream=True)
    with pytest.raises(RateLimited) as caught:
        desk.limits.admit(refused)

    assert caught.value.message == words
    assert turn.headers == refused.headers == []


def test_headers_tell_of_the_tightest_limit_of_each_kind() -> None:
    desk = Desk(
        "tiers: {free: {requests_per_minute: 20, tokens_per_minute: 60000, tokens_per_day: 1000, concurrent: 2}}\n"
        "rate_limits: [{scope: 'user:u1', requests_per_minute: 60}, {scope: app, requests_per_minute: 1000}]"
    )

    turn = desk.ask(max_output_tokens=94)

    assert headers_of(turn) == {
        "x-ratelimit-limit-requests": "20",
        "x-ratelimit-remaining-requests": "19",
        "x-ratelimit-reset-requests": "3s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "900",
        "x-ratelimit-reset-tokens": "16h0m0s",
    }


def test_a_refusal_has_the_headers_too() -> None:
    desk = Desk("tiers: {free: {requests_per_minute: 2}}")
    for _ in range(2):
        desk.ask()

    refused = desk.turn()
    with pytest.raises(RateLimited):
        desk.limits.admit(refused)

    assert headers_of(refused) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
    }


def test_a_secret_key_is_told_of_the_limits_that_it_falls_under() -> None:
    desk = Desk("rate_limits: [{scope: app, requests_per_minute: 1000}, {scope: address, requests_per_minute: 10}]")

    assert headers_of(desk.ask(SERVER))["x-ratelimit-limit-requests"] == "10"


async def test_people_see_how_their_own_limits_stand() -> None:
    desk = Desk(
        "tiers: {free: {requests_per_minute: 20, tokens_per_day: 5000, concurrent: 2}}\n"
        "rate_limits: [{scope: 'user:u1', concurrent_streams: 1}, {scope: app, concurrent: 9}]"
    )
    desk.ask(stream=True, max_output_tokens=994)

    now = desk.clock.now()
    assert await desk.limits.standing(PERSON) == [
        {"kind": "requests", "per": "minute", "limit": 20, "remaining": 19, "resets_at": now + 3},
        {"kind": "tokens", "per": "day", "limit": 5000, "remaining": 4000, "resets_at": now + MIDNIGHT_S},
        {"kind": "concurrent", "per": None, "limit": 2, "remaining": 1, "resets_at": None},
        {"kind": "concurrent_streams", "per": None, "limit": 1, "remaining": 0, "resets_at": None},
    ]
    assert await desk.limits.standing(SERVER) == []


# --- counters that must be waited for -----------------------------------------------------------


class SlowCounters:
    """Answers a moment later, as those in Valkey."""

    sharing = "shared"

    def __init__(self, clock: HandClock) -> None:
        self._counters = InProcessCounters(clock)

    def take(self, takes: Sequence[Take], holder: str) -> Awaitable[Taken | Denied]:
        return self._later(self._counters.take(takes, holder))

    def settle(self, taken: Taken, used: Sequence[int]) -> None:
        self._counters.settle(taken, used)

    def look(self, takes: Sequence[Take]) -> Awaitable[list[Left]]:
        return self._later(self._counters.look(takes))

    async def close(self) -> None:
        """Nothing is open."""

    async def _later(self, outcome: Any) -> Any:
        await asyncio.sleep(0)
        return outcome


async def test_counters_that_must_be_waited_for_do_the_same() -> None:
    desk = Desk("tiers: {free: {requests_per_minute: 2}}", SlowCounters(HandClock()))  # type: ignore[arg-type]
    turns = [desk.turn() for _ in range(3)]

    for turn in turns[:2]:
        waiting = desk.limits.admit(turn)
        assert waiting is not None
        await waiting
    waiting = desk.limits.admit(turns[2])
    assert waiting is not None
    with pytest.raises(RateLimited, match=r"^You may send 2 messages a minute, and have\."):
        await waiting

    assert headers_of(turns[1])["x-ratelimit-remaining-requests"] == "0"
    assert await desk.left() == {"requests/minute": 0}
    turns[0].status = "refused"
    desk.limits.settle(turns[0])
    assert await desk.left() == {"requests/minute": 1}


def test_what_requests_need_is_found_once_and_forgotten_where_addresses_never_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits_module, "_MOST_KEPT", 10)
    desk = Desk("rate_limits: [{scope: address, requests_per_minute: 1}]")

    for number in range(50):
        desk.ask(address=f"192.0.2.{number}")
        assert len(desk.limits._needs) <= 10
    for number in range(50):
        desk.refusal(address=f"192.0.2.{number}")
