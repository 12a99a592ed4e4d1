"""Histories for tests: questions, answers, calls with their outputs, thoughts, pictures and files, each told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from frontdesk.policies.history import Recalled, is_plain
from frontdesk.turn.items import Image, Item, Message, Part, Prompt, Text, ToolCall, ToolOutput, Unknown

FILE = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}


class CharTokens:
    """Counts a token for each character, and so many for what is no text."""

    def __init__(self) -> None:
        self.counted = 0

    def count(self, model: str, items: Sequence[Item]) -> list[int]:
        self.counted += len(items)
        return [size_of(item) for item in items]

    def known_sum(self, model: str, messages: Sequence[Message]) -> int | None:
        return sum(map(size_of, messages))

    def around(self, model: str, prompt: Prompt) -> int:
        return 3 + len(prompt.instructions or "")


class WaitingTokens(CharTokens):
    """The same, where somebody else counts."""

    def count(self, model: str, items: Sequence[Item]) -> Any:
        return self._later(super().count(model, items))

    def around(self, model: str, prompt: Prompt) -> Any:
        return self._later(super().around(model, prompt))

    async def _later(self, value: Any) -> Any:
        return value


def size_of(item: Item) -> int:
    """The tokens of an item."""
    match item:
        case Message(content=content):
            return 4 + _content_size(content)
        case ToolOutput(output=output):
            return 4 + _content_size(output)
        case ToolCall():
            return 8 + len(item.arguments)
        case _:
            return 10


def whole_size(prompt: Prompt) -> int:
    """The tokens of a prompt."""
    return CharTokens().around("", prompt) + sum(map(size_of, prompt.items))


def _content_size(content: str | list[Part]) -> int:
    if isinstance(content, str):
        return len(content)
    return sum(len(part.text) if isinstance(part, Text) else 300 for part in content)


def name_of(item: Item) -> str:
    """What tells an item from all others of a history, also where it is told in part."""
    match item:
        case Message(content=str(text)):
            return text.split(" ", 1)[0]
        case Message(content=[Text(text), *_]):
            return text.split(" ", 1)[0]
        case ToolCall(call_id=call_id):
            return f"call {call_id}"
        case ToolOutput(call_id=call_id):
            return f"output {call_id}"
        case Unknown(raw=raw):
            return raw["id"]
        case _:
            raise AssertionError(item)


def said(*kinds: str, chars: int = 40) -> list[Item]:
    """A history by its kinds: `q` and `a` are messages, `d` a developer's, `t` a thought, `c1` a call, `o1` its output.

    A number behind a colon is how many characters its words have: `q:300`. `p` is a question with a picture, `f` one
    with a file.
    """
    items: list[Item] = []
    for place, kind in enumerate(kinds):
        what, _, length = kind.partition(":")
        words = f"{what}#{place} ".ljust(int(length or chars), ".")
        match what[0]:
            case "c":
                items.append(ToolCall(what[1:], "look", "{}"))
            case "o":
                items.append(ToolOutput(what[1:], words))
            case "t":
                raw = {"type": "reasoning", "id": f"rs_{place}", "summary": []}
                items.append(Unknown(raw, "responses"))
            case "p":
                items.append(Message("user", [Text(words), Image("https://example.com/a.png")]))
            case "f":
                items.append(Message("user", [Text(words), Unknown(FILE, "responses")]))
            case role:
                items.append(Message({"q": "user", "a": "assistant", "d": "developer"}[role], words))
    return items


_WORDS = st.sampled_from([0, 20, 60, 200, 900])


@st.composite
def _exchange(draw: st.DrawFn) -> list[str]:
    """A question, perhaps calls one by one or side by side, an answer, perhaps none."""
    kinds = [f"{draw(st.sampled_from('qqqqpfd'))}:{draw(_WORDS)}"]
    for _ in range(draw(st.integers(0, 3))):
        calls = draw(st.integers(1, 2))
        if draw(st.booleans()):
            kinds.append("t")
        kinds += ["c"] * calls
        kinds += [f"o:{draw(_WORDS)}"] * calls
    if draw(st.integers(0, 5)):
        kinds += [*["t"] * draw(st.integers(0, 1)), f"a:{draw(_WORDS)}"]
    return kinds


@st.composite
def histories(draw: st.DrawFn, *, reuses_ids: bool = False) -> list[Item]:
    """A conversation of some exchanges; servers that name all calls alike are among those who `reuses_ids`."""
    kinds = [kind for each in draw(st.lists(_exchange(), min_size=1, max_size=8)) for kind in each]
    named: list[str] = []
    calls = outputs = 0
    for kind in kinds:
        if kind == "c":
            calls += 1
            named.append(f"c{calls % 2 if reuses_ids else calls}")
        elif kind[0] == "o":
            outputs += 1
            named.append(kind.replace("o", f"o{outputs % 2 if reuses_ids else outputs}", 1))
        else:
            named.append(kind)
    return said(*named)


def recalled(items: Sequence[Item]) -> list[Recalled]:
    """A history as what was stored."""
    return [
        Recalled(name_of(item), item, response=f"resp_{place // 3}", is_plain=is_plain(item))
        for place, item in enumerate(items)
    ]
