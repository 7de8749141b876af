"""Going on with an answer that broke: single stories, on a virtual clock and both loops."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from pointsman import (
    AllTargetsFailed,
    AsyncClient,
    DeadlineExceeded,
    Finished,
    Plugins,
    PointsmanError,
    ReasoningDelta,
    Resumed,
    Settings,
    StreamBroken,
    Unavailable,
    Usage,
)
from pointsman.engine.machine import PATIENCE_WITH_OTHERS_LEFT
from pointsman_testing import VIRTUAL_BACKENDS, Hang, ScriptedProvider, virtual_backend

DONE = Finished("stop", Usage(input_tokens=3, output_tokens=2))


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


def client(*providers: ScriptedProvider, limits: dict[str, Any] | None = None, **engine: object) -> AsyncClient:
    plugins = Plugins.of(providers={one.name: one for one in providers})
    return AsyncClient(settings=Settings.of({"engine": engine, "limits": limits or {}}), plugins=plugins)


def able(name: str, *scripts: Any, **more: Any) -> ScriptedProvider:
    return ScriptedProvider(name, *scripts, capabilities=["prefill"], **more)


HALF = "The capital of France is "


async def test_another_goes_on_with_an_answer_that_broke() -> None:
    a = ScriptedProvider("a", [HALF, StreamBroken])
    b = ScriptedProvider("b", [HALF.strip(), " Paris.", DONE], capabilities=["prefill"])
    async with client(a, b) as one, one.stream("hi", on_break="continue", max_tokens=100) as reply:
        shown = [text async for text in reply.text_stream]
    assert "".join(shown) == reply.text == HALF + "Paris."
    last = b.requests[0].messages[-1]
    assert (last.role, last.text) == ("assistant", HALF.strip())
    assert b.requests[0].max_tokens == 97
    assert [(record.role, record.outcome) for record in reply.attempts] == [("first", "failed"), ("resume", "finished")]
    assert reply.usage is not None
    assert reply.usage.estimated
    assert reply.usage.output_tokens == 5


async def test_a_collected_answer_tells_that_it_was_continued() -> None:
    a = ScriptedProvider("a", [HALF, StreamBroken])
    b = ScriptedProvider("b", ["Paris.", DONE], capabilities=["prefill"])
    async with client(a, b) as one:
        reply = await one.chat("hi", on_break="continue")
    assert reply.text == HALF + "Paris."
    assert [type(event) for event in reply.events].count(Resumed) == 1


async def test_an_answer_begun_anew_is_no_continuation() -> None:
    a = ScriptedProvider("a", [HALF, StreamBroken], default=[HALF, StreamBroken])
    b = ScriptedProvider("b", default=["The capital of France, Paris, is old.", DONE], capabilities=["prefill"])
    async with client(a, b, retries=0) as one:
        with pytest.raises(AllTargetsFailed) as caught:
            async with one.stream("hi", on_break="continue") as streamed:
                await streamed.collect()
        assert "answered anew" in str(caught.value.exceptions[1])
        c = ScriptedProvider("c", default="whole")
    async with client(a, b, c, retries=0) as one:
        assert (await one.chat("hi", on_break="continue")).text == "whole"


@pytest.mark.parametrize("options", [{"response_schema": {"type": "object"}}, {}])
async def test_documents_and_reasoning_are_never_gone_on_with(options: dict[str, Any]) -> None:
    able = ["prefill", "schema"]
    first: list[Any] = ['{"half', StreamBroken] if options else [ReasoningDelta("hm"), "half", StreamBroken]
    a = ScriptedProvider("a", first, capabilities=able)
    b = ScriptedProvider("b", default="whole", capabilities=able)
    async with client(a, b) as one:
        assert (await one.chat("hi", on_break="continue", **options)).text == "whole"
    assert all(message.role == "user" for request in b.requests for message in request.messages)


async def test_who_first_repeats_all_that_was_said_is_not_silent() -> None:
    """Reading 30 s of repetition takes longer than anybody waits for a first token while others are left."""
    words = [f"word{number} " for number in range(600)]
    slowly = [step for word in words for step in (0.05, word)]
    a, b = able("a", [*words, StreamBroken("gone")]), able("b", [*slowly, "and the end", DONE])
    async with client(a, b, able("c", default=[Unavailable])) as one:
        async with one.stream("hi", on_break="continue") as reply:
            shown = "".join([text async for text in reply.text_stream])
    assert shown == "".join(words) + "and the end"
    assert [record.role for record in reply.attempts] == ["first", "resume"]


async def test_who_stops_in_the_middle_of_a_repetition_is_left() -> None:
    a = able("a", [HALF, StreamBroken("gone", retryable=False)])
    b, c = able("b", [HALF[:10], Hang()]), able("c", default=["Paris.", DONE])
    async with client(a, b, c, stall=3.0) as one:
        began = anyio.current_time()
        async with one.stream("hi", on_break="continue") as reply:
            shown = "".join([text async for text in reply.text_stream])
        assert anyio.current_time() - began == pytest.approx(PATIENCE_WITH_OTHERS_LEFT)
    assert shown == HALF + "Paris."


async def partial_of(one: AsyncClient, model: list[str], **options: Any) -> tuple[str, PointsmanError]:
    """What was shown, and the error that ended it."""
    shown = ""
    with pytest.raises(PointsmanError) as caught:
        async with one.stream("hi", on_break="continue", model=model, **options) as reply:
            async for text in reply.text_stream:
                shown += text
    return shown, caught.value


MODELS = ["a/scripted-1", "b/scripted-1"]


async def test_an_error_after_a_second_break_holds_all_that_was_shown() -> None:
    """Also where a provider's own error holds what it alone has said."""
    a = able("a", ["one two ", StreamBroken("gone", partial="one two ")])
    b = able("b", ["three four ", StreamBroken("gone", partial="three four ")])
    async with client(a, b, max_attempts=2) as one:
        shown, error = await partial_of(one, MODELS)
    assert error.partial == shown == "one two three four "


async def test_a_deadline_in_line_holds_all_that_was_shown() -> None:
    a, b = able("a", default=["one two ", StreamBroken("gone", retryable=False)]), able("b", default=[Hang()])
    async with client(a, b, limits={"b": {"concurrent": 1}}) as one, anyio.create_task_group() as group:

        async def hold() -> None:
            await one.chat("x", model=MODELS[1])

        group.start_soon(hold)
        await anyio.sleep(1)
        shown, error = await partial_of(one, MODELS, deadline=5)
        group.cancel_scope.cancel()
    assert type(error) is DeadlineExceeded
    assert error.partial == shown == "one two "
