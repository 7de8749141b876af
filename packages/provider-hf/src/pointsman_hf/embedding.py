"""Embeddings at the router: the ``feature-extraction`` pipeline of ``hf-inference``. Pure."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import quote

from pointsman import Embeddings, InvalidRequest, Scope, Target, Unavailable
from pointsman_openai import items

from .config import divided

PROVIDER = "hf-inference"


def path_of(model: str, target: Target) -> str:
    """Where at the router a model embeds. Raises `InvalidRequest` for another provider, whose paths are its own."""
    name, suffix = divided(model)
    if suffix not in ("", PROVIDER):
        message = f"embeddings come from {PROVIDER} alone, not from {suffix}: leave the suffix out"
        raise InvalidRequest(message, target=target, scope=Scope.TARGET)
    return f"/{PROVIDER}/models/{quote(name)}/pipeline/feature-extraction"


def read_features(value: Any, count: int, target: Target) -> Embeddings:
    """The vectors in ``[[0.1, ...], ...]``, one for each text.

    Raises `Unavailable` for anything else: a model that is no sentence encoder answers with a vector for each token.
    """
    vectors = [items(one) for one in items(value)]
    numbers = all(type(one) in (int, float) for vector in vectors for one in vector)
    if numbers and len(vectors) == count and len({len(vector) for vector in vectors} | {0}) == 2:
        with suppress(OverflowError):
            return Embeddings(tuple(tuple(map(float, vector)) for vector in vectors))
    message = f"asked for {count} vectors, it answered with something else; is it a model for sentences?"
    raise Unavailable(message, target=target, retryable=False)
