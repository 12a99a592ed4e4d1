"""A GGUF on llama.cpp, in this process.

llama.cpp's server object is used without its HTTP door: that one is opened in any case, so it is
given a socket that no path leads to. Answers are bound by grammars of llguidance. llama.cpp drops
a grammar that it cannot compile or carry on with and answers unbound, without a word; so each is
compiled here first, by the same version, and what is answered is read against it before it is sent.
"""

from __future__ import annotations

import importlib
import secrets
import tempfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import msgspec

from frontdesk.local.frames import Chat, Chunk, Done, Failed, Job
from frontdesk.local.options import WorkerOptions
from frontdesk.local.worker import Send, Ticket

_BATCH_TOKENS = 128  # so often a prompt's reading looks up: for cancellation, and for the other slots' next token
_encode = msgspec.json.Encoder().encode


class _LlamaServer(Protocol):
    """xllamacpp.Server, of which we use one method."""

    def handle_chat_completions(self, _prompt: bytes, _callback: Callable[[bytes], bool], /) -> None:
        """Call back with each chunk's JSON, until it returns True. Raises ValueError, RuntimeError."""
        ...


class _Matcher(Protocol):
    """llguidance.LLMatcher, on single bytes."""

    def try_consume_tokens(self, tokens: list[int]) -> int:
        """Take tokens as far as the grammar goes; returns how many."""
        ...

    def is_accepting(self) -> bool:
        """Whether the text may end here."""
        ...

    def get_error(self) -> str:
        """What went wrong, or nothing."""
        ...


def load(options: WorkerOptions) -> ChatEngine:
    """Load the model. Raises ImportError, RuntimeError."""
    return ChatEngine(_open_model(options), _Grammars(), options.slots)


def _open_model(options: WorkerOptions) -> _LlamaServer:
    llama: Any = importlib.import_module("xllamacpp")  # has no types
    params = llama.CommonParams()
    params.model.path = options.files[0]
    _set(params.cpuparams, {"n_threads": options.threads})
    _set(params.cpuparams_batch, {"n_threads": options.threads})
    _set(
        params,
        {
            "n_ctx": options.context_tokens * options.slots,
            "n_parallel": options.slots,
            "n_batch": _BATCH_TOKENS,
            "n_ubatch": _BATCH_TOKENS,
            "fit_params": False,  # it would change the context to what memory is free
            "cache_ram_mib": 0,  # else up to 8 GB of old prompts
            "n_ctx_checkpoints": 0,
            "offline": True,
            "prefill_assistant": False,  # an answer is a new message, as with every other provider
            "verbosity": 0,
            "ui": False,
            "endpoint_slots": False,
            "n_threads_http": 1,
            "api_keys": [secrets.token_hex(16)],
            "hostnames": ["door.sock"],  # relative: a socket's path has 107 bytes at most
        },
    )
    with tempfile.TemporaryDirectory(prefix="frontdesk-") as folder, chdir(folder):
        try:
            return cast("_LlamaServer", llama.Server(params))
        except RuntimeError:
            raise RuntimeError(f"llama.cpp cannot load {Path(options.files[0]).name}: is it a GGUF?") from None


def _set(params: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(params, name, value)


class _Grammars:
    """Compiles schemas as llama.cpp will."""

    def __init__(self) -> None:
        guidance: Any = importlib.import_module("llguidance")  # its types are its own business
        self._matcher_of: Any = guidance.LLMatcher
        self._bytes_tokenizer: Any = guidance.LLTokenizer("byte")

    def compile(self, schema: bytes) -> tuple[str, _Matcher]:
        """Return the grammar and a matcher of it. Raises ValueError, saying what in the schema is the matter."""
        grammar = f"%llguidance {{}}\nstart: %json {schema.decode()}\n"
        problem: str = self._matcher_of.validate_grammar(grammar)
        if problem:
            first_line = problem.split("\n", 1)[0]
            raise ValueError(first_line.split("JSON schema: ", 1)[-1])
        return grammar, cast("_Matcher", self._matcher_of(self._bytes_tokenizer, grammar))


class ChatEngine:
    """A loaded chat model."""

    def __init__(self, server: _LlamaServer, grammars: _Grammars, slots: int) -> None:
        self._server = server
        self._grammars = grammars
        self.parallel = slots

    def begin(self, job: Job, ticket: Ticket, send: Send) -> _ChatWork:
        """Take a job; its first step is all of it."""
        assert isinstance(job, Chat)  # the server asks a chat model for chats
        return _ChatWork(self._server, self._grammars, job, ticket, send)


class _ErrorFields(msgspec.Struct):
    code: int = 500
    type: str = ""
    message: str = ""
    n_prompt_tokens: int = 0
    n_ctx: int = 0


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    error: _ErrorFields | None = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_Code = Literal["context_length_exceeded", "unsupported_schema", "invalid_request", "model_failed"]


class _ChatWork:
    """One answer."""

    def __init__(self, server: _LlamaServer, grammars: _Grammars, job: Chat, ticket: Ticket, send: Send) -> None:
        self._server = server
        self._grammars = grammars
        self._job = job
        self._ticket = ticket
        self._send = send
        self._matcher: _Matcher | None = None
        self._has_failed = False

    def step(self) -> bool:
        """Answer, until the end or until nobody wants it."""
        body = {
            **self._job.body,
            "stream": True,  # the only form that can be stopped
            "stream_options": {"include_usage": True},
            "return_progress": True,  # a chunk for each batch of the prompt, so that its reading can be stopped too
        }
        if self._job.schema is not None:
            try:
                body["grammar"], self._matcher = self._grammars.compile(self._job.schema)
            except ValueError as error:
                self._refuse("unsupported_schema", str(error))
                return True
        try:
            self._server.handle_chat_completions(_encode(body), self._take)
        except ValueError as error:
            self._refuse("invalid_request", f"the model's template does not take these messages: {error}"[:300])
        if not self._has_failed and not self._ticket.is_cancelled:
            self._send(Done(self._job.job_id))
        return True

    def _take(self, data: bytes) -> bool:
        """Pass a chunk on. Returns True to stop, which frees the slot."""
        if self._ticket.is_cancelled:
            return True
        chunk = _decode_chunk(data)
        if chunk.error is not None:
            self._take_error(chunk.error)
        elif self._matcher is not None:
            self._check(chunk, self._matcher)
        if not self._has_failed:
            self._send(Chunk(self._job.job_id, data))
        return self._has_failed

    def _take_error(self, error: _ErrorFields) -> None:
        if error.type == "exceed_context_size_error":
            self._refuse(
                "context_length_exceeded",
                f"The prompt has {error.n_prompt_tokens} tokens; this model takes {error.n_ctx} for prompt and answer "
                "together. Shorten it, or use a model with a larger context.",
            )
        elif 400 <= error.code < 500:
            self._refuse("invalid_request", error.message[:300])
        else:
            self._fail("model_failed", f"llama.cpp failed with {error.type}")

    def _check(self, chunk: _Chunk, matcher: _Matcher) -> None:
        for choice in chunk.choices:
            text = (choice.delta.content or "").encode()
            if text and matcher.try_consume_tokens(list(text)) < len(text):
                if matcher.get_error():
                    self._refuse("unsupported_schema", "it has more alternatives than the grammar can follow")
                else:
                    self._fail("model_failed", "the answer left its grammar")
            elif choice.finish_reason == "stop" and "stop" not in self._job.body and not matcher.is_accepting():
                self._fail("model_failed", "the answer ended inside its grammar")

    def _refuse(self, code: _Code, message: str) -> None:
        self._has_failed = True
        self._send(Failed(self._job.job_id, is_refusal=True, code=code, message=message))

    def _fail(self, code: _Code, message: str) -> None:
        self._has_failed = True
        self._send(Failed(self._job.job_id, is_refusal=False, code=code, message=message))
