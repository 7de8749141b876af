"""Models that load, stay and go, and contexts that overflow, as an Ollama server has them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_testing import Answer, Fault, Lab, OllamaApi, Profile, Site, Vendor, body_bytes
from pointsman_testing.lab.profiles import Pace


def said(text: str, role: str = "user") -> dict[str, str]:
    return {"role": role, "content": text}


ASKED = {"model": "m", "messages": [said("Say hi")], "stream": False}
LONG = " ".join(["word"] * 100)


async def chat(http: httpx2.AsyncClient, vendor: Vendor, **fields: Any) -> Any:
    response = await http.post(f"{vendor.base_url}/api/chat", json={**ASKED, **fields})
    return response.json()


async def running(http: httpx2.AsyncClient, vendor: Vendor) -> dict[str, int]:
    models = (await http.get(f"{vendor.base_url}/api/ps")).json()["models"]
    return {model["name"]: model["context_length"] for model in models}


async def test_a_cold_model_is_waited_for_before_the_head(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(load=4.0), models=("m", "other"))
    assert await running(http, vendor) == {}
    begun = time.monotonic()
    async with http.stream("POST", f"{vendor.base_url}/api/chat", json={**ASKED, "stream": True}) as response:
        assert time.monotonic() - begun >= 0.4  # Four seconds of the lab.
        *_, last = [json.loads(line) async for line in response.aiter_lines()]
    assert last["load_duration"] == pytest.approx(4e9, rel=0.01)
    assert last["total_duration"] > last["load_duration"]
    assert await running(http, vendor) == {"m:latest": 4096}
    assert (await chat(http, vendor))["load_duration"] < 0.1e9


def test_who_comes_while_it_loads_waits_for_the_rest() -> None:
    now = 100.0
    dialect, site = OllamaApi(load=4.0), Site(clock=lambda: now)
    assert dialect.chat(Answer("hi"), ASKED, Pace(), site).wait == 4.0
    now = 101.0
    assert dialect.chat(Answer("hi"), ASKED, Pace(), site).wait == 3.0
    now = 105.0
    assert dialect.chat(Answer("hi"), ASKED, Pace(), site).wait == 0.0


async def test_what_still_loads_is_listed(lab: Lab, http: httpx2.AsyncClient) -> None:
    """As on the real server: that a model is listed does not say that it is ready."""
    vendor = lab.vendor("o", dialect=OllamaApi(load=1e6))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(chat, http, vendor)
        await vendor.received()
        assert await running(http, vendor) == {"m:latest": 4096}
        tasks.cancel_scope.cancel()


async def test_another_context_loads_anew(lab: Lab, http: httpx2.AsyncClient) -> None:
    models: Any = ({"name": "m", "loaded": 8192, "context_length": 16_384},)
    vendor = lab.vendor("o", dialect=OllamaApi(load=1.0), models=models)
    assert await running(http, vendor) == {"m:latest": 8192}
    assert (await chat(http, vendor))["load_duration"] < 0.1e9
    assert (await chat(http, vendor, options={"num_ctx": 100_000}))["load_duration"] > 0.9e9
    assert await running(http, vendor) == {"m:latest": 16_384}  # No more than it was trained for.
    assert (await chat(http, vendor))["load_duration"] > 0.9e9
    assert await running(http, vendor) == {"m:latest": 8192}


@pytest.mark.parametrize("stream", [True, False])
async def test_loads_and_unloads_without_messages(lab: Lab, http: httpx2.AsyncClient, stream: bool) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(load=1.0), models=("m",))
    vendor.script(Answer("for another"))
    begun = time.monotonic()
    loaded = await chat(http, vendor, messages=[], stream=stream)
    assert time.monotonic() - begun >= 0.1
    assert (loaded["done"], loaded["done_reason"], loaded["message"]["content"]) == (True, "load", "")
    assert await running(http, vendor) == {"m:latest": 4096}
    unloaded = await chat(http, vendor, messages=[], stream=stream, keep_alive=0)
    assert unloaded["done_reason"] == "unload"
    assert await running(http, vendor) == {}
    assert vendor.pending == 1


@pytest.mark.parametrize(
    ("keep_alive", "stays"), [(0, False), ("0s", False), ("500ms", False), (1, False), ("1h30m", True), (-1, True)]
)
async def test_stays_as_long_as_it_is_told(http: httpx2.AsyncClient, keep_alive: Any, stays: bool) -> None:
    async with Lab(speed=100) as lab:
        vendor = lab.vendor("o", dialect=OllamaApi(), models=("m",))
        await chat(http, vendor, keep_alive=keep_alive)
        await anyio.sleep(0.02)
        assert bool(await running(http, vendor)) is stays


async def test_is_not_taken_from_under_another_answer(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(), models=("m",))
    vendor.script(Answer("a b", profile=Profile((1e6, 1e6), (1.0, 1.0))), Answer("short"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(chat, http, vendor)
        await vendor.received()
        await chat(http, vendor, keep_alive=0)
        assert await running(http, vendor) == {"m:latest": 4096}
        tasks.cancel_scope.cancel()


async def test_tells_when_a_model_goes(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(), models=({"name": "m", "loaded": True}, "n"))
    await chat(http, vendor, model="n", keep_alive="1h")
    models = (await http.get(f"{vendor.base_url}/api/ps")).json()["models"]
    # By the clock on the wall, which is the one that a reader has; never is as far off as a duration of Go's reaches.
    never, hour = (datetime.fromisoformat(model["expires_at"][:19] + "+00:00") for model in models)
    assert never.year >= datetime.now(UTC).year + 291
    assert timedelta(minutes=59) < hour - datetime.now(UTC) <= timedelta(hours=1)


async def test_vendors_of_one_dialect_remember_for_themselves(lab: Lab, http: httpx2.AsyncClient) -> None:
    dialect = OllamaApi()
    first, second = lab.vendor("a", dialect=dialect), lab.vendor("b", dialect=dialect)
    await chat(http, first)
    assert [await running(http, first), await running(http, second)] == [{"m:latest": 4096}, {}]


async def test_a_fault_loads_nothing(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi())
    vendor.script(Fault(503))
    await chat(http, vendor)
    assert await running(http, vendor) == {}


async def test_a_prompt_that_is_too_long_is_refused_on_demand(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(num_ctx=60, load=1.0))
    vendor.script(Answer("for another"))
    begun = time.monotonic()
    response = await http.post(
        f"{vendor.base_url}/api/chat", json={**ASKED, "messages": [said(LONG)], "truncate": False}
    )
    assert time.monotonic() - begun >= 0.1  # It had to load, to know.
    assert (response.status_code, response.headers["content-type"]) == (400, "application/json")
    inner = json.loads(response.json()["error"])["error"]
    assert (inner["type"], inner["code"]) == ("exceed_context_size_error", 400)
    assert (inner["n_prompt_tokens"], inner["n_ctx"]) == (100, 60)
    assert vendor.pending == 1
    fits = await chat(http, vendor, messages=[said(LONG)], truncate=False, options={"num_ctx": 100})
    assert (fits["prompt_eval_count"], vendor.pending) == (100, 0)


@pytest.mark.parametrize(("version", "truncate"), [("0.32.15", None), ("0.32.15", True), ("0.12.5", False)])
async def test_a_prompt_that_is_too_long_is_cut_in_silence(
    lab: Lab, http: httpx2.AsyncClient, version: str, truncate: bool | None
) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(num_ctx=60, version=version))
    reply = await chat(http, vendor, messages=[said(LONG)], truncate=truncate)
    assert (reply["done_reason"], reply["prompt_eval_count"]) == ("stop", 60 // 2 + 2)


async def test_old_messages_go_first(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(num_ctx=60))
    history = [said("Be brief.", "system"), said(LONG), said("I see.", "assistant"), said("one two three")]
    assert (await chat(http, vendor, messages=history))["prompt_eval_count"] == 2 + 2 + 3
    assert (await chat(http, vendor, messages=[said(LONG, "system"), *history]))["prompt_eval_count"] == 32


async def test_some_engines_refuse_what_cannot_be_made_to_fit(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(num_ctx=60, half_cut=False))
    assert "exceed_context_size_error" in (await chat(http, vendor, messages=[said(LONG)]))["error"]
    assert (await chat(http, vendor, messages=[said(LONG), said("hi")]))["prompt_eval_count"] == 1


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.integers(0, 9)), min_size=1, max_size=8))
def test_no_more_is_read_than_fits(messages: list[tuple[str, int]]) -> None:
    request = {**ASKED, "messages": [said(" ".join("x" * count), role) for role, count in messages]}
    last = json.loads(body_bytes(Answer("hi"), request, dialect=OllamaApi(num_ctx=12)))
    total = sum(count for _, count in messages)
    read = last.get("prompt_eval_count", 0)
    assert read == total if total <= 12 else read <= 12


@pytest.mark.parametrize(
    ("options", "text", "thought", "reason"),
    [
        ({"num_predict": 1}, "", "Hm,", "length"),
        ({"num_predict": 3}, "one", "Hm, well.", "length"),
        ({"num_predict": 5}, "one two three", "Hm, well.", "stop"),
        ({"num_predict": -1}, "one two three", "Hm, well.", "stop"),
    ],
)
@pytest.mark.parametrize("size", [1, 2])
async def test_stops_at_the_limit(
    lab: Lab, http: httpx2.AsyncClient, options: Any, text: str, thought: str, reason: str, size: int
) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi())
    vendor.script(Answer("one two three", reasoning="Hm, well.", tokens_per_chunk=size))
    reply = await chat(http, vendor, options=options)
    assert (reply["message"]["content"], reply["message"]["thinking"]) == (text, thought)
    assert (reply["done_reason"], reply["eval_count"]) == (reason, len(f"{thought} {text}".split()))


async def test_without_shift_the_context_is_the_limit(lab: Lab, http: httpx2.AsyncClient) -> None:
    vendor = lab.vendor("o", dialect=OllamaApi(num_ctx=8), default=Answer(LONG))
    reply = await chat(http, vendor, shift=False)
    assert (reply["done_reason"], reply["eval_count"]) == ("length", 6)
    assert (await chat(http, vendor))["eval_count"] == 80  # With it, ten contexts are.
