"""Titles on a real server: behind the first answer, for those who have them, in their own books."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.serving import ADMIN_KEY, ASKED_ONCE, Served, serving

SETTINGS: dict[str, Any] = {
    "providers": {"scripted": {"kind": "scripted", **ASKED_ONCE}},
    "models": {
        "fast": {"route": ["scripted/echo"]},
        "namer": {"route": ["scripted/words-4"]},
        "asker": {"route": ["scripted/echo"]},
    },
    "features": {
        "chat": {"models": ["fast"]},
        "titles": {"models": ["namer"], "max_output_tokens": 3},
        "follow_ups": {"models": ["asker"]},
    },
    "default_feature": "chat",
    "tiers": {
        "free": {"features": ["chat", "titles"]},
        "curious": {"features": ["chat", "follow_ups"]},
        "quiet": {"features": ["chat"]},
        "poor": {"models": ["fast", "asker"]},
    },
    "default_tier": "free",
    "titles": {"model": "namer"},
    "follow_ups": {"model": "asker"},
}
JOBS = "SELECT kind, status, attempts FROM job WHERE kind = 'title' AND person = "


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("asides"), SETTINGS) as running:
        yield running
        assert running.stop() == 0
        assert "Traceback" not in running.log


class Person:
    """Somebody of a tier, who talks."""

    def __init__(self, served: Served, name: str, tier: str) -> None:
        self._url = served.url
        answer = httpx2.post(
            f"{self._url}/api/sessions",
            headers={"Authorization": f"Bearer {ADMIN_KEY}"},
            json={"user": name, "tier": tier},
        )
        self._headers = {"Authorization": f"Bearer {answer.json()['token']}"}

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = httpx2.request(method, self._url + path, headers=self._headers, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def talk(self, *texts: str) -> str:
        conversation = self.call("POST", "/v1/conversations", json={})["id"]
        for text in texts:
            self.call("POST", "/v1/responses", json={"model": "fast", "conversation": conversation, "input": text})
        return conversation

    def titled(self, conversation: str) -> dict[str, Any]:
        """The conversation, once it has a title."""
        deadline = time.monotonic() + 15
        while (told := self.call("GET", f"/api/conversations/{conversation}"))["title"] is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return told


def test_a_conversation_gets_a_title_in_its_persons_books(served: Served) -> None:
    person = Person(served, "anna", "free")

    told = person.titled(person.talk("Why is the sky blue?"))

    assert told["title"] == "word0 word1 word2"  # three tokens, as the feature says
    served.wait_for_rows(f"{JOBS} 'anna'", [("title", "completed", 1)])
    asked = "SELECT feature, model, status, person FROM turn WHERE person = 'anna' ORDER BY feature"
    served.wait_for_rows(asked, [("chat", "fast", "completed", "anna"), ("titles", "namer", "incomplete", "anna")])


def test_who_may_not_use_the_model_gets_their_own_words(served: Served) -> None:
    person = Person(served, "ben", "poor")

    assert person.titled(person.talk("Why is\n the sky blue?"))["title"] == "Why is the sky blue?"


def test_who_has_not_the_feature_gets_no_title_and_no_job(served: Served) -> None:
    person = Person(served, "carl", "quiet")

    conversation = person.talk("Why is the sky blue?", "And at night?")

    assert served.rows(f"{JOBS} 'carl'") == []
    assert person.call("GET", f"/api/conversations/{conversation}")["title"] is None


def test_follow_ups_are_told_by_their_response_until_something_changes(served: Served) -> None:
    person = Person(served, "finn", "curious")
    conversation = person.talk("Tell me of the sky.")
    path = f"/api/conversations/{conversation}/follow_ups"

    deadline = time.monotonic() + 15
    while (told := person.call("GET", path))["response_id"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)

    # What it was asked says no question that would not be an echo of ours or of the person's.
    assert told == {"object": "conversation.follow_ups", "response_id": told["response_id"], "data": []}
    assert person.call("GET", path, params={"response_id": told["response_id"]}) == told
    nothing = {"object": "conversation.follow_ups", "response_id": None, "data": []}
    assert person.call("GET", path, params={"response_id": "resp_other"}) == nothing
    served.wait_for_rows(
        "SELECT feature, model, status FROM turn WHERE person = 'finn' ORDER BY feature",
        [("chat", "fast", "completed"), ("follow_ups", "asker", "completed")],
    )


def test_a_title_that_was_taken_away_comes_back_with_the_next_answer(served: Served) -> None:
    person = Person(served, "dora", "free")
    conversation = person.talk("Why is the sky blue?")
    person.titled(conversation)
    served.wait_for_rows(f"{JOBS} 'dora'", [("title", "completed", 1)])
    person.call("PATCH", f"/api/conversations/{conversation}", json={"title": None})

    person.call("POST", "/v1/responses", json={"model": "fast", "conversation": conversation, "input": "Hm?"})

    assert person.titled(conversation)["title"] == "word0 word1 word2"


def test_a_title_is_made_once_though_the_server_is_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("killed")
    silent = {**SETTINGS["models"], "namer": {"route": ["scripted/silent"]}}
    with serving(folder, {**SETTINGS, "models": silent}) as running:
        person = Person(running, "emil", "free")
        conversation = person.talk("Why is the sky blue?")
        running.wait_for_rows(f"{JOBS} 'emil'", [("title", "running", 1)])
        running.kill()
    with serving(folder, SETTINGS) as running:
        person = Person(running, "emil", "free")
        assert person.titled(conversation)["title"] == "word0 word1 word2"
        running.wait_for_rows(f"{JOBS} 'emil'", [("title", "completed", 2)])
