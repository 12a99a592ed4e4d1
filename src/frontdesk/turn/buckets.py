"""What was used, sorted into the buckets that prices are of: no token is in two, and together they are all."""

from __future__ import annotations

from frontdesk.core.money import Buckets
from frontdesk.turn.events import Usage


def buckets_of(usage: Usage) -> Buckets:
    """Sort the tokens of an attempt into buckets.

    They add up to its input_tokens and output_tokens, whatever else it says. Providers' parts may overlap
    (sound that was read from a cache) or be more than the whole; each takes what those before it have left:

        read       audio, cache_write (of that first what stays for an hour), cached, image, tool; the rest plainly
        written    audio, image, reasoning; the rest plainly
    """
    left = max(usage.input_tokens, 0)
    left -= (audio_input := _taken(usage.audio_input_tokens, left))
    left -= (cache_write := _taken(usage.cache_write_tokens, left))
    hour = _taken(usage.cache_write_hour_tokens, cache_write)
    left -= (cached := _taken(usage.cached_tokens, left))
    left -= (image_input := _taken(usage.image_input_tokens, left))
    left -= (tool := _taken(usage.tool_tokens, left))
    unwritten = max(usage.output_tokens, 0)
    unwritten -= (audio_output := _taken(usage.audio_output_tokens, unwritten))
    unwritten -= (image_output := _taken(usage.image_output_tokens, unwritten))
    unwritten -= (reasoning := _taken(usage.reasoning_tokens, unwritten))
    return Buckets(
        input=left,
        cached=cached,
        cache_write=cache_write - hour,
        cache_write_hour=hour,
        audio_input=audio_input,
        image_input=image_input,
        tool=tool,
        output=unwritten,
        reasoning=reasoning,
        audio_output=audio_output,
        image_output=image_output,
        units=usage.units,
    )


def _taken(part: int | None, left: int) -> int:
    return 0 if not part or part < 0 else min(part, left)
