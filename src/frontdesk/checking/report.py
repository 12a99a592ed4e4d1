"""The report of `frontdesk check`, for people and for programs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml

from frontdesk.accounts.issuers import Issuers
from frontdesk.checking.doubts import doubts
from frontdesk.checking.effective import effective, without_query
from frontdesk.checking.keeping import KeptFor, doubts_about_keeping, kept_for
from frontdesk.checking.openness import Open, Way, open_requests, ways_in
from frontdesk.checking.prices import RoutePrice, route_prices
from frontdesk.checking.settings import Settings
from frontdesk.checking.spending import doubts_about_money
from frontdesk.core.clock import SystemClock
from frontdesk.core.config.problems import ConfigError, Place, Problem, Problems, spelled
from frontdesk.prices.book import PriceBook


@dataclass(frozen=True, slots=True)
class Report:
    """What a good configuration means. `file` is None for that of development; `warnings` are by their lines."""

    file: str | None
    effective: dict[str, Any]
    prices: list[RoutePrice]
    callers: list[Way]
    open: list[Open]
    kept: list[KeptFor]
    warnings: list[Problem]

    def text(self) -> str:
        """The report for people."""
        settings = yaml.safe_dump(self.effective, sort_keys=False, allow_unicode=True, width=120)
        name = "configuration" if self.file else "development configuration"
        parts = [
            f"The {name} is good. What is effective:\n\n{settings}",
            f"Who may call:\n{_aligned(self.callers)}\n",
            f"Open without a credential:\n{_aligned(self.open)}\n",
            f"What is kept, for how long:\n{_aligned(self.kept)}\n",
            f"What a million tokens cost:\n{_aligned((each.route, each.told) for each in self.prices)}\n",
            "".join(f"! {warning}\n" for warning in self.warnings),
        ]
        return "\n".join(part for part in parts if part).rstrip()

    def json(self) -> str:
        """The same for programs."""
        return _json(
            {
                "ok": True,
                "file": self.file,
                "effective": self.effective,
                "prices": [each._asdict() for each in self.prices],
                "callers": [way._asdict() for way in self.callers],
                "open": [each._asdict() for each in self.open],
                "kept": [each._asdict() for each in self.kept],
                "warnings": [_told(warning) for warning in self.warnings],
            }
        )


async def make_report(settings: Settings, *, is_offline: bool) -> Report:
    """Look at settings. Unless offline, keys of identity providers are fetched, from each once."""
    now = SystemClock().now()
    book = PriceBook.open(settings.config)
    problems = Problems(settings.lines)
    found = (*doubts(settings), *doubts_about_keeping(settings.config), *doubts_about_money(settings, book, now))
    for place, words in found:
        problems.add(place, words)
    if not is_offline:
        for place, words in await _unreachable(settings):
            problems.add(place, words)
    return Report(
        settings.lines.file,
        effective(settings),
        route_prices(book, now),
        ways_in(settings),
        open_requests(settings),
        kept_for(settings.config),
        problems.found(),
    )


def failure_json(error: ConfigError) -> str:
    """What is wrong, for programs."""
    return _json({"ok": False, "problems": [_told(each) for each in error.problems or (Problem(str(error)),)]})


async def _unreachable(settings: Settings) -> list[tuple[Place, str]]:
    auth = settings.config.auth
    places: list[Place] = [("auth", "jwt", position) for position in range(len(auth.jwt))]
    places += [("auth", "apps", name, "attestation") for name in auth.apps]
    by_name = {spelled(place): place for place in places}
    # It is told here; the server's own log has nobody to read it.
    log = logging.getLogger("frontdesk")
    silence = logging.NullHandler()
    log.addHandler(silence)
    try:
        failures = await Issuers(auth.jwt, auth.apps, SystemClock()).probe()
    finally:
        log.removeHandler(silence)
    return [(by_name[name], f"{name} gives no keys: {_without_queries(reason)}.") for name, reason in failures]


def _without_queries(reason: str) -> str:
    return " ".join(without_query(word) if "://" in word else word for word in reason.split(" "))


def _aligned(rows: Iterable[tuple[str, str]]) -> str:
    rows = list(rows) or [("nothing", "no model has a route")]
    width = max(len(first) for first, _ in rows)
    return "\n".join(f"  {first:{width}}  {second}" for first, second in rows)


def _told(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "place": spelled(problem.place) or None,
        "message": problem.message,
    }


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
