"""Spans and metrics by the conventions, name by name; whose child they are; and nothing in them that was said."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from pointsman import (
    AsyncClient,
    CallRecord,
    Client,
    Finished,
    InvalidRequest,
    Plugins,
    PointsmanError,
    ReasoningDelta,
    Settings,
    TextDelta,
    ToolCallDelta,
    assistant,
    system,
    user,
)
from pointsman_telemetry import OtelSink, PrometheusSink, otel
from pointsman_testing import ScriptedProvider, virtual_run

# "ux-bench-observability", section 4, which has them from open-telemetry/semantic-conventions-genai.
STANDARD = {
    "error.type",
    "gen_ai.conversation.id",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.request.stream",
    "gen_ai.response.finish_reasons",
    "gen_ai.response.model",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.reasoning.output_tokens",
}
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
OF_ATTEMPT = {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"}
# Name: unit, buckets, attributes that each point has, and those that some have.
METRICS: Mapping[str, tuple[str, tuple[float, ...] | None, set[str], set[str]]] = {
    "gen_ai.client.operation.duration": ("s", SECONDS, OF_ATTEMPT, {"error.type"}),
    "gen_ai.client.operation.time_to_first_chunk": ("s", SECONDS, OF_ATTEMPT, set()),
    "gen_ai.client.token.usage": ("{token}", TOKENS, {*OF_ATTEMPT, "gen_ai.token.type"}, set()),
    "pointsman.time_per_output_token": ("s", PER_TOKEN, OF_ATTEMPT, set()),
    "pointsman.request.duration": ("s", SECONDS, {"gen_ai.operation.name", "pointsman.outcome"}, set()),
    "pointsman.cost": ("USD", None, OF_ATTEMPT, set()),
    "pointsman.unpriced_attempts": ("{attempt}", None, OF_ATTEMPT, set()),
}


class Telemetry:
    """OpenTelemetry's own SDK, in memory."""

    def __init__(self, *processors: SpanProcessor) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = (
            TracerProvider(shutdown_on_exit=False),
            MeterProvider([self.reader], shutdown_on_exit=False),
        )
        for one in (*processors, SimpleSpanProcessor(self.exporter)):
            self.tracers.add_span_processor(one)
        self.sink = OtelSink(tracer_provider=self.tracers, meter_provider=self.meters)
        self.tracer = self.tracers.get_tracer("application")

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """Those of ours, in the order in which things began."""
        ours = [one for one in self.exporter.get_finished_spans() if one.instrumentation_scope.name == "pointsman"]
        return sorted(
            ours, key=lambda one: (one.start_time or 0, one.parent is not None and one.parent in parents(ours))
        )

    def metrics(self) -> dict[str, Any]:
        data = self.reader.get_metrics_data()
        scopes = [one for resource in data.resource_metrics for one in resource.scope_metrics] if data else []
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    def points(self, name: str) -> dict[str, float]:
        """``{"value of an attribute/of the next": sum}``."""
        return {
            "/".join(str(value) for _, value in sorted(point.attributes.items())): getattr(point, "sum", None)
            if isinstance(point, HistogramDataPoint)
            else point.value
            for point in self.metrics()[name].data.data_points
        }


def parents(spans: Sequence[ReadableSpan]) -> list[Any]:
    return [one.get_span_context() for one in spans]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    one = Telemetry()
    yield one
    one.tracers.shutdown()
    one.meters.shutdown()


@dataclass
class Tree:
    """The span of a call, and those of its attempts."""

    call: ReadableSpan
    attempts: list[ReadableSpan]


def trees(telemetry: Telemetry) -> list[Tree]:
    by_parent: dict[Any, list[ReadableSpan]] = {}
    for one in telemetry.spans:
        by_parent.setdefault(one.parent.span_id if one.parent else None, []).append(one)
    return [Tree(one, by_parent.get(one.context.span_id, [])) for one in by_parent[None]]


def about(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_call_is_a_span_with_one_below_it_for_each_attempt(story: Any, telemetry: Telemetry) -> None:
    calls: list[CallRecord] = await story(telemetry.sink)
    told = trees(telemetry)
    assert [(tree.call.name, [one.name for one in tree.attempts]) for tree in told] == [
        ("chat m", ["chat m"]),
        ("chat m", ["chat m", "chat m"]),
        ("chat m", ["chat m"]),
        ("chat m", ["chat m"]),
        ("chat never-heard-of", ["chat never-heard-of"]),
        ("embeddings m", ["embeddings m"]),
    ]
    assert {one.kind for one in telemetry.spans} == {SpanKind.CLIENT}
    for call, tree in zip(calls, told, strict=True):
        assert seconds(tree.call) == pytest.approx((call.at, call.at + call.timings.e2e), abs=1e-5)
        for record, span in zip(call.attempts, tree.attempts, strict=True):
            began = call.at + record.started - call.started
            assert seconds(span) == pytest.approx((began, began + record.ended - record.started), abs=1e-5)


def seconds(span: ReadableSpan) -> tuple[float, float]:
    return (span.start_time or 0) / 1e9, (span.end_time or 0) / 1e9


async def test_an_answer_is_told_in_the_words_of_the_conventions(story: Any, telemetry: Telemetry) -> None:
    calls: list[CallRecord] = await story(telemetry.sink)
    tree = trees(telemetry)[0]
    shared = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "huggingface",
        "gen_ai.request.model": "m",
        "gen_ai.conversation.id": "t-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": pytest.approx(0.5),
        "pointsman.provider": "hf",
        "pointsman.outcome": "finished",
        "pointsman.cost.usd": pytest.approx(0.002506),
        "pointsman.cost.complete": True,
    }
    assert about(tree.call) == shared | {
        "pointsman.call.id": calls[0].call_id,
        "pointsman.policy": "pinned",
        "pointsman.attempts": 1,
        "pointsman.overhead": pytest.approx(0.0, abs=1e-9),
        "pointsman.task": "code",
        "pointsman.tag.thread": "t-1",
        "pointsman.tag.team": "blue",
    }
    assert about(tree.attempts[0]) == shared | {
        "gen_ai.request.stream": True,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 101,
        "gen_ai.usage.cache_read.input_tokens": 200,
        "gen_ai.usage.cache_creation.input_tokens": 100,
        "gen_ai.usage.reasoning.output_tokens": 40,
        "pointsman.attempt.number": 1,
        "pointsman.attempt.role": "first",
        "pointsman.attempt.probe": False,
        "pointsman.breaker": "closed",
    }


async def test_what_failed_says_its_kind_and_what_was_left_is_no_error(story: Any, telemetry: Telemetry) -> None:
    await story(telemetry.sink)
    said = [
        [(one.status.status_code, about(one).get("error.type")) for one in (tree.call, *tree.attempts)]
        for tree in trees(telemetry)
    ]
    ok = StatusCode.UNSET, None
    assert said == [
        [ok, ok],
        [ok, (StatusCode.ERROR, "Unavailable"), ok],
        [(StatusCode.ERROR, "Refused")] * 2,
        [ok, ok],
        [(StatusCode.ERROR, "InvalidRequest")] * 2,
        [ok, ok],
    ]
    assert [one.status.description for one in telemetry.spans] == [None] * len(telemetry.spans)
    assert all(not one.events for one in telemetry.spans)
    assert [about(one)["pointsman.attempt.role"] for one in trees(telemetry)[1].attempts] == ["first", "failover"]
    assert about(trees(telemetry)[3].call)["pointsman.outcome"] == "cancelled"
    assert about(trees(telemetry)[3].call)["pointsman.cost.complete"] is False


async def test_a_count_that_is_an_estimate_is_not_told_as_one(story: Any, telemetry: Telemetry) -> None:
    calls: list[CallRecord] = await story(telemetry.sink)
    for call, tree in zip(calls, trees(telemetry), strict=True):
        for record, span in zip(call.attempts, tree.attempts, strict=True):
            counted = record.usage is not None and not record.usage.estimated
            assert ("gen_ai.usage.input_tokens" in about(span)) == counted
        assert "gen_ai.usage.input_tokens" not in about(tree.call), "else sums over all spans would have it twice"


async def test_of_two_that_ran_both_have_a_span(hedged: Any, telemetry: Telemetry) -> None:
    await hedged(telemetry.sink)
    (tree,) = trees(telemetry)
    assert [(about(one)["pointsman.attempt.role"], about(one)["pointsman.outcome"]) for one in tree.attempts] == [
        ("first", "lost"),
        ("hedge", "finished"),
    ]
    assert {one.status.status_code for one in tree.attempts} == {StatusCode.UNSET}
    assert about(tree.call)["pointsman.provider"] == "lan"


async def test_attributes_are_of_the_conventions_or_begin_with_our_name(story: Any, telemetry: Telemetry) -> None:
    await story(telemetry.sink)
    used = {name for one in telemetry.spans for name in about(one) if not name.startswith("pointsman.")}
    assert used == STANDARD - {"gen_ai.response.model"}, "that one only where a target stands for several"


async def test_which_model_it_was_is_told_where_the_target_stands_for_several(
    client: Callable[..., AsyncClient], providers: Mapping[str, Any], telemetry: Telemetry
) -> None:
    providers["hf"].scripts.append(["Hello", Finished("stop", served="m-2026-11")])
    async with client(telemetry.sink) as one:
        await one.chat("hi", model="hf/m")
    (tree,) = trees(telemetry)
    assert about(tree.attempts[0])["gen_ai.response.model"] == "m-2026-11"
    assert about(tree.attempts[0])["gen_ai.request.model"] == "m"


# Metrics -------------------------------------------------------------------------------------------------------------


async def test_every_metric_has_its_name_unit_buckets_and_attributes(story: Any, telemetry: Telemetry) -> None:
    await story(telemetry.sink)
    metrics = telemetry.metrics()
    assert metrics.keys() == METRICS.keys()
    for name, (unit, buckets, always, sometimes) in METRICS.items():
        points = metrics[name].data.data_points
        assert metrics[name].unit == unit
        assert metrics[name].description
        assert all(always <= point.attributes.keys() <= always | sometimes for point in points)
        if buckets is not None:
            assert {tuple(point.explicit_bounds) for point in points} == {buckets}


async def test_metrics_say_what_happened(story: Any, telemetry: Telemetry) -> None:
    calls: list[CallRecord] = await story(telemetry.sink)
    assert telemetry.points("gen_ai.client.operation.duration") == pytest.approx(
        {
            "chat/huggingface/m": 1.5,
            "Unavailable/chat/huggingface/m": 2.0,
            "chat/lan/m": 1.5 + 0.5,
            "Refused/chat/huggingface/m": 0.25,
            "InvalidRequest/chat/lan/other": 0,
            "embeddings/huggingface/m": 0,
        }
    )
    assert telemetry.points("gen_ai.client.token.usage") == {
        "chat/huggingface/m/input": 1000,
        "chat/huggingface/m/output": 101,
        "chat/lan/m/input": 1000,
        "chat/lan/m/output": 101,
        "embeddings/huggingface/m/input": 7,
    }
    assert telemetry.points("pointsman.request.duration") == pytest.approx(
        {"chat/finished": 5.0, "chat/failed": 0.25, "chat/cancelled": 0.5, "embeddings/finished": 0}
    )
    known = sum(float(call.cost.known) for call in calls)
    assert sum(telemetry.points("pointsman.cost").values()) == pytest.approx(known)
    assert telemetry.points("pointsman.unpriced_attempts")["chat/lan/m"] == 2


# Whose child it is ---------------------------------------------------------------------------------------------------


async def test_the_parent_is_the_span_in_which_the_call_was_made(
    client: Callable[..., AsyncClient], telemetry: Telemetry
) -> None:
    async with client(telemetry.sink) as one:
        with telemetry.tracer.start_as_current_span("application") as mine:
            await one.chat("hi", model="hf/m")
            reply = one.stream("hi", model="hf/m")
            await reply.__aenter__()
        await reply.__aexit__(None, None, None)  # That span is over, but the call began in it.
        await one.embed("hi", model="hf/m")
    first, _, second, _, alone, _ = telemetry.spans
    assert first.parent == second.parent == mine.get_span_context()
    assert alone.parent is None
    assert first.context.trace_id == mine.get_span_context().trace_id


def test_a_synchronous_call_has_its_callers_span_for_a_parent(telemetry: Telemetry) -> None:
    plugins = Plugins.of(providers={"a": ScriptedProvider("a", default="hello")}, sinks={"otel": telemetry.sink})
    with telemetry.tracer.start_as_current_span("opening"), Client(plugins=plugins) as one:
        with telemetry.tracer.start_as_current_span("first") as first:
            one.chat("hi", model="a/scripted-1")
        with telemetry.tracer.start_as_current_span("second") as second:
            with one.stream("hi", model="a/scripted-1") as reply:
                list(reply.text_stream)
    calls = [one for one in telemetry.spans if "pointsman.call.id" in about(one)]
    assert [one.parent for one in calls] == [first.get_span_context(), second.get_span_context()]


# What can be wrong ---------------------------------------------------------------------------------------------------


class Broken(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise OSError("the collector is away")


async def test_a_backend_that_raises_is_said_once_and_never_felt(
    client: Callable[..., AsyncClient], caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = Telemetry(Broken())
    async with client(telemetry.sink) as one:
        for _ in range(3):
            assert (await one.chat("hi", model="hf/m")).text == "Hello there"
        (said,) = caplog.records
        assert said.exc_info is not None
        assert isinstance(said.exc_info[1], OSError)


def test_without_the_api_there_is_no_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(otel.pointsman_sinks()) == 1
    monkeypatch.delitem(sys.modules, "opentelemetry.metrics")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # As Python says that there is none.
    assert otel.pointsman_sinks() == []


def test_without_a_provider_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is anything imported: where nobody has, nobody listens."""
    for name in [one for one in sys.modules if one.startswith("opentelemetry.")]:
        monkeypatch.delitem(sys.modules, name)
    sink = OtelSink()
    plugins = Plugins.of(providers={"a": ScriptedProvider("a", default="hello")}, sinks={"otel": sink})
    with Client(plugins=plugins) as one:
        one.chat("hi", model="a/scripted-1")
    assert [name for name in sys.modules if name.startswith("opentelemetry.")] == []


# What was said -------------------------------------------------------------------------------------------------------

words = st.text(min_size=1, max_size=20).map(lambda text: f"canary{text}canary")
KEY = "canary-key-0123456789"


@given(words, words, words, st.sampled_from([None, InvalidRequest, RuntimeError]), st.sampled_from(["asyncio", "trio"]))
def test_no_text_and_no_key_is_in_spans_or_metrics(
    asked: str, answered: str, quoted: str, error: type[Exception] | None, backend: Any
) -> None:
    """Also where a vendor's error quotes them."""
    said = [
        TextDelta(answered),
        ReasoningDelta(answered),
        ToolCallDelta(0, answered, answered, answered),
        error(f"{quoted} {KEY}") if error else Finished("stop"),
    ]
    telemetry = Telemetry()
    seen = prometheus_registry()
    provider = ScriptedProvider("a", said)
    plugins = Plugins.of(
        providers={"a": provider}, sinks={"otel": telemetry.sink, "prometheus": PrometheusSink(registry=seen)}
    )
    settings = Settings.of({"providers": {"a": {"api_key": KEY}}, "engine": {"retries": 0}})

    async def main() -> None:
        async with AsyncClient(settings=settings, plugins=plugins) as one:
            try:
                await one.chat([system(asked), user(asked), assistant(asked), user(asked)], model="a/scripted-1")
            except PointsmanError:
                assert error

    virtual_run(main, backend=backend)
    metrics = telemetry.reader.get_metrics_data()
    assert len(telemetry.spans) == 2
    shown = "".join(one.to_json() for one in telemetry.spans) + (metrics.to_json() if metrics else "") + exposed(seen)
    assert "canary" not in shown
    assert asked.encode("ascii", "backslashreplace").decode() not in shown


def prometheus_registry() -> Any:
    from prometheus_client import CollectorRegistry

    return CollectorRegistry()


def exposed(registry: Any) -> str:
    from prometheus_client import generate_latest

    return generate_latest(registry).decode()
