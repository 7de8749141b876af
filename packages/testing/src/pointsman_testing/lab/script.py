"""What a lab vendor is told to answer: frozen values, without any knowledge of HTTP or of a vendor's dialect.

Every number of seconds is lab time: real time is that divided by the lab's `speed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from pointsman import ToolCall, Usage

from .requests import RecordedRequest

if TYPE_CHECKING:
    from .profiles import Profile

Ending: TypeAlias = Literal["clean", "close", "reset"]
"""How a body stops: ``clean``, as if it were whole; ``close``, the connection ends before the body does (FIN);
``reset``, the connection is torn down (RST)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A point in a body: after `count` bytes, or after that many whole events (each comment or line is one too).

    Bytes are counted in the body as the answer would have it, before any fault and without chunked framing. A
    negative count is taken from the end; one beyond the end is the end.
    """

    count: int
    unit: Literal["bytes", "events"] = "bytes"


@dataclass(frozen=True, slots=True)
class Cut:
    """The body stops at `place`."""

    place: Place
    how: Ending


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing flows at `place` for `seconds`, but a keep-alive comment every `ping` seconds, if that is given."""

    place: Place
    seconds: float
    ping: float | None


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that nobody expects at `place`."""

    place: Place
    data: bytes


@dataclass(frozen=True, slots=True)
class Drip:
    """The body flows in writes of at most `size` bytes, `every` seconds."""

    size: int
    every: float


BodyFault: TypeAlias = Cut | Stall | Garbage | Drip


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """What all scripted responses share: headers of their own, a wait before the first byte, and faults in the body.

    The methods return a changed copy, so they chain: ``Answer("hi").stall(after=2, seconds=3).cut(at=90)``.
    """

    wait: float = 0.0
    """Seconds before the head of the response."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    faults: tuple[BodyFault, ...] = ()

    def cut(self, at: int | None = None, *, after: int | None = None, how: Ending = "close") -> Self:
        """Stop the body `at` a byte or `after` a number of events."""
        return replace(self, faults=(*self.faults, Cut(_place(at, after), how)))

    def stall(
        self,
        at: int | None = None,
        *,
        after: int | None = None,
        seconds: float = math.inf,
        ping: float | None = None,
    ) -> Self:
        """Stop flowing `at` a byte or `after` a number of events, for a time or for ever."""
        return replace(self, faults=(*self.faults, Stall(_place(at, after), seconds, ping)))

    def garbage(self, at: int | None = None, *, after: int | None = None, data: bytes = b"\xff\x00\xfe{") -> Self:
        """Put `data` into the body `at` a byte or `after` a number of events."""
        return replace(self, faults=(*self.faults, Garbage(_place(at, after), data)))

    def drip(self, size: int = 1, *, every: float = 0.0) -> Self:
        """Send the body in writes of `size` bytes, one `every` so many seconds."""
        if size < 1:
            raise ValueError("a drip is at least one byte")
        return replace(self, faults=(*self.faults, Drip(size, every)))


@dataclass(frozen=True, slots=True)
class Answer(Scripted):
    """What the model says, streamed or not, as the request asks. Tokens are words (see `split_words`).

    The other fields shape the stream; a dialect, or a body that is not streamed, ignores what makes no sense there.
    """

    text: str = ""
    _: KW_ONLY
    reasoning: str = ""
    """Said before the text."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Asked for after the text, streamed by index in fragments, or whole where the dialect knows no fragments."""
    finish: str | None = "auto"
    """The finish reason; ``auto`` is ``tool_calls`` if there are any, else ``stop``; None: it never comes."""
    done: bool = True
    """Whether the stream ends with what ends a whole one: ``[DONE]``, or Ollama's line that is done."""
    error: Mapping[str, Any] | str | None = None
    """An error that breaks the stream off after the text; nothing follows it."""
    error_as: Literal["data", "event"] = "data"
    """``data: {"error": ...}``, or ``event: error`` with the error itself as data."""
    usage: Literal["asked", "own", "finish", "every", "none"] = "asked"
    """Where the token counts go: a chunk of their own at the end (if the request asks for it, or always), the chunk
    with the finish reason, every chunk so far, or nowhere."""
    counts: Usage | None = None
    """What the usage says; None: the words of the prompt and of this answer."""
    tokens_per_chunk: int = 1
    role_first: bool = True
    """Whether a chunk with the role and no content comes first, at once, before the wait for the first token."""
    keep_alives: int = 0
    """Comments before the first token, spread evenly over the wait for it."""
    newline: Literal["\n", "\r\n"] = "\n"
    reasoning_field: Literal["reasoning", "reasoning_content"] = "reasoning"
    profile: Profile | None = None
    """The speed of this answer; None: the vendor's."""

    @property
    def finish_reason(self) -> str | None:
        """The finish reason that is sent."""
        if self.finish != "auto":
            return self.finish
        return "tool_calls" if self.tool_calls else "stop"


@dataclass(frozen=True, slots=True)
class Fault(Scripted):
    """An error status with a body: None is the vendor's own kind of error, a mapping is JSON, a text that begins with
    ``<`` is HTML, other text is plain, bytes are sent as they are.
    """

    status: int
    body: Mapping[str, Any] | str | bytes | None = None
    _: KW_ONLY
    message: str | None = None
    """For the vendor's own kind of error; None: its usual words."""
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Raw(Scripted):
    """Exactly these bytes as the body. `len()` of it is the length of the body."""

    data: bytes
    _: KW_ONLY
    status: int = 200
    content_type: str = "text/event-stream"
    chunked: bool = True
    """False: sent with a ``Content-Length``."""

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Usual(Scripted):
    """What the vendor answers by itself on this route, with faults: ``Usual().cut(after=3)``."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """The request is read, and the connection ends without one byte of a response."""

    how: Literal["close", "reset"] = "close"
    wait: float = 0.0


Response: TypeAlias = Answer | Fault | Raw | Usual | Hangup
Script: TypeAlias = Response | Callable[[RecordedRequest], Response]
"""A response, or how to find one for a request."""


def _place(at: int | None, after: int | None) -> Place:
    if (at is None) == (after is None):
        raise TypeError("say where: at=<bytes> or after=<events>")
    return Place(at) if at is not None else Place(after or 0, "events")
