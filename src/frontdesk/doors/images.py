"""POST /v1/images/generations, /v1/images/edits and /v1/images/variations."""

from __future__ import annotations

from typing import Annotated

from frontdesk.doors.desk import ASKING, Desk, Visit
from frontdesk.wire.openai_images import (
    ImagesBody,
    ImagesRequest,
    ImagesStream,
    read_image_edit,
    read_image_generation,
    read_image_variation,
)


class ImageGenerationsDoor:
    """Answers descriptions with pictures."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        await _serve(self._desk, visit, read_image_generation(visit.take_body()))


class ImageEditsDoor:
    """Answers pictures with others, made of them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        await _serve(self._desk, visit, read_image_edit(visit.take_body(), visit.content_type))


class ImageVariationsDoor:
    """Answers a picture with others like it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, visit: Annotated[Visit, ASKING]) -> None:
        """Serve one request."""
        await _serve(self._desk, visit, read_image_variation(visit.take_body(), visit.content_type))


async def _serve(desk: Desk, visit: Visit, asked: ImagesRequest) -> None:
    turn = desk.begin("images", visit, asked.model, asked.request, {})
    if asked.request.stream:
        await desk.stream(turn, visit, lambda _: ImagesStream(turn))
    else:
        await desk.collect(turn, visit, lambda _: ImagesBody(turn))
