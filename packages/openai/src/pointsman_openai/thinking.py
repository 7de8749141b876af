"""Reasoning that a model writes into its text, between ``<think>`` and ``</think>``, told apart from the answer."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from pointsman import PointsmanError, ReasoningDelta, StreamEvent, TextDelta

from .decode import ChatDecoder

_OPENING, _CLOSING = "<think>", "</think>"
_SPACES = 64
"""How many spaces and newlines may stand before the first tag."""


class _Place(Enum):
    BEFORE = auto()
    OPENED = auto()
    THOUGHTS = auto()
    CLOSED = auto()
    TEXT = auto()


class ThoughtSplitter:
    """Divides the text of one answer, in whatever pieces it comes.

    Only what begins with ``<think>`` holds thoughts: spaces before it are dropped, as are newlines behind either tag.
    Thoughts that are never closed, as in an answer that was cut for its length, are thoughts to its end. What comes
    after them is text, tags and all; so is an answer that begins otherwise, also one with a ``</think>`` alone.
    """

    def __init__(self) -> None:
        self._place = _Place.BEFORE
        self._held: str = ""  # What may yet turn out to be a tag.

    @property
    def over(self) -> bool:
        """All that follows is text."""
        return self._place is _Place.TEXT

    def feed(self, text: str) -> list[StreamEvent]:
        """What is known of the answer with this piece of it."""
        told: list[StreamEvent] = []
        text = self._held + text
        self._held = ""
        if self._place is _Place.BEFORE:
            text = self._opened(text)
        if self._place is _Place.OPENED and (text := text.lstrip("\n")):
            self._place = _Place.THOUGHTS
        if self._place is _Place.THOUGHTS:
            thoughts, closing, text = text.partition(_CLOSING)
            if closing:
                self._place = _Place.CLOSED
            else:
                size = _beginning(thoughts)
                thoughts, self._held = thoughts[: len(thoughts) - size], thoughts[len(thoughts) - size :]
            if thoughts:
                told.append(ReasoningDelta(thoughts))
        if self._place is _Place.CLOSED and (text := text.lstrip("\n")):
            self._place = _Place.TEXT
        if self._place is _Place.TEXT and text:
            told.append(TextDelta(text))
        return told

    def flush(self) -> list[StreamEvent]:
        """What was held back, when something else comes."""
        held = self._held
        self._held = ""
        if not held:
            return []
        if self._place is _Place.BEFORE:
            self._place = _Place.TEXT
            return [TextDelta(held)]
        return [ReasoningDelta(held)]

    def _opened(self, text: str) -> str:
        """What follows the first tag; all of it if there is none; nothing as long as that is not known."""
        begun = text.lstrip()
        if len(text) - len(begun) > _SPACES or not (begun.startswith(_OPENING) or _OPENING.startswith(begun)):
            self._place = _Place.TEXT
            return text
        if begun.startswith(_OPENING):
            self._place = _Place.OPENED
            return begun.removeprefix(_OPENING)
        self._held = text
        return ""


class ThinkingDecoder:
    """A `ChatDecoder` whose text may begin with thoughts."""

    def __init__(self, inner: ChatDecoder) -> None:
        self.ready: deque[StreamEvent] = inner.ready
        self._inner = inner
        self._splitter = ThoughtSplitter()

    @property
    def failure(self) -> PointsmanError | None:
        return self._inner.failure

    @property
    def over(self) -> bool:
        return self._inner.over

    @property
    def done(self) -> bool:
        return self._inner.done

    @property
    def proved(self) -> bool:
        return self._inner.proved

    def feed(self, data: bytes) -> None:
        told = len(self.ready)
        self._inner.feed(data)
        self._divide(told)

    def feed_whole(self, body: bytes) -> None:
        told = len(self.ready)
        self._inner.feed_whole(body)
        self._divide(told)

    def end(self, lost: Exception | None = None) -> None:
        told = len(self.ready)
        self._inner.end(lost)
        self._divide(told)

    def _divide(self, told: int) -> None:
        """Of what is ready, all but the first `told` is new."""
        splitter, ready = self._splitter, self.ready
        if splitter.over:
            return
        new = [ready.pop() for _ in range(len(ready) - told)]
        for event in reversed(new):
            if isinstance(event, TextDelta):
                ready.extend(splitter.feed(event.text))
                continue
            if not isinstance(event, ReasoningDelta):
                ready.extend(splitter.flush())
            ready.append(event)
        if self._inner.over:
            ready.extend(splitter.flush())


def _beginning(text: str) -> int:
    """How many characters at the end of `text` may be the beginning of the closing tag."""
    return next((size for size in range(len(_CLOSING) - 1, 0, -1) if text.endswith(_CLOSING[:size])), 0)
