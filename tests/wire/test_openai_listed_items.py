"""Input as it is listed: each item has an id, always the same, and OpenAI's document describes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.turn.items import Message, Text
from frontdesk.wire.openai_conversation_answers import LISTED
from frontdesk.wire.openai_listed_items import listed_input
from frontdesk.wire.openai_responses import read_items, read_responses
from tests.peers.document import Answer, Document, packaged_document

OPENAI = Document(packaged_document())
HEX = "0199aaaabbbb7ccc8dddeeeeffff0000"
BROUGHT_BY = f"resp_{HEX}"

WORDS = st.text(max_size=8)
IDS = st.none() | st.sampled_from(["msg_1", "msg_2", f"msg_{HEX}00", f"fc_{HEX}01", "", "a b", "x" * 129, "\0"])
PARTS = st.one_of(
    st.builds(lambda text: {"type": "input_text", "text": text}, WORDS),
    st.builds(lambda text: {"type": "text", "text": text}, WORDS),
    st.builds(lambda text: {"type": "output_text", "text": text, "annotations": None}, WORDS),
    st.builds(lambda text: {"type": "refusal", "refusal": text}, WORDS),
    st.builds(
        lambda detail: {"type": "input_image", "image_url": "data:image/png;base64,aa", "detail": detail},
        st.sampled_from([None, "low"]),
    ),
    st.just({"type": "input_file", "file_id": "file-1", "filename": None}),
    st.just({"type": "input_sound", "odd": [1]}),
)
CONTENT = WORDS | st.lists(PARTS, max_size=3)


def item(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Items with these fields, some of which may be left out or be null."""
    return st.fixed_dictionaries(
        {name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in fields.items()},
        optional={"id": IDS, "status": st.sampled_from([None, "completed", "incomplete"])},
    )


ROLES = st.sampled_from(["user", "assistant", "system", "developer"])
ITEMS = st.one_of(
    item(role=ROLES, content=CONTENT),
    item(role=ROLES, content=CONTENT, type=st.sampled_from([None, "message"])),
    item(type="function_call", call_id="c", name="f", arguments="{}"),
    item(type="function_call_output", call_id="c", output=CONTENT),
    item(type="custom_tool_call", call_id="c", name="f", input=WORDS),
    item(type="custom_tool_call_output", call_id="c", output=CONTENT),
    item(type="reasoning", content=st.none() | st.just([{"type": "reasoning_text", "text": "hm"}])),
    st.just({"type": "compaction", "encrypted_content": "sealed", "id": None}),
    st.builds(lambda kind: {"type": kind, "id": "msg_9"}, st.sampled_from([None, "item_reference"])),
    item(type="weather_report", content=st.just([{"type": ["odd"]}])),
)


@given(st.lists(ITEMS, max_size=12))
def test_each_item_has_an_id_of_its_own_that_stays(given_items: list[dict[str, Any]]) -> None:
    before = json.dumps(given_items)

    listed = listed_input(given_items, BROUGHT_BY)

    assert json.dumps(given_items) == before
    assert listed_input(given_items, BROUGHT_BY) == listed
    ids = [item["id"] for item in listed if item["type"] != "item_reference"]
    assert len(set(ids)) == len(ids)
    assert all(LISTED.typed(item, "listed") is not None for item in listed if item["type"] != "weather_report")


@given(st.lists(ITEMS, min_size=1, max_size=12))
def test_what_is_listed_says_to_a_model_what_was_sent(given_items: list[dict[str, Any]]) -> None:
    sent = read_items(given_items, "input")
    listed = read_items(listed_input(given_items, BROUGHT_BY), "input")

    assert [essence(item) for item in listed] == [essence(item) for item in sent]
    assert listed_input(listed_input(given_items, BROUGHT_BY), BROUGHT_BY) == listed_input(given_items, BROUGHT_BY)


def essence(item: Any) -> Any:
    """An item without what a text and a part that says it differ in, and without what is usual in a part."""
    if isinstance(item, Message):
        content = [Text(item.content)] if isinstance(item.content, str) else item.content
        return item.role, item.extra, [plain(part) for part in content]
    if hasattr(item, "output"):
        return item.call_id, item.output if isinstance(item.output, str) else [plain(part) for part in item.output]
    if hasattr(item, "raw"):
        raw = item.raw
        rest = {name: raw[name] for name in raw if name not in ("id", "status", "summary") and raw[name] is not None}
        output = rest.pop("output", None)
        return rest, output if not isinstance(output, list) else [
            part["type"].removeprefix("input_") for part in output
        ]
    return item


def plain(part: Any) -> Any:
    raw = getattr(part, "raw", None)
    if raw is not None:
        return {name: value for name, value in raw.items() if value is not None and name != "detail"}
    return getattr(part, "text", None) or getattr(part, "url", "")


def test_ids_are_made_of_the_response_and_the_place() -> None:
    given_items = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b", "id": "msg_mine"},
        {"type": "function_call_output", "call_id": "c", "output": "x", "id": None},
        {"type": "compaction", "encrypted_content": "s"},
        {"role": "user", "content": "again", "id": "msg_mine"},
        {"type": "weather_report"},
    ]

    assert [item["id"] for item in listed_input(given_items, BROUGHT_BY)] == [
        f"msg_{HEX}00",
        "msg_mine",
        f"fco_{HEX}02",
        f"cmp_{HEX}03",
        f"msg_{HEX}04",
        f"item_{HEX}05",
    ]
    assert listed_input("x", f"chatcmpl-{HEX}")[0]["id"] == f"msg_{HEX}00"


def test_many_items_have_longer_places() -> None:
    listed = listed_input([{"role": "user", "content": "x"}] * 300, BROUGHT_BY)

    assert (listed[255]["id"], listed[256]["id"]) == (f"msg_{HEX}ff", f"msg_{HEX}100")
    assert len({item["id"] for item in listed}) == 300


def test_nothing_is_listed_of_nothing() -> None:
    assert listed_input(None, BROUGHT_BY) == listed_input([], BROUGHT_BY) == []


EVERY_KIND: list[dict[str, Any]] = [
    {"role": "user", "content": "hi"},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "see"},
            {"type": "input_image", "image_url": "https://example.test/a.png"},
            {"type": "input_file", "file_id": "file-1"},
        ],
    },
    {"role": "developer", "content": "be brief"},
    {"role": "assistant", "content": "hello", "phase": "commentary"},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "x"},
    {"type": "custom_tool_call", "call_id": "c2", "name": "f", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "x"}]},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}], "encrypted_content": "s"},
    {"type": "compaction", "encrypted_content": "s"},
]


@pytest.mark.parametrize("path", ["/v1/responses/resp_1/input_items", "/v1/conversations/conv_1/items"])
@pytest.mark.parametrize("sent", EVERY_KIND, ids=lambda sent: sent.get("type") or sent["role"])
def test_openais_document_describes_what_is_listed(sent: dict[str, Any], path: str) -> None:
    read_responses(json.dumps({"input": [sent]}).encode())
    listed = listed_input([sent], BROUGHT_BY)

    body = {"object": "list", "data": listed, "first_id": "a", "last_id": "a", "has_more": False}
    found = OPENAI.check(Answer("GET", path, 200, "application/json", json.dumps(body).encode()))

    assert [str(finding) for finding in found] == []
