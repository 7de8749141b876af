"""What Ollama's ``/v1`` ignores, loses or cuts without a word: it is refused, or noticed, on this side."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

from pointsman import ChatRequest, ContextOverflow, Finished, InvalidRequest, Scope, StreamEvent, Target

EFFORTS = ("none", "minimal", "low", "medium", "high", "max", "xhigh", "ultra")
"""What ``reasoning_effort`` may be; the server answers any other with 400."""
CHARACTERS_PER_TOKEN = 8
"""No tokenizer in use averages more on running text: a count made with it is a floor. Qwen's average 4 to 7 on official
Russian, German and Thai, which are up to 18 bytes."""
LEAST_CONTEXT = 4096
"""The smallest context that Ollama chooses by itself. In a prompt of fewer characters no cut could be noticed."""
_RUNS = re.compile(r"\s+|(.)\1+", re.DOTALL)
"""What is made of few tokens, however long it is: the indentation of JSON, the blanks and rules of a table."""


def fitted(request: ChatRequest, target: Target) -> ChatRequest:
    """`request` as the server can do it. Raises `InvalidRequest` for what it would not do; another target may."""

    def refuse(why: str) -> InvalidRequest:
        return InvalidRequest(why, target=target, scope=Scope.TARGET)

    if request.tool_choice not in (None, "auto", "none"):
        raise refuse(
            'Ollama\'s /v1 ignores tool_choice, so a call cannot be forced; for another server: server="other"'
        )
    if any(not image.url.startswith("data:") for message in request.messages for image in message.images):
        raise refuse("Ollama takes pictures as data: URLs only, not by address")
    if request.reasoning_effort not in (None, *EFFORTS):
        raise refuse(f"reasoning_effort is {request.reasoning_effort!r}, but Ollama knows {', '.join(EFFORTS)}")
    if request.tool_choice == "none":
        return replace(request, tools=(), tool_choice=None)
    return request


def prompt_characters(request: ChatRequest) -> int:
    """Characters of the text in the prompt, a run of the same or of white space counted as one."""
    return sum(len(_RUNS.sub(" ", message.text)) for message in request.messages)


def refuse_overflow(size: int, context_tokens: int | None, target: Target) -> None:
    """Raises `ContextOverflow` for a prompt of `size` characters that surely has more tokens than the context."""
    least = size // CHARACTERS_PER_TOKEN
    if context_tokens is not None and least > context_tokens:
        message = f"the prompt has {least} tokens at least, and context_tokens is {context_tokens}"
        raise ContextOverflow(f"{message}: Ollama's /v1 would cut it without a word", target=target)


async def uncut(events: AsyncIterator[StreamEvent], size: int, target: Target) -> AsyncGenerator[StreamEvent]:
    """`events`, but `ContextOverflow` in the place of an end whose count shows that the prompt was cut.

    Ollama cuts a prompt that is too long, and says so to nobody; the count of what it has read is all that tells.
    """
    async for event in events:
        refuse_cut(event, size, target)
        yield event


def refuse_cut(event: StreamEvent, size: int, target: Target) -> None:
    """Raises `ContextOverflow` for an end whose count shows that a prompt of `size` characters was cut."""
    if isinstance(event, Finished) and event.usage is not None and not event.usage.estimated:
        read, least = event.usage.input_tokens, size // CHARACTERS_PER_TOKEN
        if read < least:
            message = f"the server has read {read} tokens of a prompt of {least} at least, and cut the rest off"
            raise ContextOverflow(f"{message}: its context (OLLAMA_CONTEXT_LENGTH) is too short", target=target)
