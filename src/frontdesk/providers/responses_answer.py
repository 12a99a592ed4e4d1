"""The answer of a Responses server as it comes together, event by event.

A server says each text up to five times: in deltas, in the text's `done`, in its part's, in its item's,
and in the Response at the end; some servers leave some of these out. Whatever is said first is told
at once, and each later saying is held against what was told:

    the same            nothing to tell
    longer              the rest is told: its deltas did not come
    empty, or the same but for white space around it (or for a function's arguments: within its JSON)
                        what was told stands, for servers that trim or leave out
    anything else       ProviderError: a piece of the answer was lost or garbled on its way, nobody can
                        say which text is right, and an answer that says it is whole must be

Parts of one item are told one behind the other, as events know no parts. Annotations are told once, with the
indexes that they have in all of the item's text; one that comes after the item's end comes too late.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Literal, cast

import msgspec

from frontdesk.core.errors import BadRequest, FrontdeskError, ProviderError
from frontdesk.core.ids import new_id
from frontdesk.providers.annotations import Annotations
from frontdesk.providers.refusals import SPENT, account_refused
from frontdesk.providers.usage import read_responses_usage
from frontdesk.turn.events import (
    AnnotationAdded,
    AnswerDescribed,
    ChoiceFinished,
    Event,
    ItemFinished,
    MessageStarted,
    ReasoningDelta,
    ReasoningEncrypted,
    ReasoningStarted,
    ReasoningSummaryDelta,
    ReasoningSummaryStarted,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    TurnCompleted,
    TurnIncomplete,
    UsageReported,
)

# --- what is read -------------------------------------------------------------------------------


class Part(msgspec.Struct):
    """A part of a message, of what the model thinks, or of its summary."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    logprobs: list[dict[str, Any]] | None = None
    annotations: Any = None


class Item(msgspec.Struct):
    """An item of an answer."""

    type: str = ""
    id: str | None = None
    status: str | None = None
    phase: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None


class _IncompleteDetails(msgspec.Struct):
    reason: str | None = None


class Response(msgspec.Struct):
    """A Response: inside an event, or a whole body."""

    status: str | None = None
    output: list[Item] | None = None
    usage: dict[str, Any] | None = None
    service_tier: str | None = None
    incomplete_details: _IncompleteDetails | None = None
    error: Any = None


class StreamEvent(msgspec.Struct, gc=False):
    """An event of a stream. One shape for all kinds costs a delta no more than a narrow one."""

    type: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: str | None = None
    logprobs: list[dict[str, Any]] | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    annotation: Any = None
    part: Part | None = None
    item: Item | None = None
    response: Response | None = None
    error: Any = None
    code: Any = None
    message: Any = None
    param: Any = None


# --- what becomes of it -------------------------------------------------------------------------

_ItemKind = Literal["message", "reasoning", "function_call", "custom_tool_call"]
_ITEM_KINDS: dict[str, _ItemKind] = {
    "message": "message",
    "reasoning": "reasoning",
    "function_call": "function_call",
    "custom_tool_call": "custom_tool_call",
}
_ID_PREFIX: dict[_ItemKind, str] = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "custom_tool_call": "ctc_",
}
_TextKind = Literal["text", "refusal", "reasoning", "summary", "arguments"]
_Kinds = tuple[_TextKind, _ItemKind]
_WORDS: _Kinds = ("text", "message")
_DELTAS: dict[str, _Kinds] = {
    "response.output_text.delta": _WORDS,
    "response.refusal.delta": ("refusal", "message"),
    "response.reasoning_text.delta": ("reasoning", "reasoning"),
    "response.reasoning_summary_text.delta": ("summary", "reasoning"),
    "response.function_call_arguments.delta": ("arguments", "function_call"),
    "response.custom_tool_call_input.delta": ("arguments", "custom_tool_call"),
}
_DONES: dict[str, _Kinds] = {
    "response.output_text.done": _WORDS,
    "response.refusal.done": ("refusal", "message"),
    "response.reasoning_text.done": ("reasoning", "reasoning"),
    "response.reasoning_summary_text.done": ("summary", "reasoning"),
    "response.function_call_arguments.done": ("arguments", "function_call"),
    "response.custom_tool_call_input.done": ("arguments", "custom_tool_call"),
}
_PARTS: dict[str, _Kinds] = {
    "output_text": _WORDS,
    "text": _WORDS,
    "refusal": ("refusal", "message"),
    "reasoning_text": ("reasoning", "reasoning"),
    "summary_text": ("summary", "reasoning"),
}


_ENDS = ("completed", "incomplete", "cancelled", "failed")  # from good to bad


class ResponsesAnswer:
    """One answer. `is_done` once its server said so."""

    __slots__ = ("_at", "_items", "_reports_cost", "_text", "_tier", "is_done")

    def __init__(self, *, reports_cost: bool) -> None:
        self._reports_cost = reports_cost
        self._items: list[_AnswerItem] = []
        self._at: dict[int, _AnswerItem] = {}  # by the server's output_index
        self._text: _Text | None = None  # where a message's words go now
        self._tier: str | None = None
        self.is_done = False

    def take(self, event: StreamEvent, events: list[Event]) -> None:
        """Add what an event says. Raises ProviderError or BadRequest; what was added stands."""
        kinds = _DELTAS.get(event.type)
        if kinds is None:
            self._take_rare(event, events)
            return
        words = event.delta
        text = self._text
        if (  # the hot path: the same text goes on
            kinds is _WORDS
            and text is not None
            and text.is_open
            and text.output_index == event.output_index
            and text.index == event.content_index
            and words
        ):
            text.pieces.append(words)
            events.append(TextDelta(text.item.output, words, _with_bytes(event.logprobs) if event.logprobs else None))
            return
        text = self._text_of(event, kinds, events)
        _tell(text, words or "", event.logprobs, events)
        if text.kind == "text":
            self._text = text

    def end(self, response: Response, events: list[Event]) -> None:
        """Add what a Response at the end says. Raises ProviderError or BadRequest.

        A whole one has an error of null: any other is a failure, whatever the status.
        """
        if response.status not in ("completed", "incomplete") or response.error is not None:
            raise _failure(response)
        self._describe(response, events)
        self._settle_all(response.output or (), events)
        if response.status == "completed":
            for item in self._items:
                _finish(item, events)
            reason = "tool_calls" if any(item.is_call for item in self._items) else "stop"
            terminal: Event = TurnCompleted()
        else:
            why = _incomplete_reason(response)
            reason = "length" if why == "max_output_tokens" else "content_filter"
            terminal = TurnIncomplete(why)
        events.append(ChoiceFinished(0, reason))
        said = response.usage
        usage = None if said is None else read_responses_usage(said, reports_cost=self._reports_cost)
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(terminal)
        self.is_done = True

    def _take_rare(self, event: StreamEvent, events: list[Event]) -> None:
        match event.type:
            case "response.created" | "response.in_progress" | "response.queued":
                self._describe(event.response, events)
            case "response.output_item.added" if event.item is not None:
                self._begin(event.output_index, event.item, events)
            case "response.output_item.done" if event.item is not None:
                self._settle_item(self._found(event.output_index, event.item, events), event.item, events)
            case "response.reasoning_summary_part.added":
                self._text_of(event, _PARTS["summary_text"], events)
            case "response.content_part.done" | "response.reasoning_summary_part.done" if event.part is not None:
                text = self._text_of(event, _kinds_of(event.part), events)
                _settle(text, event.part.text or event.part.refusal, event.part.logprobs, events)
                _annotate(text, event.part.annotations, events)
            case "response.output_text.annotation.added":
                _annotate(self._text_of(event, _WORDS, events), [event.annotation], events)
            case kind if kind in _DONES:
                text = self._text_of(event, _DONES[kind], events)
                said = event.text or event.refusal or event.arguments or event.input
                _settle(text, said, event.logprobs, events)
            case "response.completed" | "response.incomplete" | "response.failed":
                response = event.response or Response()
                response.status = _status_at_the_end(event.type.removeprefix("response."), response.status)
                self.end(response, events)
            case kind if kind == "error" or event.error is not None:
                raise failure_of(event.error or {"code": event.code, "message": event.message, "param": event.param})
            case kind if event.delta is not None:
                # An item's end repeats what it holds, and is read in full; a delta outside of that may not.
                raise ProviderError(f"the answer has a delta of an unknown kind: {kind[:80]!r}")
            case _:
                pass  # tells of progress only

    def _describe(self, response: Response | None, events: list[Event]) -> None:
        """Tell the service tier; "auto" repeats a wish, and no tier is called so."""
        tier = None if response is None else response.service_tier
        if tier is not None and tier not in ("auto", self._tier):
            self._tier = tier
            events.append(AnswerDescribed(service_tier=tier))

    def _begin(self, output_index: int, item: Item, events: list[Event]) -> None:
        """Begin an item, unless its beginning is said again. What it may hold already comes again at its end."""
        known = self._at.get(output_index)
        if known is None or known.is_finished or known.id != item.id:
            self._at[output_index] = self._start(item, events)
            self._text = None

    def _start(self, item: Item, events: list[Event]) -> _AnswerItem:
        kind = _ITEM_KINDS.get(item.type)
        if kind is None:
            raise ProviderError(f"the answer has an item of a type that cannot be told: {item.type[:80]!r}")
        state = _AnswerItem(kind, item.id or new_id(_ID_PREFIX[kind]), len(self._items))
        match kind:
            case "message":
                events.append(MessageStarted(state.output, state.id, phase=item.phase))
            case "reasoning":
                events.append(ReasoningStarted(state.output, state.id))
            case "function_call" | "custom_tool_call":
                if not item.name:
                    raise ProviderError("a tool call of the answer has no name")
                state.call_id = item.call_id or new_id("call_")
                call_kind = "function" if kind == "function_call" else "custom"
                events.append(ToolCallStarted(state.output, state.id, state.call_id, item.name, call_kind))
        self._items.append(state)
        return state

    def _text_of(self, event: StreamEvent, kinds: _Kinds, events: list[Event]) -> _Text:
        """The text that an event speaks of; its beginning, and its item's, may not have been said."""
        kind, item_kind = kinds
        item = self._at.get(event.output_index)
        if item is None:
            item = self._at[event.output_index] = self._start(Item(type=item_kind), events)
        if item.kind != item_kind:
            raise ProviderError(f"the answer has a {item_kind}'s text in a {item.kind}")
        index = _index_of(event, kind)
        text = item.texts[kind].get(index) or _open(item, kind, index, events)
        text.output_index = event.output_index
        return text

    def _found(self, output_index: int, item: Item, events: list[Event]) -> _AnswerItem:
        """The state of an item that is said to be whole: by its id or, where servers change ids, its place."""
        for known in self._items:
            if known.is_same(item):
                return known
        known = self._at.get(output_index)
        if known is None or known.is_finished or known.kind != item.type:
            known = self._at[output_index] = self._start(item, events)
        return known

    def _settle_all(self, items: list[Item] | tuple[()], events: list[Event]) -> None:
        """Hold the items of the whole Response against those that were told.

        Ids are as before, or all new, and an item may be left out: so where nothing tells which is
        which, the first of the same kind is meant.
        """
        open_items = list(self._items)
        for item in items:
            known = next((each for each in open_items if each.is_same(item)), None)
            if known is None:
                known = next((each for each in open_items if each.kind == item.type), None)
            if known is None:
                known = self._start(item, events)
            else:
                open_items.remove(known)
            self._settle_item(known, item, events)

    def _settle_item(self, state: _AnswerItem, item: Item, events: list[Event]) -> None:
        """Tell what of a whole item was not told yet. One that was cut short stays open: it is not whole."""
        if state.is_call:
            _settle(_nth(state, "arguments", 0, events), item.arguments or item.input, None, events)
        counts: dict[_TextKind, int] = defaultdict(int)
        for part in (*(item.summary or ()), *(item.content or ())):
            kind, item_kind = _kinds_of(part)
            if item_kind != state.kind:
                raise ProviderError(f"the answer has a {item_kind}'s text in a {state.kind}")
            text = _nth(state, kind, counts[kind], events)
            _settle(text, part.text or part.refusal, part.logprobs, events)
            _annotate(text, part.annotations, events)
            counts[kind] += 1
        if item.encrypted_content and state.kind == "reasoning" and not (state.is_sealed or state.is_finished):
            state.is_sealed = True
            events.append(ReasoningEncrypted(state.output, item.encrypted_content))
        if item.status not in ("incomplete", "in_progress"):
            _finish(state, events)


class _AnswerItem:
    __slots__ = ("annotations", "call_id", "id", "is_finished", "is_sealed", "kind", "newest", "output", "texts")

    def __init__(self, kind: _ItemKind, item_id: str, output: int) -> None:
        self.kind = kind
        self.id = item_id
        self.output = output
        self.call_id: str | None = None
        self.texts: dict[_TextKind, dict[int, _Text]] = defaultdict(dict)  # by the server's index of the part
        self.newest: _Text | None = None
        self.annotations = Annotations()
        self.is_sealed = False
        self.is_finished = False

    @property
    def is_call(self) -> bool:
        return self.call_id is not None

    def is_same(self, item: Item) -> bool:
        if item.type != self.kind:
            return False
        return item.id == self.id or (self.call_id is not None and item.call_id == self.call_id)


class _Text:
    """One text of an item: a part of its content or of its summary, or a call's arguments."""

    __slots__ = ("index", "is_open", "item", "kind", "output_index", "pieces")

    def __init__(self, item: _AnswerItem, kind: _TextKind, index: int) -> None:
        self.item = item
        self.kind: _TextKind = kind
        self.index = index
        self.output_index = -1
        self.pieces: list[str] = []
        self.is_open = True


def _open(item: _AnswerItem, kind: _TextKind, index: int, events: list[Event]) -> _Text:
    """Begin a text; the one before it has ended."""
    text = item.texts[kind][index] = _Text(item, kind, index)
    if item.is_finished:
        text.is_open = False
        return text
    if item.newest is not None:
        item.newest.is_open = False
    item.newest = text
    if kind == "summary":
        events.append(ReasoningSummaryStarted(item.output))
    return text


def _nth(item: _AnswerItem, kind: _TextKind, place: int, events: list[Event]) -> _Text:
    """The text at this place among those of its kind: deltas do not always count parts as items do."""
    texts = item.texts[kind]
    if place < len(texts):
        return list(texts.values())[place]
    return _open(item, kind, max(texts, default=-1) + 1, events)


def _settle(text: _Text, said: str | None, logprobs: list[dict[str, Any]] | None, events: list[Event]) -> None:
    """Hold the whole of a text against what was told of it, and tell the rest."""
    if not said:
        return
    told = "".join(text.pieces)
    if said == told:
        return
    if said.startswith(told):
        # The log probabilities are of all tokens, and nobody can say which of them the rest is made of.
        _tell(text, said[len(told) :], None if told else logprobs, events)
    elif not (said.strip() == told.strip() or (text.item.kind == "function_call" and _is_same_json(said, told))):
        raise ProviderError("the answer's text is not what its deltas said")


def _tell(text: _Text, words: str, logprobs: list[dict[str, Any]] | None, events: list[Event]) -> None:
    if not words:
        return
    item = text.item
    if not text.is_open:
        raise ProviderError("the answer goes on with a text that had ended")
    text.pieces.append(words)
    match text.kind:
        case "text":
            events.append(TextDelta(item.output, words, _with_bytes(logprobs) if logprobs else None))
        case "refusal":
            events.append(RefusalDelta(item.output, words))
        case "reasoning":
            events.append(ReasoningDelta(item.output, words))
        case "summary":
            events.append(ReasoningSummaryDelta(item.output, words))
        case "arguments":
            events.append(ToolArgumentsDelta(item.output, words))


def _annotate(text: _Text, said: Any, events: list[Event]) -> None:
    item = text.item
    if not said or item.is_finished or text.kind != "text":
        return
    shift = sum(len(piece) for each in item.texts["text"].values() if each.index < text.index for piece in each.pieces)
    events.extend(AnnotationAdded(item.output, each) for each in item.annotations.new_in(said, shift))


def _finish(item: _AnswerItem, events: list[Event]) -> None:
    if item.is_finished:
        return
    item.is_finished = True
    if item.newest is not None:
        item.newest.is_open = False
    events.append(ItemFinished(item.output))


def _status_at_the_end(named: str, said: str | None) -> str:
    """The worse of what an event is named and what its Response says: vLLM calls all ends `response.completed`.

    A status that is none of an end, or none at all, says nothing there; then the name counts.
    """
    return max(named, said, key=_ENDS.index) if said in _ENDS else named


def _index_of(event: StreamEvent, kind: _TextKind) -> int:
    match kind:
        case "summary":
            return event.summary_index
        case "arguments":
            return 0
        case "text" | "refusal" | "reasoning":
            return event.content_index


def _kinds_of(part: Part) -> _Kinds:
    kinds = _PARTS.get(part.type)
    if kinds is None:
        raise ProviderError(f"the answer has a part of a type that cannot be told: {part.type[:80]!r}")
    return kinds


def _is_same_json(one: str, other: str) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except (ValueError, RecursionError):
        return False


def _with_bytes(logprobs: list[dict[str, Any]]) -> list[Any]:
    """Log probabilities as events carry them: Responses' deltas leave out the bytes that Chat's have."""
    for each in logprobs:
        _add_bytes(each)
        for top in each.get("top_logprobs") or ():
            _add_bytes(top)
    return cast("list[Any]", logprobs)  # read a moment ago, and nobody else has it


def _add_bytes(token: dict[str, Any]) -> None:
    words = token.get("token")
    if token.get("bytes") is None and isinstance(words, str):
        token["bytes"] = list(words.encode())


# --- how it fails -------------------------------------------------------------------------------

_INCOMPLETE_REASONS: dict[str | None, Literal["max_output_tokens", "content_filter"]] = {
    "max_output_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}
_BUSY = frozenset({"rate_limit_exceeded", "slow_down", "server_is_overloaded"})
_TOO_MANY = 429  # what a spent account would be told had it been found before the stream began
# What would be a 400 had it been found before the stream began.
_CALLERS_MATTER = frozenset(
    {
        "invalid_prompt",
        "context_length_exceeded",
        "bio_policy",
        "cyber_policy",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_content_policy_violation",
        "invalid_image_mode",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    }
)


class _ErrorFields(msgspec.Struct):
    code: str | None = None
    type: str | None = None
    message: str | None = None
    param: str | None = None


def failure_of(error: object) -> FrontdeskError:
    """The error that a server reports inside its answer, as its code says: BadRequest or ProviderError.

    It tells the server's words as they came, of any length; they may name its address or our key.
    """
    try:
        fields = msgspec.convert(error, _ErrorFields)
    except msgspec.ValidationError:
        fields = _ErrorFields()
    code = fields.code or fields.type
    if code in _CALLERS_MATTER:
        return BadRequest(fields.message or "The model's provider refused the request.", code=code, param=fields.param)
    reason = f"the provider reports an error inside its answer: {code!r}"
    if code in SPENT:
        return account_refused(reason, _TOO_MANY)
    if code in _BUSY:
        return ProviderError(reason, status=503, code="provider_busy")
    return ProviderError(reason)


def _failure(response: Response) -> FrontdeskError:
    if response.error is not None or response.status == "failed":
        return failure_of(response.error)
    return ProviderError(f"the answer ended as {(response.status or 'nothing')[:80]!r}")


def _incomplete_reason(response: Response) -> Literal["max_output_tokens", "content_filter"]:
    said = None if response.incomplete_details is None else response.incomplete_details.reason
    reason = _INCOMPLETE_REASONS.get(said)
    if reason is None:
        raise ProviderError(f"the answer is incomplete for a reason that is not known: {said!r:.80}")
    return reason
