"""Where one model goes on with what another began: repeated text is cut, and a fresh start is told from a sequel.

A model that was asked to go on may do so at once, may first repeat the end of what it was shown, or all of it, or may
answer anew. What it says is held back for as long as it could still be a repetition. Only what is at least `LEAST`
characters long counts as one, since shorter ones are ordinary language ("ha" and "ha").

Pure: text in, text out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Self

from ..cost import floor_usage
from ..errors import StreamBroken
from ..types import ChatRequest, Finished, StreamEvent, TextDelta, assistant

LEAST = 16
LONGEST = 2000
"""Characters at the end of the answer that are searched for a repetition."""


class Seam:
    """The seam after `before`. Feed it what comes; what it gives back follows on `before`.

    White space at the end of `before` is not shown to the model, since many chat templates strip it; where the model
    begins with it, it is cut.
    """

    __slots__ = ("_before", "_held", "_space", "closed", "shown")

    def __init__(self, before: str) -> None:
        self.shown = before.rstrip()
        """What the model is asked to go on with."""
        self._before = before.strip()
        self._space = before[len(self.shown) :]
        self._held = ""
        self.closed = False
        """What comes from now on is passed through."""

    def push(self, text: str) -> str:
        """What of `text` and all that is held can be said now. Raises `StreamBroken` for an answer begun anew."""
        if self.closed:
            return text
        self._held += text
        return self._decide(over=False)

    def end(self) -> str:
        """The same, since nothing more comes."""
        return "" if self.closed else self._decide(over=True)

    def _decide(self, *, over: bool) -> str:
        before, told = self._before, self._held.lstrip()
        tail = before[-LONGEST:]
        # Both are longer than what was told: what is as long is a repetition, not the beginning of one.
        may_repeat = (before.startswith(told) and before != told) or told in tail[:-1]
        if not over and (not told or may_repeat):
            return ""
        echoed = _common(before, told)
        if echoed == len(before) >= LEAST:
            return self._follow(told[echoed:], over=over)
        for start in range(len(tail) - LEAST + 1):
            if told.startswith(tail[start:]):
                return self._follow(told[len(tail) - start :], over=over)
        if echoed >= LEAST:
            raise StreamBroken("instead of going on, it answered anew, and differently", retryable=False)
        return self._follow(self._held, over=over)

    def _follow(self, rest: str, *, over: bool) -> str:
        """`rest` follows, without the white space that stands there already."""
        if not over and rest != self._space and self._space.startswith(rest):
            return ""  # The rest of it may be to come.
        self.closed, self._held = True, ""
        return rest[_common(self._space, rest) :]


def _common(one: str, other: str) -> int:
    """How many characters at the beginning are the same."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    low, high = 0, length  # one[:low] is the same in both, one[:high] is not.
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


class Seamed:
    """A model's events with the seam closed: its first texts are held back (`heard` is told), cut, or refused."""

    __slots__ = ("_ended", "_events", "_heard", "_seam")

    def __init__(self, events: AsyncIterator[StreamEvent], seam: Seam, heard: Callable[[], None]) -> None:
        self._events = events
        self._seam = seam
        self._heard = heard
        self._ended: StreamEvent | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._ended is not None:
            event, self._ended = self._ended, None
            return event
        event = await anext(self._events)
        if type(event) is TextDelta and not self._seam.closed:
            if event.text:
                self._heard()
            return TextDelta(self._seam.push(event.text))
        if isinstance(event, Finished) and (last := self._seam.end()):
            self._ended = event
            return TextDelta(last)
        return event


def sequel(request: ChatRequest, before: str) -> tuple[ChatRequest, Seam | None]:
    """The request to go on with `before`, and the seam that follows it; the request itself if there is nothing yet."""
    if not before:
        return request, None
    seam = Seam(before)
    left = request.max_tokens
    if left is not None:
        left = max(1, left - floor_usage(request, (before,)).output_tokens)
    shown = (assistant(seam.shown),) if seam.shown else ()
    return replace(request, messages=(*request.messages, *shown), max_tokens=left), seam
