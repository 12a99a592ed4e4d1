"""Sounds, files and pictures of requests, in both of OpenAI's spellings."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.providers.parts import (
    Declined,
    Document,
    PictureFile,
    Sound,
    has_cache_mark,
    is_text_type,
    read_part,
    split_data_url,
)
from frontdesk.turn.items import Image, Text, Unknown

PDF = base64.b64encode(b"%PDF-1.7 invented").decode()
WORDS = base64.b64encode("Grüße".encode()).decode()


def test_a_sound_is_the_same_in_both_spellings() -> None:
    raw: dict[str, Any] = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "WAV"}}

    assert read_part(Unknown(raw, "chat")) == Sound("UklGRg==", "wav")
    assert read_part(Unknown(raw, "responses")) == Sound("UklGRg==", "wav")


def test_a_sound_may_be_a_data_url() -> None:
    raw = {"type": "input_audio", "input_audio": {"data": "data:audio/wav;base64,UklGRg==", "format": "wav"}}

    assert read_part(Unknown(raw, "chat")) == Sound("UklGRg==", "wav")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"file_data": f"data:application/pdf;base64,{PDF}"}, Document(None, "application/pdf", PDF)),
        (
            {"filename": "a.PDF", "file_data": f"data:application/octet-stream;base64,{PDF}"},
            Document("a.PDF", "application/pdf", PDF),
        ),
        ({"filename": "notes.md", "file_data": WORDS}, Document("notes.md", "text/markdown", WORDS)),
        ({"filename": "scan", "file_data": PDF}, Document("scan", "application/pdf", PDF)),
        ({"filename": "scan", "file_data": "AAAA"}, Document("scan", None, "AAAA")),
        ({"file_id": "file-1"}, Document(file_id="file-1")),
    ],
)
def test_a_file_is_the_same_in_both_spellings(fields: dict[str, Any], expected: Document) -> None:
    assert read_part(Unknown({"type": "file", "file": fields}, "chat")) == expected
    assert read_part(Unknown({"type": "input_file", **fields}, "responses")) == expected


def test_a_file_may_be_somewhere_else() -> None:
    url = "https://example.test/a.pdf?version=2#page=3"

    read = read_part(Unknown({"type": "input_file", "file_url": url}, "responses"))

    assert read == Document(None, "application/pdf", url=url)


def test_a_files_address_that_is_a_data_url_is_its_bytes() -> None:
    read = read_part(Unknown({"type": "input_file", "file_url": f"data:application/pdf;base64,{PDF}"}, "responses"))

    assert read == Document(None, "application/pdf", PDF)


def test_the_words_of_a_text_file_are_known() -> None:
    assert Document("a.txt", "text/plain", WORDS).text == "Grüße"
    assert Document("a.txt", "text/plain", base64.b64encode(b"\xff\xfe").decode()).text is None
    assert Document("a.txt", "text/plain", "no base64!").text is None
    assert Document("a.pdf", "application/pdf", PDF).text is None
    assert Document(None, "text/plain", url="https://example.test/a.txt").text is None


def test_a_picture_that_says_more_is_still_a_picture() -> None:
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    url = "https://example.test/a.png"
    in_chat = Unknown({"type": "image_url", "image_url": {"url": url, "detail": "low"}, **mark}, "chat")
    in_responses = Unknown({"type": "input_image", "image_url": url, "detail": "low", **mark}, "responses")

    assert read_part(in_chat) == Image(url, "low")
    assert read_part(in_responses) == Image(url, "low")
    assert has_cache_mark(in_chat)
    assert has_cache_mark(in_responses)


def test_a_picture_may_be_a_file_of_its_provider() -> None:
    read = read_part(Unknown({"type": "input_image", "file_id": "file-1", "detail": "high"}, "responses"))

    assert read == PictureFile("file-1", "high")


def test_a_refusal_is_its_words() -> None:
    assert read_part(Unknown({"type": "refusal", "refusal": "No."}, "chat")) == Declined("No.")


def test_texts_are_marked_in_what_they_say_besides() -> None:
    assert has_cache_mark(Text("Long.", {"prompt_cache_breakpoint": {"mode": "explicit"}}))
    assert not has_cache_mark(Text("Short."))
    assert not has_cache_mark(Text("Short.", {"prompt_cache_breakpoint": None}))
    assert not has_cache_mark(Image("https://example.test/a.png"))


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"type": "input_video", "url": "https://example.test/a.mp4"},
        {"type": "input_audio"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg=="}},
        {"type": "input_audio", "input_audio": "UklGRg=="},
        {"type": "file", "file": {}},
        {"type": "file", "file": {"filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": PDF, "file_id": "file-1"}},
        {"type": "input_file", "file_data": 7},
        {"type": "image_url", "image_url": "https://example.test/a.png"},
        {"type": "input_image"},
        {"type": "refusal", "refusal": None},
        {"type": ["file"]},
    ],
)
def test_what_nobody_knows_is_nothing(raw: dict[str, Any]) -> None:
    assert read_part(Unknown(raw, "chat")) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,iVBORw0=", ("image/png", "iVBORw0=")),
        ("DATA:Image/PNG;charset=utf-8;BASE64,iVBORw0=", ("image/png", "iVBORw0=")),
        ("data:image/png;base64,iVBO\r\n Rw0=", ("image/png", "iVBORw0=")),
        ("data:image/png;base64,iVBORw0%3D", ("image/png", "iVBORw0=")),
        ("data:;base64,SGk=", ("text/plain", "SGk=")),
        ("data:,Hi", ("text/plain", "SGk=")),
        ("data:text/html,%3Cp%3E", ("text/html", "PHA+")),
        ("data:image/png;base64", None),
        ("https://example.test/a,b", None),
        ("", None),
    ],
)
def test_data_urls_are_taken_apart(url: str, expected: tuple[str, str] | None) -> None:
    assert split_data_url(url) == expected


@given(st.binary(max_size=64), st.sampled_from(["image/png", "application/pdf", "text/plain"]))
def test_what_a_data_url_was_made_of_comes_back(content: bytes, media_type: str) -> None:
    encoded = base64.b64encode(content).decode()

    assert split_data_url(f"data:{media_type};base64,{encoded}") == (media_type, encoded)


_nonsense = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.just("data:text/plain;base64,%"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_kinds = st.sampled_from(["input_audio", "file", "input_file", "image_url", "input_image", "refusal", "other"])
_names = st.sampled_from(
    ["input_audio", "data", "format", "file", "file_data", "file_url", "file_id", "filename", "image_url", "url"]
)
_fields = st.dictionaries(_names, _nonsense, max_size=5)


@given(_kinds, _fields, _names, _fields)
def test_nonsense_is_read_without_a_failure(kind: str, outer: dict[str, Any], name: str, inner: dict[str, Any]) -> None:
    read = read_part(Unknown({**outer, name: inner, "type": kind}, "chat"))

    if isinstance(read, Document):
        assert sum(each is not None for each in (read.data_base64, read.url, read.file_id)) == 1
        assert read.text is None or is_text_type(read.media_type)
