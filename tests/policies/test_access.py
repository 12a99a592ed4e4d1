"""Access: a model that is not allowed looks like one that does not exist."""

from __future__ import annotations

import pytest

from frontdesk.core.errors import BadRequest, NotFound
from frontdesk.policies.access import Access
from frontdesk.turn.turn import Caller
from tests.fakes import make_turn

ACCESS = Access(
    {"fast": "chat", "best": "chat", "embed": "embeddings"},
    {"free": frozenset({"fast", "embed"}), "paid": None},
    "free",
)
SERVER = Caller("server", "key_1", None, None)


def person(tier: str | None) -> Caller:
    return Caller("user", "sess_1", "u1", tier)


@pytest.mark.parametrize(
    ("caller", "models"),
    [
        (person("free"), ["fast", "embed"]),
        (person("paid"), ["fast", "best", "embed"]),
        (person(None), ["fast", "embed"]),
        (person("a tier that is gone"), ["fast", "embed"]),
        (SERVER, ["fast", "best", "embed"]),
    ],
)
def test_each_caller_has_the_models_of_its_tier(caller: Caller, models: list[str]) -> None:
    assert [name for name in ("fast", "best", "embed", "unknown") if ACCESS.allows(caller, name)] == models


def test_disallowed_and_unknown_models_are_told_alike() -> None:
    messages: list[str] = []
    for model in ("best", "nonsense"):
        with pytest.raises(NotFound) as caught:
            ACCESS.admit(make_turn(caller=person("free"), model=model))
        messages.append(caught.value.message.replace(model, "X"))
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")

    assert messages[0] == messages[1]


def test_a_model_answers_only_at_its_own_door() -> None:
    with pytest.raises(BadRequest, match="for embeddings"):
        ACCESS.admit(make_turn(caller=SERVER, model="embed"))
    with pytest.raises(BadRequest, match="for chat"):
        ACCESS.admit(make_turn(caller=SERVER, model="fast", door="embeddings"))
