"""Routing, put together: the routes of a configuration, what watches over them, and who chooses between them."""

from __future__ import annotations

import math
import random

import msgspec

from frontdesk.core.clock import Clock
from frontdesk.core.config import FIELDS_OF_KIND, Config
from frontdesk.routing.breakers import Breaker
from frontdesk.routing.plans import Plans
from frontdesk.routing.retries import RetryBudget
from frontdesk.routing.route import NO_RETRIES, Route
from frontdesk.routing.router import Copies, FallbackRouter
from frontdesk.routing.shadows import Shadows
from frontdesk.scheduling.slots import Slots
from frontdesk.turn.run import Line, run_turn
from frontdesk.turn.seams import Policy
from frontdesk.wiring.money import Money
from frontdesk.wiring.providers import Providers


class Routing:
    """The routes of a configuration, each once, however many models have it."""

    def __init__(self, config: Config, providers: Providers, clock: Clock) -> None:
        self.plans = Plans(config.models)
        self._config = config
        self._providers = providers
        self._clock = clock
        self._budgets = {name: RetryBudget(each.retries.budget) for name, each in config.providers.items()}
        self._slots = {
            name: Slots(name, each.slots, clock) for name, each in config.providers.items() if each.slots is not None
        }
        ways = dict.fromkeys(way for model in config.models.values() for way in model.asked)
        self._routes = {way: self._route(way) for way in ways}

    def router(self, copies: Copies | None = None) -> FallbackRouter:
        """Chooses for turns. `copies` are taken of them."""
        models = self._config.models
        return FallbackRouter(
            {name: [self._routes[way] for way in model.routes] for name, model in models.items()},
            self.plans,
            hedge_after_s={
                name: model.hedge_after_s for name, model in models.items() if model.hedge_after_s is not None
            },
            copies=copies,
        )

    def shadows(self, tracing: Policy, money: Money) -> Shadows | None:
        """Who copies turns, and carries the copies by a line of their own: traced, paid for, to one route, once."""
        shadows = {name: model.shadow for name, model in self._config.models.items() if model.shadow is not None}
        if not shadows:
            return None
        models = {
            name: msgspec.structs.replace(self._config.models[name], route=[shadow.to])
            for name, shadow in shadows.items()
        }
        budgets = money.budgets_of(msgspec.structs.replace(self._config, models=models))
        routes = {name: [self._routes[shadow.to].without_retries()] for name, shadow in shadows.items()}
        line = Line([tracing, budgets], [], FallbackRouter(routes, purpose="shadow"))
        return Shadows(
            shadows,
            lambda turn, sink: run_turn(turn, line, sink),
            self._clock,
            random.random,
            self._config.limits.turn_timeout_s,
        )

    @property
    def routes(self) -> tuple[Route, ...]:
        """All of them, in the configuration's order."""
        return tuple(self._routes.values())

    def _route(self, way: str) -> Route:
        name, _, model = way.partition("/")
        settings = self._config.providers[name]
        takes = FIELDS_OF_KIND[settings.kind]
        return Route(
            name,
            self._providers.find(name),
            model,
            retries=settings.retries if "retries" in takes else NO_RETRIES,
            budget=self._budgets[name],
            breaker=Breaker(way, settings.breaker, self._clock, random.random) if "breaker" in takes else None,
            slots=self._slots.get(name),
            first_event_s=math.inf if settings.first_event_s is None else settings.first_event_s,
            attempt_s=math.inf if settings.attempt_s is None else settings.attempt_s,
        )
