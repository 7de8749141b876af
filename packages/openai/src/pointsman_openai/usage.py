"""Counts of tokens and of seconds, as vendors send them: integers, floats, strings, nulls, nested or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pointsman import ServerTimings, Usage

from .shapes import fields, number

_MOST = 10**12
"""More tokens than any request has."""
_LONGEST = 86_400.0
"""Seconds. What would have taken longer is counted in another unit."""
_ASKED = ("prompt_tokens", "input_tokens")
_ANSWERED = ("completion_tokens", "output_tokens")
_ANTHROPIC = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""Anthropic counts these beside the input, and sends no total. LiteLLM keeps the names, and counts them inside it."""


def read_usage(value: Any) -> Usage | None:
    """The usage in a ``usage`` object; None if it counts absurdly or, as some servers do until the end, nothing.

    In some dialects the cached tokens are counted beside the input, or the reasoning beside the output, under the same
    names as inside it. The total tells: what is missing in input + output was counted beside. See docs/usage.md.
    """
    usage = fields(value)
    asked, answered, total = _whole(usage, *_ASKED), _whole(usage, *_ANSWERED), _whole(usage, "total_tokens")
    if answered is None and total is not None and not any(name in usage for name in _ANSWERED):
        answered = 0  # The total has it.
    if asked is None or answered is None or not 0 < asked + answered < _MOST:
        return None
    read, written, reasoned = _parts(usage)
    cache, missing = read + written, 0 if total is None else total - asked - answered
    beside = cache > 0 and cache == missing
    unsure = False
    if missing > 0 and missing in (reasoned, cache + reasoned):  # xAI
        answered, beside = answered + reasoned, missing > reasoned
    elif missing > 0 and not beside:
        unsure = reasoned > 0
        if not unsure:  # Gemini, which names no thoughts here.
            answered, reasoned = answered + missing, missing
    elif cache and (total is None or cache > asked) and any(name in usage for name in _ANTHROPIC):
        beside = cache > asked or "prompt_tokens" not in usage
        unsure = not beside
    told = Usage.read(
        input_tokens=asked + cache * beside,
        cached_input_tokens=read,
        cache_write_tokens=written,
        output_tokens=answered,
        reasoning_tokens=reasoned,
    )
    return replace(told, estimated=True) if told and unsure else told


def read_input(value: Any) -> Usage | None:
    """The usage in the ``usage`` object of embeddings, which have no output."""
    return Usage.read(input_tokens=_whole(fields(value), *_ASKED), output_tokens=0)


def told_usage(chunk: dict[str, Any]) -> dict[str, Any]:
    """What a chunk counts: in ``usage``, where Groq does if nobody has asked for it, and in llama.cpp's ``timings``.

    Those name the cached tokens apart from the rest of the input, and are sent without ``usage``, too. Without the
    cached ones they count less than the input.
    """
    usage, llama = fields(chunk.get("usage")), fields(chunk.get("timings"))
    if not llama and "x_groq" not in chunk:
        return usage
    cached, fresh, said = (_whole(llama, name) for name in ("cache_n", "prompt_n", "predicted_n"))
    counted: dict[str, Any] = {}
    if cached is not None and fresh is not None and said is not None:
        counted = {"prompt_tokens": cached + fresh, "completion_tokens": said, "cached_tokens": cached}
    return counted | _groq(chunk) | usage


def read_timings(chunk: dict[str, Any]) -> ServerTimings | None:
    """How long things took by the server's own clock, if `chunk` says so.

    SambaNova and Groq tell seconds with the counts of tokens, Groq also under ``x_groq``; llama.cpp tells milliseconds
    in ``timings``. What SambaNova took after the first token is put down as output.
    """
    usage = _groq(chunk) | fields(chunk.get("usage"))
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


def _groq(chunk: dict[str, Any]) -> dict[str, Any]:
    return fields(fields(chunk.get("x_groq")).get("usage"))


def _seconds(told: dict[str, Any], name: str, per_second: float = 1) -> float | None:
    found = number(told.get(name))
    return found / per_second if found is not None and 0 <= found / per_second <= _LONGEST else None


def _known(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _parts(usage: dict[str, Any]) -> tuple[int, int, int]:
    """Tokens read from the cache, written to it, and spent on reasoning, by whatever name they go."""
    asked = fields(usage.get("prompt_tokens_details")) or fields(usage.get("input_tokens_details"))
    answered = fields(usage.get("completion_tokens_details")) or fields(usage.get("output_tokens_details"))
    read = (
        asked.get("cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),  # DeepSeek
        usage.get("cached_tokens"),  # Moonshot, Together
        usage.get("num_cached_tokens"),  # Mistral
        usage.get("cache_read_input_tokens"),  # Anthropic
    )
    written = (
        asked.get("cache_write_tokens"),  # OpenAI, OpenRouter
        asked.get("cache_creation_input_tokens"),  # DashScope
        asked.get("cache_creation_tokens"),  # LiteLLM
        usage.get("cache_creation_input_tokens"),  # Anthropic
    )
    reasoned = (answered.get("reasoning_tokens"), usage.get("reasoning_tokens"))  # SGLang, Perplexity
    return _first(read), _first(written), _first(reasoned)


def _whole(counts: dict[str, Any], *names: str) -> int | None:
    """None if it is not there, or is no count: the other half alone would be priced as if it were all."""
    found = [int(count) for name in names if (count := number(counts.get(name))) is not None]
    return found[0] if found and found[0] >= 0 else None


def _first(values: tuple[Any, ...]) -> int:
    """The first that counts anything: what a dialect does not know is 0 in it, or null."""
    counts = (int(count) for value in values if (count := number(value)) is not None)
    return next((count for count in counts if 0 < count < _MOST), 0)
