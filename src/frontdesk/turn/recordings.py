"""How long a recording lasts, as far as it can be told without decoding it.

A WAV file of plain samples says it exactly. Of all else only the size is known: nothing that people record has less
than 6 kbit/s (Opus at its lowest), and most of it is at 32 kbit/s and more.
"""

from __future__ import annotations

from typing import NamedTuple

_LOWEST_BYTES_PER_S = 750
_USUAL_BYTES_PER_S = 4_000
_CHUNK_HEAD_BYTES = 8
_PLAIN_FORMATS = frozenset({1, 3, 6, 7, 0xFFFE})  # integers, floats, A-law, µ-law, and those with an extended head


class Duration(NamedTuple):
    """Whole seconds, begun ones included: no more than `most`, and about `estimate`."""

    most: int
    estimate: int


def duration_of(recording: bytes) -> Duration:
    """How long a recording lasts."""
    exact = _seconds_of_wav(recording)
    if exact is not None:
        return Duration(exact, exact)
    return Duration(-(-len(recording) // _LOWEST_BYTES_PER_S), -(-len(recording) // _USUAL_BYTES_PER_S))


def _seconds_of_wav(recording: bytes) -> int | None:
    """Those of a WAV file (RIFF), by the bytes that are there, whatever its head says of them; None of all else."""
    if recording[:4] != b"RIFF" or recording[8:12] != b"WAVE":
        return None
    bytes_per_s = 0
    place = 12
    while place + _CHUNK_HEAD_BYTES <= len(recording):
        size = int.from_bytes(recording[place + 4 : place + 8], "little")
        body = place + _CHUNK_HEAD_BYTES
        match recording[place : place + 4]:
            case b"fmt ":
                bytes_per_s = _bytes_per_s(recording[body : body + min(size, 16)])
            case b"data":
                sound = min(size, len(recording) - body)
                # What comes behind would be read as well by who takes the head for wrong.
                sound = max(sound, len(recording) - body - _MOST_TRAILER_BYTES)
                return -(-sound // bytes_per_s) if bytes_per_s else None
            case _:
                pass
        place = body + size + size % 2
    return None


_MOST_TRAILER_BYTES = 4_096  # names, dates and the like stand behind the sound


def _bytes_per_s(fmt: bytes) -> int:
    """What a second of samples takes; 0 where they are compressed, or nothing is said."""
    if len(fmt) < 16 or int.from_bytes(fmt[:2], "little") not in _PLAIN_FORMATS:
        return 0
    channels, per_s = int.from_bytes(fmt[2:4], "little"), int.from_bytes(fmt[4:8], "little")
    return channels * per_s * int.from_bytes(fmt[14:16], "little") // 8
