"""Responses over a WebSocket, by the official OpenAI client; each message is checked against its types and OpenAI's
document.
"""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from openai._models import validate_type
from openai.types.responses import ResponsesServerEvent
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.contract.conftest import begin_session, strict_client
from tests.peers.conflicts import unknown
from tests.peers.document import Answer, Document, official_document
from tests.serving import ADMIN_KEY, SCRIPTED, Served, serving

WORDS = "one two three four five six"
SECRET = {"Authorization": f"Bearer {ADMIN_KEY}"}
EVENT: Any = ResponsesServerEvent  # a union of types, and so none for a type checker
ENDS = {"response.completed", "response.incomplete", "response.failed", "error", "response.steer.failed"}
LONG = 30_000  # words: more than the buffers of both ends hold
SETTINGS: dict[str, Any] = {
    **SCRIPTED,
    "models": {**SCRIPTED["models"], "long": {"route": [f"scripted/words-{LONG}"]}},
}
FEATURES: dict[str, Any] = {
    **SCRIPTED,
    "features": {
        "bare": {"models": ["fast", "thinking"], "client_may": []},
    },
}


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(official_document())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("sockets"), SETTINGS) as server:
        yield server


@pytest.fixture
def client(served: Served) -> Iterator[OpenAI]:
    with strict_client(served, ADMIN_KEY) as opened:
        yield opened


class Peer:
    """A client that holds each message against the SDK's types, and each event against the document."""

    def __init__(self, connection: ClientConnection, document: Document) -> None:
        self._connection = connection
        self._document = document

    def send(self, **fields: Any) -> None:
        self._connection.send(json.dumps({"type": "response.create", **fields}))

    def receive(self) -> dict[str, Any]:
        text = self._connection.recv(timeout=30)
        message = json.loads(text)
        lane = message.pop("stream_id", None)
        if not message["type"].startswith("frontdesk."):
            validate_type(type_=EVENT, value={**message, **({"stream_id": lane} if lane else {})})
        if message["type"].startswith("response.") and message["type"] != "response.steer.failed":
            self._check(message)
        return {**message, **({"stream_id": lane} if lane else {})}

    def answer(self) -> list[dict[str, Any]]:
        """All messages up to the end of an answer."""
        messages = [self.receive()]
        while messages[-1]["type"] not in ENDS:
            messages.append(self.receive())
        return messages

    def ask(self, **fields: Any) -> list[dict[str, Any]]:
        self.send(**fields)
        return self.answer()

    def last(self, **fields: Any) -> dict[str, Any]:
        """The Response that a request is answered with, or its error."""
        end = self.ask(**fields)[-1]
        return end["error"] if end["type"] == "error" else end["response"]

    def _check(self, message: dict[str, Any]) -> None:
        place = message["sequence_number"]
        # The document tells streams of events apart by where they stand: that of a retrieval begins anywhere.
        frame = f"event: {message['type']}\ndata: {json.dumps(message)}\n\n".encode()
        path = "/v1/responses/resp_0?stream=true"
        answer = Answer("GET", path, 200, "text/event-stream", frame, is_whole=False)
        assert not unknown(self._document.check(answer)), (place, message)


@pytest.fixture
def peer(served: Served, document: Document) -> Iterator[Peer]:
    with connect(f"ws://127.0.0.1:{served.port}/v1/responses", additional_headers=SECRET) as connection:
        yield Peer(connection, document)


def opened(served: Served, **headers: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{served.port}/v1/responses", additional_headers={**SECRET, **headers})


def lose(connection: ClientConnection) -> None:
    """Cut the wire, without a word."""
    connection.socket.shutdown(socket.SHUT_RDWR)


def text_of(messages: list[dict[str, Any]]) -> str:
    return "".join(message["delta"] for message in messages if message["type"] == "response.output_text.delta")


def said_by(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] for part in item.get("content", ()))


# --- the official client ------------------------------------------------------------------------

# It opens connections in a way that newer editions of its own dependency would rather not see.
opens_as_it_does = pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")


@opens_as_it_does
def test_the_official_client_gets_the_events_of_a_stream(client: OpenAI) -> None:
    streamed: list[Any] = list(client.responses.create(model="thinking", input=WORDS, stream=True))

    with client.responses.connect() as connection:
        connection.response.create(model="thinking", input=WORDS)
        told: list[Any] = []
        for event in connection:
            told.append(event)
            if event.type == "response.completed":
                break

    assert [event.type for event in told] == [event.type for event in streamed]
    assert [event.sequence_number for event in told] == list(range(len(told)))
    assert told[-1].response.output_text == streamed[-1].response.output_text
    assert client.responses.retrieve(told[-1].response.id).output_text == told[-1].response.output_text


@opens_as_it_does
def test_the_official_client_steers_in_vain_and_gets_its_input_back(client: OpenAI) -> None:
    with client.responses.connect() as connection:
        connection.response.steer(previous_response_id="resp_unheard_of", input="turn left")
        event: Any = connection.recv()

    assert event.type == "response.steer.failed"
    assert event.error.code == "steering_not_supported"
    assert (event.steer.previous_response_id, event.steer.input) == ("resp_unheard_of", "turn left")


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["fast", "thinking", "short", "declining"])
def test_each_message_is_as_the_document_says(peer: Peer, client: OpenAI, model: str) -> None:
    messages = peer.ask(model=model, input=WORDS, metadata={"of": "a test"})

    response = messages[-1]["response"]
    assert [message["sequence_number"] for message in messages] == list(range(len(messages)))
    assert json.loads(client.responses.with_raw_response.retrieve(response["id"]).text) == response


def test_an_answer_that_breaks_off_ends_as_failed_and_the_connection_stays(peer: Peer) -> None:
    broken = peer.ask(model="cut", input=WORDS)

    assert broken[-1]["type"] == "response.failed"
    assert said_by(peer.last(model="fast", input="again")) == "again"


@pytest.mark.parametrize(
    ("model", "status"),
    [("broken", 502), ("busy", 503), ("late", 504), ("unheard-of", 404)],
)
def test_an_error_has_its_status_and_headers_and_the_connection_stays(peer: Peer, model: str, status: int) -> None:
    [refusal] = peer.ask(model=model, input=WORDS)

    assert (refusal["type"], refusal["status"]) == ("error", status)
    assert refusal["error"]["message"]
    assert refusal["error"]["headers"]["x-request-id"].startswith("resp_")
    assert said_by(peer.last(model="fast", input="again")) == "again"


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"type": "response.cancel"}, "type", "invalid_value"),
        ({"type": None}, "type", "missing_required_parameter"),
        ({"type": ["response.create"]}, "type", "invalid_value"),
        ({"input": 7}, "input", "invalid_type"),
        ({"generate": "no"}, "generate", "invalid_type"),
        ({"background": True}, "background", "unsupported_parameter"),
        ({"stream": False}, "stream", "unsupported_parameter"),
        ({"idempotency_key": ""}, "idempotency_key", "invalid_value"),
        ({"idempotency_key": "é"}, "idempotency_key", "invalid_value"),
        ({"stream_id": ""}, "stream_id", "invalid_value"),
        ({"stream_id": 7}, "stream_id", "invalid_type"),
        ({"stream_id": "x" * 129}, "stream_id", "invalid_value"),
        ({"store": False, "conversation": "conv_1"}, "store", "invalid_value"),
        ({"context_management": [{"type": "compaction"}]}, "context_management", "unsupported_parameter"),
    ],
)
def test_what_a_message_cannot_say_is_refused_by_its_name(
    peer: Peer, fields: dict[str, Any], param: str, code: str
) -> None:
    [refusal] = peer.ask(**{"model": "fast", "input": WORDS, **fields})

    assert (refusal["status"], refusal["error"]["param"], refusal["error"]["code"]) == (400, param, code)


@pytest.mark.parametrize("sent", ["{", "[]", '"response.create"', b"{}", "[" * 100])
def test_what_is_no_message_is_refused(served: Served, document: Document, sent: str | bytes) -> None:
    with opened(served) as connection:
        connection.send(sent)
        peer = Peer(connection, document)

        assert peer.receive()["error"]["code"] == "invalid_json"
        assert said_by(peer.last(model="fast", input="again")) == "again"


def test_what_only_says_how_an_answer_comes_may_stand_there(peer: Peer) -> None:
    messages = peer.ask(
        model="fast", input=WORDS, stream=True, background=False, stream_options={"include_obfuscation": True}
    )

    deltas = [message for message in messages if message["type"] == "response.output_text.delta"]
    assert deltas
    assert all(delta["obfuscation"] for delta in deltas)


# --- lanes --------------------------------------------------------------------------------------


def test_requests_of_a_lane_wait_for_each_other_and_lanes_do_not(peer: Peer) -> None:
    peer.send(model="crawling", input="a b", stream_id="slow")
    peer.send(model="fast", input="second", stream_id="slow")
    peer.send(model="fast", input="other", stream_id="quick")
    peer.send(model="fast", input="unnamed")

    ended = []
    while len(ended) < 4:
        message = peer.receive()
        if message["type"] == "response.completed":
            ended.append((message.get("stream_id"), said_by(message["response"])))

    assert set(ended[:2]) == {("quick", "other"), (None, "unnamed")}
    assert ended[2:] == [("slow", "a b"), ("slow", "second")]


def test_every_message_of_a_lane_names_it_and_numbers_are_each_response_s_own(peer: Peer) -> None:
    lanes = ['one "quoted"', "zwei \\ üñ", "three"]
    for lane in lanes:
        peer.send(model="slow", input=f"{lane} " * 3, stream_id=lane)
    told: dict[str, list[dict[str, Any]]] = {lane: [] for lane in lanes}
    while sum(messages[-1:] != [] and messages[-1]["type"] in ENDS for messages in told.values()) < len(lanes):
        message = peer.receive()
        told[message["stream_id"]].append(message)

    for lane, messages in told.items():
        assert text_of(messages) == f"{lane} " * 3
        assert [message["sequence_number"] for message in messages] == list(range(len(messages)))


def test_what_is_wrong_is_told_in_its_turn(peer: Peer) -> None:
    peer.send(model="slow", input="a b c")
    peer.send(type="unheard-of")
    peer.send(model="fast", input="after")

    assert text_of(peer.answer()) == "a b c"
    assert peer.answer()[0]["error"]["param"] == "type"
    assert text_of(peer.answer()) == "after"


def test_there_are_so_many_lanes_and_no_more(peer: Peer) -> None:
    for number in range(32):
        assert "response" in peer.ask(model="fast", input="x", stream_id=f"lane {number}")[-1]
    [refusal] = peer.ask(model="fast", input="x", stream_id="one more")

    assert refusal["error"]["code"] == "websocket_stream_limit_reached"
    assert (refusal["status"], refusal["stream_id"]) == (400, "one more")
    assert said_by(peer.last(model="fast", input="x", stream_id="lane 7")) == "x"
    assert said_by(peer.last(model="fast", input="x")) == "x"


def test_so_many_are_answered_at_a_time_and_no_more(peer: Peer) -> None:
    for number in range(16):
        peer.send(model="silent", input="x", stream_id=f"lane {number}")
    peer.send(model="fast", input="x", stream_id="one more")

    refusal = peer.receive()
    assert (refusal["status"], refusal["error"]["code"]) == (429, "websocket_stream_limit_reached")
    assert refusal["stream_id"] == "one more"


def test_so_many_wait_and_no_more(peer: Peer) -> None:
    for _ in range(66):
        peer.send(model="silent", input="x")

    refusal = peer.receive()
    assert (refusal["status"], refusal["error"]["code"]) == (429, "too_many_waiting")


# --- going on -----------------------------------------------------------------------------------


def test_a_stored_response_is_gone_on_with_from_any_connection(served: Served, document: Document, peer: Peer) -> None:
    first = peer.last(model="fast", input="the first")
    with opened(served) as other:
        second = Peer(other, document).last(model="fast", input="the second", previous_response_id=first["id"])

    assert second["previous_response_id"] == first["id"]
    assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"]


def test_what_is_not_stored_is_gone_on_with_by_its_own_connection_alone(
    served: Served, document: Document, peer: Peer
) -> None:
    first = peer.last(model="fast", input="the first", store=False)
    second = peer.last(model="fast", input="the second", store=False, previous_response_id=first["id"])
    third = peer.last(model="fast", input="the third", store=False, previous_response_id=second["id"])
    with opened(served) as other:
        [refusal] = Peer(other, document).ask(model="fast", input="x", store=False, previous_response_id=third["id"])

    assert (second["previous_response_id"], third["previous_response_id"]) == (first["id"], second["id"])
    sizes = [response["usage"]["input_tokens"] for response in (first, second, third)]
    assert sizes[1] - sizes[0] > sizes[0]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0]
    assert (refusal["status"], refusal["error"]["code"]) == (400, "previous_response_not_found")
    assert refusal["error"]["param"] == "previous_response_id"


def test_nothing_of_what_is_not_stored_is_on_the_disk(served: Served, peer: Peer) -> None:
    word = f"cobalt-{uuid.uuid4().hex}"
    first = peer.last(model="fast", input=word, store=False)
    peer.last(model="fast", input="and more", store=False, previous_response_id=first["id"])

    found = b"".join(path.read_bytes() for path in served.folder.iterdir() if path.is_file())
    assert word.encode() not in found
    assert httpx2.get(f"{served.url}/v1/responses/{first['id']}", headers=SECRET).status_code == 404


def test_a_lane_goes_on_with_what_another_one_said(peer: Peer) -> None:
    first = peer.last(model="fast", input="the trunk", store=False, stream_id="trunk")
    for lane in ("left", "right"):
        second = peer.last(model="fast", input=lane, store=False, stream_id=lane, previous_response_id=first["id"])
        assert second["previous_response_id"] == first["id"]


def test_of_each_lane_the_latest_answer_is_remembered(peer: Peer) -> None:
    first = peer.last(model="fast", input="the first", store=False)
    peer.last(model="fast", input="another", store=False)

    refusal = peer.last(model="fast", input="x", store=False, previous_response_id=first["id"])
    assert refusal["code"] == "previous_response_not_found"


@pytest.mark.parametrize(
    "failing",
    [
        {"model": "broken"},
        {"model": "cut"},
        {"temperature": 9},
        {"input": [{"type": "function_call_output", "call_id": "call_0", "output": "x"}]},
    ],
    ids=["provider", "broken off", "refused", "no call"],
)
def test_what_fails_to_go_on_makes_it_forgotten(peer: Peer, failing: dict[str, Any]) -> None:
    first = peer.last(model="fast", input="the first", store=False)
    going_on = {"model": "fast", "input": "x", "store": False, "previous_response_id": first["id"]}

    failed = peer.ask(**{**going_on, **failing})[-1]
    refusal = peer.last(**going_on)

    assert failed["type"] in ("error", "response.failed")
    assert refusal["code"] == "previous_response_not_found"


def test_a_stored_response_that_goes_on_with_what_is_not_stored_says_all_of_it(peer: Peer, client: OpenAI) -> None:
    first = peer.last(model="fast", input="the first", store=False)
    second = peer.last(model="fast", input="the second", previous_response_id=first["id"])

    items = json.loads(client.responses.input_items.with_raw_response.list(second["id"], order="asc").text)["data"]
    third = client.responses.create(model="fast", input="the third", previous_response_id=second["id"])

    assert [item["content"][0]["text"] for item in items] == ["the first", "the first", "the second"]
    assert [item["role"] for item in items] == ["user", "assistant", "user"]
    assert third.usage is not None
    assert third.usage.input_tokens > second["usage"]["input_tokens"]


def test_what_is_not_stored_goes_on_with_what_is(peer: Peer) -> None:
    first = peer.last(model="fast", input="the first")
    second = peer.last(model="fast", input="the second", store=False, previous_response_id=first["id"])
    third = peer.last(model="fast", input="the third", store=False, previous_response_id=second["id"])

    sizes = [response["usage"]["input_tokens"] for response in (first, second, third)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert third["previous_response_id"] == second["id"]


# --- getting ready ------------------------------------------------------------------------------


@pytest.mark.parametrize("store", [True, False])
def test_getting_ready_says_nothing_and_can_be_gone_on_with(peer: Peer, store: bool) -> None:
    ready = peer.ask(model="fast", input="to begin with", generate=False, store=store)
    answered = peer.last(
        model="fast", input="the question", store=store, previous_response_id=ready[-1]["response"]["id"]
    )
    alone = peer.last(model="fast", input="the question", store=store)

    assert [message["type"] for message in ready] == ["response.created", "response.in_progress", "response.completed"]
    assert ready[-1]["response"]["output"] == []
    assert ready[-1]["response"]["usage"]["total_tokens"] == 0
    assert said_by(answered) == "the question"
    assert answered["usage"]["input_tokens"] > alone["usage"]["input_tokens"]


def test_getting_ready_asks_nobody_and_needs_a_model_that_may_be_asked(served: Served, peer: Peer) -> None:
    ready = peer.last(model="broken", input="x", generate=False)
    [refusal] = peer.ask(model="never-heard-of", input="x", generate=False)
    behind = peer.last(model="fast", input="x")["id"]  # its row is written behind any of theirs

    served.wait_for_rows(f"select status from turn where id = '{behind}'", [("completed",)])
    assert served.rows(f"select id from turn where id = '{ready['id']}' or model = 'never-heard-of'") == []
    assert refusal["error"]["code"] == "model_not_found"


# --- keys, and lost connections -----------------------------------------------------------------


def test_a_key_is_the_same_as_that_of_a_post(served: Served, peer: Peer) -> None:
    key = uuid.uuid4().hex
    first = peer.last(model="fast", input=WORDS, idempotency_key=key, stream_id="a")
    again = peer.last(idempotency_key=key, input=WORDS, model="fast", stream_id="b")
    headers = {**SECRET, "Idempotency-Key": key}
    posted = httpx2.post(f"{served.url}/v1/responses", json={"model": "fast", "input": WORDS}, headers=headers)
    [refusal] = peer.ask(model="fast", input="another", idempotency_key=key)

    assert again == first == posted.json()
    assert posted.headers["idempotent-replayed"] == "true"
    assert (refusal["status"], refusal["error"]["code"]) == (422, "idempotency_key_reused")


def test_a_key_answers_again_though_what_it_went_on_with_is_forgotten(
    served: Served, document: Document, peer: Peer
) -> None:
    key = uuid.uuid4().hex
    ready = peer.last(model="fast", input="to begin with", generate=False)
    asked = {"model": "fast", "input": "x", "previous_response_id": ready["id"], "idempotency_key": key}
    first = peer.last(**asked)
    with opened(served) as other:
        again = Peer(other, document).last(**asked)

    assert again == first


def test_the_key_of_a_handshake_is_nobody_s(served: Served, document: Document) -> None:
    with opened(served, **{"Idempotency-Key": uuid.uuid4().hex}) as connection:
        peer = Peer(connection, document)

        assert said_by(peer.last(model="fast", input="one")) == "one"
        assert said_by(peer.last(model="fast", input="two")) == "two"


def test_what_is_stored_goes_on_when_its_connection_is_lost(served: Served, document: Document, client: OpenAI) -> None:
    words = "never lose a word of what was said"
    with opened(served) as connection:
        peer = Peer(connection, document)
        peer.send(model="slow", input=words)
        seen = [peer.receive() for _ in range(7)]
        lose(connection)

    after = seen[-1]["sequence_number"]
    rest = list(client.responses.retrieve(seen[0]["response"]["id"], stream=True, starting_after=after))

    told = text_of(seen) + "".join(event.delta for event in rest if event.type == "response.output_text.delta")
    assert told == words
    assert rest[-1].type == "response.completed"


def test_what_is_not_stored_ends_some_time_after_its_connection(served: Served, document: Document) -> None:
    with opened(served) as connection:
        peer = Peer(connection, document)
        peer.send(model="slow", input=WORDS, store=False)
        response_id = peer.receive()["response"]["id"]
        lose(connection)

    served.wait_for_rows(f"select status from turn where id = '{response_id}'", [("completed",)])


def test_who_does_not_read_does_not_hold_up_what_is_stored(served: Served) -> None:
    with socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", served.port))
        # What this client is not asked for, it reads a few messages of.
        with connect("ws://frontdesk/v1/responses", sock=narrow, additional_headers=SECRET, max_queue=1) as connection:
            connection.send(json.dumps({"type": "response.create", "model": "long", "input": "x"}))
            response_id = json.loads(connection.recv(timeout=30))["response"]["id"]
            served.wait_for_rows(f"select status from response where id = '{response_id}'", [("completed",)])
            texts = 0
            while (message := json.loads(connection.recv(timeout=30)))["type"] != "response.completed":
                texts += message["type"] == "response.output_text.delta"

    assert texts == LONG
    assert message["response"]["id"] == response_id


# --- who may, and how ---------------------------------------------------------------------------


def test_a_browser_brings_its_token_as_a_subprotocol(served: Served, document: Document) -> None:
    token = begin_session(served, user="u-socket")["token"]
    protocols = [Subprotocol("frontdesk"), Subprotocol(f"frontdesk.token.{token}")]
    with connect(f"ws://127.0.0.1:{served.port}/v1/responses", subprotocols=protocols) as connection:
        assert connection.subprotocol == "frontdesk"
        assert said_by(Peer(connection, document).last(model="fast", input="hello")) == "hello"


def test_another_person_cannot_go_on_with_it(served: Served, document: Document, peer: Peer) -> None:
    stored = peer.last(model="fast", input="the first")
    token = begin_session(served, user="u-another")["token"]
    with opened(served, Authorization=f"Bearer {token}") as connection:
        refusal = Peer(connection, document).last(model="fast", input="x", previous_response_id=stored["id"])

    assert refusal["code"] == "previous_response_not_found"


def test_limits_are_told_with_what_they_refuse(served: Served, document: Document) -> None:
    token = begin_session(served, user="u-limited", tier="free")["token"]
    with opened(served, Authorization=f"Bearer {token}") as connection:
        peer = Peer(connection, document)
        for _ in range(3):
            peer.last(model="fast", input="x")
        [refusal] = peer.ask(model="fast", input="x", stream_id="d")

    assert (refusal["status"], refusal["stream_id"]) == (429, "d")
    assert int(refusal["error"]["headers"]["retry-after"]) > 0
    assert refusal["error"]["headers"]["x-ratelimit-limit-requests"] == "3"


def test_what_the_server_said_itself_needs_no_leave_to_be_gone_on_with(
    tmp_path_factory: pytest.TempPathFactory, document: Document
) -> None:
    with serving(tmp_path_factory.mktemp("features"), FEATURES) as served:
        token = begin_session(served, user="u1")["token"]
        with opened(served, Authorization=f"Bearer {token}", **{"Frontdesk-Feature": "bare"}) as connection:
            peer = Peer(connection, document)
            first = peer.last(model="thinking", input="think", store=False)
            second = peer.last(model="thinking", input="more", store=False, previous_response_id=first["id"])
            [refusal] = peer.ask(model="fast", input="x", instructions="be bold", generate=False)

    assert second["previous_response_id"] == first["id"]
    assert refusal["error"]["code"] == "not_allowed_by_feature"


def test_a_plain_get_is_answered_as_before(served: Served) -> None:
    answer = httpx2.get(f"{served.url}/v1/responses", headers=SECRET)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
