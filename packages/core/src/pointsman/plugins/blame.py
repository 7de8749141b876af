"""Whose bug is it? An exception that no plugin may raise is laid at the door of the one whose code raised it.

Each layer of a connection (the provider, then each wrapper) is entered through a `Layer`, once a call. While events
flow, nothing stands between the layers, so that a wrapper costs nothing for each of them: the traceback tells.
Read from the outside in, the last layer that was entered, by its `Layer` or by the iterator that it had handed out, is
the one that raised.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from types import CodeType, FrameType, TracebackType
from typing import Any

from ..errors import PluginError, PointsmanError, Scope
from ..provider import Stream
from ..types import ChatRequest, StreamEvent


class Layer:
    """One plugin's `pointsman_stream` callable, and the code of the iterators that it hands out."""

    def __init__(self, plugin: str, stream: Stream, open_iterators: dict[int, Layer]) -> None:
        self.plugin = plugin
        self.iterator_code: set[CodeType] = set()
        self._stream = stream
        self._open = open_iterators

    def __call__(self, request: ChatRequest) -> AbstractAsyncContextManager[AsyncIterator[StreamEvent]]:
        return _Entered(self, self._stream, request, self._open)


class _Entered:
    """One call through one layer. `layer` is read from the frames of a traceback."""

    __slots__ = ("_inner", "_key", "_open", "_request", "_stream", "layer")

    def __init__(self, layer: Layer, stream: Stream, request: ChatRequest, open_iterators: dict[int, Layer]) -> None:
        self.layer = layer
        self._stream = stream
        self._request = request
        self._open = open_iterators

    async def __aenter__(self) -> AsyncIterator[StreamEvent]:
        self._inner = self._stream(self._request)
        events = await self._inner.__aenter__()
        self._key = id(events)
        # A wrapper that passes the inner iterator on has none of its own: the first to hand it out owns it.
        if self._open.setdefault(self._key, self.layer) is self.layer:
            code = getattr(events, "ag_code", None) or getattr(type(events).__anext__, "__code__", None)
            if code is not None:
                self.layer.iterator_code.add(code)
        return events

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self._open.get(self._key) is self.layer:
            del self._open[self._key]
        return await self._inner.__aexit__(kind, error, trace)


class Blame:
    """Names the plugin behind an exception, for one connection. `layers` are outermost first, the provider last."""

    def __init__(self, layers: list[Layer]) -> None:
        self._layers = layers

    def error(self, raised: Exception) -> PointsmanError:
        """`raised` as one of our errors. What is one already keeps its kind, with a note if a wrapper raised it.

        A wrapper's bug fails the call: another target would meet the same wrapper. A provider's bug fails its target.
        """
        owner = self._owner(raised)
        wrapper = owner is not self._layers[-1]
        if isinstance(raised, PointsmanError):
            if wrapper:
                raised.add_note(f"raised by the wrapper {owner.plugin!r}")
            return raised
        said = f"{type(raised).__name__}: {raised}".rstrip(": ")
        error = PluginError(
            f"the {'wrapper' if wrapper else 'provider'} {owner.plugin!r} raised {said}",
            plugin=owner.plugin,
            scope=Scope.REQUEST if wrapper else Scope.TARGET,
        )
        error.__cause__ = raised
        return error

    def _owner(self, raised: BaseException) -> Layer:
        depth = 0
        entered = self._layers[-1]
        for frame in _frames(raised):
            for place in range(depth, len(self._layers)):
                if _enters(frame, self._layers[place]):
                    entered, depth = self._layers[place], place + 1
                    break
        return entered


def _enters(frame: FrameType, layer: Layer) -> bool:
    if frame.f_code in layer.iterator_code:
        return True
    return frame.f_code in _ENTRY_CODE and frame.f_locals["self"].layer is layer


_ENTRY_CODE: set[Any] = {_Entered.__aenter__.__code__, _Entered.__aexit__.__code__}


def _frames(raised: BaseException) -> Iterator[FrameType]:
    step = raised.__traceback__
    while step is not None:
        yield step.tb_frame
        step = step.tb_next
