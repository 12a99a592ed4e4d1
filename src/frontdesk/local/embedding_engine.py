"""A sentence model on onnxruntime: mean of the token vectors, scaled to length 1.

Each text is computed by itself. The model's numbers are scaled by the largest of a batch, so in a
batch a vector would depend on its neighbours; and on one thread a batch is not faster.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from frontdesk.local.frames import Done, Embed, Failed, Job, Vectors
from frontdesk.local.options import WorkerOptions
from frontdesk.local.worker import Send, Ticket

_SETTINGS = {
    "intra_op_num_threads": 1,
    "inter_op_num_threads": 1,
    "enable_cpu_mem_arena": False,  # less memory, the same speed on short texts
    "log_severity_level": 4,
}
_TEXTS_A_STEP = 8  # 25 to 350 ms: so often jobs take turns


class _Session(Protocol):
    """onnxruntime.InferenceSession, of which we use one method."""

    def run(self, _outputs: list[str], _inputs: dict[str, NDArray[np.int64]], /) -> Sequence[NDArray[np.float32]]:
        """Compute the named outputs. May be called from several threads."""
        ...


def load(options: WorkerOptions) -> EmbeddingEngine:
    """Load the model and its tokenizer."""
    onnxruntime: Any = importlib.import_module("onnxruntime")  # its types are incomplete
    settings = onnxruntime.SessionOptions()
    for name, value in _SETTINGS.items():
        setattr(settings, name, value)
    session = onnxruntime.InferenceSession(options.files[0], settings, providers=["CPUExecutionProvider"])
    tokenizer: Tokenizer = Tokenizer.from_file(options.files[1])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return EmbeddingEngine(cast("_Session", session), tokenizer, options.context_tokens, options.threads)


class EmbeddingEngine:
    """A loaded sentence model."""

    def __init__(self, session: _Session, tokenizer: Tokenizer, most_tokens: int, threads: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._most_tokens = most_tokens
        self.parallel = threads

    def begin(self, job: Job, ticket: Ticket, send: Send) -> _EmbeddingWork:
        """Take a job."""
        assert isinstance(job, Embed)  # the server asks an embedding model for vectors
        return _EmbeddingWork(self, job, ticket, send)

    def token_ids(self, text: str) -> list[int]:
        """The text in tokens, between the two that mark its ends. Raises TooLong."""
        ids: list[int] = self._tokenizer.encode(text).ids
        if len(ids) > self._most_tokens:
            raise TooLong(len(ids), self._most_tokens)
        return ids

    def vector(self, token_ids: list[int]) -> bytes:
        """The vector of a text, of length 1."""
        ids = np.array([token_ids], dtype=np.int64)
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        (states,) = self._session.run(["last_hidden_state"], inputs)
        mean = states[0].mean(axis=0)
        return (mean / np.linalg.norm(mean)).astype("<f4").tobytes()


class TooLong(Exception):
    """A text has more tokens than the model takes."""

    def __init__(self, tokens: int, most_tokens: int) -> None:
        super().__init__(tokens, most_tokens)
        self.tokens = tokens
        self.most_tokens = most_tokens


class _EmbeddingWork:
    """The vectors of one request: read first, so that a refusal costs nothing, then made in steps."""

    def __init__(self, engine: EmbeddingEngine, job: Embed, ticket: Ticket, send: Send) -> None:
        self._engine = engine
        self._job = job
        self._ticket = ticket
        self._send = send
        self._texts: list[list[int]] | None = None
        self._done = 0

    def step(self) -> bool:
        """Make the next vectors."""
        if self._texts is None:
            self._texts = self._read()
            if self._texts is None:
                return True
        part = self._texts[self._done : self._done + _TEXTS_A_STEP]
        vectors: list[bytes] = []
        for token_ids in part:
            if self._ticket.is_cancelled:
                return True
            vectors.append(self._engine.vector(token_ids))
        self._send(Vectors(self._job.job_id, vectors, sum(map(len, part))))
        self._done += len(part)
        if self._done < len(self._texts):
            return False
        self._send(Done(self._job.job_id))
        return True

    def _read(self) -> list[list[int]] | None:
        texts: list[list[int]] = []
        for position, text in enumerate(self._job.texts):
            try:
                texts.append(self._engine.token_ids(text))
            except TooLong as error:
                message = (
                    f"input[{position}] has {error.tokens} tokens; this model takes {error.most_tokens}. "
                    "Cut it into shorter texts."
                )
                self._send(Failed(self._job.job_id, is_refusal=True, code="context_length_exceeded", message=message))
                return None
        return texts
