"""What may be meant otherwise of money: told with its place and remedy, and nothing told of a careful configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontdesk.checking.prices import route_prices
from frontdesk.checking.settings import read_settings
from frontdesk.checking.spending import doubts_about_money
from frontdesk.core.config.problems import spelled
from frontdesk.prices.book import PriceBook
from frontdesk.prices.snapshot import Snapshot
from tests.checking.loaded import settings_of

NOW = 1_800_000_000.0  # 2027-01-15
CAREFUL = """\
providers:
  up: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1"}
  s: {kind: scripted}
models:
  best: {route: [up/large, up/small, s/echo]}
  fast: {route: [up/small, s/echo]}
  vectors: {route: [up/e5, s/x], kind: embeddings}
default_model: fast
features:
  chat: {models: [best, fast], max_output_tokens: 800}
  search: {models: [vectors]}
default_feature: chat
tiers:
  free:
    models: [fast, vectors]
    tokens_per_minute: 2000
    tokens_per_day: 20000
    budget: {usd: 0.05, degrade_at: [0.8], when_spent: free}
  premium: {budget: [{usd: 2, when_spent: free}, {usd: 20, per: month}]}
  staff: {}
default_tier: free
rate_limits:
  - {scope: app, tokens_per_minute: 100000}
  - {scope: "feature:search", tokens_per_minute: 500}
budgets:
  - {scope: app, usd: 100, per: month, alert_at: [0.5, 1.0], degrade_at: [0.9], when_spent: free}
  - {scope: "feature:search", usd: 1}
  - {scope: "tier:free", usd: 5, when_spent: free}
prices:
  up/large: {input: 2, output: 10}
  up/small: {input: 0.2, output: 1}
  up/*: {input: 0.02, output: 0}
alerts: {webhook: "https://hooks.example/x", secret: any-24-characters-or-more}
auth: {anonymous: true}
"""


def told(folder: Path, text: str) -> list[str]:
    """The doubts about money of a text, each after its place."""
    settings = settings_of(folder, text)
    book = PriceBook.open(settings.config)
    return [f"{spelled(place)}|{words}" for place, words in doubts_about_money(settings, book, NOW)]


def test_a_careful_configuration_leaves_no_doubt(tmp_path: Path) -> None:
    assert told(tmp_path, CAREFUL) == []


def test_the_development_configuration_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRONTDESK_CONFIG", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    settings = read_settings(None)

    assert list(doubts_about_money(settings, PriceBook.open(settings.config), NOW)) == []


UNKNOWN = f"{Snapshot.read().package} has no provider at its address"


@pytest.mark.parametrize(
    ("old", "new", "doubts"),
    [
        (
            "  up/small: {input: 0.2, output: 1}\n  up/*: {input: 0.02, output: 0}\n",
            "  up/e5: {input: 0.02}\n",
            [
                (
                    f"models.best.route[1]|models.best.route has 'up/small', which has no price ({UNKNOWN}): a budget "
                    "applies to it, so that it is PASSED OVER, and refused where no other route is left. "
                    "Write it: prices: {'up/small': {input: ..., output: ...}}."
                ),
                (
                    f"models.fast.route[0]|models.fast.route has 'up/small', which has no price ({UNKNOWN}): a budget "
                    "applies to it, so that it is PASSED OVER, and refused where no other route is left. "
                    "Write it: prices: {'up/small': {input: ..., output: ...}}."
                ),
            ],
        ),
        (
            "  fast: {route: [up/small, s/echo]}",
            "  fast: {route: [up/small, s/echo]}\n  lone: {route: [up/other]}",
            [
                (
                    "budgets[0].when_spent|budgets[0].when_spent is 'free', but lone has no route that costs nothing. "
                    "Left is best, fast and vectors."
                ),
                (
                    "budgets[0].degrade_at|budgets[0].degrade_at: lone has no cheaper route behind the first, "
                    "so that answers get shorter at once."
                ),
            ],
        ),
        (
            "  fast: {route: [up/small, s/echo]}",
            "  fast: {route: [s/echo, up/small]}",
            [],
        ),
        (
            "    budget: {usd: 0.05, degrade_at: [0.8], when_spent: free}",
            "    budget: {usd: 0, degrade_at: [0.8], when_spent: free}",
            ["tiers.free.budget.usd|tiers.free.budget.usd is 0: nothing may be spent, and degrade_at means nothing."],
        ),
        (
            "usd: 100, per",
            "usd: 0, per",
            [("budgets[0].usd|budgets[0].usd is 0: nothing may be spent, and degrade_at and alert_at mean nothing.")],
        ),
        (
            'alerts: {webhook: "https://hooks.example/x", secret: any-24-characters-or-more}\n',
            "",
            [
                (
                    "budgets[0].alert_at|budgets[0].alert_at: there is no alerts.webhook, "
                    "so that the log alone tells an operator."
                )
            ],
        ),
        (
            "  staff: {}",
            "  staff: {features: [search], models: [fast]}",
            [],
        ),
        (
            "tier:free",
            "tier:staff",
            [],
        ),
        (
            "  search: {models: [vectors]}",
            "  search: {models: [vectors]}\n  closed: {models: [best], max_output_tokens: 5000}",
            [
                (
                    "tiers.free.tokens_per_minute|tiers.free.tokens_per_minute is 2000, less than "
                    "features.closed.max_output_tokens, which is 5000: so long an answer never fits."
                )
            ],
        ),
        (
            "scope: app, tokens_per_minute: 100000",
            "scope: 'feature:chat', tokens_per_day: 799",
            [
                (
                    "rate_limits[0].tokens_per_day|rate_limits[0].tokens_per_day is 799, less than "
                    "features.chat.max_output_tokens, which is 800: so long an answer never fits."
                )
            ],
        ),
        (
            "scope: app, tokens_per_minute: 100000",
            "scope: 'tier:premium', tokens_per_minute: 5",
            [
                (
                    "rate_limits[0].tokens_per_minute|rate_limits[0].tokens_per_minute is 5, less than "
                    "features.chat.max_output_tokens, which is 800: so long an answer never fits."
                )
            ],
        ),
        (
            "  up/large: {input: 2, output: 10}\n",
            "  up/large: {input: 2, output: 10}\n  up/xyz: {input: 2, output: 10}\n  s/*: {input: 0}\n",
            ["prices.up/xyz|prices has 'up/xyz', which is no route of a model."],
        ),
        (
            "  up/large: {input: 2, output: 10}\n",
            (
                "  up/large: {input: 2, changes: [{from: 2026-12-01, input: 1}, "
                "{from: 2027-12-01, input: 2, output: 0}]}\n"
            ),
            [
                "prices.up/large|prices.up/large has no output: what models write would cost nothing. Write it, or 0.",
                (
                    "prices.up/large.changes[0]|prices.up/large.changes[0] has no output: what models write would cost "
                    "nothing. Write it, or 0."
                ),
            ],
        ),
        (
            "  up/large: {input: 2, output: 10}\n",
            "  up/large: {image: 0.01}\n",
            [
                (
                    "prices.up/large|prices.up/large has no input, and it chats: its words would cost nothing. "
                    "Write what they cost, or 0."
                )
            ],
        ),
        (
            "  up/large: {input: 2, output: 10}\n",
            "  up/large: {input: 2, output: 10}\n  'up/large ': {input: 2, output: 10}\n",
            ["prices.up/large |prices has 'up/large ', which is no route of a model. Did you mean 'up/large'?"],
        ),
    ],
)
def test_what_is_doubtful(tmp_path: Path, old: str, new: str, doubts: list[str]) -> None:
    assert CAREFUL.count(old) == 1

    assert told(tmp_path, CAREFUL.replace(old, new)) == doubts


@pytest.mark.parametrize(
    ("kind", "rates"),
    [
        ("embeddings", "{input: ...}"),
        ("transcription", "{audio_minute: ...}"),
        ("speech", "{character: ...}"),
        ("image", "{image: ...}"),
    ],
)
def test_a_price_is_asked_for_in_what_is_paid(tmp_path: Path, kind: str, rates: str) -> None:
    priceless = f"""{{
        providers: {{up: {{kind: openai-compatible, base_url: "http://127.0.0.1:9/v1"}}}},
        models: {{m: {{route: [up/x], kind: {kind}}}}},
    }}"""

    assert any(doubt.endswith(f"Write it: prices: {{'up/x': {rates}}}.") for doubt in told(tmp_path, priceless))


BASE = """\
providers:
  up: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1"}
  s: {kind: scripted}
models: {fast: {route: [up/small]}, free: {route: [s/echo]}}
"""
PRICES = "prices: {up/small: {input: 1, output: 2}}\n"
TIERS = """\
features: {chat: {models: [fast]}, open: {models: [fast, free]}, closed: {models: [free]}}
tiers: {guest: {models: [fast], features: [open, closed]}, none: {features: [closed], models: [fast]}}
default_tier: guest
"""


@pytest.mark.parametrize(
    ("text", "doubts"),
    [
        (
            "",
            [f"models.fast.route[0]|models.fast.route has 'up/small', which has no price ({UNKNOWN}): what it costs "],
        ),
        (
            "budgets: [{scope: app, usd: 1}]\n",
            [
                (
                    f"models.fast.route[0]|models.fast.route has 'up/small', which has no price ({UNKNOWN}): A BUDGET "
                    "APPLIES TO IT, so that every request for 'fast' is REFUSED. Write it: prices: {'up/small': "
                )
            ],
        ),
        (
            PRICES + "budgets: [{scope: 'user:u1', usd: 1, when_spent: free}]\n",
            ["budgets[0].when_spent|budgets[0].when_spent is 'free', but fast has no route that costs nothing. Le"],
        ),
        (
            PRICES + TIERS + "budgets: [{scope: 'tier:guest', usd: 1, when_spent: free}]\n",
            [
                (
                    "budgets[0].when_spent|budgets[0].when_spent is 'free', but fast has no route that costs nothing. "
                    "Nothing is left, as with 'refuse'."
                )
            ],
        ),
        (
            PRICES + TIERS + "budgets: [{scope: 'tier:none', usd: 1}, {scope: 'feature:chat', usd: 1}]\n",
            [
                "budgets[0].scope|budgets[0].scope is 'tier:none', whose people reach no model: it counts nobody.",
                "budgets[1].scope|budgets[1].scope is 'feature:chat', which people cannot use: it counts secret keys",
            ],
        ),
        (
            PRICES + TIERS + "rate_limits: [{scope: 'tier:none', concurrent: 1}]\n",
            ["rate_limits[0].scope|rate_limits[0].scope is 'tier:none', whose people reach no model: it counts"],
        ),
        (
            PRICES + "alerts: {webhook: 'https://h.example', secret: any-24-characters-or-more}\n",
            ["alerts.webhook|alerts.webhook is told nothing: there are no budgets."],
        ),
        (
            PRICES + TIERS + "auth: {anonymous: true}\n",
            ["auth.anonymous|auth.anonymous is on, and no budget holds what anybody may spend on fast. Give the tier"],
        ),
        (PRICES + TIERS + "auth: {anonymous: true}\nbudgets: [{scope: 'feature:open', usd: 1}]\n", []),
        (PRICES + TIERS + "auth: {anonymous: true}\nbudgets: [{scope: app, usd: 1}]\n", []),
        (PRICES + TIERS + "auth: {anonymous: true, anonymous_tier: none}\n", []),
        (
            PRICES + TIERS + "auth: {anonymous: true}\nbudgets: [{scope: 'feature:chat', usd: 1}]\n",
            [
                "auth.anonymous|auth.anonymous is on, and no budget holds",
                "budgets[0].scope|budgets[0].scope is 'feature:chat', which",
            ],
        ),
        (PRICES + TIERS.replace("guest: {", "guest: {budget: {usd: 1}, ") + "auth: {anonymous: true}\n", []),
    ],
)
def test_what_is_doubtful_of_the_whole(tmp_path: Path, text: str, doubts: list[str]) -> None:
    found = sorted(told(tmp_path, BASE + text))

    assert len(found) == len(doubts), found
    assert all(each.startswith(start) for each, start in zip(found, doubts, strict=True)), found


def test_what_routes_cost_now_and_until_when(tmp_path: Path) -> None:
    prices = "prices: {up/small: {input: 1, output: 2.5, changes: [{from: 2027-02-01, input: 0.5}]}}\n"
    book = PriceBook.open(settings_of(tmp_path, BASE + prices).config)

    assert [each.told for each in route_prices(book, NOW)] == [
        "$1 in, $2.5 out (configured, until 2027-02-01)",
        "nothing (scripted)",
    ]
    assert route_prices(book, NOW + 86_400 * 30)[0].told == "$0.5 in, $0 out (configured since 2027-02-01)"
    assert route_prices(PriceBook.open(settings_of(tmp_path, BASE).config), NOW)[0].told == f"no price: {UNKNOWN}"


@pytest.mark.parametrize(
    ("price", "told_"),
    [
        ("{audio_minute: 0.006}", "$0.006 a minute heard (configured)"),
        ("{character: 15}", "$15 a million characters (configured)"),
        ("{input: 5, output: 10, image: 0.04}", "$5 in, $10 out, $0.04 a picture (configured)"),
        ("{request: 0.001}", "$0.001 a call (configured)"),
    ],
)
def test_what_is_not_paid_by_tokens_is_told_by_what_it_is(tmp_path: Path, price: str, told_: str) -> None:
    book = PriceBook.open(settings_of(tmp_path, f"{BASE}prices: {{up/small: {price}}}\n").config)

    assert route_prices(book, NOW)[0].told == told_
