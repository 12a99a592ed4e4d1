"""Who is measured: each answers the same questions from the same upstream.

direct          the upstream itself, no server between
pass-through    passthrough.py: what a Python gateway costs at least
frontdesk       the source tree that is measured
other           another one, where there is one to compare with
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.processes import Server, free_port
from bench.script import Script
from bench.sessions import begin_session
from bench.source_tree import import_from

CONTENDERS = DIRECT, PASSTHROUGH, FRONTDESK, OTHER = "direct", "pass-through", "frontdesk", "other"
ADMIN_KEY = "fd_sk_bench-key-that-opens-nothing-real"


@dataclass(frozen=True, slots=True)
class Contender:
    """A port that answers. `server` is the process that stands before the upstream, if one does."""

    name: str
    port: int
    token: str
    server: Server | None


@dataclass(frozen=True, slots=True)
class Field:
    """All contenders of a round, and the upstream of them all."""

    contenders: tuple[Contender, ...]
    upstream: Server


@contextmanager
def field(scripts: Iterable[Script], trees: Mapping[str, Path]) -> Generator[Field]:
    """Start everybody, each in a process of its own; a Frontdesk for each tree."""
    models = sorted({script.model for script in scripts})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="frontdesk-bench-")))
        upstream = stack.enter_context(_upstream(folder))
        passthrough = stack.enter_context(_passthrough(folder, upstream.port))
        contenders = [
            Contender(DIRECT, upstream.port, "", None),
            Contender(PASSTHROUGH, passthrough.port, "", passthrough),
        ]
        for name, tree in trees.items():
            server = stack.enter_context(_frontdesk(name, tree, folder, models, upstream.port))
            contenders.append(Contender(name, server.port, begin_session(server.port, ADMIN_KEY), server))
        yield Field(tuple(contenders), upstream)


def _upstream(folder: Path) -> Server:
    port = free_port()
    return Server("upstream", port, folder, ("-m", "bench.upstream", str(port)))


def _passthrough(folder: Path, upstream_port: int) -> Server:
    port = free_port()
    command = ("-m", "bench.passthrough", str(port), f"http://127.0.0.1:{upstream_port}")
    return Server(PASSTHROUGH, port, folder, command)


def _frontdesk(name: str, tree: Path, folder: Path, models: list[str], upstream_port: int) -> Server:
    port = free_port()
    config = folder / f"{name}.yaml"
    settings = {
        "database": f"sqlite:///{folder / name}.db",
        "providers": {
            "up": {
                "kind": "openai-compatible",
                "base_url": f"http://127.0.0.1:{upstream_port}/v1",
                "api_key": "test",
            }
        },
        "models": {model: {"route": [f"up/{model}"]} for model in models},
        "tiers": {"free": {"models": models, "requests_per_minute": 1_000_000}},
        "default_tier": "free",
    }
    if (tree / "frontdesk" / "ledger").is_dir():
        settings |= _money(models)
    config.write_text(yaml.safe_dump(settings))
    command = ("-m", "frontdesk", "serve", "--config", str(config), "--port", str(port))
    return Server(name, port, folder, command, {"FRONTDESK_ADMIN_KEY": ADMIN_KEY, **import_from(tree)})


def _money(models: list[str]) -> dict[str, object]:
    """Every limit and two budgets that no load reaches: each answer is priced, put aside for and settled."""
    plenty = 1_000_000_000
    tier = {
        "models": models,
        "requests_per_minute": 1_000_000,
        "tokens_per_minute": plenty,
        "tokens_per_day": plenty,
        "concurrent": 100_000,
        "budget": {"usd": 1_000_000, "per": "day", "degrade_at": [0.9]},
    }
    return {
        "tiers": {"free": tier},
        "budgets": [{"scope": "app", "usd": 1_000_000, "per": "month", "alert_at": [0.5]}],
        "prices": {"up/*": {"input": 0.25, "output": 2}},
    }
