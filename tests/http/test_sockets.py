"""WebSockets over real connections, with a client that others made; their handshakes, credentials and ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket as sockets_of_the_kernel
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Self

import pytest
from starlette.middleware.cors import CORSMiddleware
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from frontdesk.accounts.attestations import Attestations
from frontdesk.accounts.gate import Gate
from frontdesk.accounts.service import Accounts
from frontdesk.core.errors import FrontdeskError, RateLimited, Unauthenticated, Unavailable
from frontdesk.http.callers import May
from frontdesk.http.edge import Edge
from frontdesk.http.protocol import Patience
from frontdesk.http.proxies import TrustedProxies
from frontdesk.http.requests import ClientGone
from frontdesk.http.server import PatientServer, listen
from frontdesk.http.sockets import Socket, SocketDoor, Sockets
from frontdesk.storage.database import open_database
from frontdesk.storage.errors import StorageFailed
from frontdesk.turn.turn import Caller
from tests.accounts.opened import begun, opened
from tests.fakes import HandClock
from tests.http.asgi import ask

KEY = "fd_sk_test-opens-nothing"
TOKEN = "fd_st_test.token"
REVIEWER = "fd_sk_test-reviews"
ORIGIN = "https://app.example"
LIMIT_BYTES = 100_000


class Credentials:
    """Accounts with these credentials, until they are taken back. Nothing is known without being asked."""

    def __init__(self) -> None:
        self.callers = {
            KEY: Caller("server", "key_1"),
            TOKEN: Caller("user", "sess_1", "u1", tier="free"),
            REVIEWER: Caller("reviewer", "key_2"),
        }
        self.failure: Exception | None = None
        self.asked = asyncio.Event()
        self.is_ready = asyncio.Event()
        self.is_ready.set()

    def known(self, authorization: bytes | None) -> Caller | None:
        return None

    async def identify(self, authorization: bytes | None) -> Caller:
        assert authorization is not None
        self.asked.set()
        await self.is_ready.wait()
        if self.failure is not None:
            raise self.failure
        token = authorization.decode().removeprefix("Bearer ")
        if token not in self.callers:
            raise Unauthenticated("It was revoked, or never was.", code="token_revoked")
        return self.callers[token]

    def csrf_token(self, session_id: str) -> str:
        return "never asked for"


async def unheard_of(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def post_door(scope: Any, receive: Any, send: Any) -> None:
    content, more = b"", True
    while more:
        message = await receive()
        content, more = content + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]})
    await send({"type": "http.response.body", "body": content})


Serve = Callable[[Any], Awaitable[None]]


async def echo(socket: Annotated[Socket, May("user", "server")]) -> None:
    """Say who calls, then what comes."""
    await socket.send(f"{socket.caller.role} {socket.caller.tier}")
    while (message := await socket.receive()) is not None:
        await socket.send(message)


class Served:
    """A server in this loop, with a socket at /socket, and a POST door and a socket at /both."""

    def __init__(
        self,
        serve: Serve,
        *,
        takes_cookies: bool,
        patience: Patience,
        wrap: Callable[[Any], Any],
        accounts: Accounts | None,
    ) -> None:
        self.credentials = Credentials()
        whose = accounts or self.credentials
        gate = Gate(whose, _no_attestations(), takes_cookies=takes_cookies, origins=[ORIGIN])
        self.sockets = Sockets(gate, LIMIT_BYTES, look_every_s=0.05)
        self.door = self.sockets.door(serve)
        self.edge = Edge({"/both": post_door}, unheard_of, {"/socket": self.door, "/both": self.door})
        self.drained = asyncio.Event()
        self.drained.set()
        self._ready = asyncio.Event()
        self._listening = listen("127.0.0.1", 0)
        self.port: int = self._listening.getsockname()[1]
        self.server = PatientServer(wrap(self.edge), patience, self._drain, self._ready.set)

    async def __aenter__(self) -> Self:
        self._serving = asyncio.ensure_future(self.server.serve([self._listening]))
        await self._ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.should_exit = True
        await self._serving
        await self.sockets.close()

    def connect(self, path: str = "/socket", token: str | None = KEY, **options: Any) -> connect:
        headers = options.pop("headers", {})
        if token is not None:
            headers = {"authorization": f"Bearer {token}", **headers}
        return connect(f"ws://127.0.0.1:{self.port}{path}", additional_headers=headers, proxy=None, **options)

    async def refused(self, path: str = "/socket", token: str | None = None, **options: Any) -> tuple[int, Any]:
        """Status and error of a handshake."""
        with pytest.raises(InvalidStatus) as refusal:
            await self.connect(path, token, **options)
        response = refusal.value.response
        assert response.body is not None
        return response.status_code, (json.loads(response.body)["error"] if response.body else None)

    async def says(self, request: bytes, last: bytes = b"\r\n\r\n") -> bytes:
        """What it answers to these bytes, up to these."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.readuntil(last), 5)
        writer.close()
        return answer

    async def until_quiet(self) -> None:
        """Wait until nobody is served."""
        while self.server.server_state.tasks or self.server.server_state.connections:
            await asyncio.sleep(0.01)

    async def _drain(self) -> None:
        await self.drained.wait()


def _no_attestations() -> Attestations:
    class Nobody:
        generation = 0

        async def attest(self, token: str) -> Any:
            raise AssertionError("No app needs one.")

    return Attestations(Nobody(), {}, HandClock())  # type: ignore[arg-type]


def serving(
    serve: Serve = echo,
    *,
    takes_cookies: bool = False,
    patience: Patience | None = None,
    wrap: Callable[[Any], Any] = lambda application: application,
    accounts: Accounts | None = None,
) -> Served:
    usual = Patience(5, 5, 5)
    return Served(serve, takes_cookies=takes_cookies, patience=patience or usual, wrap=wrap, accounts=accounts)


async def closed(connection: ClientConnection) -> tuple[int | None, str | None]:
    """The code and reason that a connection was closed with; what came before them is passed over."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await connection.recv()
    return connection.close_code, connection.close_reason


def offering(*protocols: str) -> dict[str, Any]:
    return {"subprotocols": [Subprotocol(each) for each in protocols]}


# --- the handshake --------------------------------------------------------------------------------


async def test_a_socket_says_back_what_it_hears() -> None:
    async with serving() as served, served.connect() as client:
        assert await client.recv() == "server None"
        await client.send("Grüße 👋")
        await client.send(["in ", "two ", "parts"])

        assert [await client.recv(), await client.recv()] == ["Grüße 👋", "in two parts"]
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers
        await asyncio.wait_for(await client.ping(), 5)


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [(None, 401, "missing_credential"), ("fd_sk_wrong", 401, "token_revoked"), (REVIEWER, 403, "forbidden")],
)
async def test_a_handshake_is_refused_as_any_request(token: str | None, status: int, code: str) -> None:
    async with serving() as served:
        refused, error = await served.refused(token=token)

        assert (refused, error["code"]) == (status, code)
        assert error["message"]


async def test_an_offer_where_no_socket_is_is_passed_over() -> None:
    async with serving() as served:
        assert await served.refused("/elsewhere", KEY) == (404, None)


async def test_a_socket_is_beside_a_door() -> None:
    async with serving() as served, served.connect("/both") as client:
        assert await client.recv() == "server None"


@pytest.mark.parametrize(
    ("method", "path", "status", "headers"),
    [
        ("GET", "/socket", 426, {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13"}),
        ("POST", "/socket", 405, {"allow": "GET"}),
        ("GET", "/both", 405, {"allow": "POST"}),
    ],
)
async def test_what_offers_nothing_is_told_to(method: str, path: str, status: int, headers: dict[str, str]) -> None:
    async with serving() as served:
        answer = await ask(served.edge, method, path)

        assert answer.status == status
        assert headers.items() <= answer.headers.items()
        assert answer.code in ("upgrade_required", "method_not_allowed")


WEBSOCKET = b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
AUTHORIZED = f"Authorization: Bearer {KEY}\r\n".encode()
SAMPLE_KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"  # RFC 6455 §1.3
VERSION = b"Sec-WebSocket-Version: 13\r\n"
GET = b"GET /socket HTTP/1.1\r\nHost: x\r\n"


async def test_the_handshake_of_the_standard_is_answered_as_there() -> None:
    async with serving() as served:
        answer = await served.says(GET + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + VERSION + b"\r\n", b"None")

        head, _, frames = answer.partition(b"\r\n\r\n")
        assert head.split(b"\r\n") == [
            b"HTTP/1.1 101 Switching Protocols",
            b"upgrade: websocket",
            b"connection: Upgrade",
            b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ]
        assert frames[2:] == b"server None"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (GET + WEBSOCKET + AUTHORIZED + VERSION + b"\r\n", 400),
        (GET + WEBSOCKET + AUTHORIZED + VERSION + SAMPLE_KEY + SAMPLE_KEY + b"\r\n", 400),
        (GET + WEBSOCKET + AUTHORIZED + VERSION + b"Sec-WebSocket-Key: c2hvcnQ=\r\n\r\n", 400),
        (GET + WEBSOCKET + AUTHORIZED + VERSION + b"Sec-WebSocket-Key: ?\r\n\r\n", 400),
        (GET + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + b"\r\n", 426),
        (GET + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + b"Sec-WebSocket-Version: 8\r\n\r\n", 426),
        (GET.replace(b"1.1", b"1.0") + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + VERSION + b"\r\n", 426),
        (GET + H2C + AUTHORIZED + SAMPLE_KEY + VERSION + b"\r\n", 426),
        (GET + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + VERSION + b"\r\n\x81\x80\x00\x00\x00\x00", 400),
        (GET + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + VERSION + b"\r\n" + GET + b"\r\n", 400),
        (GET + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + VERSION + b"\r\nGET /so", 400),
        (GET + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + VERSION + b"Content-Length: 2\r\n\r\nhi", 400),
    ],
    ids=[
        "no key", "two keys", "a short key", "a wrong key", "no version", "another version", "HTTP/1.0", "h2c",
        "a frame before the answer", "a request behind it", "half a request behind it", "a body",
    ],
)  # fmt: skip
async def test_what_is_no_handshake_is_refused(request_bytes: bytes, status: int) -> None:
    async with serving() as served:
        answer = await served.says(request_bytes)

        assert int(answer.split()[1]) == status
        assert b"101 Switching" not in answer


async def test_offers_of_others_to_a_door_are_passed_over() -> None:
    async with serving() as served:
        post = b"POST /both HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        answer = await served.says(post + H2C + b"\r\nhello" + post + WEBSOCKET + b"\r\nagain", b"again")

        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert b"hello" in answer


@pytest.mark.parametrize("token", [None, "fd_sk_wrong", REVIEWER, KEY, TOKEN])
async def test_who_may_not_is_told_so_before_the_handshake_is_read(token: str | None) -> None:
    """So that one walk over all that is served can ask each socket as everybody."""
    async with serving() as served:
        headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        answer = await ask(served.edge, "GET", "/socket", headers=headers, offers_socket=True)

        expected = {
            None: (401, "missing_credential"),
            "fd_sk_wrong": (401, "token_revoked"),
            REVIEWER: (403, "forbidden"),
        }
        assert (answer.status, answer.code) == expected.get(token, (426, "upgrade_required"))


# --- who calls ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offers", "spoken", "greeting"),
    [
        (["frontdesk", f"frontdesk.token.{TOKEN}"], "frontdesk", "user free"),
        ([f"frontdesk.token.{TOKEN}", "frontdesk"], "frontdesk", "user free"),
        (["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"], "realtime", "server None"),
        (["realtime", "frontdesk", f"frontdesk.token.{KEY}"], "realtime", "server None"),
    ],
)
async def test_a_browser_sends_its_token_as_a_subprotocol(offers: list[str], spoken: str, greeting: str) -> None:
    async with serving() as served, served.connect(token=None, **offering(*offers)) as client:
        assert (client.subprotocol, await client.recv()) == (spoken, greeting)
        assert client.response is not None
        assert not any(token in str(client.response.headers) for token in (TOKEN, KEY))


async def test_what_is_spoken_is_selected_without_a_token_too() -> None:
    async with serving() as served:
        async with served.connect(**offering("chat", "frontdesk")) as client:
            assert client.subprotocol == "frontdesk"
        async with served.connect(**offering("chat")) as client:
            assert client.subprotocol is None


@pytest.mark.parametrize(
    ("token", "offers", "status", "code"),
    [
        (None, [f"frontdesk.token.{TOKEN}"], 400, "missing_subprotocol"),
        (KEY, ["frontdesk", f"frontdesk.token.{TOKEN}"], 400, "duplicate_credential"),
        (None, ["frontdesk", f"frontdesk.token.{TOKEN}", f"frontdesk.token.{KEY}"], 400, "duplicate_credential"),
        (None, ["frontdesk", "frontdesk.token.fd_st_forged"], 401, "token_revoked"),
        (None, ["frontdesk"], 401, "missing_credential"),
    ],
)  # fmt: skip
async def test_subprotocols_that_let_nobody_in(token: str | None, offers: list[str], status: int, code: str) -> None:
    async with serving() as served:
        refused, error = await served.refused(token=token, **offering(*offers))

        assert (refused, error["code"]) == (status, code)


COOKIE = f"frontdesk_session={TOKEN}"


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        (ORIGIN, None),
        ("http://127.0.0.1:{port}", None),
        ("https://127.0.0.1:{port}", "csrf_failed"),
        ("http://127.0.0.1", "csrf_failed"),
        ("https://evil.example", "csrf_failed"),
        ("https://app.example.evil.example", "csrf_failed"),
        ("null", "csrf_failed"),
        (None, "csrf_failed"),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
async def test_a_cookie_counts_for_pages_that_may_use_it(origin: str | None, code: str | None, is_known: bool) -> None:
    async with serving(takes_cookies=True) as served:
        if is_known:
            served.credentials.known = lambda authorization: served.credentials.callers[TOKEN]
        headers = {"cookie": COOKIE}
        if origin is not None:
            headers["origin"] = origin.format(port=served.port)

        if code is None:
            async with served.connect(token=None, headers=headers) as client:
                assert await client.recv() == "user free"
        else:
            status, error = await served.refused(headers=headers)
            assert (status, error["code"]) == (403, code)


async def test_no_cookie_counts_where_they_are_off() -> None:
    async with serving() as served:
        status, error = await served.refused(headers={"cookie": COOKIE, "origin": ORIGIN})

        assert (status, error["code"]) == (401, "missing_credential")


async def test_a_token_counts_from_any_page() -> None:
    """Who knows it needs no browser's help; and the cookie beside it does not count."""
    async with serving(takes_cookies=True) as served:
        headers = {"cookie": COOKIE, "origin": "https://evil.example"}
        async with served.connect(headers=headers) as client:
            assert await client.recv() == "server None"


async def test_layers_before_the_edge_let_sockets_through_and_tell_of_the_client() -> None:
    async def tell(socket: Annotated[Socket, May("user")]) -> None:
        await socket.send(f"{socket.scope['client'][0]} {socket.scope['scheme']}")

    def layers(application: Any) -> Any:
        return TrustedProxies(CORSMiddleware(application, allow_origins=[ORIGIN]), ["127.0.0.1"])  # type: ignore[arg-type]

    forwarded = {"x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "https"}
    async with serving(tell, takes_cookies=True, wrap=layers) as served:
        headers = {**forwarded, "cookie": f"__Host-{COOKIE}"}
        async with served.connect(
            token=None, headers={**headers, "origin": f"https://127.0.0.1:{served.port}"}
        ) as client:
            assert await client.recv() == "198.51.100.7 https"
        status, error = await served.refused(headers={**headers, "origin": f"http://127.0.0.1:{served.port}"})
        assert (status, error["code"]) == (403, "csrf_failed")


def test_a_door_must_say_who_may_open_it_and_tells() -> None:
    async def silent(socket: Socket) -> None: ...

    sockets = Sockets(Gate(Credentials(), _no_attestations(), takes_cookies=False, origins=[]), LIMIT_BYTES)

    with pytest.raises(TypeError, match=r"annotate 'socket' with May\(\.\.\.\)"):
        sockets.door(silent)
    door = sockets.door(echo)
    assert isinstance(door, SocketDoor)
    assert door.may.roles == {"user", "server"}


async def test_a_revoked_credential_ends_a_silent_socket() -> None:
    async with serving() as served, served.connect() as client, served.connect(token=TOKEN) as other:
        await client.recv()
        del served.credentials.callers[KEY]

        assert await closed(client) == (4401, "token_revoked")
        await other.send("still here")
        assert [await other.recv(), await other.recv()] == ["user free", "still here"]


async def test_a_message_of_a_revoked_credential_is_never_received() -> None:
    heard: list[object] = []

    async def listen_to(socket: Annotated[Socket, May("server")]) -> None:
        while (message := await socket.receive()) is not None:
            heard.append(message)
            del served.credentials.callers[KEY]

    async with serving(listen_to) as served, served.connect() as client:
        await client.send("one")
        await client.send("two")

        assert (await closed(client), heard) == ((4401, "token_revoked"), ["one"])


async def test_who_may_no_longer_is_told_so_and_who_is_somebody_else_now_counts_as_that() -> None:
    async with serving() as served, served.connect(token=TOKEN) as person, served.connect() as server:
        assert [await person.recv(), await server.recv()] == ["user free", "server None"]
        served.credentials.callers[KEY] = Caller("reviewer", "key_1")

        assert await closed(server) == (4403, "forbidden")
        (open_one,) = served.sockets._open
        served.credentials.callers[TOKEN] = Caller("user", "sess_1", "u1", tier="paid")
        await person.send("x")
        await person.recv()
        assert open_one.caller.tier == "paid"


async def test_sockets_of_real_accounts_end_with_their_sessions_and_keys(sqlite_url: str) -> None:
    database = await open_database(sqlite_url)
    clock = HandClock()
    accounts = await opened(database, clock)
    ended, expiring = await begun(accounts), await begun(accounts, "u2")
    row, key = await accounts.create_key("default", "test", "server", None, None)

    async with (
        serving(accounts=accounts, takes_cookies=True) as served,
        served.connect(token=None, headers={"cookie": f"frontdesk_session={ended.token}", "origin": ORIGIN}) as page,
        served.connect(token=None, **offering("frontdesk", f"frontdesk.token.{expiring.token}")) as browser,
        served.connect(token=key) as server,
    ):
        for client in (page, browser, server):
            await client.recv()
        await accounts.end_sessions_of("default", "u1")
        assert await closed(page) == (4401, "token_revoked")
        await accounts.revoke_key("default", row.id)
        assert await closed(server) == (4401, "invalid_api_key")
        await browser.send("still here")
        assert await browser.recv() == "still here"
        clock.move(601)
        assert await closed(browser) == (4401, "token_expired")
    await database.close()


@pytest.mark.parametrize("failure", [StorageFailed("disk full"), Unavailable("Busy.")])
async def test_a_store_that_fails_ends_no_silent_socket(failure: Exception) -> None:
    async with serving() as served, served.connect() as client:
        await client.recv()
        served.credentials.failure = failure
        await asyncio.sleep(0.2)  # some looks
        served.credentials.failure = None
        await client.send("still here")

        assert await client.recv() == "still here"


async def test_a_bug_of_one_look_does_not_end_the_watch(caplog: Any) -> None:
    async with serving() as served, served.connect() as client:
        await client.recv()
        served.credentials.failure = ZeroDivisionError()
        while not caplog.records:
            await asyncio.sleep(0.01)
        served.credentials.failure = None
        del served.credentials.callers[KEY]

        assert await closed(client) == (4401, "token_revoked")
        assert caplog.records[0].getMessage() == "socket_check_failed path=/socket"


# --- how it ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "reason", "log"),
    [
        (None, 1000, "", None),
        (RateLimited("Wait."), 4429, "rate_limit_exceeded", None),
        (StorageFailed("disk full"), 1013, "store_unavailable", "store_failed path=/socket reason=disk full"),
        (Unavailable("Busy."), 1013, "server_overloaded", None),
        (ZeroDivisionError(), 1011, "internal_error", "socket_broke path=/socket"),
        (FrontdeskError("Strange."), 1011, "internal_error", "socket_broke path=/socket"),
    ],
)
async def test_what_a_door_raises_closes_its_socket(
    error: Exception | None, code: int, reason: str, log: str | None, caplog: Any
) -> None:
    async def fail(socket: Annotated[Socket, May("server")]) -> None:
        if error is not None:
            raise error

    async with serving(fail) as served, served.connect() as client:
        assert await closed(client) == (code, reason)
        await served.until_quiet()
        assert [record.getMessage() for record in caplog.records] == ([] if log is None else [log])


async def test_a_close_of_the_client_is_answered_and_the_door_hears_of_it() -> None:
    ended = asyncio.Event()

    async def wait(socket: Annotated[Socket, May("server")]) -> None:
        assert await socket.receive() is None
        assert (socket.is_closed, socket.is_ending) == (True, False)
        ended.set()

    async with serving(wait) as served:
        client = await served.connect()
        await client.close(4000, "enough")
        assert (client.close_code, client.close_reason) == (4000, "enough")
        await asyncio.wait_for(ended.wait(), 5)
        await served.until_quiet()
        assert served.sockets._open == set()


async def test_a_client_that_vanishes_ends_its_door(caplog: Any) -> None:
    async def flood(socket: Annotated[Socket, May("server")]) -> None:
        while True:
            await socket.send("x" * 1000)
            await asyncio.sleep(0)

    async with serving(flood) as served:
        client = await served.connect()
        await client.recv()
        client.transport.abort()

        await asyncio.wait_for(served.until_quiet(), 10)
        assert served.sockets._open == set()
        assert not caplog.records


async def test_too_large_a_message_is_refused_and_the_client_learns_it() -> None:
    async with serving() as served:
        client = await served.connect()
        with contextlib.suppress(ConnectionClosed):
            await client.send("x" * 5_000_000)

        code, _ = await closed(client)
        assert code == 1009
        await client.wait_closed()


async def test_a_reader_that_stops_reading_is_found_and_ended() -> None:
    sent_bytes, waited, ended = 0, asyncio.Event(), asyncio.Event()

    async def flood(socket: Annotated[Socket, May("server")]) -> None:
        nonlocal sent_bytes
        try:
            while True:
                if not socket.send_now("x" * 10_000):
                    waited.set()
                    await socket.send("x" * 10_000)
                sent_bytes += 10_000
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with serving(flood, patience=Patience(5, 5, slow_reader_s=0.5)) as served:
        with sockets_of_the_kernel.create_connection(("127.0.0.1", served.port)) as connection:
            connection.setsockopt(sockets_of_the_kernel.SOL_SOCKET, sockets_of_the_kernel.SO_RCVBUF, 16 * 1024)
            connection.sendall(GET + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + VERSION + b"\r\n")
            await asyncio.wait_for(ended.wait(), 15)

        assert waited.is_set()
        assert sent_bytes < 20_000_000  # what the kernel and one buffer hold
        await served.until_quiet()


async def test_five_hundred_sockets_at_once() -> None:
    async with serving() as served:

        async def talk(number: int) -> str | bytes:
            async with served.connect(compression=None) as client:
                await client.recv()
                await client.send(f"{number} " + "x" * 200)
                return await client.recv()

        answers = await asyncio.gather(*(talk(number) for number in range(500)))

        assert answers == [f"{number} " + "x" * 200 for number in range(500)]
        await served.until_quiet()
        assert served.sockets._open == set()


async def test_a_server_that_ends_lets_a_door_finish_and_says_that_it_restarts() -> None:
    async def finish(socket: Annotated[Socket, May("server")]) -> None:
        await socket.send("begun")
        assert await socket.receive() is None
        assert (socket.is_closed, socket.is_ending) == (False, True)
        await socket.send("the rest")

    async with serving(finish) as served:
        client = await served.connect()
        assert await client.recv() == "begun"
        served.drained.clear()
        served.server.handle_exit(signal.SIGTERM, None)

        assert await client.recv() == "the rest"
        assert await closed(client) == (1012, "service restart")
        served.drained.set()


async def test_a_door_has_until_the_drain_is_over() -> None:
    is_over = asyncio.Event()

    async def go_on(socket: Annotated[Socket, May("server")]) -> None:
        await socket.receive()
        while not socket.is_closed:
            await socket.send("more")
            await asyncio.sleep(0.01)
        with pytest.raises(ClientGone):
            await socket.send("too late")
        is_over.set()

    async with serving(go_on) as served:
        client = await served.connect()
        served.drained.clear()
        served.server.handle_exit(signal.SIGTERM, None)
        assert [await client.recv() for _ in range(10)] == ["more"] * 10
        served.drained.set()

        assert await closed(client) == (1012, "service restart")
        await asyncio.wait_for(is_over.wait(), 5)


async def test_a_server_that_ends_opens_no_socket() -> None:
    async with serving() as served:
        served.credentials.is_ready.clear()
        served.drained.clear()
        refusal = asyncio.ensure_future(served.refused(token=KEY))
        await served.credentials.asked.wait()
        served.server.handle_exit(signal.SIGTERM, None)
        while served.server.servers[0].is_serving():
            await asyncio.sleep(0.01)
        served.credentials.is_ready.set()

        status, error = await refusal
        served.drained.set()
        assert (status, error["code"]) == (503, "server_shutting_down")


async def test_a_client_that_hangs_up_before_its_answer_is_nobodys_matter(caplog: Any) -> None:
    async with serving() as served:
        served.credentials.is_ready.clear()
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(GET + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + VERSION + b"\r\n")
        await served.credentials.asked.wait()
        writer.transport.abort()
        while served.server.server_state.connections:
            await asyncio.sleep(0.01)
        served.credentials.is_ready.set()

        await served.until_quiet()
        assert (served.sockets._open, caplog.records) == (set(), [])


async def test_an_answer_that_is_unread_is_no_place_for_a_socket() -> None:
    """The transport tells once that its buffer is full; who takes it over would never hear of it."""

    async def large(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
        await send({"type": "http.response.body", "body": b"x" * LARGE})

    async with serving() as served:
        served.edge._rest = large
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
        handshake = GET + WEBSOCKET + AUTHORIZED + SAMPLE_KEY + VERSION + b"\r\n"
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" + handshake)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(LARGE)

        assert head.startswith(b"HTTP/1.1 200 OK")
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 Bad Request")
        writer.close()


LARGE = 20_000_000
