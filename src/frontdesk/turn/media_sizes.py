"""How much requests for judgements, transcripts, speech and pictures can come to, besides the tokens of their texts.

    recordings     32 tokens a second heard (OpenAI: 10; others up to 25), 16 a second written and 256 (nobody speaks
                   5 words a second for long); the seconds themselves
    speech         8 tokens a character and 1,024, about 1.5 (OpenAI: 21 a second, in which 15 characters are spoken);
                   the characters themselves
    pictures       16,384 tokens each, or twice what OpenAI's figures are for a larger one (272, 1,056 or 4,160 a
                   megapixel by quality, twice as much for each beyond `high`), for each frame of one that moves; and
                   1,024 a step on the way. About once these figures, and 100 a step; the pictures themselves

What is counted is never more than what was bounded.
"""

from __future__ import annotations

import math
import re

from frontdesk.core.money import Units
from frontdesk.turn.items import ImageRequest, MediaRequest, ModerationRequest, SpeechRequest, TranscriptionRequest
from frontdesk.turn.recordings import duration_of

HEARD_PER_S = 32
HEARD_PER_S_ESTIMATE = 10
_WRITTEN_PER_S = 16
_WRITTEN_AT_LEAST = 256
_SPOKEN_PER_CHARACTER = 8
_SPOKEN_AT_LEAST = 1_024
_PICTURE = 16_384
_STEP = 1_024
_MOST_FRAMES = 16
_A_MEGAPIXEL = {"low": 272, "medium": 1_056, "high": 4_160, "hd": 4_160, "xhigh": 8_320, "max": 16_640}
_MOST_PIXELS = 2**26  # of no picture that anybody draws yet
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_FRAMES = 9  # what OpenAI draws where nobody says
_STEP_ESTIMATE = 100


def written_at_most(request: MediaRequest) -> int:
    """The most tokens that an answer has."""
    match request:
        case ModerationRequest():
            return 0
        case TranscriptionRequest():
            return _WRITTEN_AT_LEAST + _WRITTEN_PER_S * duration_of(request.audio.content).most
        case SpeechRequest():
            return _SPOKEN_AT_LEAST + _SPOKEN_PER_CHARACTER * len(request.text)
        case ImageRequest():
            dearest = _A_MEGAPIXEL.get(request.quality or "", _A_MEGAPIXEL["high"])
            picture = max(_PICTURE, math.ceil(2 * dearest * _megapixels(request)))
            return request.n * (_frames(request) * picture + _STEP * request.partial_images)


def written_about(request: MediaRequest, answered_chars: int) -> int:
    """The tokens of an answer of which so many characters were read, where nobody tells them."""
    match request:
        case ModerationRequest():
            return 0
        case TranscriptionRequest():
            return min(-(-answered_chars // 4), written_at_most(request))
        case SpeechRequest():
            return -(-3 * len(request.text) // 2)
        case ImageRequest():
            usual = _A_MEGAPIXEL.get(request.quality or "", _A_MEGAPIXEL["medium"])
            picture = math.ceil(usual * _megapixels(request))
            return request.n * (_frames(request) * picture + _STEP_ESTIMATE * request.partial_images)


def _megapixels(request: ImageRequest) -> float:
    """How large a picture is to be; one where nobody says it in numbers."""
    said = _SIZE.fullmatch(request.size or "")
    return 1.0 if said is None else min(int(said[1]) * int(said[2]), _MOST_PIXELS) / 2**20


def _frames(request: ImageRequest) -> int:
    said = request.parameters.get("frame_count")
    if isinstance(said, int):
        return max(1, min(said, _MOST_FRAMES))
    return _FRAMES if request.parameters.get("output_format") == "gif" else 1


def units_at_most(request: MediaRequest) -> Units:
    """The most that is used besides tokens."""
    if isinstance(request, TranscriptionRequest):
        return Units(audio_seconds=duration_of(request.audio.content).most)
    return units_about(request)


def units_about(request: MediaRequest) -> Units:
    """What is used besides tokens, where nobody tells it. Characters and pictures are known exactly."""
    match request:
        case ModerationRequest():
            return Units()
        case TranscriptionRequest():
            return Units(audio_seconds=duration_of(request.audio.content).estimate)
        case SpeechRequest():
            return Units(characters=len(request.text))
        case ImageRequest():
            return Units(images=request.n)
