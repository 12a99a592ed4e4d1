"""The price book: src/frontdesk/prices/snapshot.json, made of what the package genai-prices knows.

python -m tools.prices            says whether it is what the installed package says
python -m tools.prices --write    writes it, and tells what has no price in it, and why

Nothing is left out in silence. A price is either said in the terms of `core.money`, or its model is written
down without one, so that the server shows it as unpriced; a looser rule must not find it a price either.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from importlib.metadata import distribution
from typing import Any

import msgspec
from genai_prices import types as theirs
from genai_prices.data import providers as their_providers

from frontdesk.prices.snapshot import (
    FILE,
    Clause,
    Daily,
    Model,
    Provider,
    Rate,
    Rates,
    Snapshot,
    Stepped,
    Tariff,
    rate_above,
    steps_of,
)
from tools.openapi import ROOT, is_current

PACKAGE = "genai-prices"

# Their price of a unit: our bucket.
BUCKETS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_hour",
    "input_audio_mtok": "audio_input",
    "input_image_mtok": "image_input",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "audio_output",
    "output_image_mtok": "image_output",
}
# What is not paid by tokens. Sound is also listed as `audio_hours`, at the same price.
UNITS = {"input_audio_hours": ("audio_minute", 60), "input_mchars": ("character", 1)}
SAID_TWICE = {"audio_hours": "input_audio_hours"}
# Without any price there, because there is none to pay: OpenAI's guide to moderation (2026-11-23).
FOR_NOTHING = {("openai", "moderation")}
_PICO_DOLLAR = Decimal("1e-12")
# Answers do not tell these tokens from others of the bucket that they fall into: it gets the dearer price.
TOLD_APART_BY_NOBODY = {
    "cache_audio_read_mtok": "audio_input",  # sound stays sound, whatever it was read from (turn.buckets)
    "cache_image_read_mtok": "cached",
}
# The same, but the bucket is that of words: it must not get dearer, so their price must not be above it.
WITHIN_WORDS = {"input_video_mtok": "input", "output_video_mtok": "output"}
# What the provider's own tools charge a call. Frontdesk offers none of them, so nothing of this can arise,
# but where a model searches unasked.
OF_HOSTED_TOOLS = {
    "web_searches_kcount",
    "social_searches_kcount",
    "storage_searches_kcount",
    "code_executions_kcount",
}
SEARCH_UNASKED = {"perplexity"}
# Requests of these kinds cannot be made through Frontdesk, or an operator makes them with a price of their own.
OTHER_VARIANTS = {"processing", "speed", "route", "search_type"}


class InexpressibleError(Exception):
    """A price that cannot be said in our terms; the message says why."""


def main(arguments: list[str]) -> int:
    """Check the snapshot, or write it. Returns the exit code."""
    snapshot = made()
    text = text_of(snapshot)
    if arguments == ["--write"]:
        FILE.write_text(text, encoding="utf-8")
        for line in told(snapshot, len(text)):
            print(line)
        return 0
    if is_current(FILE, text):
        return 0
    path = os.path.relpath(FILE, ROOT)
    print(f"{path}: is not what {snapshot.package} says; `python -m tools.prices --write` writes it")
    return 1


def made() -> Snapshot:
    """The snapshot of the installed package."""
    package = distribution(PACKAGE)
    licenses = [file for file in package.files or () if file.name == "LICENSE"]
    providers = [provider_of(each) for each in their_providers]
    digest = hashlib.sha256(b"".join(msgspec.json.encode(each, order="sorted") for each in providers))
    return Snapshot(
        f"{PACKAGE} {package.version}", digest.hexdigest(), "".join(each.read_text() for each in licenses), providers
    )


def text_of(snapshot: Snapshot) -> str:
    """The snapshot as it is committed: a model a line, for those who look at what a new version changes."""
    text = msgspec.json.encode(snapshot, order="sorted").decode()
    return text.replace('{"context_tokens"', '\n{"context_tokens"').replace('{"id"', '\n{"id"') + "\n"


def told(snapshot: Snapshot, size: int) -> Iterator[str]:
    """Yield what a person who writes it wants to know."""
    models = [
        (provider, model)
        for provider in snapshot.providers
        for model in msgspec.json.decode(provider.models, type=list[Model])
    ]
    unpriced = [(f"{provider.id}/{model.id}", model.unpriced) for provider, model in models if model.unpriced]
    yield f"{snapshot.package}: {len(models)} models of {len(snapshot.providers)} providers, {size} bytes"
    for reason, count in Counter(reason for _, reason in unpriced).most_common():
        names = [name for name, each in unpriced if each == reason]
        yield f"unpriced: {count} models, {reason}: {', '.join(names[:5])}{', ...' if count > 5 else ''}"
    for what, count in Counter(left_aside(their_providers)).most_common():
        yield f"left aside: {what}, of {count} models"


def left_aside(providers: Iterable[theirs.Provider]) -> Iterator[str]:
    """Yield, for each model, what else it has prices for, which no request through Frontdesk can come to."""
    for provider in providers:
        for model in provider.models:
            named = {f"{key}: {value}" for each in model.price_variants or () for key, value in each.when.items()}
            yield from (what for what in named if what.partition(":")[0] in OTHER_VARIANTS)
            yield from {key for _, price in conditions_of(model) for key in prices_of(price) if key in OF_HOSTED_TOOLS}


# --- providers and models -----------------------------------------------------------------------


def provider_of(provider: theirs.Provider) -> Provider:
    """One of their providers, in our words. The order of models counts: the first that fits is taken."""
    models = [model_of(provider.id, each) for each in provider.models]
    return Provider(
        provider.id,
        provider.api_pattern,
        list(provider.fallback_model_providers or ()),
        msgspec.Raw(msgspec.json.encode(models, order="sorted")),
    )


def model_of(provider: str, model: theirs.ModelInfo) -> Model:
    """One of their models, with its tariffs or with why it has none."""
    match = clause_of(model.match)
    made = Model(
        model.id,
        None if match == Clause(equals=model.id) else match,
        model.context_window,
    )
    try:
        made.tariffs = tariffs_of(provider, model)
    except InexpressibleError as reason:
        made.unpriced = str(reason)
    return made


def clause_of(clause: theirs.MatchLogic) -> Clause:
    """A rule for names, in our words."""
    match clause:
        case theirs.ClauseOr():
            return Clause(any_of=[clause_of(each) for each in clause.or_])
        case theirs.ClauseAnd():
            return Clause(all_of=[clause_of(each) for each in clause.and_])
        case _:
            return msgspec.convert(vars(clause), Clause)


# --- when a price holds -------------------------------------------------------------------------

Condition = theirs.StartDateConstraint | theirs.TimeOfDateConstraint | None
Prices = Mapping[str, Decimal | theirs.TieredPrices]


def conditions_of(model: theirs.ModelInfo) -> list[tuple[Condition, theirs.ModelPrice]]:
    """When which price holds: the last that fits, and the first where none does."""
    if isinstance(model.prices, theirs.ModelPrice):
        return [(None, model.prices)]
    return [(each.constraint, each.prices) for each in model.prices]


def prices_of(price: theirs.ModelPrice) -> Prices:
    """Their prices by their names."""
    named: dict[str, Any] = vars(price)
    return {name: value for name, value in named.items() if value is not None}


def tariffs_of(provider: str, model: theirs.ModelInfo) -> list[Tariff]:
    """A model's tariffs, the oldest first. Raises InexpressibleError."""
    conditions = conditions_of(model)
    if not any(prices_of(price) for _, price in conditions):
        if not model.id.endswith(":free") and (provider, model.id) not in FOR_NOTHING:
            raise InexpressibleError("without any price")
        return [Tariff(Decimal(0))]
    variants = [each for each in model.price_variants or () if set(each.when) != {"service_tier"}]
    for variant in variants:
        if not set(variant.when) <= OTHER_VARIANTS:
            raise InexpressibleError(f"priced by {', '.join(sorted(variant.when))}")
    tiers = [each for each in model.price_variants or () if set(each.when) == {"service_tier"}]
    constraints = [*(constraint for constraint, _ in conditions), *(each.constraint for each in tiers)]
    starts = {each.start_date for each in constraints if isinstance(each, theirs.StartDateConstraint)}
    tariffs: list[Tariff] = []
    for since in (None, *sorted(starts)):
        tariff = _tariff(provider, since, conditions, tiers)
        if not tariffs or _without_date(tariff) != _without_date(tariffs[-1]):
            tariffs.append(tariff)
    return tariffs


def _without_date(tariff: Tariff) -> Tariff:
    return msgspec.structs.replace(tariff, since=None)


def _tariff(
    provider: str,
    since: date | None,
    conditions: Sequence[tuple[Condition, theirs.ModelPrice]],
    variants: Sequence[theirs.PriceVariant],
) -> Tariff:
    """What holds from this day on."""
    holding = [place for place, (constraint, _) in enumerate(conditions) if _has_begun(constraint, since)]
    plain = max(holding, default=-1)
    prices = prices_of(conditions[max(plain, 0)][1])
    daily = tuple(
        Daily(
            **_fields(rates_of(provider, prices_of(price))),
            starts=_minute(constraint.start_time),
            ends=_minute(constraint.end_time),
        )
        for constraint, price in conditions[plain + 1 :]
        if isinstance(constraint, theirs.TimeOfDateConstraint)
    )
    tiers: dict[str, dict[str, Decimal | theirs.TieredPrices]] = {}
    for variant in variants:
        if isinstance(variant.constraint, theirs.TimeOfDateConstraint) or (daily and prices_of(variant.prices)):
            raise InexpressibleError("priced by the service tier and by the time of day")
        if _has_begun(variant.constraint, since):
            overrides = tiers.setdefault(variant.when["service_tier"], {})
            for name, value in prices_of(variant.prices).items():
                overrides.setdefault(name, value)  # the first that has a price counts
    return Tariff(
        **_fields(rates_of(provider, prices)),
        since=since,
        daily=daily,
        service_tiers={
            name: rates_of(provider, {**prices, **overrides}) for name, overrides in sorted(tiers.items()) if overrides
        },
    )


def _has_begun(constraint: Condition, since: date | None) -> bool:
    """Whether a condition has come true by this day, and stays true. Hours of a day do neither."""
    match constraint:
        case None:
            return True
        case theirs.StartDateConstraint():
            return since is not None and constraint.start_date <= since
        case theirs.TimeOfDateConstraint():
            return False


def _minute(moment: time) -> int:
    """Minutes since midnight, UTC."""
    offset = moment.utcoffset()
    if (offset is not None and offset.total_seconds() != 0) or moment.second or moment.microsecond:
        raise InexpressibleError(f"priced by a time of day that is no minute of UTC: {moment}")
    return moment.hour * 60 + moment.minute


def _fields(rates: Rates) -> dict[str, Any]:
    return msgspec.structs.asdict(rates)


# --- rates --------------------------------------------------------------------------------------


def rates_of(provider: str, prices: Prices) -> Rates:
    """Their prices as our rates. Raises InexpressibleError."""
    rates: dict[str, Any] = {bucket: _rate(prices[name]) for name, bucket in BUCKETS.items() if name in prices}
    units = {
        bucket: plain((price / by).quantize(_PICO_DOLLAR))
        for name, (bucket, by) in UNITS.items()
        if isinstance(price := prices.get(name), Decimal)
    }
    if "input" not in rates and not units:
        raise InexpressibleError(f"priced by {', '.join(sorted(prices)) or 'nothing'}, and not by tokens read")
    if rates and units:  # what chats would hear for nothing: only what transcribes and speaks is counted in units
        raise InexpressibleError(f"priced by {', '.join(sorted(prices.keys() & UNITS.keys()))} as well")
    rates = {"input": Decimal(0), **rates, **units}
    for name in sorted(prices.keys() - BUCKETS.keys()):
        price = _rate(prices[name])
        if name in UNITS or (name in SAID_TWICE and prices.get(SAID_TWICE[name]) == prices[name]):
            continue
        if name in TOLD_APART_BY_NOBODY:
            bucket = TOLD_APART_BY_NOBODY[name]
            rates[bucket] = _dearer(rates.get(bucket, rates["input"]), price)
        elif name in WITHIN_WORDS:
            words = rates.get(WITHIN_WORDS[name], Decimal(0))
            if _dearer(words, price) != words:
                raise InexpressibleError(f"dearer by {name} than for words")
        elif name == "requests_kcount" and isinstance(price, Decimal):
            rates["request"] = plain(price / 1000)
        elif name not in OF_HOSTED_TOOLS or provider in SEARCH_UNASKED:
            raise InexpressibleError(f"priced by {name} as well")
    return Rates(**rates)


def _rate(price: Decimal | theirs.TieredPrices) -> Rate:
    if isinstance(price, Decimal):
        return plain(price)
    return Stepped(plain(price.base), tuple((tier.start, plain(tier.price)) for tier in price.tiers))


def plain(price: Decimal) -> Decimal:
    """The same number, written without an exponent."""
    return Decimal(f"{price.normalize():f}")


def _dearer(one: Rate, other: Rate) -> Rate:
    """The higher of two rates, however much is read."""
    base = max(rate_above(one, -1), rate_above(other, -1))
    steps = tuple((above, max(rate_above(one, above), rate_above(other, above))) for above in steps_of((one, other)))
    return Stepped(base, steps) if steps else base


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
