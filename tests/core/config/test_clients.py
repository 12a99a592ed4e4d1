"""What apps are told: names that they can say, versions that can be compared, values that JSON has."""

from __future__ import annotations

import pytest

from frontdesk.core.config import Clients, parse_config
from tests.core.config.problems import problems_of


def test_switches_keep_the_type_that_they_are_written_in() -> None:
    text = """\
clients:
  minimum: {web: 1.2.0, ios: 2.0, kiosk-app: 3}
  switches: {voice: on, share: 0.25, most: 12, words: hello, quoted: "true", new.look: false}
"""

    clients = parse_config(text, {}).clients

    assert clients.minimum == {"web": "1.2.0", "ios": "2.0", "kiosk-app": "3"}
    assert clients.switches == {
        "voice": True,
        "share": 0.25,
        "most": 12,
        "words": "hello",
        "quoted": "true",
        "new.look": False,
    }
    assert [type(value) for value in clients.switches.values()] == [bool, float, int, str, str, bool]


def test_without_any_nothing_is_told() -> None:
    assert parse_config("", {}).clients == Clients({}, {})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            "minimum: {web: latest}",
            "line 1: clients.minimum.web is 'latest'. It must be a version, such as 1.4.0 or 2.0.0-beta.1.",
        ),
        (
            "minimum: {'a/b': 1.0.0}",
            "line 1: The name 'a/b' in clients.minimum is none: letters, digits, '_' and '-', at most 32.",
        ),
        (
            "switches: {a b: 1}",
            "line 1: The name 'a b' in clients.switches is none: letters, digits, '_', '.' and '-', at most 64.",
        ),
        ("switches: {x: .inf}", "line 1: clients.switches.x is inf, which JSON has not. Write a number."),
        (
            f"switches: {{x: {'a' * 1001}}}",
            "line 1: clients.switches.x has 1,001 characters; 1,000 are the most.",
        ),
        (
            f"switches: {{{', '.join(f's{number}: 1' for number in range(201))}}}",
            "line 1: clients.switches has 201 entries. All apps read all of them: 200 are the most.",
        ),
    ],
)
def test_what_no_app_could_read_is_refused(settings: str, told: str) -> None:
    assert problems_of(f"clients: {{{settings}}}") == [told]
