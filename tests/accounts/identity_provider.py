"""An identity provider for tests: its keys, the tokens that it signs, its key set on a loopback port; and time that
passes when a test says so, for who sleeps too.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from frontdesk.accounts.jwks import KeySet
from frontdesk.core.clock import Clock
from tests.fakes import HandClock

ISSUER = "https://id.example/"
AUDIENCE = "https://api.app.example"
NOW = 1_800_000_000


def b64(value: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def part(value: Any) -> str:
    """Return a part of a token that says this; text and bytes as they are."""
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


class SigningKey:
    """A private key and how it signs."""

    def __init__(
        self, kid: str | None, algorithm: str, jwk: dict[str, Any], sign: Callable[[bytes], bytes], der: object = None
    ) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.jwk = {"kid": kid, "use": "sig", "alg": algorithm, **jwk}
        if kid is None:
            del self.jwk["kid"]
        self.sign = sign
        self.private: Any = der

    def named(self, kid: str | None) -> SigningKey:
        """The same key by another name."""
        return SigningKey(kid, self.algorithm, {**self.jwk, "kid": kid}, self.sign, self.private)

    def token(
        self,
        claims: Any = None,
        header: Mapping[str, Any] | None = None,
        sign: Callable[[bytes], bytes] | None = None,
        **changes: Any,
    ) -> str:
        """A token. `claims` replaces all claims, `changes` some of them, `header` some of the header; None removes."""
        head = {
            "alg": self.algorithm,
            "typ": "JWT",
            **({} if self.kid is None else {"kid": self.kid}),
            **(header or {}),
        }
        said = good_claims(**changes) if claims is None else claims
        return self.sealed(part({name: value for name, value in head.items() if value is not None}), part(said), sign)

    def sealed(self, head: str, claims: str, sign: Callable[[bytes], bytes] | None = None) -> str:
        """A token of parts that are written already."""
        signed = f"{head}.{claims}"
        return f"{signed}.{b64((sign or self.sign)(signed.encode()))}"


def good_claims(**changes: Any) -> dict[str, Any]:
    """The claims of a token that is fine, but for the changes; None removes one."""
    claims = {"iss": ISSUER, "sub": "u1", "aud": AUDIENCE, "iat": NOW - 10, "exp": NOW + 300, **changes}
    return {name: value for name, value in claims.items() if value is not None}


@functools.cache
def es256(kid: str | None = "es") -> SigningKey:
    """An EC key on P-256."""
    return _ec_key(kid, ec.SECP256R1(), "P-256")


@functools.cache
def p384(kid: str | None = "p384") -> SigningKey:
    """An EC key on P-384, which says that it is for ES256."""
    return _ec_key(kid, ec.SECP384R1(), "P-384")


def _ec_key(kid: str | None, curve: ec.EllipticCurve, name: str) -> SigningKey:
    private = ec.generate_private_key(curve)
    numbers = private.public_key().public_numbers()
    size = (curve.key_size + 7) // 8
    scheme = ec.ECDSA(SHA256())

    def sign(signed: bytes) -> bytes:
        r, s = decode_dss_signature(private.sign(signed, scheme))
        return r.to_bytes(size) + s.to_bytes(size)

    jwk = {"kty": "EC", "crv": name, "x": b64(numbers.x.to_bytes(size)), "y": b64(numbers.y.to_bytes(size))}
    return SigningKey(kid, "ES256", jwk, sign, private)


@functools.cache
def rs256(kid: str | None = "rs", bits: int = 2048) -> SigningKey:
    """An RSA key."""
    private = rsa.generate_private_key(65537, bits)
    numbers = private.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": b64(numbers.n.to_bytes(bits // 8)), "e": b64(numbers.e.to_bytes(3))}
    return SigningKey(kid, "RS256", jwk, lambda signed: private.sign(signed, PKCS1v15(), SHA256()), private)


@functools.cache
def eddsa(kid: str | None = "ed") -> SigningKey:
    """An Ed25519 key."""
    private = ed25519.Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(private.public_key().public_bytes_raw())}
    return SigningKey(kid, "EdDSA", jwk, private.sign, private)


@functools.cache
def ed448_key(kid: str | None = "ed448") -> SigningKey:
    """An Ed448 key, which is for EdDSA as well, and not for us."""
    private = ed448.Ed448PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed448", "x": b64(private.public_key().public_bytes_raw())}
    return SigningKey(kid, "EdDSA", jwk, private.sign, private)


def key_set(keys: Sequence[SigningKey]) -> bytes:
    """The set of these keys as a provider publishes it."""
    return json.dumps({"keys": [key.jwk for key in keys]}).encode()


# --- time ---------------------------------------------------------------------------------------


class HandTime(HandClock):
    """Stands still until it is moved; who sleeps wakes when their time has come.

    No time passes while one of `watched` fetches, for that takes as long as the machine needs.
    """

    def __init__(self) -> None:
        super().__init__(float(NOW))
        self.watched: list[KeySet] = []
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        """Sleep until the clock was moved so far."""
        wakes = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.monotonic() + seconds, wakes))
        await wakes

    def move(self, seconds: float) -> None:
        super().move(seconds)
        now = self.monotonic()
        due = [each for each in self._sleepers if each[0] <= now]
        self._sleepers = [each for each in self._sleepers if each[0] > now]
        for _, wakes in due:
            if not wakes.done():
                wakes.set_result(None)

    async def settle(self) -> None:
        """Let all that can go on without time passing do so."""
        await settle()
        while any(under_way(keys) for keys in self.watched):
            await asyncio.sleep(0)
        await settle()

    async def until(self, is_so: Callable[[], bool], step_s: float = 0.25, most_s: float = 600) -> None:
        """Let time pass until something is so."""
        ends_at = self.monotonic() + most_s
        await self.settle()
        while not is_so():
            assert self.monotonic() < ends_at, f"not so after {most_s} s"
            self.move(step_s)
            await self.settle()

    async def outcome(self, work: Awaitable[Any], step_s: float = 0.25) -> Any:
        """What becomes of some work while time passes."""
        task = asyncio.ensure_future(work)
        await self.until(task.done, step_s)
        return await task


class LeapingTime(HandTime):
    """Who sleeps has slept at once."""

    async def sleep(self, seconds: float) -> None:
        self.move(seconds)


def under_way(keys: KeySet) -> bool:
    """Whether it fetches now."""
    return keys._begun != keys._ended


async def settle() -> None:
    """Let all that can go on do so; it may need some rounds."""
    for _ in range(10):
        await asyncio.sleep(0)


# --- its key set, served -------------------------------------------------------------------------

Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class KeyServer:
    """Serves a key set on a loopback port and remembers when it was asked. `respond` writes anything else."""

    def __init__(self, clock: Clock, keys: Sequence[SigningKey]) -> None:
        self._clock = clock
        self.keys = list(keys)
        self.status = "200 OK"
        self.headers = "Content-Type: application/json\r\n"
        self.body: bytes | None = None
        self.respond: Respond | None = None
        self.asked_at: list[float] = []
        self.heads: list[str] = []
        self.under_way = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys.json"

    def most_in_a_minute(self) -> int:
        """How often it was asked in the busiest 60 seconds."""
        return max((sum(at <= each < at + 60 for each in self.asked_at) for at in self.asked_at), default=0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.under_way += 1
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            self.asked_at.append(self._clock.monotonic())
            if self.respond is not None:
                await self.respond(reader, writer)
            else:
                body = key_set(self.keys) if self.body is None else self.body
                head = f"HTTP/1.1 {self.status}\r\n{self.headers}Content-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # who asks may go when it likes
        finally:
            self.under_way -= 1
            writer.close()


@asynccontextmanager
async def serving(clock: Clock, *keys: SigningKey, tls: Any = None) -> AsyncIterator[KeyServer]:
    """A key server that listens meanwhile."""
    served = KeyServer(clock, keys)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        await server.wait_closed()
