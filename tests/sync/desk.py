"""The whole application over a real store, asked as devices ask, without a network."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from frontdesk.accounts.service import NewSession
from frontdesk.app import Frontdesk
from frontdesk.core.config import parse_config, read_environment
from frontdesk.storage.database import open_database
from tests.http.asgi import Answer, ask
from tests.sync.taker import Taker

SETTINGS = """
providers: {scripted: {kind: scripted}}
models: {fast: {route: [scripted/echo]}, slow: {route: [scripted/slow-500]}, broken: {route: [scripted/error-400]}}
default_model: fast
auth: {anonymous: true}
tiers: {free: {}, narrow: {requests_per_minute: 1}, poor: {models: [fast]}}
default_tier: free
"""


class App:
    """One process, and whoever calls."""

    def __init__(self, frontdesk: Frontdesk) -> None:
        self.frontdesk = frontdesk

    async def token(self, user: str | None = "u1", tier: str | None = None) -> str:
        """A session's; None is somebody new, without an account."""
        is_anonymous = user is None
        new = NewSession("default", user, tier, (), None, None, 3600, is_refreshable=False, is_anonymous=is_anonymous)
        return (await self.frontdesk.accounts.begin_session(new)).token

    async def ask(self, token: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Ask anything; a body that is not bytes is sent as JSON."""
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = [(b"authorization", f"Bearer {token}".encode())]
        lines += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        message = {"type": "http.request", "body": sent}
        return await ask(self.frontdesk.asgi, method, path, headers=lines, messages=[message])

    async def sync(
        self, token: str, device: Taker | None = None, push: Sequence[dict[str, Any]] = (), **fields: Any
    ) -> dict[str, Any]:
        """Sync once; the device takes what it is told."""
        body: dict[str, Any] = dict(fields)
        if device is not None and device.cursor is not None:
            body["cursor"] = device.cursor
        if push:
            body["push"] = list(push)
        answer = await self.ask(token, "POST", "/api/sync", body)
        assert answer.status == 200, answer.body
        if device is not None:
            device.take(answer.body)
        return answer.body

    async def synced(self, token: str, device: Taker, limit: int = 200) -> Taker:
        """Sync until there is no more."""
        while (await self.sync(token, device, limit=limit))["has_more"]:
            pass
        return device

    async def pushed(self, token: str, *entries: dict[str, Any]) -> list[dict[str, Any]]:
        """What became of some entries."""
        return (await self.sync(token, push=entries))["results"]

    async def until_ended(self, token: str, response: str) -> str:
        """Wait for the end of a response; returns its status."""
        async with asyncio.timeout(30):
            while True:
                answer = await self.ask(token, "GET", f"/v1/responses/{response}")
                if answer.body["status"] not in ("queued", "in_progress"):
                    return answer.body["status"]
                await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(url: str, settings: str = SETTINGS) -> AsyncIterator[App]:
    """The application, started."""
    frontdesk = Frontdesk(
        parse_config(settings, {}), read_environment({}), await open_database(url), is_development=False
    )
    await frontdesk.start()
    try:
        yield App(frontdesk)
    finally:
        await frontdesk.drain()
        await frontdesk.close()


def new_id() -> str:
    """An entry's."""
    return str(uuid.uuid4())


def new_conversation() -> str:
    """The id of a conversation, as devices make them."""
    return f"conv_{uuid.uuid4().hex}"


def entry(kind: str, **fields: Any) -> dict[str, Any]:
    """An entry of an outbox."""
    return {"id": new_id(), "type": kind, **fields}
