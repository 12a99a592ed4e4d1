"""Events as they are kept: what a version has written, every later one reads.

The bytes here were written once. Where one of these tests fails, an answer that somebody keeps can no longer be read:
give back the tag or the place of the field, and put what is new at the end, with a default.
"""

from __future__ import annotations

import base64
import typing
from typing import Any

import msgspec
import pytest

from frontdesk.core.money import Units
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    AudioProduced,
    AudioStarted,
    ChoiceFinished,
    EmbeddingsProduced,
    ImagesProduced,
    ItemFinished,
    MessageStarted,
    ModerationsProduced,
    PartialImageProduced,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    SegmentProduced,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TranscriptProduced,
    TurnCancelled,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.log import Entry, Failure, decode_entries, encode_entries

# Every field says something, and no two of an entry the same.
EVERY_ENTRY: list[Entry] = [
    AnswerDescribed("flex", "fp_1"),
    MessageStarted(1, "msg_1", 2, "commentary"),
    TextDelta(1, "Grüße", [{"token": "Gr", "logprob": -0.5}]),
    AnnotationAdded(1, {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 3}),
    RefusalDelta(1, "no", [{"token": "no", "logprob": -1.5}]),
    ReasoningStarted(3, "rs_1", 4),
    ReasoningDelta(3, "hm"),
    ReasoningSummaryStarted(3),
    ReasoningSummaryDelta(3, "in short"),
    ReasoningEncrypted(3, "sealed"),
    ToolCallStarted(5, "ctc_1", "call_1", "tool", "custom", 6),
    ToolArgumentsDelta(5, '{"a":1}'),
    ItemFinished(7),
    ChoiceFinished(8, "tool_calls"),
    EmbeddingsProduced([b"\x00\x00\x80?", b"\x00\x00\x00@"]),
    ModerationsProduced([{"flagged": True}]),
    TranscriptProduced({"text": "said"}),
    SegmentProduced({"id": "seg_1", "speaker": "A"}),
    AudioStarted("audio/mpeg"),
    AudioProduced(b"\xff\xfb\x00"),
    PartialImageProduced({"partial_image_index": 1}),
    ImagesProduced([{"url": "https://example.test/a.png"}], {"size": "1024x1024"}),
    UsageReported(
        Usage(
            1,
            2,
            cached_tokens=3,
            cache_write_tokens=4,
            cache_write_hour_tokens=5,
            reasoning_tokens=6,
            accepted_prediction_tokens=7,
            rejected_prediction_tokens=8,
            audio_input_tokens=9,
            image_input_tokens=10,
            tool_tokens=11,
            audio_output_tokens=12,
            image_output_tokens=13,
            cost_micros=14,
            source="counted",
            raw={"prompt_tokens": 1},
            units=Units(15, 16, 17),
        )
    ),
    TurnCompleted(),
    TurnIncomplete("content_filter"),
    TurnCancelled(),
    Failure("Broken.", "provider_error", 502, "server_error", "model", 1.5, should_retry=True),
]
WRITTEN = """
3AAbkwGkZmxleKRmcF8xlQIBpW1zZ18xAqpjb21tZW50YXJ5lAMBp0dyw7zDn2WRgqV0b2tlbqJHcqdsb2dwcm9iy7/gAAAAAAAAkwQBhKR0eXBlrWZp
bGVfY2l0YXRpb26nZmlsZV9pZKZmaWxlLTGoZmlsZW5hbWWlYS5wZGalaW5kZXgDlAUBom5vkYKldG9rZW6ibm+nbG9ncHJvYsu/+AAAAAAAAJQGA6Ry
c18xBJMHA6JobZIIA5MJA6hpbiBzaG9ydJMKA6ZzZWFsZWSXCwWlY3RjXzGmY2FsbF8xpHRvb2ymY3VzdG9tBpMMBad7ImEiOjF9kg0Hkw4IqnRvb2xf
Y2FsbHOSD5LEBAAAgD/EBAAAAECSEJGBp2ZsYWdnZWTDkhGBpHRleHSkc2FpZJISgqJpZKVzZWdfMadzcGVha2VyoUGSE6phdWRpby9tcGVnkhTEA//7
AJIVgbNwYXJ0aWFsX2ltYWdlX2luZGV4AZMWkYGjdXJsumh0dHBzOi8vZXhhbXBsZS50ZXN0L2EucG5ngaRzaXplqTEwMjR4MTAyNJIY3AARAQIDBAUG
BwgJCgsMDQ6nY291bnRlZIGtcHJvbXB0X3Rva2VucwGDrWF1ZGlvX3NlY29uZHMPqmNoYXJhY3RlcnMQpmltYWdlcxGRGZIarmNvbnRlbnRfZmlsdGVy
kRuYZKdCcm9rZW4urnByb3ZpZGVyX2Vycm9yzQH2rHNlcnZlcl9lcnJvcqVtb2RlbMs/+AAAAAAAAMM=
"""
TAGS = {
    1: AnswerDescribed,
    2: MessageStarted,
    3: TextDelta,
    4: AnnotationAdded,
    5: RefusalDelta,
    6: ReasoningStarted,
    7: ReasoningDelta,
    8: ReasoningSummaryStarted,
    9: ReasoningSummaryDelta,
    10: ReasoningEncrypted,
    11: ToolCallStarted,
    12: ToolArgumentsDelta,
    13: ItemFinished,
    14: ChoiceFinished,
    15: EmbeddingsProduced,
    16: ModerationsProduced,
    17: TranscriptProduced,
    18: SegmentProduced,
    19: AudioStarted,
    20: AudioProduced,
    21: PartialImageProduced,
    22: ImagesProduced,
    24: UsageReported,
    25: TurnCompleted,
    26: TurnIncomplete,
    27: TurnCancelled,
    100: Failure,
}


def test_what_was_written_is_read() -> None:
    assert decode_entries(base64.b64decode(WRITTEN)) == EVERY_ENTRY


def test_every_entry_was_written() -> None:
    """An event that is new here is written too, by whoever adds it: behind these bytes, in bytes of its own."""
    assert {type(entry) for entry in EVERY_ENTRY} == set(typing.get_args(Entry)) == set(TAGS.values())


def test_a_tag_is_never_given_to_another_one() -> None:
    assert {kind.__struct_config__.tag: kind for kind in typing.get_args(Entry)} == TAGS


@pytest.mark.parametrize("entry", EVERY_ENTRY, ids=lambda entry: type(entry).__name__)
def test_what_older_versions_did_not_say_has_a_default(entry: Any) -> None:
    """An entry is read without its optional fields, which come last; so one is that knew less of them."""
    fields = msgspec.structs.fields(type(entry))
    needed = [field.name for field in fields if field.required]
    assert needed == [field.name for field in fields][: len(needed)]

    said = [getattr(entry, name) for name in needed]
    old = msgspec.msgpack.encode([[type(entry).__struct_config__.tag, *said]])

    assert decode_entries(old) == [type(entry)(*said)]


def test_what_newer_versions_say_besides_is_passed_over() -> None:
    """While a server is upgraded, processes of two versions read the same answers."""
    newer = msgspec.msgpack.encode([[13, 7, "more", {"and": "more"}]])

    assert decode_entries(newer) == [ItemFinished(7)]


def test_entries_come_back_as_they_were() -> None:
    assert decode_entries(encode_entries(EVERY_ENTRY)) == EVERY_ENTRY
