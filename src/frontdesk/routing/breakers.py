"""When a route is left alone: a provider that fails is not asked at every turn's expense.

    closed ──(`least` failures within the window, and `share` of all)──► open
      ▲  ▲                                                                │ until the pause is over
      │  └───────────────(the probe's first word)────────── half-open ◄───┘
      │                                                      │    ▲
      │                                                      ▼    │ a pause twice as long
      └── the next whole answer forgets how often it failed open ─┘ (the probe failed, even after its first word)

While it is half-open one attempt at a time is the probe; one that is given up gives the right to be it back. What
is learned comes from attempts for turns alone: a probe that nobody asked for would cost money. A provider that says
when to come back (429) is left alone until then, whatever the breaker says; that is no failure. Nor does it open for
what fails for one caller alone while others are answered: there are requests that a provider fails at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

from frontdesk.core.clock import Clock
from frontdesk.core.config import Breaker as BreakerConfig
from frontdesk.core.errors import ProviderError, ProviderResting

_log = logging.getLogger("frontdesk.routing")
Chance = Callable[[], float]
"""Draws a number from 0 up to 1."""
Who = tuple[str, str]
"""A caller, as `Caller.who` says."""
BreakerState = Literal["closed", "open", "half_open"]

NO_PROBE = 0
_BUCKETS = 10
_SPREAD = 0.2  # by how much a longer pause may be shorter: processes must not probe at once
_A_REST_S = 0.01  # what is shorter is over before anybody else asks
_WHILE_PROBED_S = 1.0  # to come back in, while a probe is under way
_MOST_DOUBLINGS = 20


class StillBusy(ProviderResting):
    """A provider said that it has no room until then: nothing was sent, and callers are told what the first one was."""

    code = "provider_busy"

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason, retry_after_s=retry_after_s)
        self.message = ProviderError(reason, status=self.status).message


class Breaker:
    """The breaker of one route. What `begin` returned goes back with what came of the attempt, exactly once."""

    __slots__ = (
        "_at_work",
        "_busy_until",
        "_chance",
        "_clock",
        "_doublings",
        "_failed",
        "_failures",
        "_lasting",
        "_latest",
        "_name",
        "_opened_until",
        "_others_are_answered",
        "_probe",
        "_probes",
        "_rules",
        "_sole",
        "_successes",
        "_width_s",
        "_worked",
    )

    def __init__(self, name: str, rules: BreakerConfig, clock: Clock, chance: Chance) -> None:
        self._name = name
        self._rules = rules
        self._clock = clock
        self._chance = chance
        self._width_s = rules.window_s / _BUCKETS
        self._worked = [0] * _BUCKETS
        self._failed = [0] * _BUCKETS
        self._successes = self._failures = 0  # within the window
        self._sole: Who | None = None  # whose turns all of these failures were, where they were one caller's
        self._others_are_answered = False  # since then
        self._latest = 0  # bucket, counted from the clock's beginning
        self._at_work = True  # closed
        self._opened_until = 0.0
        self._busy_until = 0.0
        self._doublings = 0
        self._lasting: str | None = None  # what callers are told where the last failure does not pass by itself
        self._probes = 0  # so far; the number of the latest one
        self._probe = NO_PROBE  # the one under way

    # --- asking ---------------------------------------------------------------------------------

    def rest_s(self) -> float:
        """How long the route is to be left alone; 0 where it may be asked."""
        if self._at_work and not self._busy_until:  # nearly always
            return 0.0
        now = self._clock.monotonic()
        rest_s = max(self._busy_until - now, 0.0)
        if self._at_work:
            return rest_s
        rest_s = max(rest_s, self._opened_until - now)
        return _WHILE_PROBED_S if rest_s <= 0 and self._probe else max(rest_s, 0.0)

    def check(self) -> None:
        """Raise ProviderResting where the route is to be left alone."""
        rest_s = self.rest_s()
        if rest_s > 0:
            raise self.resting(rest_s)

    def resting(self, rest_s: float = _WHILE_PROBED_S) -> ProviderResting:
        """The error for a turn that is not to ask, with why it is so."""
        reason = f"{self._name} rests for {rest_s:.1f} s"
        if self._at_work or (self._busy_until > self._clock.monotonic() and self._busy_until > self._opened_until):
            return StillBusy(reason, retry_after_s=rest_s)
        error = ProviderResting(reason, retry_after_s=rest_s)
        if self._lasting is not None:
            error.message, error.should_retry = self._lasting, False
        return error

    def begin(self) -> int:
        """An attempt begins; returns its number as a probe, 0 where it is none. Raises ProviderResting."""
        if self._at_work and not self._busy_until:
            return NO_PROBE
        self.check()
        self._busy_until = 0.0
        if self._at_work:
            return NO_PROBE
        self._probes += 1
        self._probe = self._probes
        return self._probe

    # --- what came of an attempt ----------------------------------------------------------------

    def answered(self, probe: int) -> None:
        """It said something that a reader could see. Its end is still to be told."""
        if probe and probe == self._probe:
            self._close()

    def worked(self, probe: int, who: Who) -> None:
        """It came to its end, for this caller."""
        if probe:
            self.answered(probe)
        if self._doublings and self._at_work:
            self._doublings = 0
        self._turn()
        if self._failures and who != self._sole:
            self._others_are_answered = True
        self._worked[self._latest % _BUCKETS] += 1
        self._successes += 1

    def failed(self, probe: int, who: Who, lasting: str | None = None) -> None:
        """The provider failed, at whatever time, with what this caller asked.

        `lasting` are the words for callers of what does not pass by itself: while it rests, all are told these.
        """
        self._lasting = lasting
        if probe and probe == self._probes:
            self._doublings = min(self._doublings + 1, _MOST_DOUBLINGS)
            self._open("its probe failed")
            return
        self._turn()
        if not self._failures:
            self._sole, self._others_are_answered = who, False
        elif who != self._sole:
            self._sole = None
        self._failed[self._latest % _BUCKETS] += 1
        self._failures += 1
        rules = self._rules
        if (
            self._at_work
            and self._failures >= rules.least
            and self._failures >= rules.share * (self._failures + self._successes)
            and not (self._sole is not None and self._others_are_answered)
        ):
            self._open(f"{self._failures} of {self._failures + self._successes} attempts failed")

    def busy(self, probe: int, retry_after_s: float | None) -> None:
        """It has no room, for so long where it said so."""
        self.left(probe)
        rest_s = min(retry_after_s or 0.0, self._rules.longest_open_s)
        if rest_s < _A_REST_S:
            return
        now = self._clock.monotonic()
        if self._busy_until <= now:
            _log.warning("route_busy route=%s rests_s=%.1f", self._name, rest_s)
        self._busy_until = max(self._busy_until, now + rest_s)

    def left(self, probe: int) -> None:
        """It was given up, or says nothing of the provider."""
        if probe and probe == self._probe:
            self._probe = NO_PROBE

    # --- how it is ------------------------------------------------------------------------------

    @property
    def state(self) -> BreakerState:
        """How it is now."""
        if self._at_work:
            return "closed"
        return "half_open" if self._clock.monotonic() >= self._opened_until else "open"

    def counts(self) -> tuple[int, int]:
        """How many attempts failed within the window, and how many there were."""
        self._turn()
        return self._failures, self._failures + self._successes

    def _open(self, why: str) -> None:
        rules = self._rules
        pause_s = min(rules.open_s * 2.0**self._doublings, rules.longest_open_s)
        if self._doublings:
            pause_s *= 1 - _SPREAD * self._chance()
        self._at_work = False
        self._probe = NO_PROBE
        self._opened_until = self._clock.monotonic() + pause_s
        _log.warning("route_resting route=%s rests_s=%.1f reason=%r", self._name, pause_s, why)

    def _close(self) -> None:
        self._at_work = True
        self._probe = NO_PROBE
        self._worked = [0] * _BUCKETS
        self._failed = [0] * _BUCKETS
        self._successes = self._failures = 0
        _log.warning("route_recovered route=%s", self._name)

    def _turn(self) -> None:
        """Forget what is older than the window."""
        bucket = int(self._clock.monotonic() / self._width_s)
        passed = bucket - self._latest
        if passed <= 0:
            return
        for each in range(min(passed, _BUCKETS)):
            place = (bucket - each) % _BUCKETS
            self._successes -= self._worked[place]
            self._failures -= self._failed[place]
            self._worked[place] = self._failed[place] = 0
        self._latest = bucket
