"""Where a server of OpenAI's dialects is asked, and how it is shown the key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of a server, below `base_url`.

    `query` goes with each of them. `has_models_in_paths` says that a model's name stands in the path of what it is
    asked, as in Azure's dated versions.
    """

    base_url: str
    key_header: Literal["Authorization", "api-key"] = "Authorization"
    query: str = ""
    has_models_in_paths: bool = False

    def of_model(self, operation: str, model: str) -> str:
        """The path of what a model does: "chat/completions", "embeddings", "audio/speech"."""
        prefix = f"deployments/{quote(model, safe='')}/" if self.has_models_in_paths else ""
        return self.of_server(prefix + operation)

    def of_server(self, operation: str) -> str:
        """The path of what no model's name stands in: "responses", "files"."""
        return f"{operation}?{self.query}" if self.query else operation

    def headers(self, api_key: str | None) -> dict[str, str]:
        """The headers of every request."""
        headers = {"Accept-Encoding": "identity", "User-Agent": "frontdesk"}
        if api_key:
            headers[self.key_header] = f"Bearer {api_key}" if self.key_header == "Authorization" else api_key
        return headers
