"""Ollama keeps what every provider has to keep."""

from __future__ import annotations

from pointsman_testing import OllamaApi
from pointsman_testing.kit import ProviderConformance


class TestOllama(ProviderConformance):
    provider = "ollama"
    model = "llama3.2"
    key = "ollama-0123456789"
    dialect = OllamaApi()
