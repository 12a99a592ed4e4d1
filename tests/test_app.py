"""Who may begin without a credential on a developer's machine, and background work that goes on whatever happens."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest
from starlette.requests import Request

from frontdesk.app import Frontdesk
from frontdesk.core import config
from frontdesk.core.config import Config, read_environment
from frontdesk.storage.errors import StorageFailed


def opened(*, is_development: bool, anonymous: bool = True) -> Frontdesk:
    settings = Config(auth=config.Auth(anonymous=anonymous))
    return Frontdesk(settings, read_environment({}), cast("Any", None), is_development=is_development)


def request(host: bytes | None, peer: str = "127.0.0.1") -> Request:
    headers = [] if host is None else [(b"host", host)]
    return Request(
        {
            "type": "http",
            "method": "POST",
            "path": "/api/sessions",
            "query_string": b"",
            "headers": headers,
            "scheme": "http",
            "server": ("127.0.0.1", 8000),
            "client": (peer, 5000),
        }
    )


@pytest.mark.parametrize(
    "host",
    [b"localhost", b"localhost:8000", b"LocalHost:8000", b"127.0.0.1", b"127.0.0.1:8000", b"127.1.2.3", b"[::1]",
     b"[::1]:8000"],
)  # fmt: skip
def test_pages_of_this_machine_need_no_credential_in_development(host: bytes) -> None:
    app = opened(is_development=True)

    assert app.allows_anonymous(request(host))
    assert app.allows_anonymous(request(host, "::1"))
    assert not app.allows_anonymous(request(host, "192.0.2.1"))
    assert not opened(is_development=True, anonymous=False).allows_anonymous(request(host))


@pytest.mark.parametrize(
    "host",
    [
        None, b"", b"evil.example", b"evil.example:8000", b"evil_x.evil.example", b"a_b.evil.example:8000",
        b"-x.evil.example", b"a,b.evil.example", b"a b.evil.example", b"a\xe9.evil.example", b"evil.example:99999",
        b"localhost.evil.example", b"127.0.0.1.evil.example", b"evil.localhost.", b"localhost.", b"localhost:",
        b"evil@localhost", b"localhost@evil.example", b"localhost#evil", b"localhost/evil", b"evil\\@localhost",
        b"evil:80@127.0.0.1", b"[::1", b"[", b"[]", b"localhost]", b"[localhost]", b"a[b]c", b"127.0.0.1\n",
        b"192.0.2.1", b"0.0.0.0", b"[::]", b"[2001:db8::1]", b"2130706433", b"0x7f.1", b"127.1", b"::1",
    ],
)  # fmt: skip
def test_a_name_that_was_made_to_lead_here_is_not_this_machine(host: bytes | None) -> None:
    assert not opened(is_development=True).allows_anonymous(request(host))


def test_in_production_the_configuration_alone_decides() -> None:
    assert opened(is_development=False).allows_anonymous(request(b"desk.example", "192.0.2.1"))
    assert not opened(is_development=False, anonymous=False).allows_anonymous(request(b"localhost"))


async def test_background_work_goes_on_after_any_failure_and_tells_each_once(caplog: pytest.LogCaptureFixture) -> None:
    bug, lost = ValueError("a bug"), StorageFailed("the disk is full")
    outcomes = iter([bug, bug, lost, lost, None, None, bug, None])
    is_done = asyncio.Event()

    async def work() -> None:
        outcome = next(outcomes, "over")
        if outcome == "over":
            is_done.set()
        elif isinstance(outcome, Exception):
            raise outcome

    caplog.set_level(logging.INFO, "frontdesk.app")
    app = opened(is_development=False)
    task = asyncio.get_running_loop().create_task(app._every("refresh", 0, work))
    async with asyncio.timeout(10):
        await is_done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [(record.levelname, record.message, record.exc_info is not None) for record in caplog.records] == [
        ("ERROR", "work_failed work=refresh", True),
        ("WARNING", "store_unavailable work=refresh reason=the disk is full", False),
        ("INFO", "work_recovered work=refresh", False),
        ("ERROR", "work_failed work=refresh", True),
        ("INFO", "work_recovered work=refresh", False),
    ]
