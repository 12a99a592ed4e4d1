"""How an attempt at a job ended, and what becomes of the job by that. Decides; nothing is done here.

finished                       completed, with what it changes
somebody cancelled it          cancelled
it asks for another time       again then; free ones count no attempt
it gives up                    failed
it broke, its time was up,     again after 2ⁿ seconds and some chance, n being the attempt, at most ten minutes;
its process died               failed where that was the last attempt
the process stops              again at once, and no attempt is counted
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from frontdesk.core.errors import FrontdeskError
from frontdesk.jobs.plan import Done, GiveUp, Kind, Retry
from frontdesk.storage.processes import CRASHED

_LONGEST_PAUSE_S = 600.0
_MOST_DOUBLINGS = 10  # of a second: more is longer than the longest pause

Interruption = Literal["cancelled", "left", "lost", "timed_out"]
"""Why an attempt was ended from outside: by an operator, by the end of its process, by others, by its time."""


class End(NamedTuple):
    """A job ends, and `done` is what it changes. The error is for operators: no secrets, no texts of people."""

    status: Literal["completed", "failed", "cancelled"]
    done: Done | None = None
    error_code: str | None = None
    error: str | None = None


class Again(NamedTuple):
    """A job waits again, for this long; the attempt counts unless it `is_free`."""

    after_s: float
    is_free: bool = False
    error_code: str | None = None
    error: str | None = None


def after_failure(error: Exception, kind: Kind, attempt: int, jitter: float) -> End | Again:
    """What becomes of a job whose handler raised; `jitter` is from 0 to 1."""
    if isinstance(error, GiveUp):
        return End("failed", error_code=error.code, error=error.message)
    if not isinstance(error, Retry):
        return _counted(_code_of(error), _words_of(error), kind.most_attempts, attempt, _pause_s(attempt, jitter))
    after_s = _pause_s(attempt, jitter) if error.after_s is None else max(0.0, error.after_s)
    if error.is_free:
        return Again(after_s, is_free=True)
    return _counted("job_postponed", "It asked for another time", kind.most_attempts, attempt, after_s)


def after_interruption(why: Interruption, kind: Kind, attempt: int, jitter: float) -> End | Again:
    """What becomes of a job that was ended from outside."""
    if why == "cancelled":
        return End("cancelled")
    if why in ("left", "lost"):  # who lost it cannot say anything of it
        return Again(0.0, is_free=True)
    words = f"It took longer than its {kind.timeout_s:g} seconds"
    return _counted("job_timeout", words, kind.most_attempts, attempt, _pause_s(attempt, jitter))


def after_crash(kind: Kind | None, attempt: int, jitter: float) -> End | Again:
    """What becomes of a job whose process died. Where its kind is not known here, who knows it decides."""
    pause_s = _pause_s(attempt, jitter)
    words = "The server that did it went down"
    if kind is None:
        return Again(pause_s, error_code=CRASHED, error=f"{words}, in attempt {attempt}.")
    return _counted(CRASHED, words, kind.most_attempts, attempt, pause_s)


def _counted(code: str, words: str, most: int, attempt: int, after_s: float) -> End | Again:
    sentence = f"{words}, in attempt {attempt} of {most}."
    if attempt >= most:
        return End("failed", error_code=code, error=sentence)
    return Again(after_s, error_code=code, error=sentence)


def _pause_s(attempt: int, jitter: float) -> float:
    longest_s = min(_LONGEST_PAUSE_S, 2.0 ** min(attempt, _MOST_DOUBLINGS))
    return longest_s * (0.5 + 0.5 * jitter)


def _code_of(error: Exception) -> str:
    return error.code if isinstance(error, FrontdeskError) else "job_failed"


def _words_of(error: Exception) -> str:
    """Of the class alone: what an error says may name what a person wrote."""
    if isinstance(error, FrontdeskError):
        return f"It was refused or failed with {error.code!r}"
    return f"It broke with {type(error).__name__}, which the log tells"
