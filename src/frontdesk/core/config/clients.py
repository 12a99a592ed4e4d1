"""What apps are told: their names, the least versions that are served, and switches."""

from __future__ import annotations

import math
import re

from frontdesk.core.config.problems import Place, Problems, spelled
from frontdesk.core.config.shapes import Clients
from frontdesk.core.versions import read_version

CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_SWITCH_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MOST_SWITCHES = 200
_MAX_SWITCH_CHARS = 1000


def check_clients(problems: Problems, clients: Clients) -> None:
    """Check what apps are told."""
    minimum: Place = ("clients", "minimum")
    for name, version in clients.minimum.items():
        here = (*minimum, name)
        if CLIENT_NAME.fullmatch(name) is None:
            words = "letters, digits, '_' and '-', at most 32"
            problems.add(here, f"The name {name[:_MAX_SWITCH_CHARS]!r} in {spelled(minimum)} is none: {words}.")
        elif read_version(version) is None:
            problems.add(here, f"{spelled(here)} is {version!r}. It must be a version, such as 1.4.0 or 2.0.0-beta.1.")
    _check_switches(problems, clients)


def _check_switches(problems: Problems, clients: Clients) -> None:
    switches: Place = ("clients", "switches")
    if len(clients.switches) > _MOST_SWITCHES:
        words = f"has {len(clients.switches)} entries. All apps read all of them: {_MOST_SWITCHES} are the most."
        problems.add(switches, f"{spelled(switches)} {words}")
    for name, value in clients.switches.items():
        here = (*switches, name)
        if _SWITCH_NAME.fullmatch(name) is None:
            words = "letters, digits, '_', '.' and '-', at most 64"
            problems.add(here, f"The name {name[:_MAX_SWITCH_CHARS]!r} in {spelled(switches)} is none: {words}.")
        elif isinstance(value, float) and not math.isfinite(value):
            problems.add(here, f"{spelled(here)} is {value:g}, which JSON has not. Write a number.")
        elif isinstance(value, str) and len(value) > _MAX_SWITCH_CHARS:
            words = f"has {len(value):,} characters; {_MAX_SWITCH_CHARS:,} are the most"
            problems.add(here, f"{spelled(here)} {words}.")
