"""Azure OpenAI: OpenAI's dialects, at addresses and with a key of its own.

    v1, the default    {resource}/openai/v1/chat/completions, .../responses; the model is the deployment's name
    v1, preview        the same with ?api-version=preview
    dated              {resource}/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21

Learn, "Azure OpenAI in Microsoft Foundry Models API lifecycle" and "REST API reference" (2026-11). What its content
filter says beside an answer (`prompt_filter_results`, `content_filter_results`, chunks without a delta that an
asynchronous filter sends late) is not read: what it takes away shows in the finish reason and in refusals.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from frontdesk.core.clock import Clock
from frontdesk.providers.endpoints import Endpoints
from frontdesk.providers.openai import OpenAIProvider
from frontdesk.providers.profiles import OPENAI, Profile

_V1 = frozenset({None, "v1", "latest", "preview"})
# What people copy from the portal: the resource, its OpenAI part, or that with a path below it.
_BELOW_RESOURCE = re.compile(r"/openai(?:/v1|/deployments(?:/.*)?|/responses)?/*$")
# From these versions on, by their day.
_KNOWS_COMPLETION_TOKENS = "2024-09-01"
_KNOWS_DEVELOPERS = "2024-12-01"


def open_azure(
    base_url: str,
    api_key: str,
    api_version: str | None,
    idle_timeout_s: float,
    clock: Clock,
    *,
    api: Literal["auto", "chat", "responses"] = "auto",
) -> OpenAIProvider:
    """Return a provider for a resource's address. Without `api_version` its v1 API is spoken.

    A dated version is asked in Chat Completions unless `api` says "responses", for it may not have the other.
    """
    if api_version not in _V1 and api == "auto":
        api = "chat"
    endpoints = azure_endpoints(base_url, api_version)
    profile = _profile_of(api_version)
    return OpenAIProvider(endpoints.base_url, api_key, profile, api, idle_timeout_s, clock=clock, endpoints=endpoints)


def azure_endpoints(base_url: str, api_version: str | None) -> Endpoints:
    """Where a resource is asked. Its address may end in a slash, in /openai, or in /openai/v1."""
    resource = _BELOW_RESOURCE.sub("", base_url).rstrip("/")
    if api_version in _V1:
        query = "api-version=preview" if api_version == "preview" else ""
        return Endpoints(f"{resource}/openai/v1", "api-key", query)
    return Endpoints(f"{resource}/openai", "api-key", f"api-version={api_version}", has_models_in_paths=True)


def _profile_of(api_version: str | None) -> Profile:
    """OpenAI's, without what came after a dated version."""
    if api_version is None or api_version in _V1 or api_version >= _KNOWS_DEVELOPERS:
        return OPENAI
    if api_version >= _KNOWS_COMPLETION_TOKENS:
        return replace(OPENAI, has_developer_role=False)
    return replace(OPENAI, has_developer_role=False, max_tokens_name="max_tokens", has_stream_options=False)
