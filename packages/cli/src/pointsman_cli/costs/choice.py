"""Which calls are meant, and what they are divided by, as the command line says it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import click

from .when import stretch

if TYPE_CHECKING:
    from pointsman import LedgerQuery

DEFAULT_DAYS = 30
"""That are shown if nobody says since when, today included."""


def dimension(text: str) -> str:
    """`text`, if calls can be divided by it. Raises `click.BadParameter`."""
    from pointsman.errors import did_you_mean
    from pointsman.ledger import DIMENSIONS

    name = text.strip()
    if name in DIMENSIONS or (name.startswith("tag:") and len(name) > 4):
        return name
    near = did_you_mean(name, DIMENSIONS)
    raise click.BadParameter(f"{text!r} divides nothing: there are {', '.join(DIMENSIONS)} and tag:NAME{near}")


def dimensions(ctx: click.Context, param: click.Parameter, given: Iterable[str]) -> tuple[str, ...]:
    """Those named, each once; several may stand in one, between commas."""
    named = [part for text in given for part in ([text] if text.startswith("tag:") else text.split(","))]
    return tuple(dict.fromkeys(map(dimension, named)))


def conditions(ctx: click.Context, param: click.Parameter, given: Iterable[str]) -> dict[str, str]:
    """By dimension. Raises `click.BadParameter`."""
    found = _pairs(given, dimension, "model=sambanova/gpt-oss-120b")
    try:
        if "day" in found:
            found["day"] = date.fromisoformat(found["day"]).isoformat()
    except ValueError:
        raise click.BadParameter(f"{found['day']!r} is no day: write day=2026-11-05") from None
    return found


def tags(ctx: click.Context, param: click.Parameter, given: Iterable[str]) -> dict[str, str]:
    """The same, of tags. Raises `click.BadParameter`."""
    return _pairs(given, lambda name: f"tag:{name}", "team=search")


def _pairs(given: Iterable[str], named: Callable[[str], str], example: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{text!r} says nothing: write NAME=VALUE, such as {example}")
        if found.setdefault(key := named(name), value) != value:
            raise click.BadParameter(f"{key} cannot be both {found[key]!r} and {value!r}")
    return found


def query(
    since: str | None,
    until: str | None,
    where: Mapping[str, str],
    tag: Mapping[str, str],
    *,
    now: datetime | None = None,
    days: int | None = DEFAULT_DAYS,
) -> LedgerQuery:
    """What the options mean. Without `since` and `until` it is the last `days`; None for all that there is.

    Raises `click.UsageError`.
    """
    from pointsman import LedgerQuery

    now = now or datetime.now(UTC)
    if since is None and until is None and days is not None:
        since = f"{days}d"
    begin = None if since is None or since.strip().lower() == "all" else moment(since, "--since", now)
    end = None if until is None else moment(until, "--until", now)
    if begin and end and begin >= end:
        raise click.UsageError(f"--since {since} is not before --until {until}: nothing lies between them")
    both = {**where}
    for name, value in tag.items():
        if both.setdefault(name, value) != value:
            raise click.UsageError(f"{name} cannot be both {both[name]!r} and {value!r}")
    return LedgerQuery(since=begin, until=end, where=both)


def moment(text: str, option: str, now: datetime) -> datetime:
    """Where `text` begins; for ``--until``, where it ends. Raises `click.UsageError`."""
    try:
        meant = stretch(text, now)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None
    return meant.end if option == "--until" else meant.begin


def shown(since: datetime | None, until: datetime | None) -> str:
    """``from 2026-10-31 to 2026-11-29``: days that are whole go without their hours, and the last one is named."""
    parts: list[str] = []
    if since:
        parts.append(f"from {_day(since) or _minute(since)}")
    if until:
        last = _day(until) and _day(until - timedelta(days=1))
        parts.append(f"to {last}" if last else f"before {_minute(until)}")
    return " ".join(parts) or "from the first on"


def _day(at: datetime) -> str | None:
    return None if any((at.hour, at.minute, at.second, at.microsecond)) else f"{at:%Y-%m-%d}"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
