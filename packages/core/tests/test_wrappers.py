"""Wrappers, through the client, on both event loops: whoever raises is named, and nothing is left open."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, TypeAlias

import anyio
import pytest
from hypothesis import example, given, note
from hypothesis import strategies as st
from pydantic import BaseModel

from pointsman import (
    AsyncClient,
    AttemptFailed,
    ChatRequest,
    Connection,
    Exact,
    Finished,
    PluginError,
    Plugins,
    PointsmanError,
    ProviderContext,
    ProviderSpec,
    RateLimited,
    Scope,
    Settings,
    Started,
    Stream,
    StreamBroken,
    StreamEvent,
    Target,
    Terminal,
    TextDelta,
    Unavailable,
    Usage,
    hookimpl,
    map_events,
    map_request,
    short_circuit,
    user,
)

Act: TypeAlias = Callable[..., None]
"""Called at each place where a fault may be: raises if it is this one."""

# What is wrapped -----------------------------------------------------------------------------------------------------


class Config(BaseModel, frozen=True):
    base_url: str = "http://127.0.0.1"


@dataclass
class Fault:
    """Raises once at one place: while its hook is asked, on call, on entering, at an event, or on leaving."""

    where: str
    at: int = 0
    make: Callable[[], Exception] = lambda: ValueError("oops")
    only: str | None = None
    """The provider at whose connection it happens; None: at all."""

    def __call__(self, where: str, at: int = 0) -> None:
        if (where, at) == (self.where, self.at):
            raise self.make()


def nothing(where: str, at: int = 0) -> None:
    """No fault."""


@dataclass
class Provider:
    """Streams `words` and its end; counts what it has open."""

    name: str
    words: Sequence[str] = ("a", "b", "c")
    act: Act = nothing
    kind: str = "generator"
    requests: list[ChatRequest] = field(default_factory=list)
    open: int = 0

    @hookimpl
    def pointsman_providers(self) -> Sequence[ProviderSpec[Any]]:
        spec = ProviderSpec(
            name=self.name,
            config=Config,
            open=self._open,
            terminal=Terminal.DONE_FIELD,
            default_models=("m",),
            capabilities=frozenset({"schema"}),
        )
        return [spec]

    @asynccontextmanager
    async def _open(self, config: Config, context: ProviderContext) -> AsyncGenerator[None]:
        yield None

    @hookimpl
    def pointsman_stream(self) -> Stream:
        self.act("hook")
        return self.call

    def call(self, request: ChatRequest) -> AbstractAsyncContextManager[AsyncIterator[StreamEvent]]:
        self.act("call")
        return self.stream(request)

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        self.requests.append(request)
        self.open += 1
        try:
            self.act("enter")
            events: list[StreamEvent] = [*map(TextDelta, self.words), Finished("stop", Usage(output_tokens=3))]
            if self.kind == "class":
                yield Listed(events, self.act)
            else:
                async with aclosing(self._generate(events)) as made:
                    yield made
            self.act("exit")
        finally:
            self.open -= 1

    async def _generate(self, events: Sequence[StreamEvent]) -> AsyncGenerator[StreamEvent]:
        for at, event in enumerate(events):
            self.act("event", at)
            await anyio.lowlevel.checkpoint()
            yield event


class Listed:
    """A list as an iterator."""

    def __init__(self, events: Iterable[StreamEvent], act: Act) -> None:
        self._events = enumerate(events)
        self._act = act

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        for at, event in self._events:
            self._act("event", at)
            return event
        raise StopAsyncIteration


# The kinds of wrapper that people write ------------------------------------------------------------------------------


def own_generator(inner: Stream, act: Act) -> Stream:
    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        act("enter")
        async with inner(request) as events:
            act("entered")
            async with aclosing(looked_at(events, act)) as made:
                yield made
        act("exit")

    return stream


async def looked_at(events: AsyncIterator[StreamEvent], act: Act) -> AsyncGenerator[StreamEvent]:
    at = 0
    async for event in events:
        act("event", at)
        at += 1
        yield event


def lazy_generator(inner: Stream, act: Act) -> Stream:
    """Enters the inner stream only when it is read, inside its generator."""

    async def read(request: ChatRequest) -> AsyncGenerator[StreamEvent]:
        async with inner(request) as events:
            act("entered")
            async with aclosing(looked_at(events, act)) as made:
                async for event in made:
                    yield event

    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        act("enter")
        async with aclosing(read(request)) as made:
            yield made
        act("exit")

    return stream


class ByHand:
    """A context manager and iterator of one class, without any generator."""

    def __init__(self, inner: Stream, act: Act, request: ChatRequest) -> None:
        act("call")
        self.inner = inner(request)
        self.act = act
        self.at = -1

    async def __aenter__(self) -> AsyncIterator[StreamEvent]:
        self.act("enter")
        self.events = await self.inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        answer = await self.inner.__aexit__(kind, error, trace)
        if error is None:
            self.act("exit")
        return answer

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        event = await self.events.__anext__()
        self.at += 1
        self.act("event", self.at)
        return event


def by_hand(inner: Stream, act: Act) -> Stream:
    return lambda request: ByHand(inner, act, request)


class Handing(ByHand):
    """Its `__anext__` is no coroutine function, but hands one out."""

    def __anext__(self) -> Awaitable[StreamEvent]:  # type: ignore[override]
        return self.fetch()

    async def fetch(self) -> StreamEvent:
        return await super().__anext__()


def handing(inner: Stream, act: Act) -> Stream:
    return lambda request: Handing(inner, act, request)


def with_map_request(inner: Stream, act: Act) -> Stream:
    def change(request: ChatRequest) -> ChatRequest:
        act("call")
        return request

    return map_request(inner, change)


def with_map_events(inner: Stream, act: Act) -> Stream:
    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        seen = iter(range(99))  # For each call.

        def change(event: StreamEvent) -> StreamEvent:
            act("event", next(seen))
            return event

        async with map_events(inner, change)(request) as events:
            yield events
        act("exit")

    return stream


def with_two_map_events(inner: Stream, act: Act) -> Stream:
    """One wrapper, two layers of the same code; the inner one acts."""
    return map_events(with_map_events(inner, act), lambda event: event)


def with_short_circuit(inner: Stream, act: Act) -> Stream:
    def answer(request: ChatRequest) -> None:
        act("enter")

    def remember(request: ChatRequest, events: Sequence[StreamEvent]) -> None:
        act("event", len(events) - 1)

    return short_circuit(inner, answer, remember)


def passing(inner: Stream, act: Act) -> Stream:
    """A context manager that hands out the inner iterator."""

    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        act("enter")
        async with inner(request) as events:
            act("entered")
            yield events
        act("exit")

    return stream


def with_task_group(inner: Stream, act: Act) -> Stream:
    """A task group wraps whatever passes it in an exception group."""

    @asynccontextmanager
    async def stream(request: ChatRequest) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)
            act("enter")
            async with inner(request) as events:
                async with aclosing(looked_at(events, act)) as made:
                    yield made
        act("exit")

    return stream


PLACES: dict[Callable[[Stream, Act], Stream], tuple[str, ...]] = {
    own_generator: ("hook", "enter", "entered", "event", "exit"),
    lazy_generator: ("hook", "enter", "entered", "event", "exit"),
    by_hand: ("hook", "call", "enter", "event", "exit"),
    handing: ("hook", "call", "enter", "event", "exit"),
    with_map_request: ("hook", "call"),
    with_map_events: ("hook", "event", "exit"),
    with_two_map_events: ("hook", "event", "exit"),
    with_short_circuit: ("hook", "enter", "last event"),
    passing: ("hook", "enter", "entered", "exit"),
    with_task_group: ("hook", "enter", "event", "exit"),
}


@dataclass
class Wrapper:
    """Makes a wrapper of one kind for each connection."""

    kind: Callable[[Stream, Act], Stream]
    fault: Fault | None = None

    @hookimpl(wrapper=True)
    def pointsman_stream(self, connection: Connection[Any]) -> Generator[None, Stream, Stream]:
        inner = yield
        act: Act = self.fault if self.fault and self.fault.only in (None, connection.name) else nothing
        act("hook")
        return self.kind(inner, act)


def client_of(*providers: Provider, **wrappers: object) -> AsyncClient:
    """A client with these wrappers, the first outermost."""
    plugins = Plugins.of(providers={one.name: one for one in providers}, wrappers=wrappers)
    settings = Settings.of({"plugins": {"wrappers": list(wrappers)}, "engine": {"retries": 0}})
    return AsyncClient(settings=settings, plugins=plugins)


async def read(client: AsyncClient, *targets: str) -> tuple[list[StreamEvent], PointsmanError | None]:
    """Every event of a stream, and how it failed, if it did."""
    events: list[StreamEvent] = []
    try:
        async with client.stream("hi", model=[f"{target}/m" for target in targets]) as reply:
            async for event in reply.events:
                events.append(event)
    except PointsmanError as error:
        return events, error
    return events, None


def text_of(events: Iterable[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


# The properties ------------------------------------------------------------------------------------------------------

WORDS = 3
kinds = st.sampled_from(list(PLACES))


def is_sound(stack: Sequence[Callable[[Stream, Act], Stream]]) -> bool:
    """A task group inside a generator that is left early fails by itself: anyio forbids it, so it is not drawn."""
    return lazy_generator not in stack or with_task_group not in stack[stack.index(lazy_generator) :]


stacks = st.lists(kinds, max_size=5).filter(is_sound)


@st.composite
def faulty_stacks(draw: st.DrawFn) -> tuple[list[Callable[[Stream, Act], Stream]], int, str, int]:
    """Wrappers, outermost first; which of them raises; where; and at which event."""
    stack = draw(stacks.filter(bool))
    who = draw(st.integers(0, len(stack) - 1))
    where = draw(st.sampled_from(PLACES[stack[who]]))
    at = draw(st.integers(0, WORDS)) if where == "event" else WORDS if where == "last event" else 0
    return stack, who, where.removeprefix("last "), at


@given(case=faulty_stacks(), provider_kind=st.sampled_from(["generator", "class"]))
@example(case=([with_two_map_events, with_map_events], 0, "event", 0), provider_kind="class")
@example(case=([with_short_circuit, with_short_circuit], 0, "event", WORDS), provider_kind="class")
@example(case=([with_task_group, by_hand, with_task_group], 1, "event", 1), provider_kind="generator")
@example(case=([own_generator, with_task_group], 0, "entered", 0), provider_kind="generator")
async def test_a_wrapper_that_raises_fails_the_call_under_its_own_name(
    case: tuple[list[Callable[[Stream, Act], Stream]], int, str, int], provider_kind: str
) -> None:
    stack, who, where, at = case
    one, two = Provider("one", kind=provider_kind), Provider("two")
    wrappers = {
        f"w{place}": Wrapper(kind, Fault(where, at) if place == who else None) for place, kind in enumerate(stack)
    }
    async with client_of(one, two, **wrappers) as client:
        events, error = await read(client, "one", "two")
        note(f"{events} {error!r}")
        assert (one.open, two.open) == (0, 0), "nothing is left open"
        assert two.requests == [], "another target would meet the same wrapper"
        if where == "exit":
            assert error is None
            assert text_of(events) == "abc"
        else:
            assert isinstance(error, PluginError)
            assert error.plugin == f"w{who}"
            assert f"w{who}" in str(error)
            assert "ValueError: oops" in str(error)
            assert isinstance(error.__cause__, ValueError)
            assert error.scope is Scope.REQUEST
            assert error.partial == text_of(events) == "abc"[: at if where == "event" else 0]


@given(case=faulty_stacks(), kind=st.sampled_from([Unavailable, RateLimited]))
async def test_a_wrapper_that_injects_a_fault_steers_like_the_provider(
    case: tuple[list[Callable[[Stream, Act], Stream]], int, str, int], kind: type[PointsmanError]
) -> None:
    stack, who, where, at = case
    one, two = Provider("one"), Provider("two")
    fault = Fault(where, at, lambda: kind("injected"), only="one")
    wrappers = {f"w{place}": Wrapper(made, fault if place == who else None) for place, made in enumerate(stack)}
    async with client_of(one, two, **wrappers) as client:
        events, error = await read(client, "one", "two")
        note(f"{events} {error!r}")
        assert (one.open, two.open) == (0, 0)
        if where == "exit":
            assert error is None
        elif where == "event" and at > 0:  # Beyond the commit point.
            assert type(error) is kind
            assert error.partial == "abc"[:at]
            assert error.__notes__ == [f"raised by the wrapper 'w{who}'"]
        else:
            assert error is None
            assert text_of(events) == "abc"
            failed = events[0]
            assert isinstance(failed, AttemptFailed)
            assert type(failed.error) is kind
            assert failed.target == Target("one", "m")
            [said] = failed.error.__notes__
            assert f"'w{who}'" in said
            assert events[1] == Started(Target("two", "m"), 2)


@given(
    stack=stacks,
    provider_kind=st.sampled_from(["generator", "class"]),
    where=st.sampled_from(["hook", "call", "enter", "event"]),
    at=st.integers(0, WORDS),
    make=st.sampled_from([lambda: ValueError("oops"), lambda: ExceptionGroup("oops", [KeyError("x"), OSError("y")])]),
)
@example(
    stack=[with_task_group],
    provider_kind="generator",
    where="event",
    at=0,
    make=lambda: ExceptionGroup("oops", [KeyError("x"), OSError("y")]),
)
async def test_a_providers_own_bug_names_the_provider_and_fails_over(
    stack: list[Callable[[Stream, Act], Stream]],
    provider_kind: str,
    where: str,
    at: int,
    make: Callable[[], Exception],
) -> None:
    at = at if where == "event" else 0
    one, two = Provider("one", act=Fault(where, at, make), kind=provider_kind), Provider("two")
    async with client_of(one, two, **{f"w{place}": Wrapper(kind) for place, kind in enumerate(stack)}) as client:
        events, error = await read(client, "one", "two")
        note(f"{events} {error!r}")
        assert (one.open, two.open) == (0, 0)
        if at == 0:
            assert error is None
            assert text_of(events) == "abc"
            assert isinstance(events[0], AttemptFailed)
            error = events[0].error
        else:
            assert text_of(events) == "abc"[:at]
        assert isinstance(error, PluginError)
        assert error.plugin == "one"
        assert "oops" in str(error)
        assert "wrapper" not in str(error)
        assert error.scope is (Scope.PROVIDER if where == "hook" else Scope.TARGET)
        assert error.__cause__ is not None


@given(stack=stacks, provider_kind=st.sampled_from(["generator", "class"]), where=st.sampled_from(["enter", "event"]))
async def test_an_error_of_the_providers_passes_wrappers_as_it_is(
    stack: list[Callable[[Stream, Act], Stream]], provider_kind: str, where: str
) -> None:
    fault = Fault(where, 2 if where == "event" else 0, lambda: RateLimited("wait", status=429))
    one = Provider("one", act=fault, kind=provider_kind)
    async with client_of(one, **{f"w{place}": Wrapper(kind) for place, kind in enumerate(stack)}) as client:
        events, error = await read(client, "one")
        assert type(error) is RateLimited
        assert (error.status, error.target, error.partial) == (429, Target("one", "m"), text_of(events))
        assert not hasattr(error, "__notes__"), "no wrapper raised it"
        assert one.open == 0


@given(stack=stacks)
async def test_wrappers_without_a_fault_change_nothing(stack: list[Callable[[Stream, Act], Stream]]) -> None:
    one = Provider("one")
    async with client_of(one, **{f"w{place}": Wrapper(kind) for place, kind in enumerate(stack)}) as client:
        for _ in range(2):
            events, error = await read(client, "one")
            assert error is None
            assert text_of(events) == "abc"
            assert isinstance(events[-1], Finished)
        assert one.open == 0


# By example ----------------------------------------------------------------------------------------------------------


async def test_a_wrapper_that_fails_after_a_whole_answer_is_logged_by_name(caplog: pytest.LogCaptureFixture) -> None:
    """The answer is there; losing it would help nobody."""
    with caplog.at_level(logging.WARNING, "pointsman"):
        async with client_of(Provider("one"), tidy=Wrapper(passing, Fault("exit"))) as client:
            assert (await client.chat("hi")).text == "abc"
    assert "the wrapper 'tidy' raised ValueError: oops" in caplog.text


async def test_the_code_that_two_wrappers_share_in_turns() -> None:
    """Who passed an iterator on in one call may hand out its own in the next."""
    known: dict[str, list[StreamEvent]] = {}

    def answer(request: ChatRequest) -> Iterable[StreamEvent] | None:
        return known.get(request.messages[0].text)

    def broken_answer(request: ChatRequest) -> Iterable[StreamEvent] | None:
        return broken() if request.messages[0].text == "break" else None

    def broken() -> Iterable[StreamEvent]:
        yield TextDelta("x")
        raise ValueError("oops")

    class Sometimes:
        def __init__(self, answer: Callable[[ChatRequest], Iterable[StreamEvent] | None]) -> None:
            self.answer = answer

        @hookimpl(wrapper=True)
        def pointsman_stream(self) -> Generator[None, Stream, Stream]:
            return short_circuit((yield), self.answer)

    known["known"] = [TextDelta("k"), Finished("stop")]
    one = Provider("one")
    async with client_of(one, outer=Sometimes(answer), inner=Sometimes(broken_answer)) as client:
        assert (await client.chat("known")).text == "k"
        assert one.requests == []
        assert (await client.chat("new")).text == "abc"
        with pytest.raises(PluginError) as caught:
            await client.chat("break")
        assert caught.value.plugin == "inner"


class Tags:
    """Says its name in each request and each text."""

    def __init__(self, name: str) -> None:
        self.name = name

    @hookimpl(wrapper=True)
    def pointsman_stream(self) -> Generator[None, Stream, Stream]:
        def ask(request: ChatRequest) -> ChatRequest:
            return replace(request, messages=(*request.messages, user(self.name)))

        def answer(event: StreamEvent) -> StreamEvent | None:
            return TextDelta(f"{self.name}({event.text})") if isinstance(event, TextDelta) else event

        return map_events(map_request((yield), ask), answer)


async def test_the_first_wrapper_is_the_outermost() -> None:
    one = Provider("one", words=["x"])
    async with client_of(one, b=Tags("b"), a=Tags("a")) as client:
        assert (await client.chat("hi")).text == "b(a(x))"
        assert [message.text for message in one.requests[0].messages] == ["hi", "b", "a"]
    plugins = Plugins.of(providers={"one": one}, wrappers={"b": Tags("b"), "a": Tags("a")})
    async with AsyncClient(settings=Settings.of({}), plugins=plugins) as client:
        assert (await client.chat("hi")).text == "a(b(x))", "by name, if nobody says otherwise"


async def test_map_events_can_drop_and_cannot_drop_the_proof() -> None:
    def without(kind: type[StreamEvent]) -> Wrapper:
        return Wrapper(lambda inner, act: map_events(inner, lambda event: None if isinstance(event, kind) else event))

    async with client_of(Provider("one"), drop=without(TextDelta)) as client:
        assert (await client.chat("hi")).text == ""
    async with client_of(Provider("one"), drop=without(Finished)) as client:
        with pytest.raises(StreamBroken, match="without the proof"):
            await client.chat("hi", model="one/m", on_break="raise")


@pytest.mark.parametrize("changed", [None, "hi", {"messages": []}])
async def test_a_request_that_is_changed_into_none_is_the_wrappers_mistake(changed: Any) -> None:
    wrapper = Wrapper(lambda inner, act: map_request(inner, lambda request: changed))
    one = Provider("one")
    async with client_of(one, redact=wrapper) as client:
        with pytest.raises(PluginError, match="a changed request is a ChatRequest, not") as caught:
            await client.chat("hi")
        assert caught.value.plugin == "redact"
        assert one.requests == []


async def test_an_event_that_is_none_names_all_who_may_have_made_it() -> None:
    """Between layers nothing looks at events, so nobody can tell."""
    wrapper = Wrapper(lambda inner, act: map_events(inner, lambda event: "text"))  # type: ignore[arg-type,return-value]
    async with client_of(Provider("one"), shout=wrapper, other=Wrapper(passing)) as client:
        with pytest.raises(
            PluginError, match=r"the provider 'one', or a wrapper around it \('shout' or 'other'\), raised"
        ):
            await client.chat("hi")


async def test_short_circuit_answers_without_asking_and_remembers_whole_answers() -> None:
    known: dict[tuple[Any, ...], list[StreamEvent]] = {}

    def remember(request: ChatRequest, events: Sequence[StreamEvent]) -> None:
        free = [replace(event, cost=Exact(0)) if isinstance(event, Finished) else event for event in events]
        known[request.messages] = free

    cache = Wrapper(lambda inner, act: short_circuit(inner, lambda request: known.get(request.messages), remember))
    one = Provider("one")
    async with client_of(one, cache=cache) as client:
        first = await client.chat("hi")
        again = await client.chat("hi")
        other = await client.chat("there")
        assert (first.text, again.text, other.text) == ("abc", "abc", "abc")
        assert again.cost == Exact(0)
        assert again.usage == first.usage
        assert len(one.requests) == 2


@pytest.mark.parametrize("broken", ["cut", "error"])
async def test_short_circuit_does_not_remember_what_is_not_whole(broken: str) -> None:
    heard: list[Sequence[StreamEvent]] = []
    drop = Wrapper(lambda inner, act: map_events(inner, lambda event: None if isinstance(event, Finished) else event))
    one = Provider("one", act=nothing if broken == "cut" else Fault("event", 2))
    cache = Wrapper(
        lambda inner, act: short_circuit(inner, lambda request: None, lambda request, events: heard.append(events))
    )
    async with client_of(one, cache=cache, drop=drop) as client:
        _, error = await read(client, "one")
        assert error is not None
        assert heard == []


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("after", [0, 1, 2])
async def test_leaving_early_leaves_nothing_open(kind: Callable[[Stream, Act], Stream], after: int) -> None:
    one = Provider("one", words=["x"] * 2000)
    async with client_of(one, w=Wrapper(kind), v=Wrapper(kind)) as client:
        async with client.stream("hi") as reply:
            stream = aiter(reply.text_stream)
            for _ in range(after):
                await anext(stream)
        assert one.open == 0
        with pytest.raises(RuntimeError, match="mine"):
            async with client.stream("hi") as reply:
                async for _ in reply.text_stream:
                    raise RuntimeError("mine")
        assert one.open == 0


async def test_leaving_a_wrapped_stream_by_hand() -> None:
    """Also without an engine around it: who uses `connect()` may stop in the middle."""
    heard: list[Sequence[StreamEvent]] = []
    one = Provider("one")
    cache = Wrapper(
        lambda inner, act: short_circuit(inner, lambda request: None, lambda request, events: heard.append(events))
    )
    same = Wrapper(lambda inner, act: map_events(map_request(inner, lambda request: request), lambda event: event))
    async with client_of(one, cache=cache, same=same) as client:
        hooks = await client.connect("one")
        async with hooks.stream(ChatRequest(messages=(user("hi"),), model="m")) as events:
            assert await anext(events) == TextDelta("a")
        assert one.open == 0
        assert heard == []


async def test_calls_at_the_same_time_are_told_apart() -> None:
    """The wrapper that breaks one call does not get its name into the other's error."""

    def sometimes(inner: Stream, act: Act) -> Stream:
        def change(request: ChatRequest) -> ChatRequest:
            if request.messages[0].text == "fail":
                raise ValueError("oops")
            return request

        return map_request(inner, change)

    one = Provider("one", words=["x"] * 20)
    errors: dict[str, PointsmanError | None] = {}

    async def ask(client: AsyncClient, text: str) -> None:
        try:
            await client.chat(text)
            errors[text] = None
        except PointsmanError as error:
            errors[text] = error

    async with client_of(one, w=Wrapper(own_generator), v=Wrapper(sometimes)) as client:
        async with anyio.create_task_group() as group:
            for text in ("go", "fail", "on"):
                group.start_soon(ask, client, text)
    assert (errors["go"], errors["on"]) == (None, None)
    assert isinstance(errors["fail"], PluginError)
    assert errors["fail"].plugin == "v"


async def test_a_request_that_brings_its_schema_is_read_by_it() -> None:
    one = Provider("one", words=['{"a":', " 1}"])
    request = ChatRequest(messages=(user("hi"),), response_schema={"type": "object"})
    async with client_of(one) as client:
        assert (await client.chat(request, model="one/m")).parsed == {"a": 1}
