"""OpenAI's own SDK at the same address: what it agrees with, and where it is wrong. On asyncio, since it leaks on trio.

The SDK follows redirects (`follow_redirects=True`) and retries twice by itself; both make it a judge of cold starts.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import count
from typing import Any, TypeAlias

import anyio
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman import (
    ChatRequest,
    EmbedRequest,
    Finished,
    PointsmanError,
    ProviderContext,
    RateLimits,
    ReasoningDelta,
    StreamBroken,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Unavailable,
    user,
)
from pointsman_modal import SPEC, ModalConfig
from pointsman_testing import MODAL_FAULTS, Answer, Ending, Fault, Lab, ModalEndpoint, Vendor

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

NUMBERS = count()
TOKEN = "wk-Ab12Cd34Ef56.ws-Gh78Ij90Kl12"
MODEL = {"id": "m", "capabilities": ["completion", "tools", "thinking"]}
ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
REQUEST = ChatRequest(messages=(user("hi"),), model="m", tools=(Tool("f"),))
Told: TypeAlias = tuple[str, str, list[tuple[str, str, str]], str | None, tuple[int, int] | None]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def sdk(vendor: Vendor, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(**({"base_url": vendor.base_url, "api_key": TOKEN, "max_retries": 0} | options))


async def theirs(client: openai.AsyncOpenAI) -> Told:
    """What a plain loop over the SDK's chunks makes of an answer."""
    text = thoughts = ""
    calls: list[tuple[str, str, str]] = []
    reason: str | None = None
    counts: tuple[int, int] | None = None
    async with client:
        options: Any = {"stream_options": {"include_usage": True}, "tools": [TOOL]}
        stream: Any = await client.chat.completions.create(**ASK, stream=True, **options)
        async for chunk in stream:
            if chunk.usage:
                counts = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
            for choice in chunk.choices:
                text += choice.delta.content or ""
                thoughts += (choice.delta.model_extra or {}).get("reasoning") or ""
                calls += [(one.id, one.function.name, one.function.arguments) for one in choice.delta.tool_calls or ()]
                reason = choice.finish_reason or reason
    return text, thoughts, calls, reason, counts


async def ours(session: Any) -> Told:
    text = thoughts = ""
    calls: list[tuple[str, str, str]] = []
    async with session.stream(REQUEST) as events:
        async for event in events:
            match event:
                case TextDelta(said):
                    text += said
                case ReasoningDelta(said):
                    thoughts += said
                case ToolCallDelta():
                    calls.append((event.id or "", event.name or "", event.arguments))
                case Finished(reason, usage):
                    counts = None if usage is None else (usage.input_tokens, usage.output_tokens)
                    return text, thoughts, calls, reason, counts
                case _:
                    raise AssertionError(event)
    raise AssertionError("no Finished")


TEXTS = st.text(alphabet=st.sampled_from("ab <&\u2028\x85😀\n") | st.characters(codec="utf-8"), max_size=12)
CALLS = st.lists(
    st.builds(
        lambda number, value: ToolCall(f"call_{number}", "f", json.dumps({"a": value})), st.integers(0, 9), TEXTS
    ),
    max_size=2,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS, reasoning=TEXTS, calls=CALLS, size=st.integers(1, 3), counted=st.booleans())
async def test_a_healthy_answer_is_the_same_to_both(
    lab: Lab, text: str, reasoning: str, calls: list[ToolCall], size: int, counted: bool
) -> None:
    answer = Answer(
        text,
        reasoning=reasoning,
        tool_calls=tuple(calls),
        tokens_per_chunk=size,
        usage="asked" if counted else "none",
    )
    vendor = lab.vendor(
        f"modal-{next(NUMBERS)}", dialect=ModalEndpoint(), models=[MODEL], api_key=TOKEN, default=answer
    )
    config = ModalConfig.model_validate({"base_url": vendor.base_url, "api_key": TOKEN})
    async with SPEC.open(config, _context()) as session:
        mine = await ours(session)
    assert await theirs(sdk(vendor)) == mine
    assert mine[:2] == (text, reasoning)
    assert [call[1:] for call in mine[2]] == [("f", call.arguments) for call in calls]


@pytest.mark.parametrize("form", ["whole", "halves"])
async def test_both_forms_of_the_token_open_the_door_to_both(opened: Open, lab: Lab, form: str) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=[MODEL], api_key=TOKEN)
    pair = dict(zip(("Modal-Key", "Modal-Secret"), TOKEN.split("."), strict=True))
    client = sdk(vendor) if form == "whole" else sdk(vendor, api_key="unused", default_headers=pair)
    mine: Any = {"api_key": TOKEN}
    if form == "halves":
        mine = dict(zip(("token_id", "token_secret"), TOKEN.split("."), strict=True))
    async with opened(vendor.base_url, **mine) as session:
        assert await theirs(client) == await ours(session)


async def test_a_result_url_is_followed_by_both(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(start=900), models=[MODEL], api_key=TOKEN)
    assert (await theirs(sdk(vendor)))[0] == "modal answers."
    assert [request.method for request in vendor.requests] == ["POST"] + ["GET"] * (len(vendor.requests) - 1)
    other = lab.vendor("again", dialect=ModalEndpoint(start=900), models=[MODEL], api_key=TOKEN)
    async with opened(other.base_url, api_key=TOKEN) as session:
        assert (await ours(session))[0] == "again answers."
    assert [request.method for request in other.requests] == ["POST"] + ["GET"] * (len(other.requests) - 1)
    assert min(len(vendor.requests), len(other.requests)) > 2


async def test_models_and_embeddings_read_the_same(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=[MODEL])
    async with sdk(vendor) as client, opened(vendor.base_url, min_containers=1) as session:
        listed = [model.id async for model in client.models.list()]
        assert listed == [model.id for model in await session.offered()] == ["m:latest"]
        found = await client.embeddings.create(model="m", input=["a b", "c"], encoding_format="float")
        mine = await session.embed(EmbedRequest("m", ("a b", "c")))
    assert [tuple(one.embedding) for one in found.data] == list(mine.vectors)
    assert mine.usage is not None
    assert found.usage.prompt_tokens == mine.usage.input_tokens == 3


@pytest.mark.parametrize(
    ("fault", "judged"),
    [
        (MODAL_FAULTS["invalid credentials"], openai.AuthenticationError),
        (MODAL_FAULTS["out of scope"], openai.PermissionDeniedError),
        (MODAL_FAULTS["not deployed"], openai.NotFoundError),
        (MODAL_FAULTS["bad redirect method"], openai.BadRequestError),
        (MODAL_FAULTS["expired"], openai.APIStatusError),
        (MODAL_FAULTS["terminated"], openai.InternalServerError),
        (MODAL_FAULTS["throttled"], openai.RateLimitError),
        (Fault(404, message="model 'm' not found"), openai.NotFoundError),
        (Fault(503), openai.InternalServerError),
    ],
)
async def test_a_failing_answer_fails_for_both(
    opened: Open, lab: Lab, fault: Fault, judged: type[openai.OpenAIError]
) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=[MODEL], default=fault)
    with pytest.raises(judged) as raised:
        await theirs(sdk(vendor))
    assert type(raised.value) is judged
    async with opened(vendor.base_url, cold_start=0) as session:
        with pytest.raises(PointsmanError):
            await ours(session)


# Where the SDK is wrong ----------------------------------------------------------------------------------------------


async def test_the_sdk_takes_a_lost_error_for_the_end(opened: Open, lab: Lab) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=[MODEL], default=Answer("half", error="it broke"))
    assert (await theirs(sdk(vendor)))[:4] == ("half", "", [], None)  # No exception.
    async with opened(vendor.base_url) as session:
        with pytest.raises(StreamBroken):
            await ours(session)


@pytest.mark.parametrize(("how", "raises"), [("clean", False), ("close", True), ("reset", True)])
async def test_the_sdk_takes_a_clean_cut_for_the_end(opened: Open, lab: Lab, how: Ending, raises: bool) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), models=[MODEL])
    vendor.script(Answer("one two three").cut(after=2, how=how), Answer("one two three").cut(after=2, how=how))
    if raises:
        with pytest.raises(openai.APIConnectionError):
            await theirs(sdk(vendor))
    else:
        assert (await theirs(sdk(vendor)))[:4] == ("one", "", [], None)
    async with opened(vendor.base_url) as session:
        with pytest.raises(StreamBroken):
            await ours(session)


async def test_the_sdk_gives_up_on_a_cold_server(opened: Open, lab: Lab) -> None:
    """It asks three times in about two seconds, as it does for any 503; a GPU takes longer."""
    vendor = lab.vendor("modal", dialect=ModalEndpoint(product="refusing", start=2400, scaledown_window=1e9))
    async with opened(vendor.base_url) as session:
        with pytest.raises(openai.InternalServerError):
            await theirs(sdk(vendor, max_retries=2))
        assert len(vendor.requests) == 3
        assert (await ours(session))[0] == "modal answers."


async def test_the_sdk_gives_the_pair_to_whomever_it_is_redirected_to(opened: Open, lab: Lab) -> None:
    """Its HTTP library takes `Authorization` off on the way to another host, but not headers of other names."""
    other = lab.vendor("elsewhere", dialect=ModalEndpoint(), models=[MODEL])
    where = other.base_url.removesuffix("/v1")
    vendor = lab.vendor("modal", dialect=ModalEndpoint(start=400, location=where), models=[MODEL])
    pair = dict(zip(("Modal-Key", "Modal-Secret"), TOKEN.split("."), strict=True))
    with pytest.raises(openai.APIStatusError):
        await theirs(sdk(vendor, default_headers=pair))
    assert other.requests[0].headers["modal-secret"] == TOKEN.split(".")[1]
    assert "authorization" not in other.requests[0].headers
    mine = lab.vendor("mine", dialect=ModalEndpoint(start=400, location=where), models=[MODEL])
    async with opened(mine.base_url, token_id=pair["Modal-Key"], token_secret=pair["Modal-Secret"]) as session:
        with pytest.raises(Unavailable, match="the keys are not sent there"):
            await ours(session)
    assert len(other.requests) == 1


def _context() -> Any:
    return ProviderContext(
        name="modal",
        clock=anyio.current_time,
        secrets={},
        limits=RateLimits(),
        log=logging.LoggerAdapter(logging.getLogger("modal"), {}),
    )
