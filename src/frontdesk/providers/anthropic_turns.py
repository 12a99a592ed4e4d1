"""The conversation of a prompt, as Anthropic's Messages have it: turns of the user and of the assistant, in turn.

OpenAI                                  Anthropic
instructions, system and developer      `system`, where they stand before the conversation
  later                                 a system turn behind the user's words that they stand among, on models that
                                        have such turns; elsewhere the end of `system`: their weight is kept, and
                                        not their place
neighbours of one role                  one turn
outputs of tools                        tool_result blocks, first in the user's turn behind the calls; what the
                                        assistant says while calls still run stands before them
ids and names of calls                  in the letters that Anthropic takes, ids once in a conversation
reasoning with a seal of ours           the thinking block that it holds, in its place; a foreign one is left out
a conversation that the assistant opens a user's turn before it that says so
  last, behind the assistant's words    the user's: else the assistant would go on with what it has said
nothing but system messages             the last of them is the user's
texts without words                     left out, since Anthropic refuses them
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal, cast

import msgspec

from frontdesk.core.errors import BadRequest
from frontdesk.providers.anthropic_names import spelled
from frontdesk.providers.anthropic_profiles import ModelProfile
from frontdesk.providers.parts import (
    CACHE_MARK,
    Declined,
    Document,
    PictureFile,
    Sound,
    is_text_type,
    read_part,
    split_data_url,
)
from frontdesk.providers.seals import opened
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

Block = dict[str, Any]

CUSTOM_INPUT = "input"
"""The one property of a tool that takes free text."""

_OPENING = "(You open the conversation.)"
_PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_ITEM_ID = re.compile(r"[a-zA-Z0-9_-]{1,256}")
_NO_LETTER = re.compile(r"[^a-zA-Z0-9_-]")
_MOST_NAME_CHARS = 128
_THINKING = frozenset({"thinking", "redacted_thinking"})


class Turns(msgspec.Struct, frozen=True):
    """What is said before the conversation, and the conversation, in Anthropic's spelling."""

    system: list[Block]
    messages: list[dict[str, Any]]


def read_turns(prompt: Prompt, profile: ModelProfile, model: str) -> Turns:
    """Return a prompt's conversation. Raises BadRequest for what has no place in Anthropic's."""
    return _Reader(prompt, profile, model).read()


def without_thinking(turns: Turns) -> Turns:
    """Return the same conversation without earlier thoughts."""
    return Turns(
        turns.system,
        [
            {**each, "content": [block for block in each["content"] if block["type"] not in _THINKING]}
            for each in turns.messages
        ],
    )


def lacks_thinking(turns: Turns) -> bool:
    """Whether the assistant's last turn called tools, and the thoughts that it began with are not here.

    Models that think by budget then take no more thinking: they want those first.
    """
    last = next((each["content"] for each in reversed(turns.messages) if each["role"] == "assistant"), None)
    has_calls = last is not None and any(block["type"] == "tool_use" for block in last)
    return last is not None and has_calls and last[0]["type"] not in _THINKING


class _Reader:
    """Reads the items one by one; a turn is written when the other side speaks."""

    def __init__(self, prompt: Prompt, profile: ModelProfile, model: str) -> None:
        self._prompt = prompt
        self._profile = profile
        self._model = model
        self._place = spelled("messages", prompt)
        self._system: list[Block] = []
        self._messages: list[dict[str, Any]] = []
        self._results: list[Block] = []
        self._words: list[Block] = []
        self._asides: list[Block] = []  # system messages among the user's words
        self._unanswered: dict[str, list[str]] = {}  # by the caller's ids of calls, Anthropic's
        self._block_ids: set[str] = set()

    def read(self) -> Turns:
        if self._prompt.instructions is not None:
            self._system += self._text_blocks(self._prompt.instructions)
        for item in self._prompt.items:
            self._read_item(item)
        for call_id in self._unanswered:
            words = f"The call {call_id[:64]!r} has no output. Send one for each call, right behind it."
            raise BadRequest(words, param=self._place)
        if self._last_role() == "assistant" and not (self._results or self._words):
            self._words, self._asides = self._asides, []
        self._end_users_turn()
        self._end()
        return Turns(self._system, self._messages)

    def _end(self) -> None:
        """See to it that the user speaks first, and last on models that do not continue an assistant's words."""
        self._drop_last_thoughts()
        if self._messages and self._messages[0]["role"] == "assistant":
            self._messages.insert(0, {"role": "user", "content": [{"type": "text", "text": _OPENING}]})
        if not self._messages:
            self._messages.append({"role": "user", "content": [self._last_system_block()]})
        last = self._messages[-1]
        if last["role"] != "assistant":
            return
        if not self._profile.has_prefill:
            raise BadRequest(
                "This model does not continue an assistant's message. End the conversation with a message of the user.",
                code="unsupported_item",
                param=self._place,
            )
        block = last["content"][-1]
        last["content"][-1] = {**block, "text": block["text"].rstrip()}

    def _last_system_block(self) -> Block:
        own = len(self._text_blocks(self._prompt.instructions)) if self._prompt.instructions is not None else 0
        if len(self._system) <= own:
            raise BadRequest("The conversation has no words. Send a message with some.", param=self._place)
        return self._system.pop()

    # --- items ----------------------------------------------------------------------------------

    def _read_item(self, item: Item) -> None:
        match item:
            case Message(role="assistant"):
                self._refuse_others(item.extra or {}, _LEFT_OUT)
                self._answer([*self._blocks(item.content, "assistant"), *self._said_beside(item.extra or {})])
            case Message(role="user"):
                self._refuse_others(item.extra or {}, _LABELS)
                self._words += self._blocks(item.content, "user")
            case Message():
                self._refuse_others(item.extra or {}, _LABELS)
                self._add_system(self._blocks(item.content, "system"))
            case ToolCall():
                self._add_call(item)
            case ToolOutput():
                self._add_result(item.call_id, self._blocks(item.output, "user"))
            case Reference() | Compaction():
                raise unresolved(item)
            case Unknown():
                self._read_unknown(item)

    def _add_system(self, blocks: list[Block]) -> None:
        if self._messages or self._words or self._results:
            self._asides += blocks
        else:
            self._system += blocks

    def _answer(self, blocks: list[Block]) -> None:
        """Add to the assistant's turn. It ends the user's, but for outputs that come while other calls still run."""
        if not blocks:
            return
        if not self._unanswered:
            self._end_users_turn()
        if self._last_role() == "assistant":
            self._messages[-1]["content"] += blocks
        else:
            self._messages.append({"role": "assistant", "content": blocks})

    def _end_users_turn(self) -> None:
        if self._results or self._words:
            self._drop_last_thoughts()
            if self._last_role() == "system":  # nothing answered to it
                self._asides = [*self._messages.pop()["content"], *self._asides]
            if self._last_role() == "user":
                self._messages[-1]["content"] += [*self._results, *self._words]
            else:
                self._messages.append({"role": "user", "content": [*self._results, *self._words]})
        if self._asides and self._last_role() == "user" and self._profile.has_system_turns:
            self._messages.append({"role": "system", "content": self._asides})
        else:
            self._system += self._asides
        self._results, self._words, self._asides = [], [], []

    def _last_role(self) -> str | None:
        return self._messages[-1]["role"] if self._messages else None

    def _drop_last_thoughts(self) -> None:
        """A turn must not end with thoughts: what they led to was left out by the client."""
        while self._last_role() == "assistant":
            content: list[Block] = self._messages[-1]["content"]
            while content and content[-1]["type"] in _THINKING:
                content.pop()
            if content:
                return
            self._messages.pop()

    def _add_call(self, call: ToolCall) -> None:
        block_id = _block_id(call.call_id, self._block_ids)
        self._block_ids.add(block_id)
        given = {CUSTOM_INPUT: call.arguments} if call.kind == "custom" else _arguments(call.arguments)
        self._answer([{"type": "tool_use", "id": block_id, "name": _tool_name(call.name), "input": given}])
        self._unanswered.setdefault(call.call_id, []).append(block_id)

    def _add_result(self, call_id: str, blocks: list[Block], mark: Block | None = None) -> None:
        block_ids = self._unanswered.get(call_id)
        if block_ids is None:
            raise BadRequest(
                f"The output for {call_id[:64]!r} belongs to no call before it. Send the call as well, and one output.",
                param=self._place,
            )
        result: Block = {"type": "tool_result", "tool_use_id": block_ids.pop(0), **(mark or {})}
        if not block_ids:
            del self._unanswered[call_id]
        if blocks:
            result["content"] = blocks
        self._results.append(result)

    # --- what is carried unread -----------------------------------------------------------------

    def _read_unknown(self, item: Unknown) -> None:
        raw = item.raw
        if item.dialect == "responses":
            if raw.get("type") != "reasoning":
                raise self._no_place_for(f"An input item of type {raw.get('type')!r}")
            block = _thought(raw.get("encrypted_content"), self._model)
            if block is not None:
                self._answer([block])
            return
        match raw.get("role"):
            case "tool":
                self._refuse_others(raw, _TOOL_MESSAGE)
                self._add_result(str(raw.get("tool_call_id")), self._raw_blocks(raw.get("content"), "user"), _mark(raw))
            case "assistant":
                self._refuse_others(raw, _ASSISTANT_MESSAGE)
                self._answer(self._raw_blocks(raw.get("content"), "assistant") + self._said_beside(raw))
                for call in cast("list[dict[str, Any]]", raw.get("tool_calls") or []):
                    self._add_raw_call(call)
            case role:
                raise self._no_place_for(f"A message of the role {role!r}")

    def _add_raw_call(self, call: dict[str, Any]) -> None:
        """A call that says more than ours can hold: what another provider signed is left out, as its thoughts are."""
        self._refuse_others(call, _CALL)
        kind: Literal["function", "custom"] = "custom" if "custom" in call else "function"
        called = cast("dict[str, Any]", call[kind])
        self._refuse_others(called, _CALLED)
        text = called["arguments" if kind == "function" else "input"]
        self._add_call(ToolCall(call["id"], called["name"], text, kind))

    def _raw_blocks(self, content: Any, role: str) -> list[Block]:
        if content is None or isinstance(content, str):
            return self._text_blocks(content or "")
        parts: list[Part] = []
        for part in cast("list[dict[str, Any]]", content):
            words = part.get("text")
            if part.get("type") == "text" and isinstance(words, str):
                parts.append(Text(words, {name: value for name, value in part.items() if name not in ("type", "text")}))
            else:
                parts.append(Unknown(part, "chat"))
        return self._blocks(parts, role)

    def _said_beside(self, extra: dict[str, Any]) -> list[Block]:
        """Words with which it declined are the assistant's as well."""
        refusal = extra.get("refusal")
        return self._text_blocks(refusal) if isinstance(refusal, str) else []

    def _refuse_others(self, raw: dict[str, Any], known: frozenset[str]) -> None:
        for name, value in raw.items():
            if name not in known and value is not None:
                remedy = _REMEDIES.get(name, "Leave it out.")
                raise BadRequest(
                    f"{name[:64]!r} of a message cannot be sent to this model. {remedy}",
                    code="unsupported_item",
                    param=self._place,
                )

    def _no_place_for(self, what: str) -> BadRequest:
        return BadRequest(
            f"{what} cannot be sent to this model. Leave it out.", code="unsupported_item", param=self._place
        )

    # --- parts ----------------------------------------------------------------------------------

    def _text_blocks(self, text: str) -> list[Block]:
        return [{"type": "text", "text": text}] if _has_words(text) else []

    def _blocks(self, content: str | list[Part], role: str) -> list[Block]:
        if isinstance(content, str):
            return self._text_blocks(content)
        blocks = [self._block(part) for part in content]
        found = [block for block in blocks if block["type"] != "text" or _has_words(block["text"])]
        if role == "user":
            return found
        for block in found:
            if block["type"] != "text":
                raise BadRequest(
                    f"A message of the role {role!r} can hold only text for this model.",
                    code="unsupported_part",
                    param=self._place,
                )
        return found

    def _block(self, part: Part) -> Block:
        match part:
            case Text():
                extra = part.extra or {}
                self._refuse_others(extra, _MARKS)
                return {"type": "text", "text": part.text, **_mark(extra)}
            case Image():
                return self._picture(part.url)
            case Unknown():
                return {**self._unknown_block(part), **_mark(part.raw)}

    def _unknown_block(self, part: Unknown) -> Block:
        match read_part(part):
            case Image() as image:
                return self._picture(image.url)
            case Document() as document:
                return self._document(document)
            case Declined() as declined:
                return {"type": "text", "text": declined.text}
            case Sound():
                raise self._no_such_part("Sound", "Send its transcript as text.")
            case PictureFile():
                raise self._no_such_part("A picture by a file's id", "Send its bytes or its address.")
            case None:
                kind = part.raw.get("type")
                raise self._no_such_part(f"A content part of type {kind!r}", "Leave it out.")

    def _picture(self, url: str) -> Block:
        """`detail` is a hint for which Anthropic has no place: it scales pictures by itself."""
        split = split_data_url(url)
        if split is None:
            if not url.lower().startswith("https://"):
                raise self._no_such_part("A picture by such an address", "Send an https URL or a data URL.")
            return {"type": "image", "source": {"type": "url", "url": url}}
        media_type, encoded = split
        media_type = "image/jpeg" if media_type == "image/jpg" else media_type
        if media_type not in _PICTURES:
            raise self._no_such_part(f"A picture of type {media_type[:64]!r}", "Send a JPEG, PNG, GIF or WebP.")
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": encoded}}

    def _document(self, document: Document) -> Block:
        media_type = document.media_type
        if document.file_id is not None:
            raise self._no_such_part("A file by its id", "Send its bytes as 'file_data'.")
        if document.data_base64 is not None and media_type in _PICTURES:
            return self._picture(f"data:{media_type};base64,{document.data_base64}")
        block: Block = {"type": "document", "source": self._source(document)}
        if document.filename is not None:
            block["title"] = document.filename[:500]
        return block

    def _source(self, document: Document) -> Block:
        media_type, text = document.media_type, document.text
        if document.url is not None and media_type in (None, "application/pdf"):
            return {"type": "url", "url": document.url}
        if document.url is not None:
            raise self._no_such_part("A file that is no PDF by its address", "Send its bytes as 'file_data'.")
        if media_type == "application/pdf":
            return {"type": "base64", "media_type": media_type, "data": document.data_base64}
        if text is not None and _has_words(text):
            return {"type": "text", "media_type": "text/plain", "data": text}
        what = "An empty or unreadable text" if is_text_type(media_type) else f"A file of type {media_type!r:.64}"
        raise self._no_such_part(what, "Send a PDF, or text in UTF-8.")

    def _no_such_part(self, what: str, remedy: str) -> BadRequest:
        return BadRequest(f"{what} cannot be sent to this model. {remedy}", code="unsupported_part", param=self._place)


_REMEDIES = {
    "name": "Say the name in the content.",
    "audio": "Send its transcript as content.",
    "function_call": "Use 'tool_calls'.",
}
_LABELS = frozenset({"id", "phase", "status"})
# What answers say beside their words, and clients send back. Thoughts without a seal are read by no model.
_LEFT_OUT = _LABELS | {"annotations", "reasoning", "reasoning_content", "reasoning_details", "refusal"}
_ASSISTANT_MESSAGE = _LEFT_OUT | {"role", "content", "tool_calls"}
_MARKS = frozenset({CACHE_MARK, "cache_control"})
_TOOL_MESSAGE = _MARKS | {"role", "content", "tool_call_id", "name"}
_CALL = frozenset({"id", "type", "index", "function", "custom", "extra_content"})
_CALLED = frozenset({"name", "arguments", "input"})


def _has_words(text: str) -> bool:
    return bool(text) and not text.isspace()


def _mark(raw: dict[str, Any]) -> Block:
    """A mark for the cache: OpenAI's, in Anthropic's spelling, or Anthropic's own.

    OpenAI keeps for 30 minutes or 12 hours, Anthropic for 5 minutes or an hour.
    """
    if raw.get("cache_control") is not None:
        return {"cache_control": raw["cache_control"]}
    mark = raw.get(CACHE_MARK)
    if mark is None:
        return {}
    has_ttl = isinstance(mark, dict) and cast("dict[str, Any]", mark).get("ttl") is not None
    return {"cache_control": {"type": "ephemeral", "ttl": "1h"} if has_ttl else {"type": "ephemeral"}}


def _arguments(text: str) -> dict[str, Any]:
    """The arguments of an earlier call, which Anthropic wants as an object; broken ones stay readable in one."""
    try:
        given: Any = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, RecursionError):
        given = text
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {"arguments": given}


def _tool_name(name: str) -> str:
    """The name of a tool that was called, in the letters that Anthropic takes: other providers know more."""
    return _NO_LETTER.sub("_", name)[:_MOST_NAME_CHARS] or "_"


def _block_id(call_id: str, taken: set[str]) -> str:
    """A call's id in the letters that Anthropic takes, and once in a conversation; other providers know neither."""
    if _ITEM_ID.fullmatch(call_id) and call_id not in taken:
        return call_id
    written = f"{call_id} {len(taken)}" if call_id in taken else call_id
    return f"call_{hashlib.sha256(written.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


# --- thoughts -----------------------------------------------------------------------------------


class _Thinking(msgspec.Struct, tag_field="type", tag="thinking"):
    thinking: str
    signature: str


class _Redacted(msgspec.Struct, tag_field="type", tag="redacted_thinking"):
    data: str


class _Sealed(msgspec.Struct):
    model: str
    block: _Thinking | _Redacted


def _thought(seal: Any, model: str) -> Block | None:
    """The thinking block that a seal holds; None where it is no seal of this model's, for it reads no other."""
    value = opened("anthropic.1:", seal) if isinstance(seal, str) else None
    try:
        held = msgspec.convert(value, _Sealed)
    except msgspec.ValidationError:
        return None
    return cast("Block", msgspec.to_builtins(held.block)) if held.model == model else None
