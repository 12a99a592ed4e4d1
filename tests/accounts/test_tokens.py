"""Tokens: only what was signed with our secret, for this purpose, is believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.accounts.tokens import (
    REFRESH_PREFIX,
    TOKEN_PREFIX,
    Claims,
    RefreshClaims,
    TokenSigner,
    hash_key,
    new_secret_key,
)

SIGNER = TokenSigner(b"a secret")
CLAIMS = Claims(
    session="sess_1",
    person="person ü",
    tier=None,
    expires_at=1_900_000_000,
    tenant="acme",
    issued_at_ms=1_800_000_000_000,
    groups=("red", "blue"),
    features=("chat",),
    app="ios",
    is_anonymous=True,
    claimed_tier="gold",
)
REFRESH_CLAIMS = RefreshClaims("sess_1", 7, "acme")
BOTH: list[tuple[str, str, Callable[[str], object], object]] = [
    (TOKEN_PREFIX, SIGNER.sign(CLAIMS), SIGNER.check, CLAIMS),
    (REFRESH_PREFIX, SIGNER.sign_refresh(REFRESH_CLAIMS), SIGNER.check_refresh, REFRESH_CLAIMS),
]
both = pytest.mark.parametrize(("prefix", "token", "check", "claims"), BOTH, ids=["session", "refresh"])
Check = Callable[[str], object]


@both
def test_claims_come_back(prefix: str, token: str, check: Check, claims: object) -> None:
    assert token.startswith(prefix)
    assert check(token) == claims


@both
def test_no_single_changed_character_is_believed(prefix: str, token: str, check: Check, claims: object) -> None:
    """But for the last characters of a base64 text, whose lowest bits mean nothing: the same token then."""
    for place in range(len(prefix), len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert check(changed) is None


def test_another_secret_signs_nothing() -> None:
    another = TokenSigner(b"another")

    assert another.check(SIGNER.sign(CLAIMS)) is None
    assert another.check_refresh(SIGNER.sign_refresh(REFRESH_CLAIMS)) is None
    assert another.csrf_token("sess_1") != SIGNER.csrf_token("sess_1")


def test_a_signer_that_takes_another_secret_forgets_its_own() -> None:
    signer = TokenSigner(b"first")
    tokens = signer.sign(CLAIMS), signer.sign_refresh(REFRESH_CLAIMS), signer.csrf_token("sess_1")

    signer.use(b"a secret")

    assert (signer.check(tokens[0]), signer.check_refresh(tokens[1])) == (None, None)
    assert signer.sign(CLAIMS) == SIGNER.sign(CLAIMS)
    assert signer.csrf_token("sess_1") == SIGNER.csrf_token("sess_1") != tokens[2]


def test_what_was_signed_for_one_purpose_serves_no_other() -> None:
    """Even where the claims of the one could be read as those of the other."""
    payload = _base64(msgspec.msgpack.encode(["sess_1", 1, "acme", 1_900_000_000, "acme"]))
    macs = {_mac(SIGNER.sign(CLAIMS)), _mac(SIGNER.sign_refresh(REFRESH_CLAIMS)), SIGNER.csrf_token(payload)}
    session, refresh = SIGNER.sign(CLAIMS), SIGNER.sign_refresh(REFRESH_CLAIMS)

    assert len(macs) == 3
    assert SIGNER.check(refresh.replace(REFRESH_PREFIX, TOKEN_PREFIX)) is None
    assert SIGNER.check_refresh(session.replace(TOKEN_PREFIX, REFRESH_PREFIX)) is None
    assert SIGNER.check(f"{TOKEN_PREFIX}{payload}.{SIGNER.csrf_token(payload)}") is None
    assert SIGNER.check_refresh(f"{REFRESH_PREFIX}{payload}.{SIGNER.csrf_token(payload)}") is None


def test_each_refresh_token_of_a_session_is_another() -> None:
    tokens = {
        SIGNER.sign_refresh(RefreshClaims(session, number, tenant))
        for session in ("sess_1", "sess_2")
        for number in range(3)
        for tenant in ("default", "acme")
    }

    assert len(tokens) == 12


@given(st.text(st.characters(), max_size=200))
def test_any_text_is_refused_without_a_stumble(text: str) -> None:
    for check in (SIGNER.check, SIGNER.check_refresh):
        for token in (text, f"fd_st_{text}", f"fd_rt_{text}", f"fd_rt_{text}.{text}"):
            assert check(token) is None


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x90", b"\x95" + b"\x00" * 5])
def test_signed_nonsense_is_refused(payload: bytes) -> None:
    text = _base64(payload)
    session_mac = _signed_by(SIGNER._session_key, text)
    refresh_mac = _signed_by(SIGNER._refresh_key, text)

    assert SIGNER.check(f"fd_st_{text}.{session_mac}") is None
    assert SIGNER.check_refresh(f"fd_rt_{text}.{refresh_mac}") is None


def test_a_token_of_an_earlier_version_says_who_and_no_more() -> None:
    payload = _base64(msgspec.msgpack.encode(["sess_1", "u1", "gold", 1_900_000_000, "default"]))

    claims = SIGNER.check(f"fd_st_{payload}.{_signed_by(b'a secret', payload)}")

    assert claims == Claims("sess_1", "u1", "gold", 1_900_000_000)
    assert claims is not None
    assert (claims.issued_at_ms, claims.groups, claims.features, claims.is_anonymous) == (0, (), None, False)


def test_keys_differ_and_only_their_hash_is_known() -> None:
    one, two = new_secret_key(), new_secret_key()

    assert one != two
    assert one.startswith("fd_sk_")
    assert len(hash_key(one)) == 32


def _mac(token: str) -> str:
    return token.partition(".")[2]


def _signed_by(key: bytes, text: str) -> str:
    # Said a second time: tokens of earlier versions must stay good.
    return _base64(hmac.new(key, text.encode(), hashlib.sha256).digest())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
