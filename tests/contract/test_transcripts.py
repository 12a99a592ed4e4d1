"""The golden transcripts: what the code makes of each is what is written, however a provider's bytes are cut."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator
from msgspec import structs

from frontdesk.turn.events import Started
from tests.contract.own_document import COMMITTED, OwnDocument
from tests.peers.conflicts import unknown
from tests.peers.document import Answer, Document, official_document
from tools.transcripts import FOLDER, Cut, Given, Http, Made, by_event, check, decode, replay, transcript_paths, write

PATHS = transcript_paths(FOLDER)


def name_of(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


_validators: dict[tuple[str, str], Draft202012Validator] = {}
"""Of requests, by the title of a document and the path."""


def is_stream(path: Path) -> bool:
    answer = Given.read(path).provider_answer
    return answer is not None and answer.headers["content-type"].startswith("text/event-stream")


ALL = pytest.mark.parametrize("path", PATHS, ids=name_of)
STREAMS = pytest.mark.parametrize(
    "path",
    [path for path in PATHS if is_stream(path)],
    ids=name_of,
)


def test_there_are_transcripts_of_all_crossings() -> None:
    groups = {path.relative_to(FOLDER).parts[0] for path in PATHS}

    assert groups == {"chat", "responses", "chat-over-responses", "responses-over-chat", "embeddings"}


@ALL
def test_code_makes_of_it_what_is_written(path: Path) -> None:
    assert list(check(path)) == []


# --- however the provider's bytes come ------------------------------------------------------------


@STREAMS
async def test_bytes_one_by_one_or_all_at_once_make_no_difference(path: Path) -> None:
    given = Given.read(path)
    expected = without_reads(await replay(given, by_event))

    assert without_reads(await replay(given, one_by_one)) == expected
    assert without_reads(await replay(given, at_once)) == expected


@STREAMS
@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 4])
async def test_a_cut_at_any_position_makes_no_difference(path: Path, step: int) -> None:
    """Each cut is decoded; what is answered is looked at once for every way in which events come together.

    Not all are made each time: which of four, each transcript has a say in.
    """
    given = Given.read(path)
    expected = await replay(given, by_event)
    assert expected.request is not None
    assert given.provider_answer is not None
    answered: set[tuple[int, ...]] = set()

    for position in range(1 + PATHS.index(path) % step, len(given.provider_answer.body), step):
        decoded = await decode(given, expected.request, cut_at(position))
        together = tuple(map(len, decoded.reads))
        assert decoded_events(decoded) == decoded_events(expected), position
        if together not in answered:
            answered.add(together)
            assert without_reads(await replay(given, cut_at(position))) == without_reads(expected), position


def without_reads(made: Made) -> dict[str, bytes]:
    """The files of it, without the empty lines that tell which events came together."""
    files = made.files()
    return {**files, "events.jsonl": files["events.jsonl"].replace(b"\n\n", b"\n")}


def decoded_events(made: Made) -> list[object]:
    """The events without the ids that were made here, and how they end."""
    events = [event for read in made.reads for event in read]
    without_ids = [structs.replace(event, item_id="") if isinstance(event, Started) else event for event in events]
    return [*without_ids, made.failure and (made.failure.status, str(made.failure))]


def one_by_one(body: bytes) -> list[bytes]:
    return [body[place : place + 1] for place in range(len(body))]


def at_once(body: bytes) -> list[bytes]:
    return [body]


def cut_at(position: int) -> Cut:
    def cut(body: bytes) -> Sequence[bytes]:
        return [body[:position], body[position:]]

    return cut


# --- held against the documents -------------------------------------------------------------------


@ALL
def test_answer_is_as_our_document_and_openais_say(path: Path) -> None:
    request, answer = (Http.parse((path / name).read_bytes()) for name in ("request.http", "answer.http"))
    received = Answer("POST", request.path, answer.status, answer.headers["content-type"], answer.body)

    assert own_document().check(received) == []
    assert unknown(openais_document().check(received)) == []


@ALL
def test_request_is_as_our_document_says(path: Path) -> None:
    request = Given.read(path).request

    assert findings_of_request(json.loads(COMMITTED.read_text(encoding="utf-8")), request) == []


@ALL
def test_exchange_with_openai_is_as_openais_document_says(path: Path) -> None:
    """So that no transcript shows what no provider would say, and nobody is asked what they do not understand."""
    given = Given.read(path)
    if given.provider_answer is None:
        assert not (path / "provider_request.http").exists()
        return
    if given.about.provider.kind != "openai":
        return
    asked = Http.parse((path / "provider_request.http").read_bytes())
    answer = given.provider_answer
    is_whole = b'"failure"' not in (path / "events.jsonl").read_bytes()
    said = answer.body.replace(b"\r\n", b"\n")

    assert findings_of_request(official_document(), asked) == []
    if is_whole or answer.status >= 400:
        received = Answer("POST", asked.path, answer.status, answer.headers["content-type"], said)
        assert unknown(openais_document().check(received)) == []


@cache
def own_document() -> OwnDocument:
    return OwnDocument()


@cache
def openais_document() -> Document:
    return Document(official_document())


def findings_of_request(document: dict[str, Any], request: Http) -> list[str]:
    """What a document says otherwise. OpenAI's has one-ofs whose members are not exclusive: some suffice."""
    path = request.path if request.path in document["paths"] else request.path.removeprefix("/v1")
    title = document["info"]["title"]
    if (title, path) not in _validators:
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        rules = json.dumps({**schema, "components": document["components"]}).replace('"oneOf":', '"anyOf":')
        _validators[title, path] = Draft202012Validator(json.loads(rules))
    return [error.message for error in _validators[title, path].iter_errors(json.loads(request.body))]


# --- the tool itself ------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER / "chat" / "text-stream", tmp_path / "text-stream"))


def test_a_stale_transcript_names_the_command(copied: Path) -> None:
    answer = copied / "answer.http"
    answer.write_bytes(answer.read_bytes().replace(b"Breakfast", b"Brunch"))

    (finding,) = check(copied)

    assert finding.endswith(
        "text-stream/answer.http: is not what the code makes of it; "
        "`python -m tools.transcripts --write` writes it, if that is right"
    )


def test_a_file_that_is_missing_or_too_many_is_found(copied: Path) -> None:
    (copied / "events.jsonl").rename(copied / "events.json")

    findings = [finding.partition(":")[0].rpartition("/")[2] for finding in check(copied)]

    assert findings == ["events.json", "events.jsonl"]


def test_writing_leaves_what_is_given_and_makes_the_rest(copied: Path) -> None:
    before = {each.name: each.read_bytes() for each in copied.iterdir()}
    (copied / "answer.http").write_bytes(b"")
    (copied / "events.jsonl").unlink()
    (copied / "left-over.txt").write_bytes(b"")

    write(copied)

    assert {each.name: each.read_bytes() for each in copied.iterdir()} == before
