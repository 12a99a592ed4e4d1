"""Tokens of identity providers as they are written: compact JWS (RFC 7515 §7.1) with claims (RFC 7519), read strictly.

What readers of JSON and of base64 could understand in two ways is refused, so that nobody can sign one thing and have
another read. Nothing here knows a key: until its signature was verified, a token says what anybody may say.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from typing import Any, NoReturn, cast

import msgspec

from frontdesk.core.errors import Unauthenticated

MAX_TOKEN_CHARS = 8192
_MAX_KID_CHARS = 256
_MAX_DEPTH = 16
_LAST_TIME = 253_402_300_799  # the end of the year 9999; what is later was meant in milliseconds


class Token:
    """What a token says. `signed` is what `signature` is of."""

    __slots__ = ("algorithm", "claims", "kid", "signature", "signed")

    def __init__(
        self, algorithm: str, kid: str | None, claims: dict[str, Any], signed: bytes, signature: bytes
    ) -> None:
        self.algorithm = algorithm
        self.kid = kid
        self.claims = claims
        self.signed = signed
        self.signature = signature

    def time(self, name: str) -> float | None:
        """A claim that is a time, in seconds since 1970; None where it is missing. Raises Unauthenticated."""
        if name not in self.claims:
            return None
        value = self.claims[name]
        if type(value) not in (int, float) or not 0 <= value <= _LAST_TIME:
            refuse(f"Its claim {name!r} is no time. It must be a number of seconds since 1970.")
        return float(value)


def refuse(reason: str) -> NoReturn:
    """Raise the error for a token that is not believed, whoever signed it."""
    raise Unauthenticated(f"This token is not valid. {reason}", code="invalid_token")


def looks_like_jwt(text: str) -> bool:
    """Whether a credential is written like a token of an identity provider: base64url of '{', and dots."""
    return text.startswith(("ey", "ew", "e3")) and "." in text


def read_token(text: str) -> Token:
    """Read a token; its signature is not looked at. Raises Unauthenticated."""
    if len(text) > MAX_TOKEN_CHARS:
        refuse(
            f"It has {len(text)} characters, and at most {MAX_TOKEN_CHARS} are read. "
            "Have the identity provider put fewer claims into it."
        )
    if not text.isascii():
        refuse("It has characters that no token has. Send it as the identity provider gave it.")
    parts = text.encode("ascii").split(b".", 5)
    if len(parts) != 3 or not all(parts):
        _refuse_parts(len(parts))
    header = _json_object(_base64url(parts[0], "header"), "header")
    algorithm, kid = _check_header(header)
    claims = _json_object(_base64url(parts[1], "claims"), "claims")
    return Token(algorithm, kid, claims, b"%b.%b" % (parts[0], parts[1]), _base64url(parts[2], "signature"))


def find_claim(claims: dict[str, Any], name: str) -> Any:
    """The claim of a name, or else of a path with dots into nested objects; None where there is none.

    A name with dots comes first, at every step: "https://app.example/plan" is one, not a path.
    """
    if name in claims:
        return claims[name]
    dot = name.find(".")
    while dot >= 0:
        inner = claims.get(name[:dot])
        if type(inner) is dict:
            found = find_claim(cast("dict[str, Any]", inner), name[dot + 1 :])
            if found is not None:
                return found
        dot = name.find(".", dot + 1)
    return None


def cut(text: str) -> str:
    """A foreign text for a message: short, and with nothing in it that a terminal would act on."""
    return repr(text if len(text) <= 80 else f"{text[:80]}…")


def _refuse_parts(count: int) -> NoReturn:
    if count == 5:  # RFC 7516 §3.1
        refuse(
            "It is encrypted (JWE). Ask the identity provider for a signed one; "
            "some give those only where an audience is asked for."
        )
    refuse("It must have three parts with dots between: header, claims and signature.")


# --- base64url ----------------------------------------------------------------------------------

# To the alphabet that Python decodes quickly; what is none of ours becomes what is none of its.
_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"===", b"==", b"=")


def _base64url(part: bytes, name: str) -> bytes:
    """Decode canonical base64url (RFC 7515 §2): what would be written differently is refused.

    Padding, white space, other letters and last bits that mean nothing all show when it is written again.
    """
    padded = part.translate(_TO_STANDARD) + _PADDING[len(part) % 4]
    try:
        decoded = binascii.a2b_base64(padded)
    except binascii.Error:
        decoded = b""
    if binascii.b2a_base64(decoded, newline=False) != padded:
        refuse(f"Its {name} is not base64url without padding. Send it as the identity provider gave it.")
    return decoded


# --- JSON ---------------------------------------------------------------------------------------

_decode = msgspec.json.Decoder().decode
_ESCAPE = re.compile(rb"\\.", re.DOTALL)


def _json_object(text: bytes, name: str) -> dict[str, Any]:
    """Decode a JSON object in which no name comes twice, at any depth (RFC 7515 §4, RFC 7519 §4).

    A decoder keeps one of two members that have the same name and drops a string at least, the other's name. So it
    dropped none where there are as many strings as the text has pairs of quotation marks that are not escaped.
    """
    try:
        value = _decode(text)
    except (ValueError, RecursionError):
        refuse(f"Its {name} cannot be read: no JSON in UTF-8, or too deeply nested.")
    if type(value) is not dict:
        refuse(f"Its {name} must be a JSON object.")
    members = cast("dict[str, Any]", value)
    bare = text if b"\\" not in text else _ESCAPE.sub(b"", text)
    if bare.count(b'"') != 2 * _count_strings(members, 1):
        refuse(f"Its {name} has a name twice, or is nested deeper than {_MAX_DEPTH} levels.")
    return members


def _count_strings(value: dict[str, Any] | list[Any], depth: int) -> int:
    """How many strings there are in it, names too; less than none where it is too deep."""
    if depth > _MAX_DEPTH:
        return -MAX_TOKEN_CHARS
    members: Iterable[Any] = value
    count = 0
    if isinstance(value, dict):
        members = value.values()
        count = len(value)
    for each in members:
        if isinstance(each, str):
            count += 1
        elif isinstance(each, (dict, list)):
            count += _count_strings(cast("dict[str, Any] | list[Any]", each), depth + 1)
    return count


# --- the header ---------------------------------------------------------------------------------

# Keys that the token brings itself or tells where to get (RFC 7515 §4.1.2-6), what we must understand and do not
# (§4.1.11, RFC 7797), and what says that the claims are packed otherwise.
_REFUSED = ("crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc", "cty")
_REFUSED_SET = frozenset(_REFUSED)
# RFC 8725 §3.11: a token of another purpose says so here. Access tokens: RFC 9068 §2.1.
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})


def _check_header(header: dict[str, Any]) -> tuple[str, str | None]:
    """The algorithm and the key's id. Raises Unauthenticated."""
    if not _REFUSED_SET.isdisjoint(header):
        name = next(name for name in _REFUSED if name in header)
        refuse(f"Its header has {name!r}, which is not taken. Have the identity provider sign plain tokens.")
    algorithm = header.get("alg")
    if type(algorithm) is not str:
        refuse("Its header must say by 'alg' how it is signed.")
    kind = header.get("typ", "JWT")
    if kind != "JWT" and (type(kind) is not str or kind.lower() not in _TYPES):
        told = cut(kind) if type(kind) is str else "no string"
        refuse(f"Its 'typ' is {told}, and only JWT and at+jwt are taken. Send the access or ID token.")
    if "kid" not in header:
        return algorithm, None
    kid = header["kid"]
    if type(kid) is not str or len(kid) > _MAX_KID_CHARS:
        refuse(f"Its 'kid' must be a string of at most {_MAX_KID_CHARS} characters.")
    return algorithm, kid
