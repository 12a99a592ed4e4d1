"""Moderations: the caller's request, and judgements rendered as OpenAI does."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from frontdesk.turn.events import Event, ModerationsProduced
from frontdesk.turn.facts import Facts
from frontdesk.turn.items import Image, ModerationRequest, Text
from frontdesk.wire.media import check_whole
from frontdesk.wire.reading import Kinds, names_of, read_object, view
from frontdesk.wire.refusing import told, wrong

_encode = msgspec.json.Encoder().encode
_MAX_INPUTS = 1024


class ImageAddress(msgspec.Struct, forbid_unknown_fields=True):
    """Where a picture is: an https URL or a data URL."""

    url: Annotated[str, Meta(min_length=1)]


class ModerationText(msgspec.Struct, tag_field="type", tag="text", forbid_unknown_fields=True):
    """Words to be judged."""

    text: str


class ModerationImage(msgspec.Struct, tag_field="type", tag="image_url", forbid_unknown_fields=True):
    """A picture to be judged."""

    image_url: ImageAddress


MODERATION_PARTS = Kinds("type", {"text": ModerationText, "image_url": ModerationImage})
# What `_read_inputs` checks: msgspec has no union of lists.
_ONE_KIND: dict[str, Any] = {"anyOf": [{"items": {"type": "string"}}, {"items": {"type": "object"}}]}


class ModerationsAsked(msgspec.Struct):
    """A request for judgements: of a text, of each of some texts, or of texts and pictures together."""

    input: (
        str
        | Annotated[
            list[Any], MODERATION_PARTS, Meta(min_length=1, max_length=_MAX_INPUTS, extra_json_schema=_ONE_KIND)
        ]
    )
    model: str | None = None


_READ = names_of(ModerationsAsked)


class ModerationsRequest(msgspec.Struct, frozen=True):
    """A request for judgements, and the model that it names."""

    request: ModerationRequest
    model: str | None


def read_moderations(body: bytes) -> ModerationsRequest:
    """Read a request body; raises BadRequest naming the field."""
    raw = read_object(body)
    fields = view(raw, ModerationsAsked)
    parameters = {name: value for name, value in raw.items() if name not in _READ and value is not None}
    return ModerationsRequest(ModerationRequest(_read_inputs(fields.input), parameters=parameters), fields.model)


def _read_inputs(given: str | list[Any]) -> list[str] | list[Text | Image]:
    if isinstance(given, str):
        return [given]
    if isinstance(given[0], str):
        for place, each in enumerate(given):
            if not isinstance(each, str):
                raise wrong(f"input[{place}]", f"'input[{place}]' must be a text as the first, not {told(each)}.")
        return given
    return [_read_part(each, f"input[{place}]") for place, each in enumerate(given)]


def _read_part(raw: Any, where: str) -> Text | Image:
    part = MODERATION_PARTS.typed(raw, where)
    return Image(part.image_url.url) if isinstance(part, ModerationImage) else Text(part.text)  # type: ignore[union-attr]


class ModerationsBody:
    """Renders events as one list of judgements."""

    __slots__ = ("_facts", "_results")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._results: list[dict[str, Any]] = []

    def add(self, events: list[Event]) -> None:
        """Take more events."""
        check_whole(events)
        for event in events:
            if isinstance(event, ModerationsProduced):
                self._results += event.results

    def body(self) -> bytes:
        """Return the list as JSON."""
        return _encode({"id": self._facts.id, "model": self._facts.model, "results": self._results})
