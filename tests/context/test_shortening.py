"""What is told in part says so, and holds its beginning and its end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from frontdesk.context.shortening import WHOLE, output_texts, shortened, shown, with_parts
from frontdesk.turn.items import Image, Item, Message, Text, ToolCall, ToolOutput, Unknown
from tests.context.histories import FILE

IMAGE = Image("https://example.com/a.png")
AUDIO = Unknown({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "chat")
CHAT_FILE = Unknown({"type": "file", "file": {"filename": '[b]\n".txt', "file_data": "data:,x"}}, "chat")


def test_a_text_in_part_is_its_beginning_and_its_end() -> None:
    text = "".join(f"line {number}\n" for number in range(1000))

    told = shortened(text, 90)

    assert told == f"{text[:60]}\n[... {len(text) - 90:,} characters are left out here to save room ...]\n{text[-30:]}"


@given(st.text(max_size=300), st.integers(-5, 300))
def test_what_is_left_of_a_text_is_its_own(text: str, chars: int) -> None:
    told = shortened(text, min(chars, len(text)))

    head, _, rest = told.partition("[... ")
    tail = rest.partition(" ...]")[2]
    assert text.startswith(head.removesuffix("\n"))
    assert text.endswith(tail.removeprefix("\n"))


def test_outputs_have_texts_and_messages_have_none_that_may_be_told_in_part() -> None:
    parts = [Text("a"), IMAGE, Text("b", {"prompt_cache_breakpoint": {}}), Text("c")]
    items: list[Item] = [Message("user", "x"), Message("user", [Text("x")]), ToolCall("1", "f", "{}")]

    assert list(output_texts(ToolOutput("1", "x"))) == [(WHOLE, "x")]
    assert list(output_texts(ToolOutput("1", parts))) == [(0, "a"), (3, "c")]
    assert [list(output_texts(item)) for item in items] == [[], [], []]


def test_a_note_says_what_was_there() -> None:
    message = Message("user", [Text("Look:"), IMAGE, Unknown(FILE, "responses"), AUDIO, CHAT_FILE])
    by_id = Unknown({"type": "input_image", "file_id": "file_1"}, "responses")
    refusal = Unknown({"type": "refusal", "refusal": "No."}, "responses")

    notes = {place: note.text for place, note in shown(message)}

    assert notes == {
        1: "[A picture was here. It is left out to save room.]",
        2: '[The file "a.pdf" was here. It is left out to save room.]',
        3: "[A recording was here. It is left out to save room.]",
        4: '[The file "b.txt" was here. It is left out to save room.]',
    }
    assert [place for place, _ in shown(ToolOutput("1", [by_id, refusal]))] == [0]
    assert list(shown(ToolOutput("1", "x"))) == []
    assert list(shown(ToolCall("1", "f", "{}"))) == []


def test_other_parts_take_their_places() -> None:
    message = Message("user", [Text("Look:"), IMAGE], {"name": "ann"})

    assert with_parts(message, {1: Text("[gone]")}) == Message("user", [Text("Look:"), Text("[gone]")], {"name": "ann"})
    assert with_parts(ToolOutput("1", "long"), {WHOLE: "short"}) == ToolOutput("1", "short")
    assert with_parts(ToolOutput("1", [IMAGE, Text("long")], "custom"), {1: "short"}) == ToolOutput(
        "1", [IMAGE, Text("short")], "custom"
    )
