"""The server: it listens, knows its connections, and says which script answers a request.

A request's script and directives come from three places; the later goes before the earlier:

    the model's name  <  the headers X-Upstream-*  <  the rules of PUT /upstream/faults
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import signal
import socket
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl

from frontdesk.core.clock import Clock, SystemClock
from frontdesk.core.errors import BadRequest, FrontdeskError, NotFound
from frontdesk.core.tasks import Tasks
from frontdesk.providers.directives import Direction, read_direction, read_model
from frontdesk.providers.scripts import Outcome, is_script, perform
from frontdesk.upstream.anthropic import AnthropicDialect
from frontdesk.upstream.azure import AzureDialect
from frontdesk.upstream.connection import Connection, Received, Response
from frontdesk.upstream.control import Control, is_control
from frontdesk.upstream.delivery import Action
from frontdesk.upstream.dialects import Answer, Asked, Dialect, Reply
from frontdesk.upstream.faults import Rules
from frontdesk.upstream.gemini import GeminiDialect
from frontdesk.upstream.journal import Journal, Record
from frontdesk.upstream.openai import OpenAIDialect
from frontdesk.upstream.playing import Player, reply_of, written

_BACKLOG = 4096
_MAX_BODY_BYTES = 64 * 1024 * 1024
_HEADER = "x-upstream-"


class UpstreamServer:
    """The scripted provider on a port. `start` it in a running loop, `stop` it there."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        api_key: str | None = None,
        script: str | None = "echo",
        clock: Clock | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._api_key = api_key
        self._script = script
        self.clock: Clock = clock or SystemClock()
        self.journal = Journal()
        self.rules = Rules()
        self.max_body_bytes = _MAX_BODY_BYTES
        self.connections: set[Connection] = set()
        self._control = Control(self.journal, self.rules, self.refuse_connections)
        # The last one takes what no other claims.
        openai = OpenAIDialect(self.clock)
        self._dialects: tuple[Dialect, ...] = (
            AnthropicDialect(self.clock),
            GeminiDialect(),
            AzureDialect(openai),
            openai,
        )
        self._listening: asyncio.AbstractServer | None = None
        self._is_left: asyncio.Event | None = None  # when the last connection has ended
        self._tasks = Tasks("upstream")

    @property
    def url(self) -> str:
        """Where it listens; a client of OpenAI's adds /v1."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    async def start(self) -> None:
        """Take connections. Raises OSError where the port cannot be had."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        opened = socket.create_server((self._host, self._port), family=family, backlog=_BACKLOG)
        self._port = opened.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._connect, sock=opened, backlog=_BACKLOG)

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no more connections, give answers so long to end, then cut them off."""
        await self._tasks.close()
        self.stop_listening()
        for connection in list(self.connections):
            connection.shut_down()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._all_left()
        for connection in list(self.connections):
            connection.abort()
        await self._all_left()

    # --- for connections ------------------------------------------------------------------------

    def respond(self, received: Received) -> Response:
        """Return the response to a request."""
        path, _, query = received.target.partition("?")
        if is_control(path):
            return Response(_once(received, self._controlled(received, path, query)))
        record = self.journal.open(
            received.connection, self.clock.now(), received.method, path, received.headers, received.body
        )
        asked = _asked(received.method, received.target, received.headers, received.body)
        dialect = self._dialect_of(asked)
        try:
            actions = self._answered(received, asked, dialect, record)
        except FrontdeskError as error:
            record.status = error.status
            actions = _once(received, reply_of(error, dialect))
        return Response(actions, record)

    def left(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        if not self.connections and self._is_left is not None:
            self._is_left.set()

    def refuse(self, status: int, message: str, target: str, headers: dict[str, str]) -> bytes:
        """Return a whole response for what is no request, of which this much came."""
        dialect = self._dialect_of(_asked("POST", target, headers, b""))
        return written(dialect.refusal(status, message, None, None), is_kept=False)

    def read_rate(self, target: str, headers: dict[str, str]) -> int | None:
        """Return how fast a request's body is read: its headers say so, or a rule."""
        if _HEADER + "read-rate" in headers or _HEADER + "script" in headers:
            try:
                return _told_by(headers).read().read_rate
            except BadRequest:
                return None  # it is told when the request is here
        return self.rules.read_rate(target.partition("?")[0])

    # --- requests -------------------------------------------------------------------------------

    def _controlled(self, received: Received, path: str, query: str) -> Reply:
        try:
            return self._control.reply(received.method, path, query, received.body)
        except FrontdeskError as error:
            return reply_of(error, self._dialects[-1])

    def _dialect_of(self, asked: Asked) -> Dialect:
        return next(dialect for dialect in self._dialects if dialect.claims(asked))

    def _answered(self, received: Received, asked: Asked, dialect: Dialect, record: Record) -> Iterator[Action]:
        reply = self._unauthenticated(asked, dialect)
        if reply is None:
            answer = dialect.read(asked)
            if not isinstance(answer, Reply):
                return self._played(received, asked.path, answer, dialect, record)
            reply = answer
        record.status = reply.status
        return _once(received, reply)

    def _unauthenticated(self, asked: Asked, dialect: Dialect) -> Reply | None:
        if self._api_key is None:
            return None
        key = dialect.key_of(asked)
        if key is not None and hmac.compare_digest(key.encode(), self._api_key.encode()):
            return None
        return dialect.unauthenticated(key)

    def _played(
        self, received: Received, path: str, answer: Answer, dialect: Dialect, record: Record
    ) -> Iterator[Action]:
        record.model = answer.model
        record.stream = answer.is_streaming
        direction = self._direction(received, path, answer.model)
        record.script = direction.script
        record.directives = str(Direction(None, direction.options))
        directives = direction.read()
        if directives.find("refuse") is not None:
            raise BadRequest(
                "The fault 'refuse' is the server's: tell it by PUT /upstream/faults.", code="bad_directive"
            )
        performance = perform(answer.request, direction.script or "", directives.seed)
        answer.begin(direction.script or "", performance.outcome or Outcome())
        return Player(
            answer,
            performance,
            directives,
            dialect,
            record,
            is_kept=received.is_kept,
            can_chunk=received.can_chunk,
        ).actions()

    def _direction(self, received: Received, path: str, model: str) -> Direction:
        base, colon, _ = model.partition(":")
        # A script's name is ours, and what stands behind it must be known; `llama3:8b` is a name of its own.
        named = read_direction(model) if colon and is_script(base) else read_model(model)
        told = _told_by(received.headers).over(named)
        rule = self.rules.choose(path, model, received.body)
        direction = told if rule is None else rule.over(told)
        script = direction.script or ""
        if is_script(script) or script != (named.script or ""):
            return direction
        if self._script is None:
            raise NotFound(
                f"The model {model!r} does not exist or you do not have access to it.",
                code="model_not_found",
                param="model",
            )
        return Direction(self._script, direction.options)

    # --- connections ----------------------------------------------------------------------------

    def _connect(self) -> Connection:
        return Connection(self, self.journal.totals.connections + 1)

    def refuse_connections(self, pause_ms: int) -> None:
        """Listen no more for a while: who connects is refused by the kernel."""
        self.stop_listening()
        self._tasks.start("listen again", self._listen_again(pause_ms / 1000))

    async def _listen_again(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        if self._listening is None:
            await self.start()

    async def _all_left(self) -> None:
        if self.connections:
            self._is_left = asyncio.Event()
            await self._is_left.wait()

    def stop_listening(self) -> None:
        """Refuse connections until `start` is called again. What is open stays."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None


def _told_by(headers: dict[str, str]) -> Direction:
    """What the headers say: `X-Upstream-Script` all at once, `X-Upstream-NAME` one directive each."""
    direction = read_direction(headers[_HEADER + "script"]) if _HEADER + "script" in headers else Direction()
    words = [
        f"{name.removeprefix(_HEADER)}={value}"
        for name, value in headers.items()
        if name.startswith(_HEADER) and name != _HEADER + "script"
    ]
    return read_direction(":" + ",".join(words)).over(direction) if words else direction


def _asked(method: str, target: str, headers: dict[str, str], body: bytes) -> Asked:
    path, _, query = target.partition("?")
    return Asked(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers, body)


def _once(received: Received, reply: Reply) -> Iterator[Action]:
    response = written(reply, is_kept=received.is_kept)
    if received.method == "HEAD":
        response = response.removesuffix(reply.body)
    return iter([response])


async def serve_until_stopped(server: UpstreamServer, announce: Callable[[str], None], grace_s: float = 10.0) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends it at once."""
    loop = asyncio.get_running_loop()
    asked, asked_again = asyncio.Event(), asyncio.Event()

    def ask() -> None:
        (asked_again if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    await server.start()
    announce(server.url)
    await asked.wait()
    tasks = Tasks("upstream-end")
    impatient = tasks.start("second signal", asked_again.wait())
    stopping = tasks.start("stop", server.stop(grace_s))
    await asyncio.wait({impatient, stopping}, return_when=asyncio.FIRST_COMPLETED)
    await tasks.close()
