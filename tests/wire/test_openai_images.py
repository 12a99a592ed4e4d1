"""Pictures: what is read of JSON and of forms, and what is answered."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from frontdesk.core.errors import BadRequest, ProviderError, Unprocessable
from frontdesk.core.money import Units
from frontdesk.turn.events import (
    Event,
    ImagesProduced,
    PartialImageProduced,
    TurnCompleted,
    TurnIncomplete,
    Usage,
    UsageReported,
)
from frontdesk.turn.items import ImageRequest
from frontdesk.turn.turn import Caller, Turn
from frontdesk.wire.openai_images import (
    ImagesBody,
    ImagesStream,
    read_image_edit,
    read_image_generation,
    read_image_variation,
)
from tests.fakes import HandClock
from tests.wire.forms import PNG, a_form

USAGE = UsageReported(Usage(50, 272, image_input_tokens=40, units=Units(images=1)))


def a_turn(**fields: Any) -> Turn:
    request = ImageRequest(**{"operation": "generate", "prompt": "a cat", **fields})
    return Turn("images", Caller("server", "k"), "brush", request, HandClock())


# --- requests ---------------------------------------------------------------------------------------


def generated(**fields: Any) -> ImageRequest:
    return read_image_generation(json.dumps(fields).encode()).request


def test_a_description_alone() -> None:
    assert generated(prompt="a cat") == ImageRequest("generate", "a cat")


def test_everything_that_openai_knows_of_new_pictures() -> None:
    asked = generated(
        prompt="a cat",
        model="m",
        n=3,
        size="1024x1536",
        quality="high",
        background="transparent",
        moderation="low",
        output_compression=50,
        output_format="webp",
        partial_images=2,
        response_format="b64_json",
        stream=True,
        style="vivid",
        user="u",
        vendor=[1],
    )

    assert asked == ImageRequest(
        "generate",
        "a cat",
        n=3,
        size="1024x1536",
        quality="high",
        partial_images=2,
        stream=True,
        parameters={
            "background": "transparent",
            "moderation": "low",
            "output_compression": 50,
            "output_format": "webp",
            "response_format": "b64_json",
            "style": "vivid",
            "user": "u",
            "vendor": [1],
        },
    )


def test_a_change_of_several_pictures() -> None:
    asked = read_image_edit(
        *a_form(
            image=[PNG, PNG],
            mask=PNG,
            prompt="a hat",
            model="m",
            n="2",
            size="auto",
            quality="low",
            stream="true",
            partial_images="1",
            input_fidelity="high",
            output_compression="9",
            vendor="x",
        )
    )

    assert asked.model == "m"
    assert asked.request == ImageRequest(
        "edit",
        "a hat",
        (PNG, PNG),
        PNG,
        n=2,
        size="auto",
        quality="low",
        partial_images=1,
        stream=True,
        parameters={"input_fidelity": "high", "output_compression": 9, "vendor": "x"},
    )


def test_pictures_like_one() -> None:
    asked = read_image_variation(*a_form(image=PNG, n="2", size="256x256", response_format="url", user="u"))

    assert asked.request == ImageRequest(
        "vary", images=(PNG,), n=2, size="256x256", parameters={"response_format": "url", "user": "u"}
    )


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "prompt", "missing_required_parameter"),
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"prompt": "x", "n": 11}, "n", "invalid_value"),
        ({"prompt": "x", "n": "2"}, "n", "invalid_type"),
        ({"prompt": "x", "partial_images": 4}, "partial_images", "invalid_value"),
        ({"prompt": "x", "background": "red"}, "background", "invalid_value"),
        ({"prompt": "x", "output_compression": 101}, "output_compression", "invalid_value"),
        ({"prompt": "x", "stream": "true"}, "stream", "invalid_type"),
    ],
)
def test_what_is_wrong_of_a_description_is_told_by_its_field(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        generated(**fields)

    assert (refused.value.param, refused.value.code) == (param, code)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": "x"}, "image", "missing_required_parameter"),
        ({"prompt": "x", "image": "not a file"}, "image", "invalid_type"),
        ({"image": PNG}, "prompt", "missing_required_parameter"),
        ({"prompt": "x", "image": [PNG] * 17}, "image", "invalid_value"),
        ({"prompt": "x", "image": [PNG, msgspec.structs.replace(PNG, content=b"")]}, "image", "invalid_value"),
        ({"prompt": "x", "image": PNG, "mask": [PNG, PNG]}, "mask", "invalid_value"),
        ({"prompt": "x", "image": PNG, "n": "0"}, "n", "invalid_value"),
        ({"prompt": "x", "image": PNG, "input_fidelity": "some"}, "input_fidelity", "invalid_value"),
    ],
)
def test_what_is_wrong_of_a_change_is_told_by_its_field(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_image_edit(*a_form(**fields))

    assert (refused.value.param, refused.value.code) == (param, code)


@pytest.mark.parametrize(
    ("fields", "param"), [({"svg": {"model": "m"}}, "svg"), ({"output_format": "svg"}, "output_format")]
)
def test_what_another_model_draws_is_refused(fields: dict[str, Any], param: str) -> None:
    for read in (
        lambda: generated(prompt="x", **fields),
        lambda: read_image_edit(*a_form(prompt="x", image=PNG, **fields)),
    ):
        with pytest.raises(BadRequest) as refused:
            read()
        assert (refused.value.param, refused.value.code) == (param, "unsupported_parameter")


def test_files_that_nobody_reads_are_refused() -> None:
    with pytest.raises(BadRequest) as refused:
        read_image_variation(*a_form(image=PNG, mask=PNG))

    assert refused.value.param == "mask"


def test_a_hint_drawn_over_a_picture() -> None:
    assert read_image_edit(*a_form(prompt="x", image=PNG, markup=PNG)).request.markup == PNG


def test_pictures_by_their_address_are_refused_with_what_to_do_instead() -> None:
    with pytest.raises(BadRequest) as refused:
        read_image_edit(b'{"images": [{"image_url": "https://x.example/a.png"}], "prompt": "x"}', b"application/json")

    assert (refused.value.code, refused.value.param) == ("invalid_content_type", "images")
    assert "Send them as files" in refused.value.message


# --- answers --------------------------------------------------------------------------------------------


def test_pictures_in_one_body() -> None:
    turn = a_turn()
    body = ImagesBody(turn)
    body.add([ImagesProduced([{"b64_json": "AA=="}], {"size": "1024x1024"}), USAGE, TurnCompleted()])

    assert msgspec.json.decode(body.body()) == {
        "created": int(turn.started_at),
        "data": [{"b64_json": "AA=="}],
        "size": "1024x1024",
        "usage": {
            "input_tokens": 50,
            "output_tokens": 272,
            "total_tokens": 322,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        },
    }


def test_tokens_that_nobody_told_are_not_made_up() -> None:
    body = ImagesBody(a_turn())
    body.add([ImagesProduced([{"url": "https://x.example/a.png"}]), UsageReported(Usage(0, 0, units=Units(images=1)))])

    assert "usage" not in msgspec.json.decode(body.body())


def events(turn: Turn, *batches: list[Event]) -> list[dict[str, Any]]:
    stream = ImagesStream(turn)
    frames = b"".join(stream.render(batch) for batch in batches).decode().removesuffix("\n\n").split("\n\n")
    found = []
    for frame in frames:
        name, said = frame.split("\ndata: ")
        found.append(json.loads(said))
        assert name == f"event: {found[-1]['type']}"
    return found


def test_steps_on_the_way_then_the_picture() -> None:
    turn = a_turn(size="1024x1536", parameters={"output_format": "webp"}, stream=True, partial_images=1)
    step = {"b64_json": "AA==", "partial_image_index": 0, "quality": "low"}

    seen = events(
        turn,
        [PartialImageProduced(step)],
        [ImagesProduced([{"b64_json": "AQ=="}], {"background": "opaque"}), USAGE, TurnCompleted()],
    )

    usual = {"created_at": int(turn.started_at), "size": "1024x1536", "output_format": "webp"}
    assert seen[0] == {"type": "image_generation.partial_image", **usual, "background": "auto", **step}
    assert seen[1]["usage"]["total_tokens"] == 322
    assert {**seen[1], "usage": None} == {
        "type": "image_generation.completed",
        **usual,
        "quality": "auto",
        "background": "opaque",
        "b64_json": "AQ==",
        "usage": None,
    }


def test_changes_have_events_of_their_own_name() -> None:
    turn = a_turn(operation="edit", images=(PNG,), stream=True)

    (seen,) = events(turn, [ImagesProduced([{"b64_json": "AA=="}]), TurnCompleted()])

    assert seen["type"] == "image_edit.completed"
    assert seen["usage"]["total_tokens"] == 0


def test_what_a_rule_withholds_is_an_error() -> None:
    last: list[Event] = [TurnIncomplete("content_filter")]

    with pytest.raises(Unprocessable):
        ImagesBody(a_turn()).add(last)
    with pytest.raises(Unprocessable):
        ImagesStream(a_turn()).render(last)


def test_an_error_inside_of_a_stream_is_one_that_clients_raise() -> None:
    said = json.loads(ImagesStream(a_turn()).render_error(ProviderError("x")).split(b"data: ")[1])

    assert said["error"]["code"] == "provider_error"
