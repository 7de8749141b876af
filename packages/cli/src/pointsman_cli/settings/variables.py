"""Variables of the environment that look like ours, and that nobody reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pointsman.config.providers import own_variable
from pointsman.config.settings import NAMED, POLICY, SECTIONS
from pointsman.engine.roster import Roster

from ..listing import say

OURS = ("POINTSMAN_CACHE", "POINTSMAN_CONFIG", "POINTSMAN_HISTORY")
"""Variables that are no setting."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A variable whose section or provider there is not."""

    name: str
    meant: str | None
    """What it was to be called, probably."""

    def __str__(self) -> str:
        for section in NAMED:
            if self.name.startswith(own_variable(section)):
                return f"nobody reads {self.name}: {section} are read from files and arguments only"
        return f"nobody reads {self.name}: no section and no provider has that name"


def of_settings(environ: Iterable[str]) -> list[str]:
    """Every variable in `environ` that is meant as a setting of ours."""
    return sorted(name for name in environ if name.startswith("POINTSMAN_") and name not in OURS)


def unread(roster: Roster) -> list[Unread]:
    """Those that nobody reads. A setting that its section or provider does not have is told by whoever reads that."""
    sections = tuple(map(own_variable, (*SECTIONS, POLICY)))
    strangers = [name for name in of_settings(roster.settings.environ) if not name.startswith(sections)]
    if not strangers:
        return []  # Nearly always; the providers that are installed need not be looked up, then.
    heads = [*sections, *map(own_variable, roster.names)]
    return [Unread(name, _meant(name, heads)) for name in strangers if not name.startswith(tuple(heads))]


def warn_of_unread(roster: Roster) -> None:
    """Say on stderr which those are: what was meant to be set is not, and nothing else would tell."""
    for stray in unread(roster):
        say(f"Warning: {stray}{f'; did you mean {stray.meant}?' if stray.meant else ''}", dim=True)


def _meant(name: str, heads: Iterable[str]) -> str | None:
    """`name`, with the nearest of `heads` instead of as many words at its beginning."""
    from difflib import get_close_matches

    near = [one for one in OURS if get_close_matches(_own(name), [_own(one)], cutoff=0.8)]
    words = name.split("_")
    for head in heads:
        count = head.count("_")
        begins = "_".join([*words[:count], ""])
        if len(words) > count and get_close_matches(_own(begins), [_own(head)], cutoff=0.7):
            near.append(head + "_".join(words[count:]))
    found = get_close_matches(_own(name), [_own(one) for one in near], n=1, cutoff=0)
    return f"POINTSMAN_{found[0]}" if found else None


def _own(name: str) -> str:
    """Without what all have: else everything would be near."""
    return name.removeprefix("POINTSMAN_")
