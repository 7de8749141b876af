"""Ollama's own HTTP API, as its server speaks it: newline-delimited JSON, models that load, contexts that overflow."""

from .api import OllamaApi

__all__ = ["OllamaApi"]
