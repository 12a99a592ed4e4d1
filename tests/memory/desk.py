"""The whole application over a real store, asked for answers as clients do, without a network."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sqlalchemy import func, select

from frontdesk.storage.database import Database
from frontdesk.storage.query import Query
from frontdesk.storage.tables import job
from tests.http.asgi import Answer
from tests.sync.desk import App

_IS_SCHEDULED = job.c.dedupe.like("schedule:%")
_OPEN = Query(select(func.count()).select_from(job).where(job.c.finished_at_ms.is_(None), ~_IS_SCHEDULED))


class Person:
    """Somebody who talks, by a session of their own."""

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._token = token

    @property
    def database(self) -> Database:
        return self._app.frontdesk._database

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """Ask anything, and stay until it is answered."""
        answer, has_ended = Answer(), asyncio.Event()
        coming = iter([{"type": "http.request", "body": b"" if body is None else json.dumps(body).encode()}])

        async def receive() -> dict[str, Any]:
            for message in coming:
                return message
            await has_ended.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            answer.messages.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                has_ended.set()

        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {self._token}".encode())],
            "client": ("192.0.2.1", 5000),
            "server": ("127.0.0.1", 80),
        }
        await self._app.frontdesk.asgi(scope, receive, send)  # type: ignore[arg-type]
        assert answer.status == status, answer.body
        return answer.body

    async def say(self, text: str, **fields: Any) -> str:
        """Say something, and return the id of the response to it."""
        return (await self.ask("POST", "/v1/responses", {"input": text, **fields}))["id"]

    async def until_idle(self) -> None:
        """Wait until no job is open but those that recur."""
        async with asyncio.timeout(30):
            while await self.database.read(_OPEN) != [(0,)]:
                await asyncio.sleep(0.005)


async def person_of(app: App, user: str | None = "u1") -> Person:
    """Somebody, or a new one without an account."""
    return Person(app, await app.token(user))
