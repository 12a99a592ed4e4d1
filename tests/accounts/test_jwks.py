"""Key sets: which keys are taken, how often they are fetched, and who waits for them how long."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from frontdesk.accounts.jwks import KeySet, SourceFailed, read_keys
from frontdesk.accounts.jwt import Token, read_token
from frontdesk.accounts.key_sources import FileSource, UrlSource
from frontdesk.core.errors import Unauthenticated, Unavailable
from tests.accounts.identity_provider import (
    HandTime,
    KeyServer,
    SigningKey,
    b64,
    ed448_key,
    eddsa,
    es256,
    key_set,
    p384,
    rs256,
    serving,
    settle,
)

UNNAMED = es256(None)


def token(key: SigningKey, kid: str | None = None) -> Token:
    return read_token(key.token(header={} if kid is None else {"kid": kid}))


# --- which keys are taken -----------------------------------------------------------------------


@pytest.mark.parametrize("key", [es256(), rs256(), eddsa()], ids=lambda key: key.algorithm)
def test_a_key_verifies_what_it_signed_and_nothing_else(key: SigningKey) -> None:
    (read,) = read_keys(key_set([key])).all
    signed = token(key)

    assert (read.kid, read.algorithm) == (key.kid, key.algorithm)
    assert read.verify(signed.signature, signed.signed)
    assert not read.verify(signed.signature, signed.signed + b"x")
    for signature in (b"", b"\0", signed.signature[:-1], signed.signature + b"\0", bytes(len(signed.signature))):
        assert not read.verify(signature, signed.signed)


def test_a_signature_on_p256_is_never_der() -> None:
    (read,) = read_keys(key_set([es256()])).all
    signed = token(es256()).signed

    assert not read.verify(es256().private.sign(signed, ec.ECDSA(hashes.SHA256())), signed)


def test_a_signature_on_p256_keeps_its_zeros() -> None:
    """Else there would be two ways to write one."""
    (read,) = read_keys(key_set([es256()])).all
    signed = b"signed"
    signature = next(each for each in iter(lambda: es256().sign(signed), b"") if each[32] == 0)

    assert read.verify(signature, signed)
    assert not read.verify(signature[:32] + signature[33:], signed)


@pytest.mark.parametrize(
    "changes",
    [
        {"use": None, "alg": None},
        {"use": None, "key_ops": ["verify"]},
        {"x5c": ["MII"], "x5t": "abc", "issuer": "https://id.example"},
    ],
)
def test_keys_may_say_less_and_more(changes: dict[str, Any]) -> None:
    jwk = {name: value for name, value in {**rs256().jwk, **changes}.items() if value is not None}

    assert len(read_keys(json.dumps({"keys": [jwk]}).encode()).all) == 1


def test_eddsa_by_the_name_of_its_curve() -> None:
    assert len(read_keys(json.dumps({"keys": [{**eddsa().jwk, "alg": "Ed25519"}]}).encode()).all) == 1


def test_padding_in_a_key_is_no_matter() -> None:
    jwk = {**es256().jwk, "x": es256().jwk["x"] + "="}

    assert len(read_keys(json.dumps({"keys": [jwk]}).encode()).all) == 1


UNUSABLE: dict[str, Any] = {
    "a shared secret": {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
    "P-384": p384().jwk,
    "secp256k1": {**es256().jwk, "crv": "secp256k1"},
    "Ed448": ed448_key().jwk,
    "X25519": {**eddsa().jwk, "crv": "X25519"},
    "an OKP key that says P-256": {**eddsa().jwk, "crv": "P-256"},
    "RSA of 1024 bits": rs256("short", 1024).jwk,
    "RSA of 9216 bits": {**rs256().jwk, "n": b64(b"\xff" * 1152)},
    "RSA with an even modulus": {**rs256().jwk, "n": b64(b"\xff" * 255 + b"\xfe")},
    "RSA with an exponent of 1": {**rs256().jwk, "e": "AQ"},
    "RSA with an even exponent": {**rs256().jwk, "e": "AQAA"},
    "RSA with a huge exponent": {**rs256().jwk, "e": b64(b"\x01" * 200)},
    "RSA without modulus": {"kty": "RSA", "e": "AQAB"},
    "a modulus that is no base64url": {**rs256().jwk, "n": "!!!!"},
    "a modulus that is a number": {**rs256().jwk, "n": 5},
    "no point of the curve": {**es256().jwk, "y": b64(b"\x01" * 32)},
    "a point without 32 bytes": {**es256().jwk, "x": b64(b"\x01" * 31)},
    "Ed25519 of 31 bytes": {**eddsa().jwk, "x": b64(b"\x01" * 31)},
    "for encryption": {**es256().jwk, "use": "enc"},
    "for signing alone": {**es256().jwk, "key_ops": ["sign"]},
    "key_ops that are no list": {**es256().jwk, "key_ops": "verify"},
    "for another algorithm": {**rs256().jwk, "alg": "PS256"},
    "for another algorithm of its curve": {**es256().jwk, "alg": "ECDH-ES"},
    "a kid that is no string": {**es256().jwk, "kid": 5},
    "another kind": {"kty": "XYZ"},
    "a kind that is no string": {"kty": ["RSA"]},
    "no kind": {},
    "no object": "key",
    "null": None,
}


@pytest.mark.parametrize("jwk", UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_that_is_not_for_us_is_skipped(jwk: Any) -> None:
    keys = read_keys(json.dumps({"keys": [jwk, es256().jwk, jwk]}).encode())

    assert [key.kid for key in keys.all] == ["es"]
    with pytest.raises(SourceFailed, match="no key that can be used"):
        read_keys(json.dumps({"keys": [jwk]}).encode())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no key set"),
        (b'{"keys": {}}', "no key set"),
        (b'{"error": "no"}', "no key set"),
        (b'{"keys": []}', "it is empty"),
        (json.dumps({"keys": [es256().jwk] * 101}).encode(), "at most 100"),
    ],
)
def test_what_is_no_key_set_is_told(text: bytes, words: str) -> None:
    with pytest.raises(SourceFailed, match=words):
        read_keys(text)


def test_why_no_key_can_be_used_is_told() -> None:
    with pytest.raises(SourceFailed, match=r"keys\[0\]: it has 1024 bits; .* keys\[1\]: it is not for signatures"):
        read_keys(json.dumps({"keys": [rs256("short", 1024).jwk, {**es256().jwk, "use": "enc"}]}).encode())


def test_the_same_name_for_keys_of_two_kinds() -> None:
    keys = read_keys(key_set([es256("k"), rs256("k")]))

    assert getattr(keys.find(token(es256("k"))), "algorithm", None) == "ES256"
    assert getattr(keys.find(token(rs256("k"))), "algorithm", None) == "RS256"


def test_a_token_without_a_name_is_of_the_only_key_that_fits() -> None:
    keys = read_keys(key_set([es256("a"), rs256("b")]))

    assert getattr(keys.find(token(UNNAMED)), "kid", None) == "a"
    assert keys.find(token(eddsa(None))) is None
    with pytest.raises(Unauthenticated, match="names no key"):
        read_keys(key_set([es256("a"), es256("b")])).find(token(UNNAMED))


def test_a_key_without_a_name_is_not_for_tokens_that_name_one() -> None:
    assert read_keys(key_set([UNNAMED])).find(token(UNNAMED, "es")) is None


# --- where they come from -----------------------------------------------------------------------


async def test_a_set_is_fetched_as_a_plain_get() -> None:
    async with serving(HandTime(), es256()) as server:
        body, max_age_s = await UrlSource(f"{server.url}?a=b%20c").read()

    assert (body, max_age_s) == (key_set([es256()]), None)
    assert server.heads[0].splitlines()[0] == "GET /keys.json?a=b%20c HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}\r\n" in server.heads[0]


@pytest.mark.parametrize(
    ("headers", "max_age_s"),
    [
        ("Cache-Control: public, max-age=21600, must-revalidate\r\n", 21600.0),
        ("cache-control: MAX-AGE=5\r\n", 5.0),
        ("Cache-Control: s-maxage=7\r\n", None),
        ("Cache-Control: max-age=x\r\n", None),
        ("Cache-Control: max-age=99999999999999\r\n", None),
        ("", None),
    ],
)
async def test_how_long_a_set_may_be_kept(headers: str, max_age_s: float | None) -> None:
    async with serving(HandTime(), es256()) as server:
        server.headers = headers

        assert (await UrlSource(server.url).read())[1] == max_age_s


async def _drip_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(1000):
        writer.write(f"X-{number}: y\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.01)


async def _drip_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{"keys"')


async def _no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH\r\n")


async def _without_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


async def _redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")


FAULTS = {
    "slow headers": (_drip_head, "within 0.3 s"),
    "a slow body": (_drip_body, "within 0.3 s"),
    "silence": (_say_nothing, "within 0.3 s"),
    "an early end": (_break_off, "properly"),
    "no HTTP": (_no_http, "properly"),
    "no end": (_without_end, "more than 512 kB"),
    "a redirect": (_redirect, "status 302"),
}


@pytest.mark.parametrize(("respond", "words"), FAULTS.values(), ids=FAULTS)
async def test_a_server_that_misbehaves_is_told(respond: Any, words: str) -> None:
    async with serving(HandTime()) as server:
        server.respond = respond

        with pytest.raises(SourceFailed, match=words):
            await UrlSource(server.url, timeout_s=0.3 if "0.3" in words else 5).read()

    assert len(server.heads) == 1, "a redirect was followed"


@pytest.mark.parametrize("status", ["201 Created", "304 Not Modified", "404 Not Found", "503 Service Unavailable"])
async def test_another_status_is_told(status: str) -> None:
    async with serving(HandTime(), es256()) as server:
        server.status = status

        with pytest.raises(SourceFailed, match=f"status {status[:3]}"):
            await UrlSource(server.url).read()


async def test_nobody_there_is_told() -> None:
    async with serving(HandTime()) as server:
        url = server.url

    with pytest.raises(SourceFailed, match="cannot be reached") as caught:
        await UrlSource(f"{url}?api_key=hidden").read()
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("fault", [*FAULTS, "status", "certificate"])
async def test_no_failure_tells_the_query_of_an_address(fault: str, tmp_path: Path) -> None:
    server_tls = _tls(tmp_path)[0] if fault == "certificate" else None
    async with serving(HandTime(), es256(), tls=server_tls) as server:
        server.respond = FAULTS[fault][0] if fault in FAULTS else None
        server.status = "404 Not Found" if fault == "status" else server.status
        url = server.url.replace("http://", "https://") if fault == "certificate" else server.url
        failure = await _failure_of(f"{url}?api_key=hidden")

    assert url in failure
    assert "hidden" not in failure
    assert "api_key" not in failure


async def _failure_of(url: str) -> str:
    with pytest.raises(SourceFailed) as caught:
        await UrlSource(url, timeout_s=0.3).read()
    return str(caught.value)


def test_an_address_that_cannot_be_is_told_without_its_query() -> None:
    with pytest.raises(ValueError, match=r"jwks_url is 'http://id\.example/keys'"):
        UrlSource("http://id.example/keys?api_key=hidden")


async def test_a_body_that_ends_with_its_connection() -> None:
    async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + key_set([es256()]))

    async with serving(HandTime()) as server:
        server.respond = until_closed

        assert (await UrlSource(server.url).read())[0] == key_set([es256()])


def _tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server that shows a certificate of its own making, and a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    began = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


async def test_a_certificate_is_checked(tmp_path: Path) -> None:
    server_tls, client_tls = _tls(tmp_path)
    async with serving(HandTime(), es256(), tls=server_tls) as server:
        url = server.url.replace("http://", "https://")

        assert (await UrlSource(url, tls=client_tls).read())[0] == key_set([es256()])
        with pytest.raises(SourceFailed, match=r"certificate of https://.* does not hold"):
            await UrlSource(url).read()


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/keys",
        "http://127.0.0.1.evil.example/keys",
        "http://localhost.evil.example/keys",
        "http://10.0.0.1/keys",
        "http://[2001:db8::1]/keys",
        "ftp://127.0.0.1/keys",
        "file:///etc/passwd",
        "//id.example/keys",
        "keys.json",
        "",
    ],
)
def test_keys_do_not_come_from_where_anybody_could_change_them(url: str) -> None:
    with pytest.raises(ValueError):
        UrlSource(url)


def test_a_password_in_an_address_is_refused_and_not_told() -> None:
    with pytest.raises(ValueError) as caught:
        UrlSource("https://somebody:secret@id.example/keys")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://id.example/keys", "http://localhost:9/k", "http://127.0.0.1/k", "http://[::1]:8/k"]
)
def test_addresses_that_are_taken(url: str) -> None:
    assert UrlSource(url)


async def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys.json").write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)

    assert await FileSource("keys.json").read() == (b"abc", None)
    with pytest.raises(SourceFailed, match=r"'other\.json' cannot be read: No such file"):
        await FileSource("other.json").read()
    with pytest.raises(SourceFailed, match="cannot be read"):
        await FileSource(".").read()
    (tmp_path / "large.json").write_bytes(b" " * (512 * 1024 + 1))
    with pytest.raises(SourceFailed, match="larger than 512 kB"):
        await FileSource("large.json").read()


# --- how often, and who waits -------------------------------------------------------------------


@asynccontextmanager
async def kept_fresh(*keys: SigningKey) -> AsyncIterator[tuple[KeySet, KeyServer, HandTime]]:
    """A key set that was fetched once."""
    time = HandTime()
    async with serving(time, *keys) as server:
        keys_here = KeySet("auth.jwt[0]", UrlSource(server.url), time, time.sleep)
        time.watched.append(keys_here)
        keys_here.start()
        await time.settle()
        assert len(server.asked_at) == 1
        try:
            yield keys_here, server, time
        finally:
            await keys_here.close()


async def test_a_set_is_fetched_at_the_start_and_every_ten_minutes() -> None:
    async with kept_fresh(es256()) as (keys, server, time):
        await keys.verify(token(es256()))
        for number in range(2, 5):
            time.move(599)
            await time.settle()
            assert len(server.asked_at) == number - 1
            time.move(1)
            await time.settle()
            assert len(server.asked_at) == number

    assert server.asked_at == [1_800_000_000.0 + 600 * number for number in range(4)]


@pytest.mark.parametrize(("max_age_s", "every_s"), [(1, 60), (60, 60), (300, 300), (3600, 3600), (86_400, 3600)])
async def test_a_provider_may_say_how_often_within_limits(max_age_s: int, every_s: int) -> None:
    async with kept_fresh(es256()) as (_keys, server, time):
        server.headers = f"Cache-Control: max-age={max_age_s}\r\n"
        time.move(600)
        await time.settle()
        time.move(every_s - 1)
        await time.settle()
        assert len(server.asked_at) == 2
        time.move(1)
        await time.settle()
        assert len(server.asked_at) == 3


async def test_requests_at_the_start_wait_for_the_first_fetch() -> None:
    time = HandTime()
    async with serving(time, es256()) as server:
        keys = KeySet("auth.jwt[0]", UrlSource(server.url), time, time.sleep)
        keys.start()

        await asyncio.gather(*(keys.verify(token(es256())) for _ in range(50)))

        assert len(server.asked_at) == 1
        await keys.close()


async def test_a_new_key_is_fetched_for_all_who_wait_at_once() -> None:
    async with kept_fresh(es256("old")) as (keys, server, time):
        time.move(100)
        server.keys = [es256("old"), es256("new")]

        await asyncio.gather(*(keys.verify(token(es256("new"))) for _ in range(50)))

        assert len(server.asked_at) == 2
        assert keys.generation == 2


async def test_a_name_that_nobody_knows_is_refused_after_a_fetch() -> None:
    async with kept_fresh(es256()) as (keys, server, time):
        time.move(100)

        with pytest.raises(Unauthenticated, match="does not have") as caught:
            await keys.verify(token(es256(), "invented"))

        assert caught.value.code == "invalid_token"
        assert len(server.asked_at) == 2


class Held:
    """An answer that waits for the test. What it will say is settled now, as on its way."""

    def __init__(self, server: KeyServer) -> None:
        self._server = server
        self._body = key_set(server.keys)
        self._may_go = asyncio.Event()
        self.is_asked = asyncio.Event()
        server.respond = self._respond

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server.respond = None
        self.is_asked.set()
        await self._may_go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(self._body), self._body))

    def let_go(self) -> None:
        self._may_go.set()


@pytest.mark.parametrize("kid", ["named", None])
async def test_who_comes_during_a_fetch_waits_for_the_next_one(kid: str | None) -> None:
    """The answer that is on its way may be older than the token."""
    old, new = es256("old"), es256("new")
    if kid is None:
        old, new = old.named(None), new.named(None)
    async with kept_fresh(old) as (keys, server, time):
        held = Held(server)
        time.move(100)
        forged = asyncio.ensure_future(keys.verify(token(es256("other"))))
        await held.is_asked.wait()
        rotated = asyncio.ensure_future(keys.verify(token(new)))
        await settle()
        server.keys = [new]
        held.let_go()

        with pytest.raises(Unauthenticated):
            await forged
        assert not rotated.done()
        await time.outcome(rotated)


async def test_who_comes_when_it_is_tried_again_waits_too() -> None:
    async with kept_fresh(es256("old")) as (keys, server, time):
        server.status = "500 Oh No"
        time.move(600)
        await time.settle()
        server.status, server.keys = "200 OK", [es256("new")]
        held = Held(server)
        time.move(30)
        await held.is_asked.wait()
        waiting = asyncio.ensure_future(keys.verify(token(es256("new"))))
        await settle()
        held.let_go()

        await waiting


async def test_a_key_that_has_left_is_refused_after_the_refresh() -> None:
    async with kept_fresh(es256("old"), es256("new")) as (keys, server, time):
        await keys.verify(token(es256("old")))
        assert keys.generation == 1
        server.keys = [es256("new")]
        time.move(600)
        await time.settle()

        assert keys.generation == 2
        await keys.verify(token(es256("new")))
        with pytest.raises(Unauthenticated):
            await time.outcome(keys.verify(token(es256("old"))))


async def test_the_same_keys_in_another_order_are_no_change() -> None:
    async with kept_fresh(es256("a"), rs256("b")) as (keys, server, time):
        server.keys = [rs256("b"), es256("a")]
        time.move(600)
        await time.settle()

        assert keys.generation == 1


async def test_another_key_of_the_same_name_is_a_change() -> None:
    async with kept_fresh(es256("a")) as (keys, server, time):
        server.keys = [es256("b").named("a")]
        time.move(600)
        await time.settle()

        assert keys.generation == 2
        with pytest.raises(Unauthenticated, match="signature"):
            await keys.verify(token(es256("a")))


async def test_a_new_key_without_a_name_is_told_by_what_the_old_one_does_not_verify() -> None:
    old, new = es256("x").named(None), es256("y").named(None)
    async with kept_fresh(old) as (keys, server, time):
        await keys.verify(token(old))
        server.keys = [new]
        time.move(100)

        await keys.verify(token(new))
        with pytest.raises(Unauthenticated, match="signature"):
            await time.outcome(keys.verify(token(old)))
        assert len(server.asked_at) == 3


async def test_a_wrong_signature_by_a_known_name_costs_no_fetch() -> None:
    async with kept_fresh(es256("a")) as (keys, server, time):
        time.move(100)

        with pytest.raises(Unauthenticated, match="signature"):
            await keys.verify(token(es256("b"), "a"))

        assert len(server.asked_at) == 1


async def test_a_flood_of_invented_names_costs_five_fetches_a_minute_and_no_key() -> None:
    """And each of them waits for its refusal no longer than the pace and a fetch."""
    async with kept_fresh(es256()) as (keys, server, time):
        waits_s: list[float] = []
        ends_at = time.monotonic() + 300

        async def flood(number: int) -> None:
            count = 0
            while time.monotonic() < ends_at:
                began, count = time.monotonic(), count + 1
                with pytest.raises(Unauthenticated):
                    await keys.verify(token(es256(), f"invented-{number}-{count}"))
                waits_s.append(time.monotonic() - began)

        flooding = asyncio.gather(*(flood(number) for number in range(20)))
        while not flooding.done():
            await time.settle()
            await keys.verify(token(es256()))
            time.move(0.5)
        await flooding

        assert len(server.asked_at) >= 10
        assert server.most_in_a_minute() <= 5
        assert min(later - earlier for earlier, later in zip(server.asked_at, server.asked_at[1:], strict=False)) >= 3
        assert max(waits_s) <= 21


async def test_more_than_a_hundred_do_not_wait() -> None:
    async with kept_fresh(es256()) as (keys, _server, time):
        waiting = [asyncio.ensure_future(keys.verify(token(es256(), f"invented-{number}"))) for number in range(100)]
        await settle()

        with pytest.raises(Unavailable) as caught:
            await keys.verify(token(es256(), "one too many"))
        await keys.verify(token(es256()))

        assert (caught.value.code, caught.value.status) == ("issuer_unavailable", 503)
        assert caught.value.retry_after_s == 3
        await time.until(lambda: all(each.done() for each in waiting))
        assert all(isinstance(each.exception(), Unauthenticated) for each in waiting)


async def test_who_goes_leaves_their_place() -> None:
    async with kept_fresh(es256()) as (keys, _server, time):
        for _ in range(150):
            gone = asyncio.ensure_future(keys.verify(token(es256(), "invented")))
            await asyncio.sleep(0)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone

        with pytest.raises(Unauthenticated):
            await time.outcome(keys.verify(token(es256(), "invented")))


async def test_out_of_reach_the_known_keys_go_on_and_others_are_told_when_to_come_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with kept_fresh(es256("old")) as (keys, server, time):
        server.status = "500 Oh No"
        time.move(100)

        with pytest.raises(Unavailable) as first:
            await keys.verify(token(es256("new")))
        async with asyncio.timeout(10):  # of real time, and no other passes
            with pytest.raises(Unavailable) as second:
                await keys.verify(token(es256("new")))
        await keys.verify(token(es256("old")))

        assert (first.value.retry_after_s, second.value.retry_after_s) == (3, 3)
        assert len(server.asked_at) == 2, "who comes while it is known to be out of reach does not wait"
        server.status, server.keys = "200 OK", [es256("new")]
        time.move(3)
        await keys.verify(token(es256("new")))

    lines = [record.getMessage() for record in caplog.records if record.name == "frontdesk.accounts"]
    assert [line.split(" ")[0] for line in lines] == ["keys_changed", "keys_failed", "keys_recovered", "keys_changed"]
    assert "place=auth.jwt[0]" in lines[1]
    assert "status 500" in lines[1]


async def test_out_of_reach_it_is_tried_again_by_itself_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with kept_fresh(es256()) as (keys, server, time):
        server.status = "500 Oh No"
        await time.until(lambda: len(server.asked_at) == 20, step_s=1, most_s=1300)
        await time.settle()
        assert server.most_in_a_minute() <= 2
        server.status = "200 OK"
        await time.until(lambda: keys._failure is None, step_s=1)

    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_set_without_a_key_of_use_changes_nothing() -> None:
    async with kept_fresh(es256()) as (keys, server, time):
        server.body = b'{"keys": []}'
        time.move(600)
        await time.settle()

        await keys.verify(token(es256()))
        assert keys.generation == 1
        assert keys._failure is not None


async def test_out_of_reach_from_the_start() -> None:
    time = HandTime()
    async with serving(time, es256()) as server:
        server.status = "404 Not Found"
        keys = KeySet("auth.jwt[0]", UrlSource(server.url), time, time.sleep)
        time.watched.append(keys)
        keys.start()
        with pytest.raises(Unavailable):
            await keys.verify(token(es256()))
        server.status = "200 OK"
        await time.until(lambda: keys.generation == 1)

        await keys.verify(token(es256()))
        await keys.close()


async def test_who_waits_at_the_end_is_answered() -> None:
    async with kept_fresh(es256()) as (keys, _server, _time):
        waiting = asyncio.ensure_future(keys.verify(token(es256(), "invented")))
        await settle()
        await keys.close()

        async with asyncio.timeout(10):
            with pytest.raises(Unavailable):
                await waiting
            with pytest.raises(Unavailable):
                await keys.verify(token(es256(), "invented"))
        await keys.verify(token(es256()))


async def test_an_end_during_a_fetch() -> None:
    time = HandTime()
    async with serving(time) as server:
        server.respond = _say_nothing
        keys = KeySet("auth.jwt[0]", UrlSource(server.url), time, time.sleep)
        keys.start()
        waiting = asyncio.ensure_future(keys.verify(token(es256())))
        while not server.asked_at:
            await asyncio.sleep(0)

        await keys.close()

        with pytest.raises(Unavailable):
            await waiting
        while server.under_way:
            await asyncio.sleep(0)


async def test_a_file_that_changes(tmp_path: Path) -> None:
    path, time = tmp_path / "keys.json", HandTime()
    path.write_bytes(key_set([es256("old")]))
    keys = KeySet("auth.jwt[0]", FileSource(str(path)), time, time.sleep)
    time.watched.append(keys)
    keys.start()
    await keys.verify(token(es256("old")))

    path.write_bytes(key_set([es256("new")]))
    await time.outcome(keys.verify(token(es256("new"))))
    with pytest.raises(Unauthenticated):
        await time.outcome(keys.verify(token(es256("old"))))
    path.unlink()
    await time.until(lambda: keys._failure is not None, step_s=30, most_s=700)
    await keys.verify(token(es256("new")))
    await keys.close()


async def test_a_probe_tells_what_is_wrong_and_fetches_once() -> None:
    time = HandTime()
    async with serving(time, es256()) as server:
        keys = KeySet("auth.jwt[0]", UrlSource(server.url), time, time.sleep)

        assert await keys.probe() is None
        server.body = key_set([rs256("short", 1024)])
        assert "1024 bits" in str(await keys.probe())
        assert len(server.asked_at) == 2
