"""LangChain's standard tests of what a chat model and an embeddings model must do, both dialects."""

from __future__ import annotations

import base64
import os
from typing import Any

import httpx
import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests

_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(autouse=True)
def local_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests fetch a picture, a document and a sound from the web: here each is a pixel."""
    monkeypatch.setattr(httpx, "get", lambda *_, **__: httpx.Response(200, content=_PIXEL))
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "none is called")


class TestChatCompletions(ChatModelIntegrationTests):
    supports_anthropic_inputs = True
    supports_audio_inputs = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_image_tool_message = True
    supports_json_mode = True
    supports_pdf_inputs = True
    supports_pdf_tool_message = True
    model_override_value = "slow"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        # With an address of one's own, LangChain asks for the usage of a stream only where told to.
        return {"model": "fast", "max_retries": 0, "stream_usage": True}


class TestResponses(TestChatCompletions):
    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "fast", "max_retries": 0, "use_responses_api": True}


class TestEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        # Else LangChain sends the numbers of tokens, by a vocabulary that it would download.
        return {"model": "embed", "check_embedding_ctx_length": False}


def test_the_clients_were_told_where_by_the_environment_alone() -> None:
    assert ChatOpenAI(model="fast").root_client.base_url == f"{os.environ['OPENAI_BASE_URL']}/"
