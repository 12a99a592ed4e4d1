"""A value for every type that a request's shapes have, to try each field of each shape."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from frontdesk.wire.parameters import LeftOut
from frontdesk.wire.reading import Kinds


def sample(kind: Any) -> Any:
    """A value that this type takes, and that says something."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return sample(next(option for option in inside if option is not type(None)))
    if origin is typing.Annotated:
        kinds = next((note for note in kind.__metadata__ if isinstance(note, Kinds)), None)
        if kinds is None:
            return sample(inside[0])
        shape = next(iter(kinds.shapes.values()))
        return [sample(shape)] if typing.get_origin(inside[0]) is list else sample(shape)
    if origin is typing.Literal:
        return inside[0]
    if origin is list:
        return [sample(inside[0])]
    if origin is dict:
        return {"feature": sample(inside[1])}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.encode_name: sample(field.type) for field in msgspec.structs.fields(kind)} | tag_of(kind)
    return {str: "x", int: 1, float: 0.5, bool: True}.get(kind, "x")


def tag_of(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """The field that tells a tagged shape from others."""
    config = shape.__struct_config__
    return {} if config.tag_field is None else {config.tag_field: config.tag}


def smallest(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """An object of this shape with the fields that it must have."""
    return {
        field.encode_name: sample(field.type)
        for field in msgspec.structs.fields(shape)
        if field.required or field.name in ("type", "role")
    } | tag_of(shape)


def optional_fields(shape: type[msgspec.Struct]) -> Iterator[tuple[str, Any]]:
    """Yield (name, type) of the fields that may be missing, without those that are left out on purpose."""
    for field in msgspec.structs.fields(shape):
        if not field.required and field.name not in ("type", "role") and LeftOut not in notes_of(field.type):
            yield field.encode_name, field.type


def notes_of(kind: Any) -> list[Any]:
    """All annotations of a type, those of its options included."""
    own = list(getattr(kind, "__metadata__", ()))
    return own + [note for inner in typing.get_args(kind) for note in notes_of(inner)]
