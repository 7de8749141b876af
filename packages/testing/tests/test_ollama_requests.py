"""What an Ollama server refuses, in its words: requests that are wrong in themselves use no script up."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman_testing import Answer, Fault, Lab, OllamaApi, RecordedRequest, Site, Vendor
from pointsman_testing.lab.profiles import Pace

TOOLS: Any = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
MODELS: Any = ("m", {"name": "plain", "capabilities": ["completion"]}, {"name": "me/e", "capabilities": ["embedding"]})


@pytest.fixture
async def vendor(lab: Lab) -> Vendor:
    vendor = lab.vendor("ollama", dialect=OllamaApi(), models=MODELS)
    vendor.script(Answer("for another"))
    return vendor


def fields(**changed: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **changed}


def message(**changed: Any) -> dict[str, Any]:
    return fields(messages=[{"role": "user", "content": "hi", **changed}])


GO = "json: cannot unmarshal"
THINK = '(must be "high", "medium", "low", "max", true, or false)'


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (fields(model=""), 400, "model is required"),
        ({"messages": []}, 400, "model is required"),
        (fields(model="no name"), 400, "model is required"),
        (fields(model="x"), 404, "model 'x' not found"),
        (fields(model=5), 400, f"{GO} number into Go struct field ChatRequest.model of type string"),
        (fields(messages="hi"), 400, f"{GO} string into Go struct field ChatRequest.messages of type []api.Message"),
        (fields(messages=["hi"]), 400, f"{GO} string into Go struct field ChatRequest.messages of type api.Message"),
        (
            message(content=[{"type": "text", "text": "hi"}]),
            400,
            f"{GO} array into Go struct field ChatRequest.messages.content of type string",
        ),
        (fields(stream="yes"), 400, f"{GO} string into Go struct field ChatRequest.stream of type bool"),
        (fields(truncate=0), 400, f"{GO} number into Go struct field ChatRequest.truncate of type bool"),
        (
            fields(options=[]),
            400,
            f"{GO} array into Go struct field ChatRequest.options of type map[string]interface {{}}",
        ),
        (fields(tools={}), 400, f"{GO} object into Go struct field ChatRequest.tools of type api.Tools"),
        (fields(think="hard"), 400, f'invalid think value: "hard" {THINK}'),
        (fields(think=1), 400, 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'),
        (fields(top_logprobs=21), 400, "top_logprobs must be between 0 and 20"),
        (message(images=["no base64"]), 400, "illegal base64 data at input byte 2"),
        (
            message(images=[True]),
            400,
            f"{GO} bool into Go struct field ChatRequest.messages.images of type api.ImageData",
        ),
        (fields(keep_alive="300"), 400, 'time: missing unit in duration "300"'),
        (fields(keep_alive="-1"), 400, 'time: missing unit in duration "-1"'),
        (fields(keep_alive="soon"), 400, 'time: invalid duration "soon"'),
        (fields(keep_alive="3 weeks"), 400, 'time: unknown unit " weeks" in duration "3 weeks"'),
        (fields(keep_alive=True), 400, "unsupported type: bool"),
        (fields(keep_alive=[]), 400, "unsupported type: []interface {}"),
        (fields(options={"stop": "\n"}), 500, 'option "stop" must be of type array'),
        (fields(options={"stop": [1]}), 500, 'option "stop" must be of an array of strings'),
        (fields(options={"num_ctx": "8192"}), 500, 'option "num_ctx" must be of type integer'),
        (fields(options={"temperature": "hot"}), 500, 'option "temperature" must be of type float32'),
        (fields(options={"use_mmap": 1}), 500, 'option "use_mmap" must be of type boolean'),
        (
            fields(format="xml"),
            500,
            'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object',
        ),
        (fields(model="me/e"), 400, '"me/e" does not support chat'),
        (fields(model="plain", think=True), 400, '"plain" does not support thinking'),
        (fields(model="plain", think="low"), 400, '"plain" does not support thinking'),
        (fields(model="plain", tools=TOOLS), 400, "registry.ollama.ai/library/plain:latest does not support tools"),
    ],
)
async def test_refuses(vendor: Vendor, http: httpx2.AsyncClient, body: Any, status: int, error: str) -> None:
    response = await http.post(f"{vendor.base_url}/api/chat", json=body)
    assert (response.json(), response.status_code, vendor.pending) == ({"error": error}, status, 1)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "missing request body"),
        (b"{", "unexpected EOF"),
        (b"hello", "invalid character 'h' looking for beginning of value"),
        (b"\xff", "invalid character"),
        (b"[]", f"{GO} array into Go value of type api.ChatRequest"),
        (b"null", "model is required"),
        (b'{"model": NaN}', "invalid character 'N' looking for beginning of value"),
        (b'{"keep_alive": 1e999}', "json: cannot unmarshal number 1e999 into Go value of type float64"),
    ],
)
async def test_refuses_what_is_no_request(vendor: Vendor, http: httpx2.AsyncClient, body: bytes, error: str) -> None:
    response = await http.post(f"{vendor.base_url}/api/chat", content=body)
    assert (response.status_code, vendor.pending) == (400, 1)
    assert error in response.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        fields(model="M:latest", options={"mirostat": "?", "num_ctx": 4096.0, "stop": ["x"], "use_mmap": None}),
        fields(model="plain", think=False, tools=[], format=""),
        fields(format="json", keep_alive="1h30m0.5s"),
        fields(format={"type": "object"}, think="max", keep_alive=-1),
        fields(tools=TOOLS, unknown=1, stream=None, options=None, keep_alive=0.5),
        message(images=["aGVsbG8="], tool_calls=None),
        fields(messages=[{"role": "tool", "content": "3", "tool_name": "f"}, {"role": "user"}]),
    ],
)
async def test_takes(vendor: Vendor, http: httpx2.AsyncClient, body: Any) -> None:
    response = await http.post(f"{vendor.base_url}/api/chat", json=body)
    assert (response.status_code, vendor.pending) == (200, 0)


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("show", {}, 400, "model is required"),
        ("show", {"model": "x"}, 404, "model 'x' not found"),
        ("embed", {"input": "x"}, 400, "model is required"),
        ("embed", {"model": "x", "input": "x"}, 404, "model 'x' not found"),
        ("embed", {"model": "m", "input": 5}, 400, "invalid input type"),
        ("embed", {"model": "m", "input": [5]}, 400, "invalid input type"),
        (
            "embed",
            {"model": "m", "input": "a b c d e", "truncate": False, "options": {"num_ctx": 4}},
            400,
            "the input length exceeds the context length",
        ),
    ],
)
async def test_refuses_elsewhere_too(
    vendor: Vendor, http: httpx2.AsyncClient, path: str, body: Any, status: int, error: str
) -> None:
    response = await http.post(f"{vendor.base_url}/api/{path}", json=body)
    assert (response.json(), response.status_code) == ({"error": error}, status)


async def test_a_vendor_without_models_takes_any_and_lists_none(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("any", dialect=OllamaApi())
    assert (await http.post(f"{vendor.base_url}/api/chat", json=fields(model="what/ever:1b"))).status_code == 200
    assert (await http.get(f"{vendor.base_url}/api/tags")).json() == {"models": []}
    assert (await http.post(f"{vendor.base_url}/api/show", json={"model": "x"})).status_code == 200


async def test_a_key_is_asked_for_first(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("cloud", dialect=OllamaApi(), api_key="right")
    refused = await http.post(f"{vendor.base_url}/api/chat", json={})
    assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized")
    assert refused.json()["signin_url"].startswith("https://ollama.com/connect?")
    assert (await http.get(vendor.base_url)).status_code == 200


async def test_older_lists_tell_less(lab: Lab, http: httpx2.AsyncClient) -> None:
    [new] = (await http.get(f"{lab.vendor('a', dialect=OllamaApi(), models=('m',)).base_url}/api/tags")).json()[
        "models"
    ]
    older = lab.vendor("b", dialect=OllamaApi(rich_tags=False), models=("m",))
    [old] = (await http.get(f"{older.base_url}/api/tags")).json()["models"]
    assert set(new) - set(old) == {"capabilities"}
    assert set(new["details"]) - set(old["details"]) == {"context_length", "embedding_length"}


numbers = st.integers() | st.floats()
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=6) | st.sampled_from(["m", "user", "5m", "json"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
options = st.dictionaries(st.sampled_from(["num_ctx", "num_predict", "stop", "use_mmap", "seed"]), anything | numbers)
messages = st.lists(
    st.fixed_dictionaries({}, optional={"role": anything, "content": st.text() | anything, "images": anything}),
    max_size=3,
)
odd = {
    **dict.fromkeys(("stream", "think", "format", "tools", "keep_alive", "truncate", "shift", "input"), anything),
    "options": options | anything,
    "messages": messages | anything,
    "dimensions": st.integers(-5, 5) | anything,
    "top_logprobs": anything,
}


async def test_a_body_that_nests_without_end_is_refused(vendor: Vendor, http: httpx2.AsyncClient) -> None:
    deep = b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    response = await http.post(f"{vendor.base_url}/api/chat", content=deep)
    assert (response.status_code, response.json()) == (400, {"error": "exceeded max depth"})


@given(
    st.sampled_from(["chat", "embed", "show"]), st.fixed_dictionaries({"model": st.just("m") | anything}, optional=odd)
)
@example("embed", {"model": "m", "input": "x", "dimensions": -1})
@example("embed", {"model": "m", "input": [None]})
@example("show", {"model": None})
@example("chat", fields(options={"num_ctx": float("inf")}))
@example("chat", fields(keep_alive=float("nan")))
@example("chat", fields(keep_alive="9" * 400 + "s"))
@example("chat", fields(keep_alive=1e300))
@example("chat", fields(keep_alive=10**400))
def test_whatever_is_asked_is_answered(path: str, body: Any) -> None:
    """A dialect that raises ends the lab, and with it somebody's test."""
    dialect, site = OllamaApi(), Site()
    request = RecordedRequest(
        index=0, client=("", 0), method="POST", path=f"/api/{path}", query="", raw_headers=(), headers={},
        body=json.dumps(body).encode(),
    )  # fmt: skip
    route = dialect.route(request, site)
    if isinstance(route, Fault):
        assert 400 <= route.status <= 500
        return
    response = dialect.reply(route, request, site) or dialect.chat(Answer("a b"), request.json, Pace(), site)
    for chunk in response.body:
        json.loads(chunk.data)
    running = RecordedRequest(
        index=1, client=("", 0), method="GET", path="/api/ps", query="", raw_headers=(), headers={}, body=b""
    )
    dialect.reply("ps", running, site)
