"""Golden transcripts: whole exchanges, from a caller's bytes to the answer's, in contract/transcripts.

    python -m tools.transcripts            says which are not what the code makes of them
    python -m tools.transcripts --write    writes what the code makes of them

Of each exchange the request and the provider's answer are given, all else follows from them. It is
carried by the real edge, doors, line and provider; only the connection to the provider is played.
contract/README.md tells what the files are.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, cast

import msgspec

from frontdesk.core.config import Config
from frontdesk.core.errors import FrontdeskError, ProviderError
from frontdesk.doors.chat import ChatDoor
from frontdesk.doors.desk import Desk
from frontdesk.doors.embeddings import EmbeddingsDoor
from frontdesk.doors.responses import ResponsesDoor
from frontdesk.http.edge import Edge
from frontdesk.http.requests import Head, Receive, Scope, Send
from frontdesk.policies.access import Access
from frontdesk.providers.openai import OpenAIProvider
from frontdesk.providers.profiles import COMPATIBLE, OPENAI
from frontdesk.providers.upstream import Upstream, UpstreamResponse
from frontdesk.routing.router import FallbackRouter, Route
from frontdesk.turn.events import Event
from frontdesk.turn.items import Request
from frontdesk.turn.live import LiveTurns, TurnTimes
from frontdesk.turn.run import Line
from frontdesk.turn.turn import Caller

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "contract" / "transcripts"
WRITES = "`python -m tools.transcripts --write`"


def main(arguments: list[str]) -> int:
    """Check all transcripts, or write them. Returns the exit code."""
    paths = transcript_paths(FOLDER)
    if arguments == ["--write"]:
        for path in paths:
            write(path)
        return 0
    findings = [finding for path in paths for finding in check(path)]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def transcript_paths(folder: Path) -> list[Path]:
    """The folders of all transcripts, sorted."""
    return sorted(path.parent for path in folder.rglob("about.json"))


def check(path: Path) -> Iterator[str]:
    """Say which files of a transcript are not what the code makes of it."""
    made = asyncio.run(replay(Given.read(path), by_event)).files()
    there = {each.name: each.read_bytes() for each in path.iterdir() if each.name not in GIVEN}
    for name in sorted(made.keys() | there.keys()):
        if made.get(name) != there.get(name):
            place = path.relative_to(FOLDER.parent.parent) if path.is_relative_to(FOLDER) else path
            yield f"{place}/{name}: is not what the code makes of it; {WRITES} writes it, if that is right"


def write(path: Path) -> None:
    """Write what the code makes of a transcript."""
    made = asyncio.run(replay(Given.read(path), by_event)).files()
    for each in path.iterdir():
        if each.name not in GIVEN | made.keys():
            each.unlink()
    for name, content in made.items():
        (path / name).write_bytes(content)


# --- what is given ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Http:
    """A request or an answer, as a file: its first line, its headers, an empty line, its body as it is."""

    first: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def parse(cls, content: bytes) -> Http:
        """Read a file."""
        head, _, body = content.partition(b"\n\n")
        first, *lines = head.decode().split("\n")
        return cls(first, dict(line.split(": ", 1) for line in lines), body)

    @property
    def path(self) -> str:
        """Of a request, where it goes."""
        return self.first.removeprefix("POST ")

    @property
    def status(self) -> int:
        """Of an answer, its status."""
        return int(self.first.removeprefix("HTTP/1.1 "))

    def content(self) -> bytes:
        """The file. JSON is laid out for people; an event stream stays as it is."""
        head = "\n".join([self.first, *(f"{name}: {value}" for name, value in self.headers.items())])
        is_json = self.headers["content-type"] == "application/json"
        body = (_laid_out(json.loads(self.body)) + "\n").encode() if is_json else self.body
        return head.encode() + b"\n\n" + body


_LINE_CHARS = 110


def _laid_out(value: Any, indent: str = "") -> str:
    """JSON in which an object or a list that fits into a line stands in one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _LINE_CHARS or not value or not isinstance(value, dict | list):
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        parts = [f"{json.dumps(name)}: {_laid_out(inner, deeper)}" for name, inner in fields.items()]
        return "{\n" + ",\n".join(deeper + part for part in parts) + f"\n{indent}}}"
    parts = [_laid_out(inner, deeper) for inner in cast("list[Any]", value)]
    return "[\n" + ",\n".join(deeper + part for part in parts) + f"\n{indent}]"


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the provider is configured: `kind` and `api` of docs/configuration.md."""

    kind: Literal["openai", "openai-compatible"]
    api: Literal["auto", "chat", "responses"]


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an exchange shows, in a sentence, and whom it asks."""

    fact: str
    provider: ProviderSettings


@dataclass(frozen=True, slots=True)
class Given:
    """What a transcript begins with. The provider answers nothing where it must not be asked."""

    about: About
    request: Http
    provider_answer: Http | None

    @classmethod
    def read(cls, path: Path) -> Given:
        """Read what is given in a folder."""
        answer = path / "provider_answer.http"
        return cls(
            msgspec.json.decode((path / "about.json").read_bytes(), type=About),
            Http.parse((path / "request.http").read_bytes()),
            Http.parse(answer.read_bytes()) if answer.exists() else None,
        )


GIVEN = frozenset({"about.json", "request.http", "provider_answer.http"})


# --- what is made of it -------------------------------------------------------------------------


@dataclass(slots=True)
class Made:
    """What became of an exchange. `request` is what the provider was given, before it wrote its own."""

    request: Request | None = None
    provider_request: Http | None = None
    reads: list[list[Event]] = field(default_factory=list[list[Event]])
    failure: FrontdeskError | None = None
    answer: Http | None = None

    def files(self) -> dict[str, bytes]:
        """The files of it, with steady ids."""
        made: dict[str, bytes] = {}
        if self.provider_request is not None:
            made["provider_request.http"] = self.provider_request.content()
            made["events.jsonl"] = self._events()
        if self.answer is not None:
            made["answer.http"] = self.answer.content()
        names = _SteadyIds()
        return {name: names.replace(content) for name, content in made.items()}

    def _events(self) -> bytes:
        """An event a line, an empty line between the reads that they came with. What it fails with is no event."""
        blocks = [[_line(event) for event in read] for read in self.reads]
        if self.failure is not None:
            blocks.append([_json({"failure": _told(self.failure)})])
        return ("\n\n".join("\n".join(block) for block in blocks) + "\n").encode()


def _line(event: Event) -> str:
    return _json({"event": type(event).__name__, **_said(event)})


def _said(struct: msgspec.Struct) -> dict[str, Any]:
    """The fields of an event that are not as when nothing is said."""
    said: dict[str, Any] = {}
    for each in msgspec.structs.fields(struct):
        value = getattr(struct, each.name)
        if value != each.default:
            said[each.name] = _said(value) if isinstance(value, msgspec.Struct) else value
    return said


def _told(failure: FrontdeskError) -> dict[str, Any]:
    told = {"status": failure.status, **failure.body()["error"]}
    return {**told, "reason": failure.reason} if isinstance(failure, ProviderError) else told


def _json(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


class _SteadyIds:
    """Ids that were made here, replaced in order of appearance: the first message is msg_1."""

    _ID = re.compile(rb"(?<![\w-])(chatcmpl-|resp_|embd_|req_|msg_|rs_|fc_|ctc_|call_)([0-9a-f]{12}7[0-9a-f]{19})\b")

    def __init__(self) -> None:
        self._names: dict[bytes, bytes] = {}
        self._counts: dict[bytes, int] = {}

    def replace(self, text: bytes) -> bytes:
        return self._ID.sub(self._name, text)

    def _name(self, found: re.Match[bytes]) -> bytes:
        made, prefix = found[0], found[1]
        if made not in self._names:
            self._counts[prefix] = self._counts.get(prefix, 0) + 1
            self._names[made] = b"%b%d" % (prefix, self._counts[prefix])
        return self._names[made]


# --- how it is made -----------------------------------------------------------------------------

Cut = Callable[[bytes], Sequence[bytes]]


def by_event(body: bytes) -> list[bytes]:
    """A read an event, as they mostly come."""
    return [piece for piece in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", body) if piece]


async def replay(given: Given, cut: Cut) -> Made:
    """Carry an exchange from end to end, its provider's body cut into these reads."""
    made = Made()
    provider = _PlayedProvider(given, cut, made)
    router = FallbackRouter({_MODEL: [Route("provider", provider, _PROVIDERS_MODEL)]})
    live = LiveTurns(Line(policies=[], guards=[], router=router), _TIMES)
    access = Access(Config(default_model=_MODEL))
    desk = Desk(_OneCaller(), live, _StillClock(), access, body_limit_bytes=1_000_000)
    edge = Edge(
        {
            "/v1/chat/completions": desk.door(ChatDoor(desk).serve),
            "/v1/responses": desk.door(ResponsesDoor(desk).serve),
            "/v1/embeddings": desk.door(EmbeddingsDoor(desk).serve),
        },
        _nowhere,
    )
    made.answer = await _ask(edge, given.request)
    await live.close(grace_s=1)
    assert _WORDS_OF_A_BUG not in made.answer.body, "the code broke, and its log says where"
    return made


async def decode(given: Given, request: Request, cut: Cut) -> Made:
    """Ask the provider alone, as the line does with this request."""
    made = Made()
    provider = _PlayedProvider(given, cut, made)
    try:
        async with aclosing(provider.answer(request, _PROVIDERS_MODEL)) as batches:
            async for _ in batches:
                pass
    except FrontdeskError:
        pass  # kept in what was made
    return made


_WORDS_OF_A_BUG = b"Something went wrong here"
_MODEL = "fast"
_PROVIDERS_MODEL = "model-of-the-provider"
_BASE_URL = "http://provider.invalid/v1"
_API_KEY = "key-of-the-provider"
_TIMES = TurnTimes(turn_timeout_s=600, keep_alive_s=600, hangup_drain_s=0)


class _PlayedProvider(OpenAIProvider):
    """The real provider on a played connection; keeps what it gives."""

    def __init__(self, given: Given, cut: Cut, made: Made) -> None:
        settings = given.about.provider
        profile = OPENAI if settings.kind == "openai" else COMPATIBLE
        super().__init__(_BASE_URL, _API_KEY, profile, settings.api, idle_timeout_s=1)
        self._upstream = _PlayedUpstream(given.provider_answer, cut, made)
        self._made = made

    def answer(self, request: Request, model: str) -> AsyncGenerator[list[Event], None]:
        self._made.request = request
        return self._kept(super().answer(request, model))

    async def _kept(self, batches: AsyncGenerator[list[Event], None]) -> AsyncGenerator[list[Event], None]:
        try:
            async with aclosing(batches):
                async for batch in batches:
                    self._made.reads.append(batch)
                    yield batch
        except FrontdeskError as failure:
            self._made.failure = failure
            raise


class _PlayedUpstream(Upstream):
    """Answers what is given, without a connection."""

    def __init__(self, answer: Http | None, cut: Cut, made: Made) -> None:
        super().__init__(_BASE_URL, {}, idle_timeout_s=1)
        self._answer = answer
        self._cut = cut
        self._made = made

    async def post(
        self, path: str, body: bytes | Sequence[bytes], content_type: str = "application/json"
    ) -> UpstreamResponse:
        assert self._made.provider_request is None, "the provider was asked twice"
        whole = body if isinstance(body, bytes) else b"".join(body)
        self._made.provider_request = Http(f"POST /v1/{path}", {"content-type": content_type}, whole)
        assert self._answer is not None, "the provider was asked, and no answer of it is given"
        return _PlayedResponse(self._answer, self._cut(self._answer.body))


class _PlayedResponse(UpstreamResponse):
    """An answer that comes in these reads."""

    __slots__ = ("_headers", "_reads")

    def __init__(self, answer: Http, reads: Sequence[bytes]) -> None:
        self.status = answer.status
        self._headers = answer.headers
        self._reads = iter(reads)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def header(self, name: str) -> str | None:
        return self._headers.get(name.lower())

    async def read(self) -> bytes:
        return next(self._reads, b"")

    def skip_rest(self) -> None:
        pass


class _OneCaller:
    """Knows everybody as the app's own server."""

    def known(self, head: Head) -> Caller:
        assert head.authorization is None, "a transcript needs no credential"
        return Caller("server", "key_1")

    async def identify(self, head: Head) -> Caller:
        return self.known(head)


class _StillClock:
    """Stands still, so that all answers are of the same second."""

    def now(self) -> float:
        return 1_800_000_000.0

    def monotonic(self) -> float:
        return 0.0


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - a door's shape
    raise AssertionError(f"no transcript goes to {scope['path']}")


async def _ask(edge: Edge, request: Http) -> Http:
    """Send a request as a server does, and return what it answers."""
    coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    coming.put_nowait({"type": "http.request", "body": request.body})
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            coming.put_nowait({"type": "http.disconnect"})

    headers = [(name.encode(), value.encode()) for name, value in request.headers.items()]
    await edge(
        {"type": "http", "scheme": "http", "method": "POST", "path": request.path, "headers": headers}, coming.get, send
    )
    start, *pieces = sent
    return Http(
        f"HTTP/1.1 {start['status']}",
        {name.decode(): value.decode() for name, value in start["headers"] if name != b"content-length"},
        b"".join(piece["body"] for piece in pieces),
    )


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # providers fail here on purpose
    sys.exit(main(sys.argv[1:]))
