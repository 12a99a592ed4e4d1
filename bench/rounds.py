"""Rounds and laps: everybody is started anew and warmed up, then each gets the load in turn, lap by lap.

Fresh processes each round, because two starts of the same program differ as well (where memory lies,
how strings hash). Short laps, because what disturbs the machine meanwhile should disturb all alike;
the order turns around each lap.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path

from bench.clocks import Clocks
from bench.contenders import Contender, field
from bench.generator import Generator
from bench.load import Load, Outcome
from bench.processes import Memory, Server
from bench.script import Script

_WARM_UP = Script(40)
_WARM_UP_REQUESTS = 300
_SETTLE_S = 0.1  # rows are written behind the answer
_LOOK_EVERY_S = 1.0  # a look keeps a processor for a millisecond or two


@dataclass(frozen=True, slots=True)
class Memories:
    """Of a contender's server: after its start, before and after its load, and at most meanwhile."""

    idle: Memory
    before: Memory
    most: Memory
    after: Memory


@dataclass(frozen=True, slots=True)
class Sample:
    """One load of one contender. `cpu_s` and `memory` are of its server, if it has one.

    The shares are of one core: the client's, the upstream's, and that of everybody else on the machine.
    """

    load: Load
    outcome: Outcome
    cpu_s: float | None
    memory: Memories | None
    client_share: float
    upstream_share: float
    others_share: float


Samples = dict[str, Sample]


def play(
    load: Load, rounds: int, laps: int, trees: Mapping[str, Path], skipped: Container[str] = ()
) -> Iterator[Samples]:
    """Yield each lap's samples by contender's name. `skipped` are those that have nothing to show."""
    with Generator() as generator:
        for number in range(rounds):
            with field((load.script, _WARM_UP), trees) as those:
                contenders = [each for each in those.contenders if each.name not in skipped]
                yield from play_round(generator, load, laps, contenders[:: -1 if number % 2 else 1], those.upstream)


def play_round(
    generator: Generator, load: Load, laps: int, contenders: Sequence[Contender], upstream: Server
) -> Iterator[Samples]:
    """Warm everybody up, then yield lap after lap."""
    idle = {each.name: each.server.memory() for each in contenders if each.server is not None}
    warm_up = Load(_WARM_UP, load.is_streaming, min(_WARM_UP_REQUESTS, load.requests))
    for contender in contenders:
        generator.start(warm_up, contender.port, contender.token).result()
    time.sleep(_SETTLE_S)
    for number in range(laps):
        order = contenders[:: -1 if number % 2 else 1]
        yield {each.name: _sample(generator, load, each, upstream, idle.get(each.name)) for each in order}


def _sample(generator: Generator, load: Load, contender: Contender, upstream: Server, idle: Memory | None) -> Sample:
    server = contender.server
    servers = [server] if server is not None else []
    before_load = server.memory() if server is not None else None
    began = Clocks.read(upstream, servers)
    future = generator.start(load, contender.port, contender.token)
    most = _watch(future, server, before_load)
    outcome = future.result()
    time.sleep(_SETTLE_S)
    passed = Clocks.read(upstream, servers).since(began)
    memory = None
    if server is not None and idle is not None and before_load is not None and most is not None:
        memory = Memories(idle, before_load, most, server.memory())
    return Sample(
        load,
        outcome,
        passed.servers_s if servers else None,
        memory,
        client_share=outcome.cpu_s / outcome.wall_s,
        upstream_share=passed.upstream_s / outcome.wall_s,
        others_share=passed.others_share(outcome.cpu_s),
    )


def _watch(future: Future[Outcome], server: Server | None, first: Memory | None) -> Memory | None:
    """Wait, and return the most memory that the server had meanwhile."""
    most = first
    while wait((future,), _LOOK_EVERY_S).not_done:
        if server is not None and most is not None:
            most = max(most, server.memory(), key=lambda memory: memory.resident_kb)
    return most
