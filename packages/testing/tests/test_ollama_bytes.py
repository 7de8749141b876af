"""The bytes of Ollama's dialect, as a server written in Go writes them."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pointsman import ToolCall
from pointsman_testing import Answer, Fault, Lab, OllamaApi, Profile, Vendor, body_bytes

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Say hi"}]}


def lines_of(answer: Answer, **request: Any) -> list[bytes]:
    lines = body_bytes(answer, {**ASKED, **request}, dialect=OllamaApi()).split(b"\n")
    assert lines.pop() == b""
    return lines


def test_a_stream_to_the_byte() -> None:
    assert body_bytes(Answer("Hi <b>", reasoning="Hm."), ASKED, dialect=OllamaApi()).decode() == (
        '{"model":"m","created_at":"2026-09-21T14:13:20Z",'
        '"message":{"role":"assistant","content":"","thinking":"Hm."},"done":false}\n'
        '{"model":"m","created_at":"2026-09-21T14:13:20.0010005Z",'
        '"message":{"role":"assistant","content":"Hi"},"done":false}\n'
        '{"model":"m","created_at":"2026-09-21T14:13:20.002001Z",'
        '"message":{"role":"assistant","content":" \\u003cb\\u003e"},"done":false}\n'
        '{"model":"m","created_at":"2026-09-21T14:13:20.0030015Z","message":{"role":"assistant","content":""},'
        '"done":true,"done_reason":"stop","total_duration":2505000,"load_duration":2500000,'
        '"prompt_eval_count":2,"prompt_eval_duration":2000,"eval_count":3,"eval_duration":3000}\n'
    )


def test_tool_calls_to_the_byte() -> None:
    call = ToolCall("call_ab12cd34", "weather", '{"city": "R&D", "b": [1.5, null]}')
    message = (
        b'"message":{"role":"assistant","content":"","tool_calls":[{"id":"call_ab12cd34","function":'
        b'{"index":0,"name":"weather","arguments":{"city":"R\\u0026D","b":[1.5,null]}}}]}'
    )
    assert message in lines_of(Answer(tool_calls=(call,)))[0]
    older = body_bytes(Answer(tool_calls=(call,)), ASKED, dialect=OllamaApi(version="0.12.9"))
    assert b'"tool_calls":[{"function":{"index":0' in older
    unnamed = body_bytes(Answer(tool_calls=(call,)), ASKED, dialect=OllamaApi(tool_call_ids=False))
    assert b'"tool_calls":[{"function":{"index":0' in unnamed


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<", b"\\u003c"),
        (">", b"\\u003e"),
        ("&", b"\\u0026"),
        ("\u2028", b"\\u2028"),
        ("\u2029", b"\\u2029"),
        ("\x00", b"\\u0000"),
        ("\x1f", b"\\u001f"),
        ('"\\/\n\t', b'\\"\\\\/\\n\\t'),
        ("\x7f", b"\x7f"),
        ("\x85", b"\xc2\x85"),
        ("é€😀\ufeff", "é€😀\ufeff".encode()),
        ("\ud800", "\ufffd".encode()),
    ],
)
def test_escapes_what_go_escapes_and_no_more(text: str, written: bytes) -> None:
    assert b'"content":"' + written + b'"' in lines_of(Answer(text))[0]


@given(st.text(max_size=40), st.integers(1, 4))
@example("a\x85b \u2028c", 1)
def test_lines_are_divided_by_newlines_only_and_lose_nothing(text: str, size: int) -> None:
    lines = [json.loads(line) for line in lines_of(Answer(text, tokens_per_chunk=size))]
    assert "".join(line["message"]["content"] for line in lines) == text
    whole = json.loads(body_bytes(Answer(text), {**ASKED, "stream": False}, dialect=OllamaApi()))
    assert whole["message"] == {"role": "assistant", "content": text}
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]


def test_leaves_out_what_is_nothing() -> None:
    [last] = map(json.loads, lines_of(Answer(""), messages=[{"role": "user", "content": ""}]))
    assert sorted(last) == ["created_at", "done", "done_reason", "load_duration", "message", "model", "total_duration"]
    assert last["message"] == {"role": "assistant", "content": ""}
    last = json.loads(lines_of(Answer("x", usage="none", finish=None))[-1])
    assert not {"done_reason", "prompt_eval_count", "eval_count"} & set(last)
    assert lines_of(Answer("", done=False)) == []


async def test_heads(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("ollama", dialect=OllamaApi(), models=("m",))

    async def head(method: str, path: str, **options: Any) -> tuple[int, Any, bool]:
        response = await http.request(method, vendor.base_url + path, **options)
        chunked = response.headers.get("transfer-encoding") == "chunked"
        assert chunked is ("content-length" not in response.headers)
        return response.status_code, response.headers.get("content-type"), chunked

    json_ = "application/json; charset=utf-8"
    assert await head("POST", "/api/chat", json=ASKED) == (200, "application/x-ndjson", True)
    assert await head("POST", "/api/chat", json={**ASKED, "stream": False}) == (200, json_, False)
    assert await head("POST", "/api/chat", json={"model": "x"}) == (404, json_, False)
    assert await head("GET", "/api/tags") == (200, json_, False)
    vendor.script(Answer(error="first"))
    assert await head("POST", "/api/chat", json=ASKED) == (500, "application/json", False)
    assert await head("GET", "/v1") == (404, "text/plain", False)
    assert await head("GET", "/api/chat") == (405, "text/plain", False)
    assert await head("HEAD", "/") == (200, "text/plain; charset=utf-8", False)
    assert (await http.get(vendor.base_url)).text == "Ollama is running"
    assert (await http.get(f"{vendor.base_url}/nowhere")).text == "404 page not found"
    assert (await http.get(f"{vendor.base_url}/api/version")).content == b'{"version":"0.32.15"}'


async def test_every_route_can_be_scripted(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("ollama", dialect=OllamaApi(), models=("m",))
    routes = {
        "root": ("GET", "/", None),
        "version": ("GET", "/api/version", None),
        "tags": ("GET", "/api/tags", None),
        "ps": ("GET", "/api/ps", None),
        "show": ("POST", "/api/show", {"model": "m"}),
        "embed": ("POST", "/api/embed", {"model": "m", "input": "x"}),
        "chat": ("POST", "/api/chat", ASKED),
        "load": ("POST", "/api/chat", {"model": "m"}),
        "pull": ("POST", "/api/pull", {"model": "m"}),
    }
    assert set(OllamaApi().routes) == set(routes)
    for route, (method, path, body) in routes.items():
        vendor.script(Fault(503), on=route)
        statuses = [(await http.request(method, vendor.base_url + path, json=body)).status_code for _ in range(2)]
        assert statuses == [503, 200]
    with pytest.raises(ValueError, match="no route generate"):
        vendor.script(Fault(503), on="generate")


async def test_durations_tell_the_pace(vendor_with_pace: Vendor, http: httpx2.AsyncClient) -> None:
    body = {**ASKED, "stream": False}
    last = (await http.post(f"{vendor_with_pace.base_url}/api/chat", json=body)).json()
    assert last["eval_count"] / last["eval_duration"] * 1e9 == pytest.approx(50.0)
    assert last["prompt_eval_duration"] == pytest.approx(0.5e9)
    assert last["total_duration"] == pytest.approx(0.5e9 + 4 / 50 * 1e9 + last["load_duration"])


@pytest.fixture
async def vendor_with_pace(lab: Lab) -> Vendor:
    return lab.vendor("o", dialect=OllamaApi(), profile=Profile((0.5, 0.5), (50, 50)), default=Answer("a b c d"))
