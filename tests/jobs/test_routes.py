"""/api/admin/jobs over ASGI, as operators and everybody else see it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from frontdesk.accounts.keys import DEFAULT_TENANT
from frontdesk.app import Frontdesk
from frontdesk.core.config import parse_config, read_environment
from frontdesk.jobs.plan import NewJob
from frontdesk.jobs.store import enqueue
from frontdesk.storage.database import open_database
from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import job
from tests.files.test_routes import SETTINGS, token_of
from tests.http.asgi import Answer, ask
from tests.serving import ADMIN_KEY

LATER_MS = 4_000_000_000_000
_SET = job.update().where(job.c.id == "job_3")
FAIL = Query(_SET.values(status="failed", finished_at_ms=5_000, attempts=5, error_code="gone", error="It is gone."))
RUN = Query(_SET.values(status="running", owner="proc_other", attempts=2, started_at_ms=4_000, done=3, total=9))


@pytest.fixture
async def app(sqlite_url: str) -> AsyncIterator[Frontdesk]:
    environment = read_environment({"FRONTDESK_ADMIN_KEY": ADMIN_KEY})
    opened = Frontdesk(parse_config(SETTINGS, {}), environment, await open_database(sqlite_url), is_development=False)
    await opened.accounts.load()
    for number in range(5):
        new = NewJob(f"kind{number % 2}", b"private words", person="u1", priority=2, run_at_ms=LATER_MS)
        await opened._database.write(enqueue(DEFAULT_TENANT, new, f"job_{number}", 1_000 * number))
    yield opened
    await opened.close()


async def say(
    app: Frontdesk, method: str, path: str, token: str = ADMIN_KEY, query: str = "", **headers: str
) -> Answer:
    sent = [(b"authorization", f"Bearer {token}".encode())]
    sent += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return await ask(app.asgi, method, path + query, headers=sent)


def read(answer: Answer) -> Any:
    assert "private" not in json.dumps(answer.body)
    return answer.body


async def test_they_are_listed_and_narrowed(app: Frontdesk) -> None:
    async def ids(query: str) -> list[str]:
        return [each["id"] for each in read(await say(app, "GET", "/api/admin/jobs", query=query))["data"]]

    await app._database.write(Step(FAIL))

    assert await ids("") == ["job_4", "job_3", "job_2", "job_1", "job_0"]
    assert await ids("?kind=kind1") == ["job_3", "job_1"]
    assert await ids("?status=failed") == ["job_3"]
    assert await ids("?status=failed&kind=kind0") == []
    assert await ids("?status=waiting&limit=2") == ["job_4", "job_2"]
    assert await ids("?status=waiting&limit=2&after=job_2") == ["job_1", "job_0"]
    for wrong, param in (("?status=gone", "status"), ("?surprise=1", "surprise")):
        answer = await say(app, "GET", "/api/admin/jobs", query=wrong)
        assert (answer.status, read(answer)["error"]["param"]) == (400, param)


async def test_one_is_told_whole_but_for_what_is_to_be_done(app: Frontdesk) -> None:
    shape = {"object": "job", "kind": "kind1", "user": "u1", "priority": 2, "created_at": 3, "is_cancelling": False}
    waits = {"status": "waiting", "attempts": 0, "progress": None, "error": None, "next_try_at": LATER_MS // 1000}
    assert read(await say(app, "GET", "/api/admin/jobs/job_3")) == {
        "id": "job_3", **shape, **waits, "started_at": None, "finished_at": None,
    }  # fmt: skip

    await app._database.write(Step(RUN))
    runs = {"status": "running", "attempts": 2, "progress": {"done": 3, "total": 9}, "error": None, "next_try_at": None}
    assert read(await say(app, "GET", "/api/admin/jobs/job_3")) == {
        "id": "job_3", **shape, **runs, "started_at": 4, "finished_at": None,
    }  # fmt: skip
    cancelled = read(await say(app, "POST", "/api/admin/jobs/job_3/cancel"))
    assert (cancelled["status"], cancelled["is_cancelling"]) == ("running", True)
    assert (await say(app, "POST", "/api/admin/jobs/job_3/retry")).status == 409

    await app._database.write(Step(FAIL))
    failed = read(await say(app, "GET", "/api/admin/jobs/job_3"))
    assert (failed["status"], failed["finished_at"], failed["is_cancelling"]) == ("failed", 5, False)
    assert failed["error"] == {"code": "gone", "message": "It is gone."}


async def test_one_is_cancelled_and_begun_anew(app: Frontdesk) -> None:
    cancelled = await say(app, "POST", "/api/admin/jobs/job_1/cancel", idempotency_key="k")
    assert (cancelled.status, read(cancelled)["status"]) == (200, "cancelled")
    assert read(cancelled)["finished_at"] is not None
    again = await say(app, "POST", "/api/admin/jobs/job_1/cancel", idempotency_key="k")
    assert (again.status, again.body) == (200, cancelled.body)
    anew = await say(app, "POST", "/api/admin/jobs/job_1/cancel")
    assert (anew.status, read(anew)["error"]["code"]) == (409, "job_not_cancellable")

    retried = read(await say(app, "POST", "/api/admin/jobs/job_1/retry"))

    assert (retried["status"], retried["attempts"], retried["finished_at"]) == ("waiting", 0, None)
    anew = await say(app, "POST", "/api/admin/jobs/job_1/retry")
    assert (anew.status, read(anew)["error"]["code"]) == (409, "job_not_retryable")


async def test_one_whose_like_is_open_is_not_begun_anew(app: Frontdesk) -> None:
    async def keep(job_id: str) -> None:
        new = NewJob("kind0", b"", dedupe="d", run_at_ms=LATER_MS)
        await app._database.write(enqueue(DEFAULT_TENANT, new, job_id, 1))

    await keep("job_5")
    await say(app, "POST", "/api/admin/jobs/job_5/cancel")
    await keep("job_6")

    answer = await say(app, "POST", "/api/admin/jobs/job_5/retry")

    assert (answer.status, read(answer)["error"]["code"]) == (409, "job_not_retryable")
    assert read(await say(app, "GET", "/api/admin/jobs/job_5"))["status"] == "cancelled"


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/api/admin/jobs/{}"), ("POST", "/api/admin/jobs/{}/cancel"), ("POST", "/api/admin/jobs/{}/retry"),
])  # fmt: skip
async def test_anothers_are_told_of_as_those_that_never_were(app: Frontdesk, method: str, path: str) -> None:
    new = NewJob("kind0", b"private words", run_at_ms=LATER_MS)
    await app._database.write(enqueue("elsewhere", new, "job_far", 1))

    answers = [await say(app, method, path.format(job_id)) for job_id in ("job_far", "job_nil")]

    assert [answer.status for answer in answers] == [404, 404]
    assert {read(answer)["error"]["code"] for answer in answers} == {"job_not_found"}
    assert json.dumps(answers[0].body).replace("far", "nil") == json.dumps(answers[1].body)


async def test_what_is_no_name_is_not_looked_for(app: Frontdesk, postgresql_url: str) -> None:
    assert (await say(app, "GET", "/api/admin/jobs", query="?kind=a%00")).status == 400
    app._jobs._store._database = postgresql = await open_database(postgresql_url)  # it refuses a NUL

    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry")):
        answer = await say(app, method, f"/api/admin/jobs/job_\0{path}")
        assert (answer.status, read(answer)["error"]["code"]) == (404, "job_not_found")
    await postgresql.close()


async def test_only_operators_see_them(app: Frontdesk) -> None:
    users = await token_of(app, "u1")
    _, servers = await app.accounts.create_key(DEFAULT_TENANT, "s", "server", None, None)
    _, narrow = await app.accounts.create_key(DEFAULT_TENANT, "n", "operator", frozenset({"usage"}), None)

    for path in ("/api/admin/jobs", "/api/admin/jobs/job_1"):
        told = [(await say(app, "GET", path, token)).status for token in (users, servers, narrow, ADMIN_KEY)]
        assert told == [403, 403, 200, 200]
    for what in ("cancel", "retry"):
        path = f"/api/admin/jobs/job_1/{what}"
        told = [(await say(app, "POST", path, token)).status for token in (users, servers, narrow, ADMIN_KEY)]
        assert told == [403, 403, 403, 200]
