"""What a Chat Completions server is told of a conversation: messages, calls and parts, in the words of its profile.

What goes back of an earlier answer are its words and its calls, and what it thought where a server asks for that.
Its labels (ids, sources, a status) no model reads; a server that does not know them may refuse them.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, cast

from frontdesk.core.errors import BadRequest
from frontdesk.providers.parts import CACHE_MARK, Declined, Document, Sound, has_cache_mark, read_part
from frontdesk.providers.profiles import Profile
from frontdesk.turn.items import (
    Compaction,
    Image,
    Message,
    Part,
    Prompt,
    Reference,
    Text,
    ToolCall,
    ToolOutput,
    Unknown,
    unresolved,
)

Json = dict[str, Any]


def written_messages(prompt: Prompt, profile: Profile) -> list[Json]:
    """Return a prompt's messages. Raises BadRequest for what the dialect, or the server, cannot say."""
    return _Messages(prompt, profile).messages


class _Messages:
    """The messages of one prompt as they come together."""

    __slots__ = ("_field", "_profile", "_system", "_thoughts", "messages")

    def __init__(self, prompt: Prompt, profile: Profile) -> None:
        self._profile = profile
        self._field = "messages" if prompt.dialect == "chat" else "input"
        self._system = "developer" if profile.has_developer_role else "system"
        self._thoughts = ""  # of the assistant's next message
        self.messages: list[Json] = []
        if prompt.instructions is not None:
            self.messages.append({"role": self._system, "content": prompt.instructions})
        for item in prompt.items:
            match item:
                case Message():
                    self._add_message(item)
                case ToolCall():
                    self._add_call(item)
                case ToolOutput():
                    output = self._content(item.output)
                    self._add({"role": "tool", "tool_call_id": self._call_id(item.call_id), "content": output})
                case Reference() | Compaction():
                    raise unresolved(item)
                case Unknown():
                    self._add_unknown(item)

    def _add(self, message: Json) -> None:
        if self._thoughts and message["role"] == "assistant" and self._profile.reasoning_name is not None:
            message.setdefault(self._profile.reasoning_name, self._thoughts)
        self._thoughts = ""
        self.messages.append(message)

    def _add_message(self, message: Message) -> None:
        role = self._system if message.role == "developer" else message.role
        if message.extra is None:  # nearly all
            self._add({"role": role, "content": self._content(message.content)})
            return
        content, extra = self._content(message.content), message.extra
        if not self._profile.carries_unknown:
            content, extra = self._with_refusal(content, extra), self._known(extra)
        self._add({"role": role, "content": content, **{name: extra[name] for name in extra if name != "phase"}})

    def _add_call(self, call: ToolCall) -> None:
        """Calls belong to the assistant's message before them; where there is none, they make one."""
        if call.kind == "custom" and not self._profile.has_custom_tools:
            raise BadRequest(
                f"A call of the custom tool {call.name!r} cannot be sent to this model. Use 'function' tools.",
                code="unsupported_item",
                param=self._field,
            )
        if not self.messages or self.messages[-1]["role"] != "assistant" or self._thoughts:
            self._add({"role": "assistant", "content": None})
        calls = self.messages[-1].get("tool_calls", [])
        if not isinstance(calls, list):  # a stranger's field of that name
            self._add({"role": "assistant", "content": None})
            calls = []
        text_name = "arguments" if call.kind == "function" else "input"
        called = {"name": call.name, text_name: call.arguments}
        written = {"id": self._call_id(call.call_id), "type": call.kind, call.kind: called}
        # Anew: the message may be the caller's own object, which the next provider is told as well.
        self.messages[-1] = {**self.messages[-1], "tool_calls": [*cast("list[Any]", calls), written]}

    def _add_unknown(self, item: Unknown) -> None:
        if item.dialect == "chat":
            self._add(item.raw if self._profile.carries_unknown else self._known_message(item.raw))
        elif item.raw.get("type") != "reasoning":
            raise BadRequest(
                f"An input item of type {item.raw.get('type')!r} cannot be sent to this model.",
                code="unsupported_item",
                param="input",
            )
        elif self._profile.reasoning_name is not None:  # elsewhere earlier reasoning has no place in this dialect
            self._thoughts += _words_of(item.raw.get("content"))

    # --- what a server that knows less is told of messages

    def _known_message(self, raw: Json) -> Json:
        """A message that says more than our items hold. Its calls are cut to what calls are."""
        message = {"role": raw["role"], "content": raw.get("content"), **self._known(raw)}
        if "tool_call_id" in message:
            message["tool_call_id"] = self._call_id(str(message["tool_call_id"]))
        if "tool_calls" in message:
            message["tool_calls"] = self._known_calls(message["tool_calls"])
        return message

    def _known_calls(self, calls: Any) -> list[Any]:
        known: list[Any] = []
        for call in cast("list[Json]", calls):  # as the wire checked them
            kind = call.get("type") or "function"
            known.append({"id": self._call_id(call["id"]), "type": kind, kind: call[kind]})
        return known

    def _known(self, extra: Json) -> Json:
        """What a message says besides, without its labels; what it thought, by the name that the server has for it."""
        for name, instead in _UNKNOWN_TO_VENDORS.items():
            if extra.get(name) is not None:
                raise BadRequest(
                    f"A message's {name!r} cannot be sent to this model. {instead}",
                    code="unsupported_parameter",
                    param=self._field,
                )
        known = {name: value for name, value in extra.items() if name not in _LABELS and value is not None}
        thoughts = extra.get("reasoning_content") or extra.get("reasoning")
        if self._profile.reasoning_name is not None and isinstance(thoughts, str) and thoughts:
            known[self._profile.reasoning_name] = thoughts
        if self._profile.honours_all_on_demand and extra.get("reasoning_details"):
            known["reasoning_details"] = extra["reasoning_details"]  # OpenRouter's own, with the seals of who thought
        return known

    def _with_refusal(self, content: str | list[Json], extra: Json) -> str | list[Json]:
        """The words with which an earlier answer declined are its words."""
        refusal = extra.get("refusal")
        if not isinstance(refusal, str) or not refusal:
            return content
        return content + refusal if isinstance(content, str) else [*content, {"type": "text", "text": refusal}]

    def _call_id(self, call_id: str) -> str:
        chars = self._profile.call_id_chars
        if chars is None or re.fullmatch(rf"[a-zA-Z0-9]{{{chars}}}", call_id):
            return call_id
        return hashlib.sha256(call_id.encode()).hexdigest()[:chars]  # the same for a call and its output

    # --- parts

    def _content(self, content: str | list[Part]) -> str | list[Json]:
        return content if isinstance(content, str) else [self._part(part) for part in content]

    def _part(self, part: Part) -> Json:
        match part:
            case Text():
                extra = part.extra or {}
                if extra and not self._profile.carries_unknown:
                    extra = {name: value for name, value in extra.items() if name not in _LABELS_OF_TEXT}
                    extra |= self._marked(part)
                return {"type": "text", "text": part.text, **extra}
            case Image():
                return _image(part)
            case Unknown() if part.dialect == "chat" and self._profile.carries_unknown:
                return part.raw
            case Unknown():
                return self._read_part(part)

    def _read_part(self, part: Unknown) -> Json:
        read = read_part(part)
        kinds = self._profile
        match read:
            case Declined() if kinds.carries_unknown:
                return {"type": "refusal", "refusal": read.text}
            case Declined():
                return {"type": "text", "text": read.text}
            case Image():
                return {**_image(read), **self._marked(part)}
            case Sound() if kinds.sounds == "openai":
                sound = {"data": read.data_base64, "format": read.format}
                return {"type": "input_audio", "input_audio": sound, **self._marked(part)}
            case Sound() if kinds.sounds == "base64":
                return {"type": "input_audio", "input_audio": read.data_base64}
            case Document() if (written := self._document(read, part.raw)) is not None:
                return {**written, **self._marked(part)}
            case None if part.dialect == "chat":
                return part.raw  # no part of OpenAI's: a video, or the vendor's own
            case _:
                raise BadRequest(
                    f"A content part of type {part.raw.get('type')!r} cannot be sent to this model.",
                    code="unsupported_part",
                    param=self._field,
                )

    def _document(self, document: Document, raw: Json) -> Json | None:
        """A file as the server takes it; None where it does not."""
        data, kind = document.data_base64, document.media_type or "application/octet-stream"
        inline = document.url if data is None else f"data:{kind};base64,{data}"
        match self._profile.documents:
            case "openai":
                fields = raw["file"] if raw["type"] == "file" else raw
                said = {name: value for name, value in fields.items() if name not in ("type", CACHE_MARK)}
                return None if document.url is not None else {"type": "file", "file": said}
            case "openrouter":  # file_data may be an address
                said = {"filename": document.filename, "file_data": inline, "file_id": document.file_id}
                return {"type": "file", "file": {name: value for name, value in said.items() if value is not None}}
            case "mistral" if document.file_id is not None:
                return {"type": "file", "file_id": document.file_id}
            case "mistral":
                named = {} if document.filename is None else {"document_name": document.filename}
                return {"type": "document_url", "document_url": inline, **named}
            case "none":
                return None

    def _marked(self, part: Part) -> Json:
        """Where a cache may end, as the server says it; nothing where it knows no such mark."""
        if not has_cache_mark(part):
            return {}
        raw = part.raw if isinstance(part, Unknown) else cast("Text", part).extra or {}
        mark = raw[CACHE_MARK]
        match self._profile.cache_marks:
            case "openai":
                return {CACHE_MARK: mark}
            case "anthropic":
                is_long = isinstance(mark, dict) and cast("Json", mark).get("ttl") == "12h"
                return {"cache_control": {"type": "ephemeral", **({"ttl": "1h"} if is_long else {})}}
            case "none":
                return {}


_UNKNOWN_TO_VENDORS = {"audio": "Send its transcript as content.", "function_call": "Use 'tool_calls'."}
_LABELS = frozenset(
    {"annotations", "id", "phase", "reasoning", "reasoning_content", "reasoning_details", "refusal", "status"}
)
_LABELS_OF_TEXT = frozenset({"annotations", "logprobs", CACHE_MARK})


def _image(image: Image) -> Json:
    url: Json = {"url": image.url}
    if image.detail is not None:
        url["detail"] = image.detail
    return {"type": "image_url", "image_url": url}


def _words_of(content: Any) -> str:
    """The words of an item of reasoning that is not sealed."""
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    texts = [cast("Json", part).get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))
