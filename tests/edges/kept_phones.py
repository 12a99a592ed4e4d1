"""Phones: they ask one thing after the other in every way there is, lose their connections, and come again with the
same key, or with their cursor, until each thing has an end.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.edges.kept_client import (
    CHAT,
    CONVERSATIONS,
    LOST,
    RESPONSES,
    Answer,
    Told,
    ToldChat,
    ask,
    read_on,
    request,
    resume,
    text_of,
)
from tests.edges.kept_serving import Mortal, Site, question_in

KINDS = ("chat", "response", "secret", "bare", "background", "conversation")
_LATER = {"idempotency_key_in_use", "conversation_locked", "conversation_changed"}


@dataclass
class Message:
    """One thing that is asked, and what came of it. `bare` ones have no key, `secret` ones say `store: false`."""

    kind: str
    question: str
    streams: bool
    told: Told | ToldChat
    key: str | None
    conversation: str | None = None
    response: str | None = None
    status: str | None = None  # of its end; `lost` where nobody can know
    code: str | None = None
    text: str = ""
    heard: Answer | None = None  # the last answer that was no stream

    @property
    def path(self) -> str:
        return CHAT if self.kind == "chat" else RESPONSES

    @property
    def is_stored(self) -> bool:
        """Whether it can be retrieved by its id."""
        return self.kind not in ("chat", "secret")

    def body(self) -> bytes:
        fields: dict[str, Any] = {"model": "paced", "stream": self.streams}
        if self.kind == "chat":
            fields["messages"] = [{"role": "user", "content": self.question}]
        else:
            fields["input"] = self.question
        match self.kind:
            case "secret":
                fields["store"] = False
            case "background":
                fields["background"] = True
            case "conversation":
                fields["conversation"] = self.conversation
        return json.dumps(fields).encode()


@dataclass
class Phone:
    """One of them. What it `said` is in order."""

    site: Site
    token: str
    number: int
    conversation: str
    said: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.number)

    async def live(self, is_over: asyncio.Event) -> None:
        """Ask one thing after the other until it is over, and the last one to its end."""
        while not is_over.is_set():
            await asyncio.sleep(self._chance.uniform(0, 0.2))
            message = self._message()
            self.said.append(message)
            while message.status is None:
                try:
                    await self._try(self._chance.choice(self.site.servers), message)
                except LOST:
                    await asyncio.sleep(0.03)

    def _message(self) -> Message:
        chance = self._chance
        kind = chance.choice(KINDS)
        streams = kind == "bare" or chance.random() < 0.6
        name = f"{self.number}-{len(self.said)}"
        words = " ".join(f"word{chance.randrange(1000)}" for _ in range(chance.randrange(3, 14)))
        return Message(
            kind,
            f"message {name} says {words}",
            streams,
            ToldChat() if kind == "chat" else Told(),
            None if kind == "bare" else f"key-{name}",
            self.conversation if kind == "conversation" else None,
        )

    async def _try(self, served: Mortal, message: Message) -> None:
        if message.told.last >= 0 and message.is_stored and (message.key is None or self._chance.random() < 0.5):
            await self._read(served, message, resume(message.told, self.token))  # type: ignore[arg-type]
        elif message.kind == "background" and message.response is not None and not message.streams:
            await self._look(served, message)
        else:
            await self._ask(served, message)

    async def _ask(self, served: Mortal, message: Message) -> None:
        headers = {} if message.key is None else {"Idempotency_Key": message.key}
        if message.told.last >= 0:
            headers["Last_Event_ID"] = str(message.told.last)
        asked = request("POST", message.path, message.body(), self.token, **headers)
        try:
            await self._read(served, message, asked)
        except LOST:
            if message.key is None and message.told.last < 0:
                message.status = "lost"  # it knows neither a key nor an id
            raise

    async def _read(self, served: Mortal, message: Message, asked: bytes) -> None:
        answer = await read_on(served, asked, message.told)
        if answer is not None:
            await self._take(message, answer)
            return
        end = message.told.end
        assert end is not None
        message.response = message.told.response or message.response
        message.status, message.text = end["status"], message.told.text
        if message.status == "failed":
            message.code = _code_of(end["error"])

    async def _look(self, served: Mortal, message: Message) -> None:
        asked = request("GET", f"{RESPONSES}/{message.response}", token=self.token)
        await self._take(message, await ask(served, asked))
        if message.status is None:
            await asyncio.sleep(0.05)

    async def _take(self, message: Message, answer: Answer) -> None:
        message.heard = answer
        if answer.status == 503 or answer.code in _LATER:
            assert answer.headers.get("x-should-retry") != "false", answer
            if message.key is None:
                message.status = "lost"
            await asyncio.sleep(0.05)
            return
        if answer.status != 200:
            assert answer.code in ("server_crashed", "idempotency_answer_not_kept"), (message, answer)
            assert answer.headers["x-should-retry"] == "false"
            message.status, message.code = "unheard", answer.code
            if answer.code == "server_crashed":
                message.status, message.response = "failed", answer.headers["x-request-id"]
            return
        said = answer.json
        message.response = said["id"]
        if message.kind == "chat":
            message.status, message.text = "completed", said["choices"][0]["message"]["content"]
        elif said["status"] in ("completed", "failed"):
            message.status, message.text = said["status"], text_of(said)
            message.code = _code_of(said["error"]) if said["error"] else None


def _code_of(error: dict[str, str]) -> str:
    """The code of an error. A Response has OpenAI's few alone: there its words tell."""
    return "server_crashed" if "server went down while" in error["message"] else error["code"]


async def make_phones(site: Site, count: int) -> list[Phone]:
    """Some phones of ten people, each with a conversation of its own."""
    tokens = [
        (await ask(site.served, request("POST", "/api/sessions", json.dumps({"user": f"u{n}"}).encode()))).json["token"]
        for n in range(10)
    ]
    phones: list[Phone] = []
    for number in range(count):
        token = tokens[number % 10]
        begun = await ask(site.served, request("POST", CONVERSATIONS, b"{}", token))
        phones.append(Phone(site, token, number, begun.json["id"]))
    return phones


class Asked:
    """How often the provider was asked each thing. It looks into its journal before that forgets."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._last = 0
        self.count: Counter[str] = Counter()

    def look(self) -> None:
        for record in self._site.up.journal(self._last):
            self._last = record.id
            self.count[question_in(record)] += 1


async def storm(site: Site, phones: Sequence[Phone], rounds: int, seed: int) -> Asked:
    """Kill a server at a random moment, again and again, while all phones ask. Returns once everything has its end."""
    chance = random.Random(seed)
    is_over = asyncio.Event()
    asked = Asked(site)
    living = asyncio.gather(*(phone.live(is_over) for phone in phones))
    try:
        for _ in range(rounds):
            await asyncio.sleep(chance.uniform(0.05, 0.5))  # the random moment itself
            served = chance.choice(site.servers)
            await asyncio.to_thread(served.kill)
            await asyncio.to_thread(served.start)
            asked.look()
            if living.done():
                break  # something was wrong with one of them
        is_over.set()
        async with asyncio.timeout(30):
            await living
    except TimeoutError:
        raise AssertionError([phone.said[-1] for phone in phones if phone.said[-1].status is None]) from None
    finally:
        living.cancel()
    async with asyncio.timeout(30):
        while (await site.rows("select count(*) from response where finished_at_ms is null"))[0][0]:
            await asyncio.sleep(0.05)
    asked.look()
    return asked


def key_row(key: str) -> str:
    """How the key stands in its row."""
    return hashlib.sha256(key.encode()).hexdigest()
