"""Providers, put together: each of a configuration by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from frontdesk.core.clock import Clock
from frontdesk.core.config import Config, Environment
from frontdesk.core.config import Provider as ProviderConfig
from frontdesk.providers.anthropic import AnthropicProvider
from frontdesk.providers.azure import open_azure
from frontdesk.providers.gemini import GeminiProvider
from frontdesk.providers.local import LocalProvider
from frontdesk.providers.openai import OpenAIProvider
from frontdesk.providers.profiles import OPENAI, profile_of
from frontdesk.providers.scripted import ScriptedProvider
from frontdesk.turn.seams import Provider

_OPENAI_URL = "https://api.openai.com/v1"
_ANTHROPIC_URL = "https://api.anthropic.com"
_GEMINI_URL = "https://generativelanguage.googleapis.com"


class _Closing(Protocol):
    async def close(self) -> None: ...


class Providers:
    """All providers of a configuration, by name."""

    def __init__(self, config: Config, environment: Environment, clock: Clock) -> None:
        self._clock = clock
        self._remotes: list[_Closing] = []
        self._locals: dict[str, LocalProvider] = {}
        self._by_name: dict[str, Provider] = {
            name: self._open(name, settings, environment) for name, settings in config.providers.items()
        }

    def find(self, name: str) -> Provider:
        """The provider of this name."""
        return self._by_name[name]

    def warm(self) -> None:
        """Start what takes a while to start."""
        for local in self._locals.values():
            local.warm()

    def states(self) -> dict[str, str]:
        """How each local model is, by its route."""
        return {
            f"{provider}/{model}": state.kind
            for provider, local in self._locals.items()
            for model, state in local.states().items()
        }

    async def close(self) -> None:
        """Close connections and end local models."""
        for remote in self._remotes:
            await remote.close()
        for local in self._locals.values():
            await local.close()

    def _open(self, name: str, settings: ProviderConfig, environment: Environment) -> Provider:
        match settings.kind:
            case "scripted":
                return ScriptedProvider()
            case "local":
                local = self._locals[name] = LocalProvider(
                    environment.home,
                    self._clock,
                    model=settings.model or name,
                    path=None if settings.path is None else Path(settings.path),
                    threads=settings.threads,
                    context_tokens=settings.context_tokens,
                )
                return local
            case _:
                remote = self._open_remote(settings)
                self._remotes.append(remote)
                return remote

    def _open_remote(self, settings: ProviderConfig) -> OpenAIProvider | AnthropicProvider | GeminiProvider:
        key, clock, idle_timeout_s = settings.api_key or "", self._clock, settings.idle_timeout_s
        match settings.kind:
            case "anthropic":
                marks = settings.prompt_cache != "off"
                url = settings.base_url or _ANTHROPIC_URL
                return AnthropicProvider(url, key, idle_timeout_s, clock, marks_cache=marks)
            case "gemini":
                return GeminiProvider(settings.base_url or _GEMINI_URL, key, idle_timeout_s, clock)
            case "azure-openai":
                api, version = settings.api or "auto", settings.api_version
                return open_azure(settings.base_url or "", key, version, idle_timeout_s, clock, api=api)
            case _:
                url = settings.base_url or _OPENAI_URL
                marks = settings.prompt_cache != "off"
                return OpenAIProvider(
                    url,
                    settings.api_key,
                    OPENAI if settings.kind == "openai" else profile_of(settings.vendor, url, marks_cache=marks),
                    settings.api or "auto",
                    idle_timeout_s,
                    clock=clock,
                    reports_cost=settings.reports_cost,
                )
