"""What a turn may spend, decided by the balances of its budgets: pure, and quick enough for inside a transaction.

    nothing is priced                                      refused: nobody knows what it would cost
    a budget is spent, and says so for all                 refused
    all that are spent leave what is free                  only routes that cost nothing
    a step of a budget is passed                           cheaper routes first, then shorter answers
    else                                                   as asked, within what is left

A budget is spent for a turn when spent >= cap, or when its smallest useful call by a route that costs does not fit:
spent + held + least > cap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from frontdesk.core.money import Ceiling, Micros, Price, Units
from frontdesk.ledger.holds import Balance

Measure: TypeAlias = Literal["cheaper_model", "shorter_answer", "free_models"]

USEFUL_TOKENS = 16
"""No answer is shortened below this, or what was asked where that is less. OpenAI's Responses take no less."""
_SHORT_TOKENS = 1_000


class Cap(msgspec.Struct, frozen=True, gc=False):
    """How much of a window may be spent. `steps` are the amounts, rising, at which it degrades."""

    micros: Micros
    steps: tuple[Micros, ...] = ()
    leaves_free: bool = False

    def left(self, balance: Balance) -> Micros:
        """What may still be put aside; below 0 where more was spent than put aside."""
        return self.micros - balance.spent - balance.held

    def step(self, balance: Balance) -> int:
        """How many steps are passed."""
        spent, steps = balance.spent, self.steps
        if not steps or spent < steps[0]:  # nearly always
            return 0
        return sum([micros <= spent for micros in steps])

    def has_room(self, balance: Balance, micros: Micros) -> bool:
        """Whether so much may be put aside, and no step is passed."""
        spent = balance.spent
        return spent < self.micros and spent + balance.held + micros <= self.micros and not self.step(balance)


class Offer:
    """A route and what it costs. `is_free`: whether that is nothing ever."""

    __slots__ = ("ceiling", "is_free", "price", "route")

    def __init__(self, route: str, price: Price) -> None:
        self.route = route
        self.price = price
        self.ceiling = Ceiling(price)
        self.is_free = price.is_free


class Menu:
    """The routes of a model that have a price, in order. `paid` are those that cost something."""

    __slots__ = ("free", "offers", "paid", "routes")

    def __init__(self, offers: Sequence[Offer]) -> None:
        self.offers = tuple(offers)
        self.paid = tuple(each for each in offers if not each.is_free)
        self.routes = tuple(each.route for each in offers)
        self.free = tuple(each.route for each in offers if each.is_free)


class Call(msgspec.Struct, frozen=True):
    """What is asked. `asked` is the most tokens of each answer, None where it says none, 0 where nothing is written;
    `put_in` is then said for it. `units` are what is paid besides tokens; what has them cannot be made shorter.
    """

    menu: Menu
    input_tokens: int
    asked: int | None
    put_in: int
    choices: int = 1
    units: Units | None = None

    @property
    def limit(self) -> int:
        """The most tokens of each answer."""
        return self.put_in if self.asked is None else self.asked

    @property
    def floor(self) -> int:
        """The least tokens of each answer that are of use."""
        return min(self.limit, USEFUL_TOKENS) if self.units is None else self.limit

    @property
    def least(self) -> Micros:
        """The smallest useful call by a route that costs; 0 where none does."""
        floor = self.floor
        return min([self.bound(each, floor) for each in self.menu.paid], default=0)

    @property
    def shortest(self) -> Call:
        """The same for a short question: what does not even have that is used up."""
        return msgspec.structs.replace(self, input_tokens=min(self.input_tokens, _SHORT_TOKENS))

    def bound(self, offer: Offer, tokens: int) -> Micros:
        """The most that it may cost by a route, with so many tokens an answer."""
        return offer.ceiling.bound(self.input_tokens, tokens * self.choices, self.units)


class Grant(NamedTuple):
    """It may go on, by these routes in this order. None for `max_output_tokens` leaves it as it was asked."""

    micros: Micros
    routes: tuple[str, ...]
    max_output_tokens: int | None
    measures: tuple[Measure, ...]
    balances: tuple[Balance, ...]


class Refusal(NamedTuple):
    """It may not. `blockers` are the budgets that say so, by their place; none where nothing has a price."""

    blockers: tuple[int, ...]
    balances: tuple[Balance, ...]
    micros: Micros = 0


def decide(balances: Sequence[Balance], caps: Sequence[Cap], call: Call) -> Grant | Refusal:
    """Decide about a call. `caps` are at least one, in the order of the balances; which order makes no difference."""
    seen, menu = tuple(balances), call.menu
    if not menu.offers:
        return Refusal((), seen)
    if not menu.offers[0].is_free and (granted := _plainly(seen, caps, call)) is not None:
        return granted
    least = call.least
    spent: list[int] = []
    lefts: list[Micros] = []
    for place, (balance, cap) in enumerate(zip(seen, caps, strict=True)):
        left = cap.left(balance)
        lefts.append(left)
        if balance.spent >= cap.micros or (menu.paid and left < least):
            spent.append(place)
    if spent:
        refusing = [place for place in spent if not caps[place].leaves_free]
        if refusing or not menu.free:
            return Refusal(tuple(refusing or spent), seen)
        return Grant(0, menu.free, None, ("free_models",), seen)
    if not menu.paid:
        return Grant(0, menu.routes, None, (), seen)
    steps = max([cap.step(balance) for balance, cap in zip(seen, caps, strict=True)])
    return _within(min(lefts), steps, call, seen)


def _plainly(balances: tuple[Balance, ...], caps: Sequence[Cap], call: Call) -> Grant | None:
    """The grant of a call as it was asked, where even its dearest route fits and nothing is close to its cap."""
    menu, tokens = call.menu, call.limit
    bounds = [call.bound(each, tokens) for each in menu.paid]
    most = max(bounds)
    for balance, cap in zip(balances, caps, strict=True):
        if not cap.has_room(balance, most):
            return None
    return Grant(bounds[0], menu.routes, None if tokens == call.asked else tokens, (), balances)


def _within(left: Micros, steps: int, call: Call, balances: tuple[Balance, ...]) -> Grant:
    """The grant of a call whose cheapest route fits into what is left."""
    menu, limit, floor = call.menu, call.limit, call.floor
    offers, routes, halvings = menu.offers, menu.routes, steps
    if steps:
        bounds = {each.route: call.bound(each, limit) for each in offers}
        if min(bounds.values()) < bounds[routes[0]]:
            offers = sorted(offers, key=lambda offer: bounds[offer.route])
            halvings -= 1
    if len(menu.paid) > 1:  # the cheapest fits, the others may not
        offers = [each for each in offers if each.is_free or call.bound(each, floor) <= left]
    if offers is not menu.offers:
        routes = tuple([each.route for each in offers])
    first = offers[0]
    tokens, micros = limit, 0
    if not first.is_free:  # what costs nothing is no cheaper for being short
        tokens = max(floor, limit >> halvings)
        micros = call.bound(first, tokens)
        if micros > left:
            tokens = first.ceiling.affordable_output(call.input_tokens, left) // call.choices
            micros = call.bound(first, tokens)
    measures: list[Measure] = []
    if first.route != menu.routes[0]:
        measures.append("cheaper_model")
    if tokens < limit:
        measures.append("shorter_answer")
    return Grant(micros, routes, None if tokens == call.asked else tokens, tuple(measures), balances)


def more(balances: Sequence[Balance], caps: Sequence[Cap], micros: Micros) -> Micros:
    """How much of `micros` more may be put aside: all of it or nothing."""
    fits = all(micros <= cap.left(balance) for balance, cap in zip(balances, caps, strict=True))
    return micros if fits else 0


def is_only_held(balance: Balance, cap: Cap, call: Call) -> bool:
    """Whether a spent budget is so only for what is put aside for answers under way."""
    return bool(call.menu.paid) and balance.spent + call.least <= cap.micros


def is_used_up(balance: Balance, cap: Cap, call: Call) -> bool:
    """Whether what a budget has left is of no use for such calls, however short their question."""
    return balance.spent >= cap.micros or balance.spent + call.shortest.least > cap.micros
