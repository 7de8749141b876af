"""Counts of tokens and of seconds, as vendors send them: integers, floats, strings, nulls, nested or not."""

from __future__ import annotations

from typing import Any

from pointsman import ServerTimings, Usage

from .shapes import fields, number

_MOST = 10**12
"""More tokens than any request has."""
_LONGEST = 86_400.0
"""Seconds. What would have taken longer is counted in another unit."""


def read_usage(value: Any) -> Usage | None:
    """The usage in a ``usage`` object; None if it counts absurdly or, as some servers do until the end, nothing.

    Parts are kept inside their wholes. Where the total shows that reasoning was counted beside the output (xAI), it is
    added to it.
    """
    usage = fields(value)
    asked = _whole(usage, "prompt_tokens", "input_tokens")
    answered = _whole(usage, "completion_tokens", "output_tokens")
    if asked is None or answered is None or not 0 < asked + answered < _MOST:
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


def read_timings(chunk: dict[str, Any]) -> ServerTimings | None:
    """How long things took by the server's own clock, if `chunk` says so.

    SambaNova and Groq tell seconds with the counts of tokens, Groq also under ``x_groq``; llama.cpp tells milliseconds
    in ``timings``. What SambaNova took after the first token is put down as output.
    """
    usage = groq_usage(chunk) | fields(chunk.get("usage"))
    llama = fields(chunk.get("timings"))
    total, first = _seconds(usage, "total_latency"), _seconds(usage, "time_to_first_token")
    output = total - first if total is not None and first is not None and total >= first else None
    queue, prompt = _seconds(usage, "queue_time"), _seconds(usage, "prompt_time")
    if first is None and queue is not None and prompt is not None:
        first = queue + prompt
    timings = ServerTimings(
        prompt=_known(prompt, _seconds(llama, "prompt_ms", 1000)),
        output=_known(output, _seconds(usage, "completion_time"), _seconds(llama, "predicted_ms", 1000)),
        total=_known(total, _seconds(usage, "total_time")),
        first_token=first,
    )
    return None if timings == ServerTimings() else timings


def groq_usage(chunk: dict[str, Any]) -> dict[str, Any]:
    """The usage where Groq puts it if nobody has asked for one."""
    return fields(fields(chunk.get("x_groq")).get("usage"))


def _seconds(told: dict[str, Any], name: str, per_second: float = 1) -> float | None:
    found = number(told.get(name))
    return found / per_second if found is not None and 0 <= found / per_second <= _LONGEST else None


def _known(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _whole(counts: dict[str, Any], *names: str) -> int | None:
    """None if it is there and is no count: the other half alone would be priced as if it were all."""
    told = [counts[name] for name in names if name in counts]
    found = [int(count) for one in told if (count := number(one)) is not None]
    return (found[0] if found and found[0] >= 0 else None) if told else 0


def _part(usage: dict[str, Any], wholes: tuple[str, ...], name: str) -> int:
    for whole in wholes:
        if details := fields(usage.get(whole)):
            return _count(details, name)
    return 0


def _count(counts: dict[str, Any], *names: str) -> int:
    found = (number(counts.get(name)) for name in names)
    return max(0, int(next((count for count in found if count is not None), 0)))
