"""What is known of the models: by the configuration, or by Ollama's own API at the root of the address. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeGuard

from pointsman import ModelInfo
from pointsman_openai import fields, items, string

from .config import KNOWN, ModalConfig

_CAPABILITIES: Mapping[str, str] = {
    "completion": "schema",
    "tools": "tools",
    "vision": "vision",
    "thinking": "reasoning",
    "embedding": "embeddings",
}
"""Ollama's word -> ours."""


def configured(config: ModalConfig) -> list[ModelInfo]:
    """What is served, as far as the user has said."""
    known = {model.id: model for model in KNOWN}
    return [
        replace(known.get(name, ModelInfo(id=name)), context_tokens=config.context_tokens)
        for name in config.default_models
    ]


def contexts(value: Any) -> dict[str, int]:
    """Name -> tokens of context, of the models that ``/api/ps`` says are loaded."""
    entries = [fields(entry) for entry in items(fields(value).get("models"))]
    sizes = {string(entry.get("model")) or string(entry.get("name")): entry.get("context_length") for entry in entries}
    return {name: size for name, size in sizes.items() if is_size(size)}


def described(model: ModelInfo, shown: Any, loaded: Mapping[str, int], config: ModalConfig) -> ModelInfo:
    """`model` with what ``/api/show`` says of it.

    Its context is the one that it is `loaded` with; else the configured one; else the one that it was trained for,
    which is a maximum, and more than a server may give it.
    """
    entry = fields(shown)
    trained = [size for name, size in fields(entry.get("model_info")).items() if name.endswith(".context_length")]
    said = entry.get("capabilities")
    able = frozenset(_CAPABILITIES[word] for word in map(string, items(said)) if word in _CAPABILITIES)
    size = loaded.get(model.id) or config.context_tokens or next(filter(is_size, trained), None)
    return replace(
        model,
        context_tokens=size or model.context_tokens,
        capabilities=able if isinstance(said, list) else model.capabilities,
    )


def is_size(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
