"""docs/upstream.md tells every script, directive, fault and field, and its examples do what they say."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from frontdesk.providers.directives import FAULTS, Directives, read_direction
from frontdesk.providers.scripts import is_script, script_names
from frontdesk.upstream.faults import Rule
from frontdesk.upstream.gemini import METHODS
from frontdesk.upstream.journal import Billed, Record
from tests.upstream.raw import CHAT, asking, chat, exchange
from tests.upstreams import ScriptedUpstream

TEXT = (Path(__file__).parents[2] / "docs" / "upstream.md").read_text(encoding="utf-8")
TOLD = {word for code in re.findall(r"`([^`\n]+)`", TEXT) for word in re.split(r"[^a-z0-9_-]+", code)}
COMMANDS = [
    re.sub(r"\n +", " ", command.replace("http://127.0.0.1:9000", "")).strip()
    for command in re.findall(r"^    curl '?http://\S+ .*-d '\{.*\n(?:      .+\n)+", TEXT, re.MULTILINE)
]
EXAMPLES = re.findall(r"^    ask '([^']+)'", TEXT, re.MULTILINE)


def test_everything_is_told() -> None:
    names = {name.replace("_", "-") for name in Directives.__struct_fields__}
    fields = {field for shape in (Record, Billed, Rule) for field in shape.__struct_fields__}

    assert not names - TOLD
    assert not set(FAULTS) - TOLD
    assert not fields - TOLD
    assert not {name for name in script_names() if not any(word.startswith(name) for word in TOLD)}


def test_every_script_that_is_told_is_there() -> None:
    rows = TEXT.partition("| Model | Answer |")[2].partition("\n\n")[0]
    names = re.findall(r"`([a-z-]+)(?:-[A-Z]+)?`", "\n".join(row.split("|")[1] for row in rows.splitlines()[2:]))

    assert set(names) == set(script_names())
    assert all(is_script(name) for name in names)


def test_every_method_of_googles_that_is_told_is_there() -> None:
    told = re.search(r"Google's methods are (.+?);", TEXT, re.DOTALL)
    assert told is not None

    assert re.findall(r"`(\w+)`", told[1]) == list(METHODS)


def test_there_is_a_command_for_each_provider() -> None:
    paths = [shlex.split(command)[1].partition("?")[0] for command in COMMANDS]

    assert {"/v1/chat/completions", "/v1/responses", "/v1/messages"} < set(paths)
    assert any(path.startswith("/v1beta/models/") for path in paths)
    assert any(path.startswith("/openai/deployments/") for path in paths)


@pytest.mark.parametrize("command", COMMANDS, ids=[command[:60] for command in COMMANDS])
async def test_the_commands_are_answered(upstream: ScriptedUpstream, command: str) -> None:
    words = shlex.split(command)
    headers = [words[place + 1] for place, word in enumerate(words) if word == "-H"]
    body = json.loads(words[words.index("-d") + 1])

    seen = await exchange(upstream, asking(words[1], body, **dict(header.split(": ", 1) for header in headers)))

    assert seen.status == 200
    assert upstream.journal()[-1].ended == "whole"


@pytest.mark.parametrize("script", EXAMPLES)
async def test_the_examples_are_understood(upstream: ScriptedUpstream, script: str) -> None:
    assert read_direction(script).options

    await exchange(upstream, asking(CHAT, chat("words-5"), x_upstream_script=script), patience_s=0.05)

    (record,) = upstream.journal()
    assert record.status != 400


async def test_the_prompt_of_the_page_makes_the_call_of_the_page(upstream: ScriptedUpstream) -> None:
    section = TEXT.partition("## Values out of the prompt")[2]
    asked = re.search(r" -d '(.+?)'\n\n", section, re.DOTALL)
    promised = re.search(r"calls `(\w+)` with `(.+?)`", section)
    assert asked is not None
    assert promised is not None

    seen = await exchange(upstream, asking(CHAT, json.loads(asked[1])))

    (call,) = seen.json["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": promised[1], "arguments": promised[2]}
