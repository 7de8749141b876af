"""``pointsman modal status`` and ``logs``: what is there, without starting anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from pointsman import ConfigError, PointsmanError

from ..config import ModalConfig
from ..deploy import control
from ..deploy.control import Line, Seen
from ..deploy.money import Range
from ..deploy.sdk import NoSdk, NotDeployed, Place, remedy_of
from .configured import command, deployed, hour_of
from .figures import plural, span
from .plan_told import gpus_told, range_json
from .screen import facts, harmless, tell


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that Modal has otherwise than the settings."""

    setting: str
    there: Any
    here: Any
    remedy: str


def show_status(provider: str, *, as_json: bool) -> None:
    """What Modal says beside what the settings say. Raises what keeps Modal from saying anything, after the rest was
    shown; but that no account is set up here is no failure, since requests need none.
    """
    config, place = deployed(provider)
    seen: Seen | None = None
    last: Line | None = None
    failure: PointsmanError | None = None
    try:
        seen = control.seen(place)
        last = next(reversed(control.tail(place, 1)), None)
    except PointsmanError as error:
        failure = error
    state, reason = _state(seen, failure)
    drifts = list(_drifts(seen, config, provider)) if seen else []
    if as_json:
        click.echo(json.dumps(_as_json(provider, config, place, seen, state, reason, drifts, last)))
    else:
        for line in facts(_rows(config, place, seen, state, reason, drifts, last), whole=not sys.stdout.isatty()):
            click.echo(line)
    if failure is not None and not _is_no_account(failure):
        raise failure


def _is_no_account(failure: PointsmanError) -> bool:
    return isinstance(failure, NoSdk) or (isinstance(failure, ConfigError) and failure.missing)


def show_logs(provider: str, *, count: int, follow: bool, as_json: bool) -> None:
    """The last lines, and then those that follow."""
    _, place = deployed(provider)
    lines = control.tail(place, count)
    if as_json and not follow:
        told = {"provider": provider, "app": place.app, "environment": place.environment}
        click.echo(json.dumps({**told, "lines": [_line_json(one) for one in lines]}))
        return
    if not lines and not follow:
        tell(f"Nothing was written by {place} yet: its first container writes when somebody asks it.")
    for line in _then(lines, control.follow(place) if follow else ()):
        if as_json:
            click.echo(json.dumps(_line_json(line)))
        else:
            click.echo(f"{line.at.astimezone():%Y-%m-%d %H:%M:%S}  {harmless(line.text.expandtabs(4))}")


def _then(lines: list[Line], further: Iterable[Line]) -> Iterator[Line]:
    """`lines`, and those of `further` that are not among them."""
    yield from lines
    shown = set(lines)
    for line in further:
        if line not in shown:
            yield line


def _state(seen: Seen | None, failure: PointsmanError | None) -> tuple[str, str]:
    if isinstance(failure, NotDeployed):
        return "not deployed", failure.message
    if seen is None:
        assert failure is not None
        more = f" (next: {remedy_of(failure)})" if _is_no_account(failure) else ""  # Else it is raised.
        return "unknown", f"{failure.message}{more}"
    if seen.containers:
        waiting = f", {plural(seen.backlog, 'request')} waiting" if seen.backlog else ""
        return "warm", f"{plural(seen.containers, 'container')} up{waiting}"
    if seen.backlog:
        return "warming", f"no container is up, and {plural(seen.backlog, 'request')} waiting for one"
    return "cold", "no container is up; the next request starts one, and waits for it"


def _drifts(seen: Seen, config: ModalConfig, provider: str) -> Iterator[Drift]:
    anew = f"`{command('deploy', provider)}` deploys it as the settings say"
    if seen.url and _root(seen.url) != _root(config.base_url):
        yield Drift(
            "base_url", seen.url, config.base_url, f"pointsman config set providers.{provider}.base_url {seen.url}"
        )
    if (seen.least or 0) != config.min_containers:
        back = f"`{command('warm --keep 0', provider)}` sets it back"
        yield Drift("min_containers", seen.least or 0, config.min_containers, back)
    if config.max_containers is not None and seen.most != config.max_containers:
        yield Drift("max_containers", seen.most, config.max_containers, anew)
    if seen.window is not None and seen.window != config.scaledown_window:
        yield Drift("scaledown_window", seen.window, config.scaledown_window, anew)


def _root(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1")


def _rows(
    config: ModalConfig,
    place: Place,
    seen: Seen | None,
    state: str,
    reason: str,
    drifts: Iterable[Drift],
    last: Line | None,
) -> Iterator[tuple[str, str]]:
    hour = hour_of(config)
    yield "App", str(place)
    yield "Address", seen.url if seen and seen.url else config.base_url
    yield "State", f"{state}: {reason}"
    yield "Model", f"{', '.join(config.default_models)}, {plural(config.parallel, 'request')} at once in a container"
    yield "GPU", gpus_told(config.gpu)
    yield "Containers", f"{config.min_containers} to {config.max_containers or 'any number'}"
    yield "Window", f"{span(config.scaledown_window)} without a request end a container"
    now = f"; now {_times(hour, seen.containers)} an hour" if seen and seen.containers else ""
    unknown = "not known: the settings say no gpu with a price, and no price_per_second"
    yield "Cost", unknown if hour.least is None else f"{hour} an hour while a container is up{now}"
    if last is not None:
        ago = max(0.0, (datetime.now(UTC) - last.at).total_seconds())
        yield "Last log", f"{span(ago)} ago: {last.text}"
    for drift in drifts:
        yield "Differs", f"{drift.setting} is {drift.there} at Modal, and {drift.here} in the settings: {drift.remedy}"


def _as_json(
    provider: str,
    config: ModalConfig,
    place: Place,
    seen: Seen | None,
    state: str,
    reason: str,
    drifts: Iterable[Drift],
    last: Line | None,
) -> dict[str, Any]:
    hour = hour_of(config)
    return {
        "provider": provider,
        "app": place.app,
        "environment": place.environment,
        "url": seen.url if seen and seen.url else config.base_url,
        "state": state,
        "reason": reason,
        "containers": seen.containers if seen else None,
        "backlog": seen.backlog if seen else None,
        "models": list(config.default_models),
        "gpu": list(config.gpu),
        "region": list(config.region),
        "min_containers": config.min_containers,
        "max_containers": config.max_containers,
        "scaledown_window": config.scaledown_window,
        "parallel": config.parallel,
        "cost_per_hour": range_json(hour),
        "cost_per_hour_now": range_json(_times(hour, seen.containers)) if seen else None,
        "drift": [
            {"setting": one.setting, "modal": one.there, "settings": one.here, "next": one.remedy} for one in drifts
        ],
        "last_line": None if last is None else _line_json(last),
    }


def _times(hour: Range, containers: int) -> Range:
    from decimal import Decimal

    return hour.times(Decimal(containers))


def _line_json(line: Line) -> dict[str, Any]:
    return {"at": line.at.isoformat(), "source": line.source, "container": line.container, "text": line.text}
