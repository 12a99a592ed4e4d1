"""Moderations: what is read of a request, and what is answered."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from frontdesk.core.errors import BadRequest, Unprocessable
from frontdesk.turn.events import ChoiceFinished, ModerationsProduced, TurnCompleted, TurnIncomplete
from frontdesk.turn.items import Image, ModerationRequest, Text
from frontdesk.turn.turn import Caller, Turn
from frontdesk.wire.openai_moderations import ModerationsBody, read_moderations
from tests.fakes import HandClock

JUDGEMENT = {"flagged": False, "categories": {"hate": False}, "category_scores": {"hate": 0.1}}


def read(**fields: Any) -> ModerationRequest:
    return read_moderations(json.dumps(fields).encode()).request


def a_turn() -> Turn:
    return Turn("moderations", Caller("server", "k"), "safe", ModerationRequest(["x"]), HandClock())


def test_a_text_is_one_input() -> None:
    assert read(input="x") == ModerationRequest(["x"])
    assert read(input="") == ModerationRequest([""])


def test_texts_are_judged_one_by_one() -> None:
    assert read(input=["x", ""]) == ModerationRequest(["x", ""])


def test_parts_are_judged_together() -> None:
    parts = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]

    assert read(input=parts) == ModerationRequest([Text("x"), Image("https://x.example/a.png")])


def test_what_is_not_openais_is_carried() -> None:
    assert read(input="x", model="m", nothing=None, vendor={"a": 1}).parameters == {"vendor": {"a": 1}}


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "input", "missing_required_parameter"),
        ({"input": 1}, "input", "invalid_type"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["x"] * 1025}, "input", "invalid_value"),
        ({"input": ["x", 1]}, "input[1]", "invalid_value"),
        ({"input": ["x", {"type": "text", "text": "x"}]}, "input[1]", "invalid_value"),
        ({"input": [{"type": "text", "text": "x"}, "x"]}, "input[1]", "invalid_type"),
        ({"input": [1]}, "input[0]", "invalid_type"),
        ({"input": [{"type": "audio"}]}, "input[0].type", "invalid_value"),
        ({"input": [{"text": "x"}]}, "input[0].type", "missing_required_parameter"),
        ({"input": [{"type": "text"}]}, "input[0].text", "missing_required_parameter"),
        ({"input": [{"type": "image_url", "image_url": {}}]}, "input[0].image_url.url", "missing_required_parameter"),
        ({"input": "x", "model": 5}, "model", "invalid_type"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**fields)

    assert (refused.value.param, refused.value.code) == (param, code)


def test_judgements_have_the_callers_name_of_the_model() -> None:
    turn = a_turn()
    body = ModerationsBody(turn)
    body.add([ModerationsProduced([JUDGEMENT, JUDGEMENT]), TurnCompleted()])

    assert msgspec.json.decode(body.body()) == {"id": turn.id, "model": "safe", "results": [JUDGEMENT, JUDGEMENT]}
    assert turn.id.startswith("modr-")


def test_what_a_rule_withholds_is_an_error_and_no_empty_answer() -> None:
    with pytest.raises(Unprocessable) as refused:
        ModerationsBody(a_turn()).add([ChoiceFinished(0, "content_filter"), TurnIncomplete("content_filter")])

    assert (refused.value.status, refused.value.code) == (422, "content_filter")
