"""A plan, and what it will cost: for a person, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..config import ModalConfig
from ..deploy.money import Machines, Range, idle_per_month, most_per_hour, per_hour, per_month
from ..deploy.plan import Plan
from ..prices import AS_OF
from ..state import EXPECTED
from .configured import said_before
from .figures import plural, span

SHOWN = {"model": "Model", "gpu": "GPU", "cpu": "CPU", "memory_gib": "Memory", "region": "Region"}
SHOWN |= {"containers": "Containers", "scaledown_window": "Window", "context_tokens": "Context", "parallel": "At once"}
"""What is shown of a plan, and how it is called there."""


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
    old = Plan.model_construct(**Plan().model_dump() | Plan.model_validate(said_before(before)).model_dump())
    new_values, old_values = plan.model_dump(), old.model_dump()
    return {name: (old_values[name], value) for name, value in new_values.items() if old_values[name] != value}


def rows(
    plan: Plan, before: ModalConfig | None, environment: str | None, traffic: Traffic
) -> Iterator[tuple[str, str]]:
    """Labels, and what they stand for."""
    yield "App", f"{plan.name}, in {f'the environment {environment}' if environment else 'the default environment'}"
    were = {name: old for name, (old, _) in changes(plan, before).items()}
    for name, label in SHOWN.items():
        was = ""
        if set(were) & ({name} if name != "containers" else {"min_containers", "max_containers"}):
            assert before is not None
            was = f"   (was {_value(Plan.model_validate(said_before(before)), name)})"
        yield label, f"{_value(plan, name)}{was}"
    yield from costs(plan, traffic)
    for warning in plan.warnings():
        yield "Note", warning


def costs(plan: Plan, traffic: Traffic) -> Iterator[tuple[str, str]]:
    """An hour and a month, from list prices."""
    billed = machines(plan)
    idle = "nothing while none is" if not plan.min_containers else f"{idle_per_month(billed)} a month without a request"
    yield "Cost", f"{per_hour(billed)} an hour while a container is up; {idle}"
    if plan.max_containers > 1:
        yield "", f"at most {most_per_hour(billed)} an hour, with {plural(plan.max_containers, 'container')}"
    month = per_month(billed, traffic.requests_per_day, traffic.seconds_per_request)
    example = "for example, " if traffic.guessed else ""
    a_day = f"{example}{traffic.requests_per_day:,g} requests a day of {traffic.seconds_per_request:g} s each"
    yield "", f"{a_day}: about {month} a month"
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


def _value(plan: Plan, name: str) -> str:
    match name:
        case "gpu":
            return gpus_told(plan.gpu)
        case "cpu":
            return plural_of(plan.cpu, "core")
        case "memory_gib":
            return f"{plan.memory_gib.normalize():f} GiB"
        case "region":
            return " or ".join(plan.region) or "anywhere"
        case "containers":
            return f"{plan.min_containers} to {plan.max_containers}"
        case "scaledown_window":
            return f"{span(plan.scaledown_window)} without a request end a container"
        case "context_tokens":
            return f"{plan.context_tokens:,} tokens for each request"
        case "parallel":
            return f"{plural(plan.parallel, 'request')} in a container"
        case _:
            return str(getattr(plan, name))


def plural_of(count: float, noun: str) -> str:
    return f"{count:g} {noun}{'' if count == 1 else 's'}"


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return list(value) if isinstance(value, tuple) else value
