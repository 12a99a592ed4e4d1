"""Who may call, and what answers anybody: as the routes of the application have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from frontdesk.app import Frontdesk
from frontdesk.checking.openness import Open, open_requests, ways_in
from frontdesk.core.config import read_environment
from frontdesk.http.callers import GuardedRoute
from frontdesk.storage.database import Database
from tests.checking.loaded import settings_of


def requests_of(opens: list[Open]) -> set[str]:
    return {each.request for each in opens}


@pytest.mark.parametrize("anonymous", ["true", "false"])
@pytest.mark.parametrize("cookies", ["true", "false"])
def test_what_is_told_to_be_open_is_what_the_routes_let_pass(tmp_path: Path, anonymous: str, cookies: str) -> None:
    settings = settings_of(tmp_path, f"auth: {{anonymous: {anonymous}, cookies: {cookies}}}")
    app: Any = Frontdesk(settings.config, read_environment({}), cast("Database", None), is_development=False)
    routes: list[GuardedRoute] = app.asgi._rest._router.routes

    let_pass = {
        f"{method} {route.path}"
        for route in routes
        if route.may is None or (route.may.or_nobody and settings.config.auth.anonymous)
        for method in (route.methods or set()) - {"HEAD"}
    }

    # Nobody has a cookie where there are none.
    of_cookies = set() if settings.config.auth.cookies else {"GET /api/sessions/refresh"}
    assert requests_of(open_requests(settings)) == (let_pass - of_cookies) | {"GET /, other pages"}


def test_origins_are_answered_before_who_calls_is_asked(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "cors: {origins: ['https://app.example']}")

    assert Open("OPTIONS, any path", "which pages may call: https://app.example") in open_requests(settings)


def test_who_may_call(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        """\
cors: {origins: ["https://app.example"]}
tiers: {free: {}, guest: {}}
default_tier: free
auth:
  anonymous: true
  anonymous_sessions_per_hour: 7
  anonymous_tier: guest
  cookies: true
  jwt:
    - issuer: https://a.example
      audience: [web, ios]
      jwks_url: https://a.example/keys
      algorithms: [ES256]
      claims: {user: user_id, tier: plan, group: org, features: scope}
      require: {email_verified: true, hd: app.example}
      user_prefix: "a:"
      app: ios
  apps:
    ios: {attestation: {issuer: https://c.example, audience: p, jwks_url: "https://c.example/k"}}
""",
    )

    assert [way.who for way in ways_in(settings)] == [
        "secret keys",
        "sessions",
        "anonymous",
        "tokens",
        "cookies",
        "attestation",
    ]
    told = {way.who: way.how for way in ways_in(settings)}
    assert told["anonymous"] == "anybody; 7 an hour from one address, 5 from one device, tier 'guest'"
    assert told["tokens"] == (
        "https://a.example for web, ios (ES256); user from 'user_id' as 'a:…'; tier from 'plan'; groups from 'org'; "
        "features from 'scope'; only with email_verified: true; only with hd: \"app.example\"; bound to app 'ios'"
    )
    assert told["cookies"] == "sessions of pages of this host and of https://app.example"
    assert told["attestation"] == (
        "app 'ios' by https://c.example for p (RS256, ES256, EdDSA); beside a person's credential"
    )
