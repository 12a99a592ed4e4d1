"""What a client needs to know at its start, and what changes it without an update.

All of it follows from the configuration, so its `revision` does too. Connections tell it as well: a client that hears
another one than it knows asks again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from frontdesk.core.config import Config, Model
from frontdesk.http.callers import GuardedRoute, open_to_all
from frontdesk.http.clients import PROTOCOL_VERSION
from frontdesk.policies.access import Access
from frontdesk.turn.turn import Caller


class SyncTerms(msgspec.Struct, frozen=True):
    """How apps keep up: what a connection that is silent for longer than `heartbeat_s` has lost, when to ask again
    without one, and how much may be brought at once.
    """

    heartbeat_s: float
    poll_after_s: float
    most_entries: int
    most_bytes: int


class BootstrapRoutes:
    """The routes that need no credential."""

    def __init__(
        self,
        config: Config,
        version: str,
        access: Access,
        allows_anonymous: Callable[[Request], bool],
        sync: SyncTerms,
        *,
        is_development: bool,
    ) -> None:
        self._sync = sync
        self._config = config
        self._version = version
        self._access = access
        self._allows_anonymous = allows_anonymous
        self._is_development = is_development
        self._openapi: bytes | None = None
        said = self._said()
        self.revision = hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:_REVISION_CHARS]
        self._told = {
            is_open: _Told({**said, "anonymous": is_open, "revision": self.revision}) for is_open in (False, True)
        }

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            open_to_all("/api/bootstrap", "GET", self.bootstrap),
            open_to_all("/openapi.json", "GET", self.openapi),
        ]

    async def bootstrap(self, request: Request) -> Response:
        """What a new person may chat with where they name no feature, which features they may name, how a session
        begins, what apps speak here, and which switches they follow.
        """
        told = self._told[self._allows_anonymous(request)]
        headers = {"etag": told.tag, "cache-control": "no-cache"}
        if told.is_known(request.headers.getlist("if-none-match")):
            return Response(status_code=304, headers=headers)
        return Response(told.body, media_type="application/json", headers=headers)

    def _said(self) -> dict[str, Any]:
        config = self._config
        newcomer = Caller("user", "", tier=config.auth.anonymous_tier if config.auth.anonymous else None)
        feature = self._access.choose_feature(newcomer, None)
        features = self._access.features_of(newcomer)
        models = self._chats(newcomer, feature) if feature in features or not self._access.has_features else {}
        default_model = self._access.choose_model(newcomer, feature, "chat") if models else None
        return {
            "name": "Frontdesk",
            "version": self._version,
            "development": self._is_development,
            "features": features,
            "default_feature": feature if feature in features else None,
            "default_model": default_model if default_model in models else None,
            "models": [{"id": name, "title": model.title or name} for name, model in models.items()],
            "protocol": {"version": PROTOCOL_VERSION, "minimum": PROTOCOL_VERSION},
            "minimum_client": config.clients.minimum,
            "switches": config.clients.switches,
            "sync": self._sync,
        }

    def _chats(self, newcomer: Caller, feature: str) -> dict[str, Model]:
        models = {name: self._config.models[name] for name in self._access.models_of(newcomer, feature)}
        return {name: model for name, model in models.items() if model.kind == "chat"}

    async def openapi(self, _: Request) -> Response:
        """The OpenAPI document. It is made when it is first asked for, beside the loop."""
        if self._openapi is None:
            self._openapi = await asyncio.to_thread(_openapi)
        return Response(self._openapi, media_type="application/json")


class _Told:
    """An answer, and the tag by which a client knows it again (RFC 9110 §8.8.3)."""

    __slots__ = ("body", "tag")

    def __init__(self, said: dict[str, Any]) -> None:
        self.body = msgspec.json.encode(said)
        self.tag = f'"{hashlib.sha256(self.body).hexdigest()[:_REVISION_CHARS]}"'

    def is_known(self, conditions: list[str]) -> bool:
        """Whether a request has it already, as its headers If-None-Match say (RFC 9110 §13.1.2)."""
        tags = {tag.strip().removeprefix("W/") for condition in conditions for tag in condition.split(",")}
        return self.tag in tags or "*" in tags


_REVISION_CHARS = 16


def _openapi() -> bytes:
    from frontdesk.doors.openapi import document  # noqa: PLC0415 - servers start without it

    return msgspec.json.encode(document())
