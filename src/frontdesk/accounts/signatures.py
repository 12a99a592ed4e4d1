"""Public keys and the signatures that they verify: the only place that loads `cryptography`.

Each key is good for one algorithm, which its own kind decides, never the token: so a token cannot choose that a
public key be taken for a shared secret, or one curve for another (RFC 8725 §3.1).
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from frontdesk.core.config import Algorithm

_RSA_BITS = range(2048, 8193)
_P256_BYTES = 32

Verify = Callable[[bytes, bytes], bool]
"""Whether a signature is of some bytes."""


class UnusableKey(Exception):
    """A key that is not for us; the message says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key. `numbers` are what it is made of; two keys of the same are equal."""

    kid: str | None
    algorithm: Algorithm
    numbers: tuple[int | bytes, ...]
    verify: Verify = field(compare=False, repr=False)


def read_key(jwk: dict[str, Any]) -> Key:
    """Read a public key in JWK form (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2). Raises UnusableKey."""
    kid = jwk.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise UnusableKey("its kid is no string")
    if jwk.get("use", "sig") != "sig":
        raise UnusableKey("it is not for signatures (use)")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKey("it is not for verifying (key_ops)")
    kind = (jwk.get("kty"), jwk.get("crv"))
    match kind:
        case ("RSA", None):
            key = _rsa_key(kid, jwk)
        case ("EC", "P-256"):
            key = _p256_key(kid, jwk)
        case ("OKP", "Ed25519"):
            key = _ed25519_key(kid, jwk)
        case _:
            raise UnusableKey("it is neither RSA, EC on P-256 nor OKP on Ed25519")
    # Keys of some providers say none. RFC 9864 calls EdDSA on this curve by the curve's name.
    if jwk.get("alg", key.algorithm) not in (key.algorithm, *(["Ed25519"] if key.algorithm == "EdDSA" else [])):
        raise UnusableKey(f"it is for another algorithm than {key.algorithm}")
    return key


def _rsa_key(kid: str | None, jwk: dict[str, Any]) -> Key:
    modulus, exponent = int.from_bytes(_bytes(jwk, "n")), int.from_bytes(_bytes(jwk, "e"))
    if modulus.bit_length() not in _RSA_BITS:
        raise UnusableKey(f"it has {modulus.bit_length()} bits; at least 2048 are needed and at most 8192 taken")
    if not (3 <= exponent < 2**32 and exponent % 2 and modulus % 2):
        raise UnusableKey("its numbers are no RSA key")
    public = RSAPublicNumbers(exponent, modulus).public_key()
    padding, digest = PKCS1v15(), SHA256()

    def verify(signature: bytes, signed: bytes) -> bool:
        try:
            public.verify(signature, signed, padding, digest)
        except InvalidSignature:
            return False
        return True

    return Key(kid, "RS256", (modulus, exponent), verify)


def _p256_key(kid: str | None, jwk: dict[str, Any]) -> Key:
    x, y = _bytes(jwk, "x"), _bytes(jwk, "y")
    if not len(x) == len(y) == _P256_BYTES:
        raise UnusableKey("its coordinates must have 32 bytes each")
    try:
        public = EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), SECP256R1()).public_key()
    except ValueError:
        raise UnusableKey("it is no point of P-256") from None
    scheme = ECDSA(SHA256())

    def verify(signature: bytes, signed: bytes) -> bool:
        if len(signature) != 2 * _P256_BYTES:  # RFC 7518 §3.4: two numbers of 32 bytes, never DER
            return False
        r, s = int.from_bytes(signature[:_P256_BYTES]), int.from_bytes(signature[_P256_BYTES:])
        try:
            public.verify(encode_dss_signature(r, s), signed, scheme)
        except InvalidSignature:
            return False
        return True

    return Key(kid, "ES256", (x, y), verify)


def _ed25519_key(kid: str | None, jwk: dict[str, Any]) -> Key:
    x = _bytes(jwk, "x")
    try:
        public = Ed25519PublicKey.from_public_bytes(x)
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("it is no Ed25519 key") from None

    def verify(signature: bytes, signed: bytes) -> bool:
        try:
            public.verify(signature, signed)
        except InvalidSignature:
            return False
        return True

    return Key(kid, "EdDSA", (x,), verify)


def _bytes(jwk: dict[str, Any], name: str) -> bytes:
    """A member in base64url; some providers pad it."""
    value = jwk.get(name)
    try:
        text = value.rstrip("=").encode("ascii") if isinstance(value, str) else b""
        decoded = binascii.a2b_base64(text.translate(_TO_STANDARD) + b"=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        decoded = b""
    if not decoded:
        raise UnusableKey(f"its {name!r} is missing or no base64url")
    return decoded


_TO_STANDARD = bytes.maketrans(b"-_+/", b"+/!!")
