"""The process that counts: it holds the vocabularies, which are large, and computes, which takes time.

Byte-pair encoding in Rust, in time that grows with the text and not with its square, whatever the text. What looks
like a special token is counted as the text that it is: a provider that took it for the token would count one
instead of some.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Protocol, cast

from frontdesk.local.frames import Count, Counted, Done, Job
from frontdesk.local.vocabularies import FROM_FILE, read_vocabulary
from frontdesk.local.worker import Send, Ticket, Work, run


class Vocabulary(Protocol):
    """What is used of a tokenizer."""

    def count(self, text: str) -> int:
        """The tokens of a text, all of it taken for text. Raises UnicodeEncodeError for half a surrogate pair."""
        ...


class Counter:
    """Counts by vocabularies, each loaded when it is first asked for."""

    parallel = 1

    def __init__(self) -> None:
        self._loaded: dict[str, Vocabulary] = {}

    def begin(self, job: Job, ticket: Ticket, send: Send) -> Work:
        """Take a job. Raises ValueError where its vocabulary is not known."""
        assert isinstance(job, Count)  # the server asks for nothing else here
        vocabulary = self._loaded.get(job.encoding)
        if vocabulary is None:
            vocabulary = self._loaded[job.encoding] = load_vocabulary(job.encoding)
        return _Counting(vocabulary, job, ticket, send)


def load_vocabulary(encoding: str) -> Vocabulary:
    """Load a vocabulary by its name, or from the file that it names. Raises ValueError where there is none, OSError."""
    if encoding.startswith(FROM_FILE):
        return read_vocabulary(Path(encoding.removeprefix(FROM_FILE)))
    # Through the front of the package, counting makes a list of all tokens first, and of no more than a million
    # characters. Each kind of vocabulary has a package of its own, of which one may be missing.
    from bpe_openai import _bindings  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs]

    return cast("Vocabulary", _bindings.tokenizer_for_encoding(encoding))


class _Counting:
    """A job under way: a text at a step, so that a cancelled one ends soon."""

    def __init__(self, vocabulary: Vocabulary, job: Count, ticket: Ticket, send: Send) -> None:
        self._vocabulary = vocabulary
        self._job_id = job.job_id
        self._texts = iter(job.texts)
        self._ticket = ticket
        self._send = send
        self._tokens: list[int] = []

    def step(self) -> bool:
        if self._ticket.is_cancelled:
            return True
        text = next(self._texts, None)
        if text is not None:
            self._tokens.append(self._vocabulary.count(text.decode()))
            return False
        self._send(Counted(self._job_id, self._tokens))
        self._send(Done(self._job_id))
        return True


if __name__ == "__main__":
    run(int(sys.argv[1]), Counter, "tokens")
