"""A small snapshot in place of the real one, whose prices are not ours to hold still."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from frontdesk.core.config import Config, Model, Provider
from frontdesk.core.config import Price as ConfiguredPrice
from frontdesk.prices.book import PriceBook

MODELS: list[dict[str, Any]] = [
    {"id": "plain", "tariffs": [{"input": "0.15", "output": "0.6"}]},
    {"id": "cached", "context_tokens": 128_000, "tariffs": [{"input": "2.5", "output": "10", "cached": "0.0375"}]},
    {"id": "embed", "tariffs": [{"input": "0.02"}]},
    {"id": "searching", "tariffs": [{"input": "1", "output": "1", "request": "0.012"}]},
    {
        "id": "stepped",
        "tariffs": [
            {"input": ["1", [[200_000, "2"]]], "output": ["4", [[100_000, "5"], [200_000, "6"]]], "cached": "0.5"}
        ],
    },
    {
        "id": "dated",
        "tariffs": [
            {"input": "4", "output": "4"},
            {"input": "3", "output": "3", "since": "2026-06-01"},
            {"input": "2", "output": "2", "since": "2026-12-01"},
        ],
    },
    {
        "id": "nightly",
        "tariffs": [
            {
                "input": "8",
                "output": "8",
                "daily": [
                    {"input": "4", "output": "4", "starts": 990, "ends": 30},
                    {"input": "1", "output": "1", "starts": 1200, "ends": 1260},
                ],
            }
        ],
    },
    {
        "id": "tiered",
        "tariffs": [
            {"input": "1", "output": "2"},
            {
                "input": "1",
                "output": "2",
                "since": "2026-06-01",
                "service_tiers": {"priority": {"input": "2", "output": "4"}, "flex": {"input": "0.5", "output": "1"}},
            },
        ],
    },
    {"id": "spoken", "match": {"starts_with": "spoken"}, "unpriced": "priced by audio_hours"},
    {"id": "spoken-words", "tariffs": [{"input": "1", "output": "1"}]},
    {
        "id": "family",
        "match": {"or": [{"equals": "Family"}, {"regex": r"^family-\d{4}-\d{2}-\d{2}$"}]},
        "tariffs": [{"input": "1", "output": "1"}],
    },
]
OTHERS: list[dict[str, Any]] = [
    {"id": "plain", "tariffs": [{"input": "7", "output": "7"}]},
    {"id": "borrowed", "tariffs": [{"input": "9", "output": "9"}]},
]


def write_snapshot(path: Path) -> None:
    """Write the small one."""
    made = {
        "package": "prices 1.0",
        "sha256": "",
        "license": "",
        "providers": [
            {"id": "openai", "api": r"https://api\.openai\.com", "models": MODELS},
            {"id": "other", "api": r"https://(?:eu\.)?other\.example(?:/|$)", "also": ["openai"], "models": OTHERS},
        ],
    }
    path.write_text(json.dumps(made))


def config(*routes: str, prices: dict[str, ConfiguredPrice] | None = None) -> Config:
    """A configuration with these routes."""
    return Config(
        providers={
            "openai": Provider("openai"),
            "other": Provider("openai-compatible", base_url="https://EU.other.example/v1"),
            "proxy": Provider("openai", base_url="https://proxy.example/v1"),
            "local": Provider("local"),
            "scripted": Provider("scripted"),
        },
        models={"fast": Model(list(routes)), "again": Model(list(routes[:1]))},
        prices=prices or {},
    )


def book(*routes: str, prices: dict[str, ConfiguredPrice] | None = None) -> PriceBook:
    """A book of these routes."""
    return PriceBook.open(config(*routes, prices=prices))


def time_of(text: str) -> float:
    """A time of UTC, in seconds since 1970."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = time_of("2026-11-23T12:00:00")
