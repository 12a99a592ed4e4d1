"""A script played over HTTP: the events of its answer become chunks, faults befall them, actions come out.

A chunk is what one token brings: its event, with those that begin an item before it. What ends the
answer is no chunk. So chunks, tokens and what is billed are the same count in every dialect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate
from http import HTTPStatus
from itertools import chain
from typing import NamedTuple

import msgspec

from frontdesk.core.errors import FrontdeskError, ProviderError
from frontdesk.providers.directives import Directives
from frontdesk.providers.scripts import DELTAS, Performance, count_chunks, count_input, count_units
from frontdesk.turn.events import TERMINAL_TYPES, Event, Usage, UsageReported
from frontdesk.upstream.delivery import Action, Ending, chunked, measured, of_the_body, on_the_wire, until_close
from frontdesk.upstream.dialects import Answer, Dialect, Reply
from frontdesk.upstream.frames import each_payload
from frontdesk.upstream.journal import Record

_encode = msgspec.json.Encoder().encode
_FAILURE = "The server had an error while processing your request. Sorry about that!"
_GARBAGE = b"\x00\xff<!-- not for you -->\r\n{]"
_TURN_CHUNKS = 1024  # then the others have their turn
_NO_UTF8 = b"\xff\xc3"
_COMMENT = b": keep-alive\n\n"


def reply_of(error: FrontdeskError, dialect: Dialect) -> Reply:
    """Return the response that tells a request's own fault."""
    return dialect.refusal(error.status, error.message, error.code, error.param, error.retry_after_s)


def written(reply: Reply, *, is_kept: bool) -> bytes:
    """Return a reply's bytes."""
    headers = {"content-type": "application/json", **reply.headers}
    return _head(reply.status, headers, is_kept=is_kept, length=len(reply.body)) + reply.body


class Player:
    """One answer: `actions` yields what is to be done, and the record keeps up with it."""

    def __init__(
        self,
        answer: Answer,
        performance: Performance,
        directives: Directives,
        dialect: Dialect,
        record: Record,
        *,
        is_kept: bool,
        can_chunk: bool,
    ) -> None:
        self._answer = answer
        self._performance = performance
        self._directives = directives
        self._dialect = dialect
        self._record = record
        self._is_kept = is_kept
        self._can_chunk = can_chunk
        self._input_tokens = count_input(answer.request)
        self._units = count_units(answer.request)

    def actions(self) -> Iterator[Action]:
        """Return the response. Raises a FrontdeskError where the script refuses the request."""
        early = self._before_an_answer()
        if early is not None:
            return on_the_wire(early, self._directives)
        chunks = self._chunks()
        first = next(chunks)  # the script's own refusal comes here, while there is no head yet
        play = self._stream if self._answer.is_streaming else self._whole
        return on_the_wire(play(chain([first], chunks)), self._directives)

    # --- instead of an answer -------------------------------------------------------------------

    def _before_an_answer(self) -> Iterator[Action] | None:
        directives = self._directives
        fault = directives.find("timeout", "reset", "cut")
        if fault is not None and fault.at is None:
            return iter([directives.ttft, _ENDINGS[fault.kind]])
        if directives.status is not None:
            return self._error(directives.status)
        failure = self._performance.failure
        if isinstance(failure, ProviderError) and failure.upstream_status is not None:
            return self._error(failure.upstream_status)
        if failure is not None and not isinstance(failure, ProviderError):
            raise failure
        return iter([Ending.SILENCE]) if self._performance.is_silent else None

    def _error(self, status: int) -> Iterator[Action]:
        message, code = _ERRORS.get(status, (f"The scripted provider answers {status}, as asked.", None))
        reply = self._dialect.refusal(status, message, code, None, _wait_s(self._directives, status))
        headers = {**self._headers(status, "application/json"), **reply.headers}
        retry = self._retry_headers()
        if retry:
            headers = {name: value for name, value in headers.items() if name != "retry-after"} | retry
        head = _head(status, headers, is_kept=self._is_kept, length=len(reply.body))
        self._record.status = status
        return iter([self._directives.ttft, head + reply.body])

    def _retry_headers(self) -> dict[str, str]:
        """What is told word for word when to come again, whether the provider would or not."""
        directives = self._directives
        headers: dict[str, str] = {}
        if directives.retry_after_ms is not None:
            headers["retry-after-ms"] = directives.retry_after_ms
        if directives.retry_after_date is not None:
            headers["retry-after"] = formatdate(self._record.at + directives.retry_after_date, usegmt=True)
        elif directives.retry_after is not None:
            headers["retry-after"] = directives.retry_after
        return headers

    # --- the answer -----------------------------------------------------------------------------

    def _stream(self, chunks: Iterator[_Chunk]) -> Iterator[Action]:
        """The answer as server-sent events."""
        directives = self._directives
        headers = self._headers(200, self._answer.content_type)
        body = self._paced(self._damaged(chunks))
        framing = directives.framing or ("chunked" if self._can_chunk else "close")
        if directives.length or framing == "length":
            frames = b"".join(action for action in body if isinstance(action, bytes))
            self._record.chunks = 0
            return self._measured(headers, frames)
        body = of_the_body(body, directives)
        self._record.status = 200
        if framing == "close":
            return until_close(_head(200, headers, is_kept=False), body)
        head = _head(200, headers, is_kept=self._is_kept, is_chunked=True)
        return self._trailed(chunked(head, body))

    def _whole(self, chunks: Iterator[_Chunk]) -> Iterator[Action]:
        """The answer as one body, after the time that all of its chunks take."""
        pauses = self._directives.pauses(self._performance.pace_s)
        events: list[Event] = []
        for number, chunk in enumerate(chunks):
            events += chunk.events
            pause_s = next(pauses) if chunk.tokens else 0.0
            if pause_s or number % _TURN_CHUNKS == _TURN_CHUNKS - 1:
                yield pause_s
            self._bill(chunk)
        if self._performance.failure is not None:
            yield Ending.CLOSE
            return
        body = self._damaged_body(self._answer.render_body(events), events)
        headers = self._headers(200, self._answer.content_type)
        yield from self._measured(headers, body)

    def _measured(self, headers: dict[str, str], body: bytes) -> Iterator[Action]:
        """A body that is known beforehand, with its length or a false one."""
        directives = self._directives
        self._record.status = 200
        actions = of_the_body(self._at_once(body), directives)
        if directives.framing == "chunked" and not directives.length:
            head = _head(200, headers, is_kept=self._is_kept, is_chunked=True)
            return self._trailed(chunked(head, actions))
        if directives.framing == "close":
            return until_close(_head(200, headers, is_kept=False), actions)
        head = _head(200, headers, is_kept=self._is_kept, length=max(0, len(body) + directives.length))
        return self._trailed(measured(head, actions))

    def _at_once(self, body: bytes) -> Iterator[Action]:
        """All chunks together; half of them where silence is to follow."""
        if self._directives.find("silence") is not None and not self._answer.is_streaming:
            yield body[: len(body) // 2]
            yield Ending.SILENCE
        else:
            yield body
            self._record.chunks = self._record.billed.output_tokens

    def _trailed(self, actions: Iterator[Action]) -> Iterator[Action]:
        """What may come behind a response; where its length is false the connection cannot go on."""
        for action in actions:
            yield action
            if isinstance(action, Ending):
                return
        if self._directives.find("trailing") is not None:
            yield _GARBAGE
        elif not self._directives.length:
            return
        yield Ending.CLOSE

    def _headers(self, status: int, content_type: str) -> dict[str, str]:
        wrong = self._directives.find("content-type") is not None
        return {**self._dialect.headers(status), "content-type": "text/html" if wrong else content_type}

    # --- chunks ---------------------------------------------------------------------------------

    def _chunks(self) -> Iterator[_Chunk]:
        """The events of one token each; the last ones, which end the answer, have none."""
        held: list[Event] = []
        for batch in self._performance.batches:
            held += self._told(batch)
            tokens = count_chunks(batch)
            if tokens:
                yield _Chunk(held, tokens)
                held = []
        yield _Chunk(held, 0)

    def _damaged(self, chunks: Iterator[_Chunk]) -> Iterator[_Frames]:
        """Chunks rendered, and what goes wrong between them."""
        directives, answer = self._directives, self._answer
        end, failure = directives.find("end", "silence", "error", "failed"), directives.find("error", "failed")
        damage = directives.find("bad-json", "bad-utf8")
        is_due = False
        most = math.inf if end is None or (end.kind == "end" and end.at is None) else end.at or 0
        for number, chunk in enumerate(chunks):
            if end is not None and (number >= most or not chunk.tokens):
                break
            frames = answer.render(self._with_usage(chunk, number))
            is_due = is_due or (damage is not None and bool(chunk.tokens) and number == (damage.at or 0))
            if damage is not None and is_due and frames:  # what a chunk brings may wait for others
                frames = _damaged_frames(frames, chunk.events, damage.kind)
                damage = None
            yield _Frames(frames, chunk)
        if failure is not None:
            yield _Frames(answer.render_failure("failed" if failure.kind == "failed" else "error", _FAILURE), _NOTHING)
        elif end is not None and end.kind == "silence":
            yield _Frames(b"", _NOTHING, Ending.SILENCE)
        elif self._performance.failure is not None:
            yield _Frames(b"", _NOTHING, Ending.CLOSE)

    def _paced(self, frames: Iterator[_Frames]) -> Iterator[Action]:
        """Each chunk after its pause; it is billed when it is made, and counted when it went out."""
        directives, record = self._directives, self._record
        pauses = directives.pauses(self._performance.pace_s)
        edit = self._editor()
        for data, chunk, ending in frames:
            if chunk.tokens:
                pause_s = next(pauses)
                if pause_s:
                    yield pause_s
                self._bill(chunk)
            if data:
                yield edit(data)
            record.chunks += chunk.tokens
            if ending is not None:
                yield ending
                return
        if directives.find("garbage") is not None:
            yield _GARBAGE

    def _bill(self, chunk: _Chunk) -> None:
        billed = self._record.billed
        billed.input_tokens = self._input_tokens
        billed.output_tokens += chunk.tokens
        billed.audio_seconds, billed.characters, billed.images = self._units

    def _editor(self) -> Callable[[bytes], bytes]:
        """What is changed in all of a stream's events alike."""
        directives = self._directives
        edits: list[Callable[[bytes], bytes]] = []
        if directives.find("no-finish") is not None:
            edits.append(lambda frames: each_payload(frames, self._answer.without_finish))
        if directives.comments:
            edits.append(lambda frames: _COMMENT + frames)
        if directives.crlf:
            edits.append(lambda frames: frames.replace(b"\n", b"\r\n"))
        edits.append(self._answer.in_transit)
        if len(edits) == 1:
            return edits[0]

        def edit(frames: bytes) -> bytes:
            for each in edits:
                frames = each(frames)
            return frames

        return edit

    def _told(self, batch: list[Event]) -> list[Event]:
        """The usage at the answer's end: as the provider counts it, left out, or false."""
        how = None if self._directives.usage is None else self._directives.usage.how
        events: list[Event] = []
        for event in batch:
            if not isinstance(event, UsageReported):
                events.append(event)
            elif how not in ("missing", "early"):
                events.append(UsageReported(self._reported(event.usage)))
        return events

    def _with_usage(self, chunk: _Chunk, number: int) -> list[Event]:
        """Usage before the end: where this provider tells it, in the first event, or in each."""
        how = None if self._directives.usage is None else self._directives.usage.how
        tells = "last" if how == "missing" else how if how in ("early", "each") else self._answer.tells_usage
        is_first = number == 0 and (tells == "first and last" or (tells == "early" and chunk.tokens > 0))
        if not (tells == "each" or is_first or (tells == "always" and chunk.tokens)):
            return chunk.events
        so_far = self._record.billed.output_tokens + chunk.tokens
        thought = 0 if self._performance.outcome is None else self._performance.outcome.thought_tokens
        report = UsageReported(self._reported(Usage(self._input_tokens, so_far, 0, reasoning_tokens=thought)))
        if tells != "each":
            return [report, *chunk.events]
        return [told for event in chunk.events for told in ((event,) if _ends(event) else (report, event))]

    def _reported(self, usage: Usage) -> Usage:
        told = self._directives.usage
        if told is None or told.how != "false":
            return self._answer.counted(usage)
        given, returned, cached, thought = told.numbers
        return Usage(given, returned, cached, reasoning_tokens=thought)

    def _damaged_body(self, body: bytes, events: list[Event]) -> bytes:
        directives = self._directives
        fault = directives.find("end", "no-finish", "bad-json", "bad-utf8", "error", "failed")
        match None if fault is None else fault.kind:
            case "end" | "no-finish":
                body = b""
            case "bad-json":
                body = body[: len(body) // 2]
            case "bad-utf8":
                said = next((_encode(event.text)[:-1] for event in events if isinstance(event, DELTAS)), b'"')
                said = said if said in body else b'"'
                body = body.replace(said, said + _NO_UTF8, 1)
            case "error" | "failed":
                body = self._answer.render_failure("error", _FAILURE)
            case _:
                pass
        return body + _GARBAGE if directives.find("garbage") is not None else body


class _Chunk(NamedTuple):
    events: list[Event]
    tokens: int


class _Frames(NamedTuple):
    data: bytes
    chunk: _Chunk
    ending: Ending | None = None


_NOTHING = _Chunk([], 0)
_ENDINGS = {"timeout": Ending.SILENCE, "reset": Ending.RESET, "cut": Ending.CLOSE}
_ERRORS: dict[int, tuple[str, str | None]] = {
    401: ("Incorrect API key provided.", "invalid_api_key"),
    429: ("Rate limit reached for requests. Please try again later.", "rate_limit_exceeded"),
    500: (_FAILURE, None),
    503: ("The engine is currently overloaded, please try again later.", None),
    529: ("Overloaded", "overloaded_error"),
}


def _ends(event: Event) -> bool:
    return isinstance(event, UsageReported) or type(event) in TERMINAL_TYPES


def _wait_s(directives: Directives, status: int) -> float | None:
    """The seconds after which an error says that a request may come again."""
    if directives.retry_after_ms is not None and directives.retry_after_ms.isdecimal():
        return int(directives.retry_after_ms) / 1000
    if directives.retry_after is not None and directives.retry_after.isdecimal():
        return float(directives.retry_after)
    if directives.retry_after_date is not None:
        return directives.retry_after_date
    return 1.0 if status in (429, 529) else None


def _damaged_frames(frames: bytes, events: list[Event], kind: str) -> bytes:
    """Break the event of the last text: its JSON, or a letter of it."""
    text = next((event.text for event in reversed(events) if isinstance(event, DELTAS)), None)
    place = -1 if text is None else frames.rfind(_encode(text))
    if place < 0:  # what is said stands there otherwise, or is not said aloud
        place = frames.rfind(b'":') + 1
    if kind == "bad-utf8":
        return frames[: place + 1] + _NO_UTF8 + frames[place + 1 :]
    return frames[: place + 1] + b"\n\n"


def _head(
    status: int, headers: Mapping[str, str], *, is_kept: bool, length: int | None = None, is_chunked: bool = False
) -> bytes:
    lines = [f"HTTP/1.1 {status} {_reason(status)}", f"date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if is_chunked:
        lines.append("transfer-encoding: chunked")
    elif length is not None:
        lines.append(f"content-length: {length}")
    if not is_kept:
        lines.append("connection: close")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Scripted"
