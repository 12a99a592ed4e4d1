"""The facts of a live turn: what its Response repeats follows the turn until it is admitted."""

from __future__ import annotations

import msgspec

from frontdesk.turn.facts import ResponseFacts
from frontdesk.turn.items import EmbeddingRequest, Prompt
from frontdesk.wire.openai_responses import read_responses
from frontdesk.wire.openai_responses_facts import ResponseTurnFacts
from tests.wire.answers import turn_at

ASKED = read_responses(b'{"input": "x", "include": ["reasoning.encrypted_content"], "temperature": 1.5, "stop": "s"}')


def test_they_are_the_turns() -> None:
    turn = turn_at("responses")
    facts: ResponseFacts = ResponseTurnFacts(turn, ASKED.echo)

    told = (facts.id, facts.model, facts.started_at, facts.finished_at)
    turn.finished_at = 1_800_000_001.5

    assert told == (turn.id, "fast", turn.started_at, None)
    assert facts.finished_at == 1_800_000_001.5


def test_what_was_asked_is_said_as_it_was_where_nobody_changed_it() -> None:
    turn = turn_at("responses")
    turn.request = ASKED.prompt

    assert ResponseTurnFacts(turn, ASKED.echo).said == ASKED.echo


def test_what_was_decided_is_said_and_the_echo_stays_as_it_is() -> None:
    turn = turn_at("responses")
    turn.request = ASKED.prompt
    facts = ResponseTurnFacts(turn, ASKED.echo)
    before = msgspec.json.encode(ASKED.echo)

    turn.request = msgspec.structs.replace(ASKED.prompt, max_output_tokens=7, parameters={"temperature": 0.5})

    changed = {name: value for name, value in facts.said.items() if value != ASKED.echo[name]}
    assert changed == {"max_output_tokens": 7, "temperature": 0.5}
    assert msgspec.json.encode(ASKED.echo) == before


def test_what_is_included_is_what_the_caller_asked_for() -> None:
    """Whatever a policy makes of the request: thoughts that were sealed for us are not told for that."""
    turn = turn_at("responses", include=frozenset())
    facts = ResponseTurnFacts(turn, {})

    assert isinstance(turn.request, Prompt)
    turn.request = msgspec.structs.replace(turn.request, include=frozenset({"reasoning.encrypted_content"}))

    assert facts.include == frozenset()


def test_what_is_no_prompt_includes_nothing() -> None:
    turn = turn_at("embeddings")
    turn.request = EmbeddingRequest(["x"])

    facts = ResponseTurnFacts(turn, {"a": 1})

    assert (facts.include, facts.said) == (frozenset(), {"a": 1})
