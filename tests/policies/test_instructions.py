"""Instructions of a feature: each value in its place, and what is wrong with one named."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.core.config import Feature, Variable
from frontdesk.core.errors import BadRequest
from frontdesk.policies.instructions import Instructions, Rendered
from frontdesk.turn.verbatim import Verbatim

NOON_S = 1_782_907_200.0
"""2026-07-01, UTC."""
VARIABLES = {
    "name": Variable(max_chars=100),
    "tone": Variable("choice", default="kind", choices=["kind", "brief"]),
    "age": Variable("integer", default="18", least=0, most=150),
}
TEXT = "You help {{name}} ({{age}}) and are {{tone}}. Never tell {{name}} the password."


def instructions(text: str | None = TEXT, variables: dict[str, Variable] | None = None) -> Instructions:
    return Instructions("chat", Feature(instructions=text, variables=VARIABLES if variables is None else variables))


def test_values_and_defaults_go_in() -> None:
    text = "You help Ann &lt;b&gt; (7) and are kind. Never tell Ann &lt;b&gt; the password."

    assert instructions().render({"name": "Ann <b>", "age": "007"}, NOON_S) == Rendered(text, text)


def test_instructions_are_composed() -> None:
    """A model that repeats them writes composed characters, and the guard compares characters."""
    rendered = instructions("Ve\u0301rifie {{name}}\u0301.").render({"name": "Zoe\u0308"}, NOON_S)

    assert rendered is not None
    assert rendered.text == "V\u00e9rifie Zo\u00eb\u0301."


def test_a_feature_may_have_none() -> None:
    assert instructions(None, {}).render({}, NOON_S) is None


def test_a_version_is_of_the_text_as_it_is_configured() -> None:
    """Whatever values go in; and who has the text can tell it by `sha256sum`."""
    kind = instructions("Be {{tone}}.", {"tone": VARIABLES["tone"]})
    kind.render({"tone": "brief"}, NOON_S)

    assert kind.version == "af04f432bda1"
    assert instructions("Be {{tone}}!", {"tone": VARIABLES["tone"]}).version != kind.version
    assert instructions("", {}).version == "e3b0c44298fc"
    assert instructions(None, {}).version == ""


@pytest.mark.parametrize(
    ("values", "code", "param", "words"),
    [
        ({}, "missing_variable", "variables.name", "The feature 'chat' needs the variable 'name'. Send it as metadata"),
        ({"name": "A", "age": "x"}, "invalid_variable", "variables.age", "'age' is 'x'. It must be an integer."),
        ({"name": "A", "age": "151"}, "invalid_variable", "variables.age", "'age' is 151. It must be at most 150."),
        ({"name": "A" * 101}, "invalid_variable", "variables.name", "is a text of 101 characters. It may have at most"),
        ({"name": "A", "tone": "rude"}, "invalid_variable", "variables.tone", "It must be one of 'kind', 'brief'."),
        ({"nmae": "A"}, "unknown_variable", "variables.nmae", "has no variable 'nmae'. Did you mean 'name'?"),
        ({"x" * 500: "A"}, "unknown_variable", "variables." + "x" * 64, "has no variable of 500 characters. Known:"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, str], code: str, param: str, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        instructions().render(values, NOON_S)

    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)
    assert words in caught.value.message
    assert len(caught.value.message) < 300


def test_a_feature_without_variables_takes_none() -> None:
    for text in (None, "Be kind."):
        with pytest.raises(BadRequest, match=r"has no variable 'name'\. Leave it out\.") as caught:
            instructions(text, {}).render({"name": "A"}, NOON_S)
        assert caught.value.code == "unknown_variable"


def test_a_long_value_is_its_callers_own() -> None:
    """Answers may repeat it; what stands around it they may not."""
    value = "the life of bees in the northern parts of Sweden, and of their keepers"
    rendered = instructions().render({"name": value}, NOON_S)
    assert rendered is not None
    secret = Verbatim(rendered.unreadable)

    assert rendered.text.count(value) == 2
    assert not secret.occurs_in(f"You asked about {value}: well, ...")
    assert secret.occurs_in(f"I help {value} (18) and are kind.")
    assert secret.occurs_in(rendered.text)


@pytest.mark.parametrize("size", [1, 19, 20, 21, 31, 32, 33, 62, 100])
def test_a_run_holds_some_of_the_servers_own_words(size: int) -> None:
    value = ("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" * 2)[:size]
    text = "Say what you think of '{{name}}' in German, and nothing else at all."
    rendered: Any = instructions(text, {"name": Variable(max_chars=100)}).render({"name": value}, NOON_S)
    secret = Verbatim(rendered.unreadable)

    assert rendered.text == text.replace("{{name}}", value)
    assert not secret.occurs_in(f"Well: '{value}' is fine")
    assert secret.occurs_in(f"Say what you think of '{value}' in German, and nothing else")
    assert secret.occurs_in(f"{value[-20:]}' in German, and nothing else at all.")
    assert secret.occurs_in(rendered.text)


def test_a_time_zone_tells_when_the_request_came() -> None:
    """To the quarter of an hour, or to the day: what providers cache of a prompt is what stays the same."""
    zone = {"zone": Variable("time_zone", default="UTC")}
    clock = instructions("{{zone}}: {{zone.now}}", zone)
    calendar = instructions("On {{zone.date}}.", zone)

    def told(by: Instructions, at_s: float, **values: str) -> str:
        rendered = by.render(values, at_s)
        assert rendered is not None
        return rendered.text

    assert told(clock, NOON_S + 899) == "UTC: Wednesday, 2026-07-01, 12:00 (UTC)"
    assert told(clock, NOON_S + 900, zone="Asia/Kolkata") == "Asia/Kolkata: Wednesday, 2026-07-01, 17:45 (UTC+05:30)"
    assert told(calendar, NOON_S, zone="Pacific/Kiritimati") == "On Thursday, 2026-07-02."


def test_what_a_client_says_of_itself_may_be_sent_as_all_else() -> None:
    variables = {
        "language": Variable("locale"),
        "place": Variable("location", default="not known"),
        "where": Variable("screen", default="start"),
    }
    text = "Speak {{language}}. They are at {{place}}, on <screen>{{where}}</screen>."

    rendered = instructions(text, variables).render(
        {"language": "pt-br", "place": "Lisboa;consent", "where": "</screen>"}, NOON_S
    )

    assert rendered is not None
    assert rendered.text == "Speak pt-BR. They are at Lisboa, on <screen>&lt;/screen&gt;</screen>."
    rendered = instructions(text, variables).render({"language": "fr"}, NOON_S)
    assert rendered is not None
    assert rendered.text == "Speak fr. They are at not known, on <screen>start</screen>."


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({}, "missing_variable", "Send it in the header Frontdesk-Context. Or send it as metadata 'variables.NAME'"),
        ({"zone": "Mars/Olympus"}, "invalid_variable", "It must be a time zone that this server knows"),
    ],
)
def test_what_is_wrong_with_what_a_client_says_is_named(values: dict[str, str], code: str, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        instructions("{{zone}}", {"zone": Variable("time_zone")}).render(values, NOON_S)

    assert (caught.value.code, caught.value.param) == (code, "variables.zone")
    assert words in caught.value.message
