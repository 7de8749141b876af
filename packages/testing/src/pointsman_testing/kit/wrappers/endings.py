"""However a call ends, the wrapper neither hides it nor makes it look better, and nothing stays open."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import anyio
import pytest

from pointsman import (
    AuthFailed,
    ContextOverflow,
    Finished,
    PointsmanError,
    RateLimited,
    StreamBroken,
    StreamEvent,
    TextDelta,
    Unavailable,
    Unknown,
)

from ...scripted import Accepted, Hang
from ..speech import expect
from .setting import PATIENCE, Wrapped, WrapperSetting

WORDS: list[StreamEvent] = [TextDelta("Hello "), TextDelta("there")]


class EndingCases(WrapperSetting):
    """Errors, cancellation, leaving, and answers that are no whole ones."""

    @pytest.mark.parametrize("kind", [RateLimited, AuthFailed, ContextOverflow, Unavailable, ValueError])
    async def test_a_refusal_passes(self, plugin: object, kind: type[Exception]) -> None:
        error = RateLimited("no", retry_at=7.0) if kind is RateLimited else kind("no")
        async with self.around(plugin, error) as wrapped:
            met = await self._met(wrapped, [])
        self._is_the_same(met, error)
        expect(
            len(wrapped.provider.calls) == 1,
            f"after a refusal the provider was asked {len(wrapped.provider.calls)} times: the engine retries, and "
            "counts what that costs; a wrapper does not",
        )

    async def test_an_error_in_mid_stream_passes(self, plugin: object) -> None:
        error, got = StreamBroken("the line went dead", partial="Hello there"), list[StreamEvent]()
        async with self.around(plugin, [*WORDS, error]) as wrapped:
            met = await self._met(wrapped, got)
        self._is_the_same(met, error)
        expect(got == list(self.alters(WORDS)), f"before the error came {WORDS}, and the caller got {got}")

    async def _met(self, wrapped: Wrapped, got: list[StreamEvent]) -> Exception:
        try:
            await wrapped.read(self.ask(), into=got)
        except Exception as error:
            return error
        raise AssertionError(
            f"the provider failed, and the caller was told nothing: it got {got}, as if that were all; let errors pass"
        )

    def _is_the_same(self, met: Exception, error: Exception) -> None:
        expect(
            type(met) is type(error),
            f"the provider raised {error!r}, and the caller met {met!r}: let errors pass, for the engine decides by "
            "their class; `try: ... finally:` is enough for whoever has something to close",
        )
        if isinstance(met, PointsmanError) and isinstance(error, PointsmanError):
            facts = [(one.message, one.partial, one.retry_at) for one in (met, error)]
            expect(facts[0] == facts[1], f"the error said {facts[1]}, and says {facts[0]} outside: pass it on as it is")

    @pytest.mark.parametrize("words", [0, 2])
    async def test_an_answer_without_its_end_stays_without(self, plugin: object, words: int) -> None:
        async with self.around(plugin, [Accepted(), *WORDS[:words]]) as wrapped:
            got = await wrapped.read(self.ask())
        expect(
            not any(isinstance(event, Finished) for event in got),
            "the provider never said that the answer is whole, and the caller was told so: yield Finished only when "
            "one came from inside",
        )

    async def test_an_answer_ends_once(self, plugin: object) -> None:
        async with self.around(plugin, [*WORDS, Finished("stop")]) as wrapped:
            got = await wrapped.read(self.ask())
        ends = [number for number, event in enumerate(got) if isinstance(event, Finished)]
        expect(
            ends == [len(got) - 1],
            f"of {len(got)} events, those that say Finished are {ends}: it is there once, and nothing comes after it",
        )

    @pytest.mark.parametrize("after", [0, 1, 2])
    async def test_leaving_early_closes_at_once(self, plugin: object, after: int) -> None:
        async with self.around(plugin, [Accepted(), *WORDS, Hang()]) as wrapped:
            with anyio.fail_after(PATIENCE):
                async with wrapped.hooks.stream(self.ask()) as events:
                    for _ in range(after):
                        await anext(events)
            expect(
                not wrapped.provider.open_calls,
                f"the caller left after {after} events, and the provider's stream was still open: enter it with "
                "`async with inner(request) as events`, and yield inside of that block",
            )

    @pytest.mark.parametrize("place", ["entering", "reading", "after-a-word"])
    async def test_cancellation_passes(self, plugin: object, place: str) -> None:
        script = {"entering": [Hang()], "reading": [Accepted(), Hang()], "after-a-word": [*WORDS[:1], Hang()]}[place]
        async with self.around(plugin, script) as wrapped:
            await wrapped.read_until_stuck(self.ask())
            [call] = wrapped.provider.calls
            expect(
                call.state == "closed" and call.cancelled,
                f"the call was cancelled while {place}, and the provider was not told so (it is {call.state}): catch "
                "Exception, never BaseException, and shield nothing",
            )

    async def test_the_callers_own_error_passes(self, plugin: object) -> None:
        mine, met = KeyError("mine"), None
        async with self.around(plugin, [*WORDS, Hang()]) as wrapped:
            try:
                async with wrapped.hooks.stream(self.ask()) as events:
                    await anext(events)
                    raise mine
            except Exception as error:
                met = error
            expect(
                met is mine,
                f"whoever reads raised {mine!r}, and {met!r} came out: have no `except` around a `yield`, for the "
                "reader's errors arrive there too",
            )
            expect(not wrapped.provider.open_calls, "the reader raised, and the provider's stream was still open")

    @pytest.mark.parametrize("how", ["left", "broken", "raised", "cancelled"])
    async def test_half_an_answer_is_not_given_for_a_whole(self, plugin: object, how: str) -> None:
        """Whoever remembers answers must not remember this one."""
        ways = {
            "left": [*WORDS, Hang()],
            "broken": WORDS,
            "raised": [*WORDS, Unavailable],
            "cancelled": [*WORDS, Hang()],
        }
        whole: list[StreamEvent] = [TextDelta("All of it"), Finished("stop")]
        request = self.ask()
        async with self.around(plugin, ways[how], whole) as wrapped:
            if how == "cancelled":
                await wrapped.read_until_stuck(request)
            else:
                last = list(self.alters(WORDS))[-1:]
                with suppress(Unavailable), anyio.fail_after(PATIENCE):
                    async with wrapped.hooks.stream(request) as events:
                        async for event in events:
                            if how == "left" and [event] == last:
                                break
            got = await wrapped.read(request)
        expect(
            got == list(self.alters(whole)),
            f"an answer had been {how}, and asked again the caller got {got}: remember an answer once its Finished has "
            "come, and not before",
        )

    @pytest.mark.parametrize("end", ["stop", "length", "content_filter"])
    async def test_what_is_asked_again_is_answered_whole(self, plugin: object, end: str) -> None:
        """By the provider, or by a wrapper that knows the answer, and how it ended, and asks nobody."""
        request, answer = self.ask(), list[StreamEvent]([*WORDS, Finished(end)])
        async with self.around(plugin, answer, answer) as wrapped:
            await wrapped.read(request)
            got = await wrapped.read(request)
            expect(not wrapped.provider.open_calls, "the question was answered, and a stream of the provider is open")
        wanted = [replace(one, usage=None, cost=Unknown) if isinstance(one, Finished) else one for one in got]
        expect(
            wanted == list(self.alters(answer)),
            f"asked the same again, the caller got {got}, and the provider had answered {answer}",
        )
