"""What a stream tells its reader, in the order in which it can happen.

Providers yield `TextDelta`, `ReasoningDelta`, `ToolCallDelta` and one last `Finished`. The engine adds the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from .chat import Target, ToolCall
from .usage import Cost, ServerTimings, Unknown, Usage

if TYPE_CHECKING:
    from ..errors import PointsmanError


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """A target failed before its answer began; another may follow."""

    target: Target
    attempt: int
    error: PointsmanError


@dataclass(frozen=True, slots=True)
class Started:
    """The commit point: what follows is the answer of this target. Once for each answer."""

    target: Target
    attempt: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's reasoning, where the vendor shows it."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A fragment of the tool call number `index`: `id` and `name` where they are given, and more `arguments` text."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Retracted:
    """All output since the last `Started` is withdrawn, since somebody is left to answer anew: another `Started`
    follows, or the call fails. Where nobody is left, what has arrived stands.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """Another target goes on where the last one broke; the output so far stands."""

    target: Target


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole. Once, last.

    `reason` is ``stop``, ``length``, ``tool_calls``, ``content_filter``, or the vendor's own word where it has another.
    A provider sets `cost` only to what the vendor itself says that this answer cost, in USD; else the engine asks the
    cost hook. A wrapper may set it, too.
    """

    reason: str
    usage: Usage | None = None
    cost: Cost = Unknown
    server: ServerTimings | None = None
    """How long things took by the server's own clock, where it says so."""
    served: str | None = None
    """What answered, where the target stands for several and the vendor says which: the name of a model of the same
    provider, such as ``openai/gpt-oss-120b:groq``. The cost hook is asked about that one."""


StreamEvent: TypeAlias = (
    AttemptFailed | Started | TextDelta | ReasoningDelta | ToolCallDelta | Retracted | Resumed | Finished
)


def tool_calls_of(events: Iterable[StreamEvent]) -> tuple[ToolCall, ...]:
    """The tool calls that the fragments in `events` make up, in the order of their index."""
    ids: dict[int, str] = {}
    names: dict[int, str] = {}
    arguments: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            arguments.setdefault(event.index, []).append(event.arguments)
            if event.id and event.index not in ids:
                ids[event.index] = event.id
            if event.name:
                names[event.index] = names.get(event.index, "") + event.name
    return tuple(
        ToolCall(ids.get(index, ""), names.get(index, ""), "".join(arguments[index])) for index in sorted(arguments)
    )
