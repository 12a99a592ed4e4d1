"""Who sums up: the model that is named, else the cheapest that the person may use."""

from __future__ import annotations

import pytest

from frontdesk.core.config import parse_config
from frontdesk.memory.summarising import Chosen
from frontdesk.memory.writers import CheapestWriters
from frontdesk.policies.access import Access
from frontdesk.prices.book import PriceBook
from frontdesk.turn.turn import Caller
from tests.fakes import HandClock

SETTINGS = """
providers: {{up: {{kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", api_key: sk-test-up}}}}
models:
  large: {{route: [up/large], context_tokens: 4096}}
  odd: {{route: [up/odd], context_tokens: 4096}}
  small: {{route: [up/small], context_tokens: 4096}}
  tiny: {{route: [up/tiny], context_tokens: 4096}}
  vectors: {{route: [up/vectors], kind: embeddings}}
prices:
  up/large: {{input: 3, output: 9}}
  up/small: {{input: 0.3, output: 0.9}}
  up/tiny: {{input: 0.1, output: 0.2}}
  up/vectors: {{input: 0.01}}
features:
  chat: {{models: [large, small, tiny, odd, vectors], context: {{strategy: summary, tokens: 3000}}}}
  odd: {{models: [odd, vectors]}}
{more}
tiers: {{free: {{models: [large, small, vectors]}}, paid: {{}}, quiet: {{features: [chat]}}}}
default_tier: free
"""
OWN = "  summaries: {models: [large, small]}"


@pytest.mark.parametrize(
    ("more", "tier", "feature", "named", "expected"),
    [
        ("", "free", "chat", None, Chosen("small", "chat")),
        ("", "paid", "chat", None, Chosen("tiny", "chat")),
        ("", "paid", "chat", "large", Chosen("large", "chat")),
        ("", "free", "chat", "tiny", Chosen("small", "chat")),
        ("", "paid", "odd", None, Chosen("odd", "odd")),
        ("", "free", "odd", None, None),
        (OWN, "paid", "chat", None, Chosen("small", "summaries")),
        (OWN, "paid", "odd", None, Chosen("small", "summaries")),
        (OWN, "quiet", "chat", None, None),
    ],
)
def test_who_is_asked_as_what(more: str, tier: str, feature: str, named: str | None, expected: Chosen | None) -> None:
    config = parse_config(SETTINGS.format(more=more), {})
    writers = CheapestWriters(config, Access(config), PriceBook.open(config), HandClock())

    assert writers.writer_for(Caller("user", "sess_1", "ann", tier), feature, named) == expected
