"""Attachments: a file goes along where a request names it, the caller's own alone, within a bound."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from frontdesk.core.errors import BadRequest
from frontdesk.policies.attachments import Attachment, Attachments
from frontdesk.turn.items import EmbeddingRequest, Image, Message, Prompt, Text, ToolOutput, Unknown
from frontdesk.turn.sizes import measure
from frontdesk.turn.turn import Caller, Turn
from tests.fakes import HandClock

PDF, PNG, NOT_MINE = (f"file-{digit * 32}" for digit in "abc")
CONTENTS = {PDF: (b"%PDF-1.4", "a.pdf", "application/pdf"), PNG: (b"\x89PNG", "a.png", "image/png")}
PDF_URL = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.4").decode()
PNG_URL = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
USER = Caller("user", "sess_1", "u1")


class Shelf:
    """Some files of u1's."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def find(self, caller: Caller, file_id: str) -> Attachment | None:
        self.asked.append(file_id)
        if caller.person != "u1" and caller.role == "user":
            return None
        if file_id not in CONTENTS:
            return None
        content, filename, media_type = CONTENTS[file_id]
        return Attachment(file_id, filename, media_type, len(content))

    async def in_base64(self, caller: Caller, attachment: Attachment) -> str:
        return base64.b64encode(CONTENTS[attachment.id][0]).decode()


def turn_of(prompt: Any, caller: Caller = USER) -> Turn:
    return Turn("chat", caller, "fast", prompt, HandClock())


async def attached(prompt: Any, caller: Caller = USER, max_bytes: int = 1000) -> Any:
    turn = turn_of(prompt, caller)
    waiting = Attachments(Shelf(), max_bytes).admit(turn)
    if waiting is not None:
        await waiting
    return turn.request


def chat(*parts: dict[str, Any]) -> Prompt:
    return Prompt([Message("user", [Text("what is it"), *(Unknown(part, "chat") for part in parts)])])


def responses(*parts: dict[str, Any]) -> Prompt:
    return Prompt([Message("user", [Unknown(part, "responses") for part in parts])], dialect="responses")


def chat_file(**fields: Any) -> dict[str, Any]:
    return {"type": "file", "file": fields}


async def test_chat_gets_the_file() -> None:
    prompt = await attached(chat(chat_file(file_id=PDF), chat_file(file_id=PDF, filename="mine.pdf")))

    assert prompt == chat(
        chat_file(filename="a.pdf", file_data=PDF_URL), chat_file(filename="mine.pdf", file_data=PDF_URL)
    )


async def test_responses_get_files_and_pictures() -> None:
    prompt = await attached(
        responses(
            {"type": "input_file", "file_id": PDF, "detail": "low"},
            {"type": "input_image", "file_id": PNG, "detail": "high"},
            {"type": "input_image", "file_id": PNG, "prompt_cache_breakpoint": {"mode": "explicit"}},
        )
    )

    assert prompt.items[0].content == [
        Unknown({"type": "input_file", "detail": "low", "filename": "a.pdf", "file_data": PDF_URL}, "responses"),
        Image(PNG_URL, "high"),
        Unknown(
            {"type": "input_image", "prompt_cache_breakpoint": {"mode": "explicit"}, "image_url": PNG_URL}, "responses"
        ),
    ]


async def test_outputs_of_tools_have_parts_as_well() -> None:
    part = {"type": "input_file", "file_id": PDF}
    raw = {"type": "function_call_output", "call_id": "1", "output": [part, "odd"], "async": True}
    filled = {"type": "input_file", "filename": "a.pdf", "file_data": PDF_URL}

    prompt = await attached(
        Prompt([ToolOutput("1", [Unknown(part, "responses")]), Unknown(raw, "responses")], dialect="responses")
    )

    assert prompt.items == [
        ToolOutput("1", [Unknown(filled, "responses")]),
        Unknown({**raw, "output": [filled, "odd"]}, "responses"),
    ]


async def test_a_request_that_names_none_is_the_same_object_and_asks_nobody() -> None:
    shelf = Shelf()
    for request in (
        Prompt([Message("user", "hello")]),
        chat(chat_file(file_data=PDF_URL, filename="a.pdf"), {"type": "input_audio", "input_audio": {}}),
        responses({"type": "input_image", "image_url": PNG_URL}, {"type": "input_text", "file_id": PDF}),
        Prompt([Unknown({"type": "reasoning", "content": None}, "responses")], dialect="responses"),
        EmbeddingRequest(["file-" + "a" * 32]),
    ):
        turn = turn_of(request)
        assert Attachments(shelf, 1000).admit(turn) is None
        assert turn.request is request
    assert shelf.asked == []


@pytest.mark.parametrize("file_id", [NOT_MINE, "file-of-the-provider", "", "../../etc/passwd", "x" * 5000])
@pytest.mark.parametrize("wire", ["chat", "responses"])
async def test_people_name_their_own_files_alone(wire: str, file_id: str) -> None:
    prompt = (
        chat(chat_file(file_id=file_id)) if wire == "chat" else responses({"type": "input_file", "file_id": file_id})
    )

    with pytest.raises(BadRequest) as refused:
        await attached(prompt)

    assert (refused.value.code, refused.value.param) == ("file_not_found", "messages" if wire == "chat" else "input")
    assert len(refused.value.message) < 200


async def test_what_is_anothers_is_told_of_as_what_never_was() -> None:
    refusals = []
    for file_id in (PDF, NOT_MINE):
        with pytest.raises(BadRequest) as refused:
            await attached(chat(chat_file(file_id=file_id)), Caller("user", "sess_2", "u2"))
        refusals.append(refused.value.message.replace(file_id, "ID"))

    assert refusals[0] == refusals[1]


async def test_what_a_key_names_that_is_none_of_ours_is_its_providers() -> None:
    key = Caller("server", "key_1")
    foreign = chat_file(file_id="file-AbC123")

    prompt = await attached(chat(foreign, chat_file(file_id=PDF)), key)

    assert prompt == chat(foreign, chat_file(filename="a.pdf", file_data=PDF_URL))
    with pytest.raises(BadRequest):
        await attached(chat(chat_file(file_id=NOT_MINE)), key)


async def test_all_files_together_have_a_bound_each_time_that_one_is_named() -> None:
    twice = chat(chat_file(file_id=PDF), chat_file(file_id=PDF))
    size = 2 * len(CONTENTS[PDF][0])

    assert await attached(twice, max_bytes=size) is not twice
    with pytest.raises(BadRequest) as refused:
        await attached(twice, max_bytes=size - 1)
    assert refused.value.code == "files_too_large"
    many = chat(*(chat_file(file_id=f"file-{number:032x}") for number in range(101)))
    with pytest.raises(BadRequest) as refused:
        await attached(many)
    assert refused.value.code == "too_many_files"


@pytest.mark.parametrize(
    "prompt",
    [
        chat(chat_file(file_id=PDF, file_data=PDF_URL)),
        responses({"type": "input_file", "file_id": PDF, "file_url": "https://a.example/b.pdf"}),
        responses({"type": "input_image", "file_id": PNG, "image_url": PNG_URL}),
        responses({"type": "input_image", "file_id": PDF}),
    ],
)
async def test_what_cannot_be_meant_is_refused(prompt: Prompt) -> None:
    with pytest.raises(BadRequest) as refused:
        await attached(prompt)

    assert refused.value.code == "invalid_value"


async def test_sizes_are_measured_of_what_is_sent() -> None:
    named = responses({"type": "input_image", "file_id": PNG})

    assert measure(await attached(named)) == measure(Prompt([Message("user", [Image(PNG_URL)])], dialect="responses"))
