"""The user's rules for one task, applied to a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from pointsman import Target

if TYPE_CHECKING:
    from .settings import TaskRule

LEFT, LAST = 1_000_000, 2_000_000
"""Places of those of whom a rule says nothing, and of those to be avoided."""


class Places(NamedTuple):
    """Where a rule puts a target; less is earlier, and equal ones go by score."""

    prefer: Sequence[str] = ()
    fallback: Sequence[str] = ()
    avoid: Sequence[str] = ()

    @classmethod
    def of(cls, rule: TaskRule | None) -> Places:
        """No rule puts everybody into the same place."""
        return cls(rule.prefer, rule.fallback, rule.avoid) if rule else cls()

    def first(self, target: Target) -> int:
        """For the first place: the preferred, the others, those to be avoided."""
        return LAST if self.avoid and self._avoids(target) else _index(self.prefer, target, 0)

    def next(self, target: Target) -> int:
        """For the others: the preferred, the fallbacks, the others, those to be avoided."""
        place = self.first(target)
        return _index(self.fallback, target, len(self.prefer)) if place == LEFT else place

    def _avoids(self, target: Target) -> bool:
        return _index(self.avoid, target, 0) != LEFT


def _index(patterns: Sequence[str], target: Target, start: int) -> int:
    if not patterns:
        return LEFT
    name = str(target)
    return next((start + n for n, pattern in enumerate(patterns) if fnmatchcase(name, pattern)), LEFT)


def said_of(quality: Mapping[str, float], target: Target) -> float | None:
    """What the last pattern that fits says of the target."""
    name = str(target)
    return next((quality[pattern] for pattern in reversed([*quality]) if fnmatchcase(name, pattern)), None)
