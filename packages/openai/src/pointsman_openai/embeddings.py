"""What ``POST /embeddings`` answers."""

from __future__ import annotations

from typing import Any

from pointsman import Embeddings, Target, Unavailable

from .shapes import fields, items, number
from .usage import read_input


def read_embeddings(value: Any, count: int, target: Target) -> Embeddings:
    """The vectors in ``{"data": [{"index": 0, "embedding": [...]}]}``, in the order of the texts.

    Raises `Unavailable` unless there are `count` vectors of numbers, all of one length.
    """
    listed = [fields(entry) for entry in items(fields(value).get("data"))]
    vectors: dict[int, tuple[float, ...]] = {}
    for place, entry in enumerate(listed):
        index = number(entry.get("index"))
        numbers = [number(one) for one in items(entry.get("embedding"))]
        found = tuple(one for one in numbers if one is not None)
        if found and len(found) == len(numbers):
            vectors[place if index is None else int(index)] = found
    if sorted(vectors) != list(range(count)) or len({len(vector) for vector in vectors.values()}) > 1:
        message = f"asked for {count} vectors, it answered with {len(vectors)} that can be read"
        raise Unavailable(message, target=target, retryable=False)
    return Embeddings(tuple(vectors[place] for place in range(count)), read_input(fields(value).get("usage")))
