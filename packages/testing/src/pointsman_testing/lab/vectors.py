"""Vectors that are the same for the same words, and near for texts that share some."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence


def embeddings(texts: Sequence[str], dimensions: int) -> list[list[float]]:
    """A vector of length 1 for each text."""
    return [_vector(text, dimensions) for text in texts]


def _vector(text: str, dimensions: int) -> list[float]:
    words = text.lower().split() or [""]
    vector = [math.fsum(column) for column in zip(*(_direction(word, dimensions) for word in words), strict=True)]
    length = math.hypot(*vector)
    return [round(part / length, 8) for part in vector]


def _direction(word: str, dimensions: int) -> list[float]:
    """Where a word points: anywhere, but always there."""
    noise = hashlib.shake_256(word.encode("utf-8", "replace")).digest(dimensions)
    return [byte - 127.5 for byte in noise]
