"""A webhook: a signed POST, as Standard Webhooks has it (https://www.standardwebhooks.com, 2024-10).

What counts of the answer is its status: any 2xx has taken the message. Redirects are not followed, and bodies
not read.
"""

from __future__ import annotations

from http import HTTPStatus

from yarl import URL

from frontdesk.core.clock import Clock
from frontdesk.core.webhooks import signature, signing_key
from frontdesk.providers.connection import Connection
from frontdesk.providers.seldom import SeldomAsked, Unreachable

_TIMEOUT_S = 10.0  # from the first look at the receiver's name to its status


class NotTaken(Exception):
    """The receiver did not take a message; the text says why, without the address's path, which may be a secret.

    `is_gone` where it wants it no more.
    """

    def __init__(self, reason: str, *, is_gone: bool = False) -> None:
        super().__init__(reason)
        self.is_gone = is_gone


class Webhook:
    """Where messages are sent. The address and the secret are those of a configuration that was checked."""

    def __init__(self, url: str, secret: str, clock: Clock, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._url = URL(url)
        self._told = f"{self._url.scheme}://{self._url.host_port_subcomponent}"
        self._key = signing_key(secret)
        self._clock = clock
        self._server = SeldomAsked(self._url, self._told, timeout_s=timeout_s)

    async def send(self, message_id: str, body: bytes) -> None:
        """Send a message, JSON. Each try is signed anew, for receivers refuse old ones. Raises NotTaken."""
        try:
            status = await self._server.ask(self._request(message_id, body), _status)
        except Unreachable as failure:
            raise NotTaken(str(failure)) from None
        if not 200 <= status < 300:
            raise NotTaken(f"{self._told} answered with status {status}", is_gone=status == HTTPStatus.GONE)

    def _request(self, message_id: str, body: bytes) -> bytes:
        timestamp = int(self._clock.now())
        head = (
            f"POST {self._url.raw_path_qs} HTTP/1.1\r\nHost: {self._url.host_port_subcomponent}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"webhook-id: {message_id}\r\nwebhook-timestamp: {timestamp}\r\n"
            f"webhook-signature: {signature(self._key, message_id, timestamp, body)}\r\n"
            "User-Agent: frontdesk\r\nConnection: close\r\n\r\n"
        )
        return head.encode("ascii") + body


async def _status(connection: Connection) -> int:
    return connection.status
