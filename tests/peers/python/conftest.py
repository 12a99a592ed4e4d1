"""The scripted upstream as `frontdesk upstream` serves it, for the clients of providers that it speaks like."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

KEY = "not-a-real-key"


class Upstream:
    """Where it listens, and what it sends, as bytes."""

    def __init__(self, url: str) -> None:
        self.url = url

    def send(self, path: str, body: dict[str, Any], **headers: str) -> bytes:
        """Return what is answered to a POST."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"content-type": "application/json", **named}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def events(self, path: str, body: dict[str, Any], **headers: str) -> list[Any]:
        """Return the payloads of the server-sent events that are answered to a POST."""
        lines = self.send(path, body, **headers).decode().splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]

    def play(self, script: str, **rule: Any) -> None:
        """Let the next request meet this."""
        body = json.dumps({"script": script, "times": 1, **rule}).encode()
        request = urllib.request.Request(f"{self.url}/upstream/faults", body, method="PUT")
        urllib.request.urlopen(request, timeout=30).close()

    def billed(self) -> tuple[int, int]:
        """The tokens of the newest request and of its answer."""
        with urllib.request.urlopen(f"{self.url}/upstream/journal", timeout=30) as answer:
            billed = json.load(answer)["records"][-1]["billed"]
        return billed["input_tokens"], billed["output_tokens"]


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    command = [os.environ["FRONTDESK_PYTHON"], "-m", "frontdesk", "upstream", "--port", "0", "--api-key", KEY]
    served = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert served.stdout is not None
    try:
        ready = re.search(r"base_url (http://[^/]+)/v1", served.stdout.readline())
        assert ready is not None
        yield Upstream(ready[1])
    finally:
        served.terminate()
        served.wait(30)
        served.stdout.close()
