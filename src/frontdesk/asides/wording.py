"""What is made of a model's words before anybody sees them as our own: a line, without what models put around one."""

from __future__ import annotations

import re
import secrets
import unicodedata

from frontdesk.conversations.items import folded

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3}|~~|`{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)")
_STRAY_MARKS = "*_`~ "
_LIST_MARK = re.compile(r"(?:[-+•>#]+|\d{1,2}[.)])\s+")
_OTHER_QUOTES = "'「」『』《》"
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0\u2800"  # fillers of Hangul, and no dot of Braille
_WORD = re.compile(r"\w+")
_REFUSES = re.compile(
    r"(?:sorry,|(?:i['\u2019]?m sorry|i am sorry|i can['\u2019]?t|i cannot|as an ai)\b)", re.IGNORECASE
)
_ELLIPSIS = "…"
_FENCE = "```"
_MOST_READ_CHARS = 4_000  # of an answer: a loquacious model must not cost a pattern much


def marked(texts: dict[str, str]) -> tuple[str, str]:
    """Texts as material between marks that they cannot know, each under its name; and the word of these marks."""
    mark = secrets.token_hex(4)
    return "\n".join(f"<{name} {mark}>\n{text}\n</{name} {mark}>" for name, text in texts.items()), mark


def lines_of(said: str, most_chars: int = _MOST_READ_CHARS) -> list[str]:
    """The lines of an answer that say something, each as plain words: no thoughts, no Markdown, no quotes around it."""
    said = _THOUGHTS.sub("", said[:most_chars])
    lines = (plain(line) for line in said.splitlines() if not line.lstrip().startswith(_FENCE))
    return [line for line in lines if any(char.isalnum() for char in line)]


def plain(line: str) -> str:
    """A line without Markdown, quotes around it, and characters that nobody sees."""
    line = _LINK.sub(r"\1", line).strip()
    while (mark := _LIST_MARK.match(line)) is not None:
        line = line[mark.end() :]
    while (bare := _EMPHASIS.sub(r"\2", line)) != line:
        line = bare
    line = visible(line.strip(_STRAY_MARKS))
    while len(line) > 1 and _is_quote(line[0]) and _is_quote(line[-1]):
        line = line[1:-1].strip()
    return line


def visible(text: str) -> str:
    """A text in one line, of characters that can be seen."""
    return " ".join("".join(filter(_is_visible, text)).split())


def is_refusal(said: str) -> bool:
    """Whether an answer begins as those do that give none."""
    return _REFUSES.match(said) is not None


def is_echo(line: str, instructions: str, mark: str) -> bool:
    """Whether a line repeats what the model was told rather than does it. One word alone is an answer."""
    words, told = (" ".join(_WORD.findall(folded(text))) for text in (line, instructions))
    return mark in line or (" " in words and f" {words} " in f" {told} ")


def cut(text: str, most_chars: int) -> str:
    """The beginning of a line, cut between words where that leaves more than half of it."""
    if len(text) <= most_chars:
        return text
    room = text[:most_chars]  # of which the last character is that of the ellipsis
    end = room.rfind(" ")
    return (room[:end] if end > most_chars // 2 else room[:-1]).rstrip(" ,;:.-\u2013\u2014") + _ELLIPSIS


def _is_visible(char: str) -> bool:
    return (char.isprintable() and char not in _BLANK_LETTERS) or char.isspace()


def _is_quote(char: str) -> bool:
    return "QUOTATION" in unicodedata.name(char, "") or char in _OTHER_QUOTES
