"""What the server tells of itself and is told at run time, under /upstream."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec

from frontdesk.core.errors import BadRequest, FrontdeskError, MethodNotAllowed, NotFound
from frontdesk.upstream.dialects import Reply
from frontdesk.upstream.faults import Rules
from frontdesk.upstream.journal import Journal

_encode = msgspec.json.Encoder().encode
_CONTROL = "/upstream/"
_USUAL_REFUSAL_MS = 1000


def is_control(path: str) -> bool:
    """Whether a path is ours, and no provider's."""
    return path == "/healthz" or path.startswith(_CONTROL)


class Control:
    """Answers the paths under /upstream, and /healthz."""

    def __init__(self, journal: Journal, rules: Rules, refuse_connections: Callable[[int], None]) -> None:
        self._journal = journal
        self._rules = rules
        self._refuse_connections = refuse_connections

    def reply(self, method: str, path: str, query: str, body: bytes) -> Reply:
        """Return the response; raises a FrontdeskError where there is none."""
        match method, path:
            case "GET" | "HEAD", "/healthz":
                return Reply(200, b'{"status":"ok"}')
            case "GET", "/upstream/stats":
                return Reply(200, _encode(self._journal.totals))
            case "GET", "/upstream/journal":
                return self._records(query)
            case "DELETE", "/upstream/journal":
                self._journal.clear()
                return self._records("")
            case "GET", "/upstream/faults":
                return self._shown_rules()
            case "PUT", "/upstream/faults":
                return self._replace_rules(body)
            case "DELETE", "/upstream/faults":
                self._rules.clear()
                return self._shown_rules()
            case _:
                raise _unknown(method, path)

    def _records(self, query: str) -> Reply:
        asked = parse_qs(query)
        since = asked.get("since", ["0"])[0]
        if not since.isdecimal() or len(since) > 18:
            raise BadRequest(f"'since' is {since!r}. It is the id of a record.", code="bad_since", param="since")
        records = list(self._journal.since(int(since)))
        if asked.get("format", ["json"])[0] == "jsonl":
            return Reply(200, msgspec.json.Encoder().encode_lines(records), {"content-type": "application/x-ndjson"})
        return Reply(200, _encode({"records": records}))

    def _replace_rules(self, body: bytes) -> Reply:
        refusal = self._rules.replace(body)
        if refusal is not None:
            self._refuse_connections(_USUAL_REFUSAL_MS if refusal.at is None else refusal.at)
        return self._shown_rules()

    def _shown_rules(self) -> Reply:
        return Reply(200, _encode({"faults": self._rules.shown()}))


_PATHS = frozenset({"/healthz", "/upstream/stats", "/upstream/journal", "/upstream/faults"})


def _unknown(method: str, path: str) -> FrontdeskError:
    if path in _PATHS:
        return MethodNotAllowed(f"{path} knows no {method}.")
    return NotFound(f"There is no {path}. Known: {', '.join(sorted(_PATHS))}.")
