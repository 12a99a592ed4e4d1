"""A value is taken out of a text where it is marked, and only where it fits; no text makes it long."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontdesk.providers.schema_hints import Hints, object_in
from frontdesk.providers.schema_sample import sample

TEXT: dict[str, Any] = {"type": "string"}
WHOLE: dict[str, Any] = {"type": "integer"}
NUMBER: dict[str, Any] = {"type": "number"}


def taken(text: str, **properties: Any) -> dict[str, Any]:
    return sample({"type": "object", "properties": properties, "required": list(properties)}, Hints(text))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("f(3)", [3]),
        ("12 and -4, then 2.50 or 1e5.", [12, -4, 2.5]),
        ("5-3 10:30 30% $7 3. (8)", [5, 3, 10, 30, 30, 7, 3, 8]),
        ("v2 1.2.3 .5 x_4 3rd 9a 12345678901234567890", []),
        ("三是3円", [3]),
    ],
)
def test_numbers_are_those_that_json_would_have(text: str, numbers: list[float]) -> None:
    hints = Hints(text)

    assert [hints.number(None, lambda _: True) for _ in numbers] == numbers
    assert hints.number(None, lambda _: True) is None


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("""'a b', "c" and `d`""", ["a b", "c", "d"]),
        ("“e” „f“ «g» 「h」", ["e", "f", "g", "h"]),
        ("say 'it's O'Brien' twice", ["it's O'Brien"]),
        ("what's in this user's image", []),
        ("名前は'太郎'と'花子'です", ["太郎", "花子"]),
        ("\"one\nline\" only, '' is nothing", []),
        (f"'{'x' * 200}' '{'y' * 201}'", ["x" * 200]),
    ],
)
def test_texts_are_those_in_quotes(text: str, quoted: list[str]) -> None:
    hints = Hints(text)

    assert [hints.text(None, lambda _: True) for _ in quoted] == quoted
    assert hints.text(None, lambda _: True) is None


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("The customer name is Ada Lovelace and she is here.", "customer_name", "Ada Lovelace"),
        ("The customer name is Ada Lovelace, isn't it?", "customerName", "Ada Lovelace"),
        ("Customer-Name: 'Ada, and Bob'", "customer name", "Ada, and Bob"),
        ("my first name is Ada", "name", "Ada"),
        ("**Name:** Ada\n**City**: Bergen\n", "city", "Bergen"),
        ("**Name:** Ada\n**City**: Bergen\n", "name", "Ada"),
        ('{"city": "Bergen", "days": 3}', "city", "Bergen"),
        ('{"city": "Bergen", "days": 3}', "days", "3}"),
        ("f(city=Bergen)", "city", "Bergen"),
        ("mail is a@b.de. Thanks", "mail", "a@b.de"),
        ("version: 1.2.3", "version", "1.2.3"),
        ("名前：太郎、年齢：3", "年齢", "3"),  # noqa: RUF001 - a wide colon
        ("city: Bergen, city: Oslo", "city", "Bergen"),
        ("How is it in the city?", "city", None),
        ("cityscape is grey", "city", None),
        ("city: {}", "city", None),
        ("city:", "city", None),
        ("city\nis: Bergen", "city", None),
    ],
)
def test_a_name_is_followed_by_its_value(text: str, name: str, said: str | None) -> None:
    assert Hints(text).named(name) == said


def test_a_named_value_goes_to_its_name_and_to_no_other() -> None:
    text = "Note 'hello' for name 'ignored', name is 'Ada', b = 2, and 7"

    assert taken(text, greeting=TEXT, name=TEXT, a=WHOLE, b=WHOLE) == {
        "greeting": "hello",
        "name": "Ada",
        "a": 7,
        "b": 2,
    }


def test_values_without_names_are_given_once_and_in_order() -> None:
    assert taken("'x' 1 2 'y'", a=WHOLE, b=TEXT, c=NUMBER, d=TEXT, e=WHOLE, f=TEXT) == {
        "a": 1,
        "b": "x",
        "c": 2,
        "d": "y",
        "e": 1,
        "f": "text",
    }
    assert taken("2, 4 and 6", list={"type": "array", "items": WHOLE, "minItems": 2}) == {"list": [2, 4]}


def test_names_of_properties_are_no_values() -> None:
    assert taken("a `city` and a 'name' for 'Ada'", name=TEXT, city=TEXT) == {"name": "Ada", "city": "text"}


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        (WHOLE | {"minimum": 1900}, "day 5 of 2024", 2024),
        (WHOLE | {"exclusiveMaximum": 5}, "5 or 4", 4),
        (WHOLE, "2.5 or 3.0", 3),
        (WHOLE | {"multipleOf": 4}, "6 or 8", 8),
        (NUMBER | {"multipleOf": 0.01}, "19.999 or 19.99", 19.99),
        (WHOLE | {"maximum": 0}, "9", 0),
        (WHOLE | {"maximum": 9}, "it = 10, or 3", 1),
        (WHOLE, "it is unknown, or 3", 1),
        (NUMBER, "it is 20.5 degrees", 20.5),
        (TEXT | {"minLength": 3}, "'ab' or 'abc'", "abc"),
        (TEXT | {"maxLength": 3}, "it: long", "tex"),
        (TEXT | {"pattern": "^t"}, "it: 'x'", "text"),
        (TEXT, "it: 12345", "12345"),
        ({"const": 1}, "it: 2", 1),
        ({"enum": ["low", "high"]}, "it is high.", "high"),
        ({"enum": ["low", "high"]}, "it is higher.", "low"),
        ({"enum": [1, None]}, "it", 1),
        ({"type": "boolean"}, "it: False", False),
        ({"type": "boolean"}, "it: 'x'", True),
        ({"type": ["string", "null"]}, "'x'", "x"),
        ({"anyOf": [WHOLE, {"type": "null"}]}, "other = 7, it = 8", 8),
        ({"allOf": [{"$ref": "#/properties/it/part"}], "part": WHOLE}, "it = 8", 8),
        (TEXT | {"title": "Home town"}, "home town: Bergen", "Bergen"),
    ],
)
def test_the_schema_rules(schema: dict[str, Any], text: str, expected: Any) -> None:
    value = taken(text, it=schema)

    assert value == {"it": expected}
    assert type(value["it"]) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Return this as json: `a = 1`", {"a": 1}),
        ("b=true, c = 'x y', d= -2.50, e = null; f == 3", {"b": True, "c": "x y", "d": -2.5, "e": None}),
        ("JSON with keys a and b", {"a": "text", "b": "text"}),
        ("with the fields name, age, and city. name: Ada, age: 36", {"name": "Ada", "age": 36, "city": "text"}),
        ("JSON with 'set up' and \"end\" keys. Nothing else.", {"set up": "text", "end": "text"}),
        ("It has the key `x`, and keys: y, z", {"x": "text", "y": "text", "z": "text"}),
        ('Answer like {"a": [1, null], "ü": {"b": "x = 2"}}!', {"a": [1, None], "ü": {"b": "x = 2"}}),
        ("Answer in JSON: where is it? The keys are lost.", {}),
        ('{"a": NaN}', {}),
        ('{"a": 1e999}', {}),
        (r'{"a": "\ud800"}', {}),
        ('{"a": ' + "[" * 999 + "]" * 999 + "}", {}),
        ("", {}),
    ],
)
def test_an_object_is_shown_or_its_keys_are_named(text: str, expected: dict[str, Any]) -> None:
    assert object_in(text) == expected


MARKS = st.sampled_from([*"\"'`„“:=,.{}[]-01a \t\n", " is ", " and ", "keys", "with ", "'a' ", "名"])


@settings(max_examples=300, deadline=None)
@given(st.lists(MARKS, max_size=12), st.integers(1, 2000))
def test_no_text_takes_long_or_makes_what_is_no_json(marks: list[str], times: int) -> None:
    text = "".join(marks) * times

    assert json.loads(json.dumps(taken(text, a=TEXT, b=WHOLE), allow_nan=False)) == taken(text, a=TEXT, b=WHOLE)
    assert json.loads(json.dumps(object_in(text), allow_nan=False)) == object_in(text)


def test_only_the_beginning_of_a_text_counts() -> None:
    assert taken(" " * 4095 + "7", it=WHOLE) == {"it": 7}
    assert taken(" " * 4096 + "7", it=WHOLE) == {"it": 1}
    assert object_in(" " * 4096 + "a = 7") == {}


def test_numbers_that_never_fit_are_not_tried_for_ever() -> None:
    many = {"type": "array", "minItems": 9000, "items": WHOLE | {"multipleOf": 7919, "minimum": 1}}
    tries = Hints("3 " * 100)

    assert sample(many, tries) == [7919] * 9000
    assert tries.number(None, lambda _: True) is None
