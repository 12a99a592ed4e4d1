"""Dictionaries of Structured Fields: read as the RFC says, strictly, and told where they go wrong."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frontdesk.http.structured_fields import Bare, MalformedField, Member, parse_dictionary, render_dictionary


@pytest.mark.parametrize(
    ("field", "members"),
    [
        ("", {}),
        ("   ", {}),
        ('a="x"', {"a": Member("x", {})}),
        ('  a="x" ,\t b="y"  ', {"a": Member("x", {}), "b": Member("y", {})}),
        (r'a="say \"hi\" \\"', {"a": Member('say "hi" \\', {})}),
        ("a", {"a": Member(value=True, parameters={})}),
        ("a;x;y=?0", {"a": Member(value=True, parameters={"x": True, "y": False})}),
        ("a=?0", {"a": Member(value=False, parameters={})}),
        ("a=de-DE, b=Europe/Berlin", {"a": Member("de-DE", {}), "b": Member("Europe/Berlin", {})}),
        ("a=*x:y", {"a": Member("*x:y", {})}),
        ('a="52.5,13.4";consent', {"a": Member("52.5,13.4", {"consent": True})}),
        ('a="x"; consent;  n=1', {"a": Member("x", {"consent": True, "n": None})}),
        ('a=%"M%c3%bcnchen %25 \'"', {"a": Member("München % '", {})}),
        ("a=1, b=-1.5, c=999999999999999", {name: Member(None, {}) for name in "abc"}),
        ("a=@-1, b=:aGk=:, c=::", {name: Member(None, {}) for name in "abc"}),
        (
            'a=(), b=( 1 ), c=(x  "y";q=0.5 :aGk=:);p',
            {"a": Member(None, {}), "b": Member(None, {}), "c": Member(None, {"p": True})},
        ),
        ('a="x", a=?1', {"a": Member(value=True, parameters={})}),
        ('a="x";p=1;p="y"', {"a": Member("x", {"p": "y"})}),
        ("*a.b-c_d=1", {"*a.b-c_d": Member(None, {})}),
    ],
)
def test_a_dictionary_is_read(field: str, members: dict[str, Member]) -> None:
    assert parse_dictionary(field) == members


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (",", "At character 1 it needs a name of small letters."),
        ('a="x",', "At character 7 it needs another member behind the last ','."),
        ('a="x",,b', "At character 7 it needs a name of small letters."),
        ('a="x" b', "At character 7 it needs ',' and another member."),
        ("A=1", "At character 1 it needs a name of small letters."),
        ("1=1", "At character 1 it needs a name of small letters."),
        ("ä=1", "At character 1 it needs a name of small letters."),
        ("a=", "At character 3 it needs a value."),
        ("a= 1", "At character 3 it needs a value."),
        ("a =1", "At character 3 it needs ',' and another member."),
        ('a="x', "At character 3 it needs a string in quotes, of ASCII, that ends."),
        (r'a="\x"', "At character 3 it needs a string in quotes, of ASCII, that ends."),
        ('a="ü"', "At character 3 it needs a string in quotes, of ASCII, that ends."),
        ('a="x\n"', "At character 3 it needs a string in quotes, of ASCII, that ends."),
        ("a='x'", "At character 3 it needs a value."),
        ("a=?2", "At character 3 it needs '?0' or '?1'."),
        ("a=1.2345", "At character 3 it needs a number of at most 15 digits"),
        ("a=1.", "At character 3 it needs a number of at most 15 digits"),
        ("a=1234567890123456", "At character 3 it needs a number of at most 15 digits"),
        ("a=--1", "At character 3 it needs a number of at most 15 digits"),
        ("a=1x", "At character 4 it needs ',' and another member."),
        ("a=@1.5", "At character 3 it needs a date"),
        ("a=:aGk:", "At character 3 it needs bytes"),
        ("a=:a=Gk:", "At character 3 it needs bytes"),
        ("a=:aGk=", "At character 3 it needs bytes"),
        ('a=%"%C3%BC"', "At character 3 it needs a display string"),
        ('a=%"%ff"', "At character 3 it needs a display string"),
        ('a=%"ü"', "At character 3 it needs a display string"),
        ("a=%x", "At character 3 it needs a display string"),
        ("a=(1", "At character 5 it needs ' ' or ')'."),
        ("a=(1,2)", "At character 5 it needs ' ' or ')'."),
        ("a=((1))", "At character 4 it needs a value."),
        ("a;", "At character 3 it needs a name of small letters."),
        ("a;X=1", "At character 3 it needs a name of small letters."),
        ("a;x=(1)", "At character 5 it needs a value."),
        ('a="x";consent=', "At character 15 it needs a value."),
    ],
)
def test_what_is_none_is_told_with_its_place_and_without_its_values(field: str, said: str) -> None:
    with pytest.raises(MalformedField) as caught:
        parse_dictionary(field)

    assert str(caught.value).startswith(said)


KEYS = st.from_regex(r"[a-z*][a-z0-9_\-.*]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PARAMETERS: st.SearchStrategy[Any] = st.dictionaries(KEYS, TEXTS | st.booleans(), max_size=3)
MEMBERS = st.dictionaries(KEYS, st.builds(Member, TEXTS | st.booleans(), PARAMETERS), max_size=4)


@given(MEMBERS)
@example({"a": Member('%"\\', {"consent": True})})
@example({"a": Member("\x7f\x00\n", {"b": ""})})
def test_what_is_written_is_read_again(members: dict[str, Member]) -> None:
    field = render_dictionary(members)

    assert field.isascii()
    assert field.isprintable()
    assert parse_dictionary(field) == members


OPENERS = 'a="x", b=?1;c, d=%"%c3%bc", e=(1 tok);f=:aGk=:, g=-1.5, h=@7'
HOSTILE = st.text("abz*019-._\"\\%?:@()=;, \tü\x00'/", max_size=40) | st.text(string.printable, max_size=30)


@given(HOSTILE)
@example(OPENERS)
def test_any_text_is_read_or_refused_where_it_goes_wrong(field: str) -> None:
    try:
        members = parse_dictionary(field)
    except MalformedField as fault:
        place = int(str(fault).split()[2])
        assert 1 <= place <= len(field) + 1
        return
    texts: dict[str, Member] = {}
    for name, member in members.items():
        kept: dict[str, Bare] = {key: value for key, value in member.parameters.items() if value is not None}
        if member.value is not None:
            texts[name] = Member(member.value, kept)
    assert parse_dictionary(render_dictionary(texts)) == texts


@pytest.mark.parametrize("end", range(len(OPENERS)))
def test_a_field_that_breaks_off_says_less_or_is_refused(end: int) -> None:
    whole = parse_dictionary(OPENERS)
    try:
        part = parse_dictionary(OPENERS[:end])
    except MalformedField:
        return
    assert set(part) <= set(whole)
    assert all(part[name] == whole[name] for name in list(part)[:-1])
