"""Whether a provider takes our key, said once for each change: it is refused to everybody until an operator mends it.

A 401 says it by itself. A 403 may be brought about by a request, such as one that a moderation forbids: it counts
where the key was never taken by this route, or where several come and no answer between them.
"""

from __future__ import annotations

import logging

_log = logging.getLogger("frontdesk.providers")
_UNAUTHENTICATED, _FORBIDDEN = 401, 403
_MOST_FORBIDDEN = 3  # in a row, by a route that has answered before


class OurKey:
    """What one route makes of our key."""

    __slots__ = ("_forbidden", "_is_refused", "_was_taken")

    def __init__(self) -> None:
        self._forbidden = 0  # since the last answer
        self._is_refused = False
        self._was_taken = False

    def refused(self, provider: str, model: str, status: int | None, reason: str) -> None:
        """An attempt failed with this status of the provider's."""
        if status == _FORBIDDEN:
            self._forbidden += 1
            if self._was_taken and self._forbidden < _MOST_FORBIDDEN:
                return
        elif status != _UNAUTHENTICATED:
            return
        if self._is_refused:
            return
        self._is_refused = True
        _log.error("provider_key_refused provider=%s model=%s status=%d reason=%s", provider, model, status, reason)

    def taken(self, provider: str, model: str) -> None:
        """An answer has begun."""
        self._was_taken = True
        self._forbidden = 0
        if self._is_refused:
            self._is_refused = False
            _log.warning("provider_key_taken provider=%s model=%s", provider, model)
