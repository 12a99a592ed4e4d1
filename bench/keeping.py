"""What keeping answers costs on SQLite: the server in this process, without a network, as CPU time of all threads.

    python -m bench.keeping [FOLDER] [--quick]

prints one JSON object. Each figure is the median of laps in which the same is done with storing and without, in turn:

    append_us    a word of a stream that is stored, minus one of a stream with `store: false`: 200 streams at a time,
                 100 words a second each
    turn_us      a whole answer that is stored, under a key, minus one with `store: false` and without a key: 64 at
                 a time
    attach_ms    from a request for a stored stream of 5,000 words to its last byte

`synchronous` is FULL. FOLDER should be on the disk that will be used; default is the current one.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from bench.measured import Bench, run
from frontdesk.app import Frontdesk, open_frontdesk
from frontdesk.core.config import parse_config, read_environment

_KEY = "fd_sk_bench-admin-key-that-opens-nothing-real"
_STREAMS, _PACE_MS = 200, 10
_TOGETHER = 64
_TARGETS = {"append_us": 12.0, "turn_us": 120.0}


class Size(NamedTuple):
    """How much of everything."""

    words: int
    answers: int
    laps: int
    long_words: int


_FULL, _QUICK = Size(500, 2_000, 5, 5_000), Size(30, 100, 1, 500)


def main() -> int:
    """Measure and print. Returns 1 where a target is missed."""
    return run(Bench("bench.keeping", "What keeping answers costs.", _TARGETS), _measure, _FULL, _QUICK)


async def _measure(url: str, size: Size) -> dict[str, float]:
    settings = {
        "database": url,
        "providers": {"play": {"kind": "scripted"}},
        "models": {
            "fast": {"route": ["play/echo"]},
            "paced": {"route": [f"play/words-{size.words}:pace={_PACE_MS}"]},
            "long": {"route": [f"play/words-{size.long_words}"]},
        },
    }
    environment = read_environment({"FRONTDESK_ADMIN_KEY": _KEY})
    frontdesk = await open_frontdesk(parse_config(json.dumps(settings), {}), environment, is_development=False)
    try:
        return {
            **await _append(frontdesk, size),
            **await _turns(frontdesk, size),
            **await _attach(frontdesk, size),
        }
    finally:
        await frontdesk.drain()
        await frontdesk.close()


# --- what is measured ---------------------------------------------------------------------------


async def _append(frontdesk: Frontdesk, size: Size) -> dict[str, float]:
    async def streams(*, stores: bool) -> None:
        asked = {"model": "paced", "input": "hello", "stream": True, "store": stores}
        answers = await asyncio.gather(*(_post(frontdesk, asked) for _ in range(_STREAMS)))
        for answer in answers:
            _check(answer, b"response.completed")

    words = _STREAMS * size.words
    stored, plain = await _in_turn(lambda: streams(stores=True), lambda: streams(stores=False), size.laps)
    return {
        "stored_word_us": round(stored / words * 1e6, 1),
        "plain_word_us": round(plain / words * 1e6, 1),
        "append_us": round((stored - plain) / words * 1e6, 1),
    }


async def _turns(frontdesk: Frontdesk, size: Size) -> dict[str, float]:
    keys = iter(range(sys.maxsize))

    async def answers(*, stores: bool) -> None:
        numbers = iter(range(size.answers))

        async def ask() -> None:
            for _ in numbers:
                asked = {"model": "fast", "input": "hello", "store": stores}
                _check(await _post(frontdesk, asked, f"bench-{next(keys)}" if stores else None), b'"completed"')

        await asyncio.gather(*(ask() for _ in range(_TOGETHER)))

    stored, plain = await _in_turn(lambda: answers(stores=True), lambda: answers(stores=False), size.laps)
    return {
        "stored_turn_us": round(stored / size.answers * 1e6, 1),
        "plain_turn_us": round(plain / size.answers * 1e6, 1),
        "turn_us": round((stored - plain) / size.answers * 1e6, 1),
    }


async def _attach(frontdesk: Frontdesk, size: Size) -> dict[str, float]:
    answer = await _post(frontdesk, {"model": "long", "input": "hello", "stream": True})
    response_id = json.loads(answer.split(b"data: ", 1)[1].split(b"\n", 1)[0])["response"]["id"]
    times_s: list[float] = []
    for _ in range(size.laps):
        began = time.perf_counter()
        told = await ask(frontdesk, "GET", f"/v1/responses/{response_id}", b"stream=true")
        times_s.append(time.perf_counter() - began)
        _check(told, b"response.completed")
        if told.count(b"output_text.delta\n") < size.long_words:
            raise ValueError("Not all words were told.")
    return {"attach_ms": round(statistics.median(times_s) * 1e3, 1)}


async def _in_turn(
    one: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[None]], laps: int
) -> tuple[float, float]:
    """Seconds of CPU that each takes: the medians of some laps, after one that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for lap in range(laps + 1):
        for work, into in zip((one, other), times, strict=True):
            began = time.process_time()
            await work()
            await asyncio.sleep(_SETTLED_S)  # what it has left to be stored is its own
            if lap:
                into.append(time.process_time() - began)
    return statistics.median(times[0]), statistics.median(times[1])


_SETTLED_S = 0.2


# --- asking -------------------------------------------------------------------------------------


async def _post(frontdesk: Frontdesk, asked: dict[str, Any], key: str | None = None) -> bytes:
    return await ask(frontdesk, "POST", "/v1/responses", b"", json.dumps(asked).encode(), key)


async def ask(
    frontdesk: Frontdesk, method: str, path: str, query: bytes, body: bytes = b"", key: str | None = None
) -> bytes:
    """Ask, and return the body of the answer, whatever its status."""
    headers = [
        (b"host", b"localhost"),
        (b"authorization", b"Bearer " + _KEY.encode()),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if key is not None:
        headers.append((b"idempotency-key", key.encode()))
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    came: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
    ended = asyncio.Event()
    pieces: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if came:
            return came.pop()
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))
            if not message.get("more_body", False):
                ended.set()

    await frontdesk.asgi(scope, receive, send)
    return b"".join(pieces)


def _check(answer: bytes, wanted: bytes) -> None:
    if wanted not in answer:
        raise ValueError(f"An answer was not what it should be: {answer[-300:]!r}")


if __name__ == "__main__":
    sys.exit(main())
