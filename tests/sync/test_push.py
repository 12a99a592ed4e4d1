"""What was done on devices is done once, in order, as the rules of conflict say; what cannot be done says why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from frontdesk.storage.query import Query, Step
from frontdesk.storage.tables import conversation_item, idempotency_key, response, turn
from tests.sync.desk import App, entry, new_conversation, new_id, opened
from tests.sync.taker import Taker

_REST = "0b0-0000-7000-8000-000000000000"  # of an entry's id
FORGET_KEYS = Query(delete(idempotency_key))
RESPONSES = Query(select(func.count()).select_from(response))
TURNS = Query(select(turn.c.status))
ITEMS = Query(select(func.count()).select_from(conversation_item).where(conversation_item.c.branch >= 0))


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[App]:
    async with opened(database_url) as app:
        yield app


async def counted(app: App) -> tuple[int, int]:
    """How many responses there are, and how many items."""
    database = app.frontdesk._database
    return (await database.read(RESPONSES))[0][0], (await database.read(ITEMS))[0][0]


async def said(app: App, token: str, conversation: str, text: str = "hello", **fields: Any) -> dict[str, Any]:
    """Push a message, and wait for its answer; returns what became of it."""
    (result,) = await app.pushed(token, entry("message", conversation=conversation, content=text, **fields))
    assert result["status"] == "done", result
    assert await app.until_ended(token, result["response"]) in ("completed", "incomplete", "failed")
    return result


async def texts(app: App, token: str, conversation: str) -> dict[str, str]:
    """The texts of a conversation's items, by their ids."""
    taker = await app.synced(token, Taker())
    items = {key[2]: thing["item"] for key, thing in taker.of("item").items() if key[1] == conversation}
    return {item_id: item["content"][0]["text"] for item_id, item in items.items()}


async def conversation_of(app: App, token: str, conversation: str) -> dict[str, Any]:
    taker = await app.synced(token, Taker())
    return taker.things["conversation", conversation]


# --- messages -------------------------------------------------------------------------------------


async def test_a_message_begins_its_conversation_and_is_answered(app: App):
    token, conversation = await app.token(), new_conversation()
    message = entry("message", conversation=conversation, content="hello there")

    (result,) = await app.pushed(token, message)

    item = "msg_" + message["id"].replace("-", "")
    assert result == {"id": message["id"], "status": "done", "item": item, "response": result["response"]}
    assert await app.until_ended(token, result["response"]) == "completed"
    assert list((await texts(app, token, conversation)).values()).count("hello there") == 2  # it is said back
    assert (await texts(app, token, conversation))[item] == "hello there"


async def test_a_message_that_is_sent_again_is_said_once(app: App):
    token, message = await app.token(), entry("message", conversation=new_conversation(), content="once")

    answers = await asyncio.gather(*(app.pushed(token, message) for _ in range(5)))
    (first,) = await app.pushed(token, message)
    await app.until_ended(token, first["response"])

    # While another try of it is on its way in, one may be told to wait.
    told = [result for (result,) in answers if result["status"] == "done"]
    assert told
    assert all(result == first for result in told)
    assert {result["status"] for (result,) in answers} <= {"done", "waiting"}
    assert await counted(app) == (1, 2)


async def test_it_is_known_by_its_item_when_its_key_is_long_forgotten(app: App):
    token, conversation = await app.token(), new_conversation()
    message = entry("message", conversation=conversation, content="once")
    (first,) = await app.pushed(token, message)
    await app.until_ended(token, first["response"])
    await app.frontdesk._database.write(Step(FORGET_KEYS))

    assert await app.pushed(token, message) == [first]
    await app.pushed(token, entry("delete", conversation=conversation, item=first["item"]))
    await app.frontdesk._database.write(Step(FORGET_KEYS))
    assert await app.pushed(token, message) == [first]  # it was said, and deleted
    assert await counted(app) == (1, 2)


async def test_a_message_that_came_by_the_door_before_is_not_said_again(app: App):
    token = await app.token()
    made = await app.ask(token, "POST", "/v1/conversations", {})
    conversation, message = made.body["id"], entry("message", conversation=made.body["id"], content="by the door")
    item = "msg_" + message["id"].replace("-", "")
    asked = {"input": [{"role": "user", "id": item, "content": "by the door"}], "conversation": conversation}
    answer = await app.ask(token, "POST", "/v1/responses", {**asked, "background": True})
    await app.until_ended(token, answer.body["id"])

    (result,) = await app.pushed(token, message)

    assert result == {"id": message["id"], "status": "done", "item": item, "response": answer.body["id"]}
    assert await counted(app) == (1, 2)


async def test_the_door_does_not_say_again_what_was_pushed(app: App):
    token, conversation = await app.token(), new_conversation()
    message = entry("message", conversation=conversation, content="either way")
    (result,) = await app.pushed(token, message)
    await app.until_ended(token, result["response"])

    asked = {"input": [{"role": "user", "id": result["item"], "content": "either way"}], "conversation": conversation}
    again = await app.ask(token, "POST", "/v1/responses", {**asked, "background": True})

    assert again.code == "item_exists"
    assert await counted(app) == (1, 2)


async def test_messages_go_behind_what_they_name(app: App):
    token, conversation = await app.token(), new_conversation()
    first = await said(app, token, conversation, "one")
    at_the_end = await said(app, token, conversation, "two")
    beside = await said(app, token, conversation, "other", after=None)
    behind = await said(app, token, conversation, "three", after=first["item"])

    taker = await app.synced(token, Taker())
    told = taker.things["conversation", conversation]
    assert [branch["fork"] for branch in told["branches"]] == [0, 0, 1]
    places = {key[2]: (thing["branch"], thing["position"]) for key, thing in taker.of("item").items()}
    assert places[at_the_end["item"]] == (0, 2)
    assert places[beside["item"]] == (1, 0)
    assert places[behind["item"]] == (2, 1)


async def test_what_a_request_says_besides_reaches_the_model(app: App):
    token, conversation = await app.token(), new_conversation()

    result = await said(app, token, conversation, "a b c d e f", request={"model": "fast", "max_output_tokens": 2})

    answer = (await app.ask(token, "GET", f"/v1/responses/{result['response']}")).body
    assert (answer["model"], answer["max_output_tokens"], answer["background"]) == ("fast", 2, True)
    assert answer["conversation"]["id"] == conversation


async def test_an_edit_comes_beside_what_it_edits(app: App):
    token, conversation = await app.token(), new_conversation()
    first, second = await said(app, token, conversation, "one"), await said(app, token, conversation, "two")
    edit = entry("edit", conversation=conversation, item=second["item"], content="two, said better")

    (result,) = await app.pushed(token, edit)
    await app.until_ended(token, result["response"])

    taker = await app.synced(token, Taker())
    there = taker.things["item", conversation, result["item"]]
    assert (there["branch"], there["position"]) == (1, 2)
    assert taker.things["conversation", conversation]["branch"] == 1
    assert await app.pushed(token, edit) == [result]
    (beginning,) = await app.pushed(token, entry("edit", conversation=conversation, item=first["item"], content="new"))
    await app.until_ended(token, beginning["response"])
    taker = await app.synced(token, taker)
    assert taker.things["item", conversation, beginning["item"]]["position"] == 0


async def test_another_answer_is_made_once(app: App):
    token, conversation = await app.token(), new_conversation()
    first = await said(app, token, conversation, "again")
    again = entry("answer", conversation=conversation, after=first["item"])

    (result,) = await app.pushed(token, again)
    assert await app.until_ended(token, result["response"]) == "completed"
    before = await counted(app)
    assert await app.pushed(token, again) == [result]
    door = Query(update(idempotency_key).where(idempotency_key.c.route == "/v1/responses").values(expires_at_ms=1))
    await app.frontdesk._database.write(Step(door))  # the door has forgotten it
    assert await app.pushed(token, again) == [result]

    assert await counted(app) == before == (2, 3)
    assert result["response"] != first["response"]


async def test_what_is_asked_may_be_cancelled(app: App):
    token, conversation = await app.token(), new_conversation()
    (result,) = await app.pushed(
        token, entry("message", conversation=conversation, content="slow", request={"model": "slow"})
    )

    (done,) = await app.pushed(token, entry("cancel", response=result["response"]))
    (unheard_of,) = await app.pushed(token, entry("cancel", response="resp_unheard_of"))

    assert done["status"] == "done"
    assert await app.until_ended(token, result["response"]) == "cancelled"
    assert (unheard_of["status"], unheard_of["error"]["code"]) == ("refused", "response_not_found")


# --- waiting --------------------------------------------------------------------------------------


async def test_what_cannot_be_done_now_waits_with_all_behind_it_in_its_conversation(app: App):
    token, busy, other = await app.token(), new_conversation(), new_conversation()
    slow = entry("message", conversation=busy, content="slow", request={"model": "slow"})
    second, renamed = entry("message", conversation=busy, content="two"), entry("rename", conversation=busy, title="x")
    entries = [slow, second, renamed, entry("message", conversation=other, content="one")]

    first = await app.pushed(token, *entries)

    assert [result["status"] for result in first] == ["done", "waiting", "waiting", "done"]
    assert first[1]["error"]["code"] == "conversation_locked"
    assert first[1]["retry_after_s"] == 1
    assert first[2] == {"id": renamed["id"], "status": "waiting", "retry_after_s": 1}
    await app.pushed(token, entry("cancel", response=first[0]["response"]))
    await app.until_ended(token, first[0]["response"])
    results = await app.pushed(token, second, renamed)
    assert [result["status"] for result in results] == ["done", "done"]
    assert (await conversation_of(app, token, busy))["title"] == "x"


async def test_what_waits_for_its_conversation_is_no_turn(app: App):
    token, busy = await app.token(), new_conversation()
    slow = entry("message", conversation=busy, content="slow", request={"model": "slow"})
    second = entry("message", conversation=busy, content="two")

    results = await app.pushed(token, slow, second) + await app.pushed(token, second)

    assert [result["status"] for result in results] == ["done", "waiting", "waiting"]
    await app.pushed(token, entry("cancel", response=results[0]["response"]))
    await app.until_ended(token, results[0]["response"])
    (done,) = await app.pushed(token, second)
    assert await app.until_ended(token, done["response"]) == "completed"
    statuses: list[str] = []
    async with asyncio.timeout(30):
        while "completed" not in statuses:  # a turn is written behind its response
            await asyncio.sleep(0.01)
            statuses = [status for (status,) in await app.frontdesk._database.read(TURNS)]
    assert sorted(statuses) == ["cancelled", "completed"]


async def test_a_limit_that_is_reached_is_waited_for(app: App):
    token, conversations = await app.token(tier="narrow"), [new_conversation(), new_conversation()]
    first, second = (entry("message", conversation=each, content="hello") for each in conversations)

    results = await app.pushed(token, first, second)

    assert [result["status"] for result in results] == ["done", "waiting"]
    assert results[1]["error"]["code"] == "rate_limit_exceeded"
    assert results[1]["retry_after_s"] > 0
    taker = await app.synced(token, Taker())
    assert [key[1] for key in taker.of("conversation")] == conversations[:1]  # nothing was begun for the other


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "param", "code"),
    [
        ({"type": "pun"}, "push[1].type", "invalid_value"),
        ({"type": "rename", "conversation": "c"}, "push[1].title", "missing_required_parameter"),
        ({"type": "rename", "conversation": "c", "title": "\x00"}, "push[1].title", "invalid_value"),
        ({"type": "pin", "conversation": "c", "pinned": 1}, "push[1].pinned", "invalid_type"),
        ({"type": "pin", "conversation": "c", "pinned": True, "x": 1}, "push[1].x", "unsupported_parameter"),
        ({"type": "conversation", "conversation": "conv_1"}, "push[1].conversation", "invalid_value"),
        ({"type": "message", "conversation": "c", "content": [5]}, "push[1].content[0]", "invalid_type"),
        (
            {"type": "message", "conversation": "c", "content": [{"type": "input_text", "text": 5}]},
            "push[1].content[0].text",
            "invalid_type",
        ),
        (
            {"type": "message", "conversation": "c", "content": "x", "request": {"stream": True}},
            "push[1].request.stream",
            "unsupported_parameter",
        ),
        (
            {"type": "message", "conversation": "c", "content": "x", "request": {"temperature": "hot"}},
            "push[1].request.temperature",
            "invalid_type",
        ),
        (
            {"type": "message", "conversation": "c", "content": "x", "request": {"model": "unheard of"}},
            "push[1].request.model",
            "model_not_found",
        ),
        ({"type": "feedback", "response": "resp_1", "rating": "up"}, "push[1].response", "response_not_found"),
        ({"type": "fact", "fact": "fact_1", "words": "x"}, "push[1].fact", "invalid_value"),
        ({"type": "fact", "fact": f"fact_{'0' * 32}\n", "words": "x"}, "push[1].fact", "invalid_value"),
        ({"type": "conversation", "conversation": f"conv_{'0' * 32}\n"}, "push[1].conversation", "invalid_value"),
        (
            {"type": "message", "conversation": "c", "content": "x", "feature": "a feature"},
            "push[1].feature",
            "invalid_value",
        ),
    ],
)
async def test_what_is_wrong_names_the_entry_and_the_field(app: App, wrong: dict[str, Any], param: str, code: str):
    token, good = await app.token(), entry("conversation", conversation=new_conversation())
    wrong = {"id": new_id(), **wrong}
    if wrong.get("conversation") == "c":
        wrong["conversation"] = good["conversation"]

    results = await app.pushed(token, good, wrong, entry("pin", conversation=good["conversation"], pinned=True))

    assert [result["status"] for result in results] == ["done", "refused", "done"]
    assert results[1]["id"] == wrong["id"]
    assert (results[1]["error"]["param"], results[1]["error"]["code"]) == (param, code)
    assert f"'{param}'" in results[1]["error"]["message"] or code in ("model_not_found", "response_not_found")


@pytest.mark.parametrize("entry_id", [None, 5, "x", "x" * 100, f"0199A{_REST}", f"0199a{_REST}\n"])
async def test_an_id_that_is_none_is_told_back_where_it_can_be(app: App, entry_id: Any):
    wrong = {"id": entry_id, "type": "fact", "fact": "fact_" + "0" * 32, "words": "x"}

    (result,) = await app.pushed(await app.token(), wrong)

    assert (result["status"], result["error"]["param"]) == ("refused", "push[0].id")
    assert result["id"] == (entry_id if isinstance(entry_id, str) and len(entry_id) < 64 else None)


async def test_an_id_that_was_used_for_something_else_is_refused(app: App):
    token, conversation = await app.token(), new_conversation()
    rename = entry("rename", conversation=conversation, title="one")
    await app.pushed(token, entry("conversation", conversation=conversation), rename)

    (result,) = await app.pushed(token, {**rename, "title": "two"})

    assert (result["status"], result["error"]["code"]) == ("refused", "idempotency_key_reused")
    assert (await conversation_of(app, token, conversation))["title"] == "one"


async def test_what_is_refused_leaves_nothing_and_may_be_sent_again(app: App):
    token, conversation = await app.token(tier="poor"), new_conversation()
    message = entry("message", conversation=conversation, content="hello", request={"model": "slow"})
    rename = entry("rename", conversation=conversation, title="x")

    results = await app.pushed(token, message, rename)
    assert [result["status"] for result in results] == ["refused", "refused"]
    assert (await app.sync(token))["changes"] == []
    results = await app.pushed(token, entry("conversation", conversation=conversation), rename)

    assert [result["status"] for result in results] == ["done", "done"]


async def test_nobody_reaches_what_is_anothers(app: App):
    mine, theirs = await app.token("u1"), await app.token("u2")
    conversation = new_conversation()
    result = await said(app, mine, conversation, "mine")
    await app.pushed(mine, entry("rename", conversation=conversation, title="mine"))

    results = await app.pushed(
        theirs,
        entry("conversation", conversation=conversation),
        entry("message", conversation=conversation, content="theirs"),
        entry("rename", conversation=conversation, title="theirs"),
        entry("read", conversation=conversation, item=result["item"]),
        entry("cancel", response=result["response"]),
        entry("feedback", response=result["response"], rating="up"),
        entry("delete", conversation=conversation),
    )

    assert [each["status"] for each in results] == ["refused"] * 6 + ["done"]  # what is not there is deleted
    assert {each["error"]["code"] for each in results[:4]} == {"conversation_not_found"}
    assert (await app.sync(theirs))["changes"] == []
    assert (await conversation_of(app, mine, conversation))["title"] == "mine"


async def test_the_same_id_is_each_persons_own(app: App):
    conversations = [new_conversation(), new_conversation()]
    shared = new_id()
    for user, conversation in zip(("u1", "u2"), conversations, strict=True):
        token = await app.token(user)
        (result,) = await app.pushed(token, {"id": shared, "type": "conversation", "conversation": conversation})
        assert result["status"] == "done"
        assert (await conversation_of(app, token, conversation))["id"] == conversation


# --- the rules of conflict --------------------------------------------------------------------------


async def test_the_last_that_arrives_wins_and_one_that_is_sent_again_does_not_arrive_again(app: App):
    token, conversation = await app.token(), new_conversation()
    await app.pushed(token, entry("conversation", conversation=conversation, title="first", metadata={"a": "1"}))
    mine = [
        entry("rename", conversation=conversation, title="mine"),
        entry("metadata", conversation=conversation, metadata={"a": "mine"}),
        entry("pin", conversation=conversation, pinned=False),
        entry("fact", fact="fact_" + "0" * 32, words="mine"),
    ]
    theirs = [
        entry("rename", conversation=conversation, title="theirs"),
        entry("metadata", conversation=conversation, metadata={"a": "theirs"}),
        entry("pin", conversation=conversation, pinned=True),
        entry("fact", fact="fact_" + "0" * 32, words="theirs"),
    ]
    await app.pushed(token, *mine)
    await app.pushed(token, *theirs)
    before = (await app.sync(token))["cursor"]

    results = await app.pushed(token, *mine)

    assert [result["status"] for result in results] == ["done"] * 4
    taker = await app.synced(token, Taker())
    told = taker.things["conversation", conversation]
    assert (told["title"], told["metadata"]) == ("theirs", {"a": "theirs"})
    assert told["pinned_at"]
    assert taker.things["fact", "fact_" + "0" * 32]["words"] == "theirs"
    assert taker.cursor == before  # nothing has changed


async def test_deletion_wins_over_all_that_comes_later(app: App):
    token, conversation = await app.token(), new_conversation()
    first = await said(app, token, conversation, "hello")
    taker = await app.synced(token, Taker())
    delete_item = entry("delete", conversation=conversation, item=first["item"])
    assert [each["status"] for each in await app.pushed(token, delete_item, delete_item)] == ["done", "done"]
    (pinned,) = await app.pushed(token, entry("pin_item", conversation=conversation, item=first["item"], pinned=True))
    assert (pinned["status"], pinned["error"]["code"]) == ("refused", "item_not_found")

    results = await app.pushed(
        token,
        entry("delete", conversation=conversation),
        entry("delete", conversation=conversation),
        entry("delete", conversation=conversation, item=first["item"]),
        entry("rename", conversation=conversation, title="x"),
        entry("message", conversation=conversation, content="too late"),
        entry("conversation", conversation=conversation),
        entry("read", conversation=conversation, item=first["item"]),
    )

    assert [each["status"] for each in results] == ["done"] * 3 + ["refused"] * 4
    assert {each["error"]["code"] for each in results[3:]} == {"conversation_not_found"}
    await app.synced(token, taker)
    assert taker.things == {}


async def test_a_conversation_that_is_there_stays_as_it_is(app: App):
    token, conversation = await app.token(), new_conversation()
    begin = entry("conversation", conversation=conversation, title="first", metadata={"a": "1"})
    await app.pushed(token, begin)
    await app.pushed(token, entry("rename", conversation=conversation, title="second"))

    results = await app.pushed(token, begin, entry("conversation", conversation=conversation, title="third"))

    assert [each["status"] for each in results] == ["done", "done"]
    told = await conversation_of(app, token, conversation)
    assert (told["title"], told["metadata"]) == ("second", {"a": "1"})


async def test_a_branch_is_chosen(app: App):
    token, conversation = await app.token(), new_conversation()
    await said(app, token, conversation, "one")
    await said(app, token, conversation, "other", after=None)

    results = await app.pushed(
        token,
        entry("choose", conversation=conversation, branch=0),
        entry("choose", conversation=conversation, branch=7),
    )

    assert [each["status"] for each in results] == ["done", "refused"]
    assert results[1]["error"]["param"] == "push[1].branch"
    assert (await conversation_of(app, token, conversation))["branch"] == 0


async def test_marks_go_forward_and_make_turns_read_that_were_answered(app: App):
    token, conversation = await app.token(), new_conversation()
    first = await said(app, token, conversation, "one")
    failed = await said(app, token, conversation, "two", request={"model": "broken"})
    third = await said(app, token, conversation, "three")
    taker = await app.synced(token, Taker())
    items = sorted(taker.of("item").values(), key=lambda each: each["position"])
    answers = {each["response"]: each["id"] for each in items}  # the last item of each

    def states() -> list[str]:
        return [taker.things["turn", conversation, each["response"]]["state"] for each in (first, failed, third)]

    assert states() == ["answered", "failed", "answered"]
    await app.pushed(token, entry("read", conversation=conversation, item=first["item"]))
    await app.synced(token, taker)
    assert states() == ["answered", "failed", "answered"]  # the question alone
    latest = entry("read", conversation=conversation, item=answers[third["response"]])
    results = await app.pushed(token, latest, entry("read", conversation=conversation, item=first["item"]))
    await app.synced(token, taker)

    assert [each["status"] for each in results] == ["done", "done"]
    assert states() == ["read", "failed", "read"]
    assert taker.things["turn", conversation, failed["response"]]["code"]
    assert taker.things["conversation", conversation]["read_item"] == latest["item"]


async def test_feedback_is_said_changed_and_taken_back(app: App):
    token, conversation = await app.token(), new_conversation()
    result = await said(app, token, conversation, "one")
    taker, response_id = Taker(), result["response"]

    for rating, comment in (("up", None), ("down", "it is not"), (None, None)):
        (done,) = await app.pushed(token, entry("feedback", response=response_id, rating=rating, comment=comment))
        await app.synced(token, taker)
        assert done["status"] == "done"
        told = taker.of("feedback").get(("feedback", response_id))
        assert (told and (told["rating"], told.get("comment"))) == (None if rating is None else (rating, comment))


async def test_facts_are_kept_and_forgotten(app: App):
    token, taker, fact = await app.token(), Taker(), "fact_" + "0" * 32

    for words in ("likes tea", "likes coffee", None, None):
        (done,) = await app.pushed(token, entry("fact", fact=fact, words=words))
        await app.synced(token, taker)
        assert done["status"] == "done"
        assert [each["words"] for each in taker.of("fact").values()] == ([] if words is None else [words])


# --- who --------------------------------------------------------------------------------------------


async def test_what_an_anonymous_person_did_is_the_users_after_an_upgrade(app: App):
    anonymous, user = await app.token(None), await app.token("u1")
    theirs, mine = new_conversation(), new_conversation()
    rename = entry("rename", conversation=theirs, title="one")
    message = await said(app, anonymous, theirs, "anonymous")
    await app.pushed(anonymous, rename)
    taker, before = await app.synced(anonymous, Taker()), Taker()
    await said(app, user, mine, "user")
    await app.synced(user, before)

    upgraded = await app.ask(user, "POST", "/api/sessions/upgrade", {"anonymous_token": anonymous})
    assert upgraded.status == 200
    answer = await app.sync(user, taker)
    while answer["has_more"]:
        answer = await app.sync(user, taker)
    await app.synced(user, before)

    assert taker.things == before.things == (await app.synced(user, Taker())).things
    assert {key[1] for key in taker.of("conversation")} == {theirs, mine}
    await app.pushed(user, entry("rename", conversation=theirs, title="two"))
    assert [each["status"] for each in await app.pushed(user, rename)] == ["done"]  # before it was an upgrade
    assert (await conversation_of(app, user, theirs))["title"] == "two"
    assert (await texts(app, user, theirs))[message["item"]] == "anonymous"


async def test_where_no_conversations_are_kept_they_say_so(database_url: str):
    settings = "providers: {s: {kind: scripted}}\nmodels: {fast: {route: [s/echo]}}\ndefault_model: fast\n"
    async with opened(database_url, settings + "retention: {conversations_days: 0}\n") as app:
        token = await app.token()
        results = await app.pushed(
            token,
            entry("conversation", conversation=new_conversation()),
            entry("message", conversation=new_conversation(), content="hello"),
        )

        assert [each["status"] for each in results] == ["refused", "refused"]
        assert [each["error"]["code"] for each in results] == ["conversations_not_kept", "conversation_not_found"]
        assert await counted(app) == (0, 0)
