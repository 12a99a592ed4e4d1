"""The words of files inside a request: a dialect may put them into its prompt as text, so the guards see them.

What is UTF-8 is a text here, whatever it is said to be; all else (documents, pictures, sound) nobody reads as one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from urllib.parse import quote, unquote

_DATA_URL = re.compile(r"data:([^,]{0,300}),", re.IGNORECASE)
_PDF, _PDF_WITHIN_BYTES = b"%PDF-", 1024  # ISO 32000-1, Annex H.3.4.1: readers look for it there
_NO_TEXT = ("audio/", "image/", "video/")


def screened_file(content: str, screen: Callable[[str], str]) -> str:
    """Return a file, which is a data URL or base64, with its words replaced where it is a text."""
    url = _DATA_URL.match(content)
    if url is None:
        screened = _screened_base64(content, screen)
        return screen(content) if screened is None else screened  # what is no base64 is words as well
    kind, start = url[1].lower(), url.end()
    if kind.startswith(_NO_TEXT):
        return content
    if not kind.replace(" ", "").endswith(";base64"):
        text = unquote(content[start:])
        screened = screen(text)
        return content if screened == text else content[:start] + quote(screened)
    encoded = content[start:]
    screened = _screened_base64(unquote(encoded) if "%" in encoded else encoded, screen)
    return content if screened is None else content[:start] + screened


def text_bytes(content: str) -> int | None:
    """How large the text of a file is, which is a data URL or base64; None where it is no text.

    A PDF is none, though all of its bytes may be letters: its pages are looked at.
    """
    url = _DATA_URL.match(content)
    if url is None:
        return _text_bytes_of(content)
    kind, rest = url[1].lower(), content[url.end() :]
    if kind.startswith(_NO_TEXT):
        return None
    if not kind.replace(" ", "").endswith(";base64"):
        return _size_of_text(unquote(rest).encode("utf-8", "replace"))
    return _text_bytes_of(unquote(rest) if "%" in rest else rest)


def _text_bytes_of(encoded: str) -> int | None:
    try:
        raw = base64.b64decode(encoded)
        raw.decode()
    except ValueError:
        return None
    return _size_of_text(raw)


def _size_of_text(raw: bytes) -> int | None:
    return None if _PDF in raw[:_PDF_WITHIN_BYTES] else len(raw)


def _screened_base64(encoded: str, screen: Callable[[str], str]) -> str | None:
    """The same, screened; None where there is no text in it."""
    try:
        text = base64.b64decode(encoded).decode()
    except ValueError:
        return None
    screened = screen(text)
    return encoded if screened == text else base64.b64encode(screened.encode()).decode()
