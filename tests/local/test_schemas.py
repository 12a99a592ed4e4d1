from __future__ import annotations

import pytest

from frontdesk.local.schemas import (
    Call,
    Reply,
    ToolChoice,
    bound,
    envelope,
    read_cut_reply,
    read_envelope,
    told,
    written,
)

WEATHER = ToolChoice(
    "get_weather",
    "Weather of a city.",
    {
        "type": "object",
        "properties": {"city": {"$ref": "#/$defs/City"}, "next": {"$ref": "#"}},
        "$defs": {"City": {"type": "string"}},
        "$id": "https://example.com/weather",
    },
    is_strict=True,
)


def test_a_tools_schema_keeps_its_references_inside_the_envelope() -> None:
    schema = envelope([WEATHER], may_reply=True, reply=None)

    assert schema["$defs"] == {
        "arguments_0": {
            "type": "object",
            "properties": {
                "city": {"$ref": "#/$defs/arguments_0/$defs/City"},
                "next": {"$ref": "#/$defs/arguments_0"},
            },
            "$defs": {"City": {"type": "string"}},
        },
        "reply": {"type": "string"},
    }
    assert [form["properties"]["tool"]["const"] for form in schema["anyOf"]] == ["get_weather", "none"]
    assert schema["x-guidance"]["lenient"] is False


def test_a_demanded_call_leaves_no_form_for_a_reply() -> None:
    loose = ToolChoice("a", "", {"type": "object"}, is_strict=False)

    schema = envelope([loose], may_reply=False, reply=None)

    assert [form["required"] for form in schema["anyOf"]] == [["tool", "arguments"]]
    assert schema["x-guidance"]["lenient"] is True
    assert '"reply"' not in told([loose], may_reply=False)


def test_a_callers_schema_cannot_choose_how_it_is_compiled() -> None:
    schema = bound({"type": "object", "x-guidance": {"lenient": True}})

    assert "lenient" not in schema["x-guidance"]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (
            '{"tool": "get_weather", "arguments": {"city": "Köln", "n": 1.50}}',
            Call("get_weather", '{"city": "Köln", "n": 1.50}'),
        ),
        ('{"tool": "none", "reply": "Gr\\u00fc\\u00dfe \\ud83c\\udf89"}', Reply("Grüße 🎉")),
        ('{"tool": "none", "reply": {"a": [1]}}', Reply('{"a": [1]}')),
        ('{"tool": "none", "rep', None),
        ('{"tool": "none"}', None),
        ("", None),
        ("[]", None),
    ],
)
def test_envelopes_are_opened(text: str, read: Call | Reply | None) -> None:
    assert read_envelope(text) == read


def test_a_reply_is_readable_wherever_it_is_cut() -> None:
    whole = '{"tool": "none", "reply": "Gr\\u00fc\\u00dfe \\ud83c\\udf89 \\"du\\""}'
    words = 'Grüße 🎉 "du"'

    begins = [read_cut_reply(whole[:length]) for length in range(whole.index("Gr"), len(whole) - 1)]

    assert all(begin is not None and words.startswith(begin) for begin in begins)
    assert begins[-1] == words[:-1] or begins[-1] == words
    assert read_cut_reply('{"tool": "get_weather", "argum') is None


def test_a_call_is_shown_to_the_model_as_it_would_write_it() -> None:
    assert read_envelope(written(Call('say "hi"', '{"a": 1}'))) == Call('say "hi"', '{"a": 1}')
