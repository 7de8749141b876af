"""Ollama keeps what every provider has to keep."""

from __future__ import annotations

from types import MappingProxyType

from pointsman import AuthFailed, ConfigError, ModelGone
from pointsman_testing import Fault, OllamaApi
from pointsman_testing.kit import ProviderConformance


class TestOllama(ProviderConformance):
    provider = "ollama"
    model = "llama3.2"
    key = "ollama-0123456789"
    dialect = OllamaApi()
    meanings = MappingProxyType({403: (ConfigError, AuthFailed), 404: (ModelGone, ConfigError)})
    """A server may be told to keep to itself; and what answers 404 without a word is no Ollama."""
    too_long = Fault(400, message="prompt too long; exceeded max context length by 4 tokens")
    filtered = None
