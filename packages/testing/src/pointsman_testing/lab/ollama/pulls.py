"""Pulling a model: layer by layer, a line each 60 ms, and the next pull goes on where the last one was cut off.

What a vendor has of a layer follows from what it has sent: a connection that ends early ends the download, too. So a
pull is planned whole, and what became of it is read from its request afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from ..dialect import Model, Site
from ..plan import Chunk
from ..requests import RecordedRequest
from .gojson import dumps, without_zeros
from .models import Facts, facts_of, find

_PULLS = "pulls"
"""In a site's memory. No model is called so: their names have tags."""
_TICK = 0.06
"""Seconds between two lines about a layer. One that is complete before the first has no line, and none says the end."""
_MISSING = "pull model manifest: file does not exist"


@dataclass(frozen=True, slots=True)
class _Line:
    """A line, when it is due, and how much of each layer is there once it is sent."""

    said: Mapping[str, Any]
    due: float = 0.0
    there: Mapping[str, int] | None = None
    written: bool = False
    """The model can be used."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A pull, and the lines that its response consists of, with the byte at which each is over."""

    model: Model
    request: RecordedRequest
    lines: Sequence[tuple[int, _Line]]

    @property
    def sent(self) -> Iterator[_Line]:
        return (line for end, line in self.lines if end <= self.request.sent)


def pulled(site: Site, registry: Sequence[Model] | None) -> Site:
    """`site` with the models that were pulled since it opened; one that takes any name goes on doing so."""
    if not site.models and registry is None:
        return site
    found = [begun.model for begun in _pulls(site) if any(line.written for line in begun.sent)]
    return replace(site, models=(*site.models, *found)) if found else site


def pull(name: str, request: RecordedRequest, site: Site, registry: Sequence[Model] | None, rate: float) -> list[Chunk]:
    """The lines of a pull, at `rate` bytes a second. `registry` has what can be pulled; None: what the site has."""
    own = find(site.models, name) if site.models else None
    listed = site.models if registry is None else registry
    facts = own or (find(listed, name) if listed or registry is None else None)
    lines = [_Line({"status": "pulling manifest"})]
    if facts is None:
        lines.append(_Line({"error": _MISSING}))
    else:
        layers = _layers(facts)
        there = dict(layers) if own else _there(site)
        lines += _download(layers, {digest: there.get(digest, 0) for digest in layers}, rate)
    chunks = [Chunk(dumps(line.said) + b"\n", line.due) for line in lines]
    if facts is not None and own is None:
        ends = accumulate(len(chunk.data) for chunk in chunks)
        model = _entry(listed, facts)
        _pulls(site).append(_Begun(model, request, list(zip(ends, lines, strict=True))))
    return chunks


def _download(layers: Mapping[str, int], there: dict[str, int], rate: float) -> Iterator[_Line]:
    now = 0.0
    for digest, size in layers.items():
        about = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": size}
        if there[digest] == size:
            yield _Line({**about, "completed": size}, now, dict(there))
            continue
        begun, tick = there[digest], 1
        while (done := begun + int(tick * _TICK * rate)) < size:
            there[digest] = done
            yield _Line({**about, **without_zeros({"completed": done})}, now + tick * _TICK, dict(there))
            tick += 1
        there[digest] = size
        now += (size - begun) / rate
    whole = dict(there)
    yield _Line({"status": "verifying sha256 digest"}, now, whole)
    yield _Line({"status": "writing manifest"}, now, whole, written=True)
    yield _Line({"status": "success"}, now, whole, written=True)


def _layers(facts: Facts) -> dict[str, int]:
    """Digest -> bytes: the weights, and what goes with them. What runs elsewhere has a few bytes of configuration."""
    sizes = facts.layers or ((485,) if facts.remote_host else (facts.size, 1_429, 12_403, 485))
    return {f"sha256:{hashlib.sha256(f'{facts.name}/{at}'.encode()).hexdigest()}": n for at, n in enumerate(sizes)}


def _there(site: Site) -> dict[str, int]:
    there: dict[str, int] = {}
    for begun in _pulls(site):
        for line in begun.sent:
            there.update(line.there or {})
    return there


def _entry(listed: Sequence[Model], facts: Facts) -> Model:
    """The model as whoever made the registry has described it."""
    return next((model for model in listed if facts_of(model).name == facts.name), facts.name)


def _pulls(site: Site) -> list[_Begun]:
    found: list[_Begun] = site.memory.setdefault(_PULLS, [])
    return found
