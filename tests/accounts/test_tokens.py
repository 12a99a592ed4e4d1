"""Session tokens: only what was signed with our secret is believed."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.accounts.tokens import Claims, TokenSigner, hash_key, new_secret_key

SIGNER = TokenSigner(b"a secret")
CLAIMS = Claims("sess_1", "person ü", "free", 1_900_000_000)


def test_claims_come_back() -> None:
    assert SIGNER.check(SIGNER.sign(CLAIMS)) == CLAIMS


def test_another_secret_signs_nothing() -> None:
    assert TokenSigner(b"another").check(SIGNER.sign(CLAIMS)) is None


def test_no_single_changed_character_is_believed() -> None:
    """But for the last characters of a base64 text, whose lowest bits mean nothing: the same token then."""
    token = SIGNER.sign(CLAIMS)
    for place in range(len("fd_st_"), len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert SIGNER.check(changed) is None


@given(st.text(max_size=200))
def test_any_text_is_refused_without_a_stumble(text: str) -> None:
    assert SIGNER.check(text) is None
    assert SIGNER.check(f"fd_st_{text}") is None


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x90", b"\x95" + b"\x00" * 5])
def test_signed_nonsense_is_refused(payload: bytes) -> None:
    text = base64.urlsafe_b64encode(payload).decode().rstrip("=")

    assert SIGNER.check(f"fd_st_{text}.{SIGNER._mac(text)}") is None


def test_keys_differ_and_only_their_hash_is_known() -> None:
    one, two = new_secret_key(), new_secret_key()

    assert one != two
    assert one.startswith("fd_sk_")
    assert len(hash_key(one)) == 32
