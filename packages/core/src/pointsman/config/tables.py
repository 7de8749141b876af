"""What stands in tables within tables, by the annotations of a settings model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel


def at(kind: Any, path: tuple[str, ...]) -> Any:
    """The annotation of what stands under `path` in a table of that kind; None if nothing may, or nobody can say."""
    for name in path:
        kind = next((found for one in alternatives(kind) if (found := _inside(one, name)) is not None), None)
    return kind


def model_at(kind: Any, path: tuple[str, ...]) -> type[BaseModel] | None:
    """The model that the table under `path` is held to; None if it has none."""
    found = (one for one in alternatives(at(kind, path)) if isinstance(one, type) and issubclass(one, BaseModel))
    return next(found, None)


def alternatives(kind: Any) -> Iterator[Any]:
    """What `kind` may be, looking into unions and what is annotated; generic ones with their parameters."""
    origin = get_origin(kind)
    if origin is None or (isinstance(origin, type) and origin.__name__ != "UnionType"):
        yield kind
        return
    parts = get_args(kind)
    for part in parts[:1] if hasattr(kind, "__metadata__") else parts:
        yield from alternatives(part)


def _inside(kind: Any, name: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(name)
        return field.annotation if field else None
    origin, parts = get_origin(kind), get_args(kind)
    return parts[1] if isinstance(origin, type) and issubclass(origin, Mapping) and len(parts) == 2 else None
