"""Endpoints that run, sleep, wake and are paused. All times are seconds of the lab's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ..dialect import Site

State: TypeAlias = Literal[
    "pending", "initializing", "updating", "updateFailed", "running", "paused", "failed", "scaledToZero"
]
_MEMORY = "endpoints"
_VENDOR, _REGION = "aws", "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabEndpoint:
    """A dedicated endpoint, as it is when the vendor opens."""

    name: str
    namespace: str = "lab-user"
    state: State = "running"
    boot: float = 30.0
    """How long it takes to start."""
    model: str = ""
    """What its server calls its model; empty: it takes any name, as Text Generation Inference does."""
    task: str = "text-generation"
    repository: str = "Qwen/Qwen3-4B"
    url: str = ""
    """Where it says that it is; empty: at this vendor."""
    instance_type: str = "nvidia-l4"
    instance_size: str = "x1"


@dataclass(frozen=True, slots=True)
class Condition:
    """How an endpoint is, and until when it starts."""

    state: State
    ready: float = 0.0


def find(endpoints: tuple[LabEndpoint, ...], name: str, namespace: str | None = None) -> LabEndpoint | None:
    return next((one for one in endpoints if one.name == name and namespace in (None, one.namespace)), None)


def condition(endpoint: LabEndpoint, site: Site) -> Condition:
    """How it is now."""
    known: dict[str, Condition] = site.memory.setdefault(_MEMORY, {})
    starts = endpoint.state in ("pending", "initializing", "updating")
    now = known.get(endpoint.name) or Condition(endpoint.state, endpoint.boot if starts else 0.0)
    if now.state in ("pending", "initializing", "updating") and site.clock() >= now.ready:
        now = replace(now, state="running")
    known[endpoint.name] = now
    return now


def change(endpoint: LabEndpoint, site: Site, action: str) -> str | None:
    """Resume, pause or scale to zero. Returns why not."""
    now = condition(endpoint, site)
    if action == "resume":
        if now.state != "paused":
            return "Bad Request: Endpoint is already running"
        start(endpoint, site)
    else:
        site.memory[_MEMORY][endpoint.name] = Condition("paused" if action == "pause" else "scaledToZero")
    return None


def start(endpoint: LabEndpoint, site: Site) -> Condition:
    """It begins to start."""
    found = Condition("initializing", site.clock() + endpoint.boot)
    site.memory[_MEMORY][endpoint.name] = found
    return found


def described(endpoint: LabEndpoint, site: Site, host: str) -> dict[str, Any]:
    """What the API tells of it. Where it has never run, it has no address yet."""
    now = condition(endpoint, site)
    status: dict[str, Any] = {
        "createdAt": "2026-11-01T08:30:00.409Z",
        "createdBy": {"id": "6273f303f6d63a28483fde12", "name": endpoint.namespace},
        "updatedAt": "2026-11-20T08:30:00.409Z",
        "updatedBy": {"id": "6273f303f6d63a28483fde12", "name": endpoint.namespace},
        "private": None,
        "state": now.state,
        "message": f"Endpoint is {now.state}",
        "readyReplica": int(now.state == "running"),
        "targetReplica": int(now.state not in ("paused", "scaledToZero")),
    }
    if now.state != "pending":
        status["url"] = endpoint.url or f"http://{host}/serving/{endpoint.name}"
    return {
        "name": endpoint.name,
        "type": "protected",
        "accountId": None,
        "healthRoute": "/health",
        "provider": {"vendor": _VENDOR, "region": _REGION},
        "compute": {
            "accelerator": "gpu",
            "instanceType": endpoint.instance_type,
            "instanceSize": endpoint.instance_size,
            "scaling": {"minReplica": 0, "maxReplica": 1, "scaleToZeroTimeout": 15},
        },
        "model": {
            "repository": endpoint.repository,
            "framework": "pytorch",
            "revision": "11c5a3d5811f50298f278a704980280950aedb10",
            "task": endpoint.task,
            "image": {"huggingface": {}},
        },
        "status": status,
    }


def hardware(prices: Mapping[str, float]) -> dict[str, Any]:
    """What can be had, at which price: ``nvidia-l4 x1`` -> USD for an hour."""
    computes = [
        {
            "id": f"{_VENDOR}-{_REGION}-{kind.replace(' ', '-')}",
            "accelerator": "gpu",
            "instanceType": kind.partition(" ")[0],
            "instanceSize": kind.partition(" ")[2],
            "architecture": "Nvidia",
            "numAccelerators": 1,
            "numCpus": 7,
            "memoryGb": 30,
            "gpuMemoryGb": 24,
            "pricePerHour": price,
            "status": "available",
            "quota": {"maxAccelerators": 4, "usedAccelerators": 0},
        }
        for kind, price in prices.items()
    ]
    region = {"name": _REGION, "label": "N. Virginia", "status": "available", "computes": computes}
    return {"vendors": [{"name": _VENDOR, "status": "available", "regions": [region]}]}
