"""How the process is: whether it answers, whether it can serve, and how each configured route is, as its traffic tells.

Strangers are told how many, operators which: a name says who a provider is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from frontdesk.http.callers import Callers, GuardedRoute, May, guarded, open_to_all
from frontdesk.routing.route import Route
from frontdesk.turn.turn import Caller

_HALF, _NEARLY_ALL = 0.5, 0.99
_NOT_KEPT = {"cache-control": "no-store"}


class HealthRoutes:
    """The routes about health. `parts` says how what all turns need is, `local_models` how those are, by route."""

    def __init__(
        self,
        routes: Sequence[Route],
        parts: Callable[[], Mapping[str, str]],
        local_models: Callable[[], Mapping[str, str]],
        callers: Callers,
    ) -> None:
        self._routes = routes
        self._parts = parts
        self._local_models = local_models
        self._callers = callers

    def routes(self) -> list[GuardedRoute]:
        """The routes, for Starlette."""
        return [
            open_to_all("/healthz", "GET", self.healthz),
            open_to_all("/readyz", "GET", self.readyz),
            guarded("/api/admin/routes", "GET", self.list_routes, self._callers),
        ]

    async def healthz(self, _: Request) -> Response:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """The process can serve: its store works. Routes that rest and models that still start are counted, no more."""
        parts = self._parts()
        is_ready = parts["store"] == "ok"
        told = {
            "status": "ok" if is_ready else "failing",
            **parts,
            "routes": {"ok": 0, "resting": 0, **Counter(route.health for route in self._routes)},
            "local_models": Counter(self._local_models().values()),
        }
        return JSONResponse(told, status_code=200 if is_ready else 503, headers=_NOT_KEPT)

    async def list_routes(self, _: Request, caller: Annotated[Caller, May("operator", scope="usage")]) -> Response:  # noqa: ARG002 - who may call
        """How each route is in this process, in the configuration's order."""
        local_models = self._local_models()
        told = [_told(route, local_models.get(route.name)) for route in self._routes]
        return JSONResponse({"object": "list", "data": told}, headers=_NOT_KEPT)


def _told(route: Route, local_model: str | None) -> dict[str, Any]:
    breaker, budget = route.breaker, route.budget
    failures, attempts = (0, 0) if breaker is None else breaker.counts()
    median_s, p99_s = route.latencies.quantiles(_HALF, _NEARLY_ALL)
    return {
        "object": "route",
        "route": route.name,
        "provider": route.provider_name,
        "model": route.model,
        "health": route.health,
        "state": "closed" if breaker is None else breaker.state,
        "rests_s": 0.0 if breaker is None else round(breaker.rest_s(), 3),
        "failures": failures,
        "attempts": attempts,
        "retries_left": None if budget is None else round(budget.left, 3),
        "slots": _slots(route),
        "local_model": local_model,
        "first_event_s": {"count": len(route.latencies), "p50": _rounded(median_s), "p99": _rounded(p99_s)},
    }


def _slots(route: Route) -> dict[str, Any] | None:
    """Those of its provider, which it shares with the provider's other routes."""
    if route.slots is None:
        return None
    standing = route.slots.standing()
    return {
        "concurrent": standing.concurrent,
        "spare": standing.spare,
        "in_use": standing.in_use,
        "waiting": sum(standing.waiting.values()),
        "shed": standing.shed,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
