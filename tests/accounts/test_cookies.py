"""Session cookies are read strictly, and set so that no page can read or plant them."""

from __future__ import annotations

import pytest

from frontdesk.accounts import cookies
from frontdesk.accounts.service import Session
from frontdesk.core.errors import BadRequest

NAMES = {True: b"__Host-frontdesk_session", False: b"frontdesk_session"}
REFRESH_NAMES = {True: b"__Secure-frontdesk_refresh", False: b"frontdesk_refresh"}


@pytest.mark.parametrize("is_secure", [True, False])
@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"%s=abc", b"abc"),
        (b"a=1; %s=abc; b=2", b"abc"),
        (b"a=1;%s=abc;b=2", b"abc"),
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
        "__Secure-frontdesk_refresh=fd_rt_c; Max-Age=6599; Path=/api/sessions/refresh; HttpOnly; SameSite=Lax; Secure",
    ]


def test_what_another_session_left_is_cleared_with_it() -> None:
    """Else its refresh token brought its person back."""
    session = Session("sess_1", "fd_st_a.b", "u1", 3600, None, None, is_anonymous=False)

    assert cookies.keeping(session, 0, is_secure=False) == [
        "frontdesk_session=fd_st_a.b; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax",
        "frontdesk_refresh=; Max-Age=0; Path=/api/sessions/refresh; HttpOnly; SameSite=Lax",
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


@pytest.mark.parametrize(("chars", "fits"), [(4000, True), (4070, True), (4071, False)])
def test_what_no_browser_keeps_does_not_fit(chars: int, fits: bool) -> None:
    long, short = "x" * chars, "x"

    for token, refresh_token in ((long, None), (short, long)):
        session = Session("sess_1", token, "u1", 3600, refresh_token, 7200, is_anonymous=False)
        assert cookies.fit(session) == fits
        kept = max(cookies.keeping(session, 0, is_secure=True), key=len)
        assert (len(kept.partition("; ")[0]) - 1 <= 4096) or not fits
