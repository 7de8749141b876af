"""A wrapper stands beside others, inside an engine that retries, and around more than streams."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, cast

import anyio
import pytest

from pointsman import (
    AsyncClient,
    ChatRequest,
    Cost,
    Exact,
    Finished,
    Health,
    ModelInfo,
    Plugins,
    PointsmanError,
    Settings,
    Stream,
    StreamEvent,
    Target,
    TextDelta,
    Unavailable,
    Usage,
    hookimpl,
    map_events,
    map_request,
)

from ...scripted import Hang, ScriptedProvider
from ..blocking import STANDS_STILL, watching_for_blocks
from ..speech import expect
from .setting import PATIENCE, WrapperSetting, differing

ANSWER: Sequence[StreamEvent] = [TextDelta("Somebody who "), TextDelta("sets points."), Finished("stop", Usage())]


class _Spy:
    """A wrapper that only listens."""

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []
        self.events: list[StreamEvent] = []

    @hookimpl(wrapper=True)
    def pointsman_stream(self) -> Generator[None, Stream, Stream]:
        inner = yield
        return map_events(map_request(inner, self._ask), self._hear)

    def _ask(self, request: ChatRequest) -> ChatRequest:
        self.requests.append(request)
        return request

    def _hear(self, event: StreamEvent) -> StreamEvent:
        self.events.append(event)
        return event


class CompanyCases(WrapperSetting):
    """Others around it and inside, itself twice, retries, and the other hooks."""

    async def test_others_may_stand_outside_and_inside(self, plugin: object) -> None:
        outside, inside, request = _Spy(), _Spy(), self.ask()
        async with self.around(plugin, ANSWER, others={"a": outside, "z": inside}) as wrapped:
            await wrapped.read(request)
        expect(outside.requests == [request], f"who stands outside saw {outside.requests}, and {request} was asked")
        asked = inside.requests[0] if inside.requests else None
        expect(
            asked, "who stands inside was not asked: call the inner callable, which is not always the provider's own"
        )
        assert asked is not None
        wanted = self.changes(request)
        expect(
            asked == wanted,
            f"who stands inside was asked otherwise in {differing(asked, wanted)}; if changing requests is its "
            "purpose, say how in the method `changes`",
        )
        expect(inside.events == ANSWER, f"who stands inside saw {inside.events} of {ANSWER}")
        expect(
            outside.events == list(self.alters(ANSWER)),
            f"who stands outside saw {outside.events} of {ANSWER}; if changing answers is its purpose, say how in "
            "the method `alters`",
        )

    async def test_it_may_stand_there_twice(self, plugin: object) -> None:
        request = self.ask()
        async with self.around(plugin, ANSWER, others={"again": plugin}) as wrapped:
            got = await wrapped.read(request)
        expect(
            got == list(self.alters(self.alters(ANSWER))),
            f"standing twice around a provider that yielded {list(ANSWER)}, it passed on {got}",
        )
        wanted = self.changes(self.changes(request))
        expect(wrapped.provider.requests == [wanted], f"standing twice, it asked {wrapped.provider.requests}")

    async def test_a_retry_goes_through_it_again(self, plugin: object) -> None:
        request = self.ask()
        async with self.around(plugin, Unavailable, ANSWER, retries=1) as wrapped:
            with anyio.fail_after(PATIENCE):
                reply = await wrapped.client.chat(request.messages, model="vendor/m")
        said = "".join(event.text for event in self.alters(ANSWER) if isinstance(event, TextDelta))
        expect(reply.text == said, f"a first attempt failed, and of the second the caller got {reply.text!r}")
        asked = [one.messages for one in wrapped.provider.requests]
        expect(
            asked == [self.changes(request).messages] * 2,
            f"two attempts were made, and the provider was asked {asked}: each attempt is wrapped like the first",
        )

    async def test_a_broken_answer_is_started_anew(self, plugin: object) -> None:
        async with self.around(plugin, [ANSWER[0]], ANSWER, retries=1) as wrapped:
            with anyio.fail_after(PATIENCE):
                reply = await wrapped.client.chat(self.ask().messages, model="vendor/m")
        said = "".join(event.text for event in self.alters(ANSWER) if isinstance(event, TextDelta))
        expect(reply.text == said, f"an answer broke and another came, and the caller got {reply.text!r}")

    @pytest.mark.parametrize("how", ["leave", "fail"])
    async def test_an_open_stream_holds_up_nobody(self, plugin: object, how: str) -> None:
        script: list[Any] = [ANSWER[0], Hang()] if how == "leave" else [Unavailable]
        async with self.around(plugin, [ANSWER[0], Hang()], script, ANSWER) as wrapped:
            with anyio.move_on_after(PATIENCE) as patience:
                async with wrapped.hooks.stream(self.ask()) as first:
                    await anext(first)
                    try:
                        async with wrapped.hooks.stream(self.ask()) as second:
                            await anext(second)
                    except PointsmanError:
                        pass
                    await wrapped.read(self.ask())
        expect(not patience.cancelled_caught, "while one stream was open, another could not end: hold no lock over one")

    async def test_one_client_comes_after_another(self, plugin: object) -> None:
        for _ in range(2):
            async with self.around(plugin, ANSWER) as wrapped:
                got = await wrapped.read(self.ask())
            expect(got == list(self.alters(ANSWER)), f"of the answer {list(ANSWER)} came {got}")
            expect(
                not wrapped.provider.open_calls and not wrapped.provider.connections,
                "a client was closed, and something of its provider's was still open",
            )

    async def test_providers_are_told_apart(self, plugin: object) -> None:
        """A model may have the same name at two of them."""
        request = self.ask()
        both = {
            name: ScriptedProvider(name, [TextDelta(name), Finished("stop")], models=("m",))
            for name in ("one", "other")
        }
        async with AsyncClient(
            settings=Settings.of({}), plugins=Plugins.of(providers=both, wrappers={"m": plugin})
        ) as client:
            for name in both:
                hooks, got = await client.connect(name), list[StreamEvent]()
                with anyio.fail_after(PATIENCE):
                    async with hooks.stream(request) as events:
                        got += [event async for event in events]
                wanted = list(self.alters([TextDelta(name), Finished("stop")]))
                expect(
                    got == wanted,
                    f"two providers were asked the same, and for {wanted} of {name!r} came {got}: keep what belongs to "
                    "a provider in the hook, which is called once for each connection, and not in the module",
                )

    async def test_an_answer_that_nobody_gave_costs_nothing(self, plugin: object) -> None:
        request = self.ask()
        paid = [*ANSWER[:-1], Finished("stop", Usage(input_tokens=9, output_tokens=5))]
        async with self.around(plugin, paid, paid) as wrapped:
            with anyio.fail_after(PATIENCE):
                first, again = [await wrapped.client.chat(request.messages, model="vendor/m") for _ in range(2)]
        answers = len(wrapped.provider.calls)
        wanted = first.cost if answers == 2 else Exact(0)
        expect(
            again.cost == wanted,
            f"the same was asked twice, the provider answered {answers} times, and the second answer is said to cost "
            f"{again.cost} instead of {wanted}: end it with replace(finished, cost=Exact(0))",
        )

    @pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
    async def test_nothing_blocks_the_event_loop(self, plugin: object) -> None:
        async with self.around(plugin, ANSWER, ANSWER) as wrapped:
            await wrapped.read(self.ask())  # What is imported on first use is imported here.
            with watching_for_blocks(plugin) as told:
                await wrapped.read(self.ask())
        expect(not told, f"{'; '.join(told)}: {STANDS_STILL}")

    async def test_health_models_and_cost_still_answer(self, plugin: object) -> None:
        async with self.around(plugin) as wrapped:
            hooks, target = wrapped.hooks, Target("vendor", "m")
            health, models, cost = await hooks.health(), await hooks.models(), hooks.cost(target, Usage(), None)
        kinds: dict[str, tuple[object, type]] = {"health": (health, Health), "cost": (cost, Cost)}
        for hook, (answer, kind) in kinds.items():
            expect(
                isinstance(answer, kind),
                f"pointsman_{hook} answers with a {type(answer).__name__}: return {kind.__name__}, or what is inside",
            )
        listed = cast(Sequence[object], models)
        expect(all(isinstance(one, ModelInfo) for one in listed), f"pointsman_models answers with {listed}")
