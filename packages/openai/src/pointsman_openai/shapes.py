"""Reading JSON of which nothing is certain: each function answers for every value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast


def fields(value: Any) -> dict[str, Any]:
    """The object, or an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items(value: Any) -> Sequence[Any]:
    """The list, or an empty one."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


def string(value: Any) -> str:
    """The string, as it can be encoded, or an empty one."""
    return valid(value) if isinstance(value, str) else ""


def valid(text: str) -> str:
    """`text` without lone surrogates, which JSON can escape but nobody can encode."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def number(value: Any) -> float | None:
    """A finite number, also if it is written as a string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < float("inf") else None
