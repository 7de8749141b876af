"""A prompt over the context is an error with every version of the server, never a prompt that was shortened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import (
    ChatRequest,
    ContextOverflow,
    Finished,
    Image,
    PointsmanError,
    StreamEvent,
    Tool,
    Unavailable,
    user,
)
from pointsman_ollama import OllamaConfig, guard
from pointsman_ollama.request import chat_body
from pointsman_testing import Fault, Hangup, Lab, OllamaApi, Raw, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

OLD = "0.12.5"


async def ask(session: Any, length: int = 3000, model: str = "m", **fields: Any) -> list[StreamEvent]:
    request = ChatRequest(messages=(user("x" * length),), model=model, **fields)
    async with session.stream(request) as events:
        return [event async for event in events]


def chats(vendor: Vendor) -> list[Any]:
    return [request.json for request in vendor.requests if request.path == "/api/chat"]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.12.6", (0, 12, 6)),
        ("v0.32.15", (0, 32, 15)),
        ("0.12.6-rc1", (0, 12, 5)),
        ("0.33.0-rc2-1-gabc", (0, 33, -1)),
        ("0.0.0", None),
        ("", None),
        ("dev", None),
        (None, None),
        (1, None),
    ],
)
def test_versions(text: Any, version: Any) -> None:
    assert guard.read_version(text) == version


def test_what_versions_do() -> None:
    assert guard.refuses_overflow((0, 12, 6))
    assert guard.refuses_overflow(guard.read_version("0.33.0-rc2"))
    assert not guard.refuses_overflow(guard.read_version("0.12.6-rc1"))
    assert not guard.refuses_overflow(None)
    assert [guard.default_context(one) for one in ((0, 12, 5), (0, 6, 7), (0, 6, 6), None)] == [4096, 4096, 2048, 2048]


@given(st.lists(st.text(), max_size=4), st.text(max_size=20))
def test_the_bound_is_no_less_than_the_bytes(texts: list[str], description: str) -> None:
    request = ChatRequest(messages=tuple(map(user, texts)), model="m", tools=(Tool("f", description),))
    body = chat_body(request, OllamaConfig())
    bytes_said = len("".join([*texts, description]).encode(errors="replace"))
    try:
        tokens = guard.most_tokens(body)
    except PointsmanError:  # What cannot be sent at all.
        return
    assert tokens >= bytes_said + 16 * len(texts) + 256


def test_a_picture_is_put_down_as_a_number_of_tokens() -> None:
    one = ChatRequest(messages=(user(Image("data:image/png;base64," + "AAAA" * 10_000)),), model="m")
    tokens = guard.most_tokens(chat_body(one, OllamaConfig()))
    assert guard.PICTURE_TOKENS < tokens < guard.PICTURE_TOKENS + 500


async def test_a_server_that_refuses_is_asked(opened: Open, vendor: Vendor) -> None:
    async with opened(vendor.base_url) as session:
        assert isinstance((await ask(session, 100_000))[-1], Finished)  # It counts words, and this is one.
    assert chats(vendor)[0]["truncate"] is False


async def test_an_old_server_gets_only_what_fits_surely(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("old", dialect=OllamaApi(version=OLD), models=["m"])
    async with opened(vendor.base_url) as session:
        await ask(session, 3000)
        with pytest.raises(ContextOverflow) as caught:
            await ask(session, 5000)
    message = str(caught.value)
    assert all(part in message for part in (OLD, "a context of 4096", "0.12.6", "num_ctx"))
    assert len(chats(vendor)) == 1


async def test_the_context_that_is_loaded_counts_and_is_kept(opened: Open, lab: Lab) -> None:
    """Another `num_ctx`, or none, would make the server load the model anew, with less."""
    model = {"name": "m:latest", "loaded": 16_384, "context_length": 131_072}
    vendor = lab.vendor("loaded", dialect=OllamaApi(version=OLD), models=[model])
    async with opened(vendor.base_url) as session:
        await ask(session, 10_000, extra={"options": {"top_k": 1}})
        with pytest.raises(ContextOverflow, match="16384"):
            await ask(session, 20_000)
    assert [one["options"] for one in chats(vendor)] == [{"top_k": 1, "num_ctx": 16_384}]


async def test_num_ctx_counts_up_to_what_the_model_was_trained_for(opened: Open, lab: Lab) -> None:
    models = [{"name": "short", "context_length": 8192}, {"name": "long", "context_length": 131_072}]
    vendor = lab.vendor("asked", dialect=OllamaApi(version=OLD), models=models)
    async with opened(vendor.base_url, num_ctx=32_768) as session:
        await ask(session, 20_000, "long")
        await ask(session, 20_000, "long")
        with pytest.raises(ContextOverflow, match="8192"):
            await ask(session, 20_000, "short")
        with pytest.raises(ContextOverflow, match="100"):
            await ask(session, 3000, "long", extra={"options": {"num_ctx": 100}})
    assert len(chats(vendor)) == 2
    assert sum(request.path == "/api/show" for request in vendor.requests) == 2  # Once for each model.


@pytest.mark.parametrize(
    "answer",
    [
        Fault(404, b"404 page not found"),
        Raw(b"Ollama is running", content_type="text/plain", chunked=False),
        Raw(b'{"version":17}', content_type="application/json", chunked=False),
        Raw(b"[]", content_type="application/json", chunked=False),
    ],
)
async def test_a_server_that_does_not_say_its_version_works(opened: Open, lab: Lab, answer: Any) -> None:
    """But nobody knows whether it would refuse."""
    vendor = lab.vendor("mute", dialect=OllamaApi(), models=["m"])
    vendor.script(answer, on="version")
    async with opened(vendor.base_url) as session:
        await ask(session, 100)
        with pytest.raises(ContextOverflow, match="of unknown version"):
            await ask(session, 5000)
    assert sum(request.path == "/api/version" for request in vendor.requests) == 1


@pytest.mark.parametrize("answer", [Fault(503), Hangup()])
async def test_a_failure_to_say_it_is_not_kept(opened: Open, vendor: Vendor, answer: Any) -> None:
    vendor.script(answer, on="version")
    async with opened(vendor.base_url) as session:
        with pytest.raises(Unavailable):
            await ask(session)
        await ask(session)


async def test_whoever_asks_for_cutting_gets_it(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("old", dialect=OllamaApi(version=OLD), models=["m"])
    async with opened(vendor.base_url) as session:
        await ask(session, 5000, extra={"truncate": True})
    assert [request.path for request in vendor.requests] == ["/api/chat"]


async def test_a_model_in_the_cloud_has_the_clouds_context(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("old", dialect=OllamaApi(version=OLD), models=["gpt-oss:120b-cloud"])
    async with opened(vendor.base_url) as session:
        await ask(session, 50_000, "gpt-oss:120b-cloud")
