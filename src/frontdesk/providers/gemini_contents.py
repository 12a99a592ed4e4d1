"""A conversation as Gemini has it: instructions, then contents of the roles user and model by turns.

    instructions, leading system messages    systemInstruction; what nobody else says is the user's
    later system messages                    the user's words, where they stand: there is no third role
    calls                                    functionCall, of the model
    outputs of calls                         functionResponse, of the user: right behind the calls, in their order,
                                             and in a content of their own: beside words, newer models find none
    names of tools                           in the letters that Gemini takes
    thoughts                                 nothing, but for their signatures
    a conversation that a call opens         a user's turn before it that says so

Neighbours of one role are one content else. What has no place is refused by the name that its caller gives it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.providers.gemini_profiles import GeminiProfile
from frontdesk.providers.gemini_seals import UNSIGNED, Signature, unsealed
from frontdesk.providers.parts import Declined, Document, PictureFile, Sound, is_text_type, read_part, split_data_url
from frontdesk.turn.items import (
    Compaction,
    Image,
    Item,
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

CUSTOM_INPUT = "input"
"""The one argument of the function that a custom tool becomes."""

_Fields: TypeAlias = dict[str, Any]
_Role: TypeAlias = Literal["user", "model"]
_SYSTEM = frozenset({"system", "developer"})
_OPENING = "(You open the conversation.)"


class Conversation(msgspec.Struct, frozen=True):
    """What is said: the parts of the instructions, and the contents."""

    instructions: list[_Fields]
    contents: list[_Fields]


def write_conversation(prompt: Prompt, model: str, profile: GeminiProfile) -> Conversation:
    """Write a prompt's instructions and items. Raises BadRequest for what Gemini has no place for."""
    writer = _Writer(prompt, model, profile)
    split = next((at for at, item in enumerate(prompt.items) if not _is_instruction(item)), len(prompt.items))
    leading = prompt.items[:split]
    for item in prompt.items[split:]:
        writer.add(item)
    if not writer.has_contents:  # nobody answers instructions alone
        for item in leading:
            writer.add(item)
        leading = []
    if not writer.has_contents:
        raise writer.refused(f"{writer.param!r} says nothing. Send at least one message with content.", "invalid_value")
    spoken = [] if not prompt.instructions else [{"text": prompt.instructions}]
    return Conversation([*spoken, *(part for item in leading for part in writer.instruction(item))], writer.contents())


def is_signed(body: _Fields) -> bool:
    """Whether the contents of a request hold signatures that a model made."""
    return any(
        part.get("thoughtSignature", UNSIGNED) != UNSIGNED for each in body["contents"] for part in each["parts"]
    )


def unsigned(body: _Fields, profile: GeminiProfile) -> _Fields:
    """Return a request without the signatures of its contents."""
    contents: list[_Fields] = []
    for content in body["contents"]:
        bare = [
            {name: value for name, value in part.items() if name != "thoughtSignature"} for part in content["parts"]
        ]
        parts = [part for part in bare if part != {"text": ""}]  # held a signature alone
        if content["role"] == "model" and profile.signs_calls:
            _sign_first_call(parts)
        contents.append({**content, "parts": parts})
    return {**body, "contents": contents}


def function_name(name: str) -> str:
    """Return a tool's name as Gemini takes it: not every letter, and none but a letter or `_` at the beginning."""
    written = _NO_LETTER.sub("_", name)
    return (written if _BEGINS.match(written) else f"_{written}")[:_MOST_NAME_CHARS]


_NO_LETTER = re.compile(r"[^a-zA-Z0-9_.:-]")
_BEGINS = re.compile(r"[a-zA-Z_]")
_MOST_NAME_CHARS = 128


def _is_instruction(item: Item) -> bool:
    return isinstance(item, Message) and item.role in _SYSTEM


class _Turn:
    """What one side says before the other does. `outputs` come with the places of their calls."""

    __slots__ = ("outputs", "parts", "role")

    def __init__(self, role: _Role) -> None:
        self.role: _Role = role
        self.parts: list[_Fields] = []
        self.outputs: list[tuple[int, _Fields]] = []


class _Writer:
    """The turns as they come together."""

    def __init__(self, prompt: Prompt, model: str, profile: GeminiProfile) -> None:
        self.param = "messages" if prompt.dialect == "chat" else "input"
        self._model = model
        self._profile = profile
        self._turns: list[_Turn] = []
        self._calls = 0
        self._unanswered: dict[str, list[tuple[int, str]]] = {}  # by the ids of calls, their places and their names
        self._signature: str | None = None  # of the next call

    @property
    def has_contents(self) -> bool:
        """Whether anybody said anything."""
        return bool(self._turns)

    def add(self, item: Item) -> None:
        """Add an item of the conversation."""
        signature, self._signature = self._signature, None
        match item:
            case Message():
                self._add_message(item)
            case ToolCall():
                self._add_call(item, signature)
            case ToolOutput():
                self._add_output(item.call_id, item.output)
            case Reference() | Compaction():
                raise unresolved(item)
            case Unknown(dialect="chat"):
                self._add_chat_message(item.raw)
            case Unknown():
                self._add_unknown(item.raw)

    def contents(self) -> list[_Fields]:
        """The contents, once all items were added."""
        for call_id in self._unanswered:
            told = call_id[:_MAX_NAME_CHARS]
            words = f"The call {told!r} has no output. Send one for each call, right behind it."
            raise self.refused(words, "invalid_value")
        if self._turns[-1].role == "model" and not self._profile.has_prefill:
            words = "This model does not go on with an answer. End the conversation with a message of the user."
            raise self.refused(words, "unsupported_item")
        contents: list[_Fields] = []
        if self._turns[0].role == "model" and any("functionCall" in part for part in self._turns[0].parts):
            contents.append({"role": "user", "parts": [{"text": _OPENING}]})
        for turn in self._turns:
            if turn.outputs:
                outputs = sorted(turn.outputs, key=lambda output: output[0])
                contents.append({"role": "user", "parts": [part for _, part in outputs]})
            if turn.role == "model" and self._profile.signs_calls:
                _sign_first_call(turn.parts)
            if turn.parts:
                contents.append({"role": turn.role, "parts": turn.parts})
        return contents

    def instruction(self, item: Item) -> list[_Fields]:
        """The parts of a message that instructs."""
        assert isinstance(item, Message)
        self._check_extra(item.extra)
        parts = self._parts(item.content)
        if any("text" not in part for part in parts):
            words = f"A message of the role {item.role!r} can hold only text for this model. Send the rest as the user."
            raise self.refused(words, "unsupported_part")
        return parts

    def refused(self, words: str, code: str) -> BadRequest:
        """The error for something among the items."""
        return BadRequest(words, code=code, param=self.param)

    def _add_message(self, message: Message) -> None:
        if message.role in _SYSTEM:
            self._add_parts("user", self.instruction(message))
        elif message.role in ("user", "assistant"):
            self._check_extra(message.extra)
            parts = self._parts(message.content)
            refusal = (message.extra or {}).get("refusal")
            if isinstance(refusal, str) and refusal:
                parts.append({"text": refusal})
            self._add_parts("user" if message.role == "user" else "model", parts)
        else:
            words = f"A message of the role {message.role!r} cannot be sent to this model."
            raise self.refused(words, "unsupported_item")

    def _check_extra(self, extra: _Fields | None) -> None:
        for name, value in (extra or {}).items():
            if value is not None and name not in _SILENT_EXTRAS:
                remedy = _REMEDIES.get(name, "Leave it out.")
                words = f"A message's {name[:_MAX_NAME_CHARS]!r} cannot be sent to this model. {remedy}"
                raise self.refused(words, "unsupported_parameter")

    def _add_call(self, call: ToolCall, signature: str | None) -> None:
        name = function_name(call.name)
        arguments = {CUSTOM_INPUT: call.arguments} if call.kind == "custom" else _object_of(call.arguments, "arguments")
        part: _Fields = {"functionCall": {"id": call.call_id, "name": name, "args": arguments}}
        if signature is not None:
            part["thoughtSignature"] = signature
        self._add_parts("model", [part])
        self._unanswered.setdefault(call.call_id, []).append((self._calls, name))
        self._calls += 1

    def _add_output(self, call_id: str, output: str | list[Part]) -> None:
        calls = self._unanswered.get(call_id)
        if calls is None:
            told = call_id[:_MAX_NAME_CHARS]
            words = f"The output for {told!r} belongs to no call before it. Send the call as well, and one output."
            raise self.refused(words, "invalid_value")
        place, name = calls.pop(0)
        if not calls:
            del self._unanswered[call_id]
        parts = self._parts(output)
        said = "\n".join(part["text"] for part in parts if "text" in part)
        response: _Fields = {"id": call_id, "name": name, "response": _object_of(said, "output")}
        media = [part for part in parts if "text" not in part]
        within = [part for part in media if self._profile.reads_media_of_tools and _has_type(part)]
        if within:
            response["parts"] = within
            media = [part for part in media if part not in within]
        turn = self._turn("user")
        turn.outputs.append((place, {"functionResponse": response}))
        if media:
            turn.parts += [{"text": f"{name} returned:"}, *media]

    def _add_chat_message(self, raw: _Fields) -> None:
        """A message of Chat Completions that says more than an item can hold."""
        match raw:
            case {"role": "tool", "tool_call_id": str() as call_id}:
                self._check_extra({name: value for name, value in raw.items() if name not in _OF_TOOL_MESSAGES})
                self._add_output(call_id, _chat_content(raw.get("content")))
            case {"role": "assistant", "tool_calls": list()}:
                extra = {name: value for name, value in raw.items() if name not in _OF_ANSWERS}
                self._add_message(Message("assistant", _chat_content(raw.get("content")), extra))
                for call in cast("list[_Fields]", raw["tool_calls"]):
                    self._add_chat_call(call)
            case _:
                role = str(raw.get("role"))[:_MAX_NAME_CHARS]
                words = (
                    f"A message of the role {role!r} cannot be sent to this model. Use 'tool' instead of 'function'."
                )
                raise self.refused(words, "unsupported_item")

    def _add_chat_call(self, call: _Fields) -> None:
        """A call that carries its signature as Google's own Chat Completions do."""
        kind: Literal["function", "custom"] = "custom" if "custom" in call else "function"
        called = call[kind]
        text_name = "arguments" if kind == "function" else "input"
        google = _fields(_fields(call.get("extra_content")).get("google"))
        signature = google.get("thought_signature")
        strange = [name for name in call if name not in _OF_CALLS] + [
            name for name in called if name not in ("name", text_name)
        ]
        if strange:
            words = f"A tool call's {strange[0][:_MAX_NAME_CHARS]!r} cannot be sent to this model. Leave it out."
            raise self.refused(words, "unsupported_parameter")
        ours = ToolCall(call["id"], called["name"], called[text_name], kind)
        self._add_call(ours, signature if isinstance(signature, str) else None)

    def _add_unknown(self, raw: _Fields) -> None:
        kind = raw.get("type")
        if kind != "reasoning":
            words = f"An input item of type {kind!r} with what it holds cannot be sent to this model."
            raise self.refused(words, "unsupported_item")
        seal = raw.get("encrypted_content")
        signature = unsealed(seal) if isinstance(seal, str) else None
        if signature is None or signature.model != self._model:
            return  # earlier thoughts have no place here, nor have those that another model sealed
        if signature.on == "call":
            self._signature = signature.signature
        else:
            self._sign_text(signature)

    def _sign_text(self, signed: Signature) -> None:
        """Put a signature on the end of the model's words before it, which becomes a part of its own."""
        if not self._turns or self._turns[-1].role == "user":
            return
        parts = self._turns[-1].parts
        own: _Fields = {"text": "", "thoughtSignature": signed.signature}
        words = parts[-1].get("text")
        if signed.chars <= 0:
            parts.append(own)
        elif isinstance(words, str) and "thoughtSignature" not in parts[-1]:
            end = max(0, len(words) - signed.chars)
            own["text"] = words[end:]
            parts[-1:] = [{"text": words[:end]}, own] if end else [own]

    def _add_parts(self, role: _Role, parts: list[_Fields]) -> None:
        if parts:
            self._turn(role).parts += parts

    def _turn(self, role: _Role) -> _Turn:
        """The turn that goes on, or a new one: the model's goes on while outputs of its calls are awaited."""
        is_running = role == "model" and self._unanswered
        for turn in self._turns[-2 if is_running else -1 :]:
            if turn.role == role:
                return turn
        self._turns.append(_Turn(role))
        return self._turns[-1]

    # --- parts ---

    def _parts(self, content: str | list[Part]) -> list[_Fields]:
        """The parts of a content; empty words, which Gemini refuses, are none."""
        if isinstance(content, str):
            return [{"text": content}] if content else []
        return [each for part in content for each in self._part(part) if each.get("text") != ""]

    def _part(self, part: Part) -> Iterable[_Fields]:
        read = read_part(part) if isinstance(part, Unknown) else part
        match read:
            case Text():
                self._check_text(read)
                return [{"text": read.text}]
            case Declined():
                return [{"text": read.text}]
            case Image():
                return [self._picture(read.url)]
            case Sound():
                return [_inline(f"audio/{read.format}", read.data_base64)]
            case Document():
                return self._document(read)
            case PictureFile():
                raise self._no_file_ids()
            case None:
                kind = part.raw.get("type") if isinstance(part, Unknown) else None
                words = f"A content part of type {kind!r} cannot be sent to this model."
                raise self.refused(words, "unsupported_part")

    def _check_text(self, text: Text) -> None:
        for name, value in (text.extra or {}).items():
            if value is not None and name not in _SILENT_OF_TEXT:
                words = f"A text's {name[:_MAX_NAME_CHARS]!r} cannot be sent to this model. Leave it out."
                raise self.refused(words, "unsupported_part")

    def _picture(self, url: str) -> _Fields:
        split = split_data_url(url)
        if split is not None:
            return _inline(*split)
        ending = url.partition("?")[0].rpartition(".")[2].lower()
        return self._at(url, _PICTURE_TYPES.get(ending))

    def _document(self, document: Document) -> list[_Fields]:
        if document.file_id is not None:
            raise self._no_file_ids()
        named = [] if document.filename is None else [{"text": f"{document.filename}:"}]
        if document.url is not None:
            return [*named, self._at(document.url, document.media_type)]
        media_type = "text/plain" if is_text_type(document.media_type) else document.media_type
        if media_type is None or not media_type.startswith(_READ_TYPES):
            told = media_type or "unknown"
            words = f"A file of the type {told[:_MAX_NAME_CHARS]!r} cannot be sent to this model. Send a PDF or text."
            raise self.refused(words, "unsupported_part")
        return [*named, _inline(media_type, document.data_base64 or "")]

    def _at(self, url: str, media_type: str | None) -> _Fields:
        """What an address leads to. Google fetches it; what was uploaded there every model reads."""
        if not url.startswith(_UPLOADED if not self._profile.fetches_urls else "https://"):
            words = "This model cannot fetch what an address leads to. Send it as a data URL."
            if self._profile.fetches_urls:
                words = "This model fetches only what an https address leads to. Send it as a data URL."
            raise self.refused(words, "unsupported_part")
        file: _Fields = {"fileUri": url}
        if media_type is not None:
            file["mimeType"] = "text/plain" if is_text_type(media_type) else media_type
        return {"fileData": file}

    def _no_file_ids(self) -> BadRequest:
        return self.refused("A file's id means nothing to this model. Send the file as a data URL.", "unsupported_part")


_MAX_NAME_CHARS = 64
# What answers say that is told again, or that only labels. A refusal is the answer's words.
_SILENT_EXTRAS = frozenset(
    {"annotations", "id", "phase", "reasoning", "reasoning_content", "reasoning_details", "refusal", "status"}
)
_REMEDIES = {
    "name": "Say the name in the content.",
    "audio": "Send its transcript as content.",
    "function_call": "Use 'tool_calls'.",
}
_MARK = "prompt_cache_breakpoint"  # a hint: Gemini finds by itself what of a prompt it knows
_SILENT_OF_TEXT = frozenset({"annotations", "logprobs", _MARK})
_OF_TOOL_MESSAGES = frozenset({"role", "content", "tool_call_id", "name", _MARK})
_OF_ANSWERS = frozenset({"role", "content", "tool_calls"})
_OF_CALLS = frozenset({"id", "type", "function", "custom", "index", "extra_content"})
_PICTURE_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
}
_READ_TYPES = ("application/pdf", "text/", "image/", "audio/", "video/")
_UPLOADED = "https://generativelanguage.googleapis.com/"


def _inline(media_type: str, data_base64: str) -> _Fields:
    return {"inlineData": {"mimeType": media_type, "data": data_base64}}


def _has_type(part: _Fields) -> bool:
    """Whether a part says what its media are, as those of a function's response must."""
    return "inlineData" in part or "mimeType" in part["fileData"]


def _object_of(text: str, name: str) -> Any:
    """A text that is a JSON object as it is, any other one under a name: Gemini takes objects alone."""
    if not text and name == "arguments":
        return {}
    try:
        is_object = isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        is_object = False
    return msgspec.Raw(text.encode()) if is_object else {name: text}


def _sign_first_call(parts: list[_Fields]) -> None:
    """The first call of a step must be signed, whoever made it."""
    for part in parts:
        if "functionCall" in part:
            part.setdefault("thoughtSignature", UNSIGNED)
            return


def _chat_content(content: Any) -> str | list[Part]:
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    return [_chat_part(part) for part in cast("list[_Fields]", content)]


def _chat_part(part: _Fields) -> Part:
    if part.get("type") != "text":
        return Unknown(part, "chat")
    return Text(part["text"], {name: value for name, value in part.items() if name not in ("type", "text")})


def _fields(value: Any) -> _Fields:
    return cast("_Fields", value) if isinstance(value, dict) else {}
