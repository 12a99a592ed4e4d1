"""Features: what end users may send for one purpose, and what the server puts in.

A request of a person's is held to its feature: what it may bring, and how much of it. Then, whoever sent it, it
gets the feature's instructions, defaults and format. What is asked above a maximum of tokens is lowered, for
an answer within it is also within what was asked; all else is refused by its name, nothing dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from frontdesk.core.config import Feature
from frontdesk.core.errors import Forbidden
from frontdesk.policies.demands import Demand, demands_of, demands_of_embedding, demands_of_media, says_nothing
from frontdesk.policies.dialects import DIALECTS
from frontdesk.policies.instructions import Instructions, unknown_variable
from frontdesk.turn.items import EmbeddingRequest, Format, ImageRequest, Prompt, Request
from frontdesk.turn.turn import Turn


class Features:
    """Holds turns to their features. After `Access`, which says who may use which."""

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self._rules = {name: _Rules(name, feature) for name, feature in features.items()}

    def admit(self, turn: Turn) -> None:
        """Raise Forbidden for what the feature does not allow, BadRequest for values that fit no variable."""
        rules = self._rules.get(turn.feature)
        request = turn.request
        if rules is None:  # a secret key's own matter
            for name in request.variables if isinstance(request, Prompt) else ():
                raise unknown_variable(name, f"This request names no feature, so nothing takes {name[:64]!r}.", {})
            return
        is_held = turn.caller.role == "user"
        if is_held:
            rules.check(request)
        if not isinstance(request, Prompt):
            return
        rendered = rules.instructions.render(request.variables, turn.started_at)
        if rendered is not None:
            turn.instructions = rendered.unreadable
            turn.prompt = rules.instructions.version
        prompt = rules.completed(request, None if rendered is None else rendered.text)
        turn.request = rules.lowered(prompt) if is_held else prompt

    def settle(self, turn: Turn) -> None:
        """Nothing was borrowed."""


# Parameters of Chat Completions that a prompt has fields for, and what says nothing there.
_FIELDS: dict[str, tuple[str, Any]] = {
    "n": ("choices", 1),
    "reasoning_effort": ("reasoning_effort", None),
    "verbosity": ("verbosity", None),
}


class _Rules:
    """One feature, ready to be applied."""

    def __init__(self, name: str, feature: Feature) -> None:
        self.instructions = Instructions(name, feature)
        self._name = name
        self._allowed = frozenset(feature.client_may)
        self._ceilings = feature.ceilings
        self._max_output_tokens = feature.max_output_tokens
        # What a wire has no place for would make each of its requests fail.
        self._decided: Mapping[str, dict[str, Any]] = {
            wire: {name: value for name, value in feature.parameters.items() if dialect.has_place_for(name)}
            for wire, dialect in DIALECTS.items()
        }
        self._format = _read_format(feature.response_format)

    def check(self, request: Request) -> None:
        """Raise Forbidden for the first thing that the feature does not allow."""
        for demand in self._demands(request):
            if demand.capability not in self._allowed:
                raise self._refusal(demand)
        if isinstance(request, Prompt):
            for name, ceiling in self._ceilings.items():
                self._check_ceiling(name, ceiling, request)
        elif isinstance(request, ImageRequest) and request.n > self._ceilings.get("n", request.n):
            raise self._above("n", self._ceilings["n"], request.n)

    def completed(self, prompt: Prompt, instructions: str | None) -> Prompt:
        """The prompt with these instructions before its own, and the defaults where it says nothing."""
        changes: dict[str, Any] = {}
        if instructions is not None:
            changes["instructions"] = (
                f"{instructions}\n\n{prompt.instructions}" if prompt.instructions else instructions
            )
        if self._max_output_tokens is not None and prompt.max_output_tokens is None:
            changes["max_output_tokens"] = self._max_output_tokens
        own: dict[str, Any] = {}
        for name, value in self._decided[prompt.dialect].items():
            if name not in _FIELDS:
                own[name] = value
                continue
            field, nothing = _FIELDS[name]
            if getattr(prompt, field) == nothing:
                changes[field] = value
        if own:
            said = {
                name: value for name, value in prompt.parameters.items() if name not in own or not says_nothing(value)
            }
            changes["parameters"] = {**own, **said}
        if self._format is not None and prompt.format is None:
            changes["format"] = self._format
        return msgspec.structs.replace(prompt, **changes) if changes else prompt

    def lowered(self, prompt: Prompt) -> Prompt:
        """The prompt with no more tokens than the feature's maximum."""
        most = self._max_output_tokens
        if most is None or (prompt.max_output_tokens or 0) <= most:
            return prompt
        return msgspec.structs.replace(prompt, max_output_tokens=most)

    def _demands(self, request: Request) -> Iterable[Demand]:
        if isinstance(request, Prompt):
            return demands_of(request, self._decided[request.dialect])
        if isinstance(request, EmbeddingRequest):
            return demands_of_embedding(request)
        return demands_of_media(request)

    def _refusal(self, demand: Demand) -> Forbidden:
        if demand.capability is None:
            remedy = "Leave it out: no capability of a feature allows it."
        else:
            remedy = f"Leave it out, or let the feature's client_may name {demand.capability!r}."
        return Forbidden(
            f"The feature {self._name!r} does not allow {demand.thing}. {remedy}",
            code=_CODE,
            param=demand.param,
        )

    def _check_ceiling(self, name: str, ceiling: float, prompt: Prompt) -> None:
        asked = getattr(prompt, _FIELDS[name][0]) if name in _FIELDS else prompt.parameters.get(name)
        if asked is None or (isinstance(asked, int | float) and asked <= ceiling):
            return
        raise self._above(name, ceiling, asked)

    def _above(self, name: str, ceiling: float, asked: object) -> Forbidden:
        return Forbidden(
            f"The feature {self._name!r} allows {name!r} up to {ceiling:.15g}, and this asks for {str(asked)[:64]}. "
            "Send less, or leave it out.",
            code=_CODE,
            param=name,
        )


_CODE = "not_allowed_by_feature"


def _read_format(given: dict[str, Any] | None) -> Format | None:
    """A format in the spelling of Chat Completions; free text says nothing."""
    if given is None or given["type"] == "text":
        return None
    return Format("json_schema", given["json_schema"]) if given["type"] == "json_schema" else Format("json_object", {})
