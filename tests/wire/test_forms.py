"""A form's fields are as typed and as checked as those of JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from frontdesk.core.errors import BadRequest
from frontdesk.providers.forms import FormWriter
from frontdesk.wire.forms import check_files, one_file, read_form, view_form
from tests.wire.forms import PNG, WAV, a_form

LISTS = frozenset({"marks"})


class Asked(msgspec.Struct):
    name: str
    count: Annotated[int, Meta(ge=1)] | None = None
    share: float | None = None
    stream: bool = False
    kind: Literal["a", "b"] = "a"
    marks: list[str] | None = None
    inner: str | dict[str, Any] | None = None


def seen(*fields: tuple[str, Any]) -> Asked:
    writer = FormWriter()
    form = read_form(b"".join(writer.pieces(fields)), writer.content_type.encode(), LISTS)
    return view_form(form.fields, Asked)


def test_texts_that_hold_numbers_and_booleans_are_read_as_such() -> None:
    found = seen(("name", "1"), ("count", "2"), ("share", "0.5"), ("stream", "true"), ("kind", "b"))

    assert found == Asked("1", 2, 0.5, stream=True, kind="b")


@pytest.mark.parametrize(
    "fields",
    [
        [("marks[]", "x"), ("marks[]", "y")],
        [("marks", "x"), ("marks", "y")],
        [("marks", ["x", "y"])],
        [("marks", "x"), ("marks[]", "y")],
    ],
)
def test_lists_in_all_their_spellings(fields: list[tuple[str, Any]]) -> None:
    assert seen(("name", "n"), *fields).marks == ["x", "y"]


def test_a_list_of_one() -> None:
    assert seen(("name", "n"), ("marks", "x")).marks == ["x"]


def test_fields_of_an_object() -> None:
    assert seen(("name", "n"), ("inner[type]", "vad"), ("inner[level]", "0.5")).inner == {"type": "vad", "level": "0.5"}


def test_fields_deeper_inside_keep_their_path() -> None:
    writer = FormWriter()
    sent = b"".join(writer.pieces([("inner", {"type": "x", "deep][er": "y"})]))

    form = read_form(sent, writer.content_type.encode(), LISTS)

    assert b'name="inner[deep][er]"' in sent
    assert b"".join(writer.pieces(form.fields.items())) == sent


def test_a_file_that_nobody_reads_is_refused_by_its_field() -> None:
    form = read_form(*a_form(file=WAV, other=PNG), LISTS)

    check_files(form, frozenset({"file", "other"}))
    with pytest.raises(BadRequest) as refused:
        check_files(form, frozenset({"file"}))
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "other")


def test_a_text_where_a_file_belongs_is_refused_and_an_empty_one_says_nothing() -> None:
    check_files(read_form(*a_form(file=WAV, mask=""), LISTS), frozenset({"file", "mask"}))
    for fields in ({"file": WAV, "mask": "file-123"}, {"file": [WAV], "mask": ["file-123"]}):
        with pytest.raises(BadRequest) as refused:
            check_files(read_form(*a_form(**fields), LISTS), frozenset({"file", "mask"}))
        assert (refused.value.code, refused.value.param) == ("invalid_type", "mask")


def test_a_browsers_empty_choice_of_a_file_says_nothing() -> None:
    form = read_form(*a_form(file=WAV), LISTS)
    left_out = b'--b\r\nContent-Disposition: form-data; name="mask"; filename=""\r\n\r\n\r\n--b--\r\n'

    assert form.files == {"file": [WAV]}
    assert read_form(left_out, b"multipart/form-data; boundary=b", LISTS).files == {}


def test_what_says_nothing_is_as_left_out() -> None:
    assert seen(("name", "n"), ("count", ""), ("kind", ""), ("stream", "")) == Asked("n")


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ([], "name", "Missing required parameter: 'name'."),
        ([("name", "")], "name", "Missing required parameter: 'name'."),
        ([("name", "n"), ("name", "n")], "name", "'name' came twice. Send it once."),
        (
            [("name", "n"), ("count", "two")],
            "count",
            "Invalid value for 'count': expected an integer or null, not 'two'.",
        ),
        ([("name", "n"), ("count", "0")], "count", "Invalid value for 'count': expected an integer >= 1, not '0'."),
        ([("name", "n"), ("kind", "c")], "kind", "Invalid value for 'kind': 'c'. It must be one of 'a', 'b'."),
        ([("name", "n"), ("stream", "perhaps")], "stream", "Invalid value for 'stream': "),
        ([("name", "n"), ("inner", "x"), ("inner[type]", "x")], "inner", "'inner' came twice. Send it once."),
        ([("name", "n"), ("inner[type]", "x"), ("inner[type]", "x")], "inner", "'inner' came twice. Send it once."),
        ([("name", "n"), ("kind", "a"), ("kind[]", "a")], "kind", "'kind' came as a list and as a value. Send one."),
        ([("name", "n"), ("a]b[", "x")], "a]b[", "'a]b[' is no field's name."),
    ],
)
def test_what_is_wrong_is_told_by_field_and_value(fields: list[tuple[str, str]], param: str, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        seen(*fields)

    assert refused.value.param == param
    assert refused.value.message.startswith(words)


def test_a_file() -> None:
    form = read_form(*a_form(file=WAV, other="x"), LISTS)

    assert one_file(form, "file") == WAV
    assert form.fields == {"other": "x"}


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({}, "missing_required_parameter", "Missing required parameter: 'file'. Send it as a file."),
        ({"file": "text"}, "missing_required_parameter", "Missing required parameter: 'file'. Send it as a file."),
        ({"file": [WAV, PNG]}, "invalid_value", "'file' came 2 times. Send one file."),
        ({"file": msgspec.structs.replace(WAV, content=b"")}, "invalid_value", "The file 'file' is empty."),
    ],
)
def test_a_file_that_is_needed(fields: dict[str, Any], code: str, words: str) -> None:
    form = read_form(*a_form(other="x", **fields), LISTS)

    with pytest.raises(BadRequest) as refused:
        one_file(form, "file")

    assert (refused.value.code, refused.value.param, refused.value.message) == (code, "file", words)
