"""Pictures: the caller's JSON or form, and the pictures in one body or, with those on the way, in events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from frontdesk.core.errors import BadRequest, FrontdeskError
from frontdesk.turn.events import TERMINAL_TYPES, Event, ImagesProduced, PartialImageProduced, Usage, UsageReported
from frontdesk.turn.facts import Facts
from frontdesk.turn.items import ImageRequest, Upload
from frontdesk.turn.turn import Turn
from frontdesk.wire.forms import Form, check_files, one_file, read_form, view_form
from frontdesk.wire.media import FILE, check_whole, named_frame
from frontdesk.wire.media_stream import MediaStream
from frontdesk.wire.reading import Refused, names_of, read_object, refuse, view
from frontdesk.wire.refusing import unsupported, wrong

_encode = msgspec.json.Encoder().encode
_MAX_IMAGES = 16
_Count = Annotated[int, Meta(ge=1, le=10)]
_Words = Annotated[str, Meta(min_length=1, max_length=32_000)]
_Short = Annotated[str, Meta(max_length=64)]
_Steps = Annotated[int, Meta(ge=0, le=3)]


class ImagesPassed(msgspec.Struct):
    """What all requests for pictures pass on."""

    response_format: Literal["url", "b64_json"] | None = None
    safety_identifier: Annotated[str, Meta(max_length=512)] | None = None
    user: Annotated[str, Meta(max_length=512)] | None = None


class ImageVariationAsked(ImagesPassed, kw_only=True):
    """A request for pictures like one."""

    image: FILE
    model: str | None = None
    n: _Count | None = None
    size: _Short | None = None


class PaintingPassed(ImagesPassed):
    """What requests for pictures of a description pass on."""

    background: Literal["transparent", "opaque", "auto"] | None = None
    complexity: Literal["low", "medium", "high"] | None = None
    frame_count: Annotated[int, Meta(ge=1, le=16)] | None = None
    frame_duration_ms: Annotated[int, Meta(ge=0)] | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    output_format: Literal["png", "jpeg", "webp", "gif", "svg"] | None = None
    moderation: Literal["low", "auto"] | None = None


class GenerationPassed(PaintingPassed):
    """What requests for new pictures pass on."""

    style: Literal["vivid", "natural"] | None = None


class EditPassed(PaintingPassed):
    """What requests for changed pictures pass on."""

    input_fidelity: Literal["high", "low"] | None = None


class ImageGenerationAsked(GenerationPassed, kw_only=True):
    """A request for pictures of a description."""

    prompt: _Words
    model: str | None = None
    n: _Count | None = None
    size: _Short | None = None
    quality: _Short | None = None
    partial_images: _Steps | None = None
    stream: bool | None = None


class ImageEditAsked(EditPassed, kw_only=True):
    """A request for pictures made of others; `image` may be sent up to 16 times."""

    image: FILE
    prompt: _Words
    mask: FILE | None = None
    markup: FILE | None = None
    model: str | None = None
    n: _Count | None = None
    size: _Short | None = None
    quality: _Short | None = None
    partial_images: _Steps | None = None
    stream: bool | None = None


IMAGES_REFUSED = {
    "svg": Refused("Another model draws these, and what it costs would not be known. Ask for png, jpeg, webp or gif.")
}


class ImagesRequest(msgspec.Struct, frozen=True):
    """A request for pictures, and the model that it names."""

    request: ImageRequest
    model: str | None


def read_image_generation(body: bytes) -> ImagesRequest:
    """Read a request body; raises BadRequest naming the field."""
    raw = read_object(body)
    refuse(raw, IMAGES_REFUSED)
    fields = view(raw, ImageGenerationAsked)
    _check_format(fields.output_format)
    read = names_of(ImageGenerationAsked) - names_of(GenerationPassed)
    parameters = {name: value for name, value in raw.items() if name not in read and value is not None}
    request = ImageRequest(
        "generate",
        fields.prompt,
        n=fields.n or 1,
        size=fields.size,
        quality=fields.quality,
        partial_images=fields.partial_images or 0,
        stream=fields.stream or False,
        parameters=parameters,
    )
    return ImagesRequest(request, fields.model)


def read_image_edit(body: bytes, content_type: bytes | None) -> ImagesRequest:
    """Read a form; raises BadRequest naming the field."""
    form = _read_form(body, content_type)
    check_files(form, frozenset({"image", "mask", "markup"}))
    images = form.files.get("image", [])
    if not images:
        raise wrong("image", "Missing required parameter: 'image'. Send it as a file.", "missing_required_parameter")
    if len(images) > _MAX_IMAGES:
        raise wrong("image", f"'image' came {len(images)} times. At most {_MAX_IMAGES} pictures can be sent.")
    for each in images:
        _check_filled("image", each)
    mask = one_file(form, "mask") if "mask" in form.files else None
    markup = one_file(form, "markup") if "markup" in form.files else None
    refuse(form.fields, IMAGES_REFUSED)
    fields = view_form({**form.fields, "image": images}, ImageEditAsked)
    _check_format(fields.output_format)
    request = ImageRequest(
        "edit",
        fields.prompt,
        tuple(images),
        mask,
        markup,
        n=fields.n or 1,
        size=fields.size,
        quality=fields.quality,
        partial_images=fields.partial_images or 0,
        stream=fields.stream or False,
        parameters=_parameters(form, fields, EditPassed),
    )
    return ImagesRequest(request, fields.model)


def read_image_variation(body: bytes, content_type: bytes | None) -> ImagesRequest:
    """Read a form; raises BadRequest naming the field."""
    form = _read_form(body, content_type)
    check_files(form, frozenset({"image"}))
    image = one_file(form, "image")
    fields = view_form({**form.fields, "image": image}, ImageVariationAsked)
    request = ImageRequest(
        "vary",
        images=(image,),
        n=fields.n or 1,
        size=fields.size,
        parameters=_parameters(form, fields, ImagesPassed),
    )
    return ImagesRequest(request, fields.model)


def _read_form(body: bytes, content_type: bytes | None) -> Form:
    if (content_type or b"").lower().startswith(b"application/json"):
        raise BadRequest(
            "Pictures by their address or id are not supported here. Send them as files, as multipart/form-data.",
            code="invalid_content_type",
            param="images",
        )
    return read_form(body, content_type, frozenset())


def _check_format(form: str | None) -> None:
    if form == "svg":
        raise unsupported("output_format", IMAGES_REFUSED["svg"].remedy)


def _check_filled(field: str, upload: Upload) -> None:
    if not upload.content:
        raise wrong(field, f"The file '{field}' is empty.")


def _parameters(form: Form, fields: msgspec.Struct, passed: type[msgspec.Struct]) -> dict[str, Any]:
    """What is passed on, typed; and what is not OpenAI's, as it came."""
    return {
        **{name: value for name, value in form.fields.items() if name not in names_of(type(fields)) and value != ""},
        **{name: value for name in names_of(passed) if (value := getattr(fields, name)) is not None},
    }


# --- answers ------------------------------------------------------------------------------------


class ImagesBody:
    """Renders events as one list of pictures."""

    __slots__ = ("_facts", "_images", "_usage")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._images = ImagesProduced([])
        self._usage: Usage | None = None

    def add(self, events: list[Event]) -> None:
        """Take more events."""
        check_whole(events)
        for event in events:
            if isinstance(event, ImagesProduced):
                self._images = event
            elif isinstance(event, UsageReported):
                self._usage = event.usage

    def body(self) -> bytes:
        """Return the list as JSON, with what was used where the provider said it."""
        told: dict[str, Any] = {"created": int(self._facts.started_at), "data": self._images.data, **self._images.about}
        usage = _usage_body(self._usage)
        return _encode(told if usage is None else {**told, "usage": usage})


class ImagesStream(MediaStream):
    """Renders events as server-sent events: pictures on the way, then each that is done."""

    __slots__ = ("_images", "_prefix", "_turn", "_usage")

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        request = _asked(turn)
        self._prefix = "image_generation" if request.operation == "generate" else "image_edit"
        self._images = ImagesProduced([])
        self._usage: Usage | None = None

    def render_error(self, error: FrontdeskError) -> bytes:
        """Return the event that ends a stream which broke off."""
        return named_frame({"type": "error", **error.body()})

    def _frames(self, event: Event) -> Iterator[bytes]:
        match event:
            case PartialImageProduced():
                yield self._frame("partial_image", {"partial_image_index": 0, **event.image})
            case ImagesProduced():
                self._images = event
            case UsageReported():
                self._usage = event.usage
            case _ if type(event) in TERMINAL_TYPES:
                usage = _usage_body(self._usage) or _NO_USAGE
                for each in self._images.data:
                    yield self._frame("completed", {**self._images.about, **each, "usage": usage})
            case _:
                pass

    def _frame(self, what: str, said: dict[str, Any]) -> bytes:
        """An event with all that OpenAI's has; what the provider left out is as it was asked for."""
        request = _asked(self._turn)
        usual = {
            "created_at": int(self._turn.started_at),
            "size": request.size or "auto",
            "quality": request.quality or "auto",
            "background": request.parameters.get("background") or "auto",
            "output_format": request.parameters.get("output_format") or "png",
        }
        return named_frame({"type": f"{self._prefix}.{what}", **usual, **said})


def _asked(turn: Turn) -> ImageRequest:
    request = turn.request
    assert isinstance(request, ImageRequest)
    return request


_NO_USAGE = {
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
}


def _usage_body(usage: Usage | None) -> dict[str, Any] | None:
    """What pictures took in tokens; None where nobody said."""
    if usage is None or not (usage.input_tokens or usage.output_tokens):
        return None
    seen = usage.image_input_tokens or 0
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "input_tokens_details": {"text_tokens": max(0, usage.input_tokens - seen), "image_tokens": seen},
    }
