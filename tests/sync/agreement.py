"""What must hold when all devices are online, their outboxes empty, and nothing is new: they hold the same, it is what
the routes say, and each thing that was done on a device was done once, in order, or refused with a reason.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tests.edges.kept_client import ask, request
from tests.edges.kept_serving import Rows, Site
from tests.sync.acts import ASKING, item_of
from tests.sync.devices import Device, Disk, Json, Kept, Way, settle
from tests.sync.writings import Writing, writings

_PAGE = 100
_ENDED = {
    "completed": ("answered", "read"),
    "incomplete": ("answered", "read"),
    "failed": ("failed",),
    "cancelled": ("failed",),
}


class Person(NamedTuple):
    """Somebody, and their devices, by their names."""

    name: str
    token: str
    devices: dict[str, Device]

    @property
    def disks(self) -> list[Disk]:
        return [device.disk for device in self.devices.values()]


async def check_alike(site: Site, person: Person) -> None:
    """Settle a person's devices: all of them hold what the routes say."""
    await settle([*person.devices.values()], site.served)
    first, *rest = person.disks
    told = first.things()
    for disk in rest:
        assert disk.things() == told
    await _check_routes(site, person, first)


async def check_agreement(site: Site, people: Sequence[Person]) -> None:
    """Settle all devices, and check all that must hold then."""
    for person in people:
        await check_alike(site, person)
    for person in people:
        others = [other for other in people if other is not person]
        await _check_person(site, person, others)


async def _check_person(site: Site, person: Person, others: Sequence[Person]) -> None:
    first = person.disks[0]
    told = first.things()
    assert all(disk.is_whole for disk in person.disks)
    for name in (name for other in others for name in other.devices):
        assert f"{name}-" not in json.dumps([*told.values()]), f"{person.name} was told something of {name}"
    await _check_new_devices(site, person, told)
    entries = [kept for disk in person.disks for kept in disk.outbox()]
    assert all(kept.status in ("done", "refused") for kept in entries)
    foreign = _foreign(person, others)
    await _check_entries(site, person, foreign, first)
    _check_writings(await writings(site.rows, person.name), person, foreign, first)


# --- devices that begin anew --------------------------------------------------------------------


async def _check_new_devices(site: Site, person: Person, told: dict[Any, Json]) -> None:
    """A new device is told the same, in pages of any size; so is one that was elsewhere. Same cursor, same page."""
    for limit in (7, 1000):
        new, twin = Device(Disk(), person.token), Device(Disk(), person.token)
        assert await new.sync(site.served, Way(limit=limit)) is await twin.sync(site.servers[-1], Way(limit=limit))
        assert (new.disk.cursor, new.disk.things()) == (twin.disk.cursor, twin.disk.things())
        while await new.sync(site.servers[-1], Way(limit=limit)):
            pass
        assert new.disk.things() == told
        new.mistake()
        assert new.disk.things() != told
        assert await new.sync(site.served, Way(limit=1)) is (len(told) > 1)
        while await new.sync(site.served, Way(limit=limit)):
            pass
        assert new.disk.things() == told
        new.disk.close()
        twin.disk.close()


# --- what the routes say ------------------------------------------------------------------------


async def _check_routes(site: Site, person: Person, disk: Disk) -> None:
    get = _getting(site, person.token)
    conversations = {each["id"]: each for each in await _all(get, "/api/conversations")}
    told = {key[1]: each for key, each in disk.things("conversation").items()}
    assert {name: _as_listed(each) for name, each in told.items()} == {
        name: {field: each[field] for field in _LISTED} for name, each in conversations.items()
    }
    items = disk.things("item")
    assert {key[1] for key in items} <= told.keys()
    for conversation, its in told.items():
        path = f"/api/conversations/{conversation}"
        listed = await _all(get, f"{path}/items", order="asc", branch="all")
        mine = {key[2]: each for key, each in items.items() if key[1] == conversation}
        assert {name: _item_as_listed(each) for name, each in mine.items()} == {
            each["id"]: {field: each[field] for field in _ITEM_LISTED} for each in listed
        }
        branches = (await get(f"{path}/branches"))["data"]
        known = its.get("branches", [])
        if len(branches) > 1:
            fields = ("number", "parent", "fork", "length")
            assert known == [{field: each[field] for field in fields} for each in branches]
        chosen = await _all(get, f"/v1/conversations/{conversation}/items", order="asc")
        assert [each["id"] for each in chosen] == shown(its, mine.values())
    feedback = {each["response_id"]: each for each in await _all(get, "/api/feedback")}
    assert _fields(disk, "feedback", 2, ("rating", "comment", "changed_at")) == {
        name: (each["rating"], each["comment"], each["changed_at"]) for name, each in feedback.items()
    }
    facts = {each["id"]: each for each in await _all(get, "/api/facts")}
    assert _fields(disk, "fact", 2, ("words", "changed_at")) == {
        name: (each["words"], each["changed_at"]) for name, each in facts.items()
    }


_LISTED = (
    "id",
    "title",
    "metadata",
    "branch",
    "branches",
    "response_id",
    "created_at",
    "changed_at",
    "expires_at",
    "pinned",
)
_ITEM_LISTED = ("id", "item", "branch", "position", "response_id", "created_at")


def _as_listed(told: Json) -> Json:
    """A conversation that a device was told of, as it is listed."""
    return {
        "id": told["id"],
        "title": told.get("title"),
        "metadata": told.get("metadata", {}),
        "branch": told["branch"],
        "branches": len(told.get("branches", [None])),
        "response_id": told.get("response"),
        "created_at": told["created_at"],
        "changed_at": told["changed_at"],
        "expires_at": told.get("expires_at"),
        "pinned": "pinned_at" in told,
    }


def _item_as_listed(told: Json) -> Json:
    names = {"response_id": "response"}
    return {field: told.get(names.get(field, field)) for field in _ITEM_LISTED}


def shown(conversation: Json, items: Iterable[Json]) -> list[str]:
    """The items of the chosen branch, in order, as a device finds them with what it was told."""
    branches = {each["number"]: each for each in conversation.get("branches", [])}
    places = {(each["branch"], each["position"]): each["id"] for each in items}
    number: int | None = conversation["branch"]
    until = max((position + 1 for _, position in places), default=0)
    path: list[str] = []
    while number is not None:
        branch = branches.get(number, {"parent": None, "fork": 0})
        its = [places[number, position] for position in range(branch["fork"], until) if (number, position) in places]
        path = its + path
        number, until = branch["parent"], min(until, branch["fork"])
    return path


def _fields(disk: Disk, kind: str, place: int, fields: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    return {key[place]: tuple(each.get(field) for field in fields) for key, each in disk.things(kind).items()}


def _getting(site: Site, token: str) -> Callable[..., Any]:
    async def get(path: str, **query: Any) -> Json:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        answer = await ask(site.servers[-1], request("GET", f"{path}?{asked}" if asked else path, token=token))
        assert answer.status == 200, answer.body
        return answer.json

    return get


async def _all(get: Callable[..., Any], path: str, **query: Any) -> list[Json]:
    """All pages of a list."""
    found: list[Json] = []
    behind: dict[str, str] = {}
    while True:
        page = await get(path, limit=_PAGE, **query, **behind)
        found += page["data"]
        if not page["has_more"]:
            return found
        behind = {"after": page["data"][-1]["id"]}


# --- what was done on devices -------------------------------------------------------------------


class _Place(NamedTuple):
    """Where an item stands in the database, and whether it still says something; later ones are greater."""

    created_at_ms: int
    position: int
    branch: int
    is_there: bool


def _foreign(person: Person, others: Sequence[Person]) -> set[str]:
    """The conversations that others began: ids of entries are in order, and the first one that names it began it."""
    began: dict[str, tuple[str, str]] = {}
    for each in (person, *others):
        for entry in (kept.entry for disk in each.disks for kept in disk.outbox()):
            if "conversation" in entry:
                first = began.get(entry["conversation"], (entry["id"], each.name))
                began[entry["conversation"]] = min(first, (entry["id"], each.name))
    return {conversation for conversation, (_, name) in began.items() if name != person.name}


async def _check_entries(site: Site, person: Person, foreign: set[str], disk: Disk) -> None:
    all_entries = [kept for disk in person.disks for kept in disk.outbox()]
    # Once its owner has deleted it, anybody may begin one under its id: what is done in those is not looked at.
    outboxes = [
        [kept for kept in disk.outbox() if kept.entry.get("conversation") not in foreign] for disk in person.disks
    ]
    entries = list(itertools.chain(*outboxes))
    done = [kept for kept in entries if kept.status == "done"]
    places = await _places(site.rows)
    there = {key[1] for key in disk.things("conversation")}
    gone = {e.entry["conversation"] for e in done if e.entry["type"] == "delete" and "item" not in e.entry}
    removed = {e.entry["item"] for e in done if e.entry["type"] == "delete" and "item" in e.entry}
    _check_messages(entries, places, there, gone, removed, disk)
    _check_refusals(entries, gone, removed)
    await _check_turns(site.rows, person, all_entries, gone | foreign, disk)
    for outbox in outboxes:
        _check_order(outbox, places)
    _check_last(outboxes, foreign, disk, places)


def _check_messages(
    entries: Sequence[Kept],
    places: dict[tuple[str, str], _Place],
    there: set[str],
    gone: set[str],
    removed: set[str],
    disk: Disk,
) -> None:
    """Each message and output is there once and says what it said, or was deleted, or refused and is not there."""
    items = disk.things("item")
    said = Counter(text for each in items.values() if (text := _text_of(each)) is not None)
    for kept in entries:
        entry = kept.entry
        if entry["type"] not in ("message", "edit", "outputs"):
            continue
        key = entry["conversation"], item_of(entry)
        text = _content_of(entry)
        if kept.status == "refused":
            assert key not in places, kept
            assert said[text] == 0
        elif entry["conversation"] in gone:
            assert entry["conversation"] not in there
        elif key[1] in removed:
            assert not places[key].is_there
            assert said[text] == 0
        else:
            assert places[key].is_there, kept
            assert _text_of(items["item", *key]) == text
            assert said[text] == 1, kept
            assert kept.result is not None
            assert kept.result["item"] == key[1]


def _check_refusals(entries: Sequence[Kept], gone: set[str], removed: set[str]) -> None:
    """What was refused was of something that is not there, or of a branch that never was."""
    begun = {kept.entry["conversation"] for kept in entries if kept.status == "done" and "conversation" in kept.entry}
    answered = {
        (kept.entry["conversation"], kept.entry["outputs"][0]["call_id"])
        for kept in entries
        if kept.status == "done" and kept.entry["type"] == "outputs"
    }
    lost = {item_of(kept.entry) for kept in entries if kept.status == "refused"}
    for kept in entries:
        if kept.status != "refused":
            continue
        entry, error = kept.entry, (kept.result or {})["error"]
        is_gone = entry.get("conversation") in gone or entry.get("conversation") not in begun
        match error["code"]:
            case "conversation_not_found":
                assert is_gone, kept
            case "item_not_found":
                assert is_gone or {entry.get("item"), entry.get("after")} & (removed | lost), kept
            case "response_not_found" | "feedback_not_found":
                assert "response" in entry, kept
            case "invalid_value":
                assert entry["type"] == "choose", kept
            case "call_not_found":
                # Not in the branch that was chosen by then, or deleted.
                assert entry["type"] == "outputs", kept
            case "call_answered":
                # By one that was done, or that is not in a conversation any more when it comes again.
                call = entry["conversation"], entry["outputs"][0]["call_id"]
                assert is_gone or call in answered, kept
            case "too_many_branches":
                assert entry["type"] in ASKING, kept
            case _:
                raise AssertionError(kept)


async def _check_turns(rows: Rows, person: Person, entries: Sequence[Kept], gone: set[str], disk: Disk) -> None:
    """Each thing that asks has asked once, and each answer has an end, which all devices know."""
    found = await rows(f"SELECT id, status, conversation FROM response WHERE person = '{person.name}'")
    statuses = {response: status for response, status, _ in found}
    assert len(statuses) <= sum(kept.entry["type"] in ASKING for kept in entries)
    asked = [kept.result for kept in entries if kept.status == "done" and kept.entry["type"] in ASKING]
    brought = Counter(result["response"] for result in asked if result is not None)
    assert max(brought.values(), default=1) == 1
    assert brought.keys() <= statuses.keys()
    # Of one that was asked before its conversation was deleted, and whose reply was lost, its device has no id.
    assert {conversation for response, _, conversation in found if response not in brought} <= gone
    there = {key[1] for key in disk.things("conversation")}
    told = {key[2]: each["state"] for key, each in disk.things("turn").items()}
    assert told.keys() == {response for response, _, conversation in found if conversation in there}
    for response, state in told.items():
        assert state in _ENDED[statuses[response]], (response, state, statuses[response])


def _check_order(outbox: Sequence[Kept], places: dict[tuple[str, str], _Place]) -> None:
    """What was said on one device in one conversation is there in that order.

    An output may be behind what came after it: it was refused while its call was not in the branch that was chosen,
    nobody heard of that, and it was done when it came again.
    """
    last: dict[str, tuple[_Place, Kept]] = {}
    for kept in outbox:
        conversation = kept.entry.get("conversation", "")
        place = places.get((conversation, item_of(kept.entry)))
        if place is None:
            continue
        before, said = last.get(conversation, (None, kept))
        if before is not None:
            assert before.created_at_ms <= place.created_at_ms, (said, kept)
            assert before.branch != place.branch or before.position < place.position, (said, kept)
        if kept.entry["type"] != "outputs":
            last[conversation] = place, kept


def _check_last(
    outboxes: Sequence[Sequence[Kept]], foreign: set[str], disk: Disk, places: dict[tuple[str, str], _Place]
) -> None:
    """Pins are as some device left them last; a conversation is read as far as anybody has said."""
    pins: dict[tuple[str, str], set[bool]] = defaultdict(set)
    reads: dict[str, list[str]] = defaultdict(list)
    for outbox in outboxes:
        last: dict[tuple[str, str], bool] = {}
        for entry in (kept.entry for kept in outbox if kept.status == "done"):
            if entry["type"] in ("pin", "pin_item"):
                last[entry["conversation"], entry.get("item", "")] = entry["pinned"]
            elif entry["type"] == "read":
                reads[entry["conversation"]].append(entry["item"])
        for key, is_pinned in last.items():
            pins[key].add(is_pinned)
    conversations, items = disk.things("conversation"), disk.things("item")
    for (conversation, item), possible in pins.items():
        if item and ("item", conversation, item) in items:
            assert items["item", conversation, item].get("pinned", False) in possible
        elif not item and ("conversation", conversation, "") in conversations:
            assert ("pinned_at" in conversations["conversation", conversation, ""]) in possible
    for (_, conversation, _), told in conversations.items():
        if conversation not in foreign:
            said = [places[conversation, item] for item in reads[conversation]]
            read = None if "read_item" not in told else places[conversation, told["read_item"]]
            assert read == max(said, default=None), (conversation, told)


def _check_writings(written: Sequence[Writing], person: Person, foreign: set[str], disk: Disk) -> None:
    """Each name, fact and comment was written once, those of a device of one thing in order; the last one is there.

    What was refused because a thing was another's, and nobody heard of that, may be done behind what came after it.
    """
    by_thing: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in written:
        if each.value is not None:
            value = json.loads(each.value)["of"] if each.kind == "metadata" else each.value
            by_thing[each.kind, each.thing].append(value)
    for device in person.devices.values():
        wanted: dict[tuple[str, str], list[str]] = defaultdict(list)
        for kept in device.disk.outbox():
            found = _written_by(kept.entry)
            if found is None:
                continue
            kind, thing, value = found
            assert by_thing[kind, thing].count(value) == (kept.status == "done"), kept
            if kept.status == "done":
                wanted[kind, thing].append(value)
        for key, values in wanted.items():
            if key[1] not in foreign:
                assert [value for value in by_thing[key] if value in values] == values, key
    _check_last_written(written, disk)


def _written_by(entry: Json) -> tuple[str, str, str] | None:
    """The kind, the thing and the value that an entry writes."""
    match entry:
        case {"type": "rename", "conversation": thing, "title": str(value)}:
            return "title", thing, value
        case {"type": "metadata", "conversation": thing, "metadata": {"of": value}}:
            return "metadata", thing, value
        case {"type": "fact", "fact": thing, "words": str(value)}:
            return "fact", thing, value
        case {"type": "feedback", "response": thing, "comment": value}:
            return "feedback", thing, value
        case _:
            return None


def _check_last_written(written: Sequence[Writing], disk: Disk) -> None:
    last = {(each.kind, each.thing): each.value for each in written}
    for _, conversation, _ in disk.things("conversation"):
        told = disk.things("conversation")["conversation", conversation, ""]
        if ("title", conversation) in last:
            assert told.get("title") == last["title", conversation]
        if ("metadata", conversation) in last:
            assert told.get("metadata", {}) == json.loads(last["metadata", conversation] or "{}")
    for kind, field in (("fact", "words"), ("feedback", "comment")):
        for (_, _, thing), told in disk.things(kind).items():
            assert told.get(field) == last[kind, thing]


async def _places(rows: Rows) -> dict[tuple[str, str], _Place]:
    found = await rows(
        "SELECT conversation, id, created_at_ms, position, branch, content IS NOT NULL FROM conversation_item "
        "WHERE branch >= 0"
    )
    return {(row[0], row[1]): _Place(row[2], row[3], row[4], bool(row[5])) for row in found}


def _content_of(entry: Json) -> str:
    if "outputs" in entry:
        return entry["outputs"][0]["output"]
    content = entry["content"]
    return content if isinstance(content, str) else content[0]["text"]


def _text_of(told: Json) -> str | None:
    """What a person said in an item, or their device."""
    item = told["item"]
    if item["type"] == "function_call_output":
        return item["output"]
    if item.get("role") != "user":
        return None
    return _content_of(item)
