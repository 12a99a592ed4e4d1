"""Behind a trusted proxy its client counts; what anybody else says of whom they forward for does not."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.http.proxies import TrustedProxies

PROXY = "10.0.0.1"
PROXIES = ["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.200"]
STRANGER = ("198.51.100.7", 0)


async def seen_by_app(
    peer: str | None, *headers: tuple[bytes, bytes], layer: TrustedProxies | None = None
) -> tuple[Any, str, list[tuple[bytes, bytes]]]:
    """Client, scheme and headers that an application behind the layer sees."""
    layer = layer or TrustedProxies(keep, PROXIES)
    client = None if peer is None else (peer, 5000)
    scope: dict[str, Any] = {"type": "http", "scheme": "http", "client": client, "headers": list(headers)}
    await layer(scope, None, None)  # type: ignore[arg-type]
    return scope["client"], scope["scheme"], scope["headers"]


async def keep(scope: Any, receive: Any, send: Any) -> None:
    """An application that does nothing: what it sees is looked at in the scope."""


def forwarded_for(value: str) -> tuple[bytes, bytes]:
    return b"x-forwarded-for", value.encode("latin-1")


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("198.51.100.7", STRANGER),
        ("198.51.100.7:41000", ("198.51.100.7", 41000)),
        ("2001:db8::7", ("2001:db8::7", 0)),
        ("[2001:db8::7]", ("2001:db8::7", 0)),
        ("[2001:DB8:0::7]:41000", ("2001:db8::7", 41000)),
        ("::ffff:198.51.100.7", STRANGER),
        ("198.51.100.7, 10.9.9.9", STRANGER),
        ("198.51.100.7,10.9.9.9:80 ,\t2001:db8:ffff::2", STRANGER),
        ("1.1.1.1, 198.51.100.7", STRANGER),  # the left part is what the client invented
        ("10.0.0.3, 198.51.100.7", STRANGER),
        ("10.0.0.3, 1.1.1.1, 198.51.100.7, 192.0.2.200", STRANGER),
        ("10.0.0.3, 10.0.0.4", ("10.0.0.3", 0)),  # all are ours: the first of them is the client
    ],
)
async def test_client_is_the_last_that_is_no_trusted_proxy(value: str, client: tuple[str, int]) -> None:
    seen, _, _ = await seen_by_app(PROXY, forwarded_for(value))

    assert seen == client


@pytest.mark.parametrize(
    "garbage",
    ["", " ", ",", "unknown", "_hidden", "localhost", "1.2.3", "01.2.3.4", "1.2.3.4:x", "1.2.3.4:123456", "[::1",
     "[::1]x", "[]:5", "999.1.1.1", "1.2.3.4 5.6.7.8", '"1.2.3.4"', "1.2.3.4;proto=https", "::1::", "\xff", "1" * 500],
)  # fmt: skip
async def test_what_is_no_address_leaves_the_last_proxy_that_could_tell(garbage: str) -> None:
    alone, _, _ = await seen_by_app(PROXY, forwarded_for(garbage))
    behind_another, _, _ = await seen_by_app(PROXY, forwarded_for(f"198.51.100.7, {garbage}, 10.9.9.9"))
    further_left, _, _ = await seen_by_app(PROXY, forwarded_for(f"{garbage}, 198.51.100.7"))

    assert (alone, behind_another, further_left) == ((PROXY, 5000), ("10.9.9.9", 0), STRANGER)


async def test_several_headers_are_one_list() -> None:
    headers = [forwarded_for("1.1.1.1"), forwarded_for("198.51.100.7"), forwarded_for("10.9.9.9")]

    assert (await seen_by_app(PROXY, *headers))[0] == STRANGER


@pytest.mark.parametrize("peer", ["198.51.100.7", "11.0.0.1", "192.0.2.201", "2001:db8:fffe::1", "no address", None])
async def test_nobody_else_is_believed(peer: str | None) -> None:
    headers = [forwarded_for("1.1.1.1"), (b"x-forwarded-proto", b"https"), (b"host", b"app.example")]

    expected = (None if peer is None else (peer, 5000), "http", headers)
    assert await seen_by_app(peer, *headers) == expected


@pytest.mark.parametrize("peer", ["10.255.255.255", "192.0.2.200", "::ffff:10.0.0.1", "2001:db8:ffff::9"])
async def test_every_spelling_of_a_trusted_peer_is_believed(peer: str) -> None:
    headers = [forwarded_for("198.51.100.7"), (b"x-forwarded-proto", b"https"), (b"host", b"app.example")]

    assert await seen_by_app(peer, *headers) == (STRANGER, "https", headers)


@pytest.mark.parametrize(
    ("values", "scheme"),
    [
        ([b"https"], "https"),
        ([b"http"], "http"),
        ([b"http, https"], "https"),
        ([b"https, http"], "http"),  # the client said https, the proxy saw http
        ([b"https", b"http"], "http"),
        ([b"HTTPS"], "http"),
        ([b"wss"], "http"),
        ([b""], "http"),
        ([b"https;"], "http"),
        ([], "http"),
    ],
)
async def test_scheme_is_what_the_nearest_proxy_says(values: list[bytes], scheme: str) -> None:
    _, seen, _ = await seen_by_app(PROXY, *((b"x-forwarded-proto", value) for value in values))

    assert seen == scheme


async def test_a_proxy_that_tells_nothing_is_the_client() -> None:
    assert await seen_by_app(PROXY) == ((PROXY, 5000), "http", [])


async def test_a_zone_is_no_part_of_an_address() -> None:
    seen, _, _ = await seen_by_app(PROXY, forwarded_for("fe80::1%<script>"))

    assert seen == ("fe80::1", 0)


async def test_addresses_of_strangers_fill_no_memory() -> None:
    layer = TrustedProxies(keep, PROXIES)

    for number in range(10_000):
        await seen_by_app(PROXY, forwarded_for(f"198.18.{number // 256}.{number % 256}"), layer=layer)
        await seen_by_app(PROXY, forwarded_for(f"{'x' * 100}{number}"), layer=layer)

    assert len(layer._known) <= 4096
    assert max(map(len, layer._known)) <= 64
