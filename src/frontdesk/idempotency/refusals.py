"""What is said where a key does not lead to an answer."""

from __future__ import annotations

from frontdesk.core.errors import Conflict, FrontdeskError, Unprocessable

_ASK_AGAIN_S = 1.0


def key_reused(key: str) -> FrontdeskError:
    """The error for a key under which something else was asked."""
    return Unprocessable(
        f"The Idempotency-Key {key!r} was sent before, with another request. Make a new key for each request, and "
        "send it again with the same body alone.",
        code="idempotency_key_reused",
    )


def key_in_use(key: str) -> FrontdeskError:
    """The error for who has waited long enough for another try of the same request."""
    return Conflict(
        f"The request with the Idempotency-Key {key!r} is still under way. Send it again in a moment: you get its "
        "answer when it has one.",
        code="idempotency_key_in_use",
        retry_after_s=_ASK_AGAIN_S,
    )


def outcome_unknown(key: str) -> FrontdeskError:
    """The error where nobody knows whether it was done: doing it again may do it twice."""
    return _final(
        f"A request with the Idempotency-Key {key!r} was interrupted, and may have been done or not. Look whether it "
        "was; if not, send it with a new key.",
        "idempotency_outcome_unknown",
    )


def answer_not_kept(key: str) -> FrontdeskError:
    """The error where it was done, and its answer is nobody's to read who now asks."""
    return _final(
        f"The request with the Idempotency-Key {key!r} was done. Its answer holds a secret, which is told again to "
        "the credential alone that asked first. Send it with a new key.",
        "idempotency_answer_not_kept",
    )


def _final(words: str, code: str) -> FrontdeskError:
    return Conflict(words, code=code, should_retry=False)  # SDKs take a 409 for a lock that soon opens
