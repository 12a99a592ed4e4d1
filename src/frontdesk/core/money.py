"""Money: whole micro-dollars, never floats. A price is in pico-dollars a token, so that any printed one is exact.

    USD a million tokens  =  micro-dollars a token  =  1,000,000 pico-dollars a token

Some models are not paid by tokens alone: by the minute of sound, by characters, by pictures (`Units`).

The tokens of a call fall into buckets that share none and add up to the provider's total. What a call
costs is summed up exactly and rounded up once, to the next micro-dollar: nothing is for free by rounding.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

Micros = int
"""Millionths of a US dollar."""

MICROS_PER_USD = 1_000_000
_PICOS_PER_MICRO = 1_000_000


class Units(msgspec.Struct, frozen=True, gc=False):
    """What one call has besides tokens: seconds of sound that were heard, begun ones counted whole; characters that
    were spoken; pictures that were drawn.
    """

    audio_seconds: int = 0
    characters: int = 0
    images: int = 0


class Buckets(msgspec.Struct, frozen=True, gc=False):
    """The tokens of one call, each in one bucket alone.

    `input` is read plainly, `cached` from the provider's cache; `cache_write` into it for some minutes,
    `cache_write_hour` for an hour; `tool` is what hosted tools read. `output` is written plainly, besides what was
    thought (`reasoning`). `units` is None of all that chats and embeds.
    """

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_hour: int = 0
    audio_input: int = 0
    image_input: int = 0
    tool: int = 0
    output: int = 0
    reasoning: int = 0
    audio_output: int = 0
    image_output: int = 0
    units: Units | None = None

    @property
    def total_input(self) -> int:
        """All that was read."""
        written = self.cache_write + self.cache_write_hour
        return self.input + self.cached + written + self.audio_input + self.image_input + self.tool

    @property  # noqa: V106 - what tests add up
    def total_output(self) -> int:
        """All that was written."""
        return self.output + self.reasoning + self.audio_output + self.image_output


class Rates(msgspec.Struct, frozen=True, gc=False):
    """Pico-dollars a token of each bucket, and `request` a call.

    `audio_minute` is for a minute that is heard, `character` for one that is spoken, `image` for one that is drawn.
    """

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_hour: int = 0
    audio_input: int = 0
    image_input: int = 0
    tool: int = 0
    output: int = 0
    reasoning: int = 0
    audio_output: int = 0
    image_output: int = 0
    request: int = 0
    audio_minute: int = 0
    character: int = 0
    image: int = 0

    def picos(self, buckets: Buckets) -> int:
        """What a call costs, exactly but for parts of a pico-dollar."""
        return (
            (self.request if buckets.units is None else self.request + self.picos_of_units(buckets.units))
            + buckets.input * self.input
            + buckets.cached * self.cached
            + buckets.cache_write * self.cache_write
            + buckets.cache_write_hour * self.cache_write_hour
            + buckets.audio_input * self.audio_input
            + buckets.image_input * self.image_input
            + buckets.tool * self.tool
            + buckets.output * self.output
            + buckets.reasoning * self.reasoning
            + buckets.audio_output * self.audio_output
            + buckets.image_output * self.image_output
        )

    def picos_of_units(self, units: Units) -> int:
        """What is paid besides tokens."""
        return (
            -(-units.audio_seconds * self.audio_minute // 60)
            + units.characters * self.character
            + units.images * self.image
        )

    @property
    def dearest_input(self) -> int:
        """The most that any token read may cost, whatever bucket it falls into."""
        written = max(self.cache_write, self.cache_write_hour)
        return max(self.input, self.cached, written, self.audio_input, self.image_input, self.tool)

    @property
    def dearest_output(self) -> int:
        """The most that any token written may cost."""
        return max(self.output, self.reasoning, self.audio_output, self.image_output)


class Price(msgspec.Struct, frozen=True):
    """What a model costs. `steps` are (more input tokens than this, then these rates for all of the call), rising.

    `book` says whose figures these are, and of when.
    """

    rates: Rates
    steps: tuple[tuple[int, Rates], ...] = ()
    book: str = ""

    @property
    def is_free(self) -> bool:
        """Whether it never costs anything."""
        return not any(
            rates.request or rates.dearest_input or rates.dearest_output or rates.picos_of_units(_ONE_OF_EACH)
            for rates in (self.rates, *(rates for _, rates in self.steps))
        )

    @property
    def is_by_units(self) -> bool:
        """Whether sound, characters or pictures are paid, besides tokens or instead."""
        return any(rates.picos_of_units(_ONE_OF_EACH) for rates in (self.rates, *(rates for _, rates in self.steps)))

    def rates_for(self, input_tokens: int) -> Rates:
        """The rates of a call that reads so much."""
        found = self.rates
        for above, rates in self.steps:
            if input_tokens > above:
                found = rates
        return found

    def cost(self, buckets: Buckets) -> Micros:
        """What a call costs, rounded up."""
        rates = self.rates_for(buckets.total_input) if self.steps else self.rates
        return _micros(rates.picos(buckets))

    def bound(self, input_tokens: int, output_tokens: int, units: Units | None = None) -> Micros:
        """See `Ceiling`."""
        return Ceiling(self).bound(input_tokens, output_tokens, units)


class Ceiling:
    """The most that calls cost at a price, whatever buckets their tokens fall into: worked out once, asked often."""

    __slots__ = ("_of_units", "_rates")

    def __init__(self, price: Price) -> None:
        self._of_units = (price.rates, *(rates for _, rates in price.steps))
        # More input tokens than this; a call, a token read, a token written.
        self._rates = [
            (above, rates.request, rates.dearest_input, rates.dearest_output)
            for above, rates in ((-1, price.rates), *price.steps)
        ]

    def bound(self, input_tokens: int, output_tokens: int, units: Units | None = None) -> Micros:
        """The most that a call of at most so many tokens and units may cost, rounded up.

        A call that reads less may cost more, where the rates fall above a step; so all those count that can hold.
        """
        most = 0
        for above, request, read, written in self._rates:
            if input_tokens > above:
                picos = request + input_tokens * read + output_tokens * written
                if picos > most:  # noqa: PLR1730 - a call of max costs more than all of this
                    most = picos
        if units is not None:
            most += max(rates.picos_of_units(units) for rates in self._of_units)
        return _micros(most)

    def affordable_output(self, input_tokens: int, micros: Micros) -> int:
        """How many tokens may be written for so much money, after `input_tokens` were read: as many as `bound` allows.

        Below 0 where the money is not enough for reading; `UNBOUNDED` where writing costs nothing.
        """
        tokens = UNBOUNDED
        for above, request, read, written in self._rates:
            left = micros * _PICOS_PER_MICRO - request - input_tokens * read
            if input_tokens > above:
                tokens = min(tokens, -1 if left < 0 else left // written if written else UNBOUNDED)
        return tokens


UNBOUNDED = 2**53
_ONE_OF_EACH = Units(60, 1, 1)


def _micros(picos: int) -> Micros:
    return -(-picos // _PICOS_PER_MICRO)


def micros_of(usd: float | Decimal | str) -> Micros:
    """Dollars in micro-dollars, rounded; 0.1 is 100,000, as it is written."""
    exact = Decimal(repr(usd)) if isinstance(usd, float) else Decimal(usd)
    return int((exact * MICROS_PER_USD).to_integral_value(ROUND_HALF_UP))


def picos_of(usd_per_million: float | Decimal | str) -> int:
    """A price in dollars a million tokens in pico-dollars a token, rounded; 0.15 is 150,000."""
    exact = Decimal(repr(usd_per_million)) if isinstance(usd_per_million, float) else Decimal(usd_per_million)
    return int((exact * _PICOS_PER_MICRO).to_integral_value(ROUND_HALF_UP))


def usd(micros: Micros) -> float:
    """Micro-dollars in dollars, for JSON: exact to the micro-dollar up to 4 billion dollars."""
    return micros / MICROS_PER_USD


def usd_words(micros: Micros) -> str:
    """Micro-dollars in words for people: '$0.05', '$12.40', '$0.000012'."""
    amount = Decimal(micros) / MICROS_PER_USD
    cents = amount.quantize(Decimal("0.01"))
    return f"${cents}" if cents == amount else f"${amount.normalize():f}"
