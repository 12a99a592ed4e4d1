"""How callers are known, checked: who issues tokens, and that none of them can be taken for another's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from frontdesk.core.config.addresses import check_key_url
from frontdesk.core.config.problems import Place, Problems, check_number, check_reference, spelled
from frontdesk.core.config.shapes import Attestation, Config, Issuer
from frontdesk.core.ids import ANONYMOUS_PREFIX

_MAX_PREFIX_CHARS = 64
_MAX_LEEWAY_S = 300
_LEAST_REFRESH_S = 60
_MOST_REFRESH_S = 366 * 86_400
_MOST_GRACE_S = 3600
_MOST_SESSIONS = 1_000_000


def check_auth(problems: Problems, config: Config) -> None:
    """Check how callers are known."""
    auth = config.auth
    if auth.anonymous_tier is not None:
        check_reference(problems, ("auth", "anonymous_tier"), auth.anonymous_tier, config.tiers, "tiers")
    for position, issuer in enumerate(auth.jwt):
        _check_issuer(problems, ("auth", "jwt", position), issuer, config)
    for name, app in auth.apps.items():
        place: Place = ("auth", "apps", name)
        if not name.strip() or not name.isprintable():
            problems.add(place, f"auth.apps has the name {name!r}. It needs printable characters.")
        if app.attestation is not None:
            _check_attestation(problems, (*place, "attestation"), app.attestation)
    _refuse_confusion(problems, config)
    if auth.cookies and "*" in config.cors.origins:
        words = "while cors.origins has '*': any site could act for people who are signed in. Name the origins."
        problems.add(("auth", "cookies"), f"auth.cookies is on {words}")
    _check_numbers(problems, config)


def _check_numbers(problems: Problems, config: Config) -> None:
    auth = config.auth
    for field in ("anonymous_sessions_per_hour", "anonymous_sessions_per_device"):
        check_number(problems, ("auth", field), getattr(auth, field), 1, _MOST_SESSIONS)
    check_number(problems, ("auth", "refresh_ttl_s"), auth.refresh_ttl_s, _LEAST_REFRESH_S, _MOST_REFRESH_S)
    grace: Place = ("auth", "refresh_grace_s")
    check_number(problems, grace, auth.refresh_grace_s, 0, _MOST_GRACE_S)
    if _LEAST_REFRESH_S <= auth.refresh_ttl_s <= auth.refresh_grace_s <= _MOST_GRACE_S:
        words = f"It must be less than auth.refresh_ttl_s, which is {auth.refresh_ttl_s:g}."
        problems.add(grace, f"auth.refresh_grace_s is {auth.refresh_grace_s:g}. {words}")


# --- issuers ------------------------------------------------------------------------------------


def _check_issuer(problems: Problems, place: Place, issuer: Issuer, config: Config) -> None:
    _check_source(problems, place, issuer)
    _check_claims(problems, place, issuer)
    for name, tier in issuer.tiers.items():
        check_reference(problems, (*place, "tiers", name), tier, config.tiers, "tiers")
    if issuer.app is not None and not problems.is_lost(("auth", "apps")):
        check_reference(problems, (*place, "app"), issuer.app, config.auth.apps, "auth")
    prefix, here = issuer.user_prefix, (*place, "user_prefix")
    if not prefix.isprintable() or len(prefix) > _MAX_PREFIX_CHARS:
        words = f"is {prefix[:_MAX_PREFIX_CHARS]!r}. It may have at most {_MAX_PREFIX_CHARS} printable characters."
        problems.add(here, f"{spelled(here)} {words}")
    if prefix.startswith(ANONYMOUS_PREFIX):
        words = f"is {prefix!r}. Names that begin with {ANONYMOUS_PREFIX!r} are those of people without an account."
        problems.add(here, f"{spelled(here)} {words}")


def _check_claims(problems: Problems, place: Place, issuer: Issuer) -> None:
    names = {
        ("audience_claim",): issuer.audience_claim,
        **{("claims", field): getattr(issuer.claims, field) for field in issuer.claims.__struct_fields__},
        **{("require", name): name for name in issuer.require},
    }
    for way, name in names.items():
        if name is not None and not name.strip():
            here = (*place, *way)
            problems.add(here, f"{spelled(here).rstrip('.')} names no claim. Write a name, or leave it out.")


def _check_attestation(problems: Problems, place: Place, attestation: Attestation) -> None:
    _check_source(problems, place, attestation)
    here = (*place, "subject")
    subjects = attestation.subject
    if subjects is not None and (not subjects or not all(each.strip() for each in _listed(subjects))):
        problems.add(here, f"{spelled(here)} is empty. Write the app's id there; leave it out for any app of its.")


def _check_source(problems: Problems, place: Place, source: Issuer | Attestation) -> None:
    """What issuers of both kinds have: who they are, for whom their tokens are, where their keys come from."""
    if not source.issuer.strip():
        words = "is empty. Write what the tokens' claim 'iss' says, letter by letter."
        problems.add((*place, "issuer"), f"{spelled(place)}.issuer {words}")
    if not source.audience or not all(each.strip() for each in _listed(source.audience)):
        words = "is empty. Write for whom the tokens are: others' tokens of this issuer would be taken too."
        problems.add((*place, "audience"), f"{spelled(place)}.audience {words}")
    if not source.algorithms:
        words = "is empty: no token could be valid. Name some; leave it out for all that are served."
        problems.add((*place, "algorithms"), f"{spelled(place)}.algorithms {words}")
    if source.jwks_url is None and source.jwks_file is None:
        words = "needs jwks_url, where its keys are fetched, or jwks_file."
        problems.add(place, f"{spelled(place)} {words}")
    elif source.jwks_url is not None and source.jwks_file is not None:
        words = "has jwks_url and jwks_file. Keep one: where its keys come from."
        problems.add(place, f"{spelled(place)} {words}")
    if source.jwks_url is not None:
        check_key_url(problems, (*place, "jwks_url"), source.jwks_url)
    check_number(problems, (*place, "leeway_s"), source.leeway_s, 0, _MAX_LEEWAY_S)


# --- whose token is whose -----------------------------------------------------------------------


def _refuse_confusion(problems: Problems, config: Config) -> None:
    issuers: list[tuple[Place, Issuer]] = [
        (("auth", "jwt", position), issuer)
        for position, issuer in enumerate(config.auth.jwt)
        if issuer.issuer and not problems.is_lost(("auth", "jwt", position))
    ]
    for (first, one), (second, other) in itertools.combinations(issuers, 2):
        _compare(problems, first, one, second, other)
    _compare_apps(problems, config)
    for name, app in config.auth.apps.items():
        attestation = app.attestation
        for place, issuer in issuers if attestation is not None else ():
            audience = next(_shared_audience(issuer, attestation), None)
            if audience is not None:
                here = ("auth", "apps", name, "attestation")
                words = "take tokens of the same issuer and audience"
                remedy = (
                    "a user's token would attest the app, or an app's token stand for a user. Change one's audience."
                )
                problems.add(
                    (*here, "audience"), f"{spelled(here)} and {spelled(place)} {words} ({audience!r}): {remedy}"
                )


def _compare(problems: Problems, first: Place, one: Issuer, second: Place, other: Issuer) -> None:
    if one.issuer == other.issuer:
        audience = next(_shared_audience(one, other), None)
        is_same = (one.audience_claim, one.require) == (other.audience_claim, other.require)
        if audience is not None and is_same:
            words = f"take tokens of the same issuer and audience ({audience!r}). Keep one of them."
            problems.add((*second, "audience"), f"{spelled(first)} and {spelled(second)} {words}")
        return
    here: Place = (*second, "user_prefix")
    if one.user_prefix == other.user_prefix and not problems.is_lost((*first, "user_prefix")):
        words = f"have the same user_prefix ({one.user_prefix!r}): the user '1' of either issuer would be one person."
        problems.add(here, f"{spelled(first)} and {spelled(second)} {words} Give each its own.")


def _compare_apps(problems: Problems, config: Config) -> None:
    attested: list[tuple[Place, Attestation]] = []
    for name, app in config.auth.apps.items():
        place: Place = ("auth", "apps", name, "attestation")
        is_lost = any(problems.is_lost((*place, field)) for field in ("issuer", "audience", "subject"))
        if app.attestation is not None and app.attestation.issuer and not is_lost:
            attested.append((place, app.attestation))
    for (first, one), (second, other) in itertools.combinations(attested, 2):
        audience = next(_shared_audience(one, other), None)
        if not audience:
            continue
        words = f"{spelled(first)} and {spelled(second)} take tokens of the same issuer and audience ({audience!r})"
        remedy = "each app could attest the other. Give each a subject of its own."
        here: Place = (*second, "subject")
        if one.subject is None or other.subject is None:
            problems.add(here, f"{words}, and not both name a subject: {remedy}")
            continue
        shared = [each for each in _listed(one.subject) if each in _listed(other.subject)]
        if shared:
            problems.add(here, f"{words} with the same subject ({shared[0]!r}): {remedy}")


def _shared_audience(one: Issuer | Attestation, other: Issuer | Attestation | None) -> Iterator[str]:
    if other is not None and one.issuer == other.issuer:
        yield from (each for each in _listed(one.audience) if each in _listed(other.audience))


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names
