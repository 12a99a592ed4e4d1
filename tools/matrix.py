"""What each dialect of a provider can say, tried: the tables of docs/providers.md.

    python -m tools.matrix            says where the page is not what the code does
    python -m tools.matrix --write    writes what it does

Each feature is a request as a caller sends it. It is read by the wire, told by the provider's adapter to the scripted
upstream in its own dialect, and answered. What is seen then is the table:

    works      the provider was told it as the caller said it, and the answer is right
    mapped     the answer is right, and the provider was told it in other words
    refused    the caller is told, by the field's name, that this provider has no such thing
    hint       no answer depends on it: it is taken, and not told
    absent     the answer is right without what was asked for besides
    lost       none of these, which is a fault of ours: nothing may be dropped in silence
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from frontdesk.core.clock import SystemClock
from frontdesk.core.config import parse_config, read_environment
from frontdesk.core.errors import BadRequest, FrontdeskError
from frontdesk.turn.events import Event
from frontdesk.turn.items import Request
from frontdesk.upstream.server import UpstreamServer
from frontdesk.wire.openai_chat import read_chat
from frontdesk.wire.openai_embeddings import read_embeddings
from frontdesk.wire.openai_responses import read_responses
from frontdesk.wiring.providers import Providers
from tools.matrix_features import FEATURES, Answer, Feature

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "providers.md"
WRITES = "`python -m tools.matrix --write`"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A provider as a configuration names it, and a model of it."""

    name: str
    kind: str
    model: str
    settings: Mapping[str, str] | None = None

    def configuration(self, url: str) -> Json:
        """The configuration that asks this model of an upstream at `url`."""
        is_origin = self.kind in ("anthropic", "gemini", "azure-openai")
        provider = {"kind": self.kind, "api_key": "k-test-matrix", "base_url": url if is_origin else f"{url}/v1"}
        return {
            "providers": {"p": {**provider, **(self.settings or {})}},
            "models": {"m": {"route": [f"p/{self.model}"]}},
        }


DIALECTS = (
    Column("OpenAI, Responses", "openai", "gpt-5.2", {"api": "responses"}),
    Column("OpenAI, Chat", "openai", "gpt-5.2", {"api": "chat"}),
    Column("Azure OpenAI", "azure-openai", "my-deployment"),
    Column("Anthropic", "anthropic", "claude-sonnet-4-5"),
    Column("Gemini", "gemini", "gemini-3-pro-preview"),
)
VENDORS = tuple(
    Column(name, "openai-compatible", model, {"vendor": vendor})
    for name, vendor, model in (
        ("vLLM", "vllm", "llama-3.3-70b"),
        ("Ollama", "ollama", "qwen3"),
        ("llama.cpp", "llama-cpp", "qwen3"),
        ("Mistral", "mistral", "mistral-large-latest"),
        ("Groq", "groq", "llama-3.3-70b-versatile"),
        ("Together", "together", "llama-3.3-70b"),
        ("DeepSeek", "deepseek", "deepseek-chat"),
        ("OpenRouter", "openrouter", "openai/gpt-5.2"),
    )
)


# --- trying -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a feature fares with a provider: one of the words of the module. `why` is for faults."""

    word: str
    param: str | None = None
    why: str = ""


@asynccontextmanager
async def opened(column: Column) -> AsyncGenerator[tuple[UpstreamServer, Providers]]:
    """A provider's adapter, and the scripted upstream that it asks."""
    server = UpstreamServer()
    await server.start()
    config = parse_config(msgspec.json.encode(column.configuration(server.url)).decode(), {})
    providers = Providers(config, read_environment({}), SystemClock())
    try:
        yield server, providers
    finally:
        await providers.close()
        await server.stop()


async def tried(column: Column) -> list[Outcome]:
    """Try all features with one provider, in their order."""
    async with opened(column) as (server, providers):
        return [await _try(feature, server, providers, column.model) for feature in FEATURES]


async def _try(feature: Feature, server: UpstreamServer, providers: Providers, model: str) -> Outcome:
    server.journal.clear()
    server.rules.replace(msgspec.json.encode([{"script": feature.script}]))
    events: list[Event] = []
    try:
        async with aclosing(providers.find("p").answer(_read(feature), model)) as batches:
            async for batch in batches:
                events.extend(batch)
    except BadRequest as error:
        records = list(server.journal.since())
        if error.code.startswith("unsupported_") and error.param and not records:
            return Outcome("refused", error.param)
        return Outcome("lost", error.param, f"{error.code}: {error.message}")
    except FrontdeskError as error:
        return Outcome("lost", None, str(error))
    if feature.may_be_absent and events and Answer(events).is_whole and not feature.is_right(Answer(events)):
        return Outcome("absent")
    if not events or not feature.is_right(Answer(events)):
        return Outcome("lost", None, f"the answer is not right: {events!r:.400}")
    (record,) = server.journal.since()
    assert isinstance(record.body, msgspec.Raw)
    said = list(_values(msgspec.json.decode(record.body)))
    if all(value in said for value in feature.told):
        return Outcome("works")
    return Outcome("hint" if feature.is_hint else "mapped")


def _read(feature: Feature) -> Request:
    body = msgspec.json.encode({"model": "m", **feature.body})
    match feature.door:
        case "chat":
            return read_chat(body).prompt
        case "responses":
            return read_responses(body).prompt
        case _:
            return read_embeddings(body).request


def _values(value: Any) -> Iterator[object]:
    """Every value of a body, and those that texts hold as JSON or as an address of data."""
    yield value
    if isinstance(value, dict):
        for name, inner in cast("Json", value).items():
            yield name
            yield from _values(inner)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _values(inner)
    elif isinstance(value, str) and "base64," in value:
        yield value.partition("base64,")[2]


# --- the page -----------------------------------------------------------------------------------

_BEGINS, _ENDS = "<!-- tables -->", "<!-- end of tables -->"
_MARKS = {
    "works": "works",
    "mapped": "mapped",
    "refused": "refused",
    "hint": "hint",
    "absent": "absent",
    "lost": "LOST",
}


async def tables_of() -> str:
    """The tables of the page."""
    return "\n".join([await _table("Dialects", DIALECTS), "", await _table("Vendors of OpenAI's dialect", VENDORS)])


async def _table(title: str, columns: Sequence[Column]) -> str:
    found = [await tried(column) for column in columns]
    lines = [f"## {title}", ""]
    family = None
    for place, feature in enumerate(FEATURES):
        if feature.family != family:
            family = feature.family
            lines += ["", f"### {family}", ""] if lines[-1] else [f"### {family}", ""]
            lines += [
                "| " + " | ".join(["", *(column.name for column in columns)]) + " |",
                "|---" * (len(columns) + 1) + "|",
            ]
        lines.append("| " + " | ".join([feature.name, *(_MARKS[each[place].word] for each in found)]) + " |")
    return "\n".join(lines)


def with_tables(page: str, made: str) -> str:
    """A page with its tables exchanged."""
    before, _, rest = page.partition(_BEGINS)
    _, _, after = rest.partition(_ENDS)
    return f"{before}{_BEGINS}\n\n{made}\n\n{_ENDS}{after}"


def main(arguments: list[str]) -> int:
    """Check the page, or write it. Returns the exit code."""
    page = PAGE.read_text()
    made = with_tables(page, asyncio.run(tables_of()))
    if arguments == ["--write"]:
        PAGE.write_text(made)
        return 0
    if made != page:
        print(f"docs/providers.md is not what the code does; {WRITES} writes it, if that is right")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
