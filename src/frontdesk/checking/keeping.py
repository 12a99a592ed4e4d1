"""What is kept in a configuration, for how long, and what may be meant otherwise of that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from frontdesk.core.config import Config
from frontdesk.core.config.money import budgets_of
from frontdesk.core.config.problems import Place, spelled
from frontdesk.jobs.plan import DEFAULT_KEEP_DAYS

Doubt = tuple[Place, str]

_MONTH_DAYS = 31


class KeptFor(NamedTuple):
    """Something that is kept, and how long."""

    what: str
    how_long: str


def kept_for(config: Config) -> list[KeptFor]:
    """All that is kept, first by kind, then what tiers and features say of texts."""
    return list(_kept_for(config))


def _kept_for(config: Config) -> Iterator[KeptFor]:
    kept = config.retention
    yield KeptFor("stored responses", _days(kept.responses_days, " after their end"))
    yield KeptFor("conversations, and feedback", _days(kept.conversations_days, " after their last change"))
    yield KeptFor("events to resume from", f"{_counted(kept.events_hours, 'hour')} after their end")
    yield KeptFor("keys of repeated requests", _counted(kept.keys_hours, "hour"))
    yield KeptFor("ids of what was deleted, for devices", _days(config.sync.keep_deleted_days))
    yield KeptFor("rows of requests, without texts", _days(kept.turns_days))
    yield KeptFor("windows of budgets, and their alerts", _days(kept.alerts_days, " after their end"))
    yield KeptFor("files", _days(config.files.keep_days, " at most"))
    yield KeptFor("batches", _days(config.batches.keep_days, " after their end"))
    yield KeptFor("jobs", f"{_counted(DEFAULT_KEEP_DAYS, 'day')} after their end, titles and follow-ups 1 day")
    for _, name, days in _said(config):
        yield KeptFor(f"texts of {name}", _days(days, " at most"))


def doubts_about_keeping(config: Config) -> Iterator[Doubt]:
    """Yield what an operator should look at."""
    kept = config.retention
    for place, _, days in _said(config):
        if days and all(each is not None and each <= days for each in (kept.responses_days, kept.conversations_days)):
            yield place, f"{spelled(place)} is {days:g}, and retention keeps nothing longer: it means nothing."
    if kept.responses_days == 0 and kept.conversations_days is None:
        here: Place = ("retention", "responses_days")
        words = "but conversations are kept for ever. Set retention.conversations_days too"
        yield here, f"{spelled(here)} is 0, so that no response is stored, {words}."
    budgets = [*config.budgets, *(budget for tier in config.tiers.values() for budget in budgets_of(tier))]
    if kept.turns_days is not None and kept.turns_days < _MONTH_DAYS and any(each.per != "day" for each in budgets):
        here = ("retention", "turns_days")
        words = "a budget that is new counts what was spent before it from the rows that are left"
        yield here, f"{spelled(here)} is {kept.turns_days:g}, less than a month: {words}."


def _said(config: Config) -> Iterator[tuple[Place, str, float]]:
    """What tiers and features say: where, in words whose, and how many days."""
    for name, tier in config.tiers.items():
        if tier.keep_days is not None:
            yield ("tiers", name, "keep_days"), f"tier {name!r}", tier.keep_days
    for name, feature in config.features.items():
        if feature.keep_days is not None:
            yield ("features", name, "keep_days"), f"feature {name!r}", feature.keep_days


def _days(days: float | None, suffix: str = "") -> str:
    if days is None:
        return "for ever"
    return f"{_counted(days, 'day')}{suffix}" if days else "not stored"


def _counted(number: float, unit: str) -> str:
    return f"{number:g} {unit}" if number == 1 else f"{number:g} {unit}s"
