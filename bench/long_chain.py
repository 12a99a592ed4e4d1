"""A chain of turns that is far longer than its model reads at once, on the model that runs on this machine.

    python -m bench.long_chain [--turns N] [--tokens N] [--strategy NAME] [--folder FOLDER]

serves the development configuration's model with a feature that sums up, says in the third turn what is to be
remembered, small talk in all others, and asks for it in the end. Nothing is said while a summary is being made. It
prints a line for every twentieth turn, then one JSON object:

    prompt_tokens      what the model read, by its own count; beside it the most that it may be
    off_by             the most by which a turn's own count of its prompt was another, as a share
    summaries          how many were made, and how many items the last one stands for
    told               what the last turn was told by its receipt, and whether the words of the third are in it: in the
                       fact, and in the summary that its receipt names
    answer             what the model made of that: no figure, for it is a small one
    turn_s             seconds a turn, with all that went on behind it

SmolLM2-135M must lie on this machine (`frontdesk models pull smollm2-135m`).
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bench import machine
from bench.processes import Server, free_port
from bench.sessions import begin_session

_KEY = "fd_sk_bench-key-that-opens-nothing-real"
_MODEL = "local/smollm2-135m"
_THIRD = "Please remember that my dog is called Rex."
_NAME = "rex"
_LAST = "What is the name of my dog?"
_TOPICS = (
    "the weather",
    "a good soup",
    "the sea",
    "old maps",
    "trains",
    "bread",
    "the moon",
    "gardens",
    "chess",
    "tea",
)
_TALK = "Question {number}: what is good to know about {topic}?"
_ANSWER_TOKENS = 32
_WORDS, _SUMMARY_TOKENS = 50, 150
_TOLD_EVERY = 20
_TIMEOUT_S = 300.0
_SETTLE_S = 120.0
_LOOK_EVERY_S = 0.05


class Spoken(NamedTuple):
    """A turn: its response, what its model read, what was counted before, and how long it took."""

    response: dict[str, Any]
    receipt: dict[str, Any]
    took_s: float

    @property
    def read_tokens(self) -> int:
        """By the model's own count."""
        return self.response["usage"]["input_tokens"]

    @property
    def off_by(self) -> float:
        """How far the count before was from it, as a share."""
        return abs(self.receipt["context"]["tokens"] - self.read_tokens) / self.read_tokens


class Talk:
    """A chain of turns with a served Frontdesk."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._token = begin_session(port, _KEY)
        self._previous: str | None = None

    def say(self, text: str) -> Spoken:
        """Say something, and return what came of it."""
        body = {"input": text, "temperature": 0, **({"previous_response_id": self._previous} if self._previous else {})}
        began = time.monotonic()
        response = self.ask("/v1/responses", body)
        took_s = time.monotonic() - began
        self._previous = response["id"]
        return Spoken(response, self._receipt(response["id"]), took_s)

    def _receipt(self, response_id: str) -> dict[str, Any]:
        """The receipt of a turn, once its end is on the disk."""
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline:
            receipt = self.ask(f"/api/receipts/{response_id}")
            if receipt["status"] != "running":
                return receipt
            time.sleep(_LOOK_EVERY_S)
        raise TimeoutError(f"The end of {response_id} was not stored within {_SETTLE_S:g} s.")

    def ask(self, path: str, body: object = None) -> Any:
        """Ask anything of the server."""
        wanted = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(wanted, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - a loopback address
            return json.load(answer)


def main() -> None:
    """Talk, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.long_chain", description="A long chain on the local model.")
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=800, help="the most that is told (default: %(default)s)")
    parser.add_argument("--strategy", choices=("window", "summary"), default="summary")
    parser.add_argument("--folder", default=".", help="on the disk that will be used")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder, port = Path(place), free_port()
        config = folder / "frontdesk.yaml"
        config.write_text(yaml.safe_dump(_settings(folder, given.strategy, given.tokens)))
        command = ("-m", "frontdesk", "serve", "--config", str(config), "--port", str(port))
        with Server("frontdesk", port, folder, command, {"FRONTDESK_ADMIN_KEY": _KEY}):
            talk = Talk(port)
            spoken: list[Spoken] = []
            for number in range(1, given.turns + 1):
                spoken.append(_told_of(number, talk.say(_text(number, given.turns))))
                _await_jobs(folder)
            facts = [fact["words"] for fact in talk.ask("/api/facts")["data"]]
            summaries = _summaries(folder)
    print(json.dumps({"machine": machine.describe(), **_figures(spoken, facts, summaries, given.tokens)}, indent=2))


def _settings(folder: Path, strategy: str, tokens: int) -> dict[str, Any]:
    context: dict[str, Any] = {"strategy": strategy, "tokens": tokens, "facts": True}
    if strategy == "summary":
        context["summary"] = {"words": _WORDS}
    return {
        "database": f"sqlite:///{folder / 'frontdesk.db'}",
        "providers": {"local": {"kind": "local", "model": "smollm2-135m"}},
        "models": {"fast": {"route": [_MODEL]}},
        "default_model": "fast",
        "features": {
            "chat": {
                "models": ["fast"],
                "instructions": "Be brief.",
                "max_output_tokens": _ANSWER_TOKENS,
                "client_may": ["parameters"],
                "context": context,
            },
            "summaries": {"models": ["fast"], "max_output_tokens": _SUMMARY_TOKENS},
        },
        "default_feature": "chat",
        "tiers": {"free": {}},
        "default_tier": "free",
    }


def _text(number: int, last: int) -> str:
    if number == last:
        return _LAST
    text = _TALK.format(number=number, topic=_TOPICS[number % len(_TOPICS)])
    return f"{_THIRD} {text}" if number == 3 else text


def _told_of(number: int, spoken: Spoken) -> Spoken:
    if number % _TOLD_EVERY == 0 or number <= 3:
        context = spoken.receipt["context"]
        told = {"summary": context.get("summary"), "facts": context.get("facts", 0), "items": context["items"]}
        print(f"turn {number}: {spoken.read_tokens} tokens, {spoken.took_s:.1f} s, {json.dumps(told)}", flush=True)
    return spoken


# --- what is stored -----------------------------------------------------------------------------


def _rows(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "frontdesk.db", timeout=30) as database:
        return database.execute(statement).fetchall()


def _await_jobs(folder: Path) -> None:
    """Wait until no summary is being made: people take their time as well, and this machine has two cores."""
    deadline = time.monotonic() + _SETTLE_S
    open_jobs = "SELECT count(*) FROM job WHERE kind IN ('summary', 'remember') AND finished_at_ms IS NULL"
    while _rows(folder, open_jobs) != [(0,)] and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)


def _summaries(folder: Path) -> dict[str, tuple[int, str]]:
    """Of how many items each is, and what it says, by its anchor; in the order in which they were made."""
    rows = _rows(folder, "SELECT anchor, items, content FROM summary ORDER BY created_at_ms")
    return {anchor: (items, content) for anchor, items, content in rows}


# --- figures ------------------------------------------------------------------------------------


def _figures(
    spoken: list[Spoken], facts: list[str], summaries: dict[str, tuple[int, str]], budget: int
) -> dict[str, Any]:
    last = spoken[-1]
    context = last.receipt["context"]
    told: dict[str, Any] | None = context.get("summary")
    items, words = (0, "") if told is None else summaries[told["anchor"]]
    read = [each.read_tokens for each in spoken]
    took_s = sorted(each.took_s for each in spoken)
    return {
        "turns": len(spoken),
        "said_tokens": sum(each.response["usage"]["output_tokens"] for each in spoken),
        "prompt_tokens": {"budget": budget, "most": max(read), "median": statistics.median(read), "last": read[-1]},
        "off_by": round(max(each.off_by for each in spoken), 4),
        "summaries": {"made": len(summaries), "last_stands_for": items},
        "told": {
            "facts": context.get("facts", 0),
            "fact_has_it": any(_NAME in fact.lower() for fact in facts),
            "summary": told is not None,
            "summary_has_it": _NAME in words.lower(),
        },
        "facts": facts,
        "summary": words,
        "answer": last.response["output"][-1]["content"][0]["text"],
        "turn_s": {"median": round(statistics.median(took_s), 2), "most": round(took_s[-1], 1)},
    }


if __name__ == "__main__":
    main()
