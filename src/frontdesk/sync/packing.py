"""How a sync travels: as JSON or MessagePack, packed with zstd or gzip or not at all, each way by itself.

What comes as MessagePack is read as the JSON that it says, so both are checked alike and mean the same.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from frontdesk.core.errors import BadRequest, Refused, TooLarge
from frontdesk.wire.reading import read_object

PACKED_FROM_BYTES = 512
"""Answers below that are sent as they are."""

_MSGPACK = ("application/msgpack", "application/vnd.msgpack")
_JSON = "application/json"
_BESIDE_BYTES = 32 * 1024  # larger ones are packed and unpacked beside the loop
_WINDOW_BYTES = 8 * 1024 * 1024  # RFC 9659 §3: all that anybody need have
# Of zstd: they unpack to 8 MB at most, for a block of 128 kB has 4 bytes at least (RFC 8878 §3.1.1.2).
_AT_ONCE_BYTES = 256
_GZIP = 31  # zlib's word for a gzip header and any window
_ZSTD_LEVEL, _GZIP_LEVEL = 3, 6
_MOST_VALUES = 500_000
_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode
_encode_msgpack = msgspec.msgpack.Encoder().encode
_decode_msgpack = msgspec.msgpack.Decoder().decode

Headers = dict[str, str]


class UnsupportedType(Refused):
    """A body in a form that nobody reads here."""

    status = 415
    code = "unsupported_media_type"


class Sent(NamedTuple):
    """A body as it came, with the headers that say what it is, "" where there are none."""

    body: bytes
    content_type: str = ""
    content_encoding: str = ""


class Wanted(NamedTuple):
    """In which form the answer is wanted: a media type, and a content coding, "" for none."""

    media_type: str = _JSON
    coding: str = ""


# --- what comes ---------------------------------------------------------------------------------


async def read_sent(sent: Sent, limit_bytes: int) -> dict[str, Any]:
    """The JSON object that a body says. Raises BadRequest, TooLarge, UnsupportedType."""
    if len(sent.body) <= _BESIDE_BYTES and not sent.content_encoding:
        return _read(sent, limit_bytes)
    return await asyncio.to_thread(_read, sent, limit_bytes)


def _read(sent: Sent, limit_bytes: int) -> dict[str, Any]:
    body = _unpacked(sent.body, sent.content_encoding.strip().lower(), limit_bytes)
    kind = _kind_of(sent.content_type)
    if kind in _MSGPACK:
        body = _as_json(body)
    elif kind not in ("", _JSON):
        raise UnsupportedType(
            f"The body's Content-Type is {kind[:64]!r}. Send {_JSON} or {_MSGPACK[0]}.", param="Content-Type"
        )
    return read_object(body or b"{}")


def _kind_of(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _unpacked(body: bytes, coding: str, limit_bytes: int) -> bytes:
    """A body without its coding. What unpacks to more than the limit is not unpacked any further."""
    if coding in ("", "identity"):
        return body
    if coding in ("gzip", "x-gzip"):
        return _un_gzipped(body, limit_bytes)
    if coding == "zstd" and (zstd := _zstandard()) is not None:
        return _un_zstd(zstd, body, limit_bytes)
    known = ", ".join(_codings())
    raise UnsupportedType(
        f"The body's Content-Encoding is {coding[:64]!r}. It may be one of {known}, or be left out.",
        param="Content-Encoding",
    )


def _un_gzipped(body: bytes, limit_bytes: int) -> bytes:
    inflating = zlib.decompressobj(_GZIP)
    try:
        unpacked = inflating.decompress(body, limit_bytes + 1)
    except zlib.error:
        raise _broken("gzip") from None
    if len(unpacked) > limit_bytes:
        raise _too_large(limit_bytes)
    if not inflating.eof or inflating.unused_data:
        raise _broken("gzip")
    return unpacked


def _un_zstd(zstd: Any, body: bytes, limit_bytes: int) -> bytes:
    inflating = zstd.ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj()
    unpacked = bytearray()
    place = 0
    while place < len(body) and not inflating.eof:
        try:
            unpacked += inflating.decompress(body[place : place + _AT_ONCE_BYTES])
        except zstd.ZstdError:
            raise _broken("zstd") from None
        place += _AT_ONCE_BYTES
        if len(unpacked) > limit_bytes:
            raise _too_large(limit_bytes)
    if not inflating.eof or inflating.unused_data or place < len(body):
        raise _broken("zstd")
    return bytes(unpacked)


def _as_json(body: bytes) -> bytes:
    """The JSON that some MessagePack says. Raises BadRequest for what JSON has no word for."""
    _check_values(body)
    try:
        return _encode_json(_decode_msgpack(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _no_msgpack() from None
    except RecursionError:
        raise BadRequest("The body's MessagePack is nested too deeply.", code="invalid_msgpack") from None


# What follows a first byte: so many bytes, or so many bytes that say how long it is.
_FIXED = {
    **dict.fromkeys((0xC0, 0xC2, 0xC3, *range(0x80), *range(0xE0, 0x100)), 0),
    0xCA: 4,
    0xCB: 8,
    0xCC: 1,
    0xCD: 2,
    0xCE: 4,
    0xCF: 8,
    0xD0: 1,
    0xD1: 2,
    0xD2: 4,
    0xD3: 8,
}
_TEXTS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_LISTS = {0xDC: 2, 0xDD: 4}
_OBJECTS = {0xDE: 2, 0xDF: 4}


def _check_values(body: bytes) -> None:
    """Walk over the values, none of which is made: a byte can be one, and take fifty times as much when it is.

    Raises BadRequest for too many, for bytes, times and other extensions, and for keys that are no texts. Whether the
    rest is right shows when it is decoded.
    """
    place, values, end = 0, 0, len(body)
    # Of each that is open, whether it has keys, and how many values and keys are still to come.
    stack = [[0, 1]]
    while stack:
        top = stack[-1]
        if top[1] == 0:
            stack.pop()
            continue
        if place >= end:
            raise _no_msgpack()
        is_key = bool(top[0]) and top[1] % 2 == 0
        top[1] -= 1
        values += 1
        if values > _MOST_VALUES:
            raise BadRequest(
                f"The body has more than {_MOST_VALUES:,} values. Send fewer, larger parts.", code="too_complex"
            )
        first = body[place]
        place += 1
        if (0xA0 <= first < 0xC0) or first in _TEXTS:
            size, place = _length(body, place, first, _TEXTS, 0x1F)
            place += size
            continue
        if is_key:
            raise _no_json("a key that is no text")
        if first in _FIXED:
            place += _FIXED[first]
        elif 0x90 <= first < 0xA0 or first in _LISTS:
            size, place = _length(body, place, first, _LISTS, 0x0F)
            stack.append([0, size])
        elif 0x80 <= first < 0x90 or first in _OBJECTS:
            size, place = _length(body, place, first, _OBJECTS, 0x0F)
            stack.append([1, 2 * size])
        else:
            raise _no_json("bytes, a time or another extension")


def _length(body: bytes, place: int, first: int, sizes: dict[int, int], mask: int) -> tuple[int, int]:
    """How long something is, as its first byte says or those behind it, and where it begins."""
    told = sizes.get(first)
    if told is None:
        return first & mask, place
    return int.from_bytes(body[place : place + told], "big"), place + told


# --- what goes ----------------------------------------------------------------------------------


def wanted_by(accept: str, accept_encoding: str, content_type: str) -> Wanted:
    """In which form an answer is wanted, as the headers of its request say, "" where there are none.

    Who does not say which media type is answered in the one they use.
    """
    return Wanted(_media_type(accept, _kind_of(content_type)), _coding(accept_encoding))


def _media_type(accept: str, used: str) -> str:
    if not accept.strip():
        return used if used in _MSGPACK else _JSON
    weights = dict(_weighed(accept))
    usual = max((weights[name] for name in ("application/*", "*/*") if name in weights), default=0.0)
    if usual and not weights.keys() & {_JSON, *_MSGPACK}:
        return used if used in _MSGPACK else _JSON
    best = max(_MSGPACK, key=lambda name: weights.get(name, 0.0))
    return best if weights.get(best, 0.0) > 0 and weights[best] >= weights.get(_JSON, usual) else _JSON


def _coding(accept_encoding: str) -> str:
    weights = dict(_weighed(accept_encoding))
    others = weights.get("*", 0.0)
    best = max(_codings(), key=lambda name: weights.get(name, others))
    return best if weights.get(best, others) > 0 else ""


def _weighed(header: str) -> Iterator[tuple[str, float]]:
    """The names of a header with their weights (RFC 9110 §12.4.2), where they are ones."""
    for part in header.lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            yield name, float(weight)
        except ValueError:
            continue


async def write_answer(answer: msgspec.Struct, wanted: Wanted) -> tuple[bytes, Headers]:
    """An answer's bytes, and the headers that say what they are."""
    body = _encode_json(answer)
    headers = {"content-type": wanted.media_type, "vary": "accept, accept-encoding"}
    if len(body) <= _BESIDE_BYTES:
        packed, coding = _packed(body, wanted)
    else:
        packed, coding = await asyncio.to_thread(_packed, body, wanted)
    if coding:
        headers["content-encoding"] = coding
    return packed, headers


def _packed(body: bytes, wanted: Wanted) -> tuple[bytes, str]:
    if wanted.media_type != _JSON:
        body = _encode_msgpack(_decode_json(body))
    if not wanted.coding or len(body) < PACKED_FROM_BYTES:
        return body, ""
    return _codings()[wanted.coding](body), wanted.coding


def _codings() -> dict[str, Callable[[bytes], bytes]]:
    """The codings that there are here, the best one first."""
    zstd = _zstandard()
    codings: dict[str, Callable[[bytes], bytes]] = {}
    if zstd is not None:
        codings["zstd"] = lambda body: zstd.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
    codings["gzip"] = lambda body: zlib.compress(body, _GZIP_LEVEL, _GZIP)
    return codings


@functools.cache  # looking for what is not there costs more than packing does
def _zstandard() -> Any:
    """The package, where it is installed; loaded with the first request that asks for it."""
    try:
        return importlib.import_module("zstandard")
    except ImportError:
        return None


def _broken(coding: str) -> BadRequest:
    return BadRequest(f"The body is not whole {coding}, as its Content-Encoding says.", code="invalid_encoding")


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The body unpacks to more than {limit_bytes / 1_048_576:g} MB. Send less at once.")


def _no_msgpack() -> BadRequest:
    return BadRequest("The body is not valid MessagePack.", code="invalid_msgpack")


def _no_json(what: str) -> BadRequest:
    return BadRequest(f"The body has {what}, which JSON cannot say.", code="invalid_msgpack")
