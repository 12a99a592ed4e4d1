"""All benchmarks: `python -m bench` prints a table, `--json FILE` writes the figures as well."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop
import yaml

from bench.load import Load, send
from bench.processes import Server, free_port
from bench.sessions import begin_session

ADMIN_KEY = "fd_sk_bench-key-that-opens-nothing-real"
_ROUNDS = 7
_AT_ONCE = 16
_LOADED_STREAMS = 512


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison: medians over the rounds, and the median of the rounds' ratios."""

    name: str
    frontdesk_us: float
    passthrough_us: float
    ratio: float
    rounds: list[float]


def main() -> None:
    """Run all, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="counted rounds (default: %(default)s)")
    options = parser.parse_args()
    with servers() as (frontdesk, passthrough, token):
        idle_mb = frontdesk.memory_mb()
        unary = compare(
            "a whole answer", frontdesk, passthrough, token, options.rounds, is_streaming=False, requests=2000
        )
        stream = compare(
            "a stream of 100 chunks", frontdesk, passthrough, token, options.rounds, is_streaming=True, requests=600
        )
        after_mb = frontdesk.memory_mb()
        peak_mb = memory_under_streams(frontdesk, token)
    figures = [unary, stream]
    _print(figures, idle_mb, after_mb, peak_mb)
    if options.json is not None:
        report = {
            "machine": {
                "cpu_count": os.cpu_count(),
                "python": platform.python_version(),
                "system": platform.platform(),
            },
            "cpu": [asdict(figure) for figure in figures],
            "memory_mb": {"idle": idle_mb, "after_load": after_mb, f"during_{_LOADED_STREAMS}_streams": peak_mb},
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")


@contextmanager
def servers() -> Generator[tuple[Server, Server, str]]:
    """Frontdesk and the pass-through before one upstream, and a session token of Frontdesk's."""
    upstream_port, passthrough_port, frontdesk_port = free_port(), free_port(), free_port()
    upstream_url = f"http://127.0.0.1:{upstream_port}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "frontdesk.yaml"
        config.write_text(yaml.safe_dump(_settings(folder, f"{upstream_url}/v1")))
        enter = stack.enter_context
        enter(Server("upstream", upstream_port, "-m", "bench.upstream", str(upstream_port)))
        passthrough = enter(
            Server("passthrough", passthrough_port, "-m", "bench.passthrough", str(passthrough_port), upstream_url)
        )
        frontdesk = enter(
            Server(
                "frontdesk",
                frontdesk_port,
                *("-m", "frontdesk", "serve", "--config", str(config), "--port", str(frontdesk_port)),
                env={"FRONTDESK_ADMIN_KEY": ADMIN_KEY},
            )
        )
        yield frontdesk, passthrough, begin_session(frontdesk_port, ADMIN_KEY)


def compare(
    name: str,
    frontdesk: Server,
    passthrough: Server,
    token: str,
    rounds: int,
    *,
    is_streaming: bool,
    requests: int,
) -> Figure:
    """CPU of the server's process a request, in turn, after a round that is not counted."""
    measured: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        pair = tuple(
            _cpu_us(server, Load(server.port, token, is_streaming, requests, _AT_ONCE))
            for server in (frontdesk, passthrough)
        )
        if number:
            measured.append((pair[0], pair[1]))
    ratios = [ours / theirs for ours, theirs in measured]
    return Figure(
        name,
        statistics.median(ours for ours, _ in measured),
        statistics.median(theirs for _, theirs in measured),
        statistics.median(ratios),
        ratios,
    )


def memory_under_streams(frontdesk: Server, token: str) -> float:
    """Resident memory right after many streams at once, in MB; the pages they touched are still there."""
    _send(Load(frontdesk.port, token, is_streaming=True, requests=_LOADED_STREAMS * 2, at_once=_LOADED_STREAMS))
    return frontdesk.memory_mb()


def _cpu_us(server: Server, load: Load) -> float:
    before = server.cpu_s()
    _send(load)
    return (server.cpu_s() - before) / load.requests * 1e6


def _send(load: Load) -> None:
    uvloop.run(send(load))


def _settings(folder: Path, upstream_url: str) -> dict[str, object]:
    return {
        "database": f"sqlite:///{folder / 'bench.db'}",
        "providers": {"up": {"kind": "openai-compatible", "base_url": upstream_url, "api_key": "test"}},
        "models": {"bench": {"route": ["up/bench"]}},
        "tiers": {"free": {"models": ["bench"], "requests_per_minute": 1_000_000}},
        "default_tier": "free",
    }


def _print(figures: list[Figure], idle_mb: float, after_mb: float, peak_mb: float) -> None:
    print(f"\n{'CPU of the server process':28} {'frontdesk':>12} {'pass-through':>13} {'ratio':>7}   rounds")
    for figure in figures:
        rounds = f"{min(figure.rounds):.2f} to {max(figure.rounds):.2f}"
        print(
            f"{figure.name:28} {figure.frontdesk_us:9.0f} µs {figure.passthrough_us:10.0f} µs "
            f"{figure.ratio:7.2f}   {rounds}"
        )
    print(
        f"\nMemory: {idle_mb:.0f} MB idle, {after_mb:.0f} MB after the load, "
        f"{peak_mb:.0f} MB after {_LOADED_STREAMS} streams at once"
    )


if __name__ == "__main__":
    main()
