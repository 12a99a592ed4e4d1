"""/api/socket at its door, over real connections: each frame is answered as what it asked, whatever comes between."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from frontdesk.feeds.rounds import Room
from tests.doors.socket_stage import REVISION, SocketStage, create, greeted, receive, send, until
from tests.http.test_sockets import KEY, TOKEN

ENDS = {"response.completed", "response.incomplete", "response.failed"}


async def closed(client: ClientConnection) -> tuple[int | None, str | None]:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(client.recv(), 10)
    return client.close_code, client.close_reason


def places(told: list[dict[str, Any]]) -> list[int]:
    return [int(frame["cursor"].removeprefix("e1.")) for frame in told]


def words_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["delta"] for event in events if event["type"] == "response.output_text.delta"]


# --- answers ------------------------------------------------------------------------------------


async def test_an_answer_is_events_under_the_id_of_its_frame() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        await create(client, "a", "one two")
        frames = [await receive(client)]
        while frames[-1]["event"]["type"] not in ENDS:
            frames.append(await receive(client))

    assert {(frame["type"], frame["id"]) for frame in frames} == {("event", "a")}
    assert {frozenset(frame) for frame in frames} == {frozenset({"type", "id", "event"})}
    events = [frame["event"] for frame in frames]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert words_of(events) == ["one", "two"]


async def test_answers_changes_and_results_come_between_each_other_each_whole_and_in_order() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.commit("conv_1")
        await send(client, "subscribe", id="s")
        assert await receive(client) == {"type": "ready", "cursor": "e1.1", "id": "s"}
        stage.echo.may_speak.clear()
        asked = {f"c{number}": [f"w{number}-{word}" for word in range(40)] for number in range(8)}
        for frame_id, words in asked.items():
            await create(client, frame_id, " ".join(words))
        await until(lambda: stage.echo.open_answers == 8)
        await send(client, "push", id="p", entries=[{"id": "x"}, {"id": "y"}])
        stage.echo.may_speak.set()

        events: dict[str, list[dict[str, Any]]] = {frame_id: [] for frame_id in asked}
        told: list[dict[str, Any]] = []
        results: list[Any] = []
        while not (all(each and each[-1]["type"] in ENDS for each in events.values()) and places(told)[-1:] == [31]):
            frame = await receive(client)
            if frame["type"] == "event":
                events[frame["id"]].append(frame["event"])
                if stage.changes.length < 31:
                    stage.commit("conv_1")
            elif frame["type"] == "changes":
                told.append(frame)
            else:
                results.append(frame)

    for frame_id, words in asked.items():
        assert words_of(events[frame_id]) == words
        assert [event["sequence_number"] for event in events[frame_id]] == list(range(len(events[frame_id])))
    assert [change["id"] for frame in told for change in frame["changes"]] == [f"resp_{n}" for n in range(2, 32)]
    assert {frame["id"] for frame in told} == {"s"}
    assert results == [
        {"type": "results", "id": "p", "results": [{"id": "x", "status": "done"}, {"id": "y", "status": "done"}]}
    ]


async def test_frames_of_one_id_are_answered_one_after_the_other() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.echo.may_speak.clear()
        for words in ("one", "two", "three"):
            await create(client, "a", words)
        await until(lambda: stage.echo.open_answers == 1)
        await client.ping()
        assert len(stage.echo.asked) == 1
        stage.echo.may_speak.set()
        said: list[str] = []
        while len(said) < 3:
            said += words_of([(await receive(client))["event"]])

    assert said == ["one", "two", "three"]


async def test_so_many_answers_at_once_and_no_more_but_what_needs_no_place_is_done() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.echo.may_speak.clear()
        for number in range(16):
            await create(client, f"c{number}", "a")
        await until(lambda: stage.echo.open_answers == 16)
        await create(client, "one-too-many", "a")
        refused = await receive(client)
        await send(client, "push", id="p", entries=[{"id": "x"}])
        await send(client, "cancel", id="k", response="resp_1")
        others = [await receive(client), await receive(client)]

    assert (refused["type"], refused["id"], refused["status"]) == ("error", "one-too-many", 429)
    assert (refused["error"]["code"], refused["error"]["param"]) == ("websocket_stream_limit_reached", "id")
    assert sorted(frame["type"] for frame in others) == ["response", "results"]
    assert stage.ending.ended == ["resp_1"]


async def test_what_a_request_is_refused_for_is_told_under_its_id() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        await create(client, "a", "x", temperature="hot")
        await send(client, "create", id="b", request={"model": "fast", "input": "x", "stream": False})
        await create(client, "c", "x", model="slow")
        told = {frame["id"]: frame for frame in [await receive(client) for _ in range(3)]}

    assert {frame_id: (frame["type"], frame["status"]) for frame_id, frame in told.items()} == {
        "a": ("error", 400),
        "b": ("error", 400),
        "c": ("error", 404),
    }
    assert [told[frame_id]["error"]["param"] for frame_id in "abc"] == ["temperature", "stream", "model"]


async def test_a_response_that_is_not_stored_can_be_gone_on_with_on_its_connection() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        await create(client, "a", "one", store=False)
        while (event := (await receive(client))["event"])["type"] not in ENDS:
            pass
        await create(client, "b", "two", store=False, previous_response_id=event["response"]["id"])
        while (await receive(client))["event"]["type"] not in ENDS:
            pass

    assert [item.content for item in stage.echo.asked[1].items][-1] == "two"  # type: ignore[union-attr]
    assert len(stage.echo.asked[1].items) == 3


async def test_a_response_is_ended_and_told_as_it_is() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        await send(client, "cancel", id="k", response="resp_7")

        assert await receive(client) == {
            "type": "response",
            "id": "k",
            "response": {"id": "resp_7", "status": "cancelled"},
        }


# --- subscriptions --------------------------------------------------------------------------------


async def test_a_subscription_tells_what_there_is_behind_its_cursor_then_that_it_is_ready_then_what_comes() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.commit("conv_1", "conv_2", "conv_1")
        await send(client, "subscribe", id="s", cursor="e1.1")
        before = [await receive(client) for _ in range(2)]
        stage.commit("conv_3")
        after = await receive(client)

    assert [(frame["type"], frame["cursor"], frame["id"]) for frame in [*before, after]] == [
        ("changes", "e1.3", "s"),
        ("ready", "e1.3", "s"),
        ("changes", "e1.4", "s"),
    ]
    assert [change["conversation"] for change in before[0]["changes"]] == ["conv_2", "conv_1"]
    assert after["changes"] == [{"type": "turn", "conversation": "conv_3", "id": "resp_4", "state": "answered"}]


async def test_who_names_one_conversation_is_told_of_that_alone() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        await send(client, "subscribe", conversation="conv_2")
        assert (await receive(client))["type"] == "ready"
        stage.commit("conv_1", "conv_2", "conv_1")
        told = await receive(client)

    assert [change["id"] for change in told["changes"]] == ["resp_2"]


@pytest.mark.parametrize("cursor", ["another.7", "nonsense", ""])
async def test_a_cursor_that_is_not_known_begins_anew_and_that_is_told_first(cursor: str) -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.commit("conv_1", "conv_2")
        await send(client, "subscribe", id="s", cursor=cursor)
        told = [await receive(client) for _ in range(3)]

    assert [frame["type"] for frame in told] == ["reset", "changes", "ready"]
    assert [change["id"] for change in told[1]["changes"]] == ["resp_1", "resp_2"]


async def test_another_subscription_takes_the_place_of_the_first_and_one_that_fails_does_not() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        await send(client, "subscribe", id="first", conversation="conv_1")
        await send(client, "subscribe", id="second")
        assert [(await receive(client))["id"] for _ in range(2)] == ["first", "second"]
        await send(client, "subscribe", id="none", conversation="conv_none")
        refused = await receive(client)
        stage.commit("conv_1")
        told = await receive(client)
        await send(client, "ping")

        assert (refused["id"], refused["status"], refused["error"]["code"]) == ("none", 404, "conversation_not_found")
        assert (told["type"], told["id"]) == ("changes", "second")
        assert await receive(client) == {"type": "pong"}
        assert stage.listeners == 1


async def test_long_pages_are_told_by_frames_each_with_its_own_cursor() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.changes.padding = "x" * 50_000
        stage.commit(*["conv_1"] * 10)
        await send(client, "subscribe", cursor="e1.0")
        told = [await receive(client) for _ in range(5)]

    assert [frame["type"] for frame in told] == ["changes"] * 4 + ["ready"]
    assert [(frame["cursor"], len(frame["changes"])) for frame in told[:4]] == [
        ("e1.3", 3),
        ("e1.6", 3),
        ("e1.9", 3),
        ("e1.10", 1),
    ]


async def test_heartbeats_say_where_their_client_is() -> None:
    async with SocketStage(beat_every_s=0.25) as stage, stage.connect() as opened:
        client = await greeted(opened)
        alone = await receive(client)
        await send(client, "subscribe")
        while (await receive(client))["type"] != "ready":
            pass
        stage.commit("conv_1")
        seen = [await receive(client)]
        while seen[-1]["type"] != "heartbeat" or seen[-1]["cursor"] != "e1.1":
            seen.append(await receive(client))

    assert alone == {"type": "heartbeat", "bootstrap": REVISION}
    changed = [frame["type"] for frame in seen].index("changes")
    assert all(frame["cursor"] != "e1.1" for frame in seen[:changed])
    assert seen[-1] == {"type": "heartbeat", "bootstrap": REVISION, "cursor": "e1.1"}


async def test_who_does_not_read_is_told_nothing_more_and_nothing_is_read_for_it() -> None:
    async with SocketStage(beat_every_s=0.25) as stage:
        client = await greeted(await stage.connect())
        stage.changes.padding = "x" * 20_000
        await send(client, "subscribe")
        while (await receive(client))["type"] != "ready":
            pass
        client.transport.pause_reading()
        pulled = -1
        while pulled != len(stage.changes.pulled):
            pulled = len(stage.changes.pulled)
            stage.commit(*["conv_1"] * 100)
            await asyncio.sleep(0.3)
        assert stage.changes.length > 100
        client.transport.resume_reading()

        told: list[str] = []
        while len(told) < stage.changes.length:
            frame = await receive(client)
            told += [change["id"] for change in frame.get("changes", ())]
        assert told == [f"resp_{number}" for number in range(1, stage.changes.length + 1)]
        await client.close()


async def test_what_an_earlier_subscription_still_has_to_say_is_never_told() -> None:
    async with SocketStage() as stage:
        client = await greeted(await stage.connect())
        stage.changes.padding = "x" * 200_000
        stage.commit(*["conv_1"] * 150)
        await send(client, "subscribe", id="old", cursor="e1.0")
        await until(lambda: len(stage.changes.pulled) == 1)
        client.transport.pause_reading()
        await asyncio.sleep(0.1)
        stage.changes.padding = ""
        await send(client, "subscribe", id="new", cursor="e1.140")
        await asyncio.sleep(0.1)
        client.transport.resume_reading()
        told = [await receive(client)]
        while told[-1] != {"type": "ready", "cursor": "e1.150", "id": "new"}:
            told.append(await receive(client))
        await send(client, "ping")
        assert await receive(client) == {"type": "pong"}
        await client.close()

    which = [frame["id"] for frame in told]
    assert which == sorted(which, reverse=True)
    assert [change["id"] for frame in told if frame["id"] == "new" for change in frame.get("changes", ())] == [
        f"resp_{number}" for number in range(141, 151)
    ]


async def test_a_feed_that_breaks_is_told_and_the_connection_stays(caplog: pytest.LogCaptureFixture) -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        await send(client, "subscribe", id="s")
        assert (await receive(client))["type"] == "ready"
        stage.changes.broken = ZeroDivisionError()
        stage.commit("conv_1")
        told = await receive(client)
        stage.changes.broken = None
        await send(client, "subscribe", id="t", cursor="e1.0")
        again = [await receive(client) for _ in range(2)]

    assert (told["type"], told["id"], told["status"]) == ("error", "s", 500)
    assert [frame["type"] for frame in again] == ["changes", "ready"]
    assert [record.getMessage() for record in caplog.records] == ["feed_broke"]


async def test_a_store_that_is_away_is_told_of_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.changes.is_away = True
        await send(client, "subscribe", id="s")
        refused = await receive(client)
        assert stage.listeners == 0
        stage.changes.is_away = False
        await send(client, "subscribe", id="s")
        ready = await receive(client)

    assert (refused["id"], refused["status"], refused["error"]["headers"]) == ("s", 503, {"retry-after": "30"})
    assert ready["type"] == "ready"
    assert [record.getMessage() for record in caplog.records] == [
        "store_failed path=/api/socket reason=The store is away."
    ]


@pytest.mark.parametrize(
    ("room", "status", "code", "close_code"),
    [(Room(1, 100), 429, "too_many_streams", 4429), (Room(20, 1), 503, "server_overloaded", 1013)],
)
async def test_so_many_may_be_open_and_no_more(room: Room, status: int, code: str, close_code: int) -> None:
    async with SocketStage(room=room) as stage:
        async with stage.connect() as opened:
            first = await greeted(opened)
            async with stage.connect() as second:
                refused = await receive(second)
                assert (await closed(second))[0] == close_code
            await send(first, "ping")
            assert await receive(first) == {"type": "pong"}
        await stage.served.until_quiet()
        async with stage.connect() as third:
            await greeted(third)

    assert (refused["type"], refused["status"], refused["error"]["code"]) == ("error", status, code)
    assert refused["error"]["headers"] == {"retry-after": "5"}


# --- pushes ---------------------------------------------------------------------------------------


async def test_what_a_device_brings_is_done_in_order_one_push_at_a_time() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.outbox.may_go_on.clear()
        for number in range(10):
            await send(client, "push", id=f"p{number}", entries=[{"id": f"e{number}"}])
        await until(lambda: stage.outbox.at_once == 1)
        await client.ping()
        stage.outbox.may_go_on.set()
        answered = [(await receive(client))["id"] for _ in range(10)]

    assert answered == [f"p{number}" for number in range(10)]
    assert stage.outbox.pushed == [[{"id": f"e{number}"}] for number in range(10)]
    assert stage.outbox.most_at_once == 1


async def test_so_much_waits_and_no_more() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.outbox.may_go_on.clear()
        for number in range(4):
            await send(client, "push", id=f"p{number}", entries=[{"id": "x" * 40_000}])
        refused = await receive(client)

    assert (refused["id"], refused["status"], refused["error"]["code"]) == ("p3", 429, "too_many_waiting")


# --- frames ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "code", "param", "words"),
    [
        ("[]", "invalid_json", None, "The body must be a JSON object."),
        ("{", "invalid_json", None, "is not valid JSON"),
        (b"{}", "invalid_json", None, "Frames are texts that hold JSON. This one was binary."),
        (
            "{}",
            "missing_required_parameter",
            "type",
            "'type', one of subscribe, push, create, follow, unfollow, cancel, ping",
        ),
        ('{"type": 7}', "invalid_value", "type", "'type' is 7."),
        ('{"type": "shout"}', "invalid_value", "type", "'type' is 'shout'."),
        ('{"type": "push", "entries": []}', "missing_required_parameter", "push.id", "'push.id'"),
        ('{"type": "push", "id": "p"}', "missing_required_parameter", "push.entries", "'push.entries'"),
        ('{"type": "push", "id": "p", "entries": {}}', "invalid_type", "push.entries", "not an object"),
        ('{"type": "create", "id": "", "request": {}}', "invalid_value", "create.id", "length >= 1"),
        ('{"type": "create", "id": "c", "request": []}', "invalid_type", "create.request", "not a list of 0"),
        ('{"type": "create", "id": "c", "request": {}, "x": 1}', "unsupported_parameter", "create.x", "not known here"),
        ('{"type": "follow", "id": "f", "response": "../x"}', "invalid_value", "follow.response", "matching regex"),
        (
            '{"type": "follow", "id": "f", "response": "r", "starting_after": -1}',
            "invalid_value",
            "follow.starting_after",
            ">= 0",
        ),
        ('{"type": "cancel", "id": 4, "response": "r"}', "invalid_type", "cancel.id", "not 4"),
        ('{"type": "subscribe", "cursor": 4}', "invalid_type", "subscribe.cursor", "not 4"),
    ],
)
async def test_what_is_wrong_is_told_by_frame_and_field(
    frame: str | bytes, code: str, param: str | None, words: str
) -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        await client.send(frame)
        told = await receive(client)
        await send(client, "ping")
        assert await receive(client) == {"type": "pong"}

    assert (told["type"], told["status"]) == ("error", 400)
    assert (told["error"]["code"], told["error"]["param"]) == (code, param)
    assert words in told["error"]["message"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["subscribe", "push", "create", "follow", "cancel", "ping", "hello", ""]) | _JSON},
    optional={
        "id": st.sampled_from(["a", "b"]) | _JSON,
        "cursor": _JSON | st.just("e.1"),
        "conversation": _JSON,
        "entries": st.lists(_JSON, max_size=3) | _JSON,
        "request": st.fixed_dictionaries({"model": st.just("fast"), "input": st.text(max_size=5)}) | _JSON,
        "response": st.sampled_from(["resp_1"]) | _JSON,
        "idempotency_key": _JSON,
    },
)
_FRAMES = _FIELDS.map(json.dumps) | _JSON.map(json.dumps) | st.text(max_size=30) | st.binary(max_size=30)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames=st.lists(_FRAMES, max_size=12))
def test_no_frame_breaks_a_connection(frames: list[str | bytes]) -> None:
    async def play() -> None:
        async with SocketStage() as stage, stage.connect() as opened:
            client = await greeted(opened)
            for frame in frames:
                await client.send(frame)
            await send(client, "ping", id="last one")
            errors: list[Any] = []
            while (told := await receive(client)) != {"type": "pong", "id": "last one"}:
                if told["type"] == "error":
                    errors.append(told)
            assert all(error["status"] < 500 for error in errors), errors

    asyncio.run(play())


async def test_a_flood_of_frames_is_slowed_down() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        for _ in range(260):
            await send(client, "ping", id="p")
        told = [await receive(client) for _ in range(260)]

    assert [frame["type"] for frame in told[:200]] == ["pong"] * 200
    refused = [frame for frame in told if frame["type"] == "error"]
    assert refused
    assert {frame["error"]["code"] for frame in refused} == {"too_many_frames"}


async def test_too_long_a_frame_ends_the_connection() -> None:
    async with SocketStage() as stage:
        client = await stage.connect()
        await send(client, "push", id="p", entries=[{"id": "x" * 200_000}])

        assert (await closed(client))[0] == 1009


# --- ends -----------------------------------------------------------------------------------------


async def test_only_people_may_open_one() -> None:
    async with SocketStage() as stage:
        assert (await stage.served.refused(token=KEY))[0] == 403


async def test_a_session_that_ended_ends_its_socket_and_what_it_listens_to() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        await send(client, "subscribe")
        assert (await receive(client))["type"] == "ready"
        del stage.served.credentials.callers[TOKEN]

        assert await closed(client) == (4401, "token_revoked")
        await stage.served.until_quiet()
        assert (stage.listeners, len(stage.feeds.rounds)) == (0, 0)


async def test_where_the_server_ends_the_feed_does_and_answers_are_finished() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.served.drained.clear()
        stage.echo.may_speak.clear()
        await send(client, "subscribe")
        assert (await receive(client))["type"] == "ready"
        await create(client, "a", "one two")
        await create(client, "a", "never")
        await until(lambda: stage.echo.open_answers == 1)
        stage.served.server.should_exit = True
        bye = await receive(client)
        assert stage.listeners == 0
        stage.feeds.drain()  # as the application does: it says no second word
        stage.echo.may_speak.set()
        frames = [await receive(client)]
        while frames[-1]["type"] != "error":
            frames.append(await receive(client))
        stage.served.drained.set()
        code = (await closed(client))[0]

    assert (bye["type"], bye["error"]["code"], bye["retry_after_s"]) == ("bye", "server_shutting_down", 1)
    assert words_of([frame["event"] for frame in frames[:-1]]) == ["one", "two"]
    assert frames[-2]["event"]["type"] == "response.completed"
    assert (frames[-1]["id"], frames[-1]["error"]["code"]) == ("a", "server_shutting_down")
    assert code == 1012


async def test_a_hang_up_ends_all_that_is_not_kept() -> None:
    async with SocketStage() as stage:
        client = await greeted(await stage.connect())
        stage.echo.may_speak.clear()
        await send(client, "subscribe")
        await create(client, "a", "one two")
        await create(client, "a", "never")
        await until(lambda: stage.echo.open_answers == 1)
        client.transport.abort()
        await until(lambda: stage.echo.open_answers == 0 and len(stage.live) == 0)
        await stage.served.until_quiet()

        assert len(stage.echo.asked) == 1
        assert (stage.listeners, len(stage.feeds.rounds)) == (0, 0)


async def test_who_is_told_when_to_come_again_is_told_once_and_finishes_here() -> None:
    async with SocketStage() as stage, stage.connect() as opened:
        client = await greeted(opened)
        stage.echo.may_speak.clear()
        await send(client, "subscribe")
        await create(client, "a", "one")
        await until(lambda: stage.echo.open_answers == 1)
        assert (await receive(client))["type"] == "ready"
        stage.feeds.drain()
        bye = await receive(client)
        stage.commit("conv_1")
        stage.echo.may_speak.set()
        told = [await receive(client)]
        while told[-1]["event"]["type"] not in ENDS:
            told.append(await receive(client))

    assert (bye["type"], bye["retry_after_s"]) == ("bye", 0.5)
    assert {frame["type"] for frame in told} == {"event"}
