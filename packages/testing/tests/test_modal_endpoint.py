"""Modal's proxy and Ollama's /v1 behind it, as an HTTP client sees them. The `openai` client judges them elsewhere."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx2
import pytest

from pointsman import ToolCall
from pointsman_testing import MODAL_FAULTS, Answer, Fault, Lab, ModalEndpoint, Profile, Vendor

TOKEN = "wk-Ab12.ws-Cd34"
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Say hi to me"}], "stream": True}
MODELS = ({"id": "m", "capabilities": ["completion", "tools"], "context_length": 8192},)


@pytest.fixture
async def lab() -> AsyncGenerator[Lab]:
    async with Lab(speed=600) as lab:
        yield lab


async def chat(http: httpx2.AsyncClient, vendor: Vendor, **more: Any) -> httpx2.Response:
    return await http.post(f"{vendor.base_url}/chat/completions", json=ASKED | more)


def chunks(response: httpx2.Response) -> list[Any]:
    events = response.text.removesuffix("\n\n").split("\n\n")
    return [event if event == "data: [DONE]" else json.loads(event.removeprefix("data: ")) for event in events]


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({}, 401, "modal-http: missing credentials for proxy authorization"),
        ({"authorization": "Bearer wk-Ab12.ws-0000"}, 401, "modal-http: invalid credentials for proxy authorization"),
        ({"modal-key": "wk-Ab12"}, 401, "modal-http: invalid credentials for proxy authorization"),
        ({"modal-key": "wk-Ab12", "modal-secret": "ws-Cd34"}, 200, ""),
        ({"authorization": f"Bearer {TOKEN}"}, 200, ""),
    ],
)
async def test_the_proxy_takes_a_token_in_both_forms(
    lab: Lab, http: httpx2.AsyncClient, headers: dict[str, str], status: int, words: str
) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=MODELS, api_key=TOKEN)
    response = await http.get(f"{vendor.base_url}/models", headers=headers)
    assert response.status_code == status
    assert not words or response.text == words
    assert response.headers["content-type"].startswith("text/plain" if words else "application/json")


@pytest.mark.parametrize("what", MODAL_FAULTS)
async def test_each_thing_that_the_proxy_says_is_plain_text(lab: Lab, http: httpx2.AsyncClient, what: str) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(refusal=what))
    for response in (await chat(http, vendor), await http.get(vendor.base_url.removesuffix("v1"))):
        assert (response.status_code, response.text) == (MODAL_FAULTS[what].status, MODAL_FAULTS[what].body)
        assert response.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_web_function_holds_a_request_and_then_says_where_its_result_will_be(
    lab: Lab, http: httpx2.AsyncClient
) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(start=900), models=MODELS, api_key=TOKEN)
    vendor.script(lambda request: Answer(f"You said: {request.prompt}"))
    key = {"authorization": f"Bearer {TOKEN}"}
    url = f"{vendor.base_url}/chat/completions"
    response = await http.post(url, json=ASKED, headers=key)
    assert (response.status_code, response.content) == (303, b"")
    where = response.headers["location"]
    assert where == "?__modal_function_call_id=fc-0000"
    assert (await http.post(url + where, json=ASKED, headers=key)).text == "modal-http: bad redirect method"
    assert (await http.get(url + where)).status_code == 401
    assert (await http.get(url + "?__modal_function_call_id=fc-9", headers=key)).status_code == 408
    hops = 0
    while (result := await http.get(url + where, headers=key)).status_code == 303:
        assert result.headers["location"] == where
        hops += 1
    assert hops >= 1
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in chunks(result)[:-1]) == (
        "You said: Say hi to me"
    )
    assert vendor.pending == 0


async def test_a_server_refuses_until_its_container_is_ready(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(product="refusing", start=60, scaledown_window=600))
    assert (await chat(http, vendor)).status_code == 503
    assert (await chat(http, vendor)).status_code == 503
    await anyio.sleep(70 / lab.speed)
    assert (await chat(http, vendor)).status_code == 200
    for _ in range(2):
        await anyio.sleep(400 / lab.speed)
        assert (await chat(http, vendor)).status_code == 200  # Each request keeps it.
    await anyio.sleep(660 / lab.speed)
    assert (await chat(http, vendor)).status_code == 503


async def test_chats_beyond_its_places_wait_for_their_turn(lab: Lab, http: httpx2.AsyncClient) -> None:
    endpoint = ModalEndpoint(parallel=1)
    vendor = lab.vendor("modal", dialect=endpoint, profile=Profile((0, 0), (1, 1)), default=Answer("a " * 61))
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(chat, http, vendor)
    assert anyio.current_time() - began >= 3 * 60 / lab.speed


async def test_a_stream_as_ollama_writes_it(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=MODELS)
    vendor.script(Answer("Hi you", tool_calls=(ToolCall("call_1", "f", "{}"),)))
    response = await chat(http, vendor, stream_options={"include_usage": True})
    assert response.headers["content-type"] == "text/event-stream"
    *said, finish, usage, done = chunks(response)
    assert [one["choices"][0]["delta"].get("content") for one in said] == ["", "Hi", " you", ""]
    assert said[-1]["choices"][0]["delta"]["tool_calls"] == [
        {"id": "call_1", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]
    assert finish["choices"] == [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]
    assert (usage["choices"], usage["usage"]["prompt_tokens"], done) == ([], 4, "data: [DONE]")


async def test_an_error_in_mid_stream_is_lost(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=MODELS)
    vendor.script(Answer("Hi", error="out of memory"), Answer("", error="out of memory"))
    response = await chat(http, vendor)
    assert response.status_code == 200
    last = chunks(response)[-1]
    assert (last["model"], last["choices"][0]["delta"]) == ("", {"role": "assistant", "content": ""})
    assert last["choices"][0]["finish_reason"] is None
    assert "memory" not in response.text
    first = await chat(http, vendor)
    assert (first.status_code, first.json()["error"]["type"]) == (500, "api_error")


@pytest.mark.parametrize(
    ("more", "status", "kind", "words"),
    [
        ({"model": "other"}, 404, "not_found_error", "model 'other' not found"),
        ({"messages": []}, 400, "invalid_request_error", "[] is too short - 'messages'"),
        ({"reasoning_effort": "extreme"}, 400, "invalid_request_error", "extreme"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b"}}]}]}, 400,
         "invalid_request_error", "invalid image input"),
    ],
)  # fmt: skip
async def test_what_ollama_refuses(
    lab: Lab, http: httpx2.AsyncClient, more: dict[str, Any], status: int, kind: str, words: str
) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=MODELS)
    response = await chat(http, vendor, **more)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"], error["code"]) == (status, kind, None, None)
    assert words in error["message"]


async def test_what_ollama_ignores(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(num_ctx=10), models=MODELS, default=Answer("one two three"))
    ignored = await chat(http, vendor, max_completion_tokens=1, tool_choice="required", num_ctx=2)
    assert chunks(ignored)[-2]["choices"][0]["finish_reason"] == "stop"
    limited = await chat(http, vendor, max_tokens=1, stream=False)
    assert limited.json()["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "one"},
        "finish_reason": "length",
    }
    long = [{"role": "user", "content": "word " * 100}]
    assert (await chat(http, vendor, messages=long, stream=False)).json()["usage"]["prompt_tokens"] == 7


async def test_its_other_routes(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=MODELS)
    root = vendor.base_url.removesuffix("/v1")
    assert (await http.get(f"{vendor.base_url}/models")).json()["data"][0]["id"] == "m:latest"
    assert (await http.get(f"{root}/api/version")).json() == {"version": "0.32.15"}
    assert (await http.get(f"{root}/api/ps")).json()["models"][0]["context_length"] == 4096
    shown = (await http.post(f"{root}/api/show", json={"model": "m"})).json()
    assert (shown["capabilities"], shown["model_info"]["llama.context_length"]) == (["completion", "tools"], 8192)
    assert (await http.post(f"{root}/api/show", json={"model": "x"})).json() == {"error": "model 'x' not found"}
    body = {"model": "m", "input": ["a b", "c"]}
    embedded = (await http.post(f"{vendor.base_url}/embeddings", json=body)).json()
    assert (len(embedded["data"]), embedded["usage"]["prompt_tokens"]) == (2, 3)
    assert (await http.get(root)).text == "Ollama is running"
    assert (await http.get(f"{root}/nowhere")).text == "404 page not found"
    assert (await http.get(f"{vendor.base_url}/embeddings")).status_code == 405
    vendor.script(Fault(503), on="models")
    assert "maximum pending requests" in (await http.get(f"{vendor.base_url}/models")).json()["error"]["message"]
