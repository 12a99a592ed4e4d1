"""What a client says of where it is used: its language, its time zone, about where on the earth.

Pure readings of texts; None is the answer to what cannot be read. Whether somebody agreed is asked before.

Time zones are those of the system (`zoneinfo`, as /usr/share/zoneinfo has them). Where a system has none at all, any
name that is spelled as one is taken, and its time is UTC's, which is told with it.
"""

from __future__ import annotations

import functools
import re
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import NamedTuple

# --- languages ----------------------------------------------------------------------------------

# RFC 5646 §2.1, without the names that were registered before it. Extensions and private use are read past: a model
# has no use for them, and they would be a place for words of anybody's.
_LOCALE = re.compile(
    r"(?P<language>[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})"
    r"(?:-(?P<script>[A-Za-z]{4}))?"
    r"(?:-(?P<region>[A-Za-z]{2}|[0-9]{3}))?"
    r"(?P<variants>(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*)"
    r"(?P<extensions>(?:-[0-9A-WY-Za-wy-z](?:-[A-Za-z0-9]{2,8})+)*)"
    r"(?:-[Xx](?:-[A-Za-z0-9]{1,8})+)?"
)
_MAX_LOCALE_CHARS = 64


def read_locale(text: str) -> str | None:
    """A language tag of BCP 47 in its usual spelling: 'de-DE' for 'DE-de', 'zh-Hant-TW' for 'zh-hant-tw-x-any'."""
    match = _LOCALE.fullmatch(text) if len(text) <= _MAX_LOCALE_CHARS else None
    if match is None or _comes_twice(match["variants"].split("-")[1:]) or _comes_twice(_singletons(match)):
        return None
    parts = [match["language"].lower()]
    if match["script"]:
        parts.append(match["script"].title())
    if match["region"]:
        parts.append(match["region"].upper())
    return "-".join(parts) + match["variants"].lower()


def _singletons(match: re.Match[str]) -> list[str]:
    return [part for part in match["extensions"].split("-") if len(part) == 1]


def _comes_twice(parts: list[str]) -> bool:
    return len({part.lower() for part in parts}) < len(parts)


# --- time zones ---------------------------------------------------------------------------------

_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_MAX_ZONE_CHARS = 64
_NO_ZONES = frozenset({"Factory"})  # what systems have before anybody says which
_QUARTER_S = 900
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class LocalTimes(NamedTuple):
    """A moment as clocks show it in a zone: `now` to the quarter of an hour before, `date` to the day."""

    now: str
    date: str


TIMES: tuple[str, ...] = LocalTimes._fields


def read_zone(text: str) -> str | None:
    """The name of a time zone of IANA's, if this system knows it."""
    if len(text) > _MAX_ZONE_CHARS or not _ZONE.fullmatch(text) or text in _NO_ZONES:
        return None
    return None if _zone(text) is None else text


def local_times(zone: str, at_s: float) -> LocalTimes:
    """A moment in a zone that `read_zone` has read; `at_s` is in seconds since 1970.

    What providers cache of a prompt is its beginning, so the time changes four times an hour and not with each request.
    """
    local = datetime.fromtimestamp(at_s // _QUARTER_S * _QUARTER_S, _zone(zone) or UTC)
    date = f"{_DAYS[local.weekday()]}, {local:%Y-%m-%d}"
    return LocalTimes(f"{date}, {local:%H:%M} ({timezone(local.utcoffset() or timedelta())})", date)


@functools.lru_cache(maxsize=1_024)  # of names that were asked for, also such as nobody knows
def _zone(name: str) -> tzinfo | None:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # no file, none of zones, or a folder
        return None if _has_zones() else UTC


def _has_zones() -> bool:
    try:
        zoneinfo.ZoneInfo("Etc/UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


# --- places -------------------------------------------------------------------------------------

CONSENT = "consent"
"""What stands behind a place, after a semicolon, where its person agrees that it is used."""
MAX_PLACE_CHARS = 80

_COORDINATES = re.compile(r" *([+-]?[0-9]{1,3}(?:\.[0-9]{1,20})?) *, *([+-]?[0-9]{1,3}(?:\.[0-9]{1,20})?) *")
_TENTH = Decimal("0.1")
_MOST_DEGREES = (90, 180)


def coarse_place(text: str) -> str:
    """Coordinates rounded to a tenth of a degree, which is about 11 km; whatever else it is, as it came."""
    match = _COORDINATES.fullmatch(text)
    return text if match is None else ",".join(_rounded(degrees) for degrees in match.groups())


def read_coordinates(text: str) -> str | None:
    """A latitude and a longitude, if they are on the earth and rounded to a tenth of a degree, or coarser."""
    match = _COORDINATES.fullmatch(text)
    if match is None:
        return None
    degrees = [Decimal(each) for each in match.groups()]
    if any(each != each.quantize(_TENTH) for each in degrees):
        return None
    if any(abs(each) > most for each, most in zip(degrees, _MOST_DEGREES, strict=True)):
        return None
    return ",".join(_rounded(each) for each in match.groups())


def could_be_exact(text: str) -> bool:
    """Whether a text may say more than the name of a place: a number of a house, a postal code, other coordinates."""
    return any(char.isnumeric() for char in text)


def _rounded(degrees: str) -> str:
    return f"{Decimal(degrees).quantize(_TENTH) + 0:.1f}"  # adding nothing takes the sign of -0.0
