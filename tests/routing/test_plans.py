"""Which route is drawn: by the weights, the same for the same person, and no more moves than must."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.config import Model
from frontdesk.routing.plans import Plans, planned, point_of
from frontdesk.turn.items import Prompt
from frontdesk.turn.turn import Caller
from tests.fakes import make_turn

WAYS = st.text("abcdef", min_size=1, max_size=3).map(lambda name: f"p/{name}")
STEPS = st.lists(
    st.dictionaries(WAYS, st.floats(0, 100), min_size=1, max_size=4).filter(lambda step: any(step.values())),
    min_size=1,
    max_size=4,
)


@given(STEPS, st.text())
def test_each_way_comes_once_and_no_step_before_the_one_above(steps: list[dict[str, float]], key: str) -> None:
    ways = planned(steps, key)

    assert sorted(ways) == sorted({way for step in steps for way in step})
    first_step = [next(number for number, step in enumerate(steps) if way in step) for way in ways]
    assert first_step == sorted(first_step)
    assert steps[0][ways[0]] > 0
    assert planned(steps, key) == ways


def test_the_others_of_a_step_come_by_their_weight() -> None:
    step = {"p/a": 0.0, "p/b": 1.0, "p/c": 3.0, "p/d": 2.0}

    for key in map(str, range(50)):
        drawn, *others = planned([step, {"p/e": 1.0}], key)
        assert drawn != "p/a"
        assert [*others] == [way for way in ("p/c", "p/d", "p/b", "p/a") if way != drawn] + ["p/e"]


def drawn_by(weights: dict[str, float], people: int = 4000) -> dict[str, str]:
    return {str(person): planned([weights], str(person))[0] for person in range(people)}


def test_weights_are_kept() -> None:
    counts = Counter(drawn_by({"p/old": 95, "p/new": 5}).values())

    assert 130 <= counts["p/new"] <= 270


def test_where_weights_change_only_those_move_whose_share_did() -> None:
    before, after = drawn_by({"p/old": 95, "p/new": 5}), drawn_by({"p/old": 90, "p/new": 10})

    moved = {(before[person], after[person]) for person in before if before[person] != after[person]}
    assert moved == {("p/old", "p/new")}
    assert 100 <= sum(before[person] != after[person] for person in before) <= 300


@given(st.text())
def test_points_lie_from_0_up_to_1(key: str) -> None:
    assert 0 <= point_of(key) < 1


def test_a_person_keeps_their_route_whatever_they_ask_with() -> None:
    plans = Plans({"fast": Model([{"p/a": 1, "p/b": 1}]), "plain": Model(["p/c", "p/a"])})

    def of(person: str | None, credential: str, model: str = "fast", tenant: str = "default") -> tuple[str, ...]:
        return plans.of(make_turn(model=model, caller=Caller("user", credential, person, tenant=tenant)))

    people = [str(number) for number in range(100)]
    assert all(of(person, "sess_1") == of(person, "sess_2") for person in people)
    assert len({of(person, "sess_1") for person in people}) == 2
    assert len({of(None, f"key_{number}") for number in range(100)}) == 2
    assert any(of(person, "s") != of(person, "s", tenant="other") for person in people)
    assert of("u1", "s", "plain") == ("p/c", "p/a")


def test_a_key_that_serves_many_people_follows_the_weights() -> None:
    """An app's server asks for all of its people: its key says nothing of whom, the request may."""
    plans = Plans({"fast": Model([{"p/a": 3, "p/b": 1}])})
    server = Caller("server", "key_1")

    def of(**parameters: str) -> str:
        turn = make_turn(caller=server)
        turn.request = Prompt([], parameters={**parameters})
        return plans.of(turn)[0]

    assert 130 <= Counter(of() for _ in range(800))["p/b"] <= 270
    for name in ("user", "safety_identifier"):
        whom = {person: {of(**{name: person}) for _ in range(5)} for person in map(str, range(100))}
        assert all(len(drawn) == 1 for drawn in whom.values())
        assert len(set().union(*whom.values())) == 2
