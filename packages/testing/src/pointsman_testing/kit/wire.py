"""What went over the wire, without knowing whose format it is: a request is JSON, and a dialect can be asked what it
would have answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from ..lab import Answer, Dialect, RecordedRequest, body_bytes

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands in JSON: keys and places."""


def leaves(value: Any, at: Path = ()) -> dict[Path, Any]:
    """Everything in a JSON value that is no object and no list, by its place."""
    inner: Mapping[str | int, Any]
    match value:
        case dict():
            inner = cast("dict[str | int, Any]", value)
        case list():
            inner = dict(enumerate(cast("list[Any]", value)))
        case _:
            return {at: value}
    return {place: leaf for key, one in inner.items() for place, leaf in leaves(one, (*at, key)).items()}


def differing(one: Mapping[Path, Any], other: Mapping[Path, Any]) -> set[Path]:
    """Where two requests are not the same."""
    return {place for place in one.keys() | other.keys() if one.get(place) != other.get(place)}


def shown(place: Path) -> str:
    """A place as a person writes it: ``options.stop.0``."""
    return ".".join(map(str, place))


def plays(dialect: Dialect, answer: Answer, request: RecordedRequest, *words: str) -> bool:
    """Whether `dialect` says all of `words` in `answer`: what it has no way to say, nobody can read."""
    body = body_bytes(answer, request.json, dialect=dialect)
    return all(word.encode() in body for word in words)
