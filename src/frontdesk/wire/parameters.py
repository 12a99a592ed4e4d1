"""The parameters that both doors know and that we decide nothing about: checked, then passed on.

Types and limits are those that OpenAI documents. `user` and `prompt_cache_key` have none there; ours
only keep a row or a header of a provider from growing without bounds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Verbosity = Literal["low", "medium", "high"]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]
OutputLimit = Annotated[int, Meta(ge=1, le=2**31 - 1)]
FormatName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$(?!\\n)")]
JsonSchema = dict[str, Any]
StoredId = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,128}$(?!\\n)")]  # of what is stored here, or might be
LeftOut = Meta(extra={"fate": "left out"})  # a field of what an answer said, that no model reads


class CacheBreakpoint(msgspec.Struct):
    """Where a provider may end what it caches of a prompt."""

    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class TextFormat(msgspec.Struct, tag_field="type", tag="text", forbid_unknown_fields=True):
    """Any text: the default."""


class JsonObjectFormat(msgspec.Struct, tag_field="type", tag="json_object", forbid_unknown_fields=True):
    """Some JSON object."""


class Passed(msgspec.Struct):
    """What both doors pass on."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    parallel_tool_calls: bool | None = None
    user: Annotated[str, Meta(max_length=512)] | None = None
    safety_identifier: Annotated[str, Meta(max_length=64)] | None = None
    prompt_cache_key: Annotated[str, Meta(max_length=512)] | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None


_VARIABLE = "variables."


def variables_in(metadata: dict[str, str] | None) -> dict[str, str]:
    """Values for a feature's instructions: what metadata says as `variables.NAME`."""
    return {key.removeprefix(_VARIABLE): value for key, value in (metadata or {}).items() if key.startswith(_VARIABLE)}
