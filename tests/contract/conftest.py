"""One server for all contract tests, and official clients of it. OpenAI's document and ours check its answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from tests.contract.own_document import OwnDocument
from tests.peers.conflicts import unknown
from tests.peers.document import Answer, Document, Finding, official_document
from tests.peers.tap import tapped
from tests.serving import ADMIN_KEY, Served, serving


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    document, own_document = Document(official_document()), OwnDocument()
    findings: list[Finding] = []
    own_findings: list[str] = []

    def check(answer: Answer) -> None:
        findings.extend(document.check(answer))
        own_findings.extend(own_document.check(answer))

    with serving(tmp_path_factory.mktemp("contract")) as server, tapped(server.port, check) as port:
        server.port = port
        yield server
    assert not unknown(findings), "\n".join(map(str, unknown(findings)))
    assert own_findings == []


@pytest.fixture
def client(served: Served) -> Iterator[OpenAI]:
    with strict_client(served, ADMIN_KEY) as opened:
        yield opened


def strict_client(served: Served, token: str, **options: Any) -> OpenAI:
    """The official client, checking every body and event against its types."""
    return OpenAI(
        base_url=f"{served.url}/v1",
        api_key=token,
        max_retries=0,
        _strict_response_validation=True,
        timeout=30,
        **options,
    )


def begin_session(served: Served, **fields: Any) -> dict[str, Any]:
    """Begin a session as an app's server does."""
    response = httpx2.post(f"{served.url}/api/sessions", json=fields, headers={"Authorization": f"Bearer {ADMIN_KEY}"})
    assert response.status_code == 200, response.text
    return response.json()
