"""An answer is whole, or there is an error that says it is not; never a shorter answer that looks whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import anyio
import pytest
from anyio.lowlevel import checkpoint

from pointsman import (
    FirstTokenTimeout,
    PluginError,
    PointsmanError,
    ProviderError,
    Stalled,
    Terminal,
    Unavailable,
)

from ..lab import Answer, Ending, Hangup, Raw, Script
from .ahead import set_ahead
from .base import ProviderSetting
from .direct import Heard, directly
from .speech import expect
from .stage import Stage

WORDS = " ".join(["One", "déux", "three", *map(str, range(4, 61))])
FEW = "One déux three 4 5"
"""Words that are sent byte by byte, which takes long."""
SHORT = Answer("Grüße, du", role_first=False, usage="none")
"""Cut at each of its bytes, in an event, in a line end and in a letter."""

NO_ANSWERS: Mapping[str, Script] = {
    "closed-before-the-head": Hangup(),
    "reset-before-the-head": Hangup("reset"),
    "empty-body": Answer(WORDS).cut(at=0, how="clean"),
    "closed-before-the-body": Answer(WORDS).cut(at=0),
    "page": Raw(b"<!doctype html><html><title>Sign in</title></html>", content_type="text/html"),
    "object": Raw(b'{"message": "no"}', content_type="application/json", chunked=False),
    "error": Answer(error={"message": "the engine died", "type": "server_error", "code": "internal_error"}),
}
"""What a vendor sends in place of an answer. Nothing of it is one."""

INTRUDERS: Mapping[str, bytes] = {
    "binary": b"\xff\x00\xfe{",
    "half": b'{"half',
    "word": b"oops",
    "null": b"null",
    "number": b"7",
    "list": b"[1]",
    "text": b'"text"',
    "object": b"{}",
    "deep": b"[" * 100_000,
    "wrong-types": b'{"text": 7, "message": 7, "choices": 7, "error": 7, "done": [], "delta": null}',
    "nulls": b'{"text": null, "message": null, "choices": [null], "error": null, "done": null}',
}
"""What stands in a stream that no vendor ever said it would send; other events go on around it."""

_BODIES = ("empty-body", "page", "object")
_ANYTHING = "any body is a whole answer where the proof of the end is that of the body"

HOUR, HOURS = 3600.0, 1_000
"""Seconds, and how many of them there are for an answer that takes half of one."""
TURNS = 10
"""Turns of the event loop in each of them."""
SLOW = 0.05
"""Seconds of the limits that are to be reached here."""


class FaultCases(ProviderSetting):
    """What goes wrong on the way is told."""

    short: ClassVar[Answer] = SHORT
    """The answer that is cut at each of its bytes. A long one takes long; another one may be needed where the dialect
    says this one strangely."""
    errors_in_streams: ClassVar[bool] = True
    """Whether the vendor has words for a failure in the midst of an answer; False: it just ends."""

    async def test_nobody_listens(self, stage: Stage) -> None:
        with stage.vendor.refusing():
            error = await stage.meets()
        expect(
            isinstance(error, Unavailable) and error.retryable,
            f"nobody listened at the vendor's address, and a caller met {error!r}; it should be Unavailable: catch "
            "what your HTTP library raises for a connection that fails (httpx2.TransportError, OSError)",
        )

    @pytest.mark.parametrize("what", NO_ANSWERS)
    async def test_what_is_no_answer_is_an_error(self, stage: Stage, what: str) -> None:
        if what in _BODIES and _takes_anything(stage):
            pytest.skip(_ANYTHING)
        stage.script(*[NO_ANSWERS[what]] * 3)  # A connection that was left idle may have been lost: it is asked again.
        error = await stage.meets()
        expect(
            isinstance(error, ProviderError) and not error.partial,
            f"the vendor's response was none ({what.replace('-', ' ')}), and a caller met {error!r}; it should be "
            "Unavailable or StreamBroken, without partial text",
        )
        first = stage.chats[0]
        idle = any(request.client == first.client for request in stage.vendor.requests[: first.index])
        expect(
            idle or len(stage.chats) == 1,
            f"the vendor's response was none ({what.replace('-', ' ')}), and it was asked {len(stage.chats)} times: "
            "what has been sent may have been answered, and billed; whether to ask again is the engine's to decide",
        )

    @pytest.mark.parametrize("where", ["before the head", "in the body"])
    async def test_silence_is_left(self, stage: Stage, where: str) -> None:
        stage.script(
            Answer("Hello"), Answer(wait=math.inf) if where == "before the head" else Answer(WORDS).stall(after=0)
        )
        async with stage.client() as client:
            await client.chat("Hi", model=stage.target)  # What the first request waits for besides is over then.
            try:
                await client.chat("Hi", model=stage.target, first_token=SLOW)
                met: BaseException | None = None
            except PointsmanError as error:
                met = error
            expect(
                isinstance(met, FirstTokenTimeout),
                f"the vendor was silent {where}, and after {SLOW} s of it a caller met {met!r}; it should be "
                "FirstTokenTimeout: let cancellation through, and have no timeouts of your own",
            )
            expect(
                all(chat.hung_up() for chat in stage.chats[1:]),
                f"the vendor was silent {where} and was left, but the connection to it is open still: close the "
                "response in a `finally`, or by `async with`",
            )

    # The clock of trio cannot be set; what has a limit there has one on asyncio, too.
    @pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
    @pytest.mark.parametrize("where", ["before the head", "in the body"])
    async def test_silence_is_the_engines_to_end(self, stage: Stage, where: str) -> None:
        half = HOUR / 2 * stage.lab.speed
        slow = Answer(WORDS, wait=half) if where == "before the head" else Answer(WORDS).stall(after=4, seconds=half)
        stage.script(Answer("Hello"), slow)
        heard = Heard()
        async with directly(stage) as direct:
            async with direct.enter() as events:  # What the first request waits for besides is over then.
                async for _ in events:
                    pass

            async def wait_for_hours() -> None:
                while len(stage.chats) < 2:
                    await checkpoint()
                for _ in range(HOURS):
                    set_ahead(HOUR)
                    for _ in range(TURNS):
                        await checkpoint()
                tasks.cancel_scope.cancel()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait_for_hours)
                await direct.hear(heard)
                tasks.cancel_scope.cancel()
        expect(
            heard.text == WORDS and heard.finished,
            f"the vendor was silent {where} for half an hour, and what came of it was {heard}; it should be the "
            "answer, for how long is too long is the engine's to say: give your HTTP library no timeout "
            "(httpx2: timeout=None), but for connecting",
        )

    async def test_slow_first_token_is_waited_for(self, stage: Stage) -> None:
        stage.script(Answer(WORDS, wait=SLOW * stage.lab.speed))
        reply = await stage.chat()
        expect(reply.text == WORDS, f"{WORDS!r} came late, and {reply.text!r} arrived")

    async def test_stall_is_left_and_what_came_is_kept(self, stage: Stage) -> None:
        stage.script(Answer(WORDS).stall(after=4))
        async with stage.client() as client:
            try:
                await client.chat("Hi", model=stage.target, stall=SLOW, on_break="raise")
                met: PointsmanError = PointsmanError("nothing")
            except PointsmanError as error:
                met = error
            expect(
                isinstance(met, Stalled),
                f"the vendor stopped in the midst of its answer, and a caller met {met!r}; it should be Stalled: let "
                "cancellation through, and have no timeouts of your own",
            )
            expect(
                met.partial and WORDS.startswith(met.partial) and met.partial != WORDS,
                f"{WORDS!r} stalled after 4 events, of which partial={met.partial!r} is kept; yield each delta as it "
                "comes",
            )
            expect(
                stage.chats[-1].hung_up(),
                "the stalled stream was left, but its connection is open still: close the response in a `finally`",
            )

    @pytest.mark.parametrize("how", ["clean", "close", "reset"])
    async def test_cut_answer_is_never_taken_for_whole(self, stage: Stage, how: Ending) -> None:
        if how == "clean" and _takes_anything(stage):
            pytest.skip(_ANYTHING)
        async with directly(stage) as direct:
            whole = await direct.ask(self.short)
            expect(whole.finished is not None, f"{self.short.text!r} was sent whole, and what arrived was {whole}")
            # Each byte once; a cut that is no end of a body, and another loop, change nothing that depends on the byte.
            step = 1 if (how, stage.backend) == ("clean", "asyncio") else 7
            for at in range(0, stage.chats[-1].sent, step):
                heard = await direct.ask(self.short.cut(at=at, how=how))
                _whole_or_broken(heard, self.short.text, f"an answer that ended ({how}) after {at} bytes")

    @pytest.mark.parametrize("what", INTRUDERS)
    async def test_what_no_vendor_said_it_would_send_breaks_nothing_else(self, stage: Stage, what: str) -> None:
        if _takes_anything(stage):
            pytest.skip(_ANYTHING)
        async with directly(stage) as direct:
            for data in (INTRUDERS[what] + b"\n", b"data: " + INTRUDERS[what] + b"\n\n"):
                for after in (0, 3):
                    heard = await direct.ask(Answer(WORDS).garbage(after=after, data=data))
                    _whole_or_broken(heard, WORDS, f"an answer with {data!r} in it")

    async def test_answer_without_its_proof_is_broken(self, stage: Stage) -> None:
        proof = _proof(stage)
        unproven = {
            Terminal.FINISH_REASON: Answer(WORDS, finish=None),
            Terminal.DONE_MARKER: Answer(WORDS, done=False),
            Terminal.DONE_FIELD: Answer(WORDS, done=False),
            Terminal.BODY_LENGTH: Answer(WORDS).cut(at=-1),
        }
        stage.script(unproven[proof])
        error = await stage.meets()
        expect(
            isinstance(error, ProviderError) and WORDS.startswith(error.partial) and error.partial,
            f"the answer came without {proof.value}, which its spec says is the proof of the end, and a caller met "
            f"{error!r} with partial={error.partial!r}; it should be StreamBroken with the text so far",
        )

    async def test_proof_alone_is_an_empty_answer(self, stage: Stage) -> None:
        stage.script(Answer(""))
        reply = await stage.chat()
        expect(
            (reply.text, reply.finish_reason) == ("", "stop"),
            f"the vendor sent a whole answer without a word, and a caller got {reply.text!r} with the finish reason "
            f"{reply.finish_reason!r}; it should be an empty text and stop",
        )

    async def test_error_in_the_midst_of_an_answer_is_told(self, stage: Stage) -> None:
        stage.script(Answer("One two ", error={"message": "the engine died", "type": "server_error", "code": 500}))
        error = await stage.meets()
        expect(
            isinstance(error, ProviderError) and error.partial.strip() == "One two",
            f"the vendor said 'One two ' and then that it failed, and a caller met {error!r} with "
            f"partial={error.partial!r}; it should be StreamBroken with the text so far: look for the vendor's errors "
            "in its stream, too",
        )
        expect(
            "the engine died" in error.message or not self.errors_in_streams,
            f"the vendor said in its stream what is wrong ('the engine died'), and a caller met {error!r}; pass on "
            "what it says, or say in `errors_in_streams` that yours says nothing",
        )

    async def test_very_long_event_arrives_whole(self, stage: Stage) -> None:
        text = "é" * 200_000
        stage.script(Answer(text))
        reply = await stage.chat()
        expect(
            reply.text == text,
            f"a word of {len(text):,} letters was sent in one event, and {len(reply.text):,} of them arrived",
        )

    async def test_line_ends_and_marks_of_other_systems_are_taken(self, stage: Stage) -> None:
        async with directly(stage) as direct:
            for size in (1, 3):
                heard = await direct.ask(Answer(FEW, newline="\r\n").drip(size))
                expect(
                    heard.finished is not None and heard.text == FEW,
                    f"{FEW!r} was sent with CRLF at the end of lines, in small pieces, and what arrived was {heard}",
                )
            heard = await direct.ask(Answer(WORDS).garbage(at=0, data=b"\xef\xbb\xbf"))
            _whole_or_broken(heard, WORDS, "an answer that begins with a byte order mark (cut it off)")


def _proof(stage: Stage) -> Terminal:
    return stage.spec.family(stage.target.model).terminal


def _takes_anything(stage: Stage) -> bool:
    """Whether any body that ends as it should is a whole answer."""
    return _proof(stage) is Terminal.BODY_LENGTH


def _whole_or_broken(heard: Heard, text: str, what: str) -> None:
    broken = isinstance(heard.error, PointsmanError) and not isinstance(heard.error, PluginError)
    expect(
        heard.error is None or broken,
        f"{what} made the plugin raise {type(heard.error).__name__}({str(heard.error)[:200]!r}); it should be "
        "StreamBroken: nothing that a vendor sends may raise anything else",
    )
    expect(
        heard.finished is None or not broken,
        f"{text!r} was asked for, and {what} came out as {heard}; nothing is raised after Finished, for the answer is "
        "whole: read on to the end of the body with contextlib.suppress(httpx2.RequestError), and return",
    )
    expect(
        heard.finished is None or heard.text == text,
        f"{text!r} was asked for, and {what} was given out as whole: {heard}; yield Finished for the vendor's own "
        "proof of the end only, and raise StreamBroken for what you cannot read",
    )
    expect(
        text.startswith(heard.text),
        f"{text!r} was asked for, and {what} came out as {heard}, which is not how it begins: what is not known is no "
        "text",
    )
