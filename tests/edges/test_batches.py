"""Batches over a real server: every line in one file, no line asked twice, and nobody waits for them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.edges.raw import RawConnection, ask, post
from tests.serving import ADMIN_KEY, Served, chat_body, serving
from tests.upstreams import ScriptedUpstream, scripted_upstream

CHAT = "/v1/chat/completions"
INPUT, OUTPUT = 2, 8  # micro-dollars a token
WINDOW = "select spent_micros, held_micros from budget_window where scope = 'app'"
COST = "select coalesce(sum(cost_micros), 0) from attempt"
ENDED = {"completed", "failed", "expired", "cancelled"}


def settings(up: ScriptedUpstream, **more: Any) -> dict[str, Any]:
    return {
        "providers": {"mock": {"kind": "openai-compatible", "base_url": f"{up.url}/v1", "api_key": "sk-test-mock"}},
        "models": {
            "quick": {"route": ["mock/echo"]},
            "paced": {"route": ["mock/words-10:pace=10"]},
            "refusing": {"route": ["mock/words-3:fault=400"]},
            "embed": {"route": ["mock/echo"], "kind": "embeddings"},
        },
        "default_model": "quick",
        "prices": {"mock/*": {"input": INPUT, "output": OUTPUT}},
        "tiers": {"free": {}},
        "default_tier": "free",
        "budgets": [{"scope": "app", "usd": 10, "per": "total"}],
        "shutdown_grace_s": 0.2,
        **more,
    }


@pytest.fixture(autouse=True)
async def close_connections() -> Any:
    yield
    await RawConnection.close_all()


@pytest.fixture
async def up() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as served:
        yield served


def line(custom_id: str, **body: Any) -> str:
    asked = {"messages": [{"role": "user", "content": f"question {custom_id} end"}], **body}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": CHAT, "body": asked})


class Desk:
    """What a caller of files and batches does, over HTTP and beside the test's own loop."""

    def __init__(self, served: Served, token: str = ADMIN_KEY) -> None:
        self._served = served
        self._headers = {"Authorization": f"Bearer {token}"}

    async def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        url = self._served.url + path
        return await asyncio.to_thread(httpx2.request, method, url, headers=self._headers, timeout=30, **options)

    async def upload(self, content: str) -> str:
        files = {"file": ("lines.jsonl", content.encode())}
        answer = await self.ask("POST", "/v1/files", data={"purpose": "batch"}, files=files)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    async def begin(self, lines: list[str], endpoint: str = CHAT) -> str:
        asked = {
            "input_file_id": await self.upload("\n".join(lines)),
            "endpoint": endpoint,
            "completion_window": "24h",
        }
        answer = await self.ask("POST", "/v1/batches", json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    async def find(self, batch_id: str) -> dict[str, Any]:
        return (await self.ask("GET", f"/v1/batches/{batch_id}")).json()

    async def until_done(self, batch_id: str, done: int) -> dict[str, Any]:
        """The batch once so many lines are, or all where it has ended."""
        async with asyncio.timeout(30):
            while True:
                found = await self.find(batch_id)
                counts = found["request_counts"]
                if found["status"] in ENDED or counts["completed"] + counts["failed"] >= done:
                    return found
                await asyncio.sleep(0.02)

    async def until_ended(self, batch_id: str) -> dict[str, Any]:
        return await self.until_done(batch_id, 10**9)

    async def results(self, batch: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Answers, and errors, by custom id; each id once in all."""
        both: list[dict[str, Any]] = []
        for name in ("output_file_id", "error_file_id"):
            told: list[dict[str, Any]] = []
            if batch[name] is not None:
                content = await self.ask("GET", f"/v1/files/{batch[name]}/content")
                told = [json.loads(each) for each in content.text.splitlines()]
            both.append({each["custom_id"]: each for each in told})
            assert len(both[-1]) == len(told)
        assert not both[0].keys() & both[1].keys()
        counts = batch["request_counts"]
        assert (counts["completed"], counts["failed"]) == (len(both[0]), len(both[1]))
        return both[0], both[1]


def asked_of(up: ScriptedUpstream) -> Counter[str]:
    """How often each line's question reached the provider."""
    said = [json.loads(bytes(record.body))["messages"][0]["content"] for record in up.journal() if record.body]  # type: ignore[arg-type]
    return Counter(text.split()[1] for text in said)


def billed(up: ScriptedUpstream) -> int:
    return sum(INPUT * each.billed.input_tokens + OUTPUT * each.billed.output_tokens for each in up.journal())


async def test_good_and_bad_lines_each_get_what_they_deserve(up: ScriptedUpstream, tmp_path: Path) -> None:
    kinds: dict[int, dict[str, Any]] = {1: {"model": "unheard_of"}, 2: {"temperature": "hot"}, 3: {"model": "refusing"}}
    kinds[4] = {"model": "embed"}
    expected = {1: 404, 2: 400, 3: 400, 4: 400}
    with serving(tmp_path, settings(up)) as served:
        desk = Desk(served)
        batch = await desk.until_ended(await desk.begin([line(f"n{n}", **kinds.get(n % 10, {})) for n in range(200)]))

        output, errors = await desk.results(batch)

        assert batch["status"] == "completed"
        assert set(output) == {f"n{n}" for n in range(200) if n % 10 not in expected}
        for custom_id, each in output.items():
            assert each["response"]["body"]["choices"][0]["message"]["content"] == f"question {custom_id} end"
            assert each["response"]["request_id"] == each["response"]["body"]["id"]
        assert {custom_id: each["response"]["status_code"] for custom_id, each in errors.items()} == {
            f"n{n}": expected[n % 10] for n in range(200) if n % 10 in expected
        }
        assert set(asked_of(up).values()) == {1}
        await served.until_rows(WINDOW, [(billed(up), 0)])
        await served.until_rows("select count(*) from turn where status = 'completed'", [(120,)])
        assert "route_broke" not in served.log
        assert "batch_broke" not in served.log


async def test_kill_9_in_the_middle(up: ScriptedUpstream, tmp_path: Path) -> None:
    """No line is asked again, none is lost, and what was put aside for those under way is spent as a crash's."""
    served = Served(tmp_path, settings(up))
    await asyncio.to_thread(served.start)
    desk = Desk(served)
    batch_id = await desk.begin([line(f"n{n}", model="paced") for n in range(60)])
    for done in (12, 30):
        await desk.until_done(batch_id, done)
        await asyncio.to_thread(served.kill)
        await up.until_idle()
        await asyncio.to_thread(served.start)
    try:
        batch = await desk.until_ended(batch_id)
        output, errors = await desk.results(batch)

        assert batch["status"] == "completed"
        assert set(output) | set(errors) == {f"n{n}" for n in range(60)}
        assert {each["error"]["code"] for each in errors.values()} == {"interrupted"}
        assert 1 <= len(errors) <= 8
        asked = asked_of(up)
        assert max(asked.values()) == 1
        assert set(output) <= set(asked)
        assert set(asked) - set(output) <= set(errors)
        await served.until_rows("select count(*) from turn where status = 'running'", [(0,)])
        ((cost,),) = served.rows(COST)
        await served.until_rows(WINDOW, [(cost, 0)])
        assert cost >= billed(up)
        assert served.rows("pragma integrity_check") == [("ok",)]
    finally:
        await asyncio.to_thread(served.stop)


@pytest.mark.slow
async def test_a_restart_lets_lines_under_way_end_and_goes_on_with_the_others(
    up: ScriptedUpstream, tmp_path: Path
) -> None:
    served = Served(tmp_path, settings(up, shutdown_grace_s=5))
    await asyncio.to_thread(served.start)
    desk = Desk(served)
    batch_id = await desk.begin([line(f"n{n}", model="paced") for n in range(30)])
    await desk.until_done(batch_id, 8)
    assert await asyncio.to_thread(served.stop) == 0
    await asyncio.to_thread(served.start)
    try:
        output, errors = await desk.results(await desk.until_ended(batch_id))

        assert (len(output), errors) == (30, {})
        assert max(asked_of(up).values()) == 1
    finally:
        await asyncio.to_thread(served.stop)


@pytest.mark.slow
async def test_a_restart_without_patience_says_which_lines_it_cut(up: ScriptedUpstream, tmp_path: Path) -> None:
    served = Served(tmp_path, settings(up, shutdown_grace_s=0, models={"slow": {"route": ["mock/words-40:pace=50"]}},
                                       default_model="slow"))  # fmt: skip
    await asyncio.to_thread(served.start)
    desk = Desk(served)
    batch_id = await desk.begin([line(f"n{n}", max_tokens=40) for n in range(8)])
    await up.until(lambda: len(asked_of(up)) == 4)
    assert await asyncio.to_thread(served.stop) == 0
    await up.until_idle()
    cut = set(asked_of(up))
    up.play()
    await asyncio.to_thread(served.start)
    try:
        await desk.ask("POST", f"/v1/batches/{batch_id}/cancel")
        batch = await desk.until_ended(batch_id)
        _, errors = await desk.results(batch)

        assert {custom_id for custom_id, each in errors.items() if each["error"]["code"] == "interrupted"} == cut
        assert max(asked_of(up).values()) == 1
    finally:
        await asyncio.to_thread(served.stop)


async def test_a_budget_that_is_spent_fails_the_lines_that_are_left(up: ScriptedUpstream, tmp_path: Path) -> None:
    budget = [{"scope": "app", "usd": 0.001, "per": "total"}]
    with serving(tmp_path, settings(up, budgets=budget)) as served:
        desk = Desk(served)
        batch = await desk.until_ended(await desk.begin([line(f"n{n}", max_tokens=20) for n in range(40)]))

        output, errors = await desk.results(batch)

        assert output
        codes = {each["response"]["body"]["error"]["code"] for each in errors.values()}
        assert codes == {"insufficient_quota"}
        await served.until_rows(WINDOW, [(billed(up), 0)])
        assert billed(up) <= 1_000
        assert set(asked_of(up)) == set(output)


async def test_lines_wait_for_what_the_others_hold_of_a_budget(up: ScriptedUpstream, tmp_path: Path) -> None:
    # Each puts aside 2000 tokens at 8 micro-dollars, and uses a few: there is money for one at a time.
    budget = [{"scope": "app", "usd": 0.02, "per": "total"}]
    with serving(tmp_path, settings(up, budgets=budget)) as served:
        desk = Desk(served)
        lines = [line(f"n{n}", model="paced", max_tokens=2000) for n in range(12)]
        output, errors = await desk.results(await desk.until_ended(await desk.begin(lines)))

        assert (len(output), errors) == (12, {})
        await served.until_rows(WINDOW, [(billed(up), 0)])


# --- what needs no upstream to look at ----------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that answers by itself."""
    with serving(tmp_path_factory.mktemp("batches"), BY_ITSELF) as server:
        yield server
        assert "route_broke" not in server.log
        assert "batch_broke" not in server.log


BY_ITSELF: dict[str, Any] = {
    "providers": {"scripted": {"kind": "scripted"}},
    "models": {
        "quick": {"route": ["scripted/echo"]},
        "slow": {"route": ["scripted/slow-20"]},
        "embed": {"route": ["scripted/embed"], "kind": "embeddings"},
    },
    "default_model": "quick",
    "tiers": {"free": {"concurrent": 4}},
    "default_tier": "free",
    "batches": {"concurrent": 8},
    "shutdown_grace_s": 0.2,
}


async def token_of(served: Served, user: str) -> str:
    return (await ask(served, post("/api/sessions", json.dumps({"user": user}).encode())))[1]["token"]


async def test_nobody_waits_for_a_batch(served: Served) -> None:
    """A person asks while a batch of their own is under way: it leaves them half of what they may ask at a time."""
    token = await token_of(served, "busy")
    desk = Desk(served, token)
    batch_id = await desk.begin([line(f"n{n}", model="slow") for n in range(40)])
    await desk.until_done(batch_id, 2)

    for _ in range(5):
        status, _ = await ask(served, post(CHAT, chat_body(), token))
        assert status == 200
    assert (await desk.find(batch_id))["status"] == "in_progress"
    batch = await desk.until_ended(batch_id)

    assert batch["request_counts"] == {"total": 40, "completed": 40, "failed": 0}
    assert served.rows("select count(*) from turn where status = 'refused'") == [(0,)]


async def test_other_endpoints_and_other_people(served: Served) -> None:
    one, other = [Desk(served, await token_of(served, user)) for user in ("u1", "u2")]
    embeddings = [
        json.dumps({"custom_id": f"e{n}", "method": "POST", "url": "/v1/embeddings",
                    "body": {"model": "embed", "input": f"text {n}"}}) for n in range(3)
    ]  # fmt: skip
    responses = [json.dumps({"custom_id": "r", "method": "POST", "url": "/v1/responses", "body": {"input": "hello"}})]

    of_one = await one.until_ended(await one.begin(embeddings, "/v1/embeddings"))
    of_other = await other.until_ended(await other.begin(responses, "/v1/responses"))

    output, _ = await one.results(of_one)
    assert all(len(each["response"]["body"]["data"][0]["embedding"]) > 0 for each in output.values())
    output, _ = await other.results(of_other)
    assert output["r"]["response"]["body"]["object"] == "response"
    for path in (f"/v1/batches/{of_one['id']}", f"/v1/files/{of_one['output_file_id']}/content"):
        assert (await other.ask("GET", path)).status_code == 404
    assert (await other.ask("POST", f"/v1/batches/{of_one['id']}/cancel")).status_code == 404
    listed = (await other.ask("GET", "/v1/batches")).json()
    assert [each["id"] for each in listed["data"]] == [of_other["id"]]
    await served.until_rows("select person, count(*) from turn where door = 'embeddings' group by 1", [("u1", 3)])


async def test_who_was_logged_out_asks_no_more(served: Served) -> None:
    desk = Desk(served, await token_of(served, "gone"))
    batch_id = await desk.begin([line(f"n{n}", model="slow") for n in range(900)])
    await desk.until_done(batch_id, 1)

    answer = await Desk(served).ask("DELETE", "/api/users/gone/sessions")

    assert answer.status_code == 200
    await served.until_rows(f"select status from batch where id = '{batch_id}'", [("cancelled",)])
    batch = await Desk(served, await token_of(served, "gone")).find(batch_id)
    assert [problem["code"] for problem in batch["errors"]["data"]] == ["credential_revoked"]
    assert batch["request_counts"]["completed"] < 800
