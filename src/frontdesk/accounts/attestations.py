"""Attestations: a second token by which an app shows that a request comes from itself, as Firebase App Check.

A person whose credential is bound to an app must bring one of that app, where it has attestation at
all; others must bring one of any app, as soon as one has it. Keys never need one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from frontdesk.core.clock import Clock
from frontdesk.core.config import App
from frontdesk.core.errors import Unauthenticated

_MOST_KNOWN = 20_000


class Attestor(Protocol):
    """Checks tokens of attestation: `Issuers`."""

    @property
    def generation(self) -> int:
        """A number that changes whenever a token that was accepted may be refused now."""
        ...

    async def attested_app(self, token: str) -> tuple[str, float]:
        """The app that a token attests, and when the token expires. Raises Unauthenticated."""
        ...


class _Attested(NamedTuple):
    app: str
    expires_at: float


class Attestations:
    """Knows who needs a token, and which tokens hold. They are kept by their SHA-256 until they expire."""

    def __init__(self, attestor: Attestor, apps: Mapping[str, App], clock: Clock) -> None:
        self._attestor = attestor
        self._clock = clock
        self._of_any = frozenset(name for name, app in apps.items() if app.attestation is not None)
        self._of_app = {name: self._of_any & {name} for name in apps}
        self._known: dict[bytes, _Attested] = {}
        self._generation = attestor.generation

    def accepted(self, app: str | None) -> frozenset[str]:
        """The apps of which any must attest a request bound to this one; none where nothing is needed."""
        return self._of_app.get(app, self._of_any) if app is not None else self._of_any

    def hold(self, app: str | None, token: bytes | None) -> bool:
        """Whether it is known by now that nothing is missing."""
        accepted = self._of_any and self.accepted(app)
        if not accepted:
            return True
        if token is None:
            return False
        found = self._find(hashlib.sha256(token).digest())
        return found is not None and found.app in accepted

    async def check(self, app: str | None, token: bytes | None) -> str | None:
        """The app that is attested, None where none need be. Raises Unauthenticated where that is missing."""
        accepted = self.accepted(app)
        if not accepted:
            return None
        if token is None:
            raise Unauthenticated(
                f"This needs an attestation of the app {_names(accepted)} as well. Send its token in the header "
                "Frontdesk-Attestation, or X-Firebase-AppCheck.",
                code="attestation_required",
            )
        attested = await self._attested(token)
        if attested not in accepted:
            raise Unauthenticated(
                f"The attestation token is of the app {attested!r}; this needs one of {_names(accepted)}.",
                code="attestation_invalid",
            )
        return attested

    async def _attested(self, token: bytes) -> str:
        digest = hashlib.sha256(token).digest()
        found = self._find(digest)
        if found is not None:
            return found.app
        generation = self._attestor.generation
        try:
            found = _Attested(*await self._attestor.attested_app(token.decode("latin-1")))
        except Unauthenticated as error:
            raise Unauthenticated(
                f"The attestation token, not the user's, is refused: {error.message}", code="attestation_invalid"
            ) from None
        if generation != self._generation or len(self._known) >= _MOST_KNOWN:
            self._known.clear()
            self._generation = generation
        self._known[digest] = found
        return found.app

    def _find(self, digest: bytes) -> _Attested | None:
        found = self._known.get(digest)
        if found is None or found.expires_at <= self._clock.now() or self._attestor.generation != self._generation:
            return None
        return found


def _names(apps: Iterable[str]) -> str:
    return " or ".join(sorted(map(repr, apps)))
