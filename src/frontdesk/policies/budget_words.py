"""What is said of budgets: to whom a turn is refused, and to those who ask how it was shortened.

People read amounts of their own budgets alone. Of those that they share they learn that they are used up and until
when, and of a feature's that it is that, not whose they are nor how large. Who holds a secret key reads all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from frontdesk.core.errors import Forbidden, QuotaSpent
from frontdesk.core.money import usd, usd_words
from frontdesk.ledger.holds import Balance
from frontdesk.policies.applied import Applied
from frontdesk.policies.spending import Call, Grant, is_only_held, is_used_up
from frontdesk.turn.turn import Caller

_ASK_AGAIN_S = 5.0
_MOST_NAMED = 8


def unpriced(model: str, routes: Sequence[str], service_tier: str | None) -> Forbidden:
    """The refusal of a model of which nobody knows what it costs."""
    named = ", ".join(repr(route) for route in routes)
    in_tier = "" if service_tier is None else f" in the service tier {service_tier[:32]!r}"
    return Forbidden(
        f"The model {model!r} cannot be used here: a budget applies to this request, and {named} has no price{in_tier}."
        " Use another model; who runs this server can give it a price under 'prices'.",
        code="model_unpriced",
        param="model",
    )


def refused(
    caller: Caller, blockers: Sequence[tuple[Applied, Balance]], call: Call, answering: Sequence[str], now_ms: int
) -> QuotaSpent:
    """The refusal of a turn by these budgets. `answering` are models that would answer it."""
    only_held = [pair for pair in blockers if is_only_held(pair[1], pair[0].cap, call)]
    is_held = len(only_held) == len(blockers)
    told = [pair for pair in blockers if is_held or pair not in only_held]
    # The one that ends last, for until then it is refused; of those, the one that can be told most of.
    budget, balance = max(told, key=lambda pair: (_end(pair[0]), pair[0].is_own, pair[0].window, pair[0].cap.micros))
    name = _name(budget, caller)
    if is_held:
        return QuotaSpent(
            f"What is left of {name} is put aside for answers that are under way. Try again when they have ended."
            f"{_still(answering)}",
            retry_after_s=_ASK_AGAIN_S,
        )
    still = _still(answering)
    if is_used_up(balance, budget.cap, call):
        said = f"{name[0].upper()}{name[1:]} is used up."
        still = still or _nothing_answers(budget)
    elif budget.is_own or caller.role != "user":
        left = usd_words(budget.cap.micros - balance.spent)
        said = (
            f"This request may cost {usd_words(call.least)} or more, and {left} is left of {name}. Send a shorter one."
        )
    else:
        said = f"This request may cost more than is left of {name}. Send a shorter one."
    return QuotaSpent(
        f"{said} {_renewal(budget, now_ms)}{still}",
        retry_after_s=None if budget.ends_at_ms is None else max(1.0, math.ceil((budget.ends_at_ms - now_ms) / 1000)),
    )


def notices(grant: Grant, applied: Sequence[Applied]) -> list[dict[str, object]]:
    """What a caller who wants it is told of a turn that is not as it was asked, one for each measure."""
    if not grant.measures:
        return []
    pairs = list(zip(applied, grant.balances, strict=True))
    # The budget that did it: the one that has passed the most steps, or where those do not matter has the least left.
    steps_matter = "free_models" not in grant.measures
    budget, _ = max(
        pairs,
        key=lambda pair: (steps_matter and pair[0].cap.step(pair[1]), -pair[0].cap.left(pair[1]), pair[0].is_own),
    )
    return [
        {
            "type": "frontdesk.budget",
            "state": "free_only" if measure == "free_models" else "degraded",
            "measure": measure,
            "scope": "user" if budget.is_own else "shared",
            "per": budget.per,
            "until": _seconds(budget.ends_at_ms),
            "max_output_tokens": grant.max_output_tokens,
        }
        for measure in grant.measures
    ]


def standing(budget: Applied, balance: Balance, caller: Caller) -> dict[str, object]:
    """How a budget stands: amounts in US dollars for whom they are, times in Unix seconds."""
    cap = budget.cap
    step = cap.step(balance)
    is_spent = balance.spent >= cap.micros
    kind, _, name = budget.window.scope.partition(":")
    told: dict[str, object] = {
        "scope": _scope(budget, caller),
        **({"feature": name} if kind == "feature" else {}),
        "per": budget.per,
        "state": "spent" if is_spent else "degraded" if step else "ok",
        "step": step,
        "when_spent": "free" if cap.leaves_free else "refuse",
        "resets_at": _seconds(budget.ends_at_ms),
    }
    if budget.is_own or caller.role != "user":
        told["usd"] = usd(cap.micros)
        told["spent_usd"] = usd(balance.spent)
        told["held_usd"] = usd(balance.held)
        told["left_usd"] = usd(max(0, cap.left(balance)))
    return told


def _seconds(ms: int | None) -> int | None:
    """Unix seconds."""
    return None if ms is None else ms // 1000


def _scope(budget: Applied, caller: Caller) -> str:
    if caller.role != "user":
        return budget.window.scope
    return "user" if budget.is_own else "shared"


def _name(budget: Applied, caller: Caller) -> str:
    per = "" if budget.per == "total" else f" a {budget.per}"
    if caller.role != "user":
        return f"the budget {budget.window.scope!r} of {usd_words(budget.cap.micros)}{per}"
    if budget.is_own:
        return f"your budget of {usd_words(budget.cap.micros)}{per}"
    kind, _, name = budget.window.scope.partition(":")
    return f"the budget of the feature {name!r}" if kind == "feature" else "the budget that you share with others"


def _renewal(budget: Applied, now_ms: int) -> str:
    if budget.ends_at_ms is None:
        return "It is not renewed."
    moment = datetime.fromtimestamp(budget.ends_at_ms / 1000, UTC)
    return f"It is renewed {_in_words(budget.ends_at_ms - now_ms)}, at {moment:%Y-%m-%dT%H:%M:%SZ}."


def _still(answering: Sequence[str]) -> str:
    if not answering:
        return ""
    rest = f" and {len(answering) - _MOST_NAMED} more" if len(answering) > _MOST_NAMED else ""
    return f" Still answering: {', '.join(map(repr, answering[:_MOST_NAMED]))}{rest}."


def _nothing_answers(budget: Applied) -> str:
    when = "any more" if budget.ends_at_ms is None else "until then"
    if budget.window.scope.startswith("feature:"):
        return f" Nothing answers in this feature {when}; others may."
    return f" Nothing answers {when}."


def _in_words(ms: int) -> str:
    for size_ms, unit in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")):
        if ms >= size_ms:
            count = round(ms / size_ms)
            return f"in {count} {unit}{'' if count == 1 else 's'}"
    return "within a minute"


def _end(budget: Applied) -> float:
    return math.inf if budget.ends_at_ms is None else budget.ends_at_ms
