"""Which dialect each vendor speaks, for whoever knows it by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from .blaxel import BlaxelApi
from .dialect import Dialect
from .hf import HuggingFaceApi
from .modal import ModalEndpoint
from .ollama import OllamaApi
from .openai import OpenAIChat
from .sambanova import SambaNovaApi

DIALECTS: Mapping[str, Callable[[], Dialect]] = MappingProxyType(
    {
        "sambanova": SambaNovaApi,
        "blaxel": BlaxelApi,
        "hf": HuggingFaceApi,
        "ollama": OllamaApi,
        "modal": ModalEndpoint,
    }
)
"""By vendor, each as it is by default. Any other vendor speaks `OpenAIChat`."""


def dialect_of(vendor: str) -> Dialect:
    """The dialect of the vendor of that name."""
    return DIALECTS.get(vendor, OpenAIChat)()
