"""The routes of models."""

from __future__ import annotations

from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from frontdesk.core.errors import NotFound
from frontdesk.doors.desk import ASKING, named_feature
from frontdesk.http.callers import Callers, GuardedRoute, guarded
from frontdesk.http.requests import Head
from frontdesk.policies.access import Access
from frontdesk.turn.turn import Caller

# A credential may be a cookie, of which caches know nothing (RFC 9111 §3.5 is about Authorization).
_OF_ONE = {"cache-control": "no-store"}


class GatewayRoutes:
    """Models."""

    def __init__(self, callers: Callers, access: Access, created_at: int) -> None:
        self._callers = callers
        self._access = access
        self._created_at = created_at

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/v1/models", "GET", self.list_models, self._callers),
            guarded("/v1/models/{model:path}", "GET", self.retrieve_model, self._callers),
        ]

    async def list_models(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """The models that this caller may use, for any feature or for the one that the header names."""
        models = [self._model(name) for name in self._models(request, caller)]
        return JSONResponse({"object": "list", "data": models}, headers=_OF_ONE)

    async def retrieve_model(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """One of them."""
        name = request.path_params["model"]
        if name not in self._models(request, caller):
            raise NotFound(
                f"The model {name!r} does not exist or you do not have access to it.",
                code="model_not_found",
                param="model",
            )
        return JSONResponse(self._model(name), headers=_OF_ONE)

    def _models(self, request: Request, caller: Caller) -> list[str]:
        feature = named_feature(Head(request.scope).feature, {})
        if feature is not None:
            self._access.check_feature(caller, feature)
        return self._access.models_of(caller, feature)

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created_at, "owned_by": "frontdesk"}
