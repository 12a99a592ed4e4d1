"""What a token of an identity provider costs that was not seen before, as CPU time of the process.

    python -m bench.identity

prints one JSON object, in microseconds a token. The baseline is the signature alone, as `cryptography` verifies it;
every token is another one. Refusals are those that anybody can cause for nothing.
"""

from __future__ import annotations

import base64
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cryptography
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from frontdesk.accounts.attestations import Attestations
from frontdesk.accounts.gate import Gate
from frontdesk.accounts.issuers import Issuers
from frontdesk.accounts.service import Accounts
from frontdesk.core.clock import SystemClock
from frontdesk.core.config import Auth, ClaimNames, Issuer
from frontdesk.core.errors import Unauthenticated
from frontdesk.http.requests import Head
from frontdesk.storage.database import open_database
from frontdesk.storage.migrate import migrate

_TOKENS = 3_000
_ROUNDS = 5
_ISSUER = "https://my-app.eu.auth0.com/"
_AUDIENCE = "https://api.my-app.example"
_PLAN = "https://my-app.example/plan"


class _Signer(NamedTuple):
    """A key: its public half, how it signs as JWS does, and how a signature is verified with nothing around it."""

    jwk: dict[str, str]
    sign: Callable[[bytes], bytes]
    verify: Callable[[bytes, bytes], object]


def main() -> None:
    """Measure and print."""
    figures: dict[str, object] = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, cryptography {cryptography.__version__}"
    }
    signers = {"ES256": _es256(), "RS256": _rs256(), "EdDSA": _eddsa()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "keys.json"
        file.write_text(json.dumps({"keys": [signer.jwk for signer in signers.values()]}))
        figures |= uvloop.run(_measure(signers, file))
        url = f"sqlite:///{folder}/bench.db"
        migrate(url)
        figures["at_the_gate"] = uvloop.run(_measure_gate(signers["ES256"], file, url))
    print(json.dumps(figures, indent=2))


async def _measure(signers: dict[str, _Signer], file: Path) -> dict[str, object]:
    names = ClaimNames(tier=_PLAN, features="scope", group="permissions")
    issuers = Issuers(
        [Issuer(issuer=_ISSUER, audience=_AUDIENCE, jwks_file=str(file), claims=names)], {}, SystemClock()
    )
    assert await issuers.probe() == []
    figures: dict[str, object] = {}
    for name, signer in signers.items():
        tokens = [_token(name, signer, number) for number in range(_TOKENS)]
        figures[name] = {
            "identify_us": await _each(issuers.identify, tokens),
            "signature_alone_us": await _each(_verify_alone(signer), tokens),
        }
    signer = signers["ES256"]
    forged = [_token("ES256", signer, number)[:-8] + "AAAAAAAA" for number in range(_TOKENS)]
    foreign = [_token("ES256", signer, number, iss="https://evil.example/") for number in range(_TOKENS)]
    figures["refused"] = {
        "forged_us": await _each(_refused(issuers), forged),
        "unknown_issuer_us": await _each(_refused(issuers), foreign),
        "too_long_us": await _each(_refused(issuers), ["e" * 60_000] * _TOKENS),
        "all_dots_us": await _each(_refused(issuers), ["." * 8_000] * _TOKENS),
    }
    return figures


async def _measure_gate(signer: _Signer, file: Path, url: str) -> dict[str, object]:
    """What a request with such a token costs until its caller is known, of people that the store knows or not."""
    clock = SystemClock()
    issuers = Issuers([Issuer(issuer=_ISSUER, audience=_AUDIENCE, jwks_file=str(file))], {}, clock)
    assert await issuers.probe() == []
    database = await open_database(url)
    try:
        accounts = Accounts(database, clock, None, Auth(), issuers)
        await accounts.load()
        gate = Gate(accounts, Attestations(issuers, {}, clock), takes_cookies=False, origins=())
        strangers = [_token("ES256", signer, number) for number in range(_TOKENS)]
        began = time.process_time()
        for token in strangers:
            await gate.identify(_head(token))
        first_us = (time.process_time() - began) / _TOKENS * 1e6
        rounds = [
            await _once(gate, [_token("ES256", signer, number, jti=f"{lap}") for number in range(_TOKENS)])
            for lap in range(_ROUNDS)
        ]
        return {
            "seen_us": await _each(_seen(gate), [_token("ES256", signer, 0, jti=f"{_ROUNDS - 1}")] * _TOKENS),
            "unseen_of_known_person_us": round(statistics.median(rounds), 1),
            "first_of_a_person_us": round(first_us, 1),
        }
    finally:
        await database.close()


async def _once(gate: Gate, tokens: Sequence[str]) -> float:
    began = time.process_time()
    for token in tokens:
        await gate.identify(_head(token))
    return (time.process_time() - began) / len(tokens) * 1e6


def _seen(gate: Gate) -> Callable[[str], Awaitable[object]]:
    async def ask(token: str) -> None:
        head = _head(token)
        assert gate.known(head) or await gate.identify(head)

    return ask


def _head(token: str) -> Head:
    headers = [(b"host", b"api.my-app.example"), (b"authorization", b"Bearer " + token.encode())]
    return Head({"method": "POST", "scheme": "https", "headers": headers})


async def _each(work: Callable[[str], Awaitable[object]], tokens: Sequence[str]) -> float:
    """CPU microseconds a token: the median of some rounds."""
    rounds: list[float] = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for token in tokens:
            await work(token)
        rounds.append((time.process_time() - began) / len(tokens) * 1e6)
    return round(statistics.median(rounds), 1)


def _refused(issuers: Issuers) -> Callable[[str], Awaitable[object]]:
    async def identify(token: str) -> None:
        try:
            await issuers.identify(token)
        except Unauthenticated:
            return
        raise AssertionError("a token was believed that must not be")

    return identify


def _verify_alone(signer: _Signer) -> Callable[[str], Awaitable[object]]:
    async def verify(token: str) -> None:
        signed, _, signature = token.rpartition(".")
        signer.verify(base64.urlsafe_b64decode(signature + "=="), signed.encode())

    return verify


# --- tokens -------------------------------------------------------------------------------------


def _token(algorithm: str, signer: _Signer, number: int, **changes: Any) -> str:
    now = int(time.time())
    claims = {
        _PLAN: "pro",
        "iss": _ISSUER,
        "sub": f"auth0|{number:024}",
        "aud": [_AUDIENCE, f"{_ISSUER}userinfo"],
        "iat": now,
        "exp": now + 3600,
        "scope": "openid profile email",
        "azp": "exampleClientIdOfTheSinglePage00",
        "permissions": ["chat", "summaries"],
        **changes,
    }
    header = {"alg": algorithm, "typ": "JWT", "kid": algorithm}
    signed = f"{_base64url(json.dumps(header).encode())}.{_base64url(json.dumps(claims).encode())}"
    return f"{signed}.{_base64url(signer.sign(signed.encode()))}"


def _es256() -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    numbers, scheme = key.public_key().public_numbers(), ec.ECDSA(SHA256())
    der: dict[bytes, bytes] = {}

    def sign(signed: bytes) -> bytes:
        signature = key.sign(signed, scheme)
        r, s = decode_dss_signature(signature)
        raw = r.to_bytes(32) + s.to_bytes(32)
        der[raw] = signature
        return raw

    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": _base64url(numbers.x.to_bytes(32)),
        "y": _base64url(numbers.y.to_bytes(32)),
    }
    public = key.public_key()

    def verify(signature: bytes, signed: bytes) -> None:
        public.verify(der[signature], signed, scheme)

    return _Signer({"kid": "ES256", **jwk}, sign, verify)


def _rs256() -> _Signer:
    key = rsa.generate_private_key(65537, 2048)
    public, padding, digest = key.public_key(), PKCS1v15(), SHA256()
    modulus = public.public_numbers().n.to_bytes(256)

    def sign(signed: bytes) -> bytes:
        return key.sign(signed, padding, digest)

    def verify(signature: bytes, signed: bytes) -> None:
        public.verify(signature, signed, padding, digest)

    return _Signer({"kid": "RS256", "kty": "RSA", "n": _base64url(modulus), "e": "AQAB"}, sign, verify)


def _eddsa() -> _Signer:
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key()
    jwk = {"kid": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": _base64url(public.public_bytes_raw())}
    return _Signer(jwk, key.sign, public.verify)


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


if __name__ == "__main__":
    main()
