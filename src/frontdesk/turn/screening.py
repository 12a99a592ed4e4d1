"""Which texts of a request the guards see: all that reach a provider.

Instructions, messages, tool calls and outputs, tool definitions, formats, what is to be judged, spoken or drawn and
how, names and types of files, and every string inside what we carry without reading it. Data URLs and files are
screened where they are texts, and pass where they are pictures or sound; of an answer only its pictures and their
addresses pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.turn.events import (
    ImagesProduced,
    ModerationsProduced,
    PartialImageProduced,
    SegmentProduced,
    Telling,
    TranscriptProduced,
)
from frontdesk.turn.file_texts import screened_file
from frontdesk.turn.items import (
    Compaction,
    EmbeddingRequest,
    Image,
    ImageRequest,
    Item,
    MediaRequest,
    Message,
    ModerationRequest,
    Part,
    Prompt,
    Reference,
    Request,
    SpeechRequest,
    Text,
    ToolCall,
    ToolOutput,
    TranscriptionRequest,
    Unknown,
    Upload,
)

Screen = Callable[[str], str]
_FILE_IN_A_TEXT = re.compile(r"data:[a-z0-9.+-]+/[a-z0-9.+-]+(?:;[^;,]{1,64})*;base64,", re.IGNORECASE)


def screened_request(request: Request, screen: Screen) -> Request:
    """Return the request with every text replaced by what `screen` makes of it."""
    if isinstance(request, EmbeddingRequest):
        request = _screened_inputs(request, screen)
        return msgspec.structs.replace(request, parameters=_screened_carried(request.parameters, screen))
    if not isinstance(request, Prompt):
        request = _screened_media(request, screen)
        return msgspec.structs.replace(request, parameters=_screened_carried(request.parameters, screen))
    return msgspec.structs.replace(
        request,
        items=[_screened_item(item, screen) for item in request.items],
        instructions=None if request.instructions is None else screen(request.instructions),
        tools=[
            msgspec.structs.replace(tool, definition=_screened_carried(tool.definition, screen))
            for tool in request.tools
        ],
        format=None
        if request.format is None
        else msgspec.structs.replace(request.format, definition=_screened_carried(request.format.definition, screen)),
        parameters=_screened_carried(request.parameters, screen),
    )


def screened_value(value: dict[str, Any], screen: Screen) -> dict[str, Any]:
    """Return an object of JSON with every text in it replaced by what `screen` makes of it; names stay."""
    return cast("dict[str, Any]", _screened_json(value, screen))


def screened_telling(event: Telling, screen: Screen) -> Telling:
    """Return what an answer tells at once with every text in it replaced; pictures and their addresses stay."""
    match event:
        case ModerationsProduced():
            return ModerationsProduced([screened_value(each, screen) for each in event.results])
        case TranscriptProduced():
            return TranscriptProduced(_screened_transcript(event.transcript, screen))
        case SegmentProduced():
            return SegmentProduced(screened_value(event.segment, screen))
        case ImagesProduced():
            return ImagesProduced(
                [_screened_picture(each, screen) for each in event.data], screened_value(event.about, screen)
            )
        case PartialImageProduced():
            return PartialImageProduced(_screened_picture(event.image, screen))


def _screened_picture(picture: dict[str, Any], screen: Screen) -> dict[str, Any]:
    return {**screened_value(_without(picture, _SHOWN), screen), **_only(picture, _SHOWN)}


def _screened_transcript(transcript: dict[str, Any], screen: Screen) -> dict[str, Any]:
    """Where a guard changes the text, what tells it again in pieces is left out: a piece alone may look harmless."""
    screened = screened_value(transcript, screen)
    if screened.get("text") == transcript.get("text"):
        return screened
    return _without(screened, _IN_PIECES)


_IN_PIECES = frozenset({"logprobs", "segments", "words"})
_SHOWN = frozenset({"b64_json", "url"})


def _without(fields: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _only(fields: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in names}


def _screened_inputs(request: EmbeddingRequest, screen: Screen) -> EmbeddingRequest:
    texts: list[str] = []
    for text in request.inputs:
        if not isinstance(text, str):
            raise BadRequest(
                "Token ids cannot be screened, and this server screens what it sends. Send the texts as strings.",
                code="tokens_not_screenable",
                param="input",
            )
        texts.append(screen(text))
    return msgspec.structs.replace(request, inputs=texts)


def _screened_media(request: MediaRequest, screen: Screen) -> MediaRequest:
    """Sound and pictures pass; the names of their files are words."""
    match request:
        case ModerationRequest():
            inputs: Any = [
                screen(each) if isinstance(each, str) else _screened_part(each, screen) for each in request.inputs
            ]
            return msgspec.structs.replace(request, inputs=inputs)
        case TranscriptionRequest():
            return msgspec.structs.replace(
                request,
                audio=_screened_upload(request.audio, screen),
                language=_screened_text(request.language, screen),
                prompt=_screened_text(request.prompt, screen),
            )
        case SpeechRequest():
            voice = request.voice
            return msgspec.structs.replace(
                request,
                text=screen(request.text),
                voice=screen(voice) if isinstance(voice, str) else _screened_carried(voice, screen),
                instructions=_screened_text(request.instructions, screen),
            )
        case ImageRequest():
            return msgspec.structs.replace(
                request,
                prompt=_screened_text(request.prompt, screen),
                size=_screened_text(request.size, screen),
                quality=_screened_text(request.quality, screen),
                images=tuple(_screened_upload(each, screen) for each in request.images),
                mask=None if request.mask is None else _screened_upload(request.mask, screen),
                markup=None if request.markup is None else _screened_upload(request.markup, screen),
            )


def _screened_text(text: str | None, screen: Screen) -> str | None:
    return None if text is None else screen(text)


def _screened_upload(upload: Upload, screen: Screen) -> Upload:
    return msgspec.structs.replace(upload, filename=screen(upload.filename), media_type=screen(upload.media_type))


def _screened_item(item: Item, screen: Screen) -> Item:
    match item:
        case Message():
            return msgspec.structs.replace(
                item,
                content=_screened_content(item.content, screen),
                extra=None if item.extra is None else _screened_carried(item.extra, screen),
            )
        case ToolCall():
            return msgspec.structs.replace(item, arguments=screen(item.arguments))
        case ToolOutput():
            return msgspec.structs.replace(item, output=_screened_content(item.output, screen))
        case Reference() | Compaction():
            return item  # no words: they come in its place
        case Unknown():
            return msgspec.structs.replace(item, raw=_screened_carried(item.raw, screen))


def _screened_content(content: str | list[Part], screen: Screen) -> str | list[Part]:
    if isinstance(content, str):
        return screen(content)
    return [_screened_part(part, screen) for part in content]


def _screened_part(part: Part, screen: Screen) -> Part:
    match part:
        case Text():
            return msgspec.structs.replace(
                part,
                text=screen(part.text),
                extra=None if part.extra is None else _screened_carried(part.extra, screen),
            )
        case Image():
            return part
        case Unknown():
            return msgspec.structs.replace(part, raw=_screened_carried(part.raw, screen))


def _screened_carried(value: dict[str, Any], screen: Screen) -> dict[str, Any]:
    return screened_value(
        value, lambda text: screened_file(text, screen) if _FILE_IN_A_TEXT.match(text) else screen(text)
    )


def _screened_json(value: Any, screen: Screen) -> Any:
    if isinstance(value, str):
        return screen(value)
    if isinstance(value, list):
        return [_screened_json(each, screen) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {
            key: screened_file(each, screen)
            if key == "file_data" and isinstance(each, str)
            else _screened_json(each, screen)
            for key, each in cast("dict[str, Any]", value).items()
        }
    return value
