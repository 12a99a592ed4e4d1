"""Signatures of webhooks: those of the standard's own example, and secrets that sign nothing safely."""

from __future__ import annotations

import base64

import pytest

from frontdesk.core.webhooks import signature, signing_key


def test_the_example_of_the_standard() -> None:
    """Of the reference libraries' tests: github.com/standard-webhooks/standard-webhooks, libraries/python."""
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_any_long_text_is_its_own_key() -> None:
    assert signing_key("a-secret-of-24-characters") == b"a-secret-of-24-characters"


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ("too-short-to-be-secret", "has 22 characters, where 24 are the least"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "has 23 bytes, where 24 are the least"),
        ("whsec_not base64, although it is long enough", "has no base64 behind 'whsec_'"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "has no base64 behind 'whsec_'"),
        ("whsec_", "has 0 bytes, where 24 are the least"),
    ],
)
def test_a_weak_secret_is_refused_without_being_told(secret: str, told: str) -> None:
    with pytest.raises(ValueError, match="^" + told):
        signing_key(secret)
