"""Budgets: a turn that may cost money goes on once the most that it can cost is put aside, in each of its windows.

    which budgets apply ─► what is asked, priced and bounded ─► one transaction that decides ─► routes, length, funds
        none: nothing is done                                     refused: nothing is put aside

Last of the policies, so that nobody refuses a turn for which money is held. What was put aside goes back, and what
the turn cost is spent, where its rows are written (`usage.recorder`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec

from frontdesk.core.clock import Clock, unix_ms
from frontdesk.core.config import Config, ModelKind
from frontdesk.core.config.features import NO_FEATURE
from frontdesk.core.errors import FrontdeskError, Refused, store_unavailable
from frontdesk.core.money import Units
from frontdesk.core.tasks import Tasks
from frontdesk.ledger.holds import Balance, Choose, Facts, Reservation, Settlement, Treasury, Window
from frontdesk.policies.applied import Applied, AppliedBudgets
from frontdesk.policies.budget_words import notices, refused, standing, unpriced
from frontdesk.policies.funds import Funds
from frontdesk.policies.menus import Menus, Prices
from frontdesk.policies.spending import Call, Cap, Grant, Refusal, decide
from frontdesk.policies.step_log import FoundSpent, StepLog
from frontdesk.policies.tiers import tier_of
from frontdesk.policies.unbounded import refuse_unbounded
from frontdesk.storage.errors import OutcomeUnknown, StorageError
from frontdesk.tokens.encodings import encoding_of
from frontdesk.turn.items import EmbeddingRequest, Prompt, Request
from frontdesk.turn.media_sizes import units_at_most, written_at_most
from frontdesk.turn.seams import Entrance
from frontdesk.turn.sizes import size_of, texts_in
from frontdesk.turn.turn import Caller, Turn

# What is put in where neither request, feature nor model says how long an answer may be.
_PUT_IN = 4096
# A turn that ends by its time-out settles right after it.
_GRACE_MS = 60_000
# What a byte bound may be above an exact count, which only then is worth its while.
_BYTES_PER_TOKEN = 4
_SMALL_CALL = 1_000
# The most tokens of an answer, and what is paid besides: a minute of sound, a sentence, a picture.
_SMALL_CALLS: dict[ModelKind, tuple[int | None, Units | None]] = {
    "chat": (None, None),
    "embeddings": (0, None),
    "moderation": (0, Units()),
    "transcription": (400, Units(audio_seconds=60)),
    "speech": (400, Units(characters=200)),
    "image": (4_160, Units(images=1)),
}
_NOTHING: Mapping[str, Any] = {}

Planned = Callable[[Turn], tuple[str, ...]]
"""The routes ("provider/model") of a turn's model, in the order in which they are tried for it."""


class TokenCounter(Protocol):
    """Counts tokens exactly, elsewhere than on the loop."""

    async def count(self, texts: Sequence[str], encoding: str) -> int | None:
        """The tokens of these texts together; None where they cannot be counted now."""
        ...


class Models(Protocol):
    """Knows who may use what (`Access`)."""

    def models_of(self, caller: Caller, feature: str | None = None) -> list[str]:
        """The models that a caller may use for this feature, or for any that is theirs."""
        ...

    def features_of(self, caller: Caller) -> list[str]:
        """The features that a caller may name."""
        ...


class Standings(NamedTuple):
    """The budgets that a caller falls under, for JSON, and the models that would answer a small question now."""

    budgets: list[dict[str, object]]
    answering: list[str]


class Budgets:
    """Lets turns pass whose cost is covered.

    Without a `counter` nothing is counted exactly. `found_spent` is told of budgets that are used up, once each.
    `planned` says in which order a turn's routes are tried, else it is the configuration's.
    """

    def __init__(
        self,
        config: Config,
        prices: Prices,
        treasury: Treasury,
        models: Models,
        clock: Clock,
        counter: TokenCounter | None = None,
        found_spent: FoundSpent | None = None,
        planned: Planned | None = None,
    ) -> None:
        self._applied = AppliedBudgets(config, clock)
        self._routes = {name: tuple(model.routes) for name, model in config.models.items()}
        self._planned: Planned = planned or (lambda turn: self._routes[turn.model])
        self._menus = Menus(prices)
        self._kinds: dict[str, ModelKind] = {name: model.kind for name, model in config.models.items()}
        self._put_in = {name: model.max_output_tokens or _PUT_IN for name, model in config.models.items()}
        self._decided = {name: feature.parameters for name, feature in config.features.items()}
        self._tiers = config.tiers
        self._default_tier = config.default_tier
        self._treasury = treasury
        self._models = models
        self._clock = clock
        self._counter = counter
        self._lasts_ms = int(config.limits.turn_timeout_s * 1000) + _GRACE_MS
        # A model of another server may have the name of one of OpenAI's, and a tokenizer of its own.
        self._encodings = {
            route: encoding_of(route.partition("/")[2])
            for model in config.models.values()
            for route in model.routes
            if (provider := config.providers.get(route.partition("/")[0])) and provider.kind == "openai"
        }
        self._log = StepLog(found_spent)
        self._tasks = Tasks("budgets")

    # --- turns ----------------------------------------------------------------------------------

    def admit(self, turn: Turn) -> Awaitable[None] | None:
        """Put aside the most that the turn can cost, and settle by which routes and how long it may answer.

        Raises QuotaSpent where a budget does not have it, Forbidden where nobody knows what it would cost, Unavailable
        where the store cannot be written. Nothing is then put aside; nor where the wait is cancelled.
        """
        if not self._applied.are_any:
            return None
        applied = self._applied.of(turn.caller, turn.tier, turn.feature)
        return self._admit(turn, applied) if applied else None

    def settle(self, turn: Turn) -> None:
        """Nothing to do: money goes back with the row that says what the turn cost."""

    async def _admit(self, turn: Turn, applied: tuple[Applied, ...]) -> None:
        call = self._call(turn)
        if call.menu.paid:
            refuse_unbounded(turn.request, self._decided.get(turn.feature, _NOTHING))
        caps = [each.cap for each in applied]
        reservation = self._reservation(turn, tuple([each.window for each in applied]), call)
        outcome = await self._reserve(turn, reservation, caps, call)
        if outcome.micros == 0 and (counted := await self._counted(turn, call, applied, outcome.balances)) is not None:
            call = counted
            outcome = await self._reserve(turn, reservation, caps, call)
        self._log.tell(turn.caller.tenant, applied, outcome, call)
        if isinstance(outcome, Refusal):
            raise self._refusal(turn, applied, call, outcome)
        if outcome.max_output_tokens is not None:
            turn.request = msgspec.structs.replace(turn.request, max_output_tokens=outcome.max_output_tokens)
        turn.routes = outcome.routes
        turn.funds = Funds(turn, reservation, call, outcome, caps, self._treasury)
        if turn.wants_status and outcome.measures:
            turn.notices.extend(notices(outcome, applied))

    async def _reserve(self, turn: Turn, reservation: Reservation, caps: Sequence[Cap], call: Call) -> Grant | Refusal:
        """Put money aside. A turn that is kept enters the store with it, where it may go on."""
        entrance = turn.entrance

        def choose(balances: Sequence[Balance]) -> Grant | Refusal:
            return decide(balances, caps, call)

        if entrance is not None and not entrance.is_entered:
            return await self._reserve_and_enter(entrance, reservation, choose)
        if entrance is not None:
            # It entered with a process that died before it asked anybody: what that put aside goes back first.
            self._treasury.settle(Settlement(reservation, 0, ()))
        try:
            return await self._treasury.reserve(reservation, choose)
        except StorageError:
            raise store_unavailable() from None

    async def _reserve_and_enter(
        self, entrance: Entrance, reservation: Reservation, choose: Choose[Grant | Refusal]
    ) -> Grant | Refusal:
        """Who is cancelled meanwhile has it known first whether the turn has entered: it must be ended then."""
        put_aside: list[Grant] = []

        async def reserve() -> Grant | Refusal | FrontdeskError:
            try:
                outcome = await self._treasury.reserve(reservation, choose, partial(_enter, entrance))
            except FrontdeskError as refusal:
                return refusal
            except StorageError as error:
                if isinstance(error, OutcomeUnknown):
                    entrance.may_have_entered()
                return store_unavailable()
            if isinstance(outcome, Grant):
                entrance.has_entered()
                put_aside.append(outcome)
            return outcome

        try:
            outcome = await self._tasks.finish("entering", reserve())
        except asyncio.CancelledError:
            if put_aside:
                self._treasury.settle(Settlement(reservation, 0, ()))
            raise
        if isinstance(outcome, FrontdeskError):
            raise outcome
        return outcome

    def _call(self, turn: Turn) -> Call:
        request = turn.request
        menu = self._menus.of(self._planned(turn), turn.started_at, _service_tier(request))
        bound = size_of(turn).bound
        if isinstance(request, Prompt):
            return Call(menu, bound, request.max_output_tokens, self._put_in[turn.model], request.choices)
        if isinstance(request, EmbeddingRequest):
            return Call(menu, bound, 0, 0)
        return Call(menu, bound, written_at_most(request), 0, units=units_at_most(request))

    def _reservation(self, turn: Turn, windows: tuple[Window, ...], call: Call) -> Reservation:
        caller, request = turn.caller, turn.request
        facts = Facts(
            door=turn.door,
            caller=caller.role,
            credential=caller.credential_id,
            person=caller.person,
            feature=turn.feature,
            tier=turn.tier,
            model=turn.model,
            is_streaming=request.stream,
            started_at_ms=int(turn.started_at * 1000),
            route=call.menu.routes[0] if call.menu.routes else "",
        )
        return Reservation(caller.tenant, turn.id, windows, facts, unix_ms(self._clock) + self._lasts_ms)

    # --- where the bound does not fit -----------------------------------------------------------

    async def _counted(
        self, turn: Turn, call: Call, applied: Sequence[Applied], balances: Sequence[Balance]
    ) -> Call | None:
        """The call with its input counted exactly, where that may make the difference and can be done."""
        if self._counter is None or not call.menu.paid:
            return None
        hoped = msgspec.structs.replace(call, input_tokens=-(-call.input_tokens // _BYTES_PER_TOKEN))
        if any(each.cap.left(balance) < hoped.least for each, balance in zip(applied, balances, strict=True)):
            return None
        if all(each.cap.left(balance) >= call.least for each, balance in zip(applied, balances, strict=True)):
            return None  # it was no matter of its length
        encodings = {self._encodings.get(each.route) for each in call.menu.paid}
        texts, rest = texts_in(turn.request)
        most = 0
        for encoding in encodings:
            tokens = None if encoding is None else await self._counter.count(texts, encoding)
            if tokens is None:
                return None
            most = max(most, tokens + rest)
        return msgspec.structs.replace(call, input_tokens=most)

    # --- refusals -------------------------------------------------------------------------------

    def _refusal(self, turn: Turn, applied: Sequence[Applied], call: Call, refusal: Refusal) -> Refused:
        if not refusal.blockers:
            return unpriced(turn.model, self._routes[turn.model], _service_tier(turn.request))
        blockers = [(applied[place], refusal.balances[place]) for place in refusal.blockers]
        caps = [each.cap for each in applied]
        answering = [
            name
            for name in self._models.models_of(turn.caller, turn.feature)
            if self._kinds[name] == self._kinds[turn.model] and self._answers(name, turn, call, caps, refusal.balances)
        ]
        return refused(turn.caller, blockers, call, answering, unix_ms(self._clock))

    def _answers(self, model: str, turn: Turn, call: Call, caps: Sequence[Cap], balances: Sequence[Balance]) -> bool:
        """Whether another model would answer the same."""
        menu = self._menus.of(self._routes[model], turn.started_at, _service_tier(turn.request))
        other = msgspec.structs.replace(call, menu=menu, put_in=self._put_in[model])
        return isinstance(decide(balances, caps, other), Grant)

    # --- how they stand -------------------------------------------------------------------------

    async def standing(self, caller: Caller, feature: str | None = None) -> Standings:
        """How the budgets stand that a caller falls under, for one feature or for all that are theirs.

        Raises Unavailable where the store cannot be read.
        """
        tier = tier_of(caller, self._tiers, self._default_tier) if caller.role == "user" else None
        features = [feature] if feature is not None else self._models.features_of(caller) or [NO_FEATURE]
        of_features = {name: self._applied.of(caller, tier, name) for name in features}
        every = list(dict.fromkeys(each for applied in of_features.values() for each in applied))
        windows = [each.window for each in every]
        try:
            balances = dict(zip(windows, await self._treasury.balances(caller.tenant, windows), strict=True))
        except StorageError:
            raise store_unavailable() from None
        answering = dict.fromkeys(
            model
            for name, applied in of_features.items()
            for model in self._models.models_of(caller, name)
            if self._answers_a_small_call(model, applied, balances)
        )
        return Standings(
            [standing(each, balances[each.window], caller) for each in every],
            [name for name in self._kinds if name in answering],
        )

    def _answers_a_small_call(self, model: str, applied: Sequence[Applied], balances: Mapping[Window, Balance]) -> bool:
        if not applied:
            return True
        asked, units = _SMALL_CALLS[self._kinds[model]]
        call = Call(
            self._menus.of(self._routes[model], self._clock.now()), _SMALL_CALL, asked, self._put_in[model], units=units
        )
        seen = [balances[each.window] for each in applied]
        return isinstance(decide(seen, [each.cap for each in applied], call), Grant)


def _enter(entrance: Entrance, outcome: Grant | Refusal) -> Any:
    return entrance.enter(outcome.max_output_tokens) if isinstance(outcome, Grant) else None


def _service_tier(request: Request) -> str | None:
    asked = request.parameters.get("service_tier") if request.parameters else None
    return asked if isinstance(asked, str) else None
