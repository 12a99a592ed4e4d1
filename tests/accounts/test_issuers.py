"""Whose tokens are believed, what of them, and what keeps everybody else's out."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.accounts.identity import Identity
from frontdesk.accounts.issuers import Issuers
from frontdesk.core.config import App, Attestation, ClaimNames, Issuer
from frontdesk.core.errors import FrontdeskError, Unauthenticated, Unavailable
from tests.accounts.identity_provider import (
    AUDIENCE,
    ISSUER,
    NOW,
    HandTime,
    KeyServer,
    LeapingTime,
    SigningKey,
    ed448_key,
    eddsa,
    es256,
    good_claims,
    key_set,
    p384,
    part,
    rs256,
    serving,
)

CHECKS = "https://check.example/42"
PROVIDERS_KEYS = [es256(), rs256(), eddsa()]
OTHERS_KEYS = [es256("other's").named("es")]
CHECKS_KEYS = [rs256("check's").named("rs")]


@asynccontextmanager
async def provided(
    folder: Path, keys: Mapping[str, list[SigningKey]] | None = None, **changes: Any
) -> AsyncIterator[Issuers]:
    """Two issuers whose keys have the same names, and one of attestations. `changes` are of the first."""
    sets = {"keys": PROVIDERS_KEYS, "others": OTHERS_KEYS, "checks": CHECKS_KEYS, **(keys or {})}
    for name, each in sets.items():
        (folder / name).write_bytes(key_set(each))
    first: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": str(folder / "keys"), **changes}
    other = Issuer(
        issuer="https://other.example/", audience=AUDIENCE, jwks_file=str(folder / "others"), user_prefix="o:"
    )
    attestation = Attestation(
        issuer=CHECKS, audience=["projects/42"], jwks_file=str(folder / "checks"), subject="1:42:web:abc"
    )
    time = LeapingTime()
    issuers = Issuers([Issuer(**first), other], {"web": App(attestation=attestation), "plain": App()}, time, time.sleep)
    assert await issuers.probe() == []
    try:
        yield issuers
    finally:
        await issuers.close()


# --- what is believed ---------------------------------------------------------------------------


@pytest.mark.parametrize("key", PROVIDERS_KEYS, ids=lambda key: key.algorithm)
async def test_a_token_is_its_bearer(tmp_path: Path, key: SigningKey) -> None:
    async with provided(tmp_path) as issuers:
        assert await issuers.identify(key.token()) == Identity(
            person="u1", tier=None, groups=(), features=None, app=None, issued_at=NOW - 10, expires_at=NOW + 300
        )


async def test_all_that_a_token_says_of_its_bearer(tmp_path: Path) -> None:
    names = ClaimNames(user="ids.main", tier="https://app.example/plan", group="org.teams", features="scope")
    async with provided(
        tmp_path, claims=names, tiers={"gold": "premium"}, user_prefix="acme:", app="ios", require={"ver": 2}
    ) as issuers:
        claims = good_claims(
            sub=None, ids={"main": "a b"}, org={"teams": ["x", "y", "x"]}, scope="chat  summaries", ver=2, iat=None
        )

        found = await issuers.identify(es256().token({**claims, "https://app.example/plan": "gold"}))

    assert found == Identity(
        person="acme:a b",
        tier="premium",
        groups=("x", "y"),
        features=frozenset({"chat", "summaries"}),
        app="ios",
        issued_at=None,
        expires_at=NOW + 300,
    )


@pytest.mark.parametrize(
    ("claim", "tier"),
    [
        ("gold", "premium"),
        ("basic", "basic"),
        (None, None),
        ("", None),
        (1, None),
        (True, None),
        ({"gold": 1}, None),
        ("x" * 129, None),
        ("a\nb", None),
        (["user", "silver", "gold"], "premium"),
        (["user", "silver"], "plus"),
        (["user"], None),
        ([["gold"], {}, 1], None),
        ([], None),
    ],
)
async def test_tiers(tmp_path: Path, claim: Any, tier: str | None) -> None:
    async with provided(
        tmp_path, claims=ClaimNames(tier="plan"), tiers={"gold": "premium", "silver": "plus"}
    ) as issuers:
        assert (await issuers.identify(es256().token(plan=claim))).tier == tier


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        ("team-a", ("team-a",)),
        ("two words", ("two words",)),
        (["b", "a", "b"], ("b", "a")),
        (None, ()),
        (7, ()),
        ({"a": 1}, ()),
        (["a", 1, None, ["b"], "", "c\n", "x" * 129, "d"], ("a", "d")),
        ([str(number) for number in range(256)], tuple(str(number) for number in range(256))),
    ],
)
async def test_groups(tmp_path: Path, claim: Any, groups: tuple[str, ...]) -> None:
    async with provided(tmp_path, claims=ClaimNames(group="org")) as issuers:
        assert (await issuers.identify(es256().token(org=claim))).groups == groups


async def test_too_many_groups_are_refused_rather_than_some_forgotten(tmp_path: Path) -> None:
    async with provided(tmp_path, claims=ClaimNames(group="org")) as issuers:
        with pytest.raises(Unauthenticated, match="257 groups"):
            await issuers.identify(es256().token(org=[str(number) for number in range(257)]))


@pytest.mark.parametrize(
    ("claim", "features"),
    [
        ("chat summaries", {"chat", "summaries"}),
        (["chat", "a b"], {"chat", "a b"}),
        ("", set()),
        ([], set()),
        (None, set()),
        (True, set()),
        ({"chat": True}, set()),
        (["chat", 1, None], {"chat"}),
    ],
)
async def test_features_that_a_token_must_allow(tmp_path: Path, claim: Any, features: set[str]) -> None:
    """Where they are configured, what does not say any allows none."""
    async with provided(tmp_path, claims=ClaimNames(features="scope")) as issuers:
        assert (await issuers.identify(es256().token(scope=claim))).features == features


@pytest.mark.parametrize(
    "user", ["u1", "ü", "名前", "😀", "auth0|abc", "a b", "x" * 128, "<script>", "anon", "../..", "...", "a@b.example"]
)
async def test_users_that_can_be(tmp_path: Path, user: str) -> None:
    async with provided(tmp_path) as issuers:
        assert (await issuers.identify(es256().token(sub=user))).person == user


@pytest.mark.parametrize(
    "user",
    [
        "",
        "x" * 129,
        "a\nb",
        "\0",
        "a\u2028b",
        "\u202eevil",
        "\u200b",
        "\x7f",
        7,
        True,
        ["u1"],
        {"id": "u1"},
        "anon_1",
        ".",
        "..",
    ],
)
async def test_users_that_cannot_be(tmp_path: Path, user: Any) -> None:
    async with provided(tmp_path) as issuers:
        with pytest.raises(Unauthenticated) as caught:
            await issuers.identify(es256().token({**good_claims(), "sub": user}))
        assert caught.value.code == "invalid_token"


async def test_a_prefix_counts_as_a_part_of_its_user(tmp_path: Path) -> None:
    async with provided(tmp_path, user_prefix="12345678") as issuers:
        assert (await issuers.identify(es256().token(sub="x" * 120))).person == "12345678" + "x" * 120
        with pytest.raises(Unauthenticated, match="with '12345678' before it, must be 1 to 128 "):
            await issuers.identify(es256().token(sub="x" * 121))


@pytest.mark.parametrize("user", [".", ".."])
async def test_a_user_that_no_path_can_name_is_told_why(tmp_path: Path, user: str) -> None:
    async with provided(tmp_path) as issuers:
        with pytest.raises(Unauthenticated, match=r"user in its claim 'sub' must be .*, and neither '\.' nor '\.\.'\."):
            await issuers.identify(es256().token(sub=user))
    async with provided(tmp_path, user_prefix="p:") as issuers:
        assert (await issuers.identify(es256().token(sub=user))).person == f"p:{user}"


async def test_groups_are_names_as_users_are(tmp_path: Path) -> None:
    async with provided(tmp_path, claims=ClaimNames(group="org")) as issuers:
        assert (await issuers.identify(es256().token(org=["red", "..", ".", ""]))).groups == ("red",)


@pytest.mark.parametrize(
    ("prefix", "user", "is_taken"),
    [
        ("", "o:u1", False),
        ("", "o:", False),
        ("", "o", True),
        ("", "xo:u1", True),
        ("o", ":u1", False),
        ("o", "u1", True),
        ("o:", "u1", True),
        ("o:a:", "u1", True),
        ("p:", "o:u1", True),
    ],
)
async def test_nobody_passes_for_a_user_of_another_issuer(
    tmp_path: Path, prefix: str, user: str, is_taken: bool
) -> None:
    async with provided(tmp_path, user_prefix=prefix) as issuers:
        token = es256().token(sub=user)
        if is_taken:
            assert (await issuers.identify(token)).person == prefix + user
            return
        with pytest.raises(Unauthenticated, match="begins with 'o:', as those of another identity provider") as caught:
            await issuers.identify(token)
        assert caught.value.code == "invalid_token"


async def test_entries_of_one_issuer_do_not_reserve_names(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(key_set([es256()]))
    time = LeapingTime()
    file = str(tmp_path / "keys")
    web = Issuer(issuer=ISSUER, audience="web", jwks_file=file)
    phone = Issuer(issuer=ISSUER, audience="phone", jwks_file=file, user_prefix="p:")
    issuers = Issuers([web, phone], {}, time, time.sleep)
    assert await issuers.probe() == []

    assert (await issuers.identify(es256().token(aud="web", sub="p:u1"))).person == "p:u1"


async def test_two_issuers_do_not_share_users_where_they_have_prefixes(tmp_path: Path) -> None:
    async with provided(tmp_path, user_prefix="p:") as issuers:
        ours = await issuers.identify(es256().token())
        theirs = await issuers.identify(OTHERS_KEYS[0].token(iss="https://other.example/"))

    assert (ours.person, theirs.person) == ("p:u1", "o:u1")


@pytest.mark.parametrize("audience", ["b", ["a", "b"], ["b", "b"]])
async def test_any_audience_of_several_will_do(tmp_path: Path, audience: Any) -> None:
    async with provided(tmp_path, audience=["b", "c"]) as issuers:
        assert await issuers.identify(es256().token(aud=audience))


async def test_an_audience_by_another_name(tmp_path: Path) -> None:
    async with provided(tmp_path, audience_claim="client.id") as issuers:
        assert await issuers.identify(es256().token(aud="another", client={"id": AUDIENCE}))
        with pytest.raises(Unauthenticated) as caught:
            await issuers.identify(es256().token())
        assert caught.value.code == "wrong_audience"


async def test_entries_of_one_issuer_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(key_set([es256()]))
    time = LeapingTime()

    def entry(**changes: Any) -> Issuer:
        return Issuer(issuer=ISSUER, jwks_file=str(tmp_path / "keys"), **changes)

    issuers = Issuers(
        [
            entry(audience="web", user_prefix="w:"),
            entry(audience="phone", user_prefix="p:"),
            entry(audience="client", audience_claim="client_id", require={"token_use": "access"}, user_prefix="c:"),
            entry(audience="web", require={"org": "a"}, user_prefix="a:"),
        ],
        {},
        time,
        time.sleep,
    )
    assert await issuers.probe() == []

    async def person(**changes: Any) -> str:
        return (await issuers.identify(es256().token(**changes))).person

    assert await person(aud="web") == "w:u1"
    assert await person(aud="phone") == "p:u1"
    assert await person(aud=["phone", "web"]) == "w:u1", "the first entry counts"
    assert await person(aud="x", client_id="client", token_use="access") == "c:u1"
    for changes, code in (
        ({"aud": "x"}, "wrong_audience"),
        ({"aud": "x", "client_id": "client", "token_use": "id"}, "invalid_token"),
        ({"aud": "phone", "exp": NOW - 100}, "token_expired"),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await person(**changes)
        assert caught.value.code == code
    assert issuers.generation == 1, "one source, one key set"


@pytest.mark.parametrize(
    ("required", "claims", "is_met"),
    [
        ({"email_verified": True}, {"email_verified": True}, True),
        ({"email_verified": True}, {"email_verified": 1}, False),
        ({"email_verified": True}, {"email_verified": "true"}, False),
        ({"email_verified": True}, {}, False),
        ({"is_anonymous": False}, {"is_anonymous": False}, True),
        ({"is_anonymous": False}, {"is_anonymous": 0}, False),
        ({"is_anonymous": False}, {}, False),
        ({"ver": 1}, {"ver": 1}, True),
        ({"ver": 1}, {"ver": 1.0}, True),
        ({"ver": 1}, {"ver": True}, False),
        ({"ver": 1}, {"ver": "1"}, False),
        ({"ver": 0}, {"ver": False}, False),
        ({"typ": "Bearer"}, {"typ": "Bearer"}, True),
        ({"typ": "Bearer"}, {"typ": "bearer"}, False),
        ({"typ": "Bearer"}, {"typ": ["Bearer"]}, False),
        ({"a.b": "c"}, {"a": {"b": "c"}}, True),
        ({"a.b": "c"}, {"a.b": "c"}, True),
        ({"a.b": "c"}, {"a": {"b": "d"}}, False),
        ({"a": "b", "c": "d"}, {"a": "b", "c": "d"}, True),
        ({"a": "b", "c": "d"}, {"a": "b", "c": "x"}, False),
    ],
)
async def test_required_claims(tmp_path: Path, required: Any, claims: Any, is_met: bool) -> None:
    async with provided(tmp_path, require=required) as issuers:
        token = es256().token({**good_claims(), **claims})
        if is_met:
            assert await issuers.identify(token)
            return
        with pytest.raises(Unauthenticated) as caught:
            await issuers.identify(token)
        assert caught.value.code == "invalid_token"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": NOW + 0.5}, None),
        ({"exp": NOW - 29}, None),
        ({"exp": NOW - 29.5}, None),
        ({"exp": NOW - 30}, "token_expired"),
        ({"exp": NOW - 5000}, "token_expired"),
        ({"exp": 0}, "token_expired"),
        ({"nbf": NOW + 30}, None),
        ({"nbf": NOW + 31}, "token_not_yet_valid"),
        ({"iat": NOW + 30}, None),
        ({"iat": NOW + 31}, "token_not_yet_valid"),
        ({"nbf": NOW - 10**9, "iat": NOW - 10**9}, None),
    ],
)
async def test_times_and_how_far_clocks_may_differ(tmp_path: Path, changes: Any, code: str | None) -> None:
    async with provided(tmp_path, leeway_s=30.0) as issuers:
        token = es256().token(**changes)
        if code is None:
            assert (await issuers.identify(token)).expires_at == changes.get("exp", NOW + 300)
            return
        with pytest.raises(Unauthenticated) as caught:
            await issuers.identify(token)
        assert caught.value.code == code


async def test_what_is_wrong_with_a_token_is_told_without_telling_the_token(tmp_path: Path) -> None:
    token = es256().token(sub="a-secret-user", aud="a-secret-audience", email="secret@app.example")
    async with provided(tmp_path) as issuers:
        with pytest.raises(Unauthenticated) as caught:
            await issuers.identify(token)

    assert "'aud'" in caught.value.message
    assert "secret" not in caught.value.message
    assert not any(each in caught.value.message for each in token.split("."))


async def test_an_issuer_is_told_in_short(tmp_path: Path) -> None:
    async with provided(tmp_path) as issuers:
        with pytest.raises(Unauthenticated) as caught:
            await issuers.identify(es256().token(iss="https://evil.example/\n" + "x" * 3000))

    assert r"'https://evil.example/\nxxx" in caught.value.message
    assert len(caught.value.message) < 300


# --- attestations -------------------------------------------------------------------------------


def attestation(**changes: Any) -> str:
    claims = {"iss": CHECKS, "sub": "1:42:web:abc", "aud": ["projects/42", "projects/app"], **changes}
    return CHECKS_KEYS[0].token(good_claims(**claims))


async def test_an_attestation_is_of_its_app(tmp_path: Path) -> None:
    async with provided(tmp_path) as issuers:
        assert await issuers.attested_app(attestation()) == ("web", NOW + 300)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sub": "1:42:web:def"}, "invalid_token"),
        ({"sub": None}, "invalid_token"),
        ({"sub": ["1:42:web:abc"]}, "invalid_token"),
        ({"aud": "projects/43"}, "wrong_audience"),
        ({"iss": "https://check.example/43"}, "unknown_issuer"),
        ({"iss": ISSUER}, "unknown_issuer"),
        ({"exp": NOW - 60}, "token_expired"),
        ({"exp": None}, "invalid_token"),
    ],
)
async def test_attestations_that_do_not_hold(tmp_path: Path, changes: Any, code: str) -> None:
    async with provided(tmp_path) as issuers:
        with pytest.raises(Unauthenticated) as caught:
            await issuers.attested_app(attestation(**changes))
        assert caught.value.code == code


async def test_apps_of_one_project_are_told_apart_by_subject(tmp_path: Path) -> None:
    (tmp_path / "checks").write_bytes(key_set(CHECKS_KEYS))
    time = LeapingTime()

    def app(subject: str | list[str] | None) -> App:
        file = str(tmp_path / "checks")
        return App(attestation=Attestation(issuer=CHECKS, audience="projects/42", jwks_file=file, subject=subject))

    issuers = Issuers([], {"ios": app("i"), "web": app(["w1", "w2"]), "any": app(None)}, time, time.sleep)
    assert await issuers.probe() == []

    assert [(await issuers.attested_app(attestation(sub=sub)))[0] for sub in ("i", "w1", "w2", "x")] == [
        "ios",
        "web",
        "web",
        "any",
    ]


# --- what is not believed -----------------------------------------------------------------------


def _hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.new(secret, signed, hashlib.sha256).digest()


def _pem(key: SigningKey) -> bytes:
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _der_signature(signed: bytes) -> bytes:
    return es256().private.sign(signed, ec.ECDSA(SHA256()))


def _swapped() -> str:
    head, _, signature = es256().token().split(".")
    return f"{head}.{part(good_claims(sub='admin'))}.{signature}"


def _head_of_another() -> str:
    _, claims, signature = es256().token().split(".")
    return f"{part({'alg': 'RS256', 'kid': 'rs', 'typ': 'JWT'})}.{claims}.{signature}"


def _without_last_bits() -> str:
    token = rs256().token()  # of 256 bytes: the last letter has bits that mean nothing
    return (
        token[:-1]
        + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(token[-1]) | 1
        ]
    )


def _claims_text(text: str) -> str:
    return es256().sealed(part({"alg": "ES256", "kid": "es"}), part(text))


_GOOD_TEXT = json.dumps(good_claims())

FORGED: dict[str, tuple[str, str]] = {
    # no signature, or one of another kind
    "alg none": (es256().token(header={"alg": "none"}, sign=lambda _: b"x"), "invalid_token"),
    "alg none without signature": (es256().token(header={"alg": "none"}, sign=lambda _: b""), "invalid_token"),
    "alg nOnE": (es256().token(header={"alg": "nOnE"}), "invalid_token"),
    "no alg": (es256().token(header={"alg": None}), "invalid_token"),
    "alg in small letters": (es256().token(header={"alg": "es256"}), "invalid_token"),
    "alg ES384": (es256().token(header={"alg": "ES384"}), "invalid_token"),
    "alg RS512": (rs256().token(header={"alg": "RS512"}), "invalid_token"),
    "alg PS256": (rs256().token(header={"alg": "PS256"}), "invalid_token"),
    "a secret that is public: PEM": (
        rs256().token(header={"alg": "HS256"}, sign=_hs256(_pem(rs256()))),
        "invalid_token",
    ),
    "a secret that is public: PEM, said to be RS256": (rs256().token(sign=_hs256(_pem(rs256()))), "invalid_token"),
    "a secret that is public: JWK": (
        rs256().token(header={"alg": "HS256"}, sign=_hs256(json.dumps(rs256().jwk).encode())),
        "invalid_token",
    ),
    "a secret that is public: modulus": (
        rs256().token(header={"alg": "HS256"}, sign=_hs256(rs256().jwk["n"].encode())),
        "invalid_token",
    ),
    "ES256 by the name of an RSA key": (es256().token(header={"kid": "rs"}), "invalid_token"),
    "RS256 by the name of an EC key": (rs256().token(header={"kid": "es"}), "invalid_token"),
    "an RSA key that says ES256": (rs256().token(header={"alg": "ES256"}), "invalid_token"),
    "an EC key that says RS256": (es256().token(header={"alg": "RS256"}), "invalid_token"),
    "EdDSA by the name of an EC key": (eddsa().token(header={"kid": "es"}), "invalid_token"),
    "P-384 that says ES256": (p384().token(), "invalid_token"),
    "P-384 by the name of a good key": (p384().token(header={"kid": "es"}), "invalid_token"),
    "RSA of 1024 bits": (rs256("short", 1024).token(), "invalid_token"),
    "Ed448": (ed448_key().token(), "invalid_token"),
    "Ed448 by the name of a good key": (ed448_key().token(header={"kid": "ed"}), "invalid_token"),
    # signatures
    "a signature in DER": (es256().token(sign=_der_signature), "invalid_token"),
    "a signature of zeros": (es256().token(sign=lambda _: bytes(64)), "invalid_token"),
    "a signature of one byte": (es256().token(sign=lambda _: b"\0"), "invalid_token"),
    "a signature that was cut": (es256().token()[:-2], "invalid_token"),
    "a signature and a byte": (es256().token(sign=lambda signed: es256().sign(signed) + b"\0"), "invalid_token"),
    "an RSA signature that was cut": (rs256().token()[:-4], "invalid_token"),
    "an RSA signature with a zero before": (
        rs256().token(sign=lambda signed: b"\0" + rs256().sign(signed)),
        "invalid_token",
    ),
    "an EdDSA signature that was cut": (eddsa().token(sign=lambda signed: eddsa().sign(signed)[:63]), "invalid_token"),
    "other claims under a signature": (_swapped(), "invalid_token"),
    "another header over a signature": (_head_of_another(), "invalid_token"),
    "bits that mean nothing": (_without_last_bits(), "invalid_token"),
    "a signature of the claims alone": (
        es256().token(sign=lambda signed: es256().sign(signed.split(b".")[1])),
        "invalid_token",
    ),
    # keys
    "another's key": (es256("thief's").token(header={"kid": "es"}), "invalid_token"),
    "a key that nobody has": (es256("thief's").token(), "invalid_token"),
    "the key of another issuer, of the same name": (OTHERS_KEYS[0].token(), "invalid_token"),
    "our key for another issuer, of the same name": (es256().token(iss="https://other.example/"), "invalid_token"),
    "the key of attestations": (CHECKS_KEYS[0].token(), "invalid_token"),
    "its own key": (es256("thief's").token(header={"kid": "es", "jwk": es256("thief's").jwk}), "invalid_token"),
    "its own address of keys": (es256("thief's").token(header={"jku": "https://evil.example/keys"}), "invalid_token"),
    "its own certificate": (es256("thief's").token(header={"x5c": ["MIIB"]}), "invalid_token"),
    "its own address of a certificate": (es256().token(header={"x5u": "https://evil.example/cert"}), "invalid_token"),
    "a path as kid": (es256().token(header={"kid": "../../../../dev/null"}, sign=_hs256(b"")), "invalid_token"),
    "SQL as kid": (es256().token(header={"kid": "x' UNION SELECT 'secret"}), "invalid_token"),
    "a number as kid": (es256().token(header={"kid": 1}), "invalid_token"),
    "a list as kid": (es256().token(header={"kid": ["es"]}), "invalid_token"),
    "a long kid": (es256().token(header={"kid": "es" * 200}), "invalid_token"),
    "the empty kid": (es256().token(header={"kid": ""}), "invalid_token"),
    # headers
    "crit": (es256().token(header={"crit": ["exp"]}), "invalid_token"),
    "an empty crit": (es256().token(header={"crit": []}), "invalid_token"),
    "b64": (es256().token(header={"b64": False, "crit": ["b64"]}), "invalid_token"),
    "zip": (es256().token(header={"zip": "DEF"}), "invalid_token"),
    "a token in a token": (es256().token(part(es256().token()), header={"cty": "JWT"}), "invalid_token"),
    "an encrypted token": (f"{part({'alg': 'dir', 'enc': 'A256GCM'})}..aXY.Y2lw.dGFn", "invalid_token"),
    "another typ": (es256().token(header={"typ": "logout+jwt"}), "invalid_token"),
    "a list as typ": (es256().token(header={"typ": ["JWT"]}), "invalid_token"),
    "alg twice": (
        es256().sealed(part('{"alg":"none","alg":"ES256","kid":"es"}'), part(good_claims())),
        "invalid_token",
    ),
    "a header that is a list": (es256().sealed(part([{"alg": "ES256"}]), part(good_claims())), "invalid_token"),
    # claims
    "another audience": (es256().token(aud="https://other.example"), "wrong_audience"),
    "no audience": (es256().token(aud=None), "wrong_audience"),
    "no audience in a list": (es256().token(aud=[]), "wrong_audience"),
    "an audience in a list in a list": (es256().token(aud=[[AUDIENCE]]), "wrong_audience"),
    "an audience beside a number": (es256().token(aud=[AUDIENCE, 1]), "wrong_audience"),
    "an audience that begins as ours": (es256().token(aud=AUDIENCE + "/"), "wrong_audience"),
    "an audience in other letters": (es256().token(aud=AUDIENCE.upper()), "wrong_audience"),
    "an audience as a name": (es256().token(aud={AUDIENCE: True}), "wrong_audience"),
    "two audiences in a string": (es256().token(aud=f"{AUDIENCE} x"), "wrong_audience"),
    "another issuer": (es256().token(iss="https://evil.example/"), "unknown_issuer"),
    "an issuer without its slash": (es256().token(iss=ISSUER[:-1]), "unknown_issuer"),
    "no issuer": (es256().token(iss=None), "unknown_issuer"),
    "issuers in a list": (es256().token(iss=[ISSUER]), "unknown_issuer"),
    "an issuer that is an object": (es256().token(iss={"a": ISSUER}), "unknown_issuer"),
    "the issuer of attestations": (CHECKS_KEYS[0].token(iss=CHECKS), "unknown_issuer"),
    "an attestation": (attestation(), "unknown_issuer"),
    "no user": (es256().token(sub=None), "invalid_token"),
    "a number as user": (es256().token(sub=7), "invalid_token"),
    "the empty user": (es256().token({**good_claims(), "sub": ""}), "invalid_token"),
    "expired": (es256().token(exp=NOW - 31), "token_expired"),
    "no exp": (es256().token(exp=None), "invalid_token"),
    "exp as a string": (es256().token(exp=str(NOW + 300)), "invalid_token"),
    "exp as a truth": (es256().token(exp=True), "invalid_token"),
    "exp in a list": (es256().token(exp=[NOW + 300]), "invalid_token"),
    "exp in milliseconds": (es256().token(exp=(NOW + 300) * 1000), "invalid_token"),
    "exp that is huge": (es256().token(exp=10**400), "invalid_token"),
    "exp that is huge and has a point": (es256().token(exp=1e308), "invalid_token"),
    "exp that is infinite": (_claims_text(_GOOD_TEXT.replace(str(NOW + 300), "1e999")), "invalid_token"),
    "exp that is no number": (_claims_text(_GOOD_TEXT.replace(str(NOW + 300), "NaN")), "invalid_token"),
    "exp before time": (es256().token(exp=-1), "invalid_token"),
    "null as exp": (es256().token({**good_claims(), "exp": None}), "invalid_token"),
    "not yet": (es256().token(nbf=NOW + 60), "token_not_yet_valid"),
    "nbf as a string": (es256().token(nbf="0"), "invalid_token"),
    "issued in the future": (es256().token(iat=NOW + 60), "token_not_yet_valid"),
    "iat as a truth": (es256().token(iat=False), "invalid_token"),
    "sub twice": (_claims_text(_GOOD_TEXT[:-1] + ', "sub": "admin"}'), "invalid_token"),
    "iss twice, once escaped": (_claims_text(_GOOD_TEXT[:-1] + r', "i\u0073s": "x"}'), "invalid_token"),
    "a name twice within": (_claims_text(_GOOD_TEXT[:-1] + ', "a": {"b": [{"c": 1, "c": 2}]}}'), "invalid_token"),
    "too deep": (_claims_text(_GOOD_TEXT[:-1] + ', "a": ' + "[" * 20 + "]" * 20 + "}"), "invalid_token"),
    "far too deep": (_claims_text(_GOOD_TEXT[:-1] + ', "a": ' + "[" * 2800 + "]" * 2800 + "}"), "invalid_token"),
    "half a surrogate": (_claims_text(_GOOD_TEXT.replace("u1", r"\ud800")), "invalid_token"),
    "surrogates in UTF-8": (_claims_text(_GOOD_TEXT.replace("u1", "\ud800")), "invalid_token"),
    "claims that are a list": (es256().token([good_claims()]), "invalid_token"),
    "claims that are no JSON": (_claims_text("sub=u1"), "invalid_token"),
    # how it is written
    "huge": (es256().token(pad="x" * 8000), "invalid_token"),
    "nothing": ("", "invalid_token"),
    "one part": (part({"alg": "none"}), "invalid_token"),
    "two parts": (".".join(es256().token().split(".")[:2]), "invalid_token"),
    "an empty signature": (".".join([*es256().token().split(".")[:2], ""]), "invalid_token"),
    "four parts": (es256().token() + ".AA", "invalid_token"),
    "dots alone": ("..", "invalid_token"),
    "padding": (es256().token() + "==", "invalid_token"),
    "a line break at its end": (es256().token() + "\n", "invalid_token"),
    "a blank within": (es256().token().replace(".", ". ", 1), "invalid_token"),
    "letters that are none": ("ключ." + es256().token(), "invalid_token"),
    "base64 as it is elsewhere": (
        es256().token(sign=lambda _: b"\xfb\xff" * 32).replace("-", "+").replace("_", "/"),
        "invalid_token",
    ),
    "a key of ours": ("fd_sk_abc", "invalid_token"),
}


def test_the_table_is_long_enough() -> None:
    assert len(FORGED) >= 100


@pytest.mark.parametrize(("token", "code"), FORGED.values(), ids=FORGED)
async def test_what_is_forged_stale_or_confused_is_refused(tmp_path: Path, token: str, code: str) -> None:
    """Also where the provider's set has keys of all kinds that are not for us."""
    keys = {"keys": [*PROVIDERS_KEYS, p384(), rs256("short", 1024), ed448_key()]}
    async with provided(tmp_path, keys) as issuers:
        with pytest.raises(Unauthenticated) as caught:
            await issuers.identify(token)

        assert (caught.value.status, caught.value.code) == (401, code)
        assert caught.value.message.endswith(".")


async def test_a_user_is_no_app(tmp_path: Path) -> None:
    async with provided(tmp_path) as issuers:
        with pytest.raises(Unauthenticated) as caught:
            await issuers.attested_app(es256().token())
        assert caught.value.code == "unknown_issuer"


async def test_only_configured_algorithms_are_taken(tmp_path: Path) -> None:
    async with provided(tmp_path, algorithms=["ES256"]) as issuers:
        assert await issuers.identify(es256().token())
        for key in (rs256(), eddsa()):
            with pytest.raises(Unauthenticated, match=f"'{key.algorithm}'; taken are ES256"):
                await issuers.identify(key.token())


async def test_a_token_that_names_no_key_where_several_fit(tmp_path: Path) -> None:
    async with provided(tmp_path, {"keys": [es256("a"), es256("b"), rs256()]}) as issuers:
        assert await issuers.identify(rs256().token(header={"kid": None}))
        with pytest.raises(Unauthenticated, match="names no key"):
            await issuers.identify(es256("a").token(header={"kid": None}))


async def test_hopeless_tokens_cause_no_fetch() -> None:
    time = HandTime()
    async with serving(time, es256()) as server:
        issuers = Issuers([Issuer(issuer=ISSUER, audience=AUDIENCE, jwks_url=server.url)], {}, time, time.sleep)
        hopeless: list[dict[str, Any]] = [
            {"aud": "x"},
            {"iss": "x"},
            {"exp": NOW - 60},
            {"exp": None},
            {"nbf": NOW + 60},
        ]
        for changes in hopeless:
            with pytest.raises(Unauthenticated):
                await issuers.identify(es256("invented").token(**changes))
        for header in ({"alg": "HS256"}, {"typ": "x"}, {"jku": "x"}):
            with pytest.raises(Unauthenticated):
                await issuers.identify(es256("invented").token(header=header))

        assert server.asked_at == []
        await issuers.close()


# --- generated ----------------------------------------------------------------------------------


def test_no_change_of_a_good_token_is_believed(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        context = provided(tmp_path)
        issuers = runner.run(context.__aenter__())
        tokens = [key.token(exp=4_000_000_000) for key in PROVIDERS_KEYS]
        for token in tokens:
            runner.run(issuers.identify(token))

        @given(st.sampled_from(tokens), st.data())
        @settings(max_examples=500, deadline=None)
        def check(token: str, data: st.DataObject) -> None:
            begin = data.draw(st.integers(0, len(token)))
            end = data.draw(st.integers(begin, min(len(token), begin + 4)))
            written = st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=3)
            letters = st.text("ABCDXYZabcdxyz0189-_.=", max_size=3)
            changed = token[:begin] + data.draw(written | letters) + token[end:]
            if changed == token:
                return
            with pytest.raises(Unauthenticated):
                runner.run(issuers.identify(changed))

        check()
        runner.run(context.__aexit__(None, None, None))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "plan", "org", "scope", "a"])
_headers = st.sampled_from(["alg", "kid", "typ", "crit", "cty", "a"])


def test_whatever_comes_is_believed_or_refused_in_the_ways_that_are_documented(tmp_path: Path) -> None:
    names = ClaimNames(user="sub", tier="plan", group="org.a", features="scope")
    seen: set[str] = set()
    with asyncio.Runner() as runner:
        context = provided(tmp_path, claims=names, tiers={"a": "b"}, require={"a": 1})
        issuers = runner.run(context.__aenter__())

        async def try_both(token: str) -> None:
            for work in (issuers.identify(token), issuers.attested_app(token)):
                try:
                    await work
                except FrontdeskError as error:
                    seen.add(error.code)
                    error.message.encode()

        @given(st.text(st.characters(exclude_categories=()), max_size=100))
        @settings(deadline=None)
        def any_text(text: str) -> None:
            runner.run(try_both(text))

        @given(st.dictionaries(_names, _json, max_size=4), st.dictionaries(_headers, _json, max_size=1))
        @settings(max_examples=500, deadline=None)
        def any_claims(claims: dict[str, Any], header: dict[str, Any]) -> None:
            good = good_claims(exp=4_000_000_000, a=1)
            try:
                token = es256().token({**good, **claims}, header)
            except UnicodeEncodeError:
                return
            runner.run(try_both(token))

        any_text()
        any_claims()
        runner.run(context.__aexit__(None, None, None))
    assert seen <= {"invalid_token", "token_expired", "token_not_yet_valid", "wrong_audience", "unknown_issuer"}


# --- keys that change ---------------------------------------------------------------------------


async def _rotate_under_load(flooders: int) -> tuple[KeyServer, list[str], list[float]]:
    """Verify good tokens by 50 tasks for ten minutes in which keys are rotated five times."""
    time = HandTime()
    refused: list[str] = []
    waits_s: list[float] = []
    async with serving(time, es256("0")) as server:
        issuers = Issuers([Issuer(issuer=ISSUER, audience=AUDIENCE, jwks_url=server.url)], {}, time, time.sleep)
        issuers.start()
        ends_at = time.monotonic() + 600

        async def use(number: int) -> None:
            while (began := time.monotonic()) < ends_at:
                token = server.keys[0].token(sub=f"u{number}", iat=began - 1, exp=began + 600)
                while True:
                    try:
                        await issuers.identify(token)
                    except Unavailable as error:
                        await time.sleep(error.retry_after_s or 1)
                    except Unauthenticated as error:
                        refused.append(error.message)
                        break
                    else:
                        break
                waits_s.append(time.monotonic() - began)
                await time.sleep(1.5 + number / 25)

        async def flood(number: int) -> None:
            count = 0
            while time.monotonic() < ends_at:
                count += 1
                forged = es256("0").token(header={"kid": f"{number}-{count}"}, exp=int(time.now()) + 600)
                with pytest.raises((Unauthenticated, Unavailable)):
                    await issuers.identify(forged)
                await time.sleep(0.5)

        work = asyncio.gather(*(use(number) for number in range(50)), *(flood(number) for number in range(flooders)))
        time.watched.extend(issuers._key_sets)
        rotated = 0
        while not work.done():
            await time.settle()
            time.move(0.5)
            if time.monotonic() - NOW >= 100 * (rotated + 1):
                rotated += 1
                server.keys = [es256(str(rotated)), *server.keys[:1]]
        await work
        assert rotated >= 5
        assert issuers.generation >= 6
        await issuers.close()
    return server, refused, waits_s


async def test_no_good_token_is_refused_while_keys_rotate() -> None:
    server, refused, waits_s = await _rotate_under_load(flooders=0)

    assert refused == []
    assert len(waits_s) > 5000
    assert server.most_in_a_minute() <= 5
    assert max(waits_s) <= 3, "a key that is new is fetched at once where nobody floods"


@pytest.mark.parametrize("flooders", [40, pytest.param(150, marks=pytest.mark.slow)])
async def test_no_good_token_is_refused_while_keys_rotate_beside_a_flood(flooders: int) -> None:
    """Of 150 not all can wait: then good ones may be told to come again, and are believed when they do."""
    server, refused, waits_s = await _rotate_under_load(flooders)

    assert refused == []
    assert len(waits_s) > 5000
    assert server.most_in_a_minute() <= 5
    assert max(waits_s) <= 45


async def test_generation_moves_with_any_key_set(tmp_path: Path) -> None:
    async with provided(tmp_path) as issuers:
        before = issuers.generation
        (tmp_path / "others").write_bytes(key_set([es256("newer")]))
        await issuers.identify(es256("newer").token(iss="https://other.example/"))
        assert issuers.generation == before + 1
        (tmp_path / "checks").write_bytes(key_set([es256("newest")]))
        assert await issuers.probe() == []
        assert issuers.generation == before + 2


async def test_a_probe_names_the_settings_whose_keys_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(key_set([es256()]))
    (tmp_path / "short").write_bytes(key_set([rs256("short", 1024)]))
    time = HandTime()
    attestation_of_web = Attestation(issuer=CHECKS, audience="a", jwks_file=str(tmp_path / "missing"))
    issuers = Issuers(
        [
            Issuer(issuer=ISSUER, audience="a", jwks_file=str(tmp_path / "keys")),
            Issuer(issuer=ISSUER, audience="b", jwks_file=str(tmp_path / "short")),
        ],
        {"web": App(attestation=attestation_of_web)},
        time,
        time.sleep,
    )

    problems = dict(await issuers.probe())

    assert set(problems) == {"auth.jwt[1]", "auth.apps.web.attestation"}
    assert "1024 bits" in problems["auth.jwt[1]"]
    assert "missing" in problems["auth.apps.web.attestation"]


def test_an_issuer_needs_a_source_of_keys() -> None:
    time = HandTime()
    with pytest.raises(ValueError, match="jwks_url"):
        Issuers([Issuer(issuer=ISSUER, audience="a")], {}, time)
    with pytest.raises(ValueError, match="http://"):
        Issuers([Issuer(issuer=ISSUER, audience="a", jwks_url="http://id.example/keys")], {}, time)


def test_nothing_that_verifies_is_loaded_before_there_are_keys() -> None:
    program = (
        "import sys\n"
        "from frontdesk.accounts.issuers import Issuers\n"
        "from frontdesk.core.clock import SystemClock\n"
        "Issuers([], {}, SystemClock())\n"
        "print(any(name.startswith('cryptography') for name in sys.modules))\n"
    )

    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
