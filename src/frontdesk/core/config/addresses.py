"""Addresses in a configuration: those of providers and issuers, origins of pages, networks of proxies."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from frontdesk.core.config.problems import Place, Problems, spelled


class _Unfit(ValueError):
    """An address cannot be; the message reads on from the name of its setting."""


def check_base_url(problems: Problems, place: Place, url: str, *, has_key: bool) -> None:
    """Refuse a provider's address that cannot be called."""
    bare = without_user(url)
    parts = _parts(problems, place, spelled(place), bare)
    if parts is None:
        return
    if parts.query or parts.fragment:
        words = "has a '?' or '#', and what follows would be lost. End it with its path: /v1."
        problems.add(place, f"{spelled(place)} {words}")
    if has_key and bare != url:
        problems.add(
            place, f"{spelled(place)} has a user and there is an api_key. One request carries only one of them."
        )


def check_key_url(problems: Problems, place: Place, url: str) -> None:
    """Refuse an address that an issuer's keys must not come from: anybody on the way could change them."""
    without = without_user(url)
    parts = _parts(problems, place, spelled(place), without)
    if parts is None:
        return
    bare = without.partition("?")[0]  # what follows may be a key
    if without != url:
        problems.add(place, f"{spelled(place)} has a user, and keys are public. Write it without: {bare!r}.")
    if "#" in url:
        problems.add(place, f"{spelled(place)} has a '#', which is sent to no server. Leave out what begins there.")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        problems.add(place, f"{spelled(place)} is {bare!r}. Keys come by https; http is for this machine alone.")


def check_webhook_url(problems: Problems, place: Place, url: str) -> None:
    """Refuse an address that an operator must not be told at. What follows its host may be a secret of its own."""
    without = without_user(url)
    parts = _parts(problems, place, spelled(place), without, is_secret=True)
    if parts is None:
        return
    if without != url:
        words = "has a user, which is not sent. Calls are signed with alerts.secret; write the address without."
        problems.add(place, f"{spelled(place)} {words}")
    if "#" in url:
        problems.add(place, f"{spelled(place)} has a '#', which is sent to no server. Leave out what begins there.")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        words = "Amounts are told by https; http is for this machine alone."
        problems.add(place, f"{spelled(place)} is 'http://{parts.netloc}/…'. {words}")


_VALKEY_SCHEMES = ("valkey", "valkeys", "redis", "rediss", "unix")


def check_valkey_url(problems: Problems, place: Place, url: str) -> None:
    """Refuse an address that no Valkey can be reached at. It may hold a password, so only its kind is told."""
    if problems.is_lost(place):
        return
    kind, separator, rest = without_user(url).partition("://")
    example = "Use valkey://host:6379/0, valkeys:// for TLS, or unix:///path."
    if not separator or kind not in _VALKEY_SCHEMES:
        named = f"of the unknown kind {kind!r}" if separator and kind.isalnum() else "no address"
        problems.add(place, f"{spelled(place)} is {named}. {example}")
    elif kind == "unix":
        if not rest.startswith("/") or rest.partition("?")[0] == "/":
            problems.add(place, f"{spelled(place)} names no socket. Use unix:///path.")
    elif "@" in rest:
        words = "has a password with a '/', '?' or '#'. Write these as %2F, %3F, %23."
        problems.add(place, f"{spelled(place)} {words}")
    else:
        _check_valkey_server(problems, place, f"http://{rest.partition('?')[0]}", example)


def _check_valkey_server(problems: Problems, place: Place, url: str, example: str) -> None:
    try:
        parts = _split(url)
    except _Unfit:
        problems.add(place, f"{spelled(place)} has a host or a port that cannot be. {example}")
        return
    if not re.fullmatch(r"/?|/[0-9]{1,5}", parts.path):
        problems.add(place, f"{spelled(place)} has a path that is no number of a database. {example}")


def check_origin(problems: Problems, place: Place, origin: str) -> None:
    """Refuse what no browser sends as `Origin` (RFC 6454 §6.2): it is compared letter by letter."""
    if origin == "*":
        return
    address = origin.lower()
    name = spelled(place[:-1])
    if re.fullmatch(r"https?://[^/?#]*/?", address) is None:
        problems.add(place, f"{name} has {origin!r}. An origin is a scheme and a host: https://app.example")
        return
    parts = _parts(problems, place, name, address)
    if parts is None:
        return
    normal = _origin_of(parts)
    if origin != normal:
        problems.add(place, f"{name} has {origin!r}, which no browser sends. Write it as {normal!r}.")


def check_network(problems: Problems, place: Place, text: str) -> None:
    """Refuse what is neither an address nor a network."""
    name = spelled(place[:-1])
    try:
        normal = ipaddress.ip_network(text, strict=False)
    except ValueError:
        words = "Write an address or a network: 10.0.0.7, 10.0.0.0/8, fd00::/8."
        problems.add(place, f"{name} has {text!r}. {words}")
        return
    try:
        ipaddress.ip_network(text)
    except ValueError:
        problems.add(
            place, f"{name} has {text!r}, an address within a network. Write {str(normal)!r} or the address alone."
        )


def without_user(url: str) -> str:
    """An address without user and password."""
    return re.sub(r"(?<=://)[^/?#]*@", "", url)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parts(problems: Problems, place: Place, name: str, url: str, *, is_secret: bool = False) -> SplitResult | None:
    """The parts of an address; None where that cannot be, which is told."""
    try:
        return _split(url)
    except _Unfit as error:
        told = "is no address that can be called. Write it as https://host/path." if is_secret else str(error)
        problems.add(place, f"{name} {told}")
        return None


def _split(url: str) -> SplitResult:
    """The parts of an http address whose host and port can be. Raises _Unfit."""
    told = _SECRET_PART.sub(r"\1", url).partition("?")[0]  # what follows may be a key
    if not url.startswith(("http://", "https://")):
        raise _Unfit(f"is {told!r}. It must begin with http:// or https://.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _Unfit(f"is {told!r}. Its host or port cannot be; a port is from 1 to 65535.") from None
    if not parts.hostname:
        raise _Unfit(f"is {told!r}. It names no host.")
    if port == 0 or parts.netloc.endswith(":"):
        raise _Unfit(f"is {told!r}. Its port cannot be; a port is from 1 to 65535.")
    if not _is_host(parts.hostname) or not _ADDRESS.fullmatch(url):
        raise _Unfit(f"is {told!r}. It has characters that no address has; write a name of other letters as 'xn--…'.")
    return parts


# Wherever an '@' is, what stands before it may be a password, if not a well written one.
_SECRET_PART = re.compile(r"^([a-zA-Z]+://)?.*@", re.DOTALL)
_ADDRESS = re.compile(r"[!-~]+")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _HOST.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _origin_of(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{ipaddress.IPv6Address(host)}]" if ":" in host else host
    is_default = parts.port in (None, {"http": 80, "https": 443}[parts.scheme])
    return f"{parts.scheme}://{host}" if is_default else f"{parts.scheme}://{host}:{parts.port}"
