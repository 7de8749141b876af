"""How events cross from attempts to the reader: a bounded deque, and an Event only while a side waits."""

from __future__ import annotations

from collections import deque
from typing import Self

import anyio

from ..errors import ConfigError, PointsmanError
from ..types import StreamEvent, TextDelta

WINDOW = 512
"""Events that may wait for the reader before the writer must."""


class Channel:
    """One writer at a time, one reader. Keeps nothing that has been read, so that long answers do not feed the GC."""

    __slots__ = ("_error", "_reader", "closed", "queue", "room")

    def __init__(self) -> None:
        self.queue: deque[StreamEvent] = deque()
        self.closed = False
        self.room: anyio.Event | None = None
        """What the writer waits for, while it waits."""
        self._error: PointsmanError | None = None
        self._reader: anyio.Event | None = None

    # The writer's side ---------------------------------------------------------------------------------------------

    def put(self, event: StreamEvent) -> bool:
        """Append `event`. True if the reader is `WINDOW` behind: the writer should `wait_for_room`."""
        self.queue.append(event)
        if self._reader is not None:
            self._reader.set()
            self._reader = None
        return len(self.queue) >= WINDOW

    async def wait_for_room(self) -> None:
        """Until the reader is half a window behind."""
        self.room = anyio.Event()
        await self.room.wait()

    def close(self, error: PointsmanError | None) -> None:
        """Nothing more comes. The reader gets what is left, then `error`, as often as it asks, or else the end."""
        self.closed = True
        self._error = error
        if self._reader is not None:
            self._reader.set()
            self._reader = None

    # The reader's side ---------------------------------------------------------------------------------------------

    async def wait(self) -> None:
        """Until there is something to read. Raises the error that the channel was closed with, or the end.

        Raises `ConfigError` where another reader waits: two would take each other's events.
        """
        while not self.queue:
            if self.closed:
                raise self._error or StopAsyncIteration
            if self._reader is not None:
                raise ConfigError("this reply is being read already: one reader at a time")
            event = self._reader = anyio.Event()
            try:
                await event.wait()
            finally:
                if self._reader is event:
                    self._reader = None

    def make_room(self) -> None:
        """Let the writer go on, if the reader has caught up."""
        if self.room is not None and len(self.queue) <= WINDOW // 2:
            self.room.set()
            self.room = None


class Events:
    """Iterates over a channel's events. No generator, so that leaving a loop early leaves nothing to be closed."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        channel = self._channel
        if not channel.queue:
            await channel.wait()
        event = channel.queue.popleft()
        if channel.room is not None:
            channel.make_room()
        return event


class Texts:
    """Iterates over the text of a channel's `TextDelta`s, passing over everything else."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        channel = self._channel
        queue = channel.queue
        while True:
            if not queue:
                await channel.wait()
            event = queue.popleft()
            if channel.room is not None:
                channel.make_room()
            if type(event) is TextDelta:
                return event.text
