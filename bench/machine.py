"""The machine: what it is, how busy it is, how many files a process may open."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from importlib.metadata import version
from pathlib import Path

from bench.processes import ROOT

_IDLE_FIELDS = (3, 4)  # idle, iowait: proc_pid_stat(5) counts columns of /proc/stat's first line from `user`
_COUNTED_FIELDS = 8  # user to steal; guest time is within user
_PACKAGES = ("uvicorn", "uvloop", "httptools", "aiohttp", "starlette", "msgspec")


def describe() -> dict[str, object]:
    """Return what figures depend on."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "cpu_count": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: version(name) for name in _PACKAGES},
        "commit": commit.stdout.strip(),
    }


def busy_s() -> float:
    """CPU seconds of the whole machine so far, everybody's."""
    line = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    ticks = sum(int(each) for place, each in enumerate(line[:_COUNTED_FIELDS]) if place not in _IDLE_FIELDS)
    return ticks / os.sysconf("SC_CLK_TCK")


def allow_files(wanted: int) -> None:
    """Let this process and its children open so many files. Raises RuntimeError where the machine forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise RuntimeError(f"This needs {wanted} open files; the hard limit is {hard} (ulimit -Hn).")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
