"""A kept answer is opened by what it was sealed with, and tells nothing to who reads the store."""

from __future__ import annotations

import pytest

from frontdesk.http.once import Reply
from frontdesk.idempotency.sealing import seal, unseal

REPLY = Reply(200, [(b"set-cookie", b"session=not-a-real-token"), (b"content-length", b"9")], b'{"a":"b"}')


@pytest.mark.parametrize("credential", [b"", b"Bearer fd_sk_test"])
def test_the_same_key_and_credential_open_it(credential: bytes) -> None:
    assert unseal(seal(REPLY, "key-1", credential), "key-1", credential) == REPLY


@pytest.mark.parametrize(
    ("key", "credential"), [("key-2", b"Bearer a"), ("key-1", b"Bearer b"), ("key-1", b""), ("key-1Bearer a", b"")]
)
def test_others_do_not(key: str, credential: bytes) -> None:
    assert unseal(seal(REPLY, "key-1", b"Bearer a"), key, credential) is None


def test_what_was_changed_is_not_opened() -> None:
    sealed = seal(REPLY, "key-1", b"")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert unseal(bytes(changed), "key-1", b"") is None


def test_nothing_of_it_can_be_read() -> None:
    sealed = seal(REPLY, "key-1", b"")

    assert not [part for part in (b"not-a-real-token", b"set-cookie", b'"a"', b"key-1") if part in sealed]
    assert seal(REPLY, "key-1", b"") != sealed, "the same answer twice is not seen to be the same"
