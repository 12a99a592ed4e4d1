"""The routes of /v1 that carry no turn: models, and the cancelling of a turn under way."""

from __future__ import annotations

from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from frontdesk.core.errors import NotFound
from frontdesk.doors.desk import ASKING, named_feature
from frontdesk.http.callers import Callers, GuardedRoute, guarded
from frontdesk.http.requests import Head
from frontdesk.policies.access import Access
from frontdesk.turn.live import LiveTurns
from frontdesk.turn.turn import Caller, Turn
from frontdesk.wire.openai_responses_render import ResponsesBody, ResponsesStream

# A credential may be a cookie, of which caches know nothing (RFC 9111 §3.5 is about Authorization).
_OF_ONE = {"cache-control": "no-store"}


class GatewayRoutes:
    """Models, and cancelling."""

    def __init__(self, callers: Callers, access: Access, created_at: int, live: LiveTurns) -> None:
        self._callers = callers
        self._access = access
        self._created_at = created_at
        self._live = live

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            guarded("/v1/models", "GET", self.list_models, self._callers),
            guarded("/v1/models/{model:path}", "GET", self.retrieve_model, self._callers),
            guarded("/v1/responses/{response_id}/cancel", "POST", self.cancel_response, self._callers),
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

    async def cancel_response(self, request: Request, caller: Annotated[Caller, ASKING]) -> Response:
        """End a Response that is being made, and return it as far as it came."""
        response_id = request.path_params["response_id"]
        found = self._live.find(response_id)
        if found is None or found.turn.door != "responses" or not _owns(caller, found.turn):
            raise NotFound(
                f"No response {response_id!r} is being made. It has ended, or never was.", code="response_not_found"
            )
        await self._live.cancel(response_id)
        renderer = found.sink.renderer
        assert isinstance(renderer, ResponsesBody | ResponsesStream)  # the door "responses" has no other
        return JSONResponse(renderer.response(), headers=_OF_ONE)

    def _models(self, request: Request, caller: Caller) -> list[str]:
        feature = named_feature(Head(request.scope).feature, {})
        if feature is not None:
            self._access.check_feature(caller, feature)
        return self._access.models_of(caller, feature)

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created_at, "owned_by": "frontdesk"}


def _owns(caller: Caller, turn: Turn) -> bool:
    owner = turn.caller
    if caller.tenant != owner.tenant:
        return False
    return caller.role != "user" or (owner.role == "user" and owner.person == caller.person)
