"""A JSON Schema for the answer: read from the command line or a file, and held against what came.

Imports jsonschema, so it is imported only where there is a schema. Nothing that a schema refers to is ever fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import click
import jsonschema  # type: ignore[import-untyped]
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY, SchemaResource

_lib: Any = jsonschema
"""Whose types are known to one of our type checkers only, and there not wholly."""

_LATEST = _lib.Draft202012Validator
"""What holds where a schema does not name its draft."""

_MOST_BYTES = 16 * 1024**2

_LONGEST = 60
"""Characters of a value that are shown: an answer may be a page."""


def read_schema(given: str) -> dict[str, Any]:
    """The schema that `given` is, if it begins with a brace, else the one in the file of that name.

    Raises `click.UsageError` for what is no schema, of a draft that is not known, or refers to what is not in it.
    """
    inline = given.lstrip().startswith("{")
    what = "--schema" if inline else f"--schema {given}"
    try:
        text = given if inline else _text(Path(given).expanduser())
    except UnicodeDecodeError:
        raise click.UsageError(f"{what}: not UTF-8 text; name a file that holds a JSON Schema") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise click.UsageError(
            f"{what}: it cannot be read ({why}); name a file that holds a JSON Schema, or write the schema itself: "
            '\'{"type": "object", ...}\''
        ) from None
    try:
        schema: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{what}: not JSON ({error})") from None
    if not isinstance(schema, dict):
        raise click.UsageError(f'{what}: a JSON Schema is an object, such as {{"type": "object"}}')
    read = cast(dict[str, Any], schema)
    if why := fault(read):
        raise click.UsageError(f"{what}: {why}")
    return read


def _text(path: Path) -> str:
    """The text of a file, or of what a shell's ``<(...)`` stands for; no more than a schema can be."""
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"it is longer than {_MOST_BYTES // 1024**2} MiB")
    return data.decode("utf-8-sig")


def misfit(text: str, schema: Mapping[str, Any]) -> str | None:
    """Why an answer is not what `schema` asks for, the likeliest of all reasons; None if there is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON ({error})"
    try:
        found = _lib.exceptions.best_match(_validator(schema)(schema, registry=EMPTY_REGISTRY).iter_errors(value))
    except RecursionError:
        return "it cannot be checked, since the schema leads back to itself without end: correct its $ref"
    except Unresolvable as error:
        return f"it cannot be checked, since {_short(error.ref)} leads to nothing in the schema: correct it there"
    return None if found is None else f"{found.json_path}: {_said(found)}"


def fault(schema: dict[str, Any]) -> str | None:
    """What is wrong with a schema, and where in it."""
    named = schema.get("$schema", "")
    if not isinstance(named, str) or _validator(schema, None if named else _LATEST) is None:
        return (
            f"at $['$schema']: {_short(named)} is no draft that is known here; known are 3, 4, 6, 7, 2019-09 and "
            f"{_LATEST.META_SCHEMA['$id']}, which holds where none is named"
        )
    try:
        _validator(schema).check_schema(schema)
    except _lib.SchemaError as error:
        return f"at {error.json_path}: {_said(error)}; correct it there"
    except RecursionError:
        return "it is nested too deeply"
    resource = SchemaResource.from_contents(schema, default_specification=DRAFT202012)
    try:
        lost = next(_unresolved(resource, EMPTY_REGISTRY.resolver_with_root(resource)), None)
    except RecursionError:
        return "it is nested too deeply"
    if lost is None:
        return None
    return (
        f"at {next(_places_of(lost, schema, '$'), '$')}: $ref {_short(lost)} leads to nothing in the schema, and "
        "nothing is fetched; put what it stands for into $defs, and refer to it as #/$defs/NAME"
    )


def _validator(schema: Mapping[str, Any], default: Any = _LATEST) -> Any:
    return _lib.validators.validator_for(schema, default=default)


def _unresolved(resource: Any, resolver: Any) -> Iterator[str]:
    """References that lead to nothing that is in the schema."""
    contents: object = resource.contents
    if isinstance(contents, Mapping):
        ref = cast(Mapping[str, Any], contents).get("$ref")
        if isinstance(ref, str):
            try:
                resolver.lookup(ref)
            except Unresolvable:
                yield ref
    for inside in resource.subresources():
        yield from _unresolved(inside, resolver.in_subresource(inside))


def _places_of(ref: str, value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        table = cast(dict[str, Any], value)
        if table.get("$ref") == ref:
            yield at
        for name, one in table.items():
            yield from _places_of(ref, one, f"{at}.{name}")
    elif isinstance(value, list):
        for number, one in enumerate(cast(list[Any], value)):
            yield from _places_of(ref, one, f"{at}[{number}]")


def _said(error: Any) -> str:
    """The library's words, with the value as JSON and no longer than a line."""
    if error.validator in ("anyOf", "oneOf") and error.context:
        first = error.context[0]
        number = len(error.validator_value)
        at = "" if first.json_path == error.json_path else f"{first.json_path}: "
        return f"{_short(error.instance)} fits none of {number} alternatives, the first because {at}{_said(first)}"
    said, value = str(error.message), repr(error.instance)
    return _short(error.instance) + said.removeprefix(value) if said.startswith(value) else said[:400]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
