"""Usage as Gemini spells it, read into the one shape that events carry.

    promptTokenCount            with what came from a cache (cachedContentTokenCount)
    toolUsePromptTokenCount     beside it: read by hosted tools
    candidatesTokenCount        of all candidates
    thoughtsTokenCount          beside it
    totalTokenCount             the sum of the four; what is missing of it was thought

The parts add up to the total. Absent, null and nonsense are None, 0 is 0.
"""

from __future__ import annotations

from typing import Any, cast

from frontdesk.turn.events import Usage

_MOST_TOKENS = 2**25  # what no call reaches: a figure beyond is none


def read_gemini_usage(raw: dict[str, Any]) -> Usage | None:
    """Return usage of an answer or of embeddings; None where nothing is said of what was read."""
    prompt = _count(raw.get("promptTokenCount"))
    if prompt is None:
        return None
    tools, thoughts = _count(raw.get("toolUsePromptTokenCount")), _count(raw.get("thoughtsTokenCount"))
    input_tokens = prompt + (tools or 0)
    output_tokens = (_count(raw.get("candidatesTokenCount")) or 0) + (thoughts or 0)
    total = _count(raw.get("totalTokenCount"))
    unsaid = 0 if total is None else total - input_tokens - output_tokens
    if unsaid > 0 and thoughts is None:
        output_tokens += unsaid
        thoughts = unsaid
    read, written = _modalities(raw.get("promptTokensDetails")), _modalities(raw.get("candidatesTokensDetails"))
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=_count(raw.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        audio_input_tokens=read.get("AUDIO"),
        image_input_tokens=read.get("IMAGE"),
        tool_tokens=tools,
        audio_output_tokens=written.get("AUDIO"),
        image_output_tokens=written.get("IMAGE"),
        raw=raw,
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST_TOKENS else None


def _modalities(details: Any) -> dict[str, int]:
    """Tokens by what they are of."""
    counts: dict[str, int] = {}
    for each in cast("list[Any]", details) if isinstance(details, list) else ():
        if isinstance(each, dict):
            fields = cast("dict[str, Any]", each)
            count = _count(fields.get("tokenCount"))
            if count is not None:
                modality = str(fields.get("modality"))
                counts[modality] = counts.get(modality, 0) + count
    return counts
