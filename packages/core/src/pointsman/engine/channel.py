"""How events cross from attempts to the reader: a bounded deque, and an Event only while a side waits.

The reader may be a task in the same event loop (`Events`, `Texts`) or a program in another thread (`read_events`,
`read_texts`): appending to a deque and taking from it are safe across threads, so both read the same queue.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, Self

import anyio
import anyio.lowlevel

from ..errors import ConfigError, PointsmanError
from ..types import StreamEvent, TextDelta

WINDOW = 512
"""Events that may wait for the reader before the writer must."""

BUSY = "this reply is being read already: one reader at a time"


class Signal(Protocol):
    """What wakes a reader."""

    def set(self) -> object: ...


class Bell:
    """Wakes one thread. Two rings before it waits are one."""

    __slots__ = ("_silent",)

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def set(self) -> None:
        """Ring."""
        if self._silent.locked():
            self._silent.release()

    def wait(self) -> None:
        """Until somebody rings, or has rung before."""
        self._silent.acquire()


class Channel:
    """One writer at a time, one reader. Keeps nothing that has been read, so that long answers do not feed the GC."""

    __slots__ = ("_bell", "_error", "_process", "_reader", "_turn", "closed", "queue", "room")

    def __init__(self) -> None:
        self.queue: deque[StreamEvent] = deque()
        self.closed = False
        self.room: anyio.Event | None = None
        """What the writer waits for, while it waits."""
        self._error: PointsmanError | None = None
        self._reader: Signal | None = None
        self._bell: Bell | None = None
        self._process = os.getpid()
        self._turn = threading.Lock()

    # The writer's side ---------------------------------------------------------------------------------------------

    def put(self, event: StreamEvent) -> bool:
        """Append `event`. True if the reader is `WINDOW` behind: the writer should `wait_for_room`."""
        self.queue.append(event)
        reader = self._reader
        if reader is not None:
            self._reader = None  # Before it is woken: in another thread, it may wait anew at once.
            reader.set()
        return len(self.queue) >= WINDOW

    async def wait_for_room(self) -> None:
        """Until the reader is half a window behind."""
        room = self.room = anyio.Event()
        if len(self.queue) > WINDOW // 2:  # Else a reader in another thread was faster, and will not look again.
            await room.wait()
        self.room = None

    def close(self, error: PointsmanError | None) -> None:
        """Nothing more comes. The reader gets what is left, then `error`, as often as it asks, or else the end."""
        self._error = error  # First: who sees that it is closed may look from another thread.
        self.closed = True
        reader = self._reader
        if reader is not None:
            self._reader = None
            reader.set()

    # The reader's side ---------------------------------------------------------------------------------------------

    async def wait(self) -> None:
        """Until there is something to read. Raises the error that the channel was closed with, or the end.

        Raises `ConfigError` where another reader waits: two would take each other's events.
        """
        while not self.queue:
            if self.closed:
                if self._error is not None:  # It may come of a cancellation that has not reached the reader yet.
                    await anyio.lowlevel.checkpoint_if_cancelled()
                raise self._error or StopAsyncIteration
            if self._reader is not None:
                raise ConfigError(BUSY)
            event = self._reader = anyio.Event()
            try:
                await event.wait()
            finally:
                if self._reader is event:
                    self._reader = None

    def wait_in_thread(self) -> bool:
        """The same for a reader in another thread: True if there is something to read, False at the end."""
        if not self._turn.acquire(blocking=False):
            raise ConfigError(BUSY)
        try:
            bell = self._bell = self._bell or Bell()
            while not self.queue:
                # First the bell, then another look: what came in between was seen, or rings.
                self._reader = bell
                closed = self.closed
                if self.queue:
                    break
                if closed and self._error:
                    raise self._error
                if closed:
                    return False
                if self._process != os.getpid():
                    raise ConfigError("this stream was begun before the process was forked: nobody fills it here")
                bell.wait()
            return True
        finally:
            self._turn.release()

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


Soon = Callable[[Callable[[], None]], object]
"""Has something called in the channel's event loop, from any thread."""


def read_events(channel: Channel, soon: Soon) -> Iterator[StreamEvent]:
    """`Events` for another thread."""
    pop = channel.queue.popleft
    told: anyio.Event | None = None
    while True:
        try:
            event = pop()
        except IndexError:
            if not channel.wait_in_thread():
                return
            continue
        room = channel.room
        if room is not None and room is not told and len(channel.queue) <= WINDOW // 2:
            told = room
            soon(channel.make_room)
        yield event


def read_texts(channel: Channel, soon: Soon) -> Iterator[str]:
    """`Texts` for another thread."""
    for event in read_events(channel, soon):
        if type(event) is TextDelta:
            yield event.text
