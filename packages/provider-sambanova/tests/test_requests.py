"""What is sent: as SambaNova takes it, by model. The lab refuses what it would refuse."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    AsyncClient,
    ChatRequest,
    Image,
    InvalidRequest,
    Settings,
    Tool,
    user,
)
from pointsman_openai import Session
from pointsman_sambanova.models import MODELS
from pointsman_sambanova.requests import adapted
from pointsman_testing import Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Session]]


async def sent(opened: Open, vendor: Vendor, **fields: Any) -> dict[str, Any]:
    """What the vendor got, and took."""
    request = ChatRequest(**{"messages": (user("hi"),), "model": "gpt-oss-120b", **fields})
    async with opened(vendor) as session:
        async with session.stream(request) as events:
            async for _ in events:
                pass
    return vendor.requests[-1].json


async def test_a_plain_question(opened: Open, vendor: Vendor) -> None:
    assert await sent(opened, vendor) == {
        "model": "gpt-oss-120b",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("model", "effort", "added"),
    [
        *(("gpt-oss-120b", effort, {"reasoning_effort": effort}) for effort in ("low", "medium", "high")),
        ("gpt-oss-120b", "none", {"reasoning_effort": "low"}),
        ("gpt-oss-120b", "minimal", {"reasoning_effort": "low"}),
        ("gpt-oss-120b", "xhigh", {"reasoning_effort": "high"}),
        ("MiniMax-M3", "none", {"reasoning_effort": "low"}),
        ("something-new", "medium", {"reasoning_effort": "medium"}),
        ("DeepSeek-V3.1", "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("DeepSeek-V3.2", "low", {"chat_template_kwargs": {"enable_thinking": True}}),
        ("Meta-Llama-3.3-70B-Instruct", "high", {}),
        ("gemma-4-31B-it", "none", {}),
    ],
)
async def test_how_hard_to_think(opened: Open, vendor: Vendor, model: str, effort: str, added: dict[str, Any]) -> None:
    body = await sent(opened, vendor, model=model, reasoning_effort=effort)
    assert {name: body[name] for name in body if name not in ("model", "messages", "stream", "stream_options")} == added


async def test_an_effort_that_nobody_knows_is_the_vendors_to_refuse(opened: Open, vendor: Vendor) -> None:
    with pytest.raises(InvalidRequest, match="reasoning_effort"):
        await sent(opened, vendor, reasoning_effort="enormous")


@given(
    st.sampled_from([*(model.id for model in MODELS), "new"]),
    st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]) | st.none(),
)
def test_the_vendor_sees_no_effort_but_its_own(model: str, effort: str | None) -> None:
    body = {"model": model, "messages": [], **({"reasoning_effort": effort} if effort else {})}
    found = adapted(dict(body))
    assert found.get("reasoning_effort", "low") in ("low", "medium", "high")
    assert {name: found[name] for name in ("model", "messages")} == {"model": model, "messages": []}
    if effort is None:
        assert found == body


async def test_what_somebody_adds_is_sent_as_it_is(opened: Open, vendor: Vendor) -> None:
    own = {"chat_template_kwargs": {"enable_thinking": True, "depth": 2}, "presence_penalty": 0.5, "n": 1, "top_k": 3}
    body = await sent(opened, vendor, model="DeepSeek-V3.1", reasoning_effort="none", extra=own)
    assert {name: body[name] for name in own} == own


async def test_without_a_stream_there_are_no_options_of_one(opened: Open, vendor: Vendor) -> None:
    body = await sent(opened, vendor, extra={"stream": False})
    assert "stream_options" not in body


async def test_pictures_by_address_are_not_sent(opened: Open, vendor: Vendor) -> None:
    with pytest.raises(InvalidRequest, match="data: URLs"):
        await sent(opened, vendor, messages=(user("look", Image("https://acme.example/a.png")),))
    assert not vendor.requests
    inline = Image("data:image/png;base64,AA")
    body = await sent(opened, vendor, messages=(user("look", inline),), model="gemma-4-31B-it")
    assert body["messages"][0]["content"][1] == {"type": "image_url", "image_url": {"url": inline.url}}


async def test_a_schema_is_sent_and_no_text_format(opened: Open, vendor: Vendor) -> None:
    body = await sent(opened, vendor, response_schema={"title": "Answer", "type": "object"})
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Answer", "schema": {"title": "Answer", "type": "object"}},
    }


@pytest.mark.parametrize(
    ("asks", "model"),
    [
        ({"messages": "hi"}, "gemma-4-31B-it"),
        ({"messages": "hi", "tools": [Tool("f")]}, "Meta-Llama-3.3-70B-Instruct"),
        ({"messages": "hi", "require": {"reasoning"}}, "DeepSeek-V3.1"),
        ({"messages": [user("look", Image("data:image/png;base64,AA"))]}, "gemma-4-31B-it"),
    ],
)
async def test_what_a_model_cannot_do_goes_to_the_next(
    vendor: Vendor, key: str, asks: dict[str, Any], model: str
) -> None:
    """Tools are a matter of the model here: gemma answers them with status 400."""
    order = [f"sambanova/{name}" for name in ("gemma-4-31B-it", "Meta-Llama-3.3-70B-Instruct", "DeepSeek-V3.1")]
    given = {
        "providers": {"sambanova": {"base_url": vendor.base_url, "api_key": key}},
        "routing": {"targets": order, "policy": "in_order"},
    }
    options = dict(asks)
    async with AsyncClient(settings=Settings.of(given)) as client:
        reply = await client.chat(options.pop("messages"), **options)
    assert str(reply.target) == f"sambanova/{model}"
    assert [request.json["model"] for request in vendor.requests] == [model]
