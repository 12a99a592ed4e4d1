"""The models of this machine, for tests that ask a real one. What is missing is fetched, once."""

from __future__ import annotations

import os
import select
from pathlib import Path

from frontdesk.core.config import read_environment
from frontdesk.local.models import installed
from frontdesk.local.pull import pull

CHAT = "smollm2-135m"
EMBEDDING = "minilm-l6-v2"
SPEECH = "whisper-tiny-en"


def home_with(*names: str) -> Path:
    """The folder in which this machine keeps its models, with these in it."""
    home = read_environment().home
    for name in names:
        if installed(name, home) is None:
            pull(name, home, print)
    return home


def wait_for_end(process_id: int, timeout_s: float = 10.0) -> bool:
    """Wait until a process, of whomever, has ended; False where it has not in time."""
    try:
        watched = os.pidfd_open(process_id)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], timeout_s)[0])
    finally:
        os.close(watched)


def cpu_s(process_id: int) -> float:
    """The seconds of CPU that a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
