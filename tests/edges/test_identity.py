"""Identity over a real server: cookies in a real jar, forged requests, upgrades, refreshes, revocations, tenants."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from frontdesk.app import Frontdesk
from frontdesk.core.config import Config, read_environment
from tests.accounts.identity_provider import AUDIENCE, ISSUER, es256, good_claims, key_set, rs256
from tests.edges.raw import post
from tests.edges.test_roles import places_of
from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving

APP = "https://app.example"
ATTESTER = "https://attest.example/1"
SETTINGS: dict[str, Any] = {
    **SCRIPTED,
    "default_tier": "free",
    "tiers": {"free": {"models": ["fast", "crawling"]}, "paid": {}},
    "auth": {
        "anonymous": True,
        "anonymous_sessions_per_hour": 100,
        "cookies": True,
        "jwt": [{"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": "keys.json", "claims": {"tier": "plan"}}],
    },
    "cors": {"origins": [APP]},
    "trusted_proxies": ["127.0.0.1"],
}
QUESTION = {"messages": [{"role": "user", "content": "hello there"}]}


def settings_in(folder: Path, **auth: Any) -> dict[str, Any]:
    """The settings, with the identity provider's keys in this folder."""
    folder.joinpath("keys.json").write_bytes(key_set([es256()]))
    issuer = {**SETTINGS["auth"]["jwt"][0], "jwks_file": str(folder / "keys.json")}
    return {**SETTINGS, "auth": {**SETTINGS["auth"], "jwt": [issuer], **auth}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("identity")
    with serving(folder, settings_in(folder)) as server:
        yield server
        assert "route_broke" not in server.log


class BehindProxy(httpx2.HTTPTransport):
    """A proxy that ends https in front of the server: what a browser asks https://desk.example for comes here."""

    def __init__(self, served: Served, address: str = "198.51.100.7") -> None:
        super().__init__()
        self._url = httpx2.URL(served.url)
        self._address = address

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        forwarded = {"x-forwarded-proto": request.url.scheme, "x-forwarded-for": self._address}
        url = request.url.copy_with(scheme="http", host=self._url.host, port=self._url.port)
        headers = httpx2.Headers([*request.headers.multi_items(), *forwarded.items()])
        return super().handle_request(httpx2.Request(request.method, url, headers=headers, stream=request.stream))


@contextlib.contextmanager
def browser(served: Served, *, is_secure: bool = False) -> Iterator[httpx2.Client]:
    """A client with a cookie jar, over plain http or as behind a proxy that ends https."""
    url, transport = ("https://desk.example", BehindProxy(served)) if is_secure else (served.url, None)
    with httpx2.Client(base_url=url, transport=transport, timeout=30) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


SECRET = bearer(ADMIN_KEY)


def begin(served: Served, headers: dict[str, str] | None = SECRET, **asked: Any) -> dict[str, Any]:
    answer = httpx2.post(f"{served.url}/api/sessions", headers=headers or {}, json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def get(served: Served, path: str, token: str) -> httpx2.Response:
    return httpx2.get(served.url + path, headers=bearer(token))


def models_of(served: Served, token: str) -> set[str]:
    return {model["id"] for model in get(served, "/v1/models", token).json()["data"]}


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# --- cookies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
def test_a_page_keeps_its_session_in_cookies(served: Served, is_secure: bool) -> None:
    with browser(served, is_secure=is_secure) as page:
        begun = page.post("/api/sessions", json={"cookie": True}).json()
        csrf = {"Frontdesk-CSRF": begun["csrf_token"]}

        names = {cookie.name: (cookie.path, cookie.secure) for cookie in page.cookies.jar}
        assert names == (
            {
                "__Host-frontdesk_session": ("/", True),
                "__Host-frontdesk_refresh": ("/", True),
            }
            if is_secure
            else {"frontdesk_session": ("/", False), "frontdesk_refresh": ("/", False)}
        )
        assert page.get("/api/me").json()["user"] == begun["user"]
        assert page.get("/api/sessions/current").json()["csrf_token"] == begun["csrf_token"]
        assert code_of(page.post("/v1/chat/completions", json=QUESTION)) == (403, "csrf_failed")
        assert page.post("/v1/chat/completions", json=QUESTION, headers=csrf).status_code == 200
        assert code_of(page.post("/api/sessions", json={"cookie": True}, headers=csrf)) == (400, "session_exists")

        refreshed = page.post("/api/sessions/refresh", headers=csrf)
        assert (refreshed.status_code, refreshed.json()["user"]) == (200, begun["user"])
        assert page.get("/api/sessions/refresh").json() == {"id": begun["id"], "csrf_token": begun["csrf_token"]}

        ended = page.delete("/api/sessions/current", headers=csrf)
        assert (ended.status_code, list(page.cookies.jar)) == (200, [])
        assert code_of(page.get("/api/me")) == (401, "missing_credential")


def test_a_cookie_of_plain_http_is_none_of_https(served: Served) -> None:
    with browser(served) as page:
        page.post("/api/sessions", json={"cookie": True})
        cookie = "; ".join(f"{each.name}={each.value}" for each in page.cookies.jar)

    with browser(served, is_secure=True) as page:
        assert code_of(page.get("/api/me", headers={"cookie": cookie})) == (401, "missing_credential")


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [(APP, True), ("https://desk.example", True), ("http://desk.example", False), ("https://evil.example", False),
     ("null", False)],
)  # fmt: skip
def test_only_pages_of_known_origins_use_them(served: Served, origin: str, is_allowed: bool) -> None:
    with browser(served, is_secure=True) as page:
        begun = page.post("/api/sessions", json={"cookie": True}).json()
        headers = {"Frontdesk-CSRF": begun["csrf_token"], "Origin": origin}

        answers = [
            page.post("/v1/chat/completions", json=QUESTION, headers=headers),
            page.post("/api/sessions/refresh", headers=headers),
            page.delete("/api/sessions/current", headers=headers),
            page.post("/api/sessions", json={"cookie": True}, headers=headers),
        ]

        expected = [200] * 4 if is_allowed else [403] * 4
        assert [answer.status_code for answer in answers] == expected
        assert {answer.headers.get("access-control-allow-origin") for answer in answers} == (
            {APP} if origin == APP else {None}
        )


def test_browsers_are_told_which_pages_may_send_cookies(served: Served) -> None:
    asked = "authorization,content-type,frontdesk-attestation,frontdesk-csrf,frontdesk-feature,x-stainless-os"
    preflight = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": asked}

    listed = httpx2.options(f"{served.url}/v1/models", headers={"Origin": APP, **preflight})
    other = httpx2.options(f"{served.url}/v1/models", headers={"Origin": "https://evil.example", **preflight})

    assert listed.status_code == 200
    assert listed.headers["access-control-allow-origin"] == APP
    assert listed.headers["access-control-allow-credentials"] == "true"
    assert listed.headers["access-control-allow-headers"] == asked
    assert "PATCH" in listed.headers["access-control-allow-methods"]
    assert (other.status_code, "access-control-allow-origin" in other.headers) == (400, False)


def test_without_cookies_no_page_may_send_any(tmp_path: Path) -> None:
    with serving(tmp_path, {**SCRIPTED, "cors": {"origins": [APP]}}) as server:
        answer = httpx2.get(f"{server.url}/healthz", headers={"Origin": APP})

    assert answer.headers["access-control-allow-origin"] == APP
    assert "access-control-allow-credentials" not in answer.headers


def test_a_page_signs_in(served: Served) -> None:
    """Anonymous first, then a token of the identity provider: what was theirs stays theirs, in a new cookie."""
    token = signed_in("org/signer", plan="paid")
    with browser(served, is_secure=True) as page:
        begun = page.post("/api/sessions", json={"cookie": True}).json()
        csrf = {"Frontdesk-CSRF": begun["csrf_token"]}
        page.post("/v1/chat/completions", json=QUESTION, headers=csrf)
        served.wait_for_rows(f"SELECT status FROM turn WHERE person = '{begun['user']}'", [("completed",)])

        upgraded = page.post("/api/sessions/upgrade", json={}, headers={**bearer(token), **csrf})
        assert upgraded.json() == {"user": "org/signer", "was": begun["user"], "object": "upgrade"}
        exchanged = page.post("/api/sessions", json={"cookie": True}, headers=bearer(token))

        assert exchanged.status_code == 200
        me = page.get("/api/me").json()
        assert (me["user"], me["tier"], me["anonymous"]) == ("org/signer", "paid", False)
        assert [cookie.name for cookie in page.cookies.jar] == ["__Host-frontdesk_session"]
    of_user = "SELECT count(*) FROM turn WHERE person = 'org/signer' AND status = 'completed'"
    served.wait_for_rows(of_user, [(1,)])


def test_a_thief_keeps_nothing_of_a_session_that_ends(served: Served) -> None:
    """Who refreshed with a stolen token could begin a session of their own, which its reuse did not end."""
    session = begin(served, user="robbed", refreshable=True)
    stolen = session
    for _ in range(2):
        refresh = {"refresh_token": stolen["refresh_token"]}
        stolen = httpx2.post(f"{served.url}/api/sessions/refresh", json=refresh).json()
    own = httpx2.post(f"{served.url}/api/sessions", headers=bearer(stolen["token"]), json={"expires_in": 86_400})
    in_cookie = httpx2.post(f"{served.url}/api/sessions", headers=bearer(stolen["token"]), json={"cookie": True})
    token = in_cookie.cookies["frontdesk_session"]

    late = httpx2.post(f"{served.url}/api/sessions/refresh", json={"refresh_token": session["refresh_token"]})

    assert code_of(own) == (400, "session_exists")
    assert code_of(late) == (401, "refresh_token_reused")
    assert code_of(get(served, "/api/me", token)) == (401, "token_revoked")
    assert served.rows("SELECT count(*) FROM session WHERE person = 'robbed'") == [(1,)]


def signed_in(user: str, **claims: Any) -> str:
    """A token of the identity provider, of some seconds ago: what ends all of a user's does not end later ones."""
    now = int(time.time())
    return es256().token(good_claims(sub=user, iat=now - 5, exp=now + 300, **claims))


# --- upgrades -----------------------------------------------------------------------------------


def test_turns_move_with_an_upgrade(served: Served) -> None:
    anonymous, user = begin(served, None), begin(served, user="upgrader")
    for _ in range(2):
        answer = httpx2.post(f"{served.url}/v1/chat/completions", headers=bearer(anonymous["token"]), json=QUESTION)
        assert answer.status_code == 200
    mine = f"SELECT count(*) FROM turn WHERE person = '{anonymous['user']}'"
    served.wait_for_rows(mine, [(2,)])

    upgraded = httpx2.post(
        f"{served.url}/api/sessions/upgrade",
        headers=bearer(user["token"]),
        json={"anonymous_token": anonymous["token"]},
    )

    assert upgraded.status_code == 200
    served.wait_for_rows(mine, [(0,)])
    served.wait_for_rows("SELECT count(*) FROM turn WHERE person = 'upgrader'", [(2,)])
    assert code_of(get(served, "/api/me", anonymous["token"])) == (401, "token_revoked")
    refresh = httpx2.post(f"{served.url}/api/sessions/refresh", json={"refresh_token": anonymous["refresh_token"]})
    assert code_of(refresh) == (401, "token_revoked")


@pytest.mark.slow
def test_a_turn_that_runs_meanwhile_moves_too(served: Served) -> None:
    anonymous, user = begin(served, None), begin(served, user="late")
    asked = {**QUESTION, "model": "crawling", "stream": True}
    url = f"{served.url}/v1/chat/completions"
    with httpx2.stream("POST", url, headers=bearer(anonymous["token"]), json=asked, timeout=30) as stream:
        lines = stream.iter_lines()
        next(lines)
        upgraded = httpx2.post(
            f"{served.url}/api/sessions/upgrade",
            headers=bearer(user["token"]),
            json={"anonymous_token": anonymous["token"]},
        )
        assert upgraded.status_code == 200
        assert [line for line in lines if line][-1] == "data: [DONE]"

    moved = "SELECT status FROM turn WHERE person = 'late'"
    served.wait_for_rows(moved, [("completed",)], timeout_s=30)


# --- refreshing ---------------------------------------------------------------------------------


def test_a_reply_that_was_lost_is_given_again(served: Served) -> None:
    session = begin(served, user="phone", refreshable=True)
    body = json.dumps({"refresh_token": session["refresh_token"]}).encode()
    used = f"SELECT refresh_number FROM session WHERE id = '{session['id']}'"
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(post("/api/sessions/refresh", body, token=None))
        served.wait_for_rows(used, [(1,)])  # and the phone is in a tunnel

    answers = [httpx2.post(f"{served.url}/api/sessions/refresh", content=body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert get(served, "/api/me", answers[0].json()["token"]).status_code == 200
    assert served.rows(used) == [(1,)]


def test_a_refresh_token_that_comes_back_later_ends_its_session(tmp_path: Path) -> None:
    with serving(tmp_path, {**SCRIPTED, "auth": {"refresh_grace_s": 0}}) as server:
        session = begin(server, user="u1", refreshable=True)
        old = {"refresh_token": session["refresh_token"]}
        fresh = httpx2.post(f"{server.url}/api/sessions/refresh", json=old).json()
        again = httpx2.post(f"{server.url}/api/sessions/refresh", json=old)
        assert again.status_code == 200  # nobody has used what was told
        assert get(server, "/api/me", fresh["token"]).status_code == 200
        deadline = time.monotonic() + 5
        while again.status_code == 200 and time.monotonic() < deadline:  # uses are kept once a second
            time.sleep(0.05)
            again = httpx2.post(f"{server.url}/api/sessions/refresh", json=old)

        assert code_of(again) == (401, "refresh_token_reused")
        assert code_of(get(server, "/api/me", fresh["token"])) == (401, "token_revoked")
        newest = {"refresh_token": fresh["refresh_token"]}
        assert code_of(httpx2.post(f"{server.url}/api/sessions/refresh", json=newest)) == (401, "token_revoked")
        assert "refresh_token_reused" in server.log
        assert session["refresh_token"] not in server.log


# --- revocation, tiers and keys, here and in another process ------------------------------------


@pytest.fixture
def two(postgresql_url: str, tmp_path: Path) -> Iterator[tuple[Served, Served]]:
    """Two servers on one database, and the identity provider of both."""
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    with (
        serving(folders[0], {**settings_in(folders[0]), "database": postgresql_url}) as one,
        serving(folders[1], {**settings_in(folders[1]), "database": postgresql_url}) as other,
    ):
        yield one, other


def soon(is_so: Callable[[], bool]) -> None:
    """Wait until something is so in another process: within a second or so, and here within five."""
    deadline = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def test_what_one_process_changes_counts_there_at_once_and_in_others_soon(two: tuple[Served, Served]) -> None:
    one, other = two
    ended, of_ended_user, of_all = begin(one, user="u1"), begin(one, user="u2"), begin(one, user="u3")
    jwt_of_ended_user, jwt_of_all = signed_in("u2"), signed_in("u3")
    made = httpx2.post(f"{one.url}/api/admin/keys", headers=SECRET, json={"name": "web"}).json()
    tokens = [ended["token"], of_ended_user["token"], of_all["token"], jwt_of_ended_user, jwt_of_all, made["key"]]
    for server in two:
        assert [get(server, "/api/me", token).status_code for token in tokens] == [200] * 6
    left = {*tokens}

    def end(path: str, *gone: str) -> None:
        assert httpx2.delete(one.url + path, headers=SECRET).status_code == 200
        left.difference_update(gone)
        for token in tokens:
            expected = 200 if token in left else 401
            assert get(one, "/api/me", token).status_code == expected
        soon(lambda: all((get(other, "/api/me", token).status_code == 200) == (token in left) for token in tokens))

    end(f"/api/sessions/{ended['id']}", ended["token"])
    end("/api/users/u2/sessions", of_ended_user["token"], jwt_of_ended_user)
    end(f"/api/admin/keys/{made['id']}", made["key"])
    end("/api/sessions", of_all["token"], jwt_of_all)
    assert left == set()
    assert get(one, "/api/me", begin(other, user="u3")["token"]).status_code == 200


def test_a_tier_counts_for_the_next_request_of_every_device(two: tuple[Served, Served]) -> None:
    one, other = two
    devices = [begin(one, user="u1", tier="free")["token"], begin(other, user="u1")["token"], signed_in("u1")]
    few, all_of_them = {"fast", "crawling"}, set(SCRIPTED["models"])
    for server in two:
        assert [models_of(server, token) for token in devices] == [few] * 3
    asked = {**QUESTION, "model": "thinking"}

    def chat() -> int:
        url = f"{one.url}/v1/chat/completions"
        return httpx2.post(url, headers=bearer(devices[1]), json=asked).status_code

    def assign(tier: str | None) -> None:
        answer = httpx2.patch(f"{one.url}/api/admin/users/u1", headers=SECRET, json={"tier": tier})
        assert answer.status_code == 200

    assert chat() == 404
    assign("paid")
    assert [models_of(one, token) for token in devices] == [all_of_them] * 3
    assert chat() == 200
    soon(lambda: [models_of(other, token) for token in devices] == [all_of_them] * 3)
    assign(None)
    assert [models_of(one, token) for token in devices] == [few] * 3
    begin(one, user="u1", tier="paid")  # the app's server: an upgrade was paid for
    assert [models_of(one, token) for token in devices] == [all_of_them] * 3
    soon(lambda: [models_of(other, token) for token in devices] == [all_of_them] * 3)


# --- apps that attest themselves ----------------------------------------------------------------


def test_an_app_with_attestation_is_asked_for_it(tmp_path: Path) -> None:
    tmp_path.joinpath("attester.json").write_bytes(key_set([rs256()]))
    attestation = {"issuer": ATTESTER, "audience": "projects/1", "jwks_file": str(tmp_path / "attester.json")}
    apps = {"phone": {"attestation": {**attestation, "subject": "1:app"}}, "web": {}}
    now = int(time.time())
    token = rs256().token({"iss": ATTESTER, "aud": ["projects/1"], "sub": "1:app", "iat": now, "exp": now + 300})
    attested = {"X-Firebase-AppCheck": token}

    with serving(tmp_path, settings_in(tmp_path, apps=apps)) as server:
        of_phone, of_web = begin(server, user="u1", app="phone"), begin(server, user="u1", app="web")
        anonymous = httpx2.post(f"{server.url}/api/sessions", json={}, headers=attested).json()

        def status(session: dict[str, Any], headers: dict[str, str]) -> int:
            url = f"{server.url}/v1/chat/completions"
            return httpx2.post(url, json=QUESTION, headers={**bearer(session["token"]), **headers}).status_code

        assert code_of(httpx2.post(f"{server.url}/api/sessions", json={})) == (401, "attestation_required")
        assert [status(session, {}) for session in (of_phone, of_web, anonymous)] == [401, 200, 401]
        assert [status(session, attested) for session in (of_phone, of_web, anonymous)] == [200, 200, 200]
        refresh = {"refresh_token": anonymous["refresh_token"]}
        assert httpx2.post(f"{server.url}/api/sessions/refresh", json=refresh).status_code == 401
        assert httpx2.post(f"{server.url}/api/sessions/refresh", json=refresh, headers=attested).status_code == 200
        assert httpx2.get(f"{server.url}/api/me", headers=SECRET).status_code == 200
        assert token not in server.log


# --- proxies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_trusted", [True, False])
def test_clients_of_a_trusted_proxy_have_limits_of_their_own(tmp_path: Path, is_trusted: bool) -> None:
    settings = {
        **SCRIPTED,
        "auth": {"anonymous": True, "anonymous_sessions_per_hour": 2},
        "trusted_proxies": ["127.0.0.0/8"] if is_trusted else [],
    }
    with serving(tmp_path, settings) as server:

        def begin_from(address: str) -> int:
            headers = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
            return httpx2.post(f"{server.url}/api/sessions", json={}, headers=headers).status_code

        same = [begin_from(f"192.0.2.{number}, 198.51.100.1") for number in range(3)]
        others = [begin_from(f"198.51.100.{number}") for number in range(2, 5)]

    assert same == [200, 200, 429]
    assert others == ([200] * 3 if is_trusted else [429] * 3)


# --- what is another's is as good as not there --------------------------------------------------


class Strangers:
    """Two users of one tenant, and an operator of another, each of whom asks for what is the first user's."""

    def __init__(self, served: Served) -> None:
        self.served = served
        owner, stranger = begin(served, user="owner"), begin(served, user="stranger")
        self.tokens = {"user": stranger["token"], "tenant": self._operator_elsewhere()}
        key = httpx2.post(f"{served.url}/api/admin/keys", headers=SECRET, json={"name": "web"}).json()
        self.of_owner = {"session_id": owner["id"], "user": "owner", "key_id": key["id"], "model": "thinking"}
        self.of_owner["route"] = "scripted/thinking"
        self._owners_token = owner["token"]
        self.of_owner |= {"file_id": self._file(), "batch_id": self._batch(), **self._conversation()}
        self.of_owner["completion_id"] = self._completion()
        self.of_owner["fact_id"] = self._fact()
        self.of_owner["job_id"] = self._job()

    def _file(self) -> str:
        form: dict[str, Any] = {"data": {"purpose": "batch"}, "files": {"file": ("a.jsonl", b"{}")}}
        return httpx2.post(f"{self.served.url}/v1/files", headers=bearer(self._owners_token), **form).json()["id"]

    def _batch(self) -> str:
        asked = {"input_file_id": self._file(), "endpoint": "/v1/embeddings", "completion_window": "24h"}
        answer = httpx2.post(f"{self.served.url}/v1/batches", headers=bearer(self._owners_token), json=asked)
        return answer.json()["id"]

    def _completion(self) -> str:
        url, asked = f"{self.served.url}/v1/chat/completions", {**QUESTION, "store": True}
        return httpx2.post(url, headers=bearer(self._owners_token), json=asked).json()["id"]

    def _fact(self) -> str:
        url, asked = f"{self.served.url}/api/facts", {"words": "I like tea."}
        return httpx2.post(url, headers=bearer(self._owners_token), json=asked).json()["id"]

    def _job(self) -> str:
        """The tenant's own, which recurs."""
        return httpx2.get(f"{self.served.url}/api/admin/jobs", headers=SECRET).json()["last_id"]

    def _conversation(self) -> dict[str, str]:
        url, headers = f"{self.served.url}/v1/conversations", bearer(self._owners_token)
        made = httpx2.post(url, headers=headers, json={"items": [{"role": "user", "content": "hello"}]}).json()
        items = httpx2.get(f"{url}/{made['id']}/items", headers=headers).json()
        return {"conversation_id": made["id"], "item_id": items["first_id"]}

    @contextlib.contextmanager
    def response(self) -> Iterator[None]:
        """While the owner's response is being made."""
        url, asked = f"{self.served.url}/v1/responses", {"model": "crawling", "input": "hello there", "stream": True}
        with httpx2.stream("POST", url, headers=bearer(self._owners_token), json=asked, timeout=30) as stream:
            self.of_owner["response_id"] = next(
                json.loads(line.removeprefix("data: "))["response"]["id"]
                for line in stream.iter_lines()
                if line.startswith("data: ")
            )
            said = {"response_id": self.of_owner["response_id"], "rating": "up"}
            url = f"{self.served.url}/api/feedback"
            assert httpx2.post(url, headers=bearer(self._owners_token), json=said).status_code == 200
            yield

    def ask(self, method: str, path: str, who: str, name: str, value: str) -> tuple[int, Any, str]:
        """What is answered, without what always differs: status, headers, body with the id taken out."""
        filled = re.sub(r"\{(\w+)\}", lambda each: value if each[1] == name else self.of_owner[each[1]], path)
        url, content = self.served.url + filled, BODIES.get((method, path))
        answer = httpx2.request(method, url, headers=bearer(self.tokens[who]), content=content)
        headers = {key: text for key, text in answer.headers.items() if key not in ("date", "x-request-id")}
        body = re.sub(r'"created_at":\d+', '"created_at":0', answer.text.replace(value, "ID"))
        return answer.status_code, headers, body

    def _operator_elsewhere(self) -> str:
        command = [*self.served.command[:3], "keys", "create", "elsewhere", "--role", "operator", "--tenant", "other"]
        made = subprocess.run(
            [*command, "--config", str(self.served.config)], capture_output=True, text=True, check=True
        )
        found = re.search(r"fd_sk_\S+", made.stdout)
        assert found is not None, made.stdout
        return found[0]


BODIES = {
    ("PATCH", "/api/admin/users/{user}"): b'{"tier": null}',
    ("PATCH", "/api/conversations/{conversation_id}"): b'{"title": "Mine"}',
    ("PATCH", "/api/conversations/{conversation_id}/items/{item_id}"): b'{"pinned": true}',
    ("PATCH", "/api/facts/{fact_id}"): b'{"words": "Mine."}',
    ("POST", "/v1/conversations/{conversation_id}"): b'{"metadata": {"mine": "yes"}}',
    ("POST", "/v1/chat/completions/{completion_id}"): b'{"metadata": {"mine": "yes"}}',
    ("POST", "/v1/conversations/{conversation_id}/items"): b'{"items": [{"role": "user", "content": "mine"}]}',
}
# Who asks, and what they are told. The last two let a user come into being where the stranger is.
EXPECTED = {
    ("GET", "/api/admin/users/{user}"): {"user": (403, "forbidden"), "tenant": (404, "user_not_found")},
    ("DELETE", "/api/sessions/{session_id}"): {
        "user": (404, "session_not_found"),
        "tenant": (404, "session_not_found"),
    },
    ("GET", "/api/users/{user}/sessions"): {"user": (404, "user_not_found"), "tenant": (200, None)},
    ("DELETE", "/api/admin/keys/{key_id}"): {"user": (403, "forbidden"), "tenant": (404, "key_not_found")},
    **{
        (method, f"/api/admin/jobs/{{job_id}}{what}"): {"user": (403, "forbidden"), "tenant": (404, "job_not_found")}
        for method, what in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry"))
    },
    ("GET", "/api/admin/prices/{route}"): {"user": (403, "forbidden"), "tenant": None},  # the configuration's
    ("GET", "/v1/models/{model}"): {"user": (404, "model_not_found"), "tenant": None},  # keys may use all models
    **{
        (method, path): {"user": (404, f"{kind}_not_found"), "tenant": (404, f"{kind}_not_found")}
        for method, path, kind in (
            ("GET", "/v1/files/{file_id}", "file"),
            ("GET", "/v1/files/{file_id}/content", "file"),
            ("DELETE", "/v1/files/{file_id}", "file"),
            ("GET", "/v1/batches/{batch_id}", "batch"),
            ("POST", "/v1/batches/{batch_id}/cancel", "batch"),
            ("GET", "/v1/responses/{response_id}", "response"),
            ("DELETE", "/v1/responses/{response_id}", "response"),
            ("DELETE", "/api/feedback/{response_id}", "feedback"),
            ("GET", "/api/receipts/{response_id}", "response"),
            ("POST", "/v1/responses/{response_id}/cancel", "response"),
            ("GET", "/v1/responses/{response_id}/input_items", "response"),
            ("GET", "/v1/chat/completions/{completion_id}", "chat_completion"),
            ("POST", "/v1/chat/completions/{completion_id}", "chat_completion"),
            ("DELETE", "/v1/chat/completions/{completion_id}", "chat_completion"),
            ("GET", "/v1/chat/completions/{completion_id}/messages", "chat_completion"),
            ("GET", "/v1/conversations/{conversation_id}", "conversation"),
            ("POST", "/v1/conversations/{conversation_id}", "conversation"),
            ("DELETE", "/v1/conversations/{conversation_id}", "conversation"),
            ("POST", "/v1/conversations/{conversation_id}/items", "conversation"),
            ("GET", "/v1/conversations/{conversation_id}/items", "conversation"),
            ("GET", "/v1/conversations/{conversation_id}/items/{item_id}", "conversation"),
            ("DELETE", "/v1/conversations/{conversation_id}/items/{item_id}", "conversation"),
            ("GET", "/api/conversations/{conversation_id}", "conversation"),
            ("PATCH", "/api/conversations/{conversation_id}", "conversation"),
            ("GET", "/api/conversations/{conversation_id}/branches", "conversation"),
            ("GET", "/api/conversations/{conversation_id}/items", "conversation"),
            ("PATCH", "/api/conversations/{conversation_id}/items/{item_id}", "conversation"),
            ("GET", "/api/conversations/{conversation_id}/follow_ups", "conversation"),
        )
    },
    **{
        (method, "/api/facts/{fact_id}"): {"user": (404, "fact_not_found"), "tenant": (403, "forbidden")}  # people's
        for method in ("GET", "PATCH", "DELETE")
    },
    ("GET", "/api/conversations/{conversation_id}/events"): {
        "user": (404, "conversation_not_found"),
        "tenant": (403, "forbidden"),  # people's
    },
    ("DELETE", "/api/users/{user}/sessions"): {"user": (404, "user_not_found"), "tenant": (200, None)},
    ("PATCH", "/api/admin/users/{user}"): {"user": (403, "forbidden"), "tenant": (200, None)},
}


def test_every_route_that_takes_an_id_is_asked() -> None:
    app = Frontdesk(Config(), read_environment({}), cast("Any", None), is_development=False)
    with_id = {(place.method, place.path.replace(":path}", "}")) for place in places_of(app) if "{" in place.path}

    assert with_id == set(EXPECTED)


def test_no_key_ends_or_reads_what_is_being_made_for_a_person(served: Served) -> None:
    strangers = Strangers(served)
    strangers.tokens["key"] = ADMIN_KEY
    path = "/v1/responses/{response_id}/cancel"

    with strangers.response():
        theirs = strangers.of_owner["response_id"]
        anothers, nobodys = (
            strangers.ask("POST", path, "key", "response_id", value) for value in (theirs, theirs[:-3] + "zzz")
        )

        assert anothers == nobodys
        assert anothers[0] == 404
        assert get(served, f"/v1/responses/{theirs}", strangers._owners_token).json()["status"] == "in_progress"


def test_anothers_things_are_told_of_as_those_that_never_were(served: Served) -> None:
    strangers = Strangers(served)

    with strangers.response():
        for (method, path), told in EXPECTED.items():
            name = re.findall(r"\{(\w+)\}", path)[0]  # of whom it is; what is in it is asked for by its real id
            theirs = strangers.of_owner[name]
            unheard_of = theirs[:-3] + "zzz"  # as long, so that lengths agree
            for who, expected in told.items():
                if expected is None:
                    continue
                anothers = strangers.ask(method, path, who, name, theirs)
                nobodys = strangers.ask(method, path, who, name, unheard_of)
                assert anothers == nobodys, f"{who}: {method} {path}"
                status, _, body = anothers
                code = json.loads(body)["error"]["code"] if status != 200 else None
                assert (status, code) == expected, f"{who}: {method} {path}"
    assert get(served, "/api/me", strangers._owners_token).json()["user"] == "owner"
    conversation = f"/conversations/{strangers.of_owner['conversation_id']}"
    assert get(served, f"/v1{conversation}", strangers._owners_token).json()["metadata"] == {}
    assert len(get(served, f"/v1{conversation}/items", strangers._owners_token).json()["data"]) == 1
    assert get(served, f"/api{conversation}", strangers._owners_token).json()["title"] is None
    fact = get(served, f"/api/facts/{strangers.of_owner['fact_id']}", strangers._owners_token).json()
    assert fact["words"] == "I like tea."
    listed = httpx2.get(f"{served.url}/api/admin/keys", headers=SECRET).json()["data"]
    assert strangers.of_owner["key_id"] in {key["id"] for key in listed}
