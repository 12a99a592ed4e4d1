"""How long people wait for a first word while background work takes all that it may.

    python -m bench.priority [--seconds 60] [--waiting 500] [--rate 5] [--pace 20]

A served Frontdesk, over real sockets, before `frontdesk upstream`: 200 ms to the first word, 20 words `pace` ms apart,
16 slots, of which as many are spare as the server finds right. Interactive streams come by chance, `rate` a second on
the average, from a schedule that is the same in both parts: first by themselves, then while so many background streams
wait, each of which asks again as soon as it was answered. Times count from the moment at which a question was due.
Slots are looked at ten times a second, as operators see them.

Prints one JSON object. Ends with 1 where the crowded p99 is more than 1.3 times the other, or the slots that are not
spare were not in use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
import yaml

from bench.percentile import percentile
from bench.processes import Server, free_port
from bench.sessions import begin_session

_ADMIN_KEY = "fd_sk_bench-key-that-opens-nothing-real"
_FIRST_WORD_MS = 200
_WORDS = 20
_SLOTS = 16
_LOOK_EVERY_S = 0.1
_MOST_TIMES = 1.3
_LEAST_USE = 0.95
_SEED = 11


@dataclass(frozen=True, slots=True)
class Asking:
    """Where to ask, and as whom."""

    port: int
    token: str
    priority: str


@dataclass(slots=True)
class Part:
    """What was measured in one part of the bench."""

    first_word_s: list[float] = field(default_factory=list)
    slots: list[Mapping[str, int]] = field(default_factory=list)
    background: int = 0
    failures: int = 0

    @property
    def use_of_the_rest(self) -> float:
        """How much of the slots that were not spare were in use, as a part of 1."""
        rest = [(_SLOTS - slots["spare"], slots["in_use"]) for slots in self.slots]
        return sum(min(used, others) / others for others, used in rest) / len(rest)

    def told(self) -> dict[str, object]:
        """The figures, for people."""
        return {
            "interactive": len(self.first_word_s),
            "first_word_p50_ms": round(percentile(self.first_word_s, 0.5) * 1000, 1),
            "first_word_p99_ms": round(percentile(self.first_word_s, 0.99) * 1000, 1),
            "first_word_max_ms": round(max(self.first_word_s) * 1000, 1),
            "slots_in_use": round(sum(slots["in_use"] for slots in self.slots) / len(self.slots), 2),
            "slots_spare": round(sum(slots["spare"] for slots in self.slots) / len(self.slots), 2),
            "use_of_the_rest": round(self.use_of_the_rest, 3),
            "least_waiting": min(slots["waiting"] for slots in self.slots),
            "background_answers": self.background,
            "failures": self.failures,
        }


def main() -> int:
    """Measure and print. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Interactive first words beside background work.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--waiting", type=int, default=500)
    parser.add_argument("--rate", type=float, default=5)
    parser.add_argument("--pace", type=int, default=20)
    arguments = parser.parse_args()
    model = f"words-{_WORDS}:ttft={_FIRST_WORD_MS},pace={arguments.pace}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="frontdesk-bench-")))
        port = free_port()
        command = ("-m", "frontdesk", "upstream", "--port", str(port))
        stack.enter_context(Server("upstream", port, folder, command))
        server = stack.enter_context(_frontdesk(folder, port, model))
        people = Asking(server.port, begin_session(server.port, _ADMIN_KEY), "interactive")
        others = Asking(server.port, _ADMIN_KEY, "background")
        schedule = _schedule(arguments.seconds, arguments.rate)
        alone = uvloop.run(_part(people, others, schedule, 0))
        crowded = uvloop.run(_part(people, others, schedule, arguments.waiting))
    times = percentile(crowded.first_word_s, 0.99) / percentile(alone.first_word_s, 0.99)
    figures = {"unloaded": alone.told(), "loaded": crowded.told()}
    print(json.dumps({"slots": _SLOTS, "p99_times": round(times, 3), **figures}, indent=2))
    is_held = times <= _MOST_TIMES and crowded.use_of_the_rest >= _LEAST_USE
    return 0 if is_held and not alone.failures + crowded.failures else 1


def _frontdesk(folder: Path, upstream_port: int, model: str) -> Server:
    port = free_port()
    settings: dict[str, object] = {
        "database": f"sqlite:///{folder / 'frontdesk.db'}",
        "providers": {
            "up": {
                "kind": "openai-compatible",
                "base_url": f"http://127.0.0.1:{upstream_port}/v1",
                "api_key": "test",
                "slots": {"concurrent": _SLOTS, "longest_wait_s": 3600},
            }
        },
        "models": {"fast": {"route": [f"up/{model}"]}},
        "default_model": "fast",
        "tiers": {"free": {}},
        "default_tier": "free",
    }
    config = folder / "frontdesk.yaml"
    config.write_text(yaml.safe_dump(settings))
    command = ("-m", "frontdesk", "serve", "--config", str(config), "--port", str(port))
    return Server("frontdesk", port, folder, command, {"FRONTDESK_ADMIN_KEY": _ADMIN_KEY})


def _schedule(seconds: float, rate_per_s: float) -> list[float]:
    """When people ask, in seconds from the beginning; both parts have the same."""
    chance = random.Random(_SEED)  # noqa: S311 - no secret
    moments = [chance.expovariate(rate_per_s)]
    while moments[-1] < seconds:
        moments.append(moments[-1] + chance.expovariate(rate_per_s))
    return moments[:-1]


async def _part(people: Asking, others: Asking, schedule: list[float], waiting: int) -> Part:
    part = Part()
    crowd = [asyncio.ensure_future(_again_and_again(others, part)) for _ in range(waiting + _SLOTS if waiting else 0)]
    if crowd:
        async with asyncio.timeout(60):
            while (await _slots(others))["waiting"] < waiting:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(_LOOK_EVERY_S)
        part.background = 0
    looking = asyncio.ensure_future(_look(others, part))
    began = time.monotonic()
    asked: list[asyncio.Future[None]] = []
    for moment in schedule:
        await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
        asked.append(asyncio.ensure_future(_once(people, part, began + moment)))
    await asyncio.gather(*asked)
    for task in (looking, *crowd):
        task.cancel()
    await asyncio.gather(looking, *crowd, return_exceptions=True)
    return part


async def _once(asking: Asking, part: Part, due: float) -> None:
    first_word_at = await _answer(asking)
    if first_word_at is None:
        part.failures += 1
    else:
        part.first_word_s.append(first_word_at - due)


async def _again_and_again(asking: Asking, part: Part) -> None:
    while True:
        if await _answer(asking) is None:
            part.failures += 1
        else:
            part.background += 1


async def _answer(asking: Asking) -> float | None:
    """Ask for a stream and read all of it. Returns when its first word came; None for one that is not whole."""
    reader, writer = await asyncio.open_connection("127.0.0.1", asking.port)
    try:
        body = json.dumps({"stream": True, "messages": [{"role": "user", "content": "go on"}]}).encode()
        writer.write(_request("POST", "/v1/chat/completions", asking, body))
        first_word_at: float | None = None
        words = 0
        async for line in reader:
            if line.startswith(b'data: {"') and b'"content":"w' in line.replace(b'" ', b'"'):
                first_word_at = first_word_at or time.monotonic()
                words += 1
            if line.startswith(b"data: [DONE]"):
                return first_word_at if words == _WORDS else None
        return None
    finally:
        writer.close()


async def _look(asking: Asking, part: Part) -> None:
    while True:
        part.slots.append(await _slots(asking))
        await asyncio.sleep(_LOOK_EVERY_S)


async def _slots(asking: Asking) -> Mapping[str, int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", asking.port)
    writer.write(_request("GET", "/api/admin/routes", asking, b"", "connection: close\r\n"))
    answer = await reader.read()
    writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2])["data"][0]["slots"]


def _request(method: str, path: str, asking: Asking, body: bytes, more: str = "") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {asking.token}\r\n"
        f"frontdesk-priority: {asking.priority}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    sys.exit(main())
