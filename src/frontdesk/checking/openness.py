"""Who may call in a configuration, and what answers anybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from frontdesk.checking.settings import Settings
from frontdesk.core.config import Attestation, Config, Issuer


class Way(NamedTuple):
    """A way to be known, and what comes with it."""

    who: str
    how: str


class Open(NamedTuple):
    """A request that needs no credential."""

    request: str
    why: str


def ways_in(settings: Settings) -> list[Way]:
    """How callers are known."""
    config, auth = settings.config, settings.config.auth
    first = "FRONTDESK_ADMIN_KEY is one" if settings.environment.admin_key else "one is made at the first start"
    ways = [
        Way("secret keys", f"your servers and operators: `frontdesk keys create`; {first}"),
        Way("sessions", "people for whom your server begins one, with a key"),
    ]
    if auth.anonymous:
        tier = auth.anonymous_tier or config.default_tier
        ways.append(Way("anonymous", f"{_anonymous(settings)}{f', tier {tier!r}' if tier else ''}"))
    ways += [Way("tokens", _issuer(issuer)) for issuer in auth.jwt]
    if auth.cookies:
        ways.append(Way("cookies", f"sessions of pages of this host{_other_origins(config)}"))
    for name, app in auth.apps.items():
        if app.attestation is not None:
            ways.append(Way("attestation", f"app {name!r} by {_source(app.attestation)}; beside a person's credential"))
    return ways


def open_requests(settings: Settings) -> list[Open]:
    """What answers requests without a credential."""
    return list(_open_requests(settings))


def _open_requests(settings: Settings) -> Iterator[Open]:
    yield Open("GET /healthz", "whether the process answers")
    yield Open("GET /readyz", "whether it can serve")
    yield Open("GET /openapi.json", "the API's description")
    yield Open("GET /api/bootstrap", "what an app needs to know at its start")
    yield Open("POST /api/sessions/refresh", "the refresh token is the credential")
    if settings.config.auth.cookies:
        yield Open("GET /api/sessions/refresh", "the refresh cookie is the credential: tells the CSRF token")
    if settings.config.auth.anonymous:
        yield Open("POST /api/sessions", f"begins an anonymous session: {_anonymous(settings)}")
    if settings.config.cors.origins:
        yield Open("OPTIONS, any path", f"which pages may call: {', '.join(settings.config.cors.origins)}")
    yield Open("GET /, other pages", "the chat app's files")


def _anonymous(settings: Settings) -> str:
    if settings.is_development:
        return "anybody on this machine"
    auth = settings.config.auth
    per_device = f"{auth.anonymous_sessions_per_device} from one device"
    return f"anybody; {auth.anonymous_sessions_per_hour} an hour from one address, {per_device}"


def _issuer(issuer: Issuer) -> str:
    claims = issuer.claims
    told = (("tier", claims.tier), ("groups", claims.group), ("features", claims.features))
    parts = [
        _source(issuer),
        f"user from {claims.user!r}" + (f" as '{issuer.user_prefix}…'" if issuer.user_prefix else ""),
        *(f"{what} from {claim!r}" for what, claim in told if claim is not None),
        *(f"only with {name}: {msgspec.json.encode(value).decode()}" for name, value in issuer.require.items()),
    ]
    return "; ".join([*parts, f"bound to app {issuer.app!r}"] if issuer.app else parts)


def _source(source: Issuer | Attestation) -> str:
    audience = source.audience if isinstance(source.audience, str) else ", ".join(source.audience)
    return f"{source.issuer} for {audience} ({', '.join(source.algorithms)})"


def _other_origins(config: Config) -> str:
    return f" and of {', '.join(config.cors.origins)}" if config.cors.origins else ""
