"""Sealed texts open where they were meant to alone."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.core.sealing import Cipher

TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
ONE, OTHER = Cipher(b"1" * 32), Cipher(b"2" * 32)


@given(TEXTS, st.binary(max_size=9), st.binary(max_size=9))
def test_a_seal_opens_where_it_is_bound_to(text: str, place: bytes, other: bytes) -> None:
    sealed = ONE.seal(text, place)

    assert ONE.unseal(sealed, place) == text
    assert ONE.unseal(sealed, other) == (text if place == other else None)
    assert OTHER.unseal(sealed, place) is None


@given(TEXTS, st.data())
def test_a_changed_seal_opens_nowhere(text: str, data: st.DataObject) -> None:
    raw = bytearray(base64.b64decode(ONE.seal(text, b"")))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))

    assert ONE.unseal(base64.b64encode(raw).decode(), b"") is None
    assert ONE.unseal(base64.b64encode(raw[:place]).decode(), b"") is None


@given(st.text())
def test_what_is_no_seal_opens_nowhere(text: str) -> None:
    assert ONE.unseal(text, b"") is None


def test_seals_differ_unless_their_nonce_is_said() -> None:
    assert ONE.seal("same", b"") != ONE.seal("same", b"")
    assert ONE.seal("same", b"", b"n" * 12) == ONE.seal("same", b"", b"n" * 12)
