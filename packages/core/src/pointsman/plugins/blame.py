"""Whose bug is it? An exception that no plugin may raise is laid at the door of the one whose code raised it.

Each layer of a connection (the provider, then each wrapper) is entered through an `_Entered`, once a call. While events
flow, nothing stands between the layers, so that a wrapper costs nothing for each of them: the traceback tells. A layer
that was being entered or left has its `_Entered` there; one that was being read has a frame of the iterator that it had
handed out, and says so when the exception is passed to its `_Entered` on the way out; what is passed to it without such
a frame came from further out. Calls go inwards only, so the innermost layer that an exception came through raised it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from types import FrameType, TracebackType
from typing import Any, cast

from ..errors import PluginError, PointsmanError, Scope
from ..provider import Stream
from ..types import ChatRequest, StreamEvent

_READ = "_pointsman_layers_read"
"""Where an exception keeps the depths of the layers whose iterators raised it or let it through."""
_OUTSIDE = "_pointsman_outside_of"
"""Where it keeps the depth of the outermost layer that it came to from outside."""


class Layer:
    """One plugin's `pointsman_stream` callable. `depth` counts from the provider, which is 0, outwards."""

    def __init__(self, plugin: str, depth: int, stream: Stream) -> None:
        self.plugin = plugin
        self.depth = depth
        self._stream = stream

    def __call__(self, request: ChatRequest) -> AbstractAsyncContextManager[AsyncIterator[StreamEvent]]:
        return _Entered(self, self._stream, request)


class _Entered:
    """One call through one layer. `layer` is read from the frames of a traceback."""

    __slots__ = ("_events", "_frame", "_inner", "_request", "_stream", "layer")

    def __init__(self, layer: Layer, stream: Stream, request: ChatRequest) -> None:
        self.layer = layer
        self._stream = stream
        self._request = request

    async def __aenter__(self) -> AsyncIterator[StreamEvent]:
        self._inner = self._stream(self._request)
        self._events = events = await self._inner.__aenter__()
        self._frame: FrameType | None = getattr(events, "ag_frame", None)
        return events

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if error is not None:
            read = any(map(self._reads, _frames(error)))
            for one in _whole(error):
                if read:
                    vars(one).setdefault(_READ, set()).add(self.layer.depth)
                else:
                    vars(one)[_OUTSIDE] = max(vars(one).get(_OUTSIDE, -1), self.layer.depth)
        return await self._inner.__aexit__(kind, error, trace)

    def _reads(self, frame: FrameType) -> bool:
        """Whether `frame` runs the iterator: a generator's own frame, or a method of the very object."""
        if frame is self._frame:
            return True
        code = frame.f_code
        if not code.co_argcount or frame.f_locals.get(code.co_varnames[0]) is not self._events:
            return False
        owner = code.co_qualname.rpartition(".")[0]
        return any(owner == kind.__qualname__ for kind in type(self._events).__mro__)


class Blame:
    """Names the plugin behind an exception, for one connection. `layers` begin with the provider."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = layers

    def error(self, raised: Exception) -> PointsmanError:
        """`raised` as one of our errors. What is one already keeps its kind, with a note if a wrapper raised it.

        A wrapper's bug fails the call: another target would meet the same wrapper. A provider's bug fails its target.
        A task group's wrapping around one single error is taken off: that error is what steers.
        """
        nested = [raised]
        while (inside := _only_one(nested[-1])) is not None:
            nested.append(inside)
        raised, owner = nested[-1], self._owner(nested)
        if isinstance(raised, PointsmanError):
            if owner and owner.depth:
                _note_once(raised, f"raised by the wrapper {owner.plugin!r}")
            return raised
        error = PluginError(
            f"{self._suspects(owner)} raised {type(raised).__name__}: {raised}".rstrip(": "),
            plugin=(owner or self._layers[0]).plugin,
            scope=Scope.REQUEST if owner and owner.depth else Scope.TARGET,
        )
        error.__cause__ = raised
        return error

    def _suspects(self, owner: Layer | None) -> str:
        """The one to blame; all of them, if what they yielded was found to be wrong only afterwards."""
        provider, *wrappers = self._layers
        if owner is None and wrappers:
            names = " or ".join(repr(layer.plugin) for layer in reversed(wrappers))
            return f"the provider {provider.plugin!r}, or a wrapper around it ({names}),"
        return f"the {'wrapper' if owner and owner.depth else 'provider'} {(owner or provider).plugin!r}"

    def _owner(self, nested: Sequence[Exception]) -> Layer | None:
        """The innermost layer that an exception, the last of `nested`, came from; None if nothing shows any."""
        outside = max(vars(one).pop(_OUTSIDE, -1) for one in _whole(nested[0]))
        for one in reversed(nested):
            passed: set[int] = {depth for part in _whole(one) for depth in vars(part).pop(_READ, ())}
            for frame in _frames(one):
                if frame.f_code in _ENTRY_CODE:
                    layer: Layer = frame.f_locals["self"].layer
                    if layer in self._layers:
                        passed.add(layer.depth)
            if passed := {depth for depth in passed if depth > outside}:
                return self._layers[min(passed)]
        return None


_ENTRY_CODE: set[Any] = {_Entered.__aenter__.__code__, _Entered.__aexit__.__code__}


def _only_one(raised: Exception) -> Exception | None:
    """What a task group put into a group of its own."""
    if not isinstance(raised, ExceptionGroup) or isinstance(raised, PointsmanError):
        return None
    inside = cast(ExceptionGroup[Exception], raised).exceptions
    return inside[0] if len(inside) == 1 else None


def _whole(error: BaseException) -> Iterator[BaseException]:
    """An exception and, if it is a group, all in it: a group may be split and made anew on its way, its members not."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for one in cast(BaseExceptionGroup[BaseException], error).exceptions:
            yield from _whole(one)


def _note_once(error: BaseException, note: str) -> None:
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def _frames(raised: BaseException) -> Iterator[FrameType]:
    step = raised.__traceback__
    while step is not None:
        yield step.tb_frame
        step = step.tb_next
