"""Where providers are: the companies of a dialect of their own, and who serves OpenAI's besides OpenAI.

How each vendor understands it is `providers.profiles`. Addresses are of the vendors' own documentation (2026-11). Of
None nobody knows where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping

VENDORS: Mapping[str, str | None] = {
    "deepseek": "https://api.deepseek.com/v1",
    "groq": "https://api.groq.com/openai/v1",
    "llama-cpp": "http://127.0.0.1:8080/v1",
    "mistral": "https://api.mistral.ai/v1",
    "ollama": "http://127.0.0.1:11434/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "together": "https://api.together.xyz/v1",
    "vllm": None,
}

OWN_ADDRESSES: Mapping[str, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
}
"""Where the kinds of provider are that belong to one company."""
