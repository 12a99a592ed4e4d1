"""Who used the processors: the clocks of everybody who has one here, read together."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from bench import machine
from bench.processes import Server


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds: on the wall, and of CPU by the machine, by this process, the upstream and the servers."""

    wall_s: float
    machine_s: float
    own_s: float
    upstream_s: float
    servers_s: float

    @classmethod
    def read(cls, upstream: Server, servers: Sequence[Server]) -> Self:
        """Read them now."""
        own = os.times()
        servers_s = sum(server.cpu_s() for server in servers)
        return cls(time.monotonic(), machine.busy_s(), own.user + own.system, upstream.cpu_s(), servers_s)

    def since(self, earlier: Clocks) -> Clocks:
        """Return what passed since."""
        return Clocks(
            self.wall_s - earlier.wall_s,
            self.machine_s - earlier.machine_s,
            self.own_s - earlier.own_s,
            self.upstream_s - earlier.upstream_s,
            self.servers_s - earlier.servers_s,
        )

    def others_share(self, clients_s: float) -> float:
        """Return what everybody else used, of one core. The machine counts in hundredths of a second."""
        others_s = self.machine_s - self.own_s - self.upstream_s - self.servers_s - clients_s
        return max(0.0, others_s / self.wall_s)
