"""Bytes of a text that rest on a source become its characters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.providers.gemini_sources import sources_in

TEXT = "Köln 🛎️ liegt am Rhein."
WEB = {"web": {"uri": "https://a.example", "title": "a.example"}}


def citation(start: int, end: int, url: str = "https://a.example", title: str = "a.example") -> dict[str, Any]:
    return {"type": "url_citation", "url": url, "title": title, "start_index": start, "end_index": end}


def grounded(**segment: Any) -> dict[str, Any]:
    return {"groundingChunks": [WEB], "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}]}


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.data())
def test_bytes_are_told_as_characters(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    segment: dict[str, Any] = {"endIndex": len(text[:end].encode())}
    if start:
        segment["startIndex"] = len(text[:start].encode())
    if data.draw(st.booleans()):
        segment["text"] = text[start:end]

    assert sources_in(text, [grounded(**segment)]) == [citation(start, end)]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        # What a stream counts from is not said: the words tell.
        (grounded(startIndex=3, endIndex=9, text="am Rhein"), [citation(14, 22)]),
        (grounded(startIndex=3, endIndex=9000, text="am Rhein"), [citation(14, 22)]),
        (grounded(endIndex=9, text="nicht da"), [citation(0, 23)]),
        (grounded(), [citation(0, 23)]),
        ({"groundingChunks": [WEB]}, [citation(0, 23)]),
        ({"groundingChunks": [{"retrievedContext": {"title": "no address"}}, {}]}, []),
        (
            {"groundingChunks": [{"maps": {"uri": "https://m.example", "title": "Dom", "placeId": "1"}}]},
            [citation(0, 23, "https://m.example", "Dom")],
        ),
        (
            {"groundingChunks": [WEB], "groundingSupports": [{"groundingChunkIndices": [7, -1, "0"]}, {}]},
            [citation(0, 23)],
        ),
        (
            {"citationSources": [{"startIndex": 0, "endIndex": 5, "uri": "https://c.example", "license": "MIT"}, {}]},
            [citation(0, 4, "https://c.example", "https://c.example")],
        ),
        (
            {
                "urlMetadata": [
                    {"retrievedUrl": "https://u.example", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"},
                    {"retrievedUrl": "https://v.example", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_ERROR"},
                ]
            },
            [citation(0, 23, "https://u.example", "https://u.example")],
        ),
        (
            {
                "groundingChunks": [
                    {"web": {"uri": "javascript:alert(1)", "title": "x"}},
                    {"retrievedContext": {"uri": "gs://bucket/file.pdf", "title": "file.pdf"}},
                ],
                "citationSources": [{"endIndex": 5, "uri": "file:///etc/hosts"}],
            },
            [],
        ),
        ({"groundingChunks": 5, "groundingSupports": "x", "citationSources": [5]}, []),
        ({"webSearchQueries": ["Köln"]}, []),
    ],
)
def test_a_source_stands_where_it_says_or_on_all_of_the_text(
    metadata: dict[str, Any], expected: list[dict[str, Any]]
) -> None:
    assert sources_in(TEXT, [metadata]) == expected


def test_what_chunks_of_a_stream_repeat_is_told_once() -> None:
    said = grounded(startIndex=17, endIndex=len(TEXT.encode()))

    assert len(sources_in(TEXT, [{"groundingChunks": [WEB]}, said, said])) == 1


@given(st.lists(st.sampled_from(["a", "ü", "€", "🛎"]), min_size=1), st.integers(0, 5000), st.data())
def test_a_place_deep_in_a_long_text_is_found(pieces: list[str], before: int, data: st.DataObject) -> None:
    text = "ß" * before + "".join(pieces) * 20
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    segment = {"startIndex": len(text[:start].encode()), "endIndex": len(text[:end].encode())}

    assert sources_in(text, [grounded(**segment)]) == [citation(start, end)]
