"""The routes of accounts over a real store, with a clock that is turned by hand and an identity provider."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.requests import Request

from frontdesk.accounts.anonymous import AnonymousLimit, ExchangeLimit
from frontdesk.accounts.attestations import Attestations
from frontdesk.accounts.gate import Gate
from frontdesk.accounts.issuers import Issuers
from frontdesk.accounts.routes.keys import KeyRoutes
from frontdesk.accounts.routes.people import PeopleRoutes
from frontdesk.accounts.routes.sessions import SessionRoutes
from frontdesk.accounts.service import Accounts
from frontdesk.core.config import Attestation, ClaimNames, Config, Issuer, parse_config
from frontdesk.http.edge import Edge
from frontdesk.http.starlette import Routes
from frontdesk.idempotency.service import IdempotencyKeys, IdempotencyTimes
from frontdesk.limits.in_process import InProcessCounters
from frontdesk.policies.access import Access
from frontdesk.storage.database import Database
from tests.accounts.identity_provider import AUDIENCE, ISSUER, HandTime, SigningKey, es256, key_set, rs256
from tests.http.asgi import Answer, ask

ADMIN_KEY = "fd_sk_test-admin-key-that-opens-nothing-real"
ATTESTER = "https://attest.example/1"
SETTINGS = """
providers: {scripted: {kind: scripted}}
models: {fast: {route: [scripted/echo]}, best: {route: [scripted/echo]}}
features: {chat: {}, summaries: {}, drafts: {}}
default_feature: chat
tiers: {free: {models: [fast], features: [chat, drafts]}, paid: {}, guest: {models: [fast]}}
default_tier: free
auth:
  anonymous: true
  anonymous_tier: guest
  anonymous_sessions_per_hour: 5
  anonymous_sessions_per_device: 2
  cookies: true
  apps: {phone: {}, web: {}}
cors: {origins: ["https://app.example"]}
"""


class Desk:
    """The application, and what tests turn and look at."""

    def __init__(self, database: Database, config: Config) -> None:
        self.config = config
        self.clock = HandTime()
        self.database = database
        self.issuers = Issuers(config.auth.jwt, config.auth.apps, self.clock)
        self.accounts = Accounts(
            database, self.clock, ADMIN_KEY, config.auth, self.issuers if config.auth.jwt else None
        )
        self.gate = Gate(
            self.accounts,
            Attestations(self.issuers, config.auth.apps, self.clock),
            takes_cookies=config.auth.cookies,
            origins=config.cors.origins,
        )
        self.idempotency = IdempotencyKeys(
            database, "proc_1", self.clock, lambda now_ms: now_ms + 3_600_000, IdempotencyTimes(30.0)
        )
        auth = config.auth
        counters = InProcessCounters(self.clock)
        limit = AnonymousLimit(auth.anonymous_sessions_per_hour, auth.anonymous_sessions_per_device, counters)
        routes = [
            *SessionRoutes(
                self.accounts,
                self.gate,
                config,
                self.clock,
                self._allows_anonymous,
                limit,
                ExchangeLimit(counters),
                self.idempotency,
            ).routes(),
            *PeopleRoutes(self.accounts, self.gate, config, Access(config)).routes(),
            *KeyRoutes(self.accounts, self.gate, self.clock, self.idempotency).routes(),
        ]
        self.application = Edge({}, Routes(routes, Routes([], None)))  # type: ignore[arg-type]

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        bearer: str | None = None,
        scheme: str = "http",
        address: str = "192.0.2.1",
        **headers: str,
    ) -> Answer:
        """Ask. `_` in a header's name is `-`."""
        told = {"host": "desk.example", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if bearer is not None:
            told["authorization"] = f"Bearer {bearer}"
        data = b"" if body is None else json.dumps(body).encode()
        return await ask(
            self.application,
            method,
            path,
            headers=[(name.encode(), value.encode()) for name, value in told.items()],
            messages=[{"type": "http.request", "body": data}],
            client=(address, 5000),
            scheme=scheme,
        )

    async def begin(self, bearer: str | None = ADMIN_KEY, **asked: Any) -> dict[str, Any]:
        """Begin a session that must begin."""
        answer = await self.ask("POST", "/api/sessions", asked, bearer=bearer)
        assert answer.status == 200, answer.body
        return answer.body

    async def me(self, bearer: str) -> dict[str, Any]:
        """Who somebody is."""
        answer = await self.ask("GET", "/api/me", bearer=bearer)
        assert answer.status == 200, answer.body
        return answer.body

    def _allows_anonymous(self, _: Request) -> bool:
        return self.config.auth.anonymous


@asynccontextmanager
async def desk_of(
    database: Database, folder: Path, *, has_issuer: bool = False, attested: tuple[str, ...] = (), **auth: Any
) -> AsyncIterator[Desk]:
    """A desk that is open meanwhile. `auth` changes settings of it; `attested` are apps with attestation."""
    config = parse_config(SETTINGS, {})
    if has_issuer:
        keys = _file(folder / "keys.json", es256())
        claims = ClaimNames(tier="plan", group="groups", features="scope")
        config.auth.jwt.append(Issuer(issuer=ISSUER, audience=AUDIENCE, jwks_file=keys, claims=claims))
    for name in attested:
        keys = _file(folder / "attester.json", rs256())
        config.auth.apps[name].attestation = Attestation(
            issuer=ATTESTER, audience="projects/1", jwks_file=keys, subject=name
        )
    for name, value in auth.items():
        setattr(config.auth, name, value)
    desk = Desk(database, config)
    desk.issuers.start()
    await desk.accounts.load()
    try:
        yield desk
    finally:
        await desk.idempotency.close()
        await desk.issuers.close()


def attestation(desk: Desk, app: str, **claims: Any) -> str:
    """A token that attests an app for a minute."""
    now = int(desk.clock.now())
    said: Mapping[str, Any] = {
        "iss": ATTESTER,
        "aud": ["projects/1"],
        "sub": app,
        "iat": now,
        "exp": now + 60,
        **claims,
    }
    return rs256().token(said)


def signed_in(desk: Desk, user: str = "u1", key: SigningKey | None = None, **claims: Any) -> str:
    """A token of the identity provider, for five minutes."""
    now = int(desk.clock.now())
    return (key or es256()).token(sub=user, iat=now, exp=now + 300, **claims)


def _file(path: Path, key: SigningKey) -> str:
    path.write_bytes(key_set([key]))
    return str(path)


def cookies_of(answer: Answer) -> dict[str, str]:
    """What an answer sets, name to value."""
    return dict(each.partition("; ")[0].split("=", 1) for each in answer.all("set-cookie"))
