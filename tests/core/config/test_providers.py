"""Providers of every kind, and the routes that lead to them."""

from __future__ import annotations

import pytest

from frontdesk.core.config import parse_config
from frontdesk.core.config.vendors import OWN_ADDRESSES, VENDORS
from tests.core.config.problems import problems_of

KEYED = "providers: {p: {kind: openai, api_key: sk-test-fake}, q: {kind: scripted}}\n"


@pytest.mark.parametrize(
    ("provider", "missing"),
    [
        ("{kind: openai}", "providers.p.api_key is missing."),
        ("{kind: anthropic}", "providers.p.api_key is missing."),
        ("{kind: gemini}", "providers.p.api_key is missing."),
        ("{kind: azure-openai, base_url: 'https://x.example'}", "providers.p.api_key is missing."),
        ("{kind: azure-openai, api_key: k-test}", "providers.p.base_url is missing."),
        ("{kind: openai-compatible}", "providers.p.base_url is missing."),
        ("{kind: openai-compatible, vendor: vllm}", "providers.p.base_url is missing."),
        (
            "{kind: openai-compatible, vendor: grok}",
            "providers.p.vendor is 'grok', whose ways nobody knows here. Did you mean 'groq'?",
        ),
        ("{kind: anthropic, api_key: k-test, base_url: 'https://x.example/v1/'}", "base_url ends in '/v1', which"),
        ("{kind: gemini, api_key: k-test, base_url: 'https://x.example/v1beta'}", "base_url ends in '/v1beta', which"),
        (
            "{kind: azure-openai, api_key: k-test, base_url: 'https://x.example', api_version: v2}",
            "providers.p.api_version is 'v2'. It must be v1, preview, or a date such as 2024-10-21.",
        ),
        ("{kind: anthropic, api_key: k-test, api: chat}", "means nothing to a provider of kind 'anthropic'"),
        ("{kind: gemini, api_key: k-test, prompt_cache: auto}", "means nothing to a provider of kind 'gemini'"),
        ("{kind: openai, api_key: k-test, vendor: groq}", "means nothing to a provider of kind 'openai'"),
    ],
)
def test_what_a_kind_of_provider_needs_and_takes(provider: str, missing: str) -> None:
    told = problems_of(f"providers: {{p: {provider}}}")

    assert any(missing in each for each in told), told


@pytest.mark.parametrize("kind", OWN_ADDRESSES)
def test_a_kind_of_one_company_has_its_address(kind: str) -> None:
    """What a provider charges is known by its address, so the one that is asked must be written down."""
    config = parse_config(f"providers: {{p: {{kind: {kind}, api_key: k-test}}}}", {})

    assert config.providers["p"].base_url == OWN_ADDRESSES[kind]


def test_what_follows_from_another_mistake_is_not_told() -> None:
    wrong = "providers: {p: {kind: openai-compatible, vendor: grok, slots: {spare: 1}}}"

    told = problems_of(wrong)

    assert len(told) == 2, told


@pytest.mark.parametrize("vendor", [name for name, url in VENDORS.items() if url is not None])
def test_a_vendor_has_an_address(vendor: str) -> None:
    key = "" if "127.0.0.1" in str(VENDORS[vendor]) else ", api_key: k-test"
    config = parse_config(f"providers: {{p: {{kind: openai-compatible, vendor: {vendor}{key}}}}}", {})

    assert config.providers["p"].base_url == VENDORS[vendor]
    assert config.providers["p"].api == "chat"


def test_a_written_address_goes_before_a_vendors() -> None:
    text = "providers: {p: {kind: openai-compatible, vendor: ollama, base_url: 'http://127.0.0.1:9/v1'}}"

    assert parse_config(text, {}).providers["p"].base_url == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("retries: {most: 11}", "providers.p.retries.most is 11. It must be from 0 to 10."),
        ("retries: {budget: -1}", "providers.p.retries.budget is -1. It must be from 0 to 10."),
        ("breaker: {share: 0}", "providers.p.breaker.share is 0. It must be from 0.01 to 1."),
        (
            "breaker: {open_s: 60, longest_open_s: 30}",
            (
                "providers.p.breaker.open_s is 60, more than longest_open_s, which is 30: it would never be reached. "
                "Lower it, or raise longest_open_s."
            ),
        ),
        ("retries: {base_s: 9}", "providers.p.retries.base_s is 9, more than longest_s, which is 8:"),
        ("first_event_s: 3, attempt_s: 2", "providers.p.first_event_s is 3, more than attempt_s, which is 2:"),
        ("slots: {concurrent: 0}", "providers.p.slots.concurrent is 0. It must be from 1 to 100000."),
        ("slots: {concurrent: 4, spare: 4}", "providers.p.slots.spare is 4. It must be from 0 to 3."),
        ("slots: {}", "providers.p.slots.concurrent is missing."),
        ("first_event_s: 0", "providers.p.first_event_s is 0. It must be from 0.001 to 86400."),
        ("attempt_s: .nan", "providers.p.attempt_s is nan. It must be from 0.001 to 86400."),
    ],
)
def test_numbers_of_resilience_have_ranges(settings: str, told: str) -> None:
    problems = problems_of(f"providers: {{p: {{kind: openai, api_key: sk-test-fake, {settings}}}}}")

    assert any(told in each for each in problems), problems


def test_a_step_of_a_route_may_be_weighted() -> None:
    config = parse_config(f"{KEYED}models: {{m: {{route: [{{p/a: 5, p/b: 95}}, q/echo, p/a]}}}}", {})

    model = config.models["m"]
    assert model.steps == [{"p/a": 5, "p/b": 95}, {"q/echo": 1}, {"p/a": 1}]
    assert model.routes == ["p/b", "p/a", "q/echo"]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("route: []", "models.m.route is empty."),
        ("route: [{}]", "models.m.route[0] is empty."),
        ("route: [{p/a: 0}]", "models.m.route[0] has no weight above 0"),
        ("route: [{p/a: -1, p/b: 2}]", "is -1. It must be from 0 to 1000000."),
        ("route: [{p: 1}]", "models.m.route has 'p'. Write it as 'provider/model'."),
        ("route: [{x/a: 1}]", "models.m.route names 'x', which is not configured."),
        ("route: [p/a], shadow: {to: x/a}", "models.m.shadow names 'x', which is not configured."),
        ("route: [p/a], shadow: {to: p/b, share: 2}", "models.m.shadow.share is 2. It must be from 0 to 1."),
        ("route: [p/a, p/b], hedge_after_s: 0", "models.m.hedge_after_s is 0. It must be from 0.001 to 600."),
        ("route: [p/a], hedge_after_s: 1", "models.m.hedge_after_s means nothing: the route has no other"),
    ],
)
def test_what_a_route_may_not_be(model: str, told: str) -> None:
    problems = problems_of(f"{KEYED}models: {{m: {{{model}}}}}")

    assert any(told in each for each in problems), problems


def test_a_feature_has_a_priority() -> None:
    told = problems_of(f"{KEYED}models: {{m: {{route: [p/a]}}}}\nfeatures: {{f: {{priority: fast}}}}")

    assert told == [
        "line 3: features.f.priority is 'fast'. It must be one of background, batch, draft, interactive, prefetch."
    ]
