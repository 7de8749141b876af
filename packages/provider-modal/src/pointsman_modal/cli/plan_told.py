"""A plan, and what it will cost: for a person, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from pointsman import ConfigError

from ..config import ModalConfig
from ..deploy.money import DAY, Machines, Range, idle_per_month, most_per_hour, per_hour, per_month
from ..deploy.plan import Plan
from ..prices import AS_OF
from ..state import EXPECTED
from .configured import said_before
from .figures import plural, span

_SHOWN: Mapping[str, tuple[str, ...]] = {
    "Model": ("model",),
    "GPU": ("gpu",),
    "CPU": ("cpu",),
    "Memory": ("memory_gib",),
    "Region": ("region",),
    "Containers": ("min_containers", "max_containers"),
    "Window": ("scaledown_window",),
    "Context": ("context_tokens",),
    "At once": ("parallel",),
}
"""What is shown of a plan, and of which fields it is made."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is asked of a deployment in the time to come."""

    requests_per_day: float
    seconds_per_request: float
    guessed: bool
    """Nobody has said so: it is an example."""

    @classmethod
    def of(cls, requests_per_day: float | None, seconds_per_request: float | None) -> Traffic:
        """A hundred a day, of ten seconds, where nobody says another number."""
        guessed = requests_per_day is None
        return cls(100.0 if requests_per_day is None else requests_per_day, seconds_per_request or 10.0, guessed)


def machines(plan: Plan) -> Machines:
    """What of it is billed."""
    return Machines(
        gpus=plan.gpu,
        cores=Decimal(str(plan.cpu)),
        gib=plan.memory_gib,
        regions=plan.region,
        least=plan.min_containers,
        most=plan.max_containers,
        window=plan.scaledown_window,
        start=EXPECTED,
        parallel=plan.parallel,
    )


def changes(plan: Plan, before: ModalConfig | None) -> dict[str, tuple[Any, Any]]:
    """What will be otherwise than it was deployed before: field -> what it was, what it will be."""
    if before is None:
        return {}
    old = dict(_before(before))
    return {name: (old[name], value) for name, value in plan if old[name] != value}


def _before(config: ModalConfig) -> Plan:
    """As the settings have it; also where somebody has since written there what cannot be deployed."""
    said = said_before(config)
    try:
        return Plan.of(said)
    except ConfigError:
        return Plan.model_construct(**said)


def rows(
    plan: Plan, before: ModalConfig | None, environment: str | None, traffic: Traffic
) -> Iterator[tuple[str, str]]:
    """Labels, and what they stand for."""
    yield "App", f"{plan.name}, in {f'the environment {environment}' if environment else 'the default environment'}"
    old = None if before is None else _before(before)
    changed = changes(plan, before).keys()
    for label, fields in _SHOWN.items():
        was = f"   (was {_words(old, label)})" if old and not changed.isdisjoint(fields) else ""
        yield label, f"{_words(plan, label)}{was}"
    yield from costs(plan, traffic)
    for warning in plan.warnings():
        yield "Note", warning


def costs(plan: Plan, traffic: Traffic) -> Iterator[tuple[str, str]]:
    """An hour and a month, from list prices."""
    billed = machines(plan)
    if billed.second.most is None:
        yield "Cost", "unknown, since the price of one of its GPUs is; `modal billing rates` prints it"
        return
    idle = f"; {idle_per_month(billed)} a month without a request" if plan.min_containers else ", else nothing"
    yield "Cost", f"{per_hour(billed)} an hour while a container is up{idle}"
    if plan.max_containers > 1:
        yield "", f"at most {most_per_hour(billed)} an hour, with {plural(plan.max_containers, 'container')}"
    month = per_month(billed, traffic.requests_per_day, traffic.seconds_per_request)
    example = "for example, " if traffic.guessed else ""
    a_day = f"{example}{traffic.requests_per_day:,.10g} requests a day of {traffic.seconds_per_request:g} s each"
    yield "", f"{a_day}: about {month} a month"
    if traffic.requests_per_day > (most := DAY * plan.max_containers * plan.parallel / traffic.seconds_per_request):
        containers = plural(plan.max_containers, "container")
        yield "", f"that is more than {containers} can answer, about {most:,.0f} a day: what is over waits, then fails"
    yield "", f"list prices of {AS_OF:%Y-%m-%d}; CPU and memory used beyond what is asked for come on top"


def plan_json(plan: Plan, environment: str | None) -> dict[str, Any]:
    shown = ("model", "gpu", "cpu", "memory_gib", "region", "min_containers", "max_containers")
    told = {name: _plain(getattr(plan, name)) for name in (*shown, "scaledown_window", "context_tokens", "parallel")}
    return {"app": plan.name, "environment": environment, **told}


def changes_json(found: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {name: {"from": _plain(old), "to": _plain(new)} for name, (old, new) in found.items()}


def costs_json(plan: Plan, traffic: Traffic) -> dict[str, Any]:
    billed = machines(plan)
    return {
        "per_hour": range_json(per_hour(billed)),
        "most_per_hour": range_json(most_per_hour(billed)),
        "idle_per_month": range_json(idle_per_month(billed)),
        "per_month": range_json(per_month(billed, traffic.requests_per_day, traffic.seconds_per_request)),
        "requests_per_day": traffic.requests_per_day,
        "seconds_per_request": traffic.seconds_per_request,
        "prices_as_of": AS_OF.isoformat(),
    }


def range_json(found: Range) -> dict[str, str | None]:
    """USD, as decimal numbers in strings; null where nobody knows."""
    return {name: None if value is None else f"{value:.6f}" for name, value in found._asdict().items()}


def gpus_told(gpus: tuple[str, ...]) -> str:
    return ", else ".join(gpus) or "none: it runs on the CPU"


def _words(plan: Plan, label: str) -> str:
    match label:
        case "GPU":
            return gpus_told(plan.gpu)
        case "CPU":
            return f"{plan.cpu:g} core{'' if plan.cpu == 1 else 's'}"
        case "Memory":
            return f"{plan.memory_gib.normalize():f} GiB"
        case "Region":
            return " or ".join(plan.region) or "anywhere"
        case "Containers":
            return f"{plan.min_containers} to {plan.max_containers}"
        case "Window":
            return f"{span(plan.scaledown_window)} without a request end a container"
        case "Context":
            return f"{plan.context_tokens:,} tokens for each request"
        case "At once":
            return f"{plural(plan.parallel, 'request')} in a container"
        case _:
            return plan.model


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return int(value) if value == int(value) else float(value)
        case tuple():
            return list(cast("tuple[str, ...]", value))
        case _:
            return value
