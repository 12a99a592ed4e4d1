"""A process that has imported all that serving needs. It forks a server for each line of arguments that it reads, and
says how that ended: a restart costs a tenth of a second instead of two, so that there can be hundreds.
"""

from __future__ import annotations

import json
import os
import random
import sys


def main() -> None:
    import asyncpg  # noqa: F401 - what is imported here no server need import
    import valkey  # noqa: F401 - the same

    from frontdesk.cli import main as frontdesk

    _say("warm")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            random.seed()  # each server draws its own numbers
            _say(f"forked {os.getpid()}")
            frontdesk(json.loads(line))
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        _say(f"\nended {os.waitstatus_to_exitcode(status)}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
