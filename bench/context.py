"""What a long conversation costs on SQLite: the server in this process, without a network, as CPU time of all threads.

    python -m bench.context [FOLDER] [--quick]

prints one JSON object, of conversations of 500 messages, of 200 characters each, whose feature tells its model the
latest 2,000 tokens:

    cold_ms      to read one that nobody has read since the start, count it and build what the model is told
    context_ms   the same of one that was read for the turn before: two messages are new
    turn_us      a whole turn in one, minus one that brings the messages itself which the model is told, with
                 `store: false`: 16 at a time, medians of laps in which both are done in turn
    beside_us    a whole turn in one, minus one of a single message, with `store: false`: what is told costs as well

`synchronous` is FULL. FOLDER should be on the disk that will be used; default is the current one.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

from bench.keeping import ask
from bench.measured import Bench, run
from frontdesk.app import Frontdesk, open_frontdesk
from frontdesk.conversations.service import Conversations
from frontdesk.core.clock import SystemClock
from frontdesk.core.config import Config, parse_config, read_environment
from frontdesk.files.owner import owner_of
from frontdesk.keeping.compactions import Compactions
from frontdesk.keeping.history import OwnHistory
from frontdesk.memory.recall import Recall
from frontdesk.policies.context import Contexts
from frontdesk.policies.history import History
from frontdesk.storage.database import Database, open_database
from frontdesk.tokens.counter import TokenCounter
from frontdesk.tokens.items import ItemTokens
from frontdesk.tokens.texts import TextTokens
from frontdesk.tokens.vocabularies import vocabularies_of
from frontdesk.turn.items import ConversationNamed, Message, Prompt
from frontdesk.turn.turn import Caller, Turn

_KEY = "fd_sk_bench-admin-key-that-opens-nothing-real"
_FEATURE = "chat"
_TOKENS = 2_000
_WORDS = "some words of a message that goes on for a while and then comes to its end as all do " * 2
_MOST_ADDED = 20  # items at a time
_TOGETHER = 16
_TARGETS = {"context_ms": 1.5, "turn_us": 300.0}


class Size(NamedTuple):
    """How much of everything."""

    messages: int
    contexts: int
    turns: int
    laps: int


_FULL, _QUICK = Size(500, 200, 20, 5), Size(100, 5, 1, 1)


def main() -> int:
    """Measure and print. Returns 1 where a target is missed."""
    return run(Bench("bench.context", "What long conversations cost.", _TARGETS), _measure, _FULL, _QUICK)


async def _measure(url: str, size: Size) -> dict[str, float]:
    settings = {
        "database": url,
        "providers": {"play": {"kind": "scripted"}},
        "models": {"fast": {"route": ["play/echo"]}},
        "features": {_FEATURE: {"models": ["fast"], "context": {"strategy": "window", "tokens": _TOKENS}}},
    }
    config = parse_config(json.dumps(settings), {})
    return {**await _contexts(config, url, size), **await _turns(config, size)}


# --- the context alone --------------------------------------------------------------------------


async def _contexts(config: Config, url: str, size: Size) -> dict[str, float]:
    database = await open_database(url)
    counter = TokenCounter(SystemClock())
    try:
        return await _context_figures(config, database, counter, size)
    finally:
        await counter.close()
        await database.close()


async def _context_figures(config: Config, database: Database, counter: TokenCounter, size: Size) -> dict[str, float]:
    clock = SystemClock()
    caller = Caller("user", "sess_bench", "ann", "free")
    owner = owner_of(caller)
    conversations = Conversations(database, clock)

    def policies() -> tuple[History, Contexts]:
        texts = TextTokens(vocabularies_of(config, Path()), counter, clock)
        library = OwnHistory(database, conversations, Compactions(), clock, texts)
        contexts = Contexts(config.features, config.models, ItemTokens(texts), Recall(database))
        return History(library), contexts

    row = await conversations.create(owner, [], None, lambda _: None)
    for first in range(0, size.messages, _MOST_ADDED):
        await conversations.add(owner, row.id, [_message(number) for number in range(first, first + _MOST_ADDED)])

    async def build(history: History, contexts: Contexts) -> float:
        """Milliseconds of CPU."""
        prompt = Prompt([Message("user", "And now?")], dialect="responses", conversation=ConversationNamed(row.id))
        turn = Turn("responses", caller, "fast", prompt, clock, _FEATURE)
        turn.entrance = cast("Any", object())  # as of one that is asked for the first time
        began = time.process_time()
        for policy in (history, contexts):
            waits = policy.admit(turn)
            if inspect.isawaitable(waits):
                await waits
        took = time.process_time() - began
        assert turn.context is not None  # the feature has a strategy
        if not 0 < (turn.context.tokens or 0) <= _TOKENS or not turn.context.left_out:
            raise ValueError(f"The context was not what it should be: {turn.context!r}")
        return took * 1e3

    known = policies()
    await build(*known)  # statements are compiled, modules loaded
    cold = [await build(*policies()) for _ in range(5)]
    warm: list[float] = []
    for number in range(size.contexts):
        added = [_message(size.messages + 2 * number), _message(size.messages + 2 * number + 1)]
        await conversations.add(owner, row.id, added)
        warm.append(await build(*known))
    return {"cold_ms": round(statistics.median(cold), 2), "context_ms": round(statistics.median(warm), 2)}


def _message(number: int) -> dict[str, Any]:
    role, kind = ("assistant", "output_text") if number % 2 else ("user", "input_text")
    content = [{"type": kind, "text": f"{number} {_WORDS}"}]
    return {"id": f"msg_{number}", "type": "message", "role": role, "status": "completed", "content": content}


# --- whole turns --------------------------------------------------------------------------------


async def _turns(config: Config, size: Size) -> dict[str, float]:
    environment = read_environment({"FRONTDESK_ADMIN_KEY": _KEY})
    frontdesk = await open_frontdesk(config, environment, is_development=False)
    try:
        return await _turn_figures(frontdesk, size)
    finally:
        await frontdesk.drain()
        await frontdesk.close()


async def _turn_figures(frontdesk: Frontdesk, size: Size) -> dict[str, float]:
    conversations = [await _conversation(frontdesk, size.messages) for _ in range(_TOGETHER)]
    first = await _answered(frontdesk, {"conversation": conversations[0], "input": "And now?"})
    receipt = json.loads(await _ask(frontdesk, "GET", f"/api/receipts/{first['id']}"))
    told = [_message(number) for number in range(size.messages)][1 - receipt["context"]["items"] :]
    shown = [{"role": each["role"], "content": each["content"][0]["text"]} for each in told]
    now = {"role": "user", "content": "And now?"}

    async def turns(asked: Callable[[int], dict[str, Any]]) -> None:
        async def one_after_the_other(place: int) -> None:
            for _ in range(size.turns):
                await _answered(frontdesk, asked(place))

        await asyncio.gather(*map(one_after_the_other, range(_TOGETHER)))

    took = await _in_turn(
        {
            "long": lambda: turns(lambda place: {"conversation": conversations[place], "input": "And now?"}),
            "stateless": lambda: turns(lambda _: {"input": [*shown, now], "store": False}),
            "single": lambda: turns(lambda _: {"input": "And now?", "store": False}),
        },
        size.laps,
    )
    us = {name: seconds / (_TOGETHER * size.turns) * 1e6 for name, seconds in took.items()}
    return {
        "told_messages": receipt["context"]["items"],
        **{f"{name}_turn_us": round(each) for name, each in us.items()},
        "turn_us": round(us["long"] - us["stateless"]),
        "beside_us": round(us["long"] - us["single"]),
    }


async def _conversation(frontdesk: Frontdesk, messages: int) -> str:
    made = json.loads(await _ask(frontdesk, "POST", "/v1/conversations", {}))
    for first in range(0, messages, _MOST_ADDED):
        items = {"items": [_message(number) for number in range(first, first + _MOST_ADDED)]}
        await _ask(frontdesk, "POST", f"/v1/conversations/{made['id']}/items", items)
    return made["id"]


async def _answered(frontdesk: Frontdesk, asked: dict[str, Any]) -> dict[str, Any]:
    fields = {"model": "fast", "metadata": {"feature": _FEATURE}, **asked}
    answer = json.loads(await _ask(frontdesk, "POST", "/v1/responses", fields))
    if answer.get("status") != "completed":
        raise ValueError(f"An answer was not what it should be: {answer!r}")
    return answer


async def _ask(frontdesk: Frontdesk, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
    return await ask(frontdesk, method, path, b"", b"" if body is None else json.dumps(body).encode())


async def _in_turn(works: dict[str, Callable[[], Awaitable[None]]], laps: int) -> dict[str, float]:
    """Seconds of CPU that each takes: the medians of some laps, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for lap in range(laps + 1):
        for name, work in works.items():
            began = time.process_time()
            await work()
            await asyncio.sleep(_SETTLED_S)  # what it has left to be stored is its own
            if lap:
                times[name].append(time.process_time() - began)
    return {name: statistics.median(each) for name, each in times.items()}


_SETTLED_S = 0.2


if __name__ == "__main__":
    sys.exit(main())
