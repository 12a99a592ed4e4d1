"""Limits, budgets, prices and alerts: what cannot be meant is told, all of it at once, and no secret with it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.core.config import Budget, Config, PersonBudget, Price, PriceChange, parse_config
from frontdesk.core.config.money import LIMIT_FIELDS, budgets_of
from tests.core.config.problems import problems_of

BASE = """\
providers: {openai: {kind: openai, api_key: k}, local: {kind: local, model: smollm2-135m}}
models: {fast: {route: [openai/gpt-5-mini, local/smollm2-135m]}}
features: {chat: {}, summaries: {}}
tiers: {free: {}, premium: {}}
default_tier: free
"""


def parsed(text: str) -> Config:
    """The configuration of some settings beside the base."""
    return parse_config(BASE + text, {})


def told(text: str, variables: dict[str, str] | None = None) -> list[str]:
    """What is wrong with some settings beside the base, with their own lines."""
    first = BASE.count("\n")
    problems = [each.removeprefix("line ").split(": ", 1) for each in problems_of(BASE + text, variables)]
    return [f"{int(line) - first}: {words}" for line, words in problems]


def told_of_tier(settings: str) -> list[str]:
    """What is wrong with a tier's settings."""
    text = BASE.replace("free: {}", f"free: {settings}")
    return [each.removeprefix("line 4: tiers.free.") for each in problems_of(text)]


# --- limits -----------------------------------------------------------------------------------------


def test_every_limit_of_a_tier_and_of_a_scope() -> None:
    limits = dict.fromkeys(LIMIT_FIELDS, 7)
    config = parse_config(
        BASE.replace("free: {}", f"free: {limits}") + f"rate_limits: [{ {**limits, 'scope': 'address'} }]", {}
    )

    for each in (config.tiers["free"], config.rate_limits[0]):
        assert [getattr(each, field) for field in LIMIT_FIELDS] == [7] * 5


@pytest.mark.parametrize("field", LIMIT_FIELDS)
@settings(max_examples=25)
@given(value=st.integers(-(10**14), 0) | st.integers(10**12 + 1, 10**14))
def test_a_limit_is_one_or_more(field: str, value: int) -> None:
    (first, second) = problems_of(
        BASE.replace("free: {}", f"free: {{{field}: {value}}}") + f"rate_limits: [{{scope: app, {field}: {value}}}]"
    )

    assert first.startswith(f"line 4: tiers.free.{field} is {value}. It must be from 1 to 1000000")
    assert second.startswith(f"line 6: rate_limits[0].{field} is {value}. It must be from 1 to 1000000")


def test_what_is_wrong_with_rate_limits() -> None:
    assert told(
        "rate_limits:\n"
        "  - {scope: app}\n"
        "  - {scope: 'tier:fre', concurrent: 1}\n"
        "  - {scope: address, concurrent: 1}\n"
        "  - {scope: address, requests_per_minute: 1}\n"
        "  - {scope: adress, concurrent: 1}\n"
    ) == [
        f"2: rate_limits[0] limits nothing. Write one of: {', '.join(LIMIT_FIELDS)}.",
        "3: rate_limits[1].scope names 'fre', which is not configured. Did you mean 'free'?",
        "5: rate_limits[3] has the scope 'address', as rate_limits[2] has. Write one with the limits of both.",
        (
            "6: rate_limits[4].scope is 'adress'. It must be one of app, address, tier:NAME, feature:NAME, "
            "group:NAME, user:NAME. Did you mean 'address'?"
        ),
    ]


def test_a_limit_that_cannot_be_read_is_not_told_to_limit_nothing() -> None:
    assert told("rate_limits:\n  - {scope: app, concurrent: many}") == [
        "2: rate_limits[0].concurrent is 'many'. It must be an integer."
    ]


# --- scopes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope", ["app", "tier:free", "feature:summaries", "group:acme", "user:u1", "user:anon_1:2", "group:Ä ö"]
)
def test_what_a_budget_may_count(scope: str) -> None:
    assert parsed(f"budgets: [{{scope: '{scope}', usd: 1}}]").budgets == [Budget(scope=scope, usd=1)]


SCOPES = "It must be one of app, tier:NAME, feature:NAME, group:NAME, user:NAME."


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("tier:gratis", "names 'gratis', which is not configured. Known: free, premium."),
        ("feature:sumaries", "names 'sumaries', which is not configured. Did you mean 'summaries'?"),
        ("address", f"is 'address'. {SCOPES}"),
        ("app:x", f"is 'app:x'. {SCOPES}"),
        ("tier", f"is 'tier'. {SCOPES}"),
        ("free", f"is 'free'. {SCOPES}"),
        ("users:u1", f"is 'users:u1'. {SCOPES} Did you mean 'user'?"),
        ("", f"is ''. {SCOPES}"),
        ("user:", "has the name ''. It needs 1 to 200 printable characters."),
        ("group: ", "has the name ' '. It needs 1 to 200 printable characters."),
        ("group: acme", "has the name ' acme', with a blank at its edge. Write it without."),
        ("user:u1 ", "has the name 'u1 ', with a blank at its edge. Write it without."),
        ("user:" + "x" * 201, f"has the name {'x' * 200!r}. It needs 1 to 200 printable characters."),
    ],
)
def test_a_scope_that_counts_nobody(scope: str, words: str) -> None:
    assert told(f"budgets:\n  - {{scope: '{scope}', usd: 1}}") == [f"2: budgets[0].scope {words}"]


# --- budgets ----------------------------------------------------------------------------------------


def test_a_tier_has_one_budget_or_one_for_each_period() -> None:
    config = parse_config(
        BASE.replace("free: {}", "free: {budget: {usd: 0.05}}").replace(
            "premium: {}",
            "premium: {budget: [{usd: 2, degrade_at: [0.8, 0.95], when_spent: free}, {usd: 9, per: total}]}",
        ),
        {},
    )

    assert budgets_of(config.tiers["free"]) == [PersonBudget(usd=0.05, per="day", when_spent="refuse")]
    assert budgets_of(config.tiers["premium"]) == [
        PersonBudget(usd=2, per="day", degrade_at=[0.8, 0.95], when_spent="free"),
        PersonBudget(usd=9, per="total"),
    ]
    assert budgets_of(parsed("").tiers["free"]) == []


@pytest.mark.parametrize("usd", ["0", "0.000001", "1e-6", "1000000000"])
def test_amounts_that_can_be_counted(usd: str) -> None:
    assert parsed(f"budgets: [{{scope: app, usd: {usd}}}]").budgets[0].usd == float(usd)


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        ("-1", "is -1. It must be from 0 to 1000000000."),
        (".nan", "is nan. It must be from 0 to 1000000000."),
        (".inf", "is inf. It must be from 0 to 1000000000."),
        ("0.0000001", "is 1e-07, less than a millionth of a dollar, the least that is counted. Write 0 for nothing"),
    ],
)
def test_amounts_that_cannot(usd: str, words: str) -> None:
    (of_app,) = told(f"budgets: [{{scope: app, usd: {usd}}}]")
    (of_tier,) = told_of_tier(f"{{budget: {{usd: {usd}}}}}")
    (of_list,) = told_of_tier(f"{{budget: [{{usd: {usd}}}]}}")

    assert of_app.startswith(f"1: budgets[0].usd {words}")
    assert of_tier.startswith(f"budget.usd {words}")
    assert of_list.startswith(f"budget[0].usd {words}")


@pytest.mark.parametrize(
    ("fractions", "words"),
    [
        ("degrade_at: [0.5, 1]", ["degrade_at[1] is 1. It must be above 0 and below 1: a part of usd."]),
        ("degrade_at: [0]", ["degrade_at[0] is 0. It must be above 0 and below 1: a part of usd."]),
        ("degrade_at: [.nan]", ["degrade_at[0] is nan. It must be above 0 and below 1: a part of usd."]),
        ("alert_at: [-0.5]", ["alert_at[0] is -0.5. It must be above 0 and at most 1: a part of usd."]),
        (
            "alert_at: [1.01]",
            ["alert_at[0] is 1.01. It must be above 0 and at most 1: a part of usd."],
        ),
        (
            "alert_at: [50, 80]",
            [
                "alert_at[0] is 50. It must be above 0 and at most 1: a part of usd. Did you mean 0.5?",
                "alert_at[1] is 80. It must be above 0 and at most 1: a part of usd. Did you mean 0.8?",
            ],
        ),
        ("degrade_at: 0.8", ["degrade_at is 0.8. It must be a list of numbers. Write [0.8]."]),
        ("alert_at: half", ["alert_at is 'half'. It must be a list of numbers."]),
        ("degrade_at: [0.9, 0.8]", ["degrade_at has 0.8 after 0.9. Write them rising, each once."]),
        ("alert_at: [0.5, 0.5, 1]", ["alert_at has 0.5 after 0.5. Write them rising, each once."]),
    ],
)
def test_fractions_that_cannot_be(fractions: str, words: list[str]) -> None:
    assert told(f"budgets: [{{scope: app, usd: 1, {fractions}}}]") == [f"1: budgets[0].{each}" for each in words]


@settings(max_examples=25)
@given(st.sets(st.floats(0, 1, exclude_min=True), max_size=6).map(sorted), st.booleans())
def test_rising_fractions_are_taken(fractions: list[float], is_alert: bool) -> None:
    if not is_alert:
        fractions = [each for each in fractions if each < 1]
    field = "alert_at" if is_alert else "degrade_at"
    text = yaml.safe_dump({"budgets": [{"scope": "app", "usd": 1, field: fractions}]})

    assert getattr(parsed(text).budgets[0], field) == fractions


def test_two_budgets_of_one_scope_and_period_are_one_too_many() -> None:
    text = (
        "budgets:\n"
        "  - {scope: app, usd: 1}\n"
        "  - {scope: app, usd: 1, per: month}\n"
        "  - {scope: 'user:u', usd: 1}\n"
        "  - {scope: app, usd: 2}\n"
    )

    assert told(text) == ["5: budgets[3] is a budget of 'app' per day, as budgets[0] is. Keep one."]
    assert told_of_tier("{budget: [{usd: 1}, {usd: 2, per: month}, {usd: 3, per: day}]}") == [
        "budget[2] is a budget per day, as tiers.free.budget[0] is. Keep one."
    ]


def test_a_list_without_a_budget_is_told() -> None:
    assert told_of_tier("{budget: []}") == [
        "budget is empty, and would be no limit. Write a budget, or remove the key."
    ]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert told(
        "budgets:\n"
        "  - {scope: nobody, usd: -1, degrade_at: [2], per: day}\n"
        "  - {scope: app, usd: {}, when_spent: stop}\n"
        "  - {scope: app, usd: 1, alert_at: [high]}\n"
        "prices:\n"
        "  gpt-5: {input: .nan}\n"
        "alerts: {webhook: 'http://a.example'}\n"
    ) == [
        f"2: budgets[0].scope is 'nobody'. {SCOPES}",
        "2: budgets[0].usd is -1. It must be from 0 to 1000000000.",
        "2: budgets[0].degrade_at[0] is 2. It must be above 0 and below 1: a part of usd.",
        "3: budgets[1].usd is a mapping. It must be a number.",
        "3: budgets[1].when_spent is 'stop'. It must be one of free, refuse.",
        "4: budgets[2].alert_at[0] is 'high'. It must be a number.",
        "4: budgets[2] is a budget of 'app' per day, as budgets[1] is. Keep one.",
        "6: prices has 'gpt-5'. Write it as 'provider/model', or 'provider/*' for all other models of a provider.",
        "6: prices.gpt-5.input is nan. It must be from 0 to 100000, in US dollars for a million tokens.",
        "7: alerts.webhook is 'http://a.example/…'. Amounts are told by https; http is for this machine alone.",
        "7: alerts.secret is missing: by it the webhook knows that a call is ours. " + REMEDY,
    ]


# --- prices -----------------------------------------------------------------------------------------


def test_prices_and_their_changes() -> None:
    config = parsed(
        "prices:\n"
        "  openai/gpt-5-mini:\n"
        "    input: 0.25\n"
        "    output: 2\n"
        "    cached: 0.025\n"
        "    changes:\n"
        "      - {from: 2026-12-01, input: 0.2, output: 1.5}\n"
        "      - {from: '2027-02-28', input: 0.1, request: 0.01}\n"
        "  openai/*: {input: 5}\n"
        "  openai/meta/llama-3: {input: 0}\n"
    )

    assert config.prices == {
        "openai/gpt-5-mini": Price(
            input=0.25,
            output=2,
            cached=0.025,
            changes=[
                PriceChange(since="2026-12-01", input=0.2, output=1.5),
                PriceChange(since="2027-02-28", input=0.1, request=0.01),
            ],
        ),
        "openai/*": Price(input=5),
        "openai/meta/llama-3": Price(input=0),
    }


@pytest.mark.parametrize(
    ("price", "words"),
    [
        ("opnai/gpt-5: {input: 1}", "prices names 'opnai', which is not configured. Did you mean 'openai'?"),
        ("/gpt-5: {input: 1}", "prices names '', which is not configured. Known: openai, local."),
        ("openai/: {input: 1}", "prices has 'openai/'. Write it as 'provider/model', or 'provider/*' for all other"),
        (
            "openai/x: {input: -0.1}",
            "prices.openai/x.input is -0.1. It must be from 0 to 100000, in US dollars for a mil",
        ),
        ("openai/x: {input: 1, tool: 100001}", "prices.openai/x.tool is 100001. It must be from 0 to 100000, in US"),
        (
            "openai/x: {input: 1, request: .inf}",
            "prices.openai/x.request is inf. It must be from 0 to 10000, in US doll",
        ),
        (
            "openai/x: {output: 1}",
            "prices.openai/x.input is missing. Write what a million tokens cost, or 0; or what is paid: audio_minute,",
        ),
        ("openai/x: {input: 1, changes: [{from: 2026-12-01}]}", "prices.openai/x.changes[0].input is missing."),
        ("openai/x: {input: 1, changes: [{input: 1}]}", "prices.openai/x.changes[0].from is missing."),
        (
            "openai/x: {input: 1, changes: [{from: 2026-02-29, input: 1}]}",
            "prices.openai/x.changes[0].from is '2026-02-29', which is no day. Write it as 2026-12-01.",
        ),
        (
            "openai/x: {input: 1, changes: [{from: 20261201, input: 1}]}",
            "prices.openai/x.changes[0].from is '20261201', which is no day. Write it as 2026-12-01.",
        ),
        (
            "openai/x: {input: 1, changes: [{from: 2026-12-01, input: 1}, {from: 2026-12-01, input: 2}]}",
            (
                "prices.openai/x.changes[1].from is 2026-12-01, not after the change before it, of 2026-12-01. "
                "Write them in the order of their days."
            ),
        ),
        (
            "openai/x: {input: 1, changes: [{from: 2026-12-01, input: 200000}]}",
            "prices.openai/x.changes[0].input is 200000. It must be from 0 to 100000, in US dollars for a million",
        ),
    ],
)
def test_prices_that_cannot_be(price: str, words: str) -> None:
    (problem,) = told(f"prices:\n  {price}")

    assert problem.startswith(f"2: {words}")


RATES = [name for name in Price.__struct_fields__ if name != "changes"]
UNITS = {
    "request": (10_000, "a call"),
    "audio_minute": (10_000, "a minute of sound"),
    "character": (100_000, "a million characters"),
    "image": (10_000, "a picture"),
}


@settings(max_examples=25)
@given(
    st.sampled_from(RATES),
    st.floats(allow_nan=True, allow_infinity=True).filter(lambda usd: not 0 <= usd <= 10_000 or math.isnan(usd)),
)
def test_no_rate_is_negative_endless_or_a_slip(name: str, usd: float) -> None:
    most, unit = UNITS.get(name, (100_000, "a million tokens"))
    price: dict[str, Any] = {"input": 1.0, name: usd}
    text = "prices: " + yaml.safe_dump({"openai/x": price}, default_flow_style=True, width=1000)
    if usd <= most and usd >= 0:
        assert parsed(text).prices["openai/x"]
    else:
        assert told(text) == [
            f"1: prices.openai/x.{name} is {usd:g}. It must be from 0 to {most}, in US dollars for {unit}."
        ]


# --- Valkey, alerts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "valkey://127.0.0.1:6379/0",
        "valkeys://u:p%2Fw@cache.example:6380",
        "redis://:p@[::1]/15",
        "rediss://cache.example/?ssl_cert_reqs=required",
        "unix:///run/valkey.sock?db=1",
        "unix://u:p@/run/valkey.sock",
    ],
)
def test_where_valkey_can_be_reached(url: str) -> None:
    assert parse_config('valkey: "${V}"', {"V": url}).valkey == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://u:hidden@h", "is of the unknown kind 'http'. Use valkey://host:6379/0, "),
        ("hidden:6379", "is no address. Use valkey://host:6379/0, "),
        ("", "is no address. Use valkey://host:6379/0, "),
        ("valkey://", "has a host or a port that cannot be. "),
        ("valkey://u:hidden@h:99999", "has a host or a port that cannot be. "),
        ("valkey://u:hid/den@h:6379/0", "has a password with a '/', '?' or '#'. Write these as %2F, %3F, %23."),
        ("valkey://u:hidden@h:6379/first", "has a path that is no number of a database. "),
        ("unix://run/hidden.sock", "names no socket. Use unix:///path."),
        ("unix://", "names no socket. Use "),
    ],
)
def test_where_it_cannot(url: str, words: str) -> None:
    (problem,) = problems_of('valkey: "${V}"', {"V": url})

    assert problem.startswith(f"line 1: valkey {words}")
    assert "hid" not in problem


REMEDY = "Write 'whsec_' and 24 random bytes or more in base64, or any 24 characters; `${NAME}`, not the secret."
GOOD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    "url", ["https://hooks.example/services/T0/B0", "http://127.0.0.1:9/x?y=1", "http://[::1]:9", "http://localhost/"]
)
def test_a_webhook_and_its_secret(url: str) -> None:
    config = parse_config('alerts: {webhook: "${U}", secret: "${S}"}', {"U": url, "S": f" {GOOD_SECRET}\n"})

    assert (config.alerts.webhook, config.alerts.secret) == (url, GOOD_SECRET)


def test_an_empty_webhook_is_none() -> None:
    config = parse_config('alerts: {webhook: "${U:-}", secret: "${S:-}"}', {})

    assert (config.alerts.webhook, config.alerts.secret) == (None, None)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "http://hooks.example/hidden",
            "is 'http://hooks.example/…'. Amounts are told by https; http is for this mach",
        ),
        ("https://hidden@hooks.example/", "has a user, which is not sent. Calls are signed with alerts.secret; "),
        ("https://hooks.example/hidden#x", "has a '#', which is sent to no server."),
        ("hooks.example/hidden", "is no address that can be called. Write it as https://host/path."),
        ("ftp://hooks.example/hidden", "is no address that can be called. Write it as https://host/path."),
        ("https:///hidden", "is no address that can be called. Write it as https://host/path."),
        ("https://hooks.example:0/hidden", "is no address that can be called. Write it as https://host/path."),
    ],
)
def test_a_webhook_that_cannot_be(url: str, words: str) -> None:
    (problem,) = problems_of(f"alerts: {{webhook: '{url}', secret: {GOOD_SECRET}}}")

    assert problem.startswith(f"line 1: alerts.webhook {words}")
    assert "hidden" not in problem


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("hidden-and-short", "alerts.secret has 16 characters, where 24 are the least. "),
        ("whsec_hidden!", "alerts.secret has no base64 behind 'whsec_'. "),
        ("", "alerts.secret is missing: by it the webhook knows that a call is ours. "),
    ],
)
def test_a_secret_that_proves_nothing(secret: str, words: str) -> None:
    assert problems_of(f"alerts: {{webhook: 'https://h.example', secret: '{secret}'}}") == [f"line 1: {words}{REMEDY}"]
