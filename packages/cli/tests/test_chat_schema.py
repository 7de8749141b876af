"""An answer that is asked for as JSON is held against the schema, and printed whether it fits or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman_cli.chat.schema import misfit
from pointsman_testing import Answer, Vendor

Invoke = Callable[..., Result]
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}
DRAFT_4 = "http://json-schema.org/draft-04/schema#"
NESTED: dict[str, Any] = {
    "$defs": {"n": {"properties": {"a": {"items": {"$ref": "#/$defs/n"}, "type": "array"}}}},
    "$ref": "#/$defs/n",
}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("inline", [True, False])
def test_vendor_gets_the_schema_and_the_answer_is_printed(invoke: Invoke, a: Vendor, place: Path, inline: bool) -> None:
    (place / "city.json").write_text(json.dumps(CITY))
    a.script(Answer('{"name": "Ulm"}'))
    done = invoke("chat", "A city", "-m", "a/m1", "--schema", json.dumps(CITY) if inline else "city.json")
    assert (done.exit_code, done.stdout) == (0, '{"name": "Ulm"}\n'), done.output
    assert (
        CITY["properties"]["name"]
        == a.requests[-1].json["response_format"]["json_schema"]["schema"]["properties"]["name"]
    )


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_answer_that_does_not_fit_fails_after_it_was_printed(invoke: Invoke, a: Vendor, option: list[str]) -> None:
    a.script(Answer('{"name": 7}'))
    done = invoke("chat", "A city", "-m", "a/m1", "--schema", json.dumps(CITY), *option)
    assert done.exit_code == 1
    assert "name" in done.stdout
    assert "Error: the answer does not fit the schema: $.name: 7 is not of type 'string'" in done.stderr
    assert "next:" in done.stderr


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("{nonsense", "not JSON"),
        ("no.json", "--schema no.json: it cannot be read (No such file"),
        (".", "it cannot be read"),
        ("/dev/zero", "it is longer than 16 MiB"),
        ("list.json", "a JSON Schema is an object"),
        ("type.json", '--schema type.json: at $.properties.a.type: "int" fits none of 2 alternatives'),
        ('{"pattern": "("}', "at $.pattern: \"(\" is not a 'regex'"),
        ('{"$schema": "https://schemas.example/draft-99"}', "is no draft that is known here; known are"),
        ('{"$schema": 7}', "is no draft that is known here"),
        ('{"items": {"$ref": "http://127.0.0.1:1/schema"}}', 'at $.items: $ref "http://127.0.0.1:1/schema" leads'),
        ('{"items": {"$ref": "file:///etc/hosts"}}', "nothing is fetched; put what it stands for into $defs"),
        ('{"$ref": "#/$defs/missing"}', "leads to nothing in the schema"),
    ],
)
def test_what_is_no_schema_is_wrong_usage(invoke: Invoke, a: Vendor, place: Path, given: str, says: str) -> None:
    (place / "list.json").write_text("[1]")
    (place / "type.json").write_text('{"properties": {"a": {"type": "int"}}}')
    done = invoke("chat", "hi", "--schema", given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
    assert not a.requests


@pytest.mark.parametrize(
    ("text", "schema", "why"),
    [
        ('{"name": "Ulm", "people": 126000}', CITY, None),
        ('{"people": 1}', CITY, "$: 'name' is a required property"),
        ('{"name": "Ulm", "x": 1}', CITY, "'x' was unexpected"),
        ('{"name": "Ulm", "people": true}', CITY, "$.people: true is not of type 'integer'"),
        ("", CITY, "it is not JSON"),
        ("[" * 100_000, CITY, "it is not JSON"),
        ('[1, "a"]', {"items": {"type": "integer"}}, "$[1]: \"a\" is not"),
        (json.dumps("a" * 5000), {"type": "integer"}, "aaa… is not of type 'integer'"),
        ("1", {"anyOf": [{"type": "string"}, {"type": "null"}]}, "fits none of 2 alternatives, the first because 1 is"),
        ('{"a": [{"a": []}]}', NESTED, None),
        ('{"a": [{"a": 1}]}', NESTED, "$.a[0].a: 1 is not of type 'array'"),
        ("1", {"$ref": "#"}, "leads back to itself without end"),
        ("1", {"$dynamicRef": "http://127.0.0.1:1/x"}, '"http://127.0.0.1:1/x" leads to nothing in the schema'),
        ("1", {"$schema": DRAFT_4, "maximum": 1, "exclusiveMaximum": True}, "$: 1 is"),
    ],
)  # fmt: skip
def test_reason_names_the_place(text: str, schema: dict[str, Any], why: str | None) -> None:
    found = misfit(text, schema)
    assert found is None if why is None else why in str(found)
