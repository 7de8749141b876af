"""Counts of tokens, as vendors send them: integers, floats, strings, nulls, nested or not."""

from __future__ import annotations

from typing import Any

from pointsman import Usage

from .shapes import fields, number

_MOST = 10**12
"""More tokens than any request has."""


def read_usage(value: Any) -> Usage | None:
    """The usage in a ``usage`` object; None if it counts absurdly or, as some servers do until the end, nothing.

    Parts are kept inside their wholes. Where the total shows that reasoning was counted beside the output (xAI), it is
    added to it.
    """
    usage = fields(value)
    asked = _count(usage, "prompt_tokens", "input_tokens")
    answered = _count(usage, "completion_tokens", "output_tokens")
    if not 0 < asked + answered < _MOST:
        return None
    cached = _part(usage, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens")
    cached = cached or _count(usage, "prompt_cache_hit_tokens")  # DeepSeek
    reasoning = _part(usage, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    if reasoning and _count(usage, "total_tokens") == asked + answered + reasoning:
        answered += reasoning
    return Usage(
        input_tokens=asked,
        cached_input_tokens=min(cached, asked),
        output_tokens=answered,
        reasoning_tokens=min(reasoning, answered),
    )


def _part(usage: dict[str, Any], wholes: tuple[str, ...], name: str) -> int:
    for whole in wholes:
        if details := fields(usage.get(whole)):
            return _count(details, name)
    return 0


def _count(counts: dict[str, Any], *names: str) -> int:
    found = (number(counts.get(name)) for name in names)
    return max(0, int(next((count for count in found if count is not None), 0)))
