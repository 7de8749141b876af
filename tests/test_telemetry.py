"""Both sinks of pointsman-telemetry behind a client, over real sockets: metrics and traces say what vendors did."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import prometheus_client
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

import pointsman_hf
import pointsman_sambanova
from pointsman import AsyncClient, Plugins, PointsmanError, Settings
from pointsman_openai import compatible
from pointsman_telemetry import OtelSink, PrometheusSink
from pointsman_testing import Answer, Fault, HuggingFaceApi, Lab, SambaNovaApi

FAST, PRICED, OWN = "sambanova/gpt-oss-120b", "hf/openai/gpt-oss-120b", "lan/local"


async def test_what_vendors_did_is_what_metrics_and_spans_say() -> None:
    """A failover before the first word, one in mid-answer, a hedge, a reader who leaves, a refusal, no price."""
    registry, exporter = prometheus_client.CollectorRegistry(), InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    plugins = Plugins.of(
        providers={"sambanova": pointsman_sambanova, "hf": pointsman_hf, "openai-compatible": compatible},
        sinks={"prometheus": PrometheusSink(registry=registry), "otel": OtelSink(tracer_provider=tracers)},
    )
    async with Lab() as lab:
        fast = lab.vendor("sambanova", dialect=SambaNovaApi(), models=("gpt-oss-120b",))
        priced = lab.vendor("hf", dialect=HuggingFaceApi(), models=("openai/gpt-oss-120b",))
        own = lab.vendor("lan", models=("local",))
        table = {
            "engine": {"retries": 0, "hedge": 1.0},
            "providers": {
                "sambanova": {"base_url": fast.base_url, "api_key": "a-key-of-the-lab"},
                "hf": {"base_url": priced.base_url, "api_key": "hf_akeyofthelab"},
                "lan": {"plugin": "openai-compatible", "base_url": own.base_url},
            },
        }
        async with AsyncClient(settings=Settings.of(table), plugins=plugins) as client:
            fast.script(Fault(503))
            await client.chat("Hi", model=[FAST, PRICED])
            fast.script(Answer("One two three four five.").cut(after=3, how="reset"))
            await client.chat("Hi", model=[FAST, OWN])
            for _ in range(25):  # So many that it is known when an answer is late.
                await client.chat("Hi", model=FAST)
            fast.script(Answer("Late.", wait=600))
            await client.chat("Hi", model=[FAST, OWN])
            async with client.stream("Hi", model=OWN) as reply:
                async for _ in reply.text_stream:
                    break
            priced.script(Fault(400, {"error": {"message": "no", "code": "content_filter"}}))
            with suppress(PointsmanError):
                await client.chat("Hi", model=[PRICED, OWN])
    text = prometheus_client.generate_latest(registry).decode()
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    calls, spans = 2 + 25 + 3, exporter.get_finished_spans()

    def total(name: str, **labels: str) -> float:
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())

    assert total("pointsman_requests_total") == calls == len(below(spans, None))
    assert total("pointsman_requests_total", provider="lan", status="finished") == 2
    assert total("pointsman_requests_total", status="cancelled") == 1
    assert total("pointsman_requests_total", status="failed") == 1
    assert total("pointsman_fallbacks_total", **{"from": FAST, "to": PRICED, "reason": "Unavailable"}) == 1
    assert total("pointsman_fallbacks_total", **{"from": FAST, "to": OWN, "reason": "StreamBroken"}) == 1
    assert total("pointsman_attempts_total", role="hedge", outcome="finished") == 1
    assert total("pointsman_attempts_total", provider="sambanova", outcome="lost") == 1
    assert total("pointsman_attempts_total") == len(spans) - calls
    assert total("pointsman_cost_usd_total", provider="sambanova") > 0
    assert total("pointsman_cost_usd_total", provider="lan") == 0
    assert total("pointsman_unpriced_attempts_total", provider="lan") == 3
    assert total("pointsman_in_flight") == 0
    for call in below(spans, None):
        attempts = below(spans, call)
        assert len(attempts) == (call.attributes or {})["pointsman.attempts"]
        costs = [one.attributes["pointsman.cost.usd"] for one in attempts]
        assert sum(costs) == pytest.approx((call.attributes or {})["pointsman.cost.usd"])
        assert all(call.start_time <= one.start_time <= one.end_time <= call.end_time + 100e6 for one in attempts)
    assert {one.attributes["gen_ai.provider.name"] for one in spans if one.attributes} == {
        "sambanova", "huggingface", "lan"
    }  # fmt: skip


def below(spans: Any, parent: ReadableSpan | None) -> list[Any]:
    return [one for one in spans if (one.parent and one.parent.span_id) == (parent and parent.context.span_id)]
