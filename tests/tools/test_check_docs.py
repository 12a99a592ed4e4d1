from pathlib import Path

import msgspec
import pytest

from tools import check_docs


class Inner(msgspec.Struct):
    kind: str = ""


class Outer(msgspec.Struct):
    database: str = ""
    cors: Inner = msgspec.field(default_factory=Inner)
    providers: dict[str, Inner] = {}
    budgets: list[Inner] = []
    prices: dict[str, float] = {}
    cache: Inner | None = None


def test_settings_are_named_by_their_place() -> None:
    assert check_docs.setting_names(Outer) == [
        "database",
        "cors.kind",
        "providers.NAME.kind",
        "budgets[].kind",
        "prices",
        "cache.kind",
    ]


def test_environment_variables_are_found_in_the_source() -> None:
    source = 'given.get("FRONTDESK_HOME"); f("OPENAI_MODEL", "not_one")'

    assert check_docs.environment_names(source) == ["FRONTDESK_HOME", "OPENAI_MODEL"]


def test_setting_without_a_row_fails() -> None:
    document = "Prose on `cors.kind`.\n\n| setting | what |\n|---|---|\n| `database`, `prices` | ... |\n"

    assert list(check_docs.check_settings(["database", "prices", "cors.kind"], document)) == [
        "docs/configuration.md: the setting `cors.kind` has no row"
    ]


def test_row_without_a_setting_fails_in_tables_of_settings_only() -> None:
    document = "| Setting | |\n|---|---|\n| `gone` | |\n\n| Model | |\n|---|---|\n| `smollm2` | |\n"

    assert list(check_docs.check_settings([], document)) == ["docs/configuration.md: `gone` is no setting"]


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("[a](other.md) ![b](../pixel.png) [c](https://x.example) [d](mailto:a@x.example) [e](#first-part)", []),
        ("[a](other.md#a-heading-and-more)", []),
        ("[a](gone.md)", ["docs/page.md: the link 'gone.md' leads to no file"]),
        ("[a](other.md#gone)", ["docs/page.md: the link 'other.md#gone' leads to no heading"]),
        ('<img src="gone.png">', ["docs/page.md: the link 'gone.png' leads to no file"]),
        ("```\n[a](gone.md)\n```", []),
    ],
)
def test_relative_links_must_lead_somewhere(tmp_path: Path, text: str, findings: list[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "pixel.png").touch()
    (tmp_path / "docs/other.md").write_text("# Title\n\n## A `heading`, and more\n")
    page = f"# First part\n\n{text}\n"
    (tmp_path / "docs/page.md").write_text(page)

    assert list(check_docs.check_links(tmp_path, {Path("docs/page.md"): page})) == findings


def test_environment_variable_that_is_not_named_fails() -> None:
    assert list(check_docs.check_variables(["FRONTDESK_HOME", "OPENAI_MODEL"], "`OPENAI_MODEL` names it.")) == [
        "docs/configuration.md: the variable `FRONTDESK_HOME` is not named"
    ]


def test_targets_are_those_of_the_makefile() -> None:
    makefile = "PYTHON := python3\nrun: ## Serve\n\tx: y\n.PHONY: gone\ntest-slow: ready\n"

    assert check_docs.make_targets(makefile) == {"run", "test-slow"}


def test_call_of_a_target_that_is_gone_fails() -> None:
    text = "Prose may make sure. `make run` works.\n\n    make gone   # comment\n\n```\nmake test\n```\n"

    assert list(check_docs.check_targets({"run", "test"}, {Path("README.md"): text})) == [
        "README.md: there is no `make gone`"
    ]


def test_dependencies_of_all_kinds_are_named() -> None:
    project = {
        "build-system": {"requires": ["hatchling>=1"]},
        "project": {"dependencies": ["PyYAML>=6,<7"], "optional-dependencies": {"local": ["numpy==2 ; x"]}},
        "dependency-groups": {"dev": ["ruff==1", {"include-group": "node"}]},
    }

    assert check_docs.dependency_names(project) == ["hatchling", "numpy", "pyyaml", "ruff"]


def test_dependency_without_a_row_fails() -> None:
    document = "| package | why |\n|---|---|\n| Numpy, `pyyaml` (extra) | ruff |\n"

    assert list(check_docs.check_parts(["numpy", "pyyaml", "ruff"], document)) == [
        "ARCHITECTURE.md: the dependency ruff has no row"
    ]
