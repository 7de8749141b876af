"""Ollama's own OpenAPI file describes what the lab answers. It is kept beside the checkout, and never committed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from pointsman import ToolCall, Usage
from pointsman_testing import Answer, Fault, Lab, OllamaApi, Vendor, body_bytes

NAME = Path("shared", "data", "ollama-openapi.yaml")
FOUND = next((folder / NAME for folder in Path(__file__).resolve().parents if (folder / NAME).is_file()), None)
pytestmark = pytest.mark.skipif(FOUND is None, reason=f"there is no {NAME} beside the checkout")
SPEC: Any = yaml.safe_load(FOUND.read_text()) if FOUND else {"paths": {}, "components": {"schemas": {}}}
REGISTRY: Any = Registry().with_resource("urn:ollama", Resource(SPEC, DRAFT202012))
FORMATS = FormatChecker(())
# The file requires no field of any answer, so that {} would do. The server writes these always.
ALWAYS = {
    "ChatResponse": {"model", "created_at", "message", "done"},
    "ChatStreamEvent": {"model", "created_at", "message", "done"},
    "ListResponse": {"models"},
    "PsResponse": {"models"},
    "EmbedResponse": {"model", "embeddings"},
    "VersionResponse": {"version"},
    "ShowResponse": {"details", "model_info", "capabilities", "modified_at"},
    "ErrorResponse": {"error"},
}
# Where the file is behind the server: what that writes, and the file has no name for. The last line of a stream is no
# `ChatStreamEvent` to it, a listed model has no capabilities, a chat and a shown model cannot live elsewhere, and
# whoever has to sign in is not told where. (That a tool call has an id and an index it does not know either.)
UNNAMED = {
    "ChatResponse": {"remote_model", "remote_host"},
    "ChatStreamEvent": {
        *("done_reason", "total_duration", "load_duration", "remote_model", "remote_host"),
        *("prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"),
    },
    "ModelSummary": {"capabilities"},
    "ShowResponse": {"modelfile", "remote_model", "remote_host"},
    "ErrorResponse": {"signin_url"},
}


@FORMATS.checks("date-time")
def _is_date_time(value: Any) -> bool:
    return not isinstance(value, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[-+]\d\d:\d\d)", value)
    )


def judge(schema: str, body: Any) -> None:
    """`body` is what the file says, and has no field of which neither it nor the list above knows."""
    reference = {"$ref": f"urn:ollama#/components/schemas/{schema}"}
    Draft202012Validator(reference, registry=REGISTRY, format_checker=FORMATS).validate(body)
    if missing := ALWAYS.get(schema, set()) - set(body):
        raise ValidationError(f"{schema} without {missing}")
    named = set(SPEC["components"]["schemas"][schema]["properties"]) | UNNAMED.get(schema, set())
    if unknown := set(body) - named:
        raise ValidationError(f"{schema} with {unknown}")


def judge_listed(schema: str, entry: str, body: Any) -> None:
    judge(schema, body)
    for one in body["models"]:
        judge(entry, one)


MODELS: Any = (
    "m",
    {"name": "n:1b", "loaded": True, "license": "MIT", "num_ctx": 2048, "context_length": 8192},
    {"name": "e", "capabilities": ["embedding"]},
    {"name": "far:cloud", "remote_model": "far", "remote_host": "https://ollama.com:443"},
)
ASKED = {"model": "m", "messages": [{"role": "user", "content": "Say hi"}]}
texts = st.text(max_size=30)
values = st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3))
tool_calls = st.builds(
    ToolCall,
    st.sampled_from(["", "call_ab12cd34"]),
    st.text(min_size=1, max_size=8),
    st.dictionaries(texts, values, max_size=3).map(json.dumps),
)
answers = st.builds(
    Answer,
    texts,
    reasoning=texts,
    tool_calls=st.lists(tool_calls, max_size=2).map(tuple),
    finish=st.sampled_from(["auto", "length", None]),
    done=st.booleans(),
    error=st.none() | texts,
    usage=st.sampled_from(["asked", "none"]),
    counts=st.none() | st.builds(Usage, input_tokens=st.integers(0, 9), output_tokens=st.integers(0, 9)),
    tokens_per_chunk=st.integers(1, 3),
)
dialects = st.builds(
    OllamaApi,
    version=st.sampled_from(["0.32.15", "0.11.0"]),
    load=st.sampled_from([0.0, 3.5]),
    tool_calls_on=st.sampled_from(["line", "last"]),
    content_on_last=st.booleans(),
)


@given(answers, dialects, st.booleans() | st.none(), st.none() | st.integers(1, 5))
def test_every_answer_is_what_the_file_says(
    answer: Answer, dialect: OllamaApi, think: bool | None, limit: int | None
) -> None:
    request = {**ASKED, "think": think, "options": {"num_predict": limit} if limit else {}}
    lines = [json.loads(line) for line in body_bytes(answer, request, dialect=dialect).split(b"\n") if line]
    for line in lines:
        judge("ErrorResponse" if "error" in line else "ChatStreamEvent", line)
    for line in lines[-1:]:
        if line.get("done"):
            judge("ChatResponse", line)
    whole = json.loads(body_bytes(answer, {**request, "stream": False}, dialect=dialect))
    judge("ErrorResponse" if "error" in whole else "ChatResponse", whole)


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    return lab.vendor("ollama", dialect=OllamaApi(), models=MODELS)


async def test_every_endpoint_is_what_the_file_says(vendor: Vendor, http: httpx2.AsyncClient) -> None:
    async def ask(method: str, path: str, **body: Any) -> Any:
        response = await http.request(method, vendor.base_url + path, json=body or None)
        described = SPEC["paths"][path][method.lower()]["responses"]
        if response.status_code == 200:  # The file describes no errors, but for one shape of their bodies.
            assert response.headers["content-type"].partition(";")[0] in described["200"]["content"]
        return response.json()

    judge("VersionResponse", await ask("GET", "/api/version"))
    judge_listed("ListResponse", "ModelSummary", await ask("GET", "/api/tags"))
    judge("ChatResponse", await ask("POST", "/api/chat", **ASKED, stream=False))
    judge("ChatResponse", await ask("POST", "/api/chat", **{**ASKED, "model": "far:cloud"}, stream=False))
    judge("ChatResponse", await ask("POST", "/api/chat", model="m"))
    running = await ask("GET", "/api/ps")
    assert len(running["models"]) == 2  # What runs elsewhere is in nobody's memory here.
    judge_listed("PsResponse", "Ps", running)
    judge("ChatResponse", await ask("POST", "/api/chat", model="m", keep_alive=0))
    for name in ("m", "n:1b", "e", "far:cloud"):
        judge("ShowResponse", await ask("POST", "/api/show", model=name))
    judge("EmbedResponse", await ask("POST", "/api/embed", model="e", input=["one", "two three"]))
    judge("EmbedResponse", await ask("POST", "/api/embed", model="e", input=""))
    judge("StatusResponse", await ask("POST", "/api/pull", model="m", stream=False))
    response = await http.post(f"{vendor.base_url}/api/pull", json={"model": "m"})
    assert response.headers["content-type"] in SPEC["paths"]["/api/pull"]["post"]["responses"]["200"]["content"]
    for line in response.content.splitlines():
        judge("StatusEvent", json.loads(line))
    judge("ErrorResponse", await ask("POST", "/api/chat", model="nobody"))
    response = await http.post(f"{vendor.base_url}/api/chat", json=ASKED)
    assert response.headers["content-type"] in SPEC["paths"]["/api/chat"]["post"]["responses"]["200"]["content"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 499, 500, 502, 503, 529])
async def test_every_error_is_what_the_file_says(vendor: Vendor, http: httpx2.AsyncClient, status: int) -> None:
    vendor.script(Fault(status))
    response = await http.post(f"{vendor.base_url}/api/chat", json=ASKED)
    assert response.status_code == status
    judge("ErrorResponse", response.json())


GOOD: Any = {"model": "m", "created_at": "2026-09-21T14:13:20Z", "message": {"role": "assistant"}, "done": False}


@pytest.mark.parametrize(
    "wrong",
    [
        {"done": "yes"},
        {"created_at": "yesterday"},
        {"message": {"role": "assistant", "content": ["parts"]}},
        {"message": {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}},
        {"message": {"role": "assistant", "tool_calls": [{"function": {"arguments": {}}}]}},
        {"eval_count": 1.5},
        {"finish_reason": "stop"},
    ],
)
def test_the_judge_can_say_no(wrong: Any) -> None:
    judge("ChatResponse", GOOD)
    judge("ChatStreamEvent", GOOD)
    with pytest.raises(ValidationError):
        judge("ChatResponse", {**GOOD, **wrong})
    with pytest.raises(ValidationError):
        judge("ChatResponse", {name: value for name, value in GOOD.items() if name != "done"})
