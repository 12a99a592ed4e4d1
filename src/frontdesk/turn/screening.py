"""Which texts of a request the guards see: all that reach a provider.

Instructions, messages, tool calls and outputs, tool definitions, formats, and every string inside
what we carry without reading it. Data URLs (pictures, sound) are no text and pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.turn.items import (
    EmbeddingRequest,
    Image,
    Item,
    Message,
    Part,
    Request,
    Text,
    ToolCall,
    ToolOutput,
    Unknown,
)

Screen = Callable[[str], str]


def screened_request(request: Request, screen: Screen) -> Request:
    """Return the request with every text replaced by what `screen` makes of it."""
    if isinstance(request, EmbeddingRequest):
        request = _screened_inputs(request, screen)
        return msgspec.structs.replace(request, parameters=screened_value(request.parameters, screen))
    return msgspec.structs.replace(
        request,
        items=[_screened_item(item, screen) for item in request.items],
        instructions=None if request.instructions is None else screen(request.instructions),
        tools=[
            msgspec.structs.replace(tool, definition=screened_value(tool.definition, screen)) for tool in request.tools
        ],
        format=None
        if request.format is None
        else msgspec.structs.replace(request.format, definition=screened_value(request.format.definition, screen)),
        parameters=screened_value(request.parameters, screen),
    )


def screened_value(value: dict[str, Any], screen: Screen) -> dict[str, Any]:
    """Return an object of JSON with every text in it replaced by what `screen` makes of it; names stay."""
    return cast("dict[str, Any]", _screened_json(value, screen))


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


def _screened_item(item: Item, screen: Screen) -> Item:
    match item:
        case Message():
            return msgspec.structs.replace(
                item,
                content=_screened_content(item.content, screen),
                extra=None if item.extra is None else screened_value(item.extra, screen),
            )
        case ToolCall():
            return msgspec.structs.replace(item, arguments=screen(item.arguments))
        case ToolOutput():
            return msgspec.structs.replace(item, output=_screened_content(item.output, screen))
        case Unknown():
            return msgspec.structs.replace(item, raw=screened_value(item.raw, screen))


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
                extra=None if part.extra is None else screened_value(part.extra, screen),
            )
        case Image():
            return part
        case Unknown():
            return msgspec.structs.replace(part, raw=screened_value(part.raw, screen))


def _screened_json(value: Any, screen: Screen) -> Any:
    if isinstance(value, str):
        return value if value.startswith("data:") else screen(value)
    if isinstance(value, list):
        return [_screened_json(each, screen) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _screened_json(each, screen) for key, each in cast("dict[str, Any]", value).items()}
    return value
