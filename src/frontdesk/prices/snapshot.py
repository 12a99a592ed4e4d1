"""snapshot.json: what providers charge, as a package that others maintain tells it.

`tools/prices.py` writes it from genai-prices, which no server imports. It is read once, at the start; of
47 providers only the models of those that are configured are looked at, and none of it is kept. Prices are
decimal texts in US dollars for a million tokens or spoken characters (`character`), and for a call (`request`), a
minute that is heard (`audio_minute`) or a picture (`image`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec

FILE = Path(__file__).parent / "snapshot.json"


class Stepped(msgspec.Struct, array_like=True, frozen=True):
    """A rate that depends on how much is read: `base`, or that of the last step whose tokens are exceeded."""

    base: Decimal
    steps: tuple[tuple[int, Decimal], ...]


Rate = Decimal | Stepped


def rate_above(rate: Rate, tokens: int) -> Decimal:
    """The rate of calls that read more than so many tokens, and not as many as the next step begins at."""
    if isinstance(rate, Decimal):
        return rate
    return next((price for above, price in reversed(rate.steps) if above <= tokens), rate.base)


def steps_of(rates: Iterable[Rate | None]) -> list[int]:
    """The numbers of tokens above which any of these rates is another, rising."""
    return sorted({above for rate in rates if isinstance(rate, Stepped) for above, _ in rate.steps})


class Rates(msgspec.Struct, omit_defaults=True):
    """A rate for each bucket of `core.money`. What is left out is as `input` or `output`; `output` as `input`;
    `cache_write_hour` as `cache_write`.

    `audio_minute` and `image` are for one, `character` for a million; each is nothing where it is left out.
    """

    input: Rate
    output: Rate | None = None
    cached: Rate | None = None
    cache_write: Rate | None = None
    cache_write_hour: Rate | None = None
    audio_input: Rate | None = None
    image_input: Rate | None = None
    reasoning: Rate | None = None
    audio_output: Rate | None = None
    image_output: Rate | None = None
    request: Decimal | None = None
    audio_minute: Decimal | None = None
    character: Decimal | None = None
    image: Decimal | None = None


class Daily(Rates, omit_defaults=True, kw_only=True):
    """What holds each day from one minute to another, UTC; over midnight where the second is the lesser."""

    starts: int
    ends: int


class Tariff(Rates, omit_defaults=True, kw_only=True):
    """What holds from a day on, or always did; the next one ends it.

    Of `daily` the last that fits holds. `service_tiers` is for requests that ask for one.
    """

    since: date | None = None
    daily: tuple[Daily, ...] = ()
    service_tiers: dict[str, Rates] = {}


class Clause(msgspec.Struct, omit_defaults=True):
    """A rule for names of models; one of its fields is set."""

    equals: str | None = None
    starts_with: str | None = None
    ends_with: str | None = None
    contains: str | None = None
    regex: str | None = None
    any_of: list[Clause] = msgspec.field(default_factory=list, name="or")
    all_of: list[Clause] = msgspec.field(default_factory=list, name="and")

    def matches(self, name: str) -> bool:
        """Whether a name, in small letters, is one of these."""
        if self.equals is not None:
            return name == self.equals.lower()
        if self.starts_with is not None:
            return name.startswith(self.starts_with.lower())
        if self.ends_with is not None:
            return name.endswith(self.ends_with.lower())
        if self.contains is not None:
            return self.contains.lower() in name
        if self.regex is not None:
            return re.search(self.regex, name) is not None
        if self.any_of:
            return any(clause.matches(name) for clause in self.any_of)
        return all(clause.matches(name) for clause in self.all_of)


class Model(msgspec.Struct, omit_defaults=True):
    """A model. Without `match` it is known by its id alone. `unpriced` says why it has no tariffs."""

    id: str
    match: Clause | None = None
    context_tokens: int | None = None
    tariffs: list[Tariff] = []
    unpriced: str | None = None

    def is_called(self, name: str) -> bool:
        """Whether requests call it so; the name is in small letters."""
        return name == self.id.lower() if self.match is None else self.match.matches(name)


class Provider(msgspec.Struct, omit_defaults=True):
    """A provider. `api` is the pattern of its addresses, `also` are providers whose models it offers as well."""

    id: str
    api: str
    also: list[str] = []
    models: msgspec.Raw = msgspec.Raw(b"[]")


class Snapshot(msgspec.Struct):
    """The whole of it, and where it comes from. `sha256` is of the providers, as they are written."""

    package: str
    sha256: str
    license: str
    providers: list[Provider]

    @classmethod
    def read(cls) -> Snapshot:
        """Read the file that came with this version."""
        return msgspec.json.decode(FILE.read_bytes(), type=cls)

    def provider_at(self, base_url: str) -> Provider | None:
        """The provider with this address; None where it is nobody's."""
        return next((each for each in self.providers if re.match(each.api, base_url)), None)

    def find_models(self, provider: Provider, names: Sequence[str]) -> dict[str, Model]:
        """The models that a provider calls by these names; of those that it does not know, nothing.

        The first whose rule fits counts. Names with a date without dashes (gpt-5-20251211) are tried with them.
        """
        found: dict[str, Model] = {}
        for models in self._offered(provider):
            for name in names:
                model = _called(models, name)
                if model is not None:
                    found.setdefault(name, model)
        return found

    def _offered(self, provider: Provider) -> Iterator[list[Model]]:
        """Its own models, then those of others."""
        by_id = {each.id: each for each in self.providers}
        for each in (provider, *(by_id[other] for other in provider.also if other in by_id)):
            yield msgspec.json.decode(each.models, type=list[Model])


def _called(models: Sequence[Model], name: str) -> Model | None:
    small = name.lower()
    for spelling in dict.fromkeys((small, _DATE.sub(r"-\1-\2-\3", small))):
        found = next((model for model in models if model.is_called(spelling)), None)
        if found is not None:
            return found
    return None


_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
