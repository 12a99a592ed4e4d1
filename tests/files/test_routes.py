"""/v1/files over ASGI: forms as clients write them, however they come; who is refused, and what is left of it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from frontdesk.accounts.service import NewSession
from frontdesk.app import Frontdesk
from frontdesk.core.config import parse_config, read_environment
from frontdesk.files.form import plain_name
from frontdesk.storage.database import open_database
from tests.files.test_service import CONTENT, rows
from tests.http.asgi import Answer, ask

SETTINGS = """
providers: {scripted: {kind: scripted}}
models: {fast: {route: [scripted/echo]}}
default_model: fast
files: {max_mb: 2, per_user_mb: 3, keep_days: 7}
limits: {body_mb: 0.1}
cors: {origins: ["https://app.example"]}
"""
BOUNDARY = b"a-boundary"
TYPE = (b"content-type", b"multipart/form-data; boundary=" + BOUNDARY)


@pytest.fixture
async def app(sqlite_url: str) -> AsyncIterator[Frontdesk]:
    opened = Frontdesk(
        parse_config(SETTINGS, {}), read_environment({}), await open_database(sqlite_url), is_development=False
    )
    await opened.accounts.load()
    yield opened
    await opened.close()


async def token_of(app: Frontdesk, user: str) -> str:
    new = NewSession("default", user, None, (), None, None, 60, is_refreshable=False, is_anonymous=False)
    return (await app.accounts.begin_session(new)).token


def form(*parts: tuple[str, bytes], filename: str = "a.jsonl", media_type: str | None = "application/jsonl") -> bytes:
    """A form of these parts; those that are called "file" are files."""
    lines = []
    for name, content in parts:
        lines.append(b"--" + BOUNDARY)
        head = f'Content-Disposition: form-data; name="{name}"'
        if name == "file":
            head += f'; filename="{filename}"' + (f"\r\nContent-Type: {media_type}" if media_type else "")
        lines += [head.encode(), b"", content]
    return b"\r\n".join([*lines, b"--" + BOUNDARY + b"--", b""])


def cut(body: bytes, size: int = 65_536) -> Iterable[dict[str, Any]]:
    """A body in messages, as a server hands it on."""
    for start in range(0, len(body), size):
        yield {
            "type": "http.request",
            "body": body[start : start + size],
            "more_body": start + size < len(body),
        }


async def upload(app: Frontdesk, token: str, body: bytes, *, says_length: bool = True, **options: Any) -> Answer:
    headers = [(b"authorization", f"Bearer {token}".encode()), options.pop("type_", TYPE)]
    if says_length:
        headers.append((b"content-length", b"%d" % len(body)))
    return await ask(app.asgi, "POST", "/v1/files", headers=headers, messages=options.pop("messages", cut(body)))


async def get(app: Frontdesk, token: str, path: str, method: str = "GET") -> Answer:
    return await ask(app.asgi, method, path, headers=[(b"authorization", f"Bearer {token}".encode())])


GOOD = form(("purpose", b"batch"), ("file", CONTENT))


@pytest.mark.parametrize("says_length", [True, False], ids=["length", "chunked"])
@pytest.mark.parametrize("order", ["purpose first", "file first"])
async def test_a_file_is_kept_as_it_came(app: Frontdesk, order: str, says_length: bool) -> None:
    token = await token_of(app, "u1")
    parts = [("purpose", b"user_data"), ("file", CONTENT)]
    parts += [("expires_after[anchor]", b"created_at"), ("expires_after[seconds]", b"3600")]
    body = form(*(parts if order == "purpose first" else parts[::-1]), filename="C:\\\\docs\\\\a %22b%22.pdf")

    answer = await upload(app, token, body, says_length=says_length)

    assert answer.status == 200, answer.body
    told = answer.body
    assert {name: told[name] for name in ("object", "bytes", "filename", "purpose", "status")} == {
        "object": "file",
        "bytes": len(CONTENT),
        "filename": 'a "b".pdf',
        "purpose": "user_data",
        "status": "processed",
    }
    assert told["expires_at"] == told["created_at"] + 3600
    assert (await get(app, token, f"/v1/files/{told['id']}")).body == told
    content = await get(app, token, f"/v1/files/{told['id']}/content")
    assert b"".join(message.get("body", b"") for message in content.messages[1:]) == CONTENT
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20%22b%22.pdf"
    assert content.headers["x-content-type-options"] == "nosniff"
    assert content.headers["content-length"] == str(len(CONTENT))
    head = await get(app, token, f"/v1/files/{told['id']}/content", "HEAD")
    assert (head.headers, [message.get("body") for message in head.messages[1:]]) == (content.headers, [b""])


async def test_without_a_word_it_is_kept_as_long_as_any(app: Frontdesk) -> None:
    told = (await upload(app, await token_of(app, "u1"), GOOD)).body

    assert told["expires_at"] == told["created_at"] + 7 * 86_400


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_form_may_come_in_any_pieces(app: Frontdesk, size: int) -> None:
    body = form(("purpose", b"batch"), ("file", b"x" * 3000))

    answer = await upload(app, await token_of(app, "u1"), body, messages=cut(body, size))

    assert (answer.status, answer.body["bytes"]) == (200, 3000)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (form(("file", b"x")), "missing_required_parameter", "purpose"),
        (form(("purpose", b"batch")), "missing_required_parameter", "file"),
        (form(("purpose", b"batch"), ("file", b"")), "empty_file", "file"),
        (form(("purpose", b"world domination"), ("file", b"x")), "invalid_value", "purpose"),
        (form(("purpose", b"batch_output"), ("file", b"x")), "invalid_value", "purpose"),
        (form(("purpose", b"batch"), ("purpose", b"batch"), ("file", b"x")), "invalid_value", "purpose"),
        (form(("purpose", b"batch"), ("file", b"x"), ("file", b"y")), "invalid_value", "file"),
        (form(("purpose", b"batch"), ("surprise", b"x"), ("file", b"x")), "unsupported_parameter", "surprise"),
        (form(("purpose", b"x" * 2000), ("file", b"x")), "invalid_value", "purpose"),
        (form(("purpose", b"batch"), ("file", b"x"), ("expires_after[seconds]", b"3600")), "invalid_value",
         "expires_after[anchor]"),
        (form(("purpose", b"batch"), ("file", b"x"), ("expires_after[anchor]", b"created_at")),
         "missing_required_parameter", "expires_after[seconds]"),
        (form(("purpose", b"batch"), ("file", b"x"), ("expires_after[anchor]", b"created_at"),
              ("expires_after[seconds]", b"60")), "invalid_value", "expires_after[seconds]"),
        (form(("purpose", b"batch"), ("file", b"x")).replace(b'; filename="a.jsonl"', b""), "invalid_value", "file"),
        (GOOD[:-20], "invalid_form", None),
        (b"{}", "invalid_form", None),
        (b"", "invalid_form", None),
    ],
)  # fmt: skip
async def test_what_is_no_upload_is_refused_and_leaves_nothing(
    app: Frontdesk, body: bytes, code: str, param: str | None
) -> None:
    answer = await upload(app, await token_of(app, "u1"), body, messages=[*cut(body)] or [{"type": "http.request"}])

    assert (answer.status, answer.code, answer.body["error"]["param"]) == (400, code, param)
    await app._files.sweep()
    assert await rows(app._database) == (0, 0)


@pytest.mark.parametrize("type_", [b"application/json", b"multipart/form-data", b"text/plain"])
async def test_another_type_is_refused_unread(app: Frontdesk, type_: bytes) -> None:
    answer = await upload(app, await token_of(app, "u1"), b"{}", type_=(b"content-type", type_), messages=[])

    assert answer.status == 400
    assert await rows(app._database) == (0, 0)


@pytest.mark.parametrize("says_length", [True, False], ids=["length", "chunked"])
async def test_a_file_that_is_too_large_is_refused(app: Frontdesk, says_length: bool) -> None:
    body = form(("purpose", b"batch"), ("file", b"x" * (2 * 1024 * 1024 + 1)))
    if says_length:
        body += b" " * 70_000  # the form's own overhead is not counted: this is beyond it

    answer = await upload(app, await token_of(app, "u1"), body, says_length=says_length)

    assert (answer.status, answer.code) == (413, "file_too_large")
    await app._files.sweep()
    assert await rows(app._database) == (0, 0)


async def test_what_stands_behind_a_form_has_a_limit_too(app: Frontdesk) -> None:
    body = form(("purpose", b"batch"), ("file", b"x")) + b" " * 3_000_000

    answer = await upload(app, await token_of(app, "u1"), body, says_length=False)

    assert (answer.status, answer.code) == (413, "request_too_large")


async def test_a_person_is_told_that_their_files_are_too_many(app: Frontdesk) -> None:
    token = await token_of(app, "u1")
    body = form(("purpose", b"batch"), ("file", b"x" * 1_800_000))
    first = (await upload(app, token, body)).body["id"]

    answer = await upload(app, token, body)

    assert (answer.status, answer.code) == (413, "storage_full")
    assert "1 of 1,000 files, which hold 1.7 of 3 MB" in answer.body["error"]["message"]
    assert (await upload(app, await token_of(app, "u2"), body)).status == 200
    assert (await get(app, token, f"/v1/files/{first}", "DELETE")).body == {
        "id": first,
        "object": "file",
        "deleted": True,
    }
    assert (await upload(app, token, body)).status == 200


async def test_who_hangs_up_within_an_upload_leaves_nothing(app: Frontdesk) -> None:
    token = await token_of(app, "u1")
    half = [*itertools.islice(cut(GOOD), 8), {"type": "http.disconnect"}]

    answer = await upload(app, token, GOOD, messages=half)

    assert answer.messages == []
    assert (await get(app, token, "/v1/files")).body["data"] == []
    await app._files.sweep()
    assert await rows(app._database) == (0, 0)


async def test_who_is_nobody_any_more_when_it_is_whole_leaves_nothing(app: Frontdesk) -> None:
    token = await token_of(app, "u1")
    started = False

    class Coming:
        """The body; the session is ended when half of it has come."""

        def __init__(self) -> None:
            self._messages = [*cut(GOOD)]

        def __iter__(self) -> Coming:
            return self

        def __next__(self) -> dict[str, Any]:
            nonlocal started
            if len(self._messages) == 3:
                started = True
                app.accounts._revocations.add(ended)
            return self._messages.pop(0)

    from frontdesk.accounts.store import EndedSession

    session = (await get(app, token, "/api/me")).body["id"]
    ended = [EndedSession("default", session, "u1", 2**62)]

    answer = await upload(app, token, GOOD, messages=Coming())

    assert started
    assert (answer.status, answer.code) == (401, "token_revoked")
    await app._files.sweep()
    assert await rows(app._database) == (0, 0)


async def test_nobody_elses_upload_is_read(app: Frontdesk) -> None:
    """Who may not ask is refused before a byte of the body is read."""
    answer = await upload(app, "fd_sk_nobodys", GOOD, messages=[])

    assert answer.status == 401


async def test_a_page_of_another_origin_reads_the_name_of_what_it_downloads(app: Frontdesk) -> None:
    token = await token_of(app, "u1")
    file_id = (await upload(app, token, GOOD)).body["id"]
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"origin", b"https://app.example")]

    answer = await ask(app.asgi, "HEAD", f"/v1/files/{file_id}/content", headers=headers)

    assert "content-disposition" in answer.headers["access-control-expose-headers"].split(", ")


async def test_two_people_see_their_own(app: Frontdesk) -> None:
    one, other = await token_of(app, "u1"), await token_of(app, "u2")
    mine = (await upload(app, one, GOOD)).body

    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        answer = await get(app, other, f"/v1/files/{mine['id']}{path}", method)
        assert (answer.status, answer.code) == (404, "file_not_found")
    assert (await get(app, other, "/v1/files")).body["data"] == []
    assert (await get(app, one, "/v1/files")).body == {
        "object": "list",
        "data": [mine],
        "first_id": mine["id"],
        "last_id": mine["id"],
        "has_more": False,
    }
    assert (await get(app, await token_of(app, "u1"), "/v1/files")).body["data"] == [mine]  # another device


async def test_lists_come_in_pages(app: Frontdesk) -> None:
    token = await token_of(app, "u1")
    bodies = [form(("purpose", purpose), ("file", b"x")) for purpose in (b"batch", b"vision", b"batch")]
    ids = [(await upload(app, token, body)).body["id"] for body in bodies]
    ids.sort(reverse=True)

    first = (await get(app, token, "/v1/files?limit=2")).body
    rest = (await get(app, token, f"/v1/files?limit=2&after={first['last_id']}")).body

    assert [[each["id"] for each in page["data"]] for page in (first, rest)] == [ids[:2], ids[2:]]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    backwards = (await get(app, token, "/v1/files?order=asc")).body["data"]
    assert [each["id"] for each in backwards] == ids[::-1]
    assert {each["purpose"] for each in (await get(app, token, "/v1/files?purpose=batch")).body["data"]} == {"batch"}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=10001",
        "limit=x",
        "order=up",
        "after=%00",
        f"after={'x' * 200}",
        "purpose=A",
        "purpose=zzz",
        "page=2",
    ],
)
async def test_what_no_list_has_is_refused_by_name(app: Frontdesk, query: str) -> None:
    answer = await get(app, await token_of(app, "u1"), f"/v1/files?{query}")

    assert (answer.status, answer.code, answer.body["error"]["param"]) == (
        400,
        "invalid_value",
        query.partition("=")[0],
    )


async def test_a_purpose_that_no_file_has_is_told_of_those_that_there_are(app: Frontdesk) -> None:
    token = await token_of(app, "u1")

    answer = await get(app, token, "/v1/files?purpose=zzz")

    assert answer.body["error"]["message"] == (
        "Invalid value for 'purpose': 'zzz'. It must be one of 'assistants', 'batch', 'evals', 'fine-tune', "
        "'user_data', 'vision', 'batch_output'."
    )
    assert (await get(app, token, "/v1/files?purpose=batch_output")).body["data"] == []


@pytest.mark.parametrize(
    ("told", "kept"),
    [("a.txt", "a.txt"), ("/etc/passwd", "passwd"), ("C:\\a\\b.txt", "b.txt"), ("a\r\nb", "a__b"), ("", "file"),
     ("dir/", "file"), ("x" * 300 + ".pdf", "x" * 251 + ".pdf"), ("..", "..")],
)  # fmt: skip
def test_a_name_is_a_name(told: str, kept: str) -> None:
    assert plain_name(told) == kept


@pytest.mark.parametrize(
    ("filename", "told", "kept"),
    [("a.pdf", None, "application/pdf"), ("a.pdf", "application/octet-stream", "application/pdf"),
     ("a.pdf", "Text/Plain; charset=utf-8", "text/plain"), ("a.PNG", "x", "image/png"),
     ("a", None, "application/octet-stream"), ("a.b", "a/b c", "application/octet-stream")],
)  # fmt: skip
async def test_a_file_has_a_type(app: Frontdesk, filename: str, told: str | None, kept: str) -> None:
    token = await token_of(app, "u1")
    body = form(("purpose", b"vision"), ("file", b"x"), filename=filename, media_type=told)

    file_id = (await upload(app, token, body)).body["id"]

    from frontdesk.files.owner import Owner

    assert (await app._files.find(Owner("default", "u1", ""), file_id)).media_type == kept
