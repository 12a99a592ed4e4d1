"""Two import contracts that import-linter lacks: what a package may import, and who may import a package.

Its own "forbidden" and "protected" need every module to exist and to be listed; these hold for a
package that comes tomorrow as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from grimp import ImportGraph

_ROOT = "frontdesk"


class OnlyImports(Contract):
    """`package` imports nothing of ours but `allowed`, and itself."""

    package = fields.StringField()
    allowed = fields.ListField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002, FBT001 - the base class's
        """Look at the direct imports of every module of the package."""
        package: Any = self.package
        allowed: Any = self.allowed or []
        wrong = [
            (importer, imported)
            for importer in graph.modules
            if is_within(importer, [package])
            for imported in graph.find_modules_directly_imported_by(importer)
            if is_within(imported, [_ROOT]) and not is_within(imported, [package, *allowed])
        ]
        return _found(graph, wrong)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each import that should not be."""
        _print(check)


class OnlyImportedBy(Contract):
    """`packages` are imported by nobody of ours but `allowed`. A `*` stands for one name."""

    packages = fields.ListField(subfield=fields.StringField())
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002, FBT001 - the base class's
        """Look at the direct imports of the packages."""
        packages: Any = self.packages
        allowed: Any = self.allowed
        wrong = [
            (importer, imported)
            for imported in graph.modules
            if is_within(imported, packages)
            for importer in graph.find_modules_that_directly_import(imported)
            if not is_within(importer, allowed)
        ]
        return _found(graph, wrong)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each import that should not be."""
        _print(check)


def is_within(module: str, packages: list[str]) -> bool:
    """Whether the module is one of the packages or lies in one. A `*` stands for one name."""
    names = module.split(".")
    return any(_begins(names, package.split(".")) for package in packages)


def _begins(names: list[str], package: list[str]) -> bool:
    return len(names) >= len(package) and all(
        wanted in ("*", name) for name, wanted in zip(names, package, strict=False)
    )


def _found(graph: ImportGraph, wrong: list[tuple[str, str]]) -> ContractCheck:
    lines = [
        f"{importer} imports {imported} (line {detail['line_number']})"
        for importer, imported in sorted(wrong)
        for detail in graph.get_import_details(importer=importer, imported=imported)
    ]
    return ContractCheck(kept=not wrong, metadata={"lines": lines})


def _print(check: ContractCheck) -> None:
    for line in check.metadata["lines"]:
        output.print_error(f"- {line}")
