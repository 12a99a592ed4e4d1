"""A route that says so does once what comes with a key, and answers again what it answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Annotated, Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from frontdesk.core.errors import BadRequest
from frontdesk.http.callers import Admission, May, guarded, guarded_upload
from frontdesk.http.edge import Edge
from frontdesk.http.once import Once
from frontdesk.http.requests import ClientGone, Head
from frontdesk.http.starlette import Routes, read_json
from frontdesk.idempotency.service import IdempotencyKeys, IdempotencyTimes
from frontdesk.storage.database import Database, open_database
from frontdesk.turn.turn import Caller
from tests.fakes import HandClock
from tests.http.asgi import Answer, ask
from tests.http.test_callers import REVOKED, Revocable

SERVER = Caller("server", "key_1")
FORM = (b"content-type", b"multipart/form-data; boundary=one")


class Asked(msgspec.Struct):
    """What the desk takes."""

    name: str


class Desk:
    """Routes that count what they do."""

    def __init__(self, keys: IdempotencyKeys | None, callers: Revocable) -> None:
        self.done: list[str] = []
        self.dropped = 0
        self.answers: list[Exception] = []
        routes = [
            guarded("/things", "POST", self.make, callers, Once(keys)),
            guarded("/things/{thing}/names", "POST", self.name, callers, Once(keys)),
            guarded("/secrets", "POST", self.make, callers, Once(keys, is_secret=True)),
            guarded("/plain", "POST", self.make, callers),
            guarded_upload("/files", self.upload, callers, Once(keys)),
        ]
        self._application = Edge({}, Routes(routes, Routes([], None)))  # type: ignore[arg-type]

    async def make(self, request: Request, caller: Annotated[Caller | None, May("server", or_nobody=True)]) -> Response:
        name = (await read_json(request, Asked)).name
        if self.answers:
            raise self.answers.pop(0)
        self.done.append(name)
        made = JSONResponse({"name": name, "number": len(self.done)}, 201, {"cache-control": "no-store"})
        made.set_cookie("a", "1")
        made.set_cookie("b", "2")
        return made

    async def name(self, request: Request, caller: Annotated[Caller, May("server")]) -> Response:
        self.done.append(request.path_params["thing"])
        return JSONResponse(request.path_params["thing"])

    async def upload(
        self, request: Request, caller: Annotated[Caller, May("server")], admission: Admission
    ) -> Response:
        try:
            return await self._keep(request, admission)
        except Exception:
            self.dropped += 1
            raise

    async def _keep(self, request: Request, admission: Admission) -> Response:
        body, has_more = b"", True
        while has_more:
            message = await request.receive()
            if message["type"] != "http.request":
                raise ClientGone
            body += message.get("body", b"")
            has_more = message.get("more_body", False)
        await admission()
        if self.answers:
            raise self.answers.pop(0)
        self.done.append("file")
        return JSONResponse({"size": len(body), "number": len(self.done)})

    async def post(
        self,
        path: str = "/things",
        body: bytes | Sequence[bytes] = b'{"name": "one"}',
        key: bytes | None = b"k",
        *headers: tuple[bytes, bytes],
        authorization: bytes = b"Bearer a",
        messages: Iterable[dict[str, Any]] | None = None,
    ) -> Answer:
        pieces = [body] if isinstance(body, bytes) else body
        told = [(b"authorization", authorization), *headers]
        if key is not None:
            told.append((b"idempotency-key", key))
        whole = [
            {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
            for number, piece in enumerate(pieces, 1)
        ]
        return await ask(self._application, "POST", path, headers=told, messages=messages or whole)


@pytest.fixture
async def store(sqlite_url: str) -> AsyncIterator[Database]:
    opened = await open_database(sqlite_url)
    yield opened
    await opened.close()


@pytest.fixture
async def keys(store: Database) -> AsyncIterator[IdempotencyKeys]:
    opened = IdempotencyKeys(store, "proc_1", HandClock(), lambda now_ms: now_ms + 1000, IdempotencyTimes(30.0))
    yield opened
    await opened.close()


@pytest.fixture
def callers() -> Revocable:
    return Revocable(SERVER)


@pytest.fixture
def desk(keys: IdempotencyKeys, callers: Revocable) -> Desk:
    return Desk(keys, callers)


def told(answer: Answer) -> tuple[int, Any, list[tuple[bytes, bytes]]]:
    headers = [field for field in answer.messages[0]["headers"] if field[0] != b"idempotent-replayed"]
    return answer.status, answer.body, headers


async def test_status_headers_and_body_are_told_again(desk: Desk) -> None:
    first = await desk.post()
    again = await desk.post(body=b'{ "name":"one" }')

    assert (first.status, first.body) == (201, {"name": "one", "number": 1})
    assert told(again) == told(first)
    assert len(again.all("set-cookie")) == 2
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert desk.done == ["one"]


async def test_another_body_is_refused_before_it_is_looked_at(desk: Desk) -> None:
    await desk.post()

    answer = await desk.post(body=b'{"name": 2}')

    assert (answer.status, answer.code) == (422, "idempotency_key_reused")
    assert "'k'" in answer.body["error"]["message"]


async def test_without_a_key_everything_is_done(desk: Desk) -> None:
    assert [(await desk.post(key=None)).body["number"] for _ in range(2)] == [1, 2]


async def test_where_a_route_does_not_say_so_a_key_means_nothing(desk: Desk) -> None:
    assert [(await desk.post("/plain")).body["number"] for _ in range(2)] == [1, 2]


async def test_where_nobody_keeps_keys_they_mean_nothing(callers: Revocable) -> None:
    desk = Desk(None, callers)

    assert [(await desk.post()).body["number"] for _ in range(2)] == [1, 2]


async def test_nobodys_key_means_nothing(desk: Desk, callers: Revocable) -> None:
    callers.revoke(REVOKED)

    answers = [await ask_as_nobody(desk) for _ in range(2)]

    assert [answer.body["number"] for answer in answers] == [1, 2]


async def ask_as_nobody(desk: Desk) -> Answer:
    message = {"type": "http.request", "body": b'{"name": "one"}'}
    return await ask(desk._application, "POST", "/things", headers=[(b"idempotency-key", b"k")], messages=[message])


@pytest.mark.parametrize("key", [b"", b"a" * 256, b"\xe9"])
async def test_a_key_that_is_none_is_refused(desk: Desk, key: bytes) -> None:
    answer = await desk.post(key=key)

    assert (answer.status, answer.code, desk.done) == (400, "invalid_idempotency_key", [])


async def test_two_keys_are_refused(desk: Desk) -> None:
    answer = await desk.post("/things", b"{}", b"k", (b"idempotency-key", b"l"))

    assert (answer.status, answer.code) == (400, "duplicate_header")
    assert Head({"method": "POST", "scheme": "http", "headers": []}).idempotency_key is None


async def test_what_a_path_leaves_open_counts_as_the_body_does(desk: Desk) -> None:
    assert (await desk.post("/things/a/names")).body == "a"
    assert (await desk.post("/things/b/names")).code == "idempotency_key_reused"
    assert (await desk.post("/things/a/names?x=1")).code == "idempotency_key_reused"
    assert (await desk.post("/things/a/names")).body == "a"
    assert desk.done == ["a"]


async def test_who_may_not_call_is_told_nothing(desk: Desk, callers: Revocable) -> None:
    await desk.post()
    callers.revoke(REVOKED)

    assert (await desk.post()).code == "token_revoked"


async def test_a_refusal_is_told_once_and_may_be_tried_again(desk: Desk) -> None:
    desk.answers = [BadRequest("No.", code="not_yet")]

    assert (await desk.post()).code == "not_yet"
    assert (await desk.post()).body["number"] == 1


async def test_a_bug_leaves_it_in_doubt(desk: Desk) -> None:
    desk.answers = [ValueError("a bug")]

    assert (await desk.post()).status == 500
    answer = await desk.post()

    assert (answer.status, answer.code) == (409, "idempotency_outcome_unknown")
    assert answer.headers["x-should-retry"] == "false"


async def test_a_secret_is_told_again_to_the_same_credential(desk: Desk) -> None:
    first = await desk.post("/secrets")

    assert told(await desk.post("/secrets")) == told(first)
    assert (await desk.post("/secrets", authorization=b"Bearer b")).code == "idempotency_answer_not_kept"


# --- uploads ------------------------------------------------------------------------------------


def form(boundary: bytes, content: bytes = b"bytes of a file") -> bytes:
    head = b'--%b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n' % boundary
    return head + content + b"\r\n--%b--\r\n" % boundary


def type_of(boundary: bytes) -> tuple[bytes, bytes]:
    return b"content-type", b"multipart/form-data; boundary=" + boundary


async def upload(desk: Desk, boundary: bytes = b"one", content: bytes = b"bytes", key: bytes | None = b"k") -> Answer:
    body = form(boundary, content)
    return await desk.post("/files", [body[:40], body[40:]], key, type_of(boundary))


async def test_a_file_is_kept_once_whatever_its_boundary(desk: Desk) -> None:
    first = await upload(desk)
    again = await upload(desk, b"two")

    assert told(again) == told(first)
    assert again.headers["idempotent-replayed"] == "true"
    assert (desk.done, desk.dropped) == (["file"], 1), "what came again was given up"


async def test_another_file_is_refused(desk: Desk) -> None:
    await upload(desk)

    assert (await upload(desk, content=b"bytez")).code == "idempotency_key_reused"
    assert desk.dropped == 1


async def test_two_that_come_at_once_are_kept_once(desk: Desk) -> None:
    answers = await asyncio.gather(*(upload(desk, b"b%d" % number) for number in range(4)))

    assert {answer.body["number"] for answer in answers} == {1}
    assert (desk.done, desk.dropped) == (["file"], 3)


async def test_an_upload_that_broke_off_leaves_its_key_free(desk: Desk) -> None:
    broken = [{"type": "http.request", "body": form(b"one")[:50], "more_body": True}, {"type": "http.disconnect"}]

    answer = await desk.post("/files", b"", b"k", FORM, messages=broken)

    assert answer.messages == [], "nobody is there to be answered"
    assert (await upload(desk, content=b"another")).body["number"] == 1


async def test_a_file_that_was_refused_leaves_its_key_free(desk: Desk) -> None:
    desk.answers = [BadRequest("No.", code="full")]

    assert (await upload(desk)).code == "full"
    assert (await upload(desk, content=b"another")).body["number"] == 1


async def test_who_was_revoked_meanwhile_keeps_nothing(desk: Desk, callers: Revocable) -> None:
    body = form(b"one")

    def messages() -> Iterator[dict[str, Any]]:
        yield {"type": "http.request", "body": body[:40], "more_body": True}
        callers.revoke(REVOKED)
        yield {"type": "http.request", "body": body[40:]}

    answer = await desk.post("/files", b"", b"k", FORM, messages=messages())

    assert (answer.code, desk.done) == ("token_revoked", [])


async def test_without_a_key_every_file_is_kept(desk: Desk) -> None:
    assert [(await upload(desk, key=None)).body["number"] for _ in range(2)] == [1, 2]
