"""Apps that are too old are refused where they would speak our own protocol, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from frontdesk.core.errors import BadRequest
from frontdesk.http.clients import Clients
from frontdesk.http.edge import Edge
from frontdesk.http.requests import ClientTooOld
from tests.http.asgi import ask

CLIENTS = Clients({"web": "1.4.0", "ios": "2.0.0-beta.3"})
OURS = ["/api/sync", "/api/events", "/api/socket", "/api/conversations/conv_1/events"]
OTHERS = ["/v1/responses", "/api/bootstrap", "/api/conversations", "/api/conversations/a/b/events", "/api/me"]


def scope_of(path: str, *headers: tuple[str, str]) -> dict[str, Any]:
    return {"path": path, "headers": [(name.encode(), value.encode()) for name, value in headers]}


def is_refused(path: str, *headers: tuple[str, str], clients: Clients = CLIENTS) -> bool:
    try:
        clients.check(scope_of(path, *headers))
    except ClientTooOld:
        return True
    return False


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("web/1.3.9", True),
        ("web/1.4.0-rc.1", True),
        ("web/1", True),
        ("web/1.4.0", False),
        ("web/1.4.0+7", False),
        ("web/2", False),
        ("ios/2.0.0-beta.2", True),
        ("ios/2.0.0-beta.11", False),
        ("android/0.0.1", False),  # of which no least version is known
    ],
)
def test_a_version_below_the_least_one_of_its_app_is_refused(said: str, refused: bool) -> None:
    assert is_refused("/api/sync", ("frontdesk-client", said)) == refused
    offer = "frontdesk.client." + said.replace("/", ".", 1)
    assert is_refused("/api/socket", ("sec-websocket-protocol", f"frontdesk, {offer}")) == refused


@pytest.mark.parametrize("path", OURS)
def test_all_that_is_our_own_protocol_is_guarded(path: str) -> None:
    assert is_refused(path, ("frontdesk-client", "web/1.0"))
    assert not is_refused(path)


@pytest.mark.parametrize("path", OTHERS)
def test_nothing_else_is(path: str) -> None:
    assert not is_refused(path, ("frontdesk-client", "web/1.0"))


@pytest.mark.parametrize("said", ["", "web", "web/", "web/one", "/1.0", "a b/1.0", "web/1.0/2", "w" * 33 + "/1.0"])
def test_what_nobody_can_read_is_refused_where_it_counts(said: str) -> None:
    with pytest.raises(BadRequest, match="Frontdesk-Client says") as refusal:
        CLIENTS.check(scope_of("/api/sync", ("frontdesk-client", said)))

    assert (refusal.value.status, refusal.value.code) == (400, "invalid_value")
    Clients({}).check(scope_of("/api/sync", ("frontdesk-client", said)))


def test_who_says_two_things_is_refused() -> None:
    headers = [("frontdesk-client", "web/2.0"), ("sec-websocket-protocol", "frontdesk.client.web.1.0")]
    for said in (headers, headers[:1] * 2):
        with pytest.raises(BadRequest, match="twice"):
            CLIENTS.check(scope_of("/api/socket", *said))


async def test_the_answer_says_what_to_do_and_what_would_do() -> None:
    async def rest(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("It was refused.")

    answer = await ask(
        Edge({}, rest, clients=CLIENTS), "POST", "/api/sync", headers=[(b"frontdesk-client", b"web/1.3.9")]
    )

    assert (answer.status, answer.code) == (426, "client_too_old")
    assert answer.headers["upgrade"] == "frontdesk/1"
    assert answer.headers["connection"] == "Upgrade"
    assert answer.headers["x-should-retry"] == "false"
    assert answer.body["error"]["message"] == (
        "Version 1.3.9 of 'web' is too old for this server, which serves 1.4.0 and later. Update the app, or reload "
        "the page."
    )
