"""What a first sync weighs in each form, and what it costs, on SQLite: without a network, as devices ask page by page.

    python -m bench.sync [FOLDER] [--conversations N] [--quick]

prints one JSON object, of 1,000 conversations of 5 turns each, whose texts are words drawn by chance as often as words
of a language are (Zipf), 40 of a question and 160 of an answer:

    pages, changes      how many there are, at 1,000 changes and about a megabyte a page
    bytes               of all bodies together, by form: json, json+gzip, json+zstd, msgpack, msgpack+gzip, msgpack+zstd
    page_ms             the CPU time of a page, all threads, by form; the median
    nothing_new         the bytes of a sync with nothing new, each way

FOLDER should be on the disk that will be used; default is the current one.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from frontdesk.conversations import steps
from frontdesk.conversations.entering import enter, leave
from frontdesk.core.clock import SystemClock
from frontdesk.core.ids import new_id
from frontdesk.files.owner import Owner
from frontdesk.storage.database import Database, open_database
from frontdesk.storage.migrate import migrate
from frontdesk.sync.packing import Wanted, write_answer
from frontdesk.sync.pull import Pulling
from frontdesk.sync.shapes import MOST_CHANGES, Page, SyncAnswer
from frontdesk.turn.items import ConversationNamed
from frontdesk.wire.openai_listed_items import listed_input

_OWNER = Owner("default", "ann", "")
_TURNS, _QUESTION_WORDS, _ANSWER_WORDS = 5, 40, 160
_VOCABULARY = 20_000
_FORMS = {
    f"{name}{f'+{coding}' if coding else ''}": Wanted(media_type, coding)
    for name, media_type in (("json", "application/json"), ("msgpack", "application/msgpack"))
    for coding in ("", "gzip", "zstd")
}
_MOST_BYTES = 200  # of a sync with nothing new


def main() -> int:
    """Measure and print. Returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.sync", description="What a first sync weighs.")
    parser.add_argument("folder", nargs="?", default=".", help="on the disk that will be used")
    parser.add_argument("--conversations", type=int, default=1_000)
    parser.add_argument("--quick", action="store_true", help="less of everything: that it runs, not what it costs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        url = f"sqlite:///{Path(place) / 'bench.db'}"
        migrate(url)
        figures = uvloop.run(_measure(url, 20 if given.quick else given.conversations))
    described = f"{platform.machine()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    print(json.dumps({"machine": described, **figures}, indent=2))
    return 1 if max(figures["nothing_new"].values()) > _MOST_BYTES else 0


async def _measure(url: str, conversations: int) -> dict[str, Any]:
    database = await open_database(url)
    try:
        await _fill(database, conversations)
        pages = await _pages(database)
        sizes: dict[str, int] = {}
        page_ms: dict[str, float] = {}
        for form, wanted in _FORMS.items():
            sizes[form], page_ms[form] = await _told(pages, wanted)
        return {
            "conversations": conversations,
            "pages": len(pages),
            "changes": sum(len(page.changes) for page in pages),
            "bytes": sizes,
            "page_ms": page_ms,
            "read_page_ms": await _read_ms(database),
            "nothing_new": await _nothing_new(database, pages[-1].cursor),
        }
    finally:
        await database.close()


async def _pages(database: Database) -> list[Page]:
    pulling = Pulling(database, SystemClock())
    pages = [await pulling.pull(_OWNER, None, MOST_CHANGES)]
    while pages[-1].has_more:
        pages.append(await pulling.pull(_OWNER, pages[-1].cursor, MOST_CHANGES))
    return pages


async def _read_ms(database: Database) -> float:
    """What it costs to read a page, before it is told: the median of all."""
    pulling, cursor, spent = Pulling(database, SystemClock()), None, list[float]()
    while True:
        began = time.process_time()
        page = await pulling.pull(_OWNER, cursor, MOST_CHANGES)
        spent.append((time.process_time() - began) * 1000)
        cursor = page.cursor
        if not page.has_more:
            return round(statistics.median(spent), 2)


async def _told(pages: list[Page], wanted: Wanted) -> tuple[int, float]:
    size, spent = 0, list[float]()
    for page in pages:
        began = time.process_time()
        body, _ = await write_answer(_answer(page), wanted)
        spent.append((time.process_time() - began) * 1000)
        size += len(body)
    return size, round(statistics.median(spent), 2)


async def _nothing_new(database: Database, cursor: str) -> dict[str, int]:
    page = await Pulling(database, SystemClock()).pull(_OWNER, cursor)
    body, _ = await write_answer(_answer(page), Wanted())
    return {"sent": len(msgspec.json.encode({"cursor": cursor})), "told": len(body)}


def _answer(page: Page) -> SyncAnswer:
    return SyncAnswer(cursor=page.cursor, has_more=page.has_more, reset=page.is_reset, changes=page.changes)


# --- what there is ------------------------------------------------------------------------------


async def _fill(database: Database, conversations: int) -> None:
    chance = random.Random(1)  # noqa: S311 - texts, no secrets
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 10))) for _ in range(_VOCABULARY)]
    weights = [1 / rank for rank in range(1, _VOCABULARY + 1)]

    def text(count: int) -> str:
        return " ".join(chance.choices(words, weights, k=count))

    now_ms = int(time.time() * 1000)
    for _ in range(conversations):
        conversation = new_id("conv_")
        row = steps.new_row(_OWNER, conversation, None, now_ms, None, text(5))
        await database.transact(partial(steps.begin, _OWNER, row, now_ms))
        for _ in range(_TURNS):
            response, answer_id = new_id("resp_"), new_id("msg_")
            asked = listed_input([{"role": "user", "content": text(_QUESTION_WORDS)}], response)
            said = listed_input([{"role": "assistant", "id": answer_id, "content": text(_ANSWER_WORDS)}], response)
            entering = partial(enter, _OWNER, ConversationNamed(conversation), None, response, asked, now_ms)
            await database.transact(entering)
            await database.transact(partial(leave, "default", conversation, response, said, now_ms, "answered"))


if __name__ == "__main__":
    sys.exit(main())
