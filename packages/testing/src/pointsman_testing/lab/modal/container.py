"""One container: when it starts, when it is ready, which of its places are taken, when it ends. In lab seconds."""

from __future__ import annotations

import math

from ..dialect import Site
from ..requests import RecordedRequest


def ready_in(site: Site, start: float, window: float) -> float:
    """Seconds until a container is ready. Where there is none, one is started, which takes `start`."""
    now, memory = site.clock(), site.memory
    if memory.get("until", -math.inf) <= now:
        memory["ready"] = now + start
        memory["until"] = memory["ready"] + window
        memory["places"] = []
    return max(0.0, memory["ready"] - now)


def take_place(site: Site, wait: float, seconds: float, parallel: int, window: float) -> float:
    """Have a request answered within `seconds`, not sooner than in `wait`: how long it waits for one of the places."""
    now, memory = site.clock(), site.memory
    places: list[float] = sorted(memory["places"])
    begin = now + wait
    if len(places) >= parallel:
        begin = max(begin, places.pop(0))
    memory["places"] = [*places, begin + seconds]
    memory["until"] = max(memory["until"], begin + seconds + window)
    return begin - now


def keep(site: Site, request: RecordedRequest) -> str:
    """Remember a request whose answer is to be fetched; the name of its result."""
    results: dict[str, RecordedRequest] = site.memory.setdefault("results", {})
    name = f"fc-{len(results):04}"
    results[name] = request
    return name


def kept(site: Site, name: str) -> RecordedRequest | None:
    """The request of that result."""
    return site.memory.get("results", {}).get(name)
