from typing import Any

import grimp
import pytest

from tools.import_contracts import OnlyImportedBy, OnlyImports, is_within

IMPORTS = {
    "frontdesk.turn.run": ["frontdesk.core.errors", "frontdesk.turn.events", "sqlite3"],
    "frontdesk.wire.chat": ["frontdesk.turn.run"],
    "frontdesk.usage.store": ["sqlite3"],
    "frontdesk.usage.service": ["frontdesk.usage.store"],
}


@pytest.fixture
def graph() -> grimp.ImportGraph:
    graph = grimp.ImportGraph()
    for importer, all_imported in IMPORTS.items():
        for imported in all_imported:
            graph.add_import(importer=importer, imported=imported, line_number=3, line_contents="")
    return graph


def lines(contract: Any, graph: grimp.ImportGraph) -> list[str]:
    check = contract.check(graph, verbose=False)
    assert check.kept is (check.metadata["lines"] == [])
    return check.metadata["lines"]


def only_imports(package: str, *allowed: str) -> OnlyImports:
    return OnlyImports("name", {}, {"package": package, "allowed": list(allowed)})


def only_imported_by(package: str, *allowed: str) -> OnlyImportedBy:
    return OnlyImportedBy("name", {}, {"packages": [package], "allowed": list(allowed)})


def test_package_may_import_itself_what_is_allowed_and_what_is_not_ours(graph: grimp.ImportGraph) -> None:
    assert lines(only_imports("frontdesk.turn", "frontdesk.core"), graph) == []


def test_import_of_another_package_is_named_with_its_line(graph: grimp.ImportGraph) -> None:
    assert lines(only_imports("frontdesk.wire", "frontdesk.core"), graph) == [
        "frontdesk.wire.chat imports frontdesk.turn.run (line 3)"
    ]


def test_library_is_imported_only_where_it_may_be(graph: grimp.ImportGraph) -> None:
    assert lines(only_imported_by("sqlite3", "frontdesk.storage", "frontdesk.*.store"), graph) == [
        "frontdesk.turn.run imports sqlite3 (line 3)"
    ]


def test_package_that_is_not_there_yet_is_no_matter(graph: grimp.ImportGraph) -> None:
    assert lines(only_imports("frontdesk.tomorrow"), graph) == []
    assert lines(only_imported_by("alembic", "frontdesk.tomorrow"), graph) == []


def test_a_star_stands_for_one_name() -> None:
    assert is_within("frontdesk.usage.store", ["frontdesk.*.store"])
    assert is_within("frontdesk.usage.store.rows", ["frontdesk.*.store"])
    assert not is_within("frontdesk.store", ["frontdesk.*.store"])
    assert not is_within("frontdesk.a.b.store", ["frontdesk.*.store"])
    assert not is_within("frontdesk.turning", ["frontdesk.turn"])
