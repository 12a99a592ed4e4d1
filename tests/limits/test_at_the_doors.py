"""Limits of running servers: what official clients read of them, and that two processes share them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from frontdesk.limits.telling import HEADERS
from tests.limits.valkey_server import Server
from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving

ORIGIN = "https://app.example"
SETTINGS: dict[str, Any] = {
    **SCRIPTED,
    "tiers": {"free": {"requests_per_minute": 2}, "paid": {"tokens_per_minute": 10_000, "tokens_per_day": 4000}},
    "rate_limits": [{"scope": "group:family", "concurrent_streams": 1}],
    "cors": {"origins": [ORIGIN]},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("limits"), SETTINGS) as server:
        yield server


def token_of(served: Served, user: str, **session: Any) -> str:
    request = urllib.request.Request(
        f"{served.url}/api/sessions",
        json.dumps({"user": user, "tier": "free", **session}).encode(),
        {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["token"]


def client(served: Served, token: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key=token, max_retries=0)


def told(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith("x-ratelimit-")}


@pytest.mark.parametrize("stream", [False, True])
def test_answers_of_every_kind_tell_what_is_left(served: Served, stream: bool) -> None:
    asking = client(served, token_of(served, f"headers-{stream}", tier="paid"))

    with asking.chat.completions.with_streaming_response.create(
        model="fast", messages=[{"role": "user", "content": "hello"}], max_tokens=94, stream=stream
    ) as answer:
        headers = told(answer.headers)
        answer.read()

    assert {name: headers[name] for name in headers if "reset-tokens" not in name} == {
        "x-ratelimit-limit-tokens": "4000",
        "x-ratelimit-remaining-tokens": "3900",
    }


def test_a_refusal_says_when_to_come_back_and_pages_of_other_origins_may_read_it(served: Served) -> None:
    token = token_of(served, "refused")
    asking = client(served, token)
    for _ in range(2):
        asking.chat.completions.create(model="fast", messages=[{"role": "user", "content": "hello"}])

    with pytest.raises(openai.RateLimitError) as caught:
        asking.chat.completions.create(
            model="fast", messages=[{"role": "user", "content": "hello"}], extra_headers={"origin": ORIGIN}
        )

    refusal = caught.value
    assert refusal.code == "rate_limit_exceeded"
    assert refusal.message.count("You may send 2 messages a minute, and have. Try again in ") == 1
    assert 1 <= int(refusal.response.headers["retry-after"]) <= 30
    assert told(refusal.response.headers) == {
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
    }
    exposed = refusal.response.headers["access-control-expose-headers"]
    assert {*HEADERS, "retry-after"} <= set(exposed.split(", "))


def test_tokens_are_settled_before_the_answer_ends(served: Served) -> None:
    asking = client(served, token_of(served, "settled", tier="paid"))
    used = 0
    for _ in range(3):
        answer = asking.chat.completions.create(
            model="fast", messages=[{"role": "user", "content": "hello"}], max_tokens=3000
        )
        assert answer.usage is not None
        used += answer.usage.total_tokens

    left = 4000 - used
    with pytest.raises(openai.RateLimitError) as caught:
        asking.chat.completions.create(model="fast", messages=[{"role": "user", "content": "hello"}], max_tokens=left)

    assert f"{left:,} are left" in caught.value.message
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_a_group_shares_its_streams(served: Served) -> None:
    one, other = (
        client(served, token_of(served, user, tier="paid", groups=["family"])) for user in ("parent", "child")
    )
    question: Any = {"model": "slow", "messages": [{"role": "user", "content": "hello " * 20}], "stream": True}
    with one.chat.completions.create(**question) as stream:
        next(iter(stream))
        with pytest.raises(openai.RateLimitError, match="Your group 'family' has as many streamed answers under way"):
            other.chat.completions.create(**question)

    assert other.chat.completions.create(**{**question, "stream": False}).choices


def ready(served: Served) -> dict[str, str]:
    try:
        with urllib.request.urlopen(f"{served.url}/readyz") as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def test_two_processes_with_one_valkey_share_all_limits(tmp_path: Path, valkey: Server) -> None:
    settings = {**SETTINGS, "valkey": valkey.url}
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with serving(tmp_path / "one", settings) as one, serving(tmp_path / "other", settings) as other:
        assert ready(one)["limits"] == ready(other)["limits"] == "shared"
        asking = [client(served, token_of(served, "same-person")) for served in (one, other)]

        passed = 0
        for number in range(6):
            try:
                asking[number % 2].chat.completions.create(
                    model="fast", messages=[{"role": "user", "content": "hello"}]
                )
            except openai.RateLimitError:
                continue
            passed += 1

    assert passed == 2


def test_alone_it_says_so(served: Served) -> None:
    assert ready(served)["limits"] == "alone"
