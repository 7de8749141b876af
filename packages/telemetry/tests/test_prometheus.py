"""What a scrape shows, name by name and figure by figure, and that it stays small and true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from pointsman import (
    AsyncClient,
    AttemptRecord,
    CallRecord,
    Client,
    ConfigError,
    Cost,
    Decision,
    Plugins,
    Target,
    Timings,
    Usage,
)
from pointsman.telemetry import Outcome, Role
from pointsman_telemetry import PrometheusSink
from pointsman_telemetry.bounded import ERRORS
from pointsman_testing import ScriptedProvider

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
OVERHEAD = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120)
# Names of base units, labels without keys, users and requests, buckets to 120 s at least: "ux-bench-observability",
# section 4. What is not in its list of names is ours.
EXPOSED: Mapping[str, tuple[str, str, tuple[float, ...]]] = {
    "pointsman_requests": ("counter", "operation provider model status", ()),
    "pointsman_request_duration_seconds": ("histogram", "operation status", SECONDS),
    "pointsman_request_time_to_first_token_seconds": ("histogram", "operation status", SECONDS),
    "pointsman_overhead_seconds": ("histogram", "operation", OVERHEAD),
    "pointsman_in_flight": ("gauge", "", ()),
    "pointsman_unpriced_requests": ("counter", "operation", ()),
    "pointsman_attempts": ("counter", "provider model role outcome error", ()),
    "pointsman_attempt_duration_seconds": ("histogram", "provider model outcome", SECONDS),
    "pointsman_time_to_first_token_seconds": ("histogram", "provider model", SECONDS),
    "pointsman_time_per_output_token_seconds": ("histogram", "provider model", PER_TOKEN),
    "pointsman_tokens": ("counter", "provider model type counted", ()),
    "pointsman_token_details": ("counter", "provider model type counted", ()),
    "pointsman_cost_usd": ("counter", "provider model", ()),
    "pointsman_unpriced_attempts": ("counter", "provider model", ()),
    "pointsman_fallbacks": ("counter", "from to reason", ()),
    "pointsman_breaker_state": ("gauge", "provider model", ()),
}


class Scrape:
    """What a server of metrics would show now."""

    def __init__(self, registry: Any) -> None:
        self.text = prometheus_client.generate_latest(registry).decode()
        families = list(text_string_to_metric_families(self.text))
        self.families = {one.name: one for one in families if not one.name.endswith("_created")}
        self.samples = [sample for one in self.families.values() for sample in one.samples]

    def __getitem__(self, name: str) -> dict[str, float]:
        """The samples of this name: ``{"value of a label/of the next": value}``, in the order of `EXPOSED`."""
        (order,) = [
            labels.split() for family, (_, labels, _) in EXPOSED.items() if re.fullmatch(f"{family}(_[a-z]+)?", name)
        ]
        return {"/".join(one.labels[label] for label in order): one.value for one in self.samples if one.name == name}


async def test_every_metric_has_its_name_type_labels_and_buckets(story: Any, hedged: Any) -> None:
    registry = prometheus_client.CollectorRegistry()
    await story(PrometheusSink(registry=registry))
    scrape = Scrape(registry)
    shown: dict[str, tuple[str, str, tuple[float, ...]]] = {}
    for name, family in scrape.families.items():
        labels = {tuple(label for label in one.labels if label != "le") for one in family.samples}
        buckets = {float(one.labels["le"]) for one in family.samples if "le" in one.labels}
        assert len(labels) == 1, name
        assert float("inf") in buckets or family.type != "histogram"
        by_label = sorted(labels.pop(), key=EXPOSED[name][1].split().index)
        shown[name] = family.type, " ".join(by_label), tuple(sorted(buckets - {float("inf")}))
    assert shown == EXPOSED
    assert all(one.documentation for one in scrape.families.values())


async def test_calls_are_counted_as_they_were(story: Any) -> None:
    registry = prometheus_client.CollectorRegistry()
    await story(PrometheusSink(registry=registry))
    scrape = Scrape(registry)
    assert scrape["pointsman_requests_total"] == {
        "chat/hf/m/finished": 1,
        "chat/lan/m/finished": 1,
        "chat/none/none/failed": 2,
        "chat/none/none/cancelled": 1,
        "embeddings/hf/m/finished": 1,
    }
    assert scrape["pointsman_request_duration_seconds_sum"] == pytest.approx(
        {
            "chat/finished": 1.5 + (2.0 + 1.5),
            "chat/failed": 0.25,
            "chat/cancelled": 0.5,
            "embeddings/finished": 0,
        }
    )
    assert scrape["pointsman_request_time_to_first_token_seconds_sum"] == pytest.approx(
        {
            "chat/finished": 0.5 + 2.5,
            "chat/cancelled": 0.5,
        }
    )
    assert scrape["pointsman_overhead_seconds_count"] == {"chat": 5, "embeddings": 1}
    assert scrape["pointsman_in_flight"] == {"": 0}
    assert scrape["pointsman_unpriced_requests_total"] == {"chat": 3}, (
        "all but what hf/m alone has answered, or never began"
    )


async def test_attempts_are_counted_as_they_were(story: Any) -> None:
    registry = prometheus_client.CollectorRegistry()
    calls = await story(PrometheusSink(registry=registry))
    scrape = Scrape(registry)
    assert scrape["pointsman_attempts_total"] == {
        "hf/m/first/finished/": 2,
        "hf/m/first/failed/Unavailable": 1,
        "hf/m/first/failed/Refused": 1,
        "lan/m/failover/finished/": 1,
        "lan/m/first/cancelled/": 1,
        "lan/other/first/failed/InvalidRequest": 1,
    }
    assert scrape["pointsman_attempt_duration_seconds_sum"] == pytest.approx(
        {
            "hf/m/finished": 1.5,
            "hf/m/failed": 2.25,
            "lan/m/finished": 1.5,
            "lan/m/cancelled": 0.5,
            "lan/other/failed": 0,
        }
    )
    assert scrape["pointsman_time_to_first_token_seconds_count"] == {"hf/m": 1, "lan/m": 2}
    assert scrape["pointsman_time_to_first_token_seconds_sum"] == pytest.approx({"hf/m": 0.5, "lan/m": 1.0})
    assert scrape["pointsman_time_per_output_token_seconds_sum"] == pytest.approx({"hf/m": 0.01, "lan/m": 0.01})
    assert scrape["pointsman_fallbacks_total"] == {"hf/m/lan/m/Unavailable": 1}
    assert scrape["pointsman_breaker_state"] == {"hf/m": 0, "lan/m": 0}
    known = sum(float(call.cost.known) for call in calls)
    assert sum(scrape["pointsman_cost_usd_total"].values()) == pytest.approx(known)
    assert scrape["pointsman_cost_usd_total"]["lan/m"] == 0
    assert scrape["pointsman_unpriced_attempts_total"]["lan/m"] == 2


async def test_tokens_that_a_vendor_counted_are_apart_from_estimates(story: Any) -> None:
    registry = prometheus_client.CollectorRegistry()
    calls = await story(PrometheusSink(registry=registry))
    scrape = Scrape(registry)
    vendor = {name: value for name, value in scrape["pointsman_tokens_total"].items() if name.endswith("/vendor")}
    assert vendor == {
        "hf/m/input/vendor": 1007,
        "hf/m/output/vendor": 101,
        "lan/m/input/vendor": 1000,
        "lan/m/output/vendor": 101,
    }
    assert scrape["pointsman_token_details_total"] == {
        f"{target}/{kind}/vendor": count
        for target in ("hf/m", "lan/m")
        for kind, count in (("cached_input", 200), ("cache_write", 100), ("reasoning", 40))
    }
    guessed = [one.usage for call in calls for one in call.attempts if one.usage and one.usage.estimated]
    estimates = {name: value for name, value in scrape["pointsman_tokens_total"].items() if name.endswith("/estimate")}
    assert sum(estimates.values()) == sum(one.input_tokens + one.output_tokens for one in guessed)


async def test_of_two_that_ran_the_one_that_lost_is_counted(hedged: Any) -> None:
    registry = prometheus_client.CollectorRegistry()
    (call,) = await hedged(PrometheusSink(registry=registry))
    assert [one.role for one in call.attempts] == ["first", "hedge"]
    scrape = Scrape(registry)
    assert scrape["pointsman_attempts_total"] == {"hf/m/first/lost/": 1, "lan/m/hedge/finished/": 1}
    assert scrape["pointsman_requests_total"] == {"chat/lan/m/finished": 1}
    assert scrape["pointsman_fallbacks_total"] == {}, "nobody had failed"
    assert scrape["pointsman_unpriced_attempts_total"] == {"hf/m": 1, "lan/m": 1}


async def test_calls_under_way_are_in_flight(client: Callable[..., AsyncClient]) -> None:
    registry = prometheus_client.CollectorRegistry()
    first, second = PrometheusSink(registry=registry), PrometheusSink(registry=registry)
    async with client(first) as one, client(second) as other:
        async with one.stream("hi", model="hf/m"), other.stream("hi", model="hf/m"):
            assert Scrape(registry)["pointsman_in_flight"] == {"": 2}, "two sinks of one registry share its metrics"
        assert Scrape(registry)["pointsman_in_flight"] == {"": 0}
    assert Scrape(registry)["pointsman_requests_total"] == {"chat/none/none/cancelled": 2}


def test_clients_in_many_threads_share_a_sink() -> None:
    registry = prometheus_client.CollectorRegistry()
    plugins = Plugins.of(
        providers={"a": ScriptedProvider("a", default="hello")}, sinks={"p": PrometheusSink(registry=registry)}
    )

    def ask() -> None:
        with Client(plugins=plugins) as one:
            for _ in range(20):
                one.chat("hi", model="a/scripted-1")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(ask) for _ in range(4)]:
            done.result()
    scrape = Scrape(registry)
    assert scrape["pointsman_requests_total"] == {"chat/a/scripted-1/finished": 80}
    assert scrape["pointsman_in_flight"] == {"": 0}


# Whatever the records ------------------------------------------------------------------------------------------------

TARGETS = [Target(provider, model) for provider in ("a", "b") for model in ("m", "n", "x/y")]
OUTCOMES: tuple[Outcome, ...] = ("finished", "failed", "cancelled", "lost")
ROLES: tuple[Role, ...] = ("first", "failover", "retry", "hedge", "resume")
usages = st.builds(Usage, input_tokens=st.integers(0, 9999), output_tokens=st.integers(0, 999), estimated=st.booleans())
costs = st.builds(Cost, st.decimals(0, 10, places=4, allow_nan=False), st.booleans())
attempts = st.builds(
    AttemptRecord,
    call_id=st.just("c"),
    attempt=st.just(1),
    target=st.sampled_from(TARGETS),
    outcome=st.sampled_from(OUTCOMES),
    started=st.floats(0, 10),
    first_output=st.none() | st.floats(10, 20),
    ended=st.floats(20, 30),
    error=st.none() | st.sampled_from(["Unavailable: no", "RateLimited: later", "Odd"]),
    usage=st.none() | usages,
    cost=costs,
    role=st.sampled_from(ROLES),
    breaker=st.none() | st.sampled_from(["closed", "open", "half_open"]),
)


def call_of(*several: AttemptRecord, outcome: Outcome = "finished", policy: str = "pinned") -> CallRecord:
    return CallRecord(
        call_id="c",
        decision=Decision(policy=policy, order=tuple(dict.fromkeys(one.target for one in several))),
        outcome=outcome,
        attempts=several,
        timings=Timings(e2e=30.0, ttft=1.0),
        cost=Cost.total(one.cost for one in several),
        at=1_800_000_000.0,
        started=0.0,
        target=several[-1].target if several and outcome == "finished" else None,
    )


calls = st.builds(
    lambda several, outcome, policy: call_of(*several, outcome=outcome, policy=policy),
    st.lists(attempts, max_size=4),
    st.sampled_from(OUTCOMES[:3]),
    st.sampled_from(["pinned", "in_order"]),
)


@given(st.lists(calls, max_size=5))
def test_nothing_is_lost_and_nothing_counted_twice(many: list[CallRecord]) -> None:
    registry = prometheus_client.CollectorRegistry()
    sink = PrometheusSink(registry=registry)
    for call in many:
        for one in call.attempts:
            sink(one)  # As core does; their call has them again.
        sink(call)
    scrape, tried = Scrape(registry), [one for call in many for one in call.attempts]

    def total(name: str) -> float:
        return sum(scrape[name].values())

    assert total("pointsman_requests_total") == len(many) == total("pointsman_request_duration_seconds_count")
    assert total("pointsman_attempts_total") == len(tried) == total("pointsman_attempt_duration_seconds_count")
    by_outcome = Counter(one.outcome for one in tried)
    for outcome in OUTCOMES:
        shown = [one.value for one in scrape.samples if one.name == "pointsman_attempts_total"
                 and one.labels["outcome"] == outcome]  # fmt: skip
        assert sum(shown) == by_outcome[outcome]
    assert total("pointsman_cost_usd_total") == pytest.approx(float(sum(one.cost.known for one in tried)))
    assert total("pointsman_unpriced_attempts_total") == sum(not one.cost.complete for one in tried)
    assert total("pointsman_unpriced_requests_total") == sum(not call.cost.complete for call in many)
    used = [one.usage for one in tried if one.usage]
    assert total("pointsman_tokens_total") == sum(one.input_tokens + one.output_tokens for one in used)
    assert total("pointsman_fallbacks_total") <= sum(one.role in ("failover", "resume") for one in tried)


MADE_UP = AttemptRecord(
    call_id="c", attempt=1, target=Target("a", "m"), outcome="failed", started=0.0, first_output=None, ended=1.0,
    error="ModelGone: there is none",
)  # fmt: skip


def test_ten_thousand_made_up_names_make_no_more_series() -> None:
    """Of models and errors; whether the server says that there is no such model, or answers whatever it is called."""
    registry = prometheus_client.CollectorRegistry()
    sink = PrometheusSink(registry=registry, models=20)
    sink(call_of(replace(MADE_UP, target=Target("a", "real"), outcome="finished", error=None)))
    left = replace(MADE_UP, target=Target("a", "real"))
    for number in range(10_000):
        answers = number % 2 == 0
        made_up = replace(MADE_UP, target=Target("b", f"b-{number}"), role="failover", started=2.0, ended=3.0)
        if answers:
            sink(call_of(replace(made_up, outcome="finished", error=None)))
        else:
            sink(call_of(replace(left, error=f"Odd{number}: what"), made_up, outcome="failed"))
    scrape = Scrape(registry)
    models = {one.labels["model"] for one in scrape.samples if "model" in one.labels} - {"none"}
    assert {"real", "other"} <= models
    assert len(models) <= 21
    assert len({one.labels["error"] for one in scrape.samples if "error" in one.labels}) <= ERRORS + 2
    assert len(scrape["pointsman_fallbacks_total"]) <= 21 * (ERRORS + 1)
    assert sum(scrape["pointsman_attempts_total"].values()) == 1 + 5_000 + 2 * 5_000


def test_what_does_not_exist_takes_no_name_from_what_does() -> None:
    registry = prometheus_client.CollectorRegistry()
    sink = PrometheusSink(registry=registry, models=2)
    for number in range(9):
        sink(call_of(replace(MADE_UP, target=Target("a", f"a-{number}")), outcome="failed"))
    sink(call_of(replace(MADE_UP, target=Target("a", "answers"), outcome="finished", error=None)))
    sink(call_of(replace(MADE_UP, target=Target("a", "chosen")), outcome="failed", policy="in_order"))
    sink(call_of(replace(MADE_UP, target=Target("a", "late"), outcome="finished", error=None)))
    names = {one.labels["model"] for one in Scrape(registry).samples if one.name == "pointsman_attempts_total"}
    assert names == {"other", "answers", "chosen"}


# What can be wrong ---------------------------------------------------------------------------------------------------


async def test_a_registry_that_has_such_a_metric_is_said_once_and_never_felt(
    client: Callable[..., AsyncClient], caplog: pytest.LogCaptureFixture
) -> None:
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.Gauge("pointsman_breaker_state", "Somebody else's.", registry=registry)
    async with client(PrometheusSink(registry=registry)) as one:
        for _ in range(3):
            assert (await one.chat("hi", model="hf/m")).text == "Hello there"
        (said,) = caplog.records
        assert said.exc_info is not None
        assert isinstance(error := said.exc_info[1], ConfigError)
        assert "pointsman_breaker_state" in str(error)
        assert "CollectorRegistry of its own" in str(error)
    assert Scrape(registry).families.keys() == {"pointsman_breaker_state"}, "and nothing of ours is half there"


COUNT = """
import os, sys
import pointsman
from pointsman_telemetry import prometheus
from pointsman_testing import ScriptedProvider

def main():
    plugins = pointsman.Plugins.of(providers={"a": ScriptedProvider("a", default="hello")}, sinks={"p": prometheus})
    with pointsman.Client(plugins=plugins) as client:
        assert "prometheus_client" not in sys.modules, "opening a client has loaded it"
        for _ in range(3):
            client.chat("hi", model="a/scripted-1")
        with client.stream("hi", model="a/scripted-1"):
            return seen()

def seen():
    from prometheus_client import CollectorRegistry, generate_latest, multiprocess
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry).decode()

other = os.fork()
if other == 0:
    main()
    os._exit(0)
assert os.waitpid(other, 0)[1] == 0
print(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
def test_several_processes_are_counted_together(tmp_path: Path) -> None:
    """In prometheus_client's own mode for that: its files are named in the environment."""
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", COUNT]
    text = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    shown = {one.name: one.value for one in samples if one.name.endswith(("_total", "_flight", "_state"))}
    assert shown["pointsman_requests_total"] == 4 + 3
    assert shown["pointsman_tokens_total"] > 0
    assert shown["pointsman_in_flight"] == 1, "the call inside which it looks"
    assert shown["pointsman_breaker_state"] == 0
