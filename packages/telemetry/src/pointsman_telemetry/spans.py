"""Spans of a call and of its attempts, made once it has ended, with the times at which things happened.

Names are those of OpenTelemetry's conventions for generative AI, copied as strings: they are under development, and
the Python package of constants marks them as deprecated since they moved to a repository of their own
(open-telemetry/semantic-conventions-genai, read in 2026-11). What begins with ``pointsman.`` is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from pointsman import AttemptRecord, CallRecord, Cost, Target

from .figures import error_type, first_token

Value: TypeAlias = str | bool | int | float | Sequence[str]

PROVIDERS = {"hf": "huggingface"}
"""Our name of a provider, and the conventions' where that is another."""
THREAD = "thread"
"""The tag that names a conversation."""


def provider_name(target: Target) -> str:
    """What `target`'s provider is called in ``gen_ai.provider.name``."""
    return PROVIDERS.get(target.provider, target.provider)


class Spans:
    """Makes spans with `tracer`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def trace(self, call: CallRecord, parent: Context | None) -> list[Context]:
        """One span for the call, under `parent`, and below it one for each attempt. Their contexts: the call's first.

        `parent` of None is what is current.
        """
        whole = self._start(call, call.started, _name(call), _of_call(call), parent)
        inside = set_span_in_context(whole, parent)
        contexts = [inside]
        for one in call.attempts:
            name = f"{call.operation} {one.target.model}"
            span = self._start(call, one.started, name, _of_attempt(call, one), inside)
            _end(span, one.outcome, _at(call, one.ended))
            contexts.append(set_span_in_context(span, inside))
        _end(whole, call.outcome, _at(call, call.started + call.timings.e2e))
        return contexts

    def _start(
        self, call: CallRecord, moment: float, name: str, about: Iterator[tuple[str, Value]], parent: Context | None
    ) -> Span:
        return self._tracer.start_span(
            name, parent, SpanKind.CLIENT, attributes=dict(about), start_time=_at(call, moment)
        )


def _end(span: Span, outcome: str, moment: int) -> None:
    """Without a description: an error's message may quote what was asked."""
    if outcome == "failed":
        span.set_status(Status(StatusCode.ERROR))
    span.end(moment)


def _at(call: CallRecord, moment: float) -> int:
    """A moment on the client's clock, in nanoseconds since 1970."""
    return int((call.at + (moment - call.started)) * 1_000_000_000)


def _asked(call: CallRecord) -> Target | None:
    """Who answered, else who was asked first, else who was to be."""
    if call.target is not None:
        return call.target
    return next(iter([*(one.target for one in call.attempts), *call.decision.order]), None)


def _name(call: CallRecord) -> str:
    target = _asked(call)
    return call.operation if target is None else f"{call.operation} {target.model}"


def _of_call(call: CallRecord) -> Iterator[tuple[str, Value]]:
    target = _asked(call)
    if target is not None:
        yield from _of_target(call, target)
    if call.finish_reason:
        yield "gen_ai.response.finish_reasons", (call.finish_reason,)
    if call.timings.ttft is not None:
        yield "gen_ai.response.time_to_first_chunk", call.timings.ttft
    if (kind := error_type(call)) is not None:
        yield "error.type", kind
    yield "pointsman.call.id", call.call_id
    yield "pointsman.outcome", call.outcome
    yield "pointsman.policy", call.decision.policy
    yield "pointsman.attempts", len(call.attempts)
    yield "pointsman.overhead", call.overhead
    if call.task is not None:
        yield "pointsman.task", call.task
    for name, value in call.tags.items():
        yield f"pointsman.tag.{name}", value
    yield from _of_cost(call.cost)


def _of_attempt(call: CallRecord, one: AttemptRecord) -> Iterator[tuple[str, Value]]:
    yield from _of_target(call, one.target)
    if call.operation == "chat":
        yield "gen_ai.request.stream", True
    if one.served is not None:
        yield "gen_ai.response.model", one.served
    if one.outcome == "finished" and call.finish_reason:
        yield "gen_ai.response.finish_reasons", (call.finish_reason,)
    if (seconds := first_token(one)) is not None:
        yield "gen_ai.response.time_to_first_chunk", seconds
    if one.usage is not None and not one.usage.estimated:
        yield "gen_ai.usage.input_tokens", one.usage.input_tokens
        yield "gen_ai.usage.output_tokens", one.usage.output_tokens
        yield "gen_ai.usage.cache_read.input_tokens", one.usage.cached_input_tokens
        yield "gen_ai.usage.cache_creation.input_tokens", one.usage.cache_write_tokens
        yield "gen_ai.usage.reasoning.output_tokens", one.usage.reasoning_tokens
    if one.outcome == "failed":
        yield "error.type", one.error_type or "_OTHER"
    yield "pointsman.attempt.number", one.attempt
    yield "pointsman.attempt.role", one.role
    yield "pointsman.attempt.probe", one.probe
    yield "pointsman.outcome", one.outcome
    if one.breaker is not None:
        yield "pointsman.breaker", one.breaker
    yield from _of_cost(one.cost)


def _of_target(call: CallRecord, target: Target) -> Iterator[tuple[str, Value]]:
    yield "gen_ai.operation.name", call.operation
    yield "gen_ai.provider.name", provider_name(target)
    yield "gen_ai.request.model", target.model
    if THREAD in call.tags:
        yield "gen_ai.conversation.id", call.tags[THREAD]
    yield "pointsman.provider", target.provider


def _of_cost(cost: Cost) -> Iterator[tuple[str, Value]]:
    yield "pointsman.cost.usd", float(cost.known)
    yield "pointsman.cost.complete", cost.complete
