"""The decision about money: never beyond a cap, never a paid route above it, and more money is never less."""

from __future__ import annotations

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from frontdesk.core.money import Buckets, Price, Rates
from frontdesk.ledger.holds import Balance
from frontdesk.policies.spending import (
    USEFUL_TOKENS,
    Call,
    Cap,
    Grant,
    Menu,
    Offer,
    Refusal,
    decide,
    is_only_held,
    is_used_up,
    more,
)
from tests.policies.treasury import FREE, price

amounts = st.integers(0, 200_000) | st.integers(0, 50)
rates = st.builds(
    Rates, **{name: st.integers(0, 30_000_000) | st.just(0) for name in Rates.__struct_fields__ if name != "request"},
    request=st.integers(0, 10**9) | st.just(0),
)  # fmt: skip
prices = (
    st.builds(price, st.sampled_from([0.05, 0.25, 3.0]), st.sampled_from([0.4, 2.0, 15.0]))
    | st.builds(Price, rates)
    | st.builds(lambda base, above, dear: Price(base, ((above, dear),)), rates, st.integers(0, 5_000), rates)
    | st.just(FREE)
)
balances = st.builds(Balance, st.just(0) | amounts, st.just(0) | amounts)


def _budget(balance: Balance, room: int, fractions: list[float], leaves_free: bool) -> tuple[Balance, Cap]:
    micros = max(0, balance.spent + balance.held + room)
    return balance, Cap(micros, tuple(sorted(int(micros * each) for each in fractions)), leaves_free)


fractions = st.lists(st.sampled_from([0.25, 0.5, 0.8, 0.9]), max_size=4, unique=True)
with_room = st.builds(_budget, balances, st.integers(90_000, 3_000_000), fractions, st.booleans())
with_any = st.builds(_budget, balances, amounts | st.integers(-200_000, 0), fractions, st.booleans())
without = st.builds(_budget, balances, st.integers(-400_000, -200_000), fractions, st.booleans())
rich = st.lists(with_room, min_size=1, max_size=3)
budgets = rich | st.lists(with_room | with_any, min_size=1, max_size=3)
broke = st.builds(lambda one, others: [*others, one], without, st.lists(with_room | with_any, max_size=2))


def menu(*priced: Price) -> Menu:
    return Menu([Offer(f"p/m{number}", each) for number, each in enumerate(priced)])


calls = st.builds(
    Call,
    st.lists(prices, min_size=1, max_size=4).map(lambda found: menu(*found)),
    st.integers(0, 3_000),
    st.none() | st.integers(0, 20) | st.integers(0, 10_000),
    st.integers(1, 10_000),
    st.integers(1, 4),
)
Budgets = list[tuple[Balance, Cap]]


def decided(budgets: Budgets, call: Call) -> Grant | Refusal:
    return decide([balance for balance, _ in budgets], [cap for _, cap in budgets], call)


def granted(budgets: Budgets, call: Call) -> Grant:
    outcome = decided(budgets, call)
    assume(isinstance(outcome, Grant))
    assert isinstance(outcome, Grant)
    return outcome


def left(budgets: Budgets) -> int:
    return min(cap.left(balance) for balance, cap in budgets)


def tokens_of(grant: Grant, call: Call) -> int:
    return call.limit if grant.max_output_tokens is None else grant.max_output_tokens


def offer_of(route: str, call: Call) -> Offer:
    return next(each for each in call.menu.offers if each.route == route)


# --- the cap --------------------------------------------------------------------------------------


@given(budgets, calls)
def test_what_is_put_aside_fits_into_every_window(budgets: Budgets, call: Call) -> None:
    outcome = decided(budgets, call)

    assert outcome.micros >= 0
    assert outcome.micros == 0 or outcome.micros <= left(budgets)


@given(rich, calls)
def test_it_is_the_most_that_the_first_route_can_cost(budgets: Budgets, call: Call) -> None:
    outcome = granted(budgets, call)

    first = offer_of(outcome.routes[0], call)
    assert outcome.micros == call.bound(first, tokens_of(outcome, call)) or first.is_free
    assert (outcome.micros == 0) or not first.is_free


@given(rich, calls, st.data())
def test_no_answer_within_its_length_costs_more(budgets: Budgets, call: Call, data: st.DataObject) -> None:
    outcome = granted(budgets, call)
    read = data.draw(st.integers(0, call.input_tokens))
    written = data.draw(st.integers(0, tokens_of(outcome, call) * call.choices))
    cached = data.draw(st.integers(0, read))
    reasoning = data.draw(st.integers(0, written))

    cost = offer_of(outcome.routes[0], call).price.cost(
        Buckets(input=read - cached, cached=cached, output=written - reasoning, reasoning=reasoning)
    )

    assert cost <= outcome.micros


@given(broke, calls)
def test_no_route_that_costs_is_used_once_a_budget_is_spent(budgets: Budgets, call: Call) -> None:
    outcome = decided(budgets, call)

    if isinstance(outcome, Grant):
        assert outcome.micros == 0
        assert all(offer_of(route, call).is_free for route in outcome.routes)
        spent = [cap for balance, cap in budgets if cap.left(balance) < call.least]
        assert all(cap.leaves_free for cap in spent)
        assert outcome.measures == (("free_models",) if call.menu.paid or outcome.measures else ())


@given(broke, calls)
def test_refuse_leaves_nothing(budgets: Budgets, call: Call) -> None:
    balance, cap = budgets[-1]
    budgets[-1] = (balance._replace(spent=cap.micros), msgspec.structs.replace(cap, leaves_free=False))

    outcome = decided(budgets, call)

    assert isinstance(outcome, Refusal)
    assert all(not budgets[place][1].leaves_free for place in outcome.blockers)


@given(budgets, calls)
def test_nothing_goes_on_whose_cost_nobody_knows(budgets: Budgets, call: Call) -> None:
    unpriced = msgspec.structs.replace(call, menu=Menu([]))

    assert decided(budgets, unpriced) == Refusal((), tuple(balance for balance, _ in budgets))


# --- how long, by which routes --------------------------------------------------------------------


@given(rich, calls)
def test_an_answer_is_never_longer_than_asked_nor_of_no_use(budgets: Budgets, call: Call) -> None:
    outcome = granted(budgets, call)

    tokens = tokens_of(outcome, call)
    assert min(call.limit, USEFUL_TOKENS) <= tokens <= call.limit
    if outcome.routes and offer_of(outcome.routes[0], call).is_free:
        assert tokens == call.limit
    assert ("shorter_answer" in outcome.measures) == (tokens < call.limit)


@given(rich, calls)
def test_what_may_cost_always_has_a_length(budgets: Budgets, call: Call) -> None:
    outcome = granted(budgets, msgspec.structs.replace(call, asked=None))

    if any(not offer_of(route, call).is_free for route in outcome.routes):
        assert outcome.max_output_tokens is not None


@given(rich, calls)
def test_routes_are_the_models_own_each_once(budgets: Budgets, call: Call) -> None:
    outcome = granted(budgets, call)

    assert outcome.routes
    assert len(set(outcome.routes)) == len(outcome.routes)
    assert set(outcome.routes) <= set(call.menu.routes)
    if "cheaper_model" not in outcome.measures and "free_models" not in outcome.measures:
        assert outcome.routes[0] == call.menu.routes[0]


@given(budgets, calls)
def test_the_order_of_budgets_makes_no_difference(budgets: Budgets, call: Call) -> None:
    outcome, other = decided(budgets, call), decided(budgets[::-1], call)

    assert type(outcome) is type(other)
    if isinstance(outcome, Grant) and isinstance(other, Grant):
        assert outcome._replace(balances=()) == other._replace(balances=())
    elif isinstance(outcome, Refusal) and isinstance(other, Refusal):
        assert {budgets[place] for place in outcome.blockers} == {budgets[::-1][place] for place in other.blockers}


# --- more money is never less ---------------------------------------------------------------------


@given(budgets, calls, st.data())
def test_who_has_more_is_not_refused_where_who_has_less_is_not(
    budgets: Budgets, call: Call, data: st.DataObject
) -> None:
    richer = [
        (Balance(data.draw(st.integers(0, balance.spent)), data.draw(st.integers(0, balance.held))), cap)
        for balance, cap in budgets
    ]
    poor, rich = decided(budgets, call), decided(richer, call)

    if isinstance(poor, Grant):
        assert isinstance(rich, Grant)
        if "free_models" not in poor.measures:
            assert "free_models" not in rich.measures


@given(rich, calls, prices, st.data())
def test_who_has_more_gets_no_shorter_answer_of_one_model(
    budgets: Budgets, call: Call, only: Price, data: st.DataObject
) -> None:
    call = msgspec.structs.replace(call, menu=menu(only))
    richer = [(Balance(data.draw(st.integers(0, balance.spent)), balance.held), cap) for balance, cap in budgets]
    poor, rich = granted(budgets, call), granted(richer, call)

    assert tokens_of(rich, call) >= tokens_of(poor, call)
    assert rich.micros >= poor.micros


@given(budgets, st.integers(0, 100_000))
def test_more_is_put_aside_whole_or_not_at_all(budgets: Budgets, micros: int) -> None:
    added = more([balance for balance, _ in budgets], [cap for _, cap in budgets], micros)

    assert added == (micros if micros <= left(budgets) else 0)


# --- by example -----------------------------------------------------------------------------------

CHEAP, DEAR = price(0.1, 1), price(1, 10)
OPEN = Balance(0, 0)


def asked(*priced: Price, tokens: int | None = None, input_tokens: int = 100, choices: int = 1) -> Call:
    return Call(menu(*priced), input_tokens, tokens, 4_000, choices)


def test_as_asked_within_what_is_left() -> None:
    assert decided([(OPEN, Cap(1_000_000))], asked(DEAR, CHEAP, tokens=1_000)) == Grant(
        10_100, ("p/m0", "p/m1"), None, (), (OPEN,)
    )


def test_what_is_not_asked_is_put_in_and_clamped_to_what_is_left() -> None:
    assert decided([(OPEN, Cap(1_000_000))], asked(DEAR)) == Grant(40_100, ("p/m0",), 4_000, (), (OPEN,))
    assert decided([(OPEN, Cap(20_105))], asked(DEAR)) == Grant(20_100, ("p/m0",), 2_000, ("shorter_answer",), (OPEN,))


def test_every_choice_is_paid() -> None:
    assert decided([(OPEN, Cap(8_100))], asked(DEAR, tokens=1_000, choices=4)) == Grant(
        8_100, ("p/m0",), 200, ("shorter_answer",), (OPEN,)
    )


def test_steps_are_cheaper_routes_then_shorter_answers() -> None:
    cap = Cap(1_000_000, (500_000, 600_000, 700_000))
    seen = [
        decided([(Balance(spent, 0), cap)], asked(DEAR, CHEAP, tokens=1_000)) for spent in (499_999, 500_000, 700_000)
    ]

    assert [(each.routes[0], each.max_output_tokens, each.measures) for each in seen if isinstance(each, Grant)] == [
        ("p/m0", None, ()),
        ("p/m1", None, ("cheaper_model",)),
        ("p/m1", 250, ("cheaper_model", "shorter_answer")),
    ]


def test_without_a_cheaper_route_every_step_shortens_down_to_what_is_of_use() -> None:
    cap = Cap(1_000_000, (100_000, 200_000))
    seen = [decided([(Balance(spent, 0), cap)], asked(CHEAP, DEAR, tokens=40)) for spent in (100_000, 200_000)]

    assert [(each.routes, each.max_output_tokens) for each in seen if isinstance(each, Grant)] == [
        (("p/m0", "p/m1"), 20),
        (("p/m0", "p/m1"), 16),
    ]


def test_the_budget_that_has_passed_most_steps_counts() -> None:
    few, many = Cap(1_000_000, (100_000,)), Cap(1_000_000, (100_000, 150_000))
    outcome = decided([(Balance(120_000, 0), few), (Balance(150_000, 0), many)], asked(CHEAP, tokens=400))

    assert isinstance(outcome, Grant)
    assert outcome.max_output_tokens == 100


def test_a_free_route_is_the_cheapest_and_its_answers_stay_whole() -> None:
    cap = Cap(1_000_000, (100_000, 200_000))

    assert decided([(Balance(200_000, 0), cap)], asked(DEAR, FREE, tokens=400)) == Grant(
        0, ("p/m1", "p/m0"), None, ("cheaper_model",), (Balance(200_000, 0),)
    )


def test_a_route_whose_smallest_call_does_not_fit_is_left_out() -> None:
    assert decided([(OPEN, Cap(200))], asked(DEAR, CHEAP, tokens=100)) == Grant(
        110, ("p/m1",), None, ("cheaper_model",), (OPEN,)
    )


def test_embeddings_write_nothing_and_are_paid_by_what_they_read() -> None:
    call = Call(menu(price(0.02, 0)), 1_000, 0, 0)

    assert decided([(OPEN, Cap(20))], call) == Grant(20, ("p/m0",), None, (), (OPEN,))
    assert isinstance(decided([(OPEN, Cap(19))], call), Refusal)


def test_where_all_is_free_only_the_cap_itself_refuses() -> None:
    call = asked(FREE)

    assert decided([(Balance(99, 500), Cap(100))], call) == Grant(0, ("p/m0",), None, (), (Balance(99, 500),))
    assert isinstance(decided([(Balance(100, 0), Cap(100))], call), Refusal)
    assert isinstance(decided([(Balance(100, 0), Cap(100, leaves_free=True))], call), Grant)


def test_a_budget_of_nothing_is_spent_from_the_start() -> None:
    assert decided([(OPEN, Cap(0))], asked(CHEAP)) == Refusal((0,), (OPEN,))


def test_what_is_only_held_comes_back_and_what_is_used_up_does_not() -> None:
    call = asked(DEAR, tokens=100, input_tokens=10_000)  # 10,160 at least; 1,160 for a short question

    assert is_only_held(Balance(0, 9_000), Cap(15_000), call)
    assert not is_only_held(Balance(9_000, 0), Cap(15_000), call)
    assert not is_used_up(Balance(13_840, 0), Cap(15_000), call)
    assert is_used_up(Balance(13_841, 0), Cap(15_000), call)
    assert not is_only_held(Balance(0, 9_000), Cap(15_000), asked(FREE))
