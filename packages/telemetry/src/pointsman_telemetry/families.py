"""The metrics that Prometheus gets: their names, kinds, labels and buckets. docs/telemetry.md shows the same table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from pointsman import ConfigError

from .figures import TOKEN_SECONDS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""A model that is loaded first may take minutes."""
OVERHEAD_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0)
BREAKER = {"closed": 0, "half_open": 1, "open": 2}


class Family(NamedTuple):
    """One metric. `labels` are in the order in which their values are given."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    together: Literal["livesum", "mostrecent"] = "livesum"
    """How several processes make one gauge."""


FAMILIES = (
    Family("pointsman_requests_total", "counter", ("operation", "provider", "model", "status"), "Calls that ended."),
    Family("pointsman_request_duration_seconds", "histogram", ("operation", "status"), "A whole call.", SECONDS),
    Family("pointsman_request_time_to_first_token_seconds", "histogram", ("operation", "status"),
           "From the start of a call to the first output of the answer that was kept.", SECONDS),
    Family("pointsman_overhead_seconds", "histogram", ("operation",), "Time of a call in which no attempt ran.",
           OVERHEAD_SECONDS),
    Family("pointsman_in_flight", "gauge", (), "Calls that have begun and not ended."),
    Family("pointsman_unpriced_requests_total", "counter", ("operation",), "Calls whose cost is not wholly known."),
    Family("pointsman_attempts_total", "counter", ("provider", "model", "role", "outcome", "error"),
           "Attempts that ended."),
    Family("pointsman_attempt_duration_seconds", "histogram", ("provider", "model", "outcome"), "A whole attempt.",
           SECONDS),
    Family("pointsman_time_to_first_token_seconds", "histogram", ("provider", "model"),
           "From the start of an attempt to its first output.", SECONDS),
    Family("pointsman_time_per_output_token_seconds", "histogram", ("provider", "model"),
           "Of a whole answer, for each token after the first.", TOKEN_SECONDS),
    Family("pointsman_tokens_total", "counter", ("provider", "model", "type", "counted"), "Tokens in and out."),
    Family("pointsman_token_details_total", "counter", ("provider", "model", "type", "counted"),
           "Tokens that pointsman_tokens_total has already: cached and reasoning ones."),
    Family("pointsman_cost_usd_total", "counter", ("provider", "model"), "US dollars that are known to be owed."),
    Family("pointsman_unpriced_attempts_total", "counter", ("provider", "model"),
           "Attempts that pointsman_cost_usd_total has not, or not all of."),
    Family("pointsman_fallbacks_total", "counter", ("from", "to", "reason"), "Attempts because another target failed."),
    Family("pointsman_breaker_state", "gauge", ("provider", "model"),
           "As the last attempt left it: 0 closed, 1 half open, 2 open.", together="mostrecent"),
)  # fmt: skip

_built: WeakKeyDictionary[CollectorRegistry, Mapping[str, Any]] = WeakKeyDictionary()
_building = Lock()


def families_of(registry: CollectorRegistry) -> Mapping[str, Any]:
    """The metrics in `registry`, by name without prefix: the same ones for all who ask.

    Raises `ConfigError` if the registry has a metric of one of these names from somebody else.
    """
    with _building:
        if registry not in _built:
            _built[registry] = _build(registry)
        return _built[registry]


def _build(registry: CollectorRegistry) -> Mapping[str, Any]:
    made = {one.name: _make(one) for one in FAMILIES}
    done: list[Any] = []
    try:
        for metric in made.values():
            registry.register(metric)
            done.append(metric)
    except ValueError as error:
        for metric in done:
            registry.unregister(metric)
        raise ConfigError(
            f"the registry of prometheus_client has a metric already that is called like one of Pointsman's ({error}): "
            "rename that one, or hand pointsman_telemetry.PrometheusSink a CollectorRegistry of its own"
        ) from error
    return {name.removeprefix("pointsman_"): metric for name, metric in made.items()}


def _make(one: Family) -> Any:
    from prometheus_client import Counter, Gauge, Histogram

    labels: Sequence[str] = one.labels
    if one.kind == "counter":
        return Counter(one.name, one.help, labels, registry=None)
    if one.kind == "gauge":
        return Gauge(one.name, one.help, labels, registry=None, multiprocess_mode=one.together)
    return Histogram(one.name, one.help, labels, registry=None, buckets=one.buckets)
