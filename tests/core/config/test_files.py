"""Files that a configuration names: read once, bounded, and told where they cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frontdesk.core.config import ConfigError, load, load_config, parse_config, read_environment
from tests.core.config.problems import problems_of


def with_instructions(path: str) -> str:
    return f"features:\n  f:\n    instructions: {path}"


def test_the_text_of_a_file_takes_the_place_of_its_path(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/chat.md").write_bytes("\ufeffSei höflich.\n${NOT_READ}\n".encode())
    config = tmp_path / "frontdesk.yaml"
    config.write_text(with_instructions("prompts/chat.md"))

    loaded = load(config, {})

    assert loaded.config.features["f"].instructions == "Sei höflich.\n${NOT_READ}"
    assert loaded.instructions_from == {"f": "prompts/chat.md"}
    assert load_config(config, {}) == loaded.config


@pytest.mark.parametrize("ending", ["md", "txt", "MD"])
def test_an_absolute_path(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"my words.{ending}"
    path.write_text("Be brief.")

    config = parse_config(with_instructions(str(path)), {}, Path("/nowhere"))

    assert config.features["f"].instructions == "Be brief."


@pytest.mark.parametrize("text", ["Read notes.md first.", "|\n      Read\n      notes.md", "Be brief"])
def test_what_is_no_path_is_a_text(text: str) -> None:
    config = parse_config(with_instructions(text), {})

    assert (config.features["f"].instructions or "").startswith(("Read", "Be brief"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, ", which cannot be read: No such file or directory."),
        (b"one\ntwo\n\xff", ", which is not UTF-8 on its line 3."),
        (b"one\rtwo\r\n\xff\xff", ", which is not UTF-8 on its line 3."),
        (b"x" * 65_537, ". It may have at most 64 kB."),
        (b"{{who}}", None),
        (b" \n", None),
    ],
)
def test_instructions_that_cannot_be_used(tmp_path: Path, content: bytes | None, told: str | None) -> None:
    path = tmp_path / "chat.md"
    if content is not None:
        path.write_bytes(content)

    (problem,) = problems_of(with_instructions("chat.md"), folder=tmp_path)

    if told is not None:
        assert problem == f"line 3: features.f.instructions is the file {str(path)!r}{told}"
    assert problem.startswith("line 3: features.f.instructions ")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "chat.md").mkdir()

    assert "which cannot be read: Is a directory" in problems_of(with_instructions("chat.md"), folder=tmp_path)[0]


def with_keys(path: str) -> str:
    return f"auth:\n  jwt:\n  - {{issuer: i, audience: a, jwks_file: {path}}}"


def test_a_file_of_keys_is_kept_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"keys": [{"kty": "OKP"}]}')

    config = parse_config(with_keys("../" + tmp_path.name + "/keys.json"), {}, tmp_path)

    assert config.auth.jwt[0].jwks_file == f"{tmp_path}/../{tmp_path.name}/keys.json"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is the file {path}, which cannot be read: No such file or directory."),
        (b"{", "is {path}, which is not JSON. Write what the issuer publishes: a JSON Web Key Set (RFC 7517 §5)."),
        (
            b'{"keys": []}',
            (
                "is {path}, which has no list of 'keys'. "
                "Write what the issuer publishes: a JSON Web Key Set (RFC 7517 §5)."
            ),
        ),
        (
            b"[]",
            (
                "is {path}, which has no list of 'keys'. "
                "Write what the issuer publishes: a JSON Web Key Set (RFC 7517 §5)."
            ),
        ),
        (b" " * (512 * 1024 + 1), "is the file {path}. It may have at most 512 kB."),
    ],
)
def test_keys_that_cannot_be_used(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_bytes(content)

    expected = told.replace("{path}", repr(str(path)))
    attested = f"auth:\n  apps:\n    a:\n      attestation: {{issuer: i, audience: a, jwks_file: {path}}}"

    assert problems_of(with_keys("keys.json"), folder=tmp_path) == [f"line 3: auth.jwt[0].jwks_file {expected}"]
    assert problems_of(attested) == [f"line 4: auth.apps.a.attestation.jwks_file {expected}"]


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    (told,) = problems_of(with_keys('"a\\0b"'), folder=tmp_path)

    assert told.endswith("which cannot be read: its name cannot be.")


def test_a_file_whose_name_is_no_text_is_told_in_one(tmp_path: Path) -> None:
    """A report for programs is JSON, which has whole characters only."""
    path = Path(os.fsdecode(bytes(tmp_path) + b"/\xff.yaml"))
    told: list[str | None] = []

    for content in (None, "modles: 1"):
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        told += [str(caught.value).split(": The setting")[0], *(each.file for each in caught.value.problems)]

    name = f"{tmp_path}/\ufffd.yaml"
    assert told == [
        f"The configuration {name!r} cannot be read: No such file or directory.",
        f"{name}:1",
        name,
    ]


def test_a_text_of_the_environment_that_is_not_utf_8() -> None:
    with pytest.raises(ConfigError, match=r"^FRONTDESK_ADMIN_KEY is not UTF-8 in the environment. Set it anew.$"):
        read_environment({"FRONTDESK_ADMIN_KEY": os.fsdecode(b"\xff"), "HOME": "/h"})

    assert read_environment({"FRONTDESK_HOME": os.fsdecode(b"/\xff")}).home == Path(os.fsdecode(b"/\xff"))
