"""The real runner on a virtual clock: whatever providers do, the caller gets one whole answer or is told why not."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pointsman import (
    AllTargetsFailed,
    AsyncClient,
    AtLeast,
    AttemptFailed,
    AuthFailed,
    ChatRequest,
    ConfigError,
    Connection,
    ContextOverflow,
    Cost,
    DeadlineExceeded,
    Exact,
    Finished,
    FirstTokenTimeout,
    InvalidRequest,
    ModelInfo,
    PluginError,
    Plugins,
    PointsmanError,
    Price,
    RateLimited,
    ReasoningDelta,
    Refused,
    Reply,
    Retracted,
    Settings,
    Stalled,
    Started,
    Stream,
    StreamBroken,
    StreamEvent,
    Target,
    TextDelta,
    Timings,
    ToolCall,
    ToolCallDelta,
    Unavailable,
    Unknown,
    Usage,
    hookimpl,
)
from pointsman.engine.channel import WINDOW
from pointsman.engine.health.breaker import State
from pointsman_testing import VIRTUAL_BACKENDS, Hang, ScriptedProvider, VirtualBackend, virtual_backend, virtual_run

DONE = Finished("stop", Usage(input_tokens=3, output_tokens=2))
NAMES = "abc"


@pytest.fixture(params=VIRTUAL_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_backend(request.param)


def client(*providers: ScriptedProvider, **engine: object) -> AsyncClient:
    plugins = Plugins.of(providers={one.name: one for one in providers})
    return AsyncClient(settings=Settings.of({"engine": engine}), plugins=plugins)


def nothing_is_open(*providers: ScriptedProvider) -> bool:
    return not any(one.open_calls or one.connections for one in providers)


# Random fault schedules ---------------------------------------------------------------------------------------------

ENTERING = [Unavailable, RateLimited, AuthFailed, RuntimeError]


@dataclass(frozen=True)
class Behaviour:
    """What one call of a provider does."""

    before: float
    """Seconds before the first output."""
    words: int
    gap: float
    """Seconds between words."""
    end: str
    """`whole`, or how it goes wrong."""

    def steps(self, tag: str) -> list[Any]:
        if self.end == "refuse":
            return [self.before, ENTERING[self.words % len(ENTERING)]]
        if self.end == "silent":
            return [Hang()]
        words: list[Any] = [step for number in range(self.words) for step in (self.gap, f"{tag}{number} ")]
        ends: dict[str, list[Any]] = {
            "whole": [DONE],
            "cut": [StreamBroken],
            "bug": [ValueError],
            "unproven": [],
            "stall": [Hang()],
        }
        return [self.before, *words, *ends[self.end]]

    def text(self, tag: str) -> str:
        return "".join(f"{tag}{number} " for number in range(self.words))


def behaviours() -> st.SearchStrategy[Behaviour]:
    return st.builds(
        Behaviour,
        before=st.sampled_from([0.0, 0.5, 5.0, 15.07]),
        words=st.integers(0, 4),
        gap=st.sampled_from([0.0, 0.13, 3.0, 30.0]),
        end=st.sampled_from(["whole", "whole", "refuse", "silent", "cut", "bug", "unproven", "stall"]),
    )


@dataclass(frozen=True)
class Schedule:
    calls: tuple[tuple[Behaviour, ...], ...]
    """For each provider, what its calls do; after these every call is refused."""
    deadline: float | None
    on_break: str
    retries: int


schedules = st.builds(
    Schedule,
    calls=st.lists(st.lists(behaviours(), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple),
    deadline=st.none() | st.sampled_from([1.0, 7.0, 40.0]),
    on_break=st.sampled_from(["raise", "restart"]),
    retries=st.integers(0, 2),
)


@dataclass
class Outcome:
    reply: Reply | None
    error: PointsmanError | None
    events: list[Any]
    attempts: tuple[Any, ...]
    took: float
    began_at: list[float]


async def _play(schedule: Schedule, providers: list[ScriptedProvider]) -> Outcome:
    began = anyio.current_time()
    events: list[Any] = []
    async with (
        client(*providers, retries=schedule.retries, max_attempts=20) as one,
        one.stream("hi", on_break=schedule.on_break, **_deadline(schedule)) as reply,  # type: ignore[arg-type]
    ):
        error = None
        try:
            async for event in reply.events:
                events.append(event)
        except PointsmanError as raised:
            error = raised
        took = anyio.current_time() - began
        whole = await reply.collect() if error is None else None
    return Outcome(whole, error, events, reply.attempts, took, [])


def _deadline(schedule: Schedule) -> dict[str, float]:
    return {} if schedule.deadline is None else {"deadline": schedule.deadline}


def check(schedule: Schedule, backend: VirtualBackend) -> Outcome:
    providers = [
        ScriptedProvider(
            name,
            *(behaviour.steps(f"{name}{call}w") for call, behaviour in enumerate(calls)),
            default=[Unavailable],
        )
        for name, calls in zip(NAMES, schedule.calls, strict=False)
    ]
    outcome = virtual_run(_play, schedule, providers, backend=backend)
    answers = {
        behaviour.text(f"{name}{call}w")
        for name, calls in zip(NAMES, schedule.calls, strict=False)
        for call, behaviour in enumerate(calls)
        if behaviour.end == "whole"
    }
    shown: list[str] = []
    committed = 0
    for event in outcome.events:
        match event:
            case Started():
                assert not shown
                committed += 1
            case TextDelta(text):
                assert committed, "no output before its Started"
                shown.append(text)
            case Retracted():
                assert schedule.on_break == "restart"
                shown = []
            case _:
                pass
    if outcome.reply is not None:
        assert "".join(shown) == outcome.reply.text, "what was shown and not withdrawn is the answer"
        assert outcome.reply.text in answers, "the text is exactly one target's whole answer"
        assert [type(event) for event in outcome.events].count(Finished) == 1
        assert isinstance(outcome.events[-1], Finished)
        assert outcome.reply.attempts[-1].outcome == "finished"
    else:
        assert outcome.error is not None
        assert not any(isinstance(event, Finished) for event in outcome.events)
    asked = sum(len(one.calls) for one in providers)
    assert len(outcome.attempts) == asked, "every attempt is recorded, once"
    assert [one.attempt for one in outcome.attempts] == list(range(1, asked + 1))
    assert all(one.ended >= one.started for one in outcome.attempts)
    if schedule.deadline is not None:
        assert outcome.took <= schedule.deadline + 1e-6, "never past the deadline"
    assert nothing_is_open(*providers), "nothing is left open"
    if _must_succeed(schedule):
        assert outcome.reply is not None, f"somebody would have answered: {outcome.error!r}"
    return outcome


def _must_succeed(schedule: Schedule) -> bool:
    """Whether the first calls alone lead to an answer: those before it fail before their first output, in time."""
    if schedule.deadline is not None:
        return False
    for calls in schedule.calls:
        first = calls[0]
        prompt = first.before + first.gap < 10 and first.gap < 20
        if first.end == "whole" and (first.words == 0 or prompt) and first.before < 10:
            return True
        outputs = first.words > 0 and first.end != "refuse" and first.before + first.gap <= 15
        if outputs and schedule.on_break == "raise":
            return False
    return False


@pytest.mark.parametrize("backend", VIRTUAL_BACKENDS)
def test_one_whole_answer_or_the_reason(backend: VirtualBackend) -> None:
    @settings(max_examples=max(150, settings().max_examples))
    @given(schedules)
    @example(Schedule(((Behaviour(0.0, 0, 0.0, "whole"),),), None, "raise", 0))
    @example(Schedule(((Behaviour(0.0, 2, 0.0, "cut"), Behaviour(0.0, 2, 0.0, "whole")),), None, "restart", 1))
    @example(Schedule(((Behaviour(0.5, 0, 0.0, "whole"),), (Behaviour(0.0, 0, 0.0, "whole"),)), 1.0, "raise", 0))
    @example(Schedule(((Behaviour(0.0, 2, 0.0, "cut"),), (Behaviour(0.0, 2, 0.0, "whole"),)), 1.0, "restart", 0))
    def play(schedule: Schedule) -> None:
        check(schedule, backend)

    play()
    gc.collect()


@given(schedules)
def test_both_loops_tell_the_same_story(schedule: Schedule) -> None:
    """Dice spread retries, so the times of second tries differ; without them the traces are equal."""
    deadline = schedule.deadline and schedule.deadline + 0.011  # What falls on one instant has no order.
    same = Schedule(schedule.calls, deadline, schedule.on_break, 0)
    first, second = (check(same, backend) for backend in VIRTUAL_BACKENDS)
    assert [_shape(event) for event in first.events] == [_shape(event) for event in second.events]
    assert type(first.error) is type(second.error)
    assert first.took == pytest.approx(second.took, abs=1e-6)


def _shape(event: Any) -> Any:
    return (type(event), event.target, type(event.error)) if isinstance(event, AttemptFailed) else event


# Single stories -----------------------------------------------------------------------------------------------------


async def test_a_failure_before_the_first_output_is_only_an_event() -> None:
    a, b = ScriptedProvider("a", RateLimited), ScriptedProvider("b", "hello there")
    async with client(a, b) as one, one.stream("hi") as reply:
        kinds = [type(event) async for event in reply.events]
    assert kinds == [AttemptFailed, Started, TextDelta, TextDelta, Finished]
    assert reply.text == "hello there"
    assert [record.outcome for record in reply.attempts] == ["failed", "finished"]


async def test_a_break_after_output_is_raised_with_what_had_arrived() -> None:
    a = ScriptedProvider("a", ["one ", "two ", StreamBroken])
    async with client(a, ScriptedProvider("b")) as one, one.stream("hi") as reply:
        with pytest.raises(StreamBroken) as caught:
            [text async for text in reply.text_stream]
    assert caught.value.partial == "one two "
    assert caught.value.target is not None
    assert str(caught.value.target) == "a/scripted-1"


async def test_a_collected_answer_is_started_anew() -> None:
    a, b = ScriptedProvider("a", ["half an ", StreamBroken]), ScriptedProvider("b", "a whole answer")
    async with client(a, b) as one:
        reply = await one.chat("hi")
    assert reply.text == "a whole answer"
    assert [record.outcome for record in reply.attempts] == ["failed", "finished"]
    assert not reply.cost.complete, "what the half answer cost is not known"


async def test_text_cannot_be_taken_back_so_the_text_stream_refuses_to_try() -> None:
    async with client(ScriptedProvider("a")) as one, one.stream("hi", on_break="restart") as reply:
        with pytest.raises(InvalidRequest, match="iterate events"):
            _ = reply.text_stream
        assert [type(event) async for event in reply.events] == [Started, TextDelta, Finished]


async def test_a_silent_target_is_left_for_the_next() -> None:
    a, b = ScriptedProvider("a", [Hang()]), ScriptedProvider("b", "hello")
    async with client(a, b) as one:
        began = anyio.current_time()
        reply = await one.chat("hi")
        assert anyio.current_time() - began == pytest.approx(10.0)
    assert "FirstTokenTimeout" in (reply.attempts[0].error or "")
    assert a.calls[0].cancelled


async def test_a_lone_silent_target_does_not_hang_the_caller() -> None:
    async with client(ScriptedProvider("a", [Hang()])) as one:
        with pytest.raises(FirstTokenTimeout):
            await one.chat("hi")


async def test_a_stall_is_not_the_reader_s_fault_nor_the_reader_s_sleep_a_stall() -> None:
    a = ScriptedProvider("a", ["one ", 5.0, "two ", 5.0, "three", DONE], ["one ", Hang()])
    async with client(a) as one:
        async with one.stream("hi") as reply:
            texts = []
            async for text in reply.text_stream:
                texts.append(text)
                await anyio.sleep(60)
        assert texts == ["one ", "two ", "three"]
        with pytest.raises(Stalled):
            await one.chat("hi", on_break="raise")


@pytest.mark.parametrize("words", [WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW + 7])
async def test_a_reader_that_sleeps_a_minute_between_events_trips_no_limit(words: int) -> None:
    a = ScriptedProvider("a", [*(f"{number} " for number in range(words)), DONE])
    async with client(a) as one, one.stream("hi") as reply:
        count = 0
        async for _ in reply.text_stream:
            count += 1
            await anyio.sleep(60)
            assert len(a.calls[0].events) <= count + WINDOW + 1, "the provider is not read far ahead of the reader"
    assert count == words


async def test_the_deadline_counts_everything_also_the_reader() -> None:
    a = ScriptedProvider("a", [*(step for number in range(9) for step in (1.0, f"{number} ")), DONE])
    async with client(a) as one:
        with pytest.raises(DeadlineExceeded):
            async with one.stream("hi", deadline=5.5) as reply:
                async for _ in reply.text_stream:
                    await anyio.sleep(2)
    assert a.calls[0].cancelled
    assert nothing_is_open(a)


async def test_a_body_that_does_its_own_work_is_never_cancelled() -> None:
    a = ScriptedProvider("a", [Unavailable], ["one ", StreamBroken])
    finished = False
    async with client(a, retries=0) as one, one.stream("hi", deadline=1.0):
        await anyio.sleep(1000)
        finished = True
    assert finished
    assert nothing_is_open(a)


@pytest.mark.parametrize("leave", ["break", "raise", "cancel", "at once"])
@pytest.mark.parametrize("after", [0, 1, 3])
async def test_leaving_early_closes_everything(leave: str, after: int) -> None:
    a = ScriptedProvider("a", [*(step for _ in range(5) for step in ("word ", 1.0)), DONE])
    with anyio.CancelScope() as scope:
        async with client(a) as one:
            try:
                async with one.stream("hi") as reply:
                    if leave == "at once":
                        await anyio.sleep(after)
                    else:
                        seen = 0
                        async for _ in reply.text_stream:
                            seen += 1
                            if seen > after:
                                if leave == "break":
                                    break
                                if leave == "raise":
                                    raise KeyError("mine")
                                scope.cancel()
                                await anyio.sleep(1)
            except KeyError:
                assert leave == "raise"
            assert not a.open_calls
    assert scope.cancelled_caught is (leave == "cancel")
    assert nothing_is_open(a)
    assert [record.outcome for record in reply.attempts] == ["cancelled"]
    gc.collect()


async def test_an_error_of_the_request_asks_nobody_else() -> None:
    a, b = ScriptedProvider("a", InvalidRequest), ScriptedProvider("b")
    async with client(a, b) as one:
        with pytest.raises(InvalidRequest):
            await one.chat("hi")
    assert not b.calls


async def test_a_refusal_before_output_is_raised_and_after_it_is_told() -> None:
    blocked = Finished("content_filter")
    a, b = ScriptedProvider("a", [blocked], ["Well, ", blocked]), ScriptedProvider("b")
    async with client(a, b) as one:
        with pytest.raises(Refused):
            await one.chat("hi")
        reply = await one.chat("hi")
    assert (reply.text, reply.finish_reason) == ("Well, ", "content_filter")
    assert not b.calls


async def test_all_failures_are_told_in_order() -> None:
    a, b = ScriptedProvider("a", default=[Unavailable]), ScriptedProvider("b", default=[AuthFailed])
    async with client(a, b, retries=0) as one:
        with pytest.raises(AllTargetsFailed) as caught:
            await one.chat("hi")
    assert [type(error) for error in caught.value.exceptions] == [Unavailable, AuthFailed]


async def test_a_deadline_carries_what_was_met_on_the_way() -> None:
    a, b = ScriptedProvider("a", [Unavailable]), ScriptedProvider("b", [Hang()])
    async with client(a, b) as one:
        with pytest.raises(DeadlineExceeded) as caught:
            await one.chat("hi", deadline=3.0)
    assert isinstance(caught.value.__cause__, Unavailable)


async def test_a_prompt_that_is_too_long_fails_at_once_where_no_larger_context_is_known() -> None:
    a, b = ScriptedProvider("a", ContextOverflow), ScriptedProvider("b")
    async with client(a, b) as one:
        with pytest.raises(ContextOverflow):
            await one.chat("hi")
    assert not b.calls


async def test_reasoning_and_tool_calls_are_gathered() -> None:
    deltas = [
        ReasoningDelta("hm"),
        ToolCallDelta(1, id="y", name="g", arguments="{"),
        ToolCallDelta(0, id="x", name="f", arguments="{}"),
        ToolCallDelta(1, arguments="}"),
    ]
    a = ScriptedProvider("a", [*deltas, Finished("tool_calls")], capabilities=["tools"])
    async with client(a) as one:
        reply = await one.chat("hi")
    assert reply.reasoning == "hm"
    assert reply.tool_calls == (ToolCall("x", "f", "{}"), ToolCall("y", "g", "{}"))
    assert reply.usage is not None
    assert reply.usage.estimated


async def test_an_empty_answer_is_an_answer() -> None:
    async with client(ScriptedProvider("a", [DONE])) as one, one.stream("hi") as reply:
        assert [type(event) async for event in reply.events] == [Started, Finished]


async def test_empty_deltas_are_no_output() -> None:
    """A role-only chunk neither commits nor counts as a sign of life."""
    quiet = [TextDelta(""), 1.0] * 30
    a, b = ScriptedProvider("a", [*quiet, "late", DONE]), ScriptedProvider("b", "hello")
    async with client(a, b) as one:
        reply = await one.chat("hi")
    assert reply.text == "hello"


async def test_sixty_calls_at_once_do_not_mix() -> None:
    a = ScriptedProvider("a", default=lambda request: [w for c in request.messages[0].text for w in (0.1, c)] + [DONE])
    replies: dict[str, Reply] = {}
    async with client(a) as one, anyio.create_task_group() as group:

        async def ask(text: str) -> None:
            replies[text] = await one.chat(text)

        for number in range(60):
            group.start_soon(ask, f"question {number}")
    assert len(replies) == 60
    assert all(reply.text == text for text, reply in replies.items())
    assert nothing_is_open(a)


class Torn:
    """A wrapper whose task group stands around a generator that it closes early."""

    @hookimpl(wrapper=True)
    def pointsman_stream(self, connection: Connection[Any]) -> Generator[None, Stream, Stream]:
        inner = yield

        @asynccontextmanager
        async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
            async def torn() -> AsyncGenerator[StreamEvent]:
                async with anyio.create_task_group(), inner(request) as events:
                    async for event in events:
                        yield event
                        raise BaseExceptionGroup("torn", [GeneratorExit()])

            yield torn()

        return stream


async def test_a_torn_task_group_of_a_plugin_does_not_tear_the_caller_s_body() -> None:
    a = ScriptedProvider("a", "hello there")
    plugins = Plugins.of(providers={"a": a}, wrappers={"torn": Torn()})
    async with AsyncClient(settings=Settings.of(), plugins=plugins) as one, one.stream("hi") as reply:
        with pytest.raises(PluginError, match="task group"):
            [text async for text in reply.text_stream]
        await anyio.sleep(1)
    assert nothing_is_open(a)


class Nursery:
    """A wrapper that hands a cancellation on in a group, as trio's nurseries do."""

    @hookimpl(wrapper=True)
    def pointsman_stream(self, connection: Connection[Any]) -> Generator[None, Stream, Stream]:
        inner = yield

        @asynccontextmanager
        async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
            try:
                async with inner(request) as events:
                    yield events
            except anyio.get_cancelled_exc_class() as raised:
                raise BaseExceptionGroup("Exceptions from Trio nursery", [raised]) from None

        return stream


async def test_a_cancellation_that_comes_in_a_group_is_no_failure_of_the_plugin() -> None:
    """httpx2 connects in a nursery on trio, so that a call left meanwhile was charged to the provider."""
    a, b = ScriptedProvider("a", [Hang()]), ScriptedProvider("b", "hello")
    plugins = Plugins.of(providers={"a": a, "b": b}, wrappers={"nursery": Nursery()})
    async with AsyncClient(settings=Settings.of(), plugins=plugins) as one:
        with anyio.move_on_after(1):
            async with one.stream("hi") as reply:
                try:
                    await anyio.sleep_forever()
                finally:  # So that attempts hear of it before their call is left.
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(1)
    assert [attempt.outcome for attempt in reply.attempts] == ["cancelled"]
    assert not b.calls
    assert nothing_is_open(a)


async def test_what_served_is_what_is_priced_and_stands_in_the_record() -> None:
    def priced(model: str, usd: int) -> ModelInfo:
        price = Price(input=Decimal(0), output=Decimal(usd), as_of=date(2026, 11, 1), source="a test")
        return ModelInfo(id=model, price=price)

    usage = Usage(output_tokens=1_000_000)
    a = ScriptedProvider(
        "a",
        ["whole", Finished("stop", usage, served="m:dear")],
        ["whole", Finished("stop", usage)],
        ["whole", Finished("stop", usage, served="m:new")],
        models=[priced("m", 1), priced("m:dear", 5)],
    )
    async with client(a) as one:
        replies = [await one.chat("hi", model="a/m") for _ in range(3)]
    assert [reply.cost for reply in replies] == [Exact(5), Exact(1), Unknown]
    assert [reply.attempts[0].served for reply in replies] == ["m:dear", None, "m:new"]
    assert {reply.target for reply in replies} == {Target("a", "m")}


@pytest.mark.parametrize(("begun", "cost"), [(False, Exact(0)), (True, Unknown)])
async def test_what_nobody_began_costs_nothing(begun: bool, cost: Cost) -> None:
    """A server that could not be reached has no status to tell that it refused."""
    a = ScriptedProvider("a", default=Unavailable("cannot connect", retryable=False, begun=begun))
    async with client(a) as one:
        with pytest.raises(Unavailable) as caught:
            await one.chat("hi", model="a/m")
    assert [attempt.cost for attempt in caught.value.attempts] == [cost]


async def test_what_is_priced_by_the_second_is_the_providers_time_not_the_readers() -> None:
    told: list[Timings] = []

    class Meter:
        @hookimpl(wrapper=True)
        def pointsman_cost(self, connection: Any) -> Generator[None, Any, Any]:
            yield

            def price(target: Target, usage: Usage | None, timings: Timings | None) -> Cost:
                assert timings is not None
                told.append(timings)
                return Exact(1)

            return price

    steps = [step for number in range(2 * WINDOW) for step in (0.25, f"{number} ")]
    plugins = Plugins.of(providers={"a": ScriptedProvider("a", [1.0, *steps, DONE])}, wrappers={"meter": Meter()})
    async with AsyncClient(settings=Settings.of(), plugins=plugins) as one, one.stream("hi") as reply:
        async for _ in reply.text_stream:
            await anyio.sleep(60)
    assert reply.timings.e2e > 60 * WINDOW
    assert [one.ttft for one in told] == [pytest.approx(1.25)]
    assert told[0].e2e == pytest.approx(1.0 + 0.25 * 2 * WINDOW)


async def test_a_cost_that_a_wrapper_leaves_unknown_is_asked_of_the_hook() -> None:
    price = Price(input=Decimal(1), output=Decimal(1), as_of=date(2026, 11, 1), source="a test")
    done = Finished("stop", Usage(input_tokens=1, output_tokens=1), AtLeast(0))
    a = ScriptedProvider("a", ["x", done], models=[ModelInfo(id="m", price=price)])
    async with client(a) as one:
        assert (await one.chat("hi", model="a/m")).cost == Exact("0.000002")


@pytest.mark.parametrize("model", [5, [5], [], ["a/m", "a/m"], "a", "/m", [None]])
async def test_a_model_that_names_no_target_is_told_as_such(model: Any) -> None:
    async with client(ScriptedProvider("a")) as one:
        with pytest.raises(ConfigError, match="model"):
            await one.chat("hi", model=model)


async def test_disabled_plugins_are_left_out_also_where_they_were_handed_in() -> None:
    plugins = Plugins.of(providers={"a": ScriptedProvider("a"), "b": ScriptedProvider("b")})
    async with AsyncClient(settings=Settings.of({"plugins": {"disable": ["a"]}}), plugins=plugins) as one:
        reply = await one.chat("hi")
    assert reply.target.provider == "b"


@pytest.mark.parametrize("odd", [TextDelta(5), TextDelta(None), ReasoningDelta(b"x"), ToolCallDelta(0, arguments={})])  # type: ignore[arg-type]
async def test_output_that_is_no_text_is_a_bug_of_its_provider(odd: Any) -> None:
    a, b = ScriptedProvider("a", [odd, DONE]), ScriptedProvider("b", "hello")
    async with client(a, b) as one:
        reply = await one.chat("hi")
    assert reply.text == "hello"
    assert "'a' raised TypeError: a provider yields text as a string" in (reply.attempts[0].error or "")


# What a stranger tried ------------------------------------------------------------------------------------------------


async def test_reading_after_leaving_says_so_instead_of_waiting() -> None:
    async with client(ScriptedProvider("a", ["one", Hang()])) as one:
        async with one.stream("hi") as reply:
            pass
        with pytest.raises(ConfigError, match="has been left"):
            [event async for event in reply.events]
        with pytest.raises(ConfigError, match="has been left"):
            await reply.collect()


async def test_an_error_is_told_as_often_as_one_asks() -> None:
    async with client(ScriptedProvider("a", [Unavailable]), retries=0) as one, one.stream("hi") as reply:
        for _ in range(2):
            with pytest.raises(Unavailable):
                [text async for text in reply.text_stream]
        with pytest.raises(Unavailable):
            await reply.collect()


async def test_two_readers_of_one_reply_are_refused() -> None:
    async with client(ScriptedProvider("a", ["one", Hang()])) as one, one.stream("hi", deadline=5) as reply:
        refused = 0

        async def read() -> None:
            nonlocal refused
            try:
                async for _ in reply.events:
                    pass
            except ConfigError:
                refused += 1
            except DeadlineExceeded:
                pass

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(read)
    assert refused == 1


async def test_a_reader_that_gave_up_waiting_can_read_on() -> None:
    async with client(ScriptedProvider("a", ["one ", 5.0, "two", DONE])) as one, one.stream("hi") as reply:
        texts = reply.text_stream
        assert await anext(texts) == "one "
        with anyio.move_on_after(1):
            await anext(texts)
        assert await anext(texts) == "two"


class Endless:
    """Empty output without end, and without ever waiting."""

    def __init__(self, event: Any) -> None:
        self.event = event

    def __aiter__(self) -> Endless:
        return self

    async def __anext__(self) -> Any:
        return self.event


@pytest.mark.parametrize("event", [TextDelta(""), ReasoningDelta("")])
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_empty_output_without_end_starves_nobody(event: Any, anyio_backend: str) -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def pointsman_stream(self, connection: Connection[Any]) -> Generator[None, Stream, Stream]:
            yield

            @asynccontextmanager
            async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
                yield Endless(event)

            return stream

    plugins = Plugins.of(providers={"a": ScriptedProvider("a")}, wrappers={"endless": Wrapper()})
    async with AsyncClient(settings=Settings.of(), plugins=plugins) as one:
        with pytest.raises(DeadlineExceeded):
            await one.chat("hi", deadline=0.2)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_future_inside_a_plugin_is_its_bug_not_the_caller_s_cancellation(anyio_backend: str) -> None:
    class Selfish:
        @hookimpl(wrapper=True)
        def pointsman_stream(self, connection: Connection[Any]) -> Generator[None, Stream, Stream]:
            inner = yield

            @asynccontextmanager
            async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
                future = asyncio.get_running_loop().create_future()
                future.cancel()
                await future
                async with inner(request) as events:
                    yield events

            return stream

    a, b = ScriptedProvider("a"), ScriptedProvider("b", "hello")
    plugins = Plugins.of(providers={"a": a, "b": b}, wrappers={"selfish": Selfish()})
    async with AsyncClient(settings=Settings.of(), plugins=plugins) as one:
        for _ in range(10):
            with pytest.raises(PluginError, match=r"the wrapper 'selfish' raised .* cancelled itself"):
                await one.chat("hi")
        assert all(one._health.place(name).breaker.state is State.CLOSED for name in "ab")


class Nameless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Hasty(Unavailable):
    def __init__(self) -> None:  # Does not call the constructor of its base.
        self.retry_at = "soon"  # type: ignore[assignment]


@pytest.mark.parametrize(
    "bad", [Nameless(), Hasty(), Finished("stop", {}), Finished("stop", None, 5), Finished("stop", server={})]
)  # type: ignore[arg-type]
async def test_whatever_a_provider_raises_or_ends_with_the_call_settles(bad: Any) -> None:
    a, b = ScriptedProvider("a", ["x", bad]), ScriptedProvider("b", "hello")
    async with client(a, b) as one:
        assert (await one.chat("hi")).text == "hello"


@pytest.mark.parametrize("cost", [None, 3, "x"])
@pytest.mark.parametrize("end", [DONE, StreamBroken])
async def test_a_cost_hook_that_answers_nonsense_costs_only_the_cost(cost: Any, end: Any) -> None:
    class Odd:
        @hookimpl(wrapper=True)
        def pointsman_cost(self, connection: Connection[Any]) -> Generator[None, Any, Any]:
            yield
            return lambda target, usage, timings: cost

    a, b = ScriptedProvider("a", ["x", end]), ScriptedProvider("b", "hello")
    plugins = Plugins.of(providers={"a": a, "b": b}, wrappers={"odd": Odd()})
    async with AsyncClient(settings=Settings.of(), plugins=plugins) as one:
        reply = await one.chat("hi")
    assert reply.text == ("x" if end is DONE else "hello")
    assert not reply.cost.complete
