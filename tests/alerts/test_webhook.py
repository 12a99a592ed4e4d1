"""The webhook: signed as its page says, taken by any 2xx alone, and no failure tells what may be a secret."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest

from frontdesk.alerts.webhook import NotTaken, Webhook
from tests.alerts.receiver import SECRET, Receiver, break_off, documented_verify, drip, hang, no_http, receiving
from tests.fakes import HandClock

BODY = '{"type":"budget.alert","data":{"scope":"group:Ä"}}'.encode()


def webhook(receiver: Receiver, clock: HandClock, secret: str = SECRET, **settings: Any) -> Webhook:
    return Webhook(receiver.url, secret, clock, **settings)


@pytest.mark.parametrize("secret", [SECRET, "any text of 24 characters or more, as this"])
async def test_a_receiver_that_verifies_as_the_page_says_takes_it(secret: str) -> None:
    clock = HandClock()
    async with receiving(clock.now) as receiver:
        receiver.secret = secret
        await webhook(receiver, clock, secret).send("alert_1", BODY)

    assert receiver.paths == ["POST /hooks/hidden?token=hidden HTTP/1.1"]
    assert receiver.messages == [{"type": "budget.alert", "data": {"scope": "group:Ä"}}]
    told = receiver.headers[0]
    assert (told["host"], told["content-type"]) == (f"127.0.0.1:{receiver.port}", "application/json")
    assert (told["webhook-id"], told["webhook-timestamp"]) == ("alert_1", str(int(clock.now())))


@pytest.mark.parametrize(
    ("change", "is_ours"),
    [
        ({}, True),
        ({"webhook-id": "alert_2"}, False),
        ({"webhook-timestamp": "1800000001"}, False),
        ({"webhook-signature": "v1,AAAA"}, False),
    ],
)
async def test_what_was_changed_on_the_way_is_not_ours(change: dict[str, str], is_ours: bool) -> None:
    clock = HandClock()
    async with receiving(clock.now) as receiver:
        await webhook(receiver, clock).send("alert_1", BODY)
    names = documented_verify()
    names["time"] = type("time", (), {"time": staticmethod(clock.now)})
    headers = {**receiver.headers[0], **change}

    assert names["verify"](SECRET, headers, BODY) is is_ours
    assert not names["verify"](SECRET, headers, BODY + b" ")
    clock.move(301)
    assert not names["verify"](SECRET, headers, BODY)


async def test_who_has_another_secret_does_not_take_it() -> None:
    clock = HandClock()
    async with receiving(clock.now) as receiver:
        receiver.secret = "whsec_" + "A" * 32
        with pytest.raises(NotTaken, match="status 401"):
            await webhook(receiver, clock).send("alert_1", BODY)

    assert receiver.messages == []


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_has_taken_it(status: int) -> None:
    async with receiving(HandClock().now) as receiver:
        receiver.statuses = [status]

        await webhook(receiver, HandClock()).send("alert_1", BODY)

    assert len(receiver.messages) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
async def test_no_other_status_has_and_redirects_are_not_followed(status: int) -> None:
    async with receiving(HandClock().now) as receiver:
        receiver.statuses = [status]

        with pytest.raises(NotTaken) as caught:
            await webhook(receiver, HandClock()).send("alert_1", BODY)

    assert str(caught.value) == f"http://127.0.0.1:{receiver.port} answered with status {status}"
    assert caught.value.is_gone == (status == HTTPStatus.GONE)
    assert len(receiver.ids) == 1


@pytest.mark.parametrize(
    ("respond", "words"),
    [(hang, "did not answer within 0.3 s"), (drip, "did not answer"), (break_off, "properly"), (no_http, "properly")],
    ids=["silence", "endless headers", "an early end", "no HTTP"],
)
async def test_who_misbehaves_has_not_taken_it(respond: Any, words: str) -> None:
    async with receiving(HandClock().now) as receiver:
        receiver.respond = respond

        with pytest.raises(NotTaken, match=words) as caught:
            await webhook(receiver, HandClock(), timeout_s=0.3).send("alert_1", BODY)

    assert "hidden" not in str(caught.value)


async def test_nobody_there_is_told_without_the_path() -> None:
    async with receiving(HandClock().now) as receiver:
        pass

    with pytest.raises(NotTaken, match="cannot be reached") as caught:
        await webhook(receiver, HandClock()).send("alert_1", BODY)
    assert "hidden" not in str(caught.value)
