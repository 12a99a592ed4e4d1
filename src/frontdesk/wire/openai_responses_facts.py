"""Responses: what a Response says of a turn that is under way, besides its answer."""

from __future__ import annotations

from typing import Any

from frontdesk.turn.items import Prompt
from frontdesk.turn.turn import Turn


class ResponseTurnFacts:
    """The facts of a live turn. `echo` is what its request said, as a Response repeats it."""

    __slots__ = ("_asked", "_echo", "_turn", "include")

    def __init__(self, turn: Turn, echo: dict[str, Any]) -> None:
        self._turn = turn
        self._echo = echo
        asked = self._asked = turn.request  # as the caller put it
        self.include: frozenset[str] = asked.include if isinstance(asked, Prompt) else frozenset()

    @property
    def id(self) -> str:
        """The turn's."""
        return self._turn.id

    @property
    def model(self) -> str:
        """The name that the app used."""
        return self._turn.model

    @property
    def started_at(self) -> float:
        """When it began, in seconds since 1970."""
        return self._turn.started_at

    @property
    def finished_at(self) -> float | None:
        """When it ended; None until then."""
        return self._turn.finished_at

    @property
    def said(self) -> dict[str, Any]:
        """What a Response repeats, with what the request did not say and a feature did, or limited.

        Never a feature's instructions, nor its schemas.
        """
        echo = self._echo
        asked = self._turn.request
        if asked is self._asked or not isinstance(asked, Prompt):
            return echo
        said = echo | {name: asked.parameters[name] for name in _ECHOED if name in asked.parameters}
        said["max_output_tokens"] = asked.max_output_tokens
        said["reasoning"] = {**echo["reasoning"], "effort": asked.reasoning_effort}
        said["text"] = {**echo["text"], "verbosity": asked.verbosity or "medium"}
        return said


_ECHOED = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "parallel_tool_calls", "top_logprobs")
