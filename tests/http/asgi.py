"""One request to an ASGI application, by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    """What an application sent."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    def all(self, name: str) -> list[str]:
        """The values of a header that may come several times."""
        return [value.decode() for each, value in self.messages[0]["headers"] if each.decode() == name]

    @property
    def body(self) -> Any:
        return json.loads(b"".join(message.get("body", b"") for message in self.messages[1:]))

    @property
    def code(self) -> str:
        return self.body["error"]["code"]


async def ask(
    application: Any,
    method: str,
    path: str,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
    messages: Iterable[dict[str, Any]] = ({"type": "http.request", "body": b""},),
    client: tuple[str, int] | None = ("192.0.2.1", 5000),
    scheme: str = "http",
    offers_socket: bool = False,
) -> Answer:
    """Send one request. `messages` are what `receive` returns, in order; then nothing comes any more.

    The offer of a WebSocket lacks what a handshake needs, so nobody can take it.
    """
    answer = Answer()
    path, _, query = path.partition("?")
    coming = iter(messages)
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "scheme": scheme,
        "query_string": query.encode(),
        "headers": list(headers),
        "client": client,
        "server": ("127.0.0.1", 80),
        **({"frontdesk.upgrade": None} if offers_socket else {}),
    }

    async def receive() -> dict[str, Any]:
        for message in coming:
            return message
        return await asyncio.get_running_loop().create_future()

    async def send(message: dict[str, Any]) -> None:
        answer.messages.append(message)

    await application(scope, receive, send)
    return answer
