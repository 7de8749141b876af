"""What is asked: messages, tools, the request, and the target that may answer it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Priority: TypeAlias = Literal["balanced", "speed", "quality", "cost"]


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One model at one provider, written ``provider/model``; the first slash divides."""

    provider: str
    model: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``provider/model``. Raises `ValueError` if either part is missing."""
        provider, slash, model = text.partition("/")
        if not (provider and slash and model):
            raise ValueError(f"{text!r} is not a target: write provider/model, such as sambanova/gpt-oss-120b")
        return cls(provider, model)

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text in a message."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: an ``https:`` or ``data:`` URL."""

    url: str


Part: TypeAlias = Text | Image


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A finished request by the model to call a tool; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. A ``tool`` message answers the assistant's tool call named by `tool_call_id`."""

    role: Role
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def images(self) -> tuple[Image, ...]:
        """The image parts, in order."""
        return tuple(part for part in self.parts if isinstance(part, Image))


def system(text: str) -> Message:
    """An instruction that precedes the conversation."""
    return Message("system", (Text(text),))


def user(*parts: str | Part) -> Message:
    """What the person said: text, pictures, or both."""
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def assistant(text: str, *, tool_calls: Iterable[ToolCall] = ()) -> Message:
    """What a model answered earlier."""
    return Message("assistant", (Text(text),) if text else (), tool_calls=tuple(tool_calls))


def tool_result(tool_call_id: str, text: str) -> Message:
    """What a tool returned for one call."""
    return Message("tool", (Text(text),), tool_call_id=tool_call_id)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask for; `parameters` is a JSON Schema object."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One question to one model. Sampling fields left at None are not sent, so that the vendor's own defaults hold."""

    messages: tuple[Message, ...]
    model: str = ""
    """The vendor's model id; filled in for each attempt, empty before."""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    reasoning_effort: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    """``auto``, ``none``, ``required``, or the name of one tool."""
    response_schema: Mapping[str, Any] | None = None
    """A JSON Schema that the answer must satisfy."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields of the vendor's own, merged into the request body as they are."""

    priority: Priority = "balanced"
    task: str | None = None
    require: frozenset[str] = frozenset()
    """Capabilities that the target must have (see `ProviderSpec.capabilities`)."""
    deadline: float | None = None
    """Seconds for the whole call, from its start."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def needs(self) -> frozenset[str]:
        """Every capability without which no answer is possible: those required and those that the content implies."""
        implied = {
            "tools": bool(self.tools),
            "schema": self.response_schema is not None,
            "vision": any(message.images for message in self.messages),
        }
        return self.require | {name for name, needed in implied.items() if needed}

    @property
    def sampling(self) -> Mapping[str, Any]:
        """The sampling fields that were given, by their names here: what is left out is not to be sent."""
        named = ("max_tokens", "temperature", "top_p", "stop", "seed", "reasoning_effort")
        return {name: value for name in named if (value := getattr(self, name)) not in (None, ())}

    def for_model(self, model: str) -> ChatRequest:
        """The same question, addressed to `model`."""
        return replace(self, model=model)
