"""What a client needs to know at its start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from frontdesk.core.config import Config, Model
from frontdesk.http.callers import GuardedRoute, open_to_all
from frontdesk.policies.access import Access
from frontdesk.turn.turn import Caller


class BootstrapRoutes:
    """The routes that need no credential."""

    def __init__(
        self,
        config: Config,
        version: str,
        access: Access,
        allows_anonymous: Callable[[Request], bool],
        *,
        is_development: bool,
    ) -> None:
        self._config = config
        self._version = version
        self._access = access
        self._allows_anonymous = allows_anonymous
        self._is_development = is_development
        self._openapi: bytes | None = None

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            open_to_all("/api/bootstrap", "GET", self.bootstrap),
            open_to_all("/openapi.json", "GET", self.openapi),
        ]

    async def bootstrap(self, request: Request) -> Response:
        """What a new person may chat with where they name no feature, which features they may name, and how a
        session begins.
        """
        auth = self._config.auth
        newcomer = Caller("user", "", tier=auth.anonymous_tier if auth.anonymous else None)
        feature = self._access.choose_feature(newcomer, None)
        features = self._access.features_of(newcomer)
        models = self._chats(newcomer, feature) if feature in features or not self._access.has_features else {}
        default_model = self._access.choose_model(newcomer, feature, "chat") if models else None
        return JSONResponse(
            {
                "name": "Frontdesk",
                "version": self._version,
                "development": self._is_development,
                "anonymous": self._allows_anonymous(request),
                "features": features,
                "default_feature": feature if feature in features else None,
                "default_model": default_model if default_model in models else None,
                "models": [{"id": name, "title": model.title or name} for name, model in models.items()],
            },
            headers={"cache-control": "no-store"},
        )

    def _chats(self, newcomer: Caller, feature: str) -> dict[str, Model]:
        models = {name: self._config.models[name] for name in self._access.models_of(newcomer, feature)}
        return {name: model for name, model in models.items() if model.kind == "chat"}

    async def openapi(self, _: Request) -> Response:
        """The OpenAPI document. It is made when it is first asked for, beside the loop."""
        if self._openapi is None:
            self._openapi = await asyncio.to_thread(_openapi)
        return Response(self._openapi, media_type="application/json")


def _openapi() -> bytes:
    from frontdesk.doors.openapi import document  # noqa: PLC0415 - servers start without it

    return msgspec.json.encode(document())
