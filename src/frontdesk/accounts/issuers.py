"""Identity providers: whose tokens are believed, for whom, and who their bearers are.

What a token says is checked first, as cheaply as anybody can send it, and its signature last: a token that is hopeless
anyway costs no signature and makes nobody fetch keys. Nothing of it is used before the signature was verified.
A token holds until `exp`, and `leeway_s` longer for clocks that differ; what is known of it should be kept until `exp`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from frontdesk.accounts.identity import Identity
from frontdesk.accounts.jwks import KeySet
from frontdesk.accounts.jwt import Token, cut, find_claim, read_token, refuse
from frontdesk.accounts.key_sources import FileSource, UrlSource
from frontdesk.accounts.people import NAME_RULE, is_name
from frontdesk.core.clock import Clock
from frontdesk.core.config import App, Attestation, Issuer
from frontdesk.core.errors import Unauthenticated
from frontdesk.core.ids import ANONYMOUS_PREFIX

_MAX_NAMES = 256

_Owner = TypeVar("_Owner")
_Sleep = Callable[[float], Awaitable[None]]


class Issuers:
    """The identity providers of a configuration. `start()` before use, `close()` at the end."""

    def __init__(
        self, issuers: Sequence[Issuer], apps: Mapping[str, App], clock: Clock, sleep: _Sleep = asyncio.sleep
    ) -> None:
        key_sets = _KeySets(clock, sleep)
        self._of_people = _Entries[Issuer](clock)
        self._of_apps = _Entries[str](clock)
        for number, issuer in enumerate(issuers):
            keys = key_sets.of(f"auth.jwt[{number}]", issuer)
            self._of_people.add(_rules(issuer, keys, issuer.audience_claim, issuer.require, None), issuer)
        self._reserved = {issuer.issuer: _prefixes_of_others(issuer.issuer, issuers) for issuer in issuers}
        for name, app in apps.items():
            if app.attestation is not None:
                keys = key_sets.of(f"auth.apps.{name}.attestation", app.attestation)
                self._of_apps.add(_rules(app.attestation, keys, "aud", {}, app.attestation.subject), name)
        self._key_sets = key_sets.all

    @property
    def generation(self) -> int:
        """Moves when any keys change: what is known of tokens by then may no longer hold."""
        return sum(keys.generation for keys in self._key_sets)

    def start(self) -> None:
        """Begin to fetch keys, and to keep them fresh."""
        for keys in self._key_sets:
            keys.start()

    async def close(self) -> None:
        """Stop fetching."""
        for keys in self._key_sets:
            await keys.close()

    async def probe(self) -> list[tuple[str, str]]:
        """Fetch every key set once; returns the settings that name what gives no keys, and why. Needs no `start()`."""
        problems = [(keys.place, await keys.probe()) for keys in self._key_sets]
        return [(place, problem) for place, problem in problems if problem is not None]

    async def identify(self, token: str) -> Identity:
        """Who the bearer of a token is. Raises Unauthenticated; Unavailable where its keys cannot be had."""
        read, issuer = await self._of_people.verify(token)
        return _identity(read, issuer, self._reserved[issuer.issuer])

    async def attested_app(self, token: str) -> tuple[str, float]:
        """The app that a token of attestation is of, and when the token expires. Raises as `identify`."""
        read, app = await self._of_apps.verify(token)
        return app, _expiry(read)


# --- which entry a token is for -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a token must say to be for an entry. `subjects` is None where any will do."""

    issuer: str
    audiences: frozenset[str]
    audience_claim: str
    algorithms: frozenset[str]
    required: tuple[tuple[str, str | int | bool], ...]
    subjects: frozenset[str] | None
    leeway_s: float
    keys: KeySet

    def check(self, token: Token, now: float) -> None:
        """Raise Unauthenticated for a token that is not for this entry, or not now."""
        if not self._is_audience(find_claim(token.claims, self.audience_claim)):
            raise Unauthenticated(
                f"This token is for another audience: its claim {self.audience_claim!r} names none that this server "
                "has. Ask the identity provider for one that is meant for it.",
                code="wrong_audience",
            )
        if token.algorithm not in self.algorithms:
            refuse(f"It is signed with {cut(token.algorithm)}; taken are {', '.join(sorted(self.algorithms))}.")
        self._check_times(token, now)
        for name, value in self.required:
            found = find_claim(token.claims, name)
            if found != value or isinstance(found, bool) is not isinstance(value, bool):
                refuse(f"Its claim {name!r} is not what this server requires.")
        if self.subjects is not None and not _is_one_of(token.claims.get("sub"), self.subjects):
            refuse("Its claim 'sub' names no app of this server.")

    def _is_audience(self, claim: Any) -> bool:
        if type(claim) is not list:
            return _is_one_of(claim, self.audiences)
        several = cast("list[Any]", claim)
        return all(type(each) is str for each in several) and not self.audiences.isdisjoint(several)

    def _check_times(self, token: Token, now: float) -> None:
        late_s = now - _expiry(token)
        if late_s >= self.leeway_s:
            raise Unauthenticated(
                f"This token expired {late_s:.0f} s ago. Get a new one from the identity provider.",
                code="token_expired",
            )
        for name in ("nbf", "iat"):
            time = token.time(name)
            if time is not None and time - now > self.leeway_s:
                raise Unauthenticated(
                    f"This token holds only in {time - now:.0f} s, by its claim {name!r}. If it is new, the clock of "
                    "this server or of its issuer is wrong.",
                    code="token_not_yet_valid",
                )


def _is_one_of(claim: Any, names: frozenset[str]) -> bool:
    return type(claim) is str and claim in names


def _expiry(token: Token) -> float:
    expiry = token.time("exp")
    if expiry is None:
        refuse("It does not say when it expires ('exp'). Have the identity provider limit its time.")
    return expiry


class _Entries(Generic[_Owner]):
    """Entries by their issuer, which may have several, and to whom each belongs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: dict[str, list[tuple[_Rules, _Owner]]] = {}

    def add(self, rules: _Rules, owner: _Owner) -> None:
        """Add an entry. Of those that a token fits, the first counts."""
        self._of.setdefault(rules.issuer, []).append((rules, owner))

    async def verify(self, text: str) -> tuple[Token, _Owner]:
        """Read a token, find the entry that it is for, and verify its signature. Raises as `identify`."""
        token = read_token(text)
        rules, owner = self._choose(token)
        await rules.keys.verify(token)
        return token, owner

    def _choose(self, token: Token) -> tuple[_Rules, _Owner]:
        issuer = token.claims.get("iss")
        entries = self._of.get(issuer) if type(issuer) is str else None
        if entries is None:
            told = f"the issuer {cut(issuer)}" if type(issuer) is str else "no issuer ('iss')"
            raise Unauthenticated(
                f"This token is of {told}, which this server does not take. Send one of an identity provider "
                "that its configuration names.",
                code="unknown_issuer",
            )
        refusal: Unauthenticated | None = None
        now = self._clock.now()
        for rules, owner in entries:
            try:
                rules.check(token, now)
            except Unauthenticated as error:
                # What an entry says that is for its audience is more to the point.
                if refusal is None or refusal.code == "wrong_audience":
                    refusal = error
            else:
                return rules, owner
        assert refusal is not None, "an issuer has an entry"
        raise refusal


# --- who its bearer is --------------------------------------------------------------------------


def _identity(token: Token, issuer: Issuer, reserved: frozenset[str]) -> Identity:
    claims, names = token.claims, issuer.claims
    return Identity(
        person=_person(find_claim(claims, names.user), issuer, reserved),
        tier=None if names.tier is None else _tier(find_claim(claims, names.tier), issuer.tiers),
        groups=() if names.group is None else _groups(find_claim(claims, names.group), names.group),
        features=None if names.features is None else _features(find_claim(claims, names.features)),
        app=issuer.app,
        issued_at=token.time("iat"),
        expires_at=_expiry(token),
    )


def _person(claim: Any, issuer: Issuer, reserved: frozenset[str]) -> str:
    """The user of a claim, who nobody of another issuer can be.

    `reserved` are the prefixes of the other issuers. One that is a beginning of this issuer's own is not meant:
    it is the other's users who may not begin with ours.
    """
    if type(claim) is not str or not claim:
        refuse(f"Its claim {issuer.claims.user!r} must be a text that names a user.")
    prefix = issuer.user_prefix
    person = prefix + claim
    if not is_name(person):
        whole = f", with {prefix!r} before it," if prefix else ""
        refuse(f"The user in its claim {issuer.claims.user!r}{whole} must be {NAME_RULE}.")
    if person.startswith(ANONYMOUS_PREFIX):
        refuse(f"Its user begins with {ANONYMOUS_PREFIX!r}, as people without an account do here.")
    for other in reserved:
        if person.startswith(other) and not prefix.startswith(other):
            refuse(f"Its user begins with {other!r}, as those of another identity provider do here.")
    return person


def _prefixes_of_others(issuer: str, issuers: Sequence[Issuer]) -> frozenset[str]:
    return frozenset(each.user_prefix for each in issuers if each.issuer != issuer and each.user_prefix)


def _tier(claim: Any, tiers: Mapping[str, str]) -> str | None:
    """Of a list of roles or groups, the first that `tiers` knows, in the order of `tiers`."""
    if type(claim) is list:
        return next((tier for name, tier in tiers.items() if name in _listed(claim)), None)
    return tiers.get(claim, claim) if _is_name(claim) else None


def _groups(claim: Any, name: str) -> tuple[str, ...]:
    groups = tuple(dict.fromkeys(each for each in _listed(claim) if _is_name(each)))
    if len(groups) > _MAX_NAMES:
        refuse(f"Its claim {name!r} has {len(groups)} groups, and at most {_MAX_NAMES} are taken.")
    return groups


def _features(claim: Any) -> frozenset[str]:
    """Names in a list, or in a string with blanks between as a scope has them (RFC 6749 §3.3)."""
    listed = claim.split() if type(claim) is str else _listed(claim)
    return frozenset(each for each in listed if _is_name(each))


def _listed(claim: Any) -> list[Any]:
    return cast("list[Any]", claim) if type(claim) is list else [claim]


def _is_name(claim: Any) -> bool:
    return type(claim) is str and is_name(claim)


# --- from the configuration ---------------------------------------------------------------------


class _KeySets:
    """Key sets, one for each source, however many entries name it."""

    def __init__(self, clock: Clock, sleep: _Sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._of: dict[tuple[str | None, str | None], KeySet] = {}

    @property
    def all(self) -> list[KeySet]:
        return list(self._of.values())

    def of(self, place: str, entry: Issuer | Attestation) -> KeySet:
        """The key set of an entry; `place` is where the configuration has it."""
        keys = self._of.get((entry.jwks_url, entry.jwks_file))
        if keys is None:
            source = UrlSource(entry.jwks_url) if entry.jwks_url is not None else FileSource(_file(place, entry))
            keys = KeySet(place, source, self._clock, self._sleep)
            self._of[entry.jwks_url, entry.jwks_file] = keys
        return keys


def _file(place: str, entry: Issuer | Attestation) -> str:
    if entry.jwks_file is None:
        raise ValueError(f"{place} has neither jwks_url nor jwks_file.")
    return entry.jwks_file


def _rules(
    entry: Issuer | Attestation,
    keys: KeySet,
    audience_claim: str,
    required: Mapping[str, str | int | bool],
    subject: str | list[str] | None,
) -> _Rules:
    return _Rules(
        issuer=entry.issuer,
        audiences=_names(entry.audience),
        audience_claim=audience_claim,
        algorithms=frozenset(entry.algorithms),
        required=tuple(required.items()),
        subjects=None if subject is None else _names(subject),
        leeway_s=entry.leeway_s,
        keys=keys,
    )


def _names(names: str | Iterable[str]) -> frozenset[str]:
    return frozenset([names] if isinstance(names, str) else names)
