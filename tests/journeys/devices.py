"""Devices of people: pages of another origin than Frontdesk's, with the built client in them, as plain ES modules."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import httpx2
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, Request, Route

from tests.journeys.desk import CHROMIUM_ARGUMENTS, ROOT, Desk, open_desk

CLIENT = ROOT / "web/client/dist"
_PAGES = Path(__file__).parent / "client"
_LONGEST_S = 30.0

MODELS = {"fast": "echo", "slow": "slow-60", "crawling": "slow-250"}


class _Files(SimpleHTTPRequestHandler):
    """The pages, and the client under /client/."""

    def translate_path(self, path: str) -> str:
        return str(file_of(path))

    def log_message(self, *args: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Say nothing."""


def file_of(path: str) -> Path:
    """The file at a path of the pages' origin."""
    name = urlsplit(path).path.lstrip("/")
    return CLIENT / name.removeprefix("client/") if name.startswith("client/") else _PAGES / (name or "index.html")


class Site:
    """Frontdesk, and an app that uses it from an address of its own."""

    def __init__(self, desk: Desk, address: str) -> None:
        self.desk = desk
        self.address = address

    def person(self) -> Person:
        """Somebody new."""
        return Person(self)


class Person:
    """Somebody with a session, who talks in one conversation."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.name = f"person-{uuid4().hex}"
        self.conversation = f"conv_{uuid4().hex}"
        self.token: str = self.ask("POST", "/api/sessions", site.desk.admin_key, {"user": self.name})["token"]

    def ask(self, method: str, path: str, token: str | None = None, body: Any = None) -> Any:
        """Ask the server, beside all devices."""
        answer = self._answer(method, path, token or self.token, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def address(self, **more: str) -> str:
        """The page of a device of theirs."""
        said = {"server": self.site.desk.url, "token": self.token, "conversation": self.conversation, **more}
        return f"{self.site.address}/?{urlencode(said)}"

    def kept(self) -> list[tuple[str, str]]:
        """What the server has of the conversation: who said what, in order. Nothing, before the first word arrived."""
        path = f"/v1/conversations/{self.conversation}/items?order=asc&limit=100"
        answer = self._answer("GET", path, self.token)
        if answer.status_code == 404:
            return []
        assert answer.status_code == 200, answer.text
        return [(item["role"], "".join(part["text"] for part in item["content"])) for item in answer.json()["data"]]

    def was_answered(self, times: int) -> None:
        """Assert how many answers were asked of a provider. Rows of it are written behind the answer."""
        asked = f"select count(*) from attempt join turn on turn.id = attempt.turn where person = '{self.name}'"
        ends_at = time.monotonic() + _LONGEST_S
        while (made := self.site.desk.rows(asked)[0][0]) < times and time.monotonic() < ends_at:
            time.sleep(0.02)
        assert made == times

    def _answer(self, method: str, path: str, token: str, body: Any = None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx2.request(method, self.site.desk.url + path, headers=headers, json=body, timeout=_LONGEST_S)


class Device:
    """A page of a person's."""

    def __init__(self, page: Page, person: Person, **more: str) -> None:
        self.page = page
        self._person = person
        self.requests: list[Request] = []
        server = person.site.desk.url
        page.on("request", lambda asked: self.requests.append(asked) if asked.url.startswith(server) else None)
        page.goto(person.address(**more))
        page.wait_for_function("() => window.client !== undefined && client.view.get().connection !== 'stopped'")

    def say(self, text: str, model: str = "fast") -> str:
        """Send, and wait until it is kept on the device."""
        return self.page.evaluate("([text, model]) => chat.send(text, { request: { model } })", [text, model])

    def say_and_not_wait(self, text: str, model: str = "fast") -> None:
        """Send. Whether it is kept when this returns, nobody knows."""
        self.page.evaluate("([text, model]) => void chat.send(text, { request: { model } })", [text, model])

    def shown(self) -> list[tuple[str, str]]:
        """Who said what, in the order of the page."""
        lines = self.page.locator("#messages li").evaluate_all(
            "all => all.map(one => [one.dataset.role, one.textContent])"
        )
        return [(role, text) for role, text in lines]

    def is_so(self, of_view: str) -> None:
        """Wait until something is so of `view`, the conversation's, and `all`, the client's."""
        try:
            self.page.wait_for_function(
                f"() => {{ const view = chat.view.get(), all = client.view.get(); return {of_view} }}",
                timeout=_LONGEST_S * 1000,
            )
        except Error as error:
            raise AssertionError(f"never: {of_view}; {self.told():.2000}") from error

    def told(self) -> str:
        """All that the client tells, for people."""
        return json.dumps(self.page.evaluate("() => [client.view.get(), chat.view.get()]"), indent=1)

    def is_done(self, messages: int) -> None:
        """Wait until all has arrived, so many messages are there, and all are answered."""
        settled = "!all.unsent && !view.isBusy && view.messages.every(({ turn }) => !turn || turn.state === 'done')"
        self.is_so(f"view.messages.length === {messages} && {settled}")

    def crash(self) -> None:
        """End the tab's process at once."""
        with self.page.expect_event("crash"), suppress(Error):  # it has nobody to answer any more
            self.page.goto("chrome://crash")
        self.page.close()


@contextmanager
def open_site(folder: Path) -> Generator[Site]:
    """Both servers, for the length of a block."""
    pages = ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    serving = threading.Thread(target=partial(pages.serve_forever, poll_interval=0.05))
    serving.start()
    address = f"http://127.0.0.1:{pages.server_port}"
    try:
        with open_desk(folder, models=MODELS, cors={"origins": [address]}) as desk:
            yield Site(desk, address)
    finally:
        pages.shutdown()
        serving.join()
        pages.server_close()


def device_context(browser: Browser) -> BrowserContext:
    """A device of somebody's; what it keeps is kept until this is closed."""
    # A page that is handed out without a network is of no address, and would be asked whether it may ask this machine.
    return browser.new_context(permissions=["local-network-access"])


def without_network(context: BrowserContext, site: Site) -> None:
    """Take the network away. The app's own files are there nevertheless, as they are for apps that are installed."""

    def hand_out(route: Route) -> None:
        route.fulfill(path=file_of(route.request.url))

    context.route(f"{site.address}/**", hand_out)
    context.set_offline(True)


def with_network(context: BrowserContext) -> None:
    """Bring it back."""
    context.unroute_all(behavior="wait")  # a file may be on its way out: what is fetched later comes when it likes
    context.set_offline(False)


class Machine:
    """A browser with a profile on the disk, which can lose its power."""

    def __init__(self, playwright: Playwright, path: str, profile: Path) -> None:
        self._start: Callable[[], BrowserContext] = lambda: playwright.chromium.launch_persistent_context(
            profile, executable_path=path, args=list(CHROMIUM_ARGUMENTS)
        )
        self._profile = profile
        self.context = self._start()

    def kill(self) -> None:
        """End every process of it at once, and start it anew."""
        for process in _processes_of(self._profile):
            os.kill(process, signal.SIGKILL)
        ends_at = time.monotonic() + _LONGEST_S
        while _processes_of(self._profile) and time.monotonic() < ends_at:
            time.sleep(0.01)
        with suppress(Error):  # it may have noticed already
            self.context.close()
        self.context = self._start()

    def close(self) -> None:
        self.context.close()


def _processes_of(profile: Path) -> list[int]:
    """The browser of a profile; what belongs to it ends with it."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended
            if f"--user-data-dir={profile}".encode() in words:
                found.append(int(entry.name))
    return found
