"""What the upstream is to say: chosen by the request's model, known to the client that checks the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Script:
    """An answer of so many words. A stream sends one a chunk, `pace_ms` apart; 0 is as fast as it goes."""

    chunks: int
    pace_ms: int = 0

    @property
    def model(self) -> str:
        """The model's name that asks for it."""
        return f"{self.chunks}-chunks-{self.pace_ms}-ms"

    @property
    def duration_s(self) -> float:
        """How long a stream takes from its first chunk to its last one."""
        return (self.chunks - 1) * self.pace_ms / 1000

    @classmethod
    def of(cls, model: str) -> Self:
        """Read a model's name. Raises ValueError."""
        chunks, _, pace_ms, _ = model.split("-")
        return cls(int(chunks), int(pace_ms))

    def words(self, number: int) -> list[str]:
        """Return the answer to a question, a piece a chunk. The first one tells it from all others."""
        return [f"answer {number}", *(f" word{place}" for place in range(1, self.chunks))]
