"""Session cookies are read strictly, and set so that no page can read or plant them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from frontdesk.accounts import cookies
from frontdesk.accounts.service import Session
from frontdesk.core.errors import BadRequest

NAMES = {True: b"__Host-frontdesk_session", False: b"frontdesk_session"}
REFRESH_NAMES = {True: b"__Host-frontdesk_refresh", False: b"frontdesk_refresh"}


@pytest.mark.parametrize("is_secure", [True, False])
@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"%s=abc", b"abc"),
        (b"a=1; %s=abc; b=2", b"abc"),
        (b"a=1;%s=abc;b=2", b"abc"),
        (b"a=1; \t%s=abc \t; b=2", b"abc"),
        (b"%s=a=b", b"a=b"),
        (b"%s=", b""),
        (b"%s", None),
        (b"x%s=abc", None),
        (b"%sx=abc", None),
        (b"%s =abc", None),
        (b"a=%s=abc", None),
        (b'a="; %s=abc"', b'abc"'),  # a quote hides no semicolon: browsers know none either
        (b"a=1, %s=abc", None),
        (b"", None),
    ],
)
def test_the_cookie_of_this_name_alone(is_secure: bool, header: bytes, value: bytes | None) -> None:
    for read, names in ((cookies.session_token, NAMES), (cookies.refresh_token, REFRESH_NAMES)):
        cookie = header.replace(b"%s", names[is_secure])

        assert read(cookie, is_secure=is_secure) == value


def test_names_are_written_as_they_were_set() -> None:
    assert cookies.session_token(NAMES[False].upper() + b"=abc", is_secure=False) is None


def test_a_header_of_semicolons_costs_little() -> None:
    """60 kB of them took 6 ms by splitting, and a request is looked at twice."""
    header = b"frontdesk_session=x" + b";" * 60_000

    assert cookies.session_token(header, is_secure=False) == b"x"
    assert cost_of(lambda: cookies.session_token(header, is_secure=False)) < 0.6 * cost_of(lambda: pairs_of(header))


@pytest.mark.parametrize("filler", [b";", b"; ", b" ", b"\t", b"=", b"frontdesk_session", b" frontdesk_session="])
def test_a_header_twice_as_long_costs_twice_as_much(filler: bytes) -> None:
    short, long = (b"a=" + filler * (size // len(filler)) for size in (60_000, 480_000))

    costs = [cost_of(lambda cookie=cookie: cookies.session_token(cookie, is_secure=False)) for cookie in (short, long)]

    assert costs[1] < 3 * 8 * max(costs[0], 0.0001)


def pairs_of(header: bytes) -> list[bytes]:
    return [pair for pair in map(bytes.strip, header.split(b";")) if pair.startswith(b"frontdesk_session=")]


def cost_of(work: Callable[[], object]) -> float:
    """The seconds of CPU that some work takes, the best of several."""
    costs: list[float] = []
    for _ in range(9):
        began = time.thread_time()
        work()
        costs.append(time.thread_time() - began)
    return min(costs)


@pytest.mark.parametrize("is_secure", [True, False])
def test_each_scheme_has_its_own_name(is_secure: bool) -> None:
    assert cookies.session_token(NAMES[not is_secure] + b"=abc", is_secure=is_secure) is None
    assert cookies.refresh_token(REFRESH_NAMES[not is_secure] + b"=abc", is_secure=is_secure) is None
    both = NAMES[True] + b"=of-https; " + NAMES[False] + b"=of-http"
    assert cookies.session_token(both, is_secure=is_secure) == (b"of-https" if is_secure else b"of-http")


def test_two_of_one_name_are_refused_even_where_they_agree() -> None:
    for second in (b"abc", b"other", b""):
        with pytest.raises(BadRequest, match="frontdesk_session came 2 times") as refusal:
            cookies.session_token(b"frontdesk_session=abc; frontdesk_session=" + second, is_secure=False)
        assert refusal.value.code == "duplicate_cookie"


def test_kept_over_https() -> None:
    session = Session("sess_1", "fd_st_a.b", "u1", 3600, "fd_rt_c", 7200, is_anonymous=False)

    assert cookies.keeping(session, 600.5, is_secure=True) == [
        "__Host-frontdesk_session=fd_st_a.b; Max-Age=2999; Path=/; HttpOnly; SameSite=Lax; Secure",
        "__Host-frontdesk_refresh=fd_rt_c; Max-Age=6599; Path=/; HttpOnly; SameSite=Lax; Secure",
    ]


def test_what_another_session_left_is_cleared_with_it() -> None:
    """Else its refresh token brought its person back."""
    session = Session("sess_1", "fd_st_a.b", "u1", 3600, None, None, is_anonymous=False)

    assert cookies.keeping(session, 0, is_secure=False) == [
        "frontdesk_session=fd_st_a.b; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax",
        "frontdesk_refresh=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
    ]


def test_cleared_with_the_attributes_that_they_were_set_with() -> None:
    for is_secure in (True, False):
        session = Session("sess_1", "token", "u1", 3600, "refresh", 7200, is_anonymous=False)

        kept = cookies.keeping(session, 0, is_secure=is_secure)
        cleared = cookies.clearing(is_secure=is_secure)

        assert [bare(cookie) for cookie in cleared] == [bare(cookie) for cookie in kept]
        assert all("=; Max-Age=0;" in cookie for cookie in cleared)


def bare(cookie: str) -> str:
    """A Set-Cookie header without value and time."""
    parts = cookie.split("; ")
    return "; ".join([parts[0].partition("=")[0], *parts[2:]])


@pytest.mark.parametrize(("chars", "fits"), [(4000, True), (4072, True), (4073, False)])
def test_what_no_browser_keeps_does_not_fit(chars: int, fits: bool) -> None:
    long, short = "x" * chars, "x"

    for token, refresh_token in ((long, None), (short, long)):
        session = Session("sess_1", token, "u1", 3600, refresh_token, 7200, is_anonymous=False)
        assert cookies.fit(session) == fits
        kept = max(cookies.keeping(session, 0, is_secure=True), key=len)
        assert (len(kept.partition("; ")[0]) - 1 <= 4096) or not fits
