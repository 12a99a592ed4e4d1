"""One method of one path, as the OpenAPI document tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

ANYBODY: tuple[Mapping[str, list[str]], ...] = ({"bearer": []}, {"cookie": []}, {})
PERSONS: tuple[Mapping[str, list[str]], ...] = ({"bearer": []}, {"cookie": []})
KEYS: tuple[Mapping[str, list[str]], ...] = ({"bearer": []},)
NOBODY: tuple[Mapping[str, list[str]], ...] = ()


class Operation(msgspec.Struct, frozen=True):
    """One method of one path. `answers` are by status, `failures` what it fails with beside the usual.

    `query` are parameters beside those of pages; `is_table` where the answer may be CSV as well. `is_form` where what
    is asked comes as a form with files; `contents` are the types of answers that are no JSON. `is_done_once` where the
    header Idempotency-Key counts, as at all doors.
    """

    method: str
    path: str
    name: str
    tag: str
    says: str
    answers: Mapping[int, Any]
    asks: type[msgspec.Struct] | None = None
    events: Any = None
    failures: tuple[int, ...] = ()
    security: tuple[Mapping[str, list[str]], ...] = PERSONS
    path_parameter: str | None = None
    is_paged: bool = False
    query: tuple[Mapping[str, Any], ...] = ()
    is_table: bool = False
    is_form: bool = False
    contents: tuple[str, ...] = ()
    is_done_once: bool = False


NAME = {"type": "string", "minLength": 1, "maxLength": 200}
ID = {"type": "string", "minLength": 1, "maxLength": 128}
TIME = {"type": "string", "examples": ["2026-07-01", "2026-07-01T12:00:00Z"]}
