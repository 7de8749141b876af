"""Which models a vendor has in memory, since when and for how long. All times are seconds of the lab's clock."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from ..dialect import Site
from .models import Facts, facts_of

DEFAULT_KEEP_ALIVE = 300.0
_LONGEST = 10**12
"""Seconds. Integers in JSON have no end, floats do."""

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")
_DURATION = re.compile(rf"([-+]?)((?:{_PART.pattern})+)")


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory."""

    num_ctx: int
    ready: float
    """When it is loaded: requests before that wait."""
    until: float
    """When it is unloaded, unless it is asked again."""
    busy: float = 0.0
    """When the last of its answers is over, as far as that is planned."""


def resident(facts: Facts, site: Site, default_ctx: int) -> Resident | None:
    """The model as it is in memory now."""
    if facts.name not in site.memory and facts.loaded:
        site.memory[facts.name] = Resident(context(facts, 0, default_ctx), -math.inf, math.inf)
    found: Resident | None = site.memory.get(facts.name)
    return found if found and found.until > site.clock() else None


def residents(site: Site, default_ctx: int) -> list[tuple[Facts, Resident]]:
    """All models in memory, those that stay longest first. One that still loads is among them, as on the server."""
    listed = [facts_of(model) for model in site.models]
    names = {facts.name for facts in listed}
    others = [name for name, kept in site.memory.items() if isinstance(kept, Resident) and name not in names]
    known = [facts for facts in (*listed, *map(facts_of, others)) if not facts.remote_host]
    found = [(facts, now) for facts in known if (now := resident(facts, site, default_ctx))]
    return sorted(found, key=lambda pair: -pair[1].until)


def load(facts: Facts, site: Site, num_ctx: int, seconds: float, default_ctx: int) -> float:
    """Have the model in memory with that context, which takes `seconds` if it is not. How long to wait for it."""
    now = site.clock()
    found = resident(facts, site, default_ctx)
    if found is None or found.num_ctx != num_ctx:
        found = Resident(num_ctx, now + seconds, math.inf)
        site.memory[facts.name] = found
    return max(0.0, found.ready - now)


def keep(facts: Facts, site: Site, end: float, keep_alive: float) -> None:
    """Unload the model `keep_alive` seconds after a request that is over at `end`, but not under another one."""
    found: Resident = site.memory[facts.name]
    busy = max(end, found.busy)
    site.memory[facts.name] = replace(found, busy=busy, until=busy + keep_alive)


def unload(facts: Facts, site: Site) -> None:
    site.memory[facts.name] = None


def context(facts: Facts, asked: int, default_ctx: int) -> int:
    """How many tokens fit: what a request asks for, the Modelfile or the server says, and no more than trained."""
    own = facts.num_ctx or (0 if isinstance(facts.loaded, bool) else facts.loaded)
    return max(4, min(asked or own or default_ctx, facts.context_length))


def seconds_of(keep_alive: Any) -> float:
    """How long a request wants the model kept; `ValueError` with the server's words if that cannot be read."""
    match keep_alive:
        case None:
            return DEFAULT_KEEP_ALIVE
        case bool():
            raise ValueError("unsupported type: bool")
        case int() | float():
            return math.inf if keep_alive < 0 else float(min(keep_alive, _LONGEST))
        case str():
            seconds = _duration(keep_alive)
            return math.inf if seconds < 0 else seconds
        case _:
            raise ValueError(
                f"unsupported type: {'[]' if isinstance(keep_alive, list) else 'map[string]'}interface {{}}"
            )


def _duration(text: str) -> float:
    if text in {"0", "+0", "-0"}:
        return 0.0
    if not (match := _DURATION.fullmatch(text)):
        raise ValueError(f'time: invalid duration "{text}"')
    seconds = 0.0
    for number, unit in _PART.findall(match[2]):
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        seconds += float(number) * _UNITS[unit]
    return -seconds if match[1] == "-" else seconds
