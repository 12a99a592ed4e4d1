"""Whether a provider takes our key, said once for each change: it is refused to everybody until an operator mends it.

A 401 says it by itself. A 403 may be brought about by a request, such as one that a moderation forbids, and a 400 for
the account that asks (Gemini's for a key that is not valid, Anthropic's for one that is not paid for) is told by its
words, which may be a caller's: these count where the key was never taken by this route, or where several come and no
answer between them.
"""

from __future__ import annotations

import logging

from frontdesk.core.errors import ProviderError

_log = logging.getLogger("frontdesk.providers")
_BAD_REQUEST, _UNAUTHENTICATED, _FORBIDDEN = 400, 401, 403
_MOST_DOUBTED = 3  # in a row, by a route that has answered before


class OurKey:
    """What one route makes of our key."""

    __slots__ = ("_doubted", "_is_refused", "_was_taken")

    def __init__(self) -> None:
        self._doubted = 0  # refusals that a request may have brought about, since the last answer
        self._is_refused = False
        self._was_taken = False

    def refused(self, provider: str, model: str, error: ProviderError) -> None:
        """An attempt failed with this error."""
        status = error.upstream_status
        if status == _FORBIDDEN or (status == _BAD_REQUEST and error.should_retry is False):
            self._doubted += 1
            if self._was_taken and self._doubted < _MOST_DOUBTED:
                return
        elif status != _UNAUTHENTICATED:
            return
        if self._is_refused:
            return
        self._is_refused = True
        _log.error(
            "provider_key_refused provider=%s model=%s status=%d reason=%s", provider, model, status, error.reason
        )

    def taken(self, provider: str, model: str) -> None:
        """An answer has begun."""
        self._was_taken = True
        self._doubted = 0
        if self._is_refused:
            self._is_refused = False
            _log.warning("provider_key_taken provider=%s model=%s", provider, model)
