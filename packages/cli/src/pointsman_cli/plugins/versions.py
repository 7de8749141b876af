"""Distributions, and whether what they ask for of ours is what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from re import sub


def ours() -> dict[str, str]:
    """Every ``pointsman`` distribution that is installed, with its version."""
    found = {_normal(dist.name): dist.version for dist in distributions() if dist.name}
    return {name: version for name, version in sorted(found.items()) if _is_ours(name)}


def misfit(name: str) -> str | None:
    """What the distribution `name` asks for of ours and does not find; None if all fits."""
    try:
        dist = distribution(name)
    except PackageNotFoundError:
        return None
    return "; ".join(_misfits(dist)) or None


def _misfits(dist: Distribution) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in dist.requires or ():
        if not _is_ours(_normal(line)):
            continue
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            yield f"it asks for {line!r}, which cannot be read"
            continue
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            there = distribution(wanted.name).version
        except PackageNotFoundError:
            yield f"it asks for {wanted.name}{wanted.specifier}, which is not installed"
            continue
        if not wanted.specifier.contains(there, prereleases=True):
            yield f"it asks for {wanted.name}{wanted.specifier}, and {there} is installed"


def _normal(name: str) -> str:
    return sub(r"[-_.]+", "-", name).lower()


def _is_ours(name: str) -> bool:
    return sub(r"[^a-z0-9-].*", "", name).startswith("pointsman")
