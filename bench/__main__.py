"""All benchmarks: `python -m bench` prints what it measures, `--json FILE` writes it as well.

    python -m bench [NAME...] [--quick] [--rounds N] [--of TREE] [--against TREE] [--json FILE]
    python -m bench soak [--minutes N] ...

NAME is a figure or how its name begins: `cpu` is three of them. `soak` runs only where it is named.
See README.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from bench import machine
from bench.contenders import DIRECT, FRONTDESK, OTHER
from bench.figures import FIGURES, Figure
from bench.metric import measure
from bench.processes import ROOT
from bench.report import Report, conditions, lines
from bench.rounds import play
from bench.soak import NAME as SOAK
from bench.soak import Soak, run_soak
from bench.source_tree import NoSuchTree, copy_tree

_SPARE_FILES = 512
_FILES_A_STREAM = 2
_SOAK_MINUTES = 20
_QUICK_MINUTES = 0.5


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, read."""

    figures: Sequence[Figure]
    soak: Soak | None
    of: str
    against: str | None
    json: Path | None


def main() -> int:
    """Measure, print and write. Returns 1 where a target is missed."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="frontdesk-trees-") as folder:
        try:
            trees = _copy_trees(options, Path(folder))
        except NoSuchTree as error:
            sys.exit(f"bench: {error}")
        reports: list[Report] = []
        for report in _measure_all(options, trees):
            print("\n" + "\n".join(lines(report)), flush=True)
            reports.append(report)
    if options.json is not None:
        options.json.write_bytes(_encode(_all_of(options, reports)))
    missed = [f"{each.name}: {metric.name}" for each in reports for metric in each.metrics if metric.is_met is False]
    print(f"\nTargets missed: {', '.join(missed)}" if missed else "\nNo target missed.")
    return 1 if missed else 0


def run_figure(figure: Figure, trees: Mapping[str, Path]) -> Report:
    """Measure one figure of each tree."""
    load = figure.load
    machine.allow_files(load.at_once * _FILES_A_STREAM + _SPARE_FILES)
    laps = list(play(load, figure.rounds, figure.laps, trees, (DIRECT,) if figure.skips_direct else ()))
    measured = [measure(metric, laps) for metric in figure.metrics]
    return Report(figure.name, figure.title, len(laps), [load], measured, conditions(laps))


def _measure_all(options: Options, trees: Mapping[str, Path]) -> Iterator[Report]:
    for figure in options.figures:
        yield run_figure(figure, trees)
    if options.soak is not None:
        yield run_soak(options.soak, trees)


def _copy_trees(options: Options, folder: Path) -> dict[str, Path]:
    names = {FRONTDESK: options.of}
    if options.against is not None:
        names[OTHER] = options.against
    for name, tree in names.items():
        print(f"{name}: {tree}", flush=True)
    return {name: copy_tree(tree, folder / name) for name, tree in names.items()}


def _options() -> Options:
    names = ", ".join((*(figure.name for figure in FIGURES), SOAK))
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Frontdesk beside others.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure (default: all but {SOAK}): {names}")
    parser.add_argument("--quick", action="store_true", help="less of everything: to see that it runs, not to quote")
    parser.add_argument("--rounds", type=_positive, help="rounds (default: each figure's own)")
    parser.add_argument("--minutes", type=_positive, default=_SOAK_MINUTES, help=f"of {SOAK} (default: %(default)s)")
    parser.add_argument(
        "--of", metavar="TREE", default=str(ROOT), help="which Frontdesk: a checkout, its src, a commit"
    )
    parser.add_argument("--against", metavar="TREE", help="a second Frontdesk, measured in the same rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it here")
    given = parser.parse_args()
    for name in given.names:
        if not any(each.startswith(name) for each in names.split(", ")):
            parser.error(f"no figure begins with {name!r}; there are {names}")
    chosen = [figure for figure in FIGURES if not given.names or figure.name.startswith(tuple(given.names))]
    if given.quick:
        chosen = [figure.quick() for figure in chosen]
    if given.rounds:
        chosen = [replace(figure, rounds=given.rounds) for figure in chosen]
    soak = Soak(_QUICK_MINUTES if given.quick else given.minutes) if SOAK in given.names else None
    return Options(chosen, soak, given.of, given.against, given.json)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _all_of(options: Options, reports: Sequence[Report]) -> dict[str, object]:
    trees = {FRONTDESK: options.of, OTHER: options.against}
    return {"machine": machine.describe(), "trees": trees, "figures": reports}


def _encode(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


if __name__ == "__main__":
    sys.exit(main())
