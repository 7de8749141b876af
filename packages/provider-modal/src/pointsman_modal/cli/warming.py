"""``pointsman modal warm``: a container is started by a request like any other, and kept by the autoscaler."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, Self

import anyio
import click

from pointsman import AsyncClient, PointsmanError, Unavailable

from ..config import ModalConfig
from ..deploy import control
from ..deploy.money import HOUR, Range
from ..deploy.sdk import Place, advised
from .configured import addressed, command, deployed, hour_of
from .figures import span
from .screen import Screen, tell

_ENDS = [one for name in ("SIGINT", "SIGTERM", "SIGHUP") if (one := getattr(signal, name, None)) is not None]


def warm_up(provider: str, *, keep: float | None, as_json: bool) -> None:
    """Start a container and wait for it; with `keep` have one for so many seconds, or with 0 no longer."""
    if keep is None:
        config = addressed(provider)
        took = _wait(provider, config)
        _tell(provider, config, took, as_json=as_json)
        return
    config, place = deployed(provider)
    if keep == 0:
        control.hold(place, config.min_containers)
        _tell_set_back(provider, config, as_json=as_json)
        return
    if config.min_containers:
        tell(f"min_containers is {config.min_containers}: a container runs all the time, and need not be kept.")
        _tell(provider, config, _wait(provider, config), as_json=as_json)
        return
    took = _kept(provider, config, place, keep)
    _tell(provider, config, took, as_json=as_json, kept=keep)


def _wait(provider: str, config: ModalConfig) -> float:
    """Seconds until it has answered. All of Modal's ways to have a request wait are waited for, as a prompt waits."""

    async def ask() -> set[str]:
        async with AsyncClient() as client:
            connection = await client.connect(provider)
            return {model.id for model in await connection.session.models()}

    began = time.monotonic()
    price = hour_of(config)
    try:
        with Screen().step(lambda passed: f"waiting for a container{_so_far(price, passed)}"):
            there = anyio.run(ask)
    except KeyboardInterrupt:
        tell(f"A container may be starting all the same; it ends {span(config.scaledown_window)} after that.")
        raise
    lacking = [name for name in config.default_models if not there & {name, f"{name}:latest"}]
    if lacking:
        tell(f"It answers, but has no {', '.join(lacking)}: `{command('deploy', provider)}` puts the weights there.")
    return time.monotonic() - began


def _kept(provider: str, config: ModalConfig, place: Place, keep: float) -> float:
    """Seconds until the container answered. Whatever ends this, the autoscaler is told to let it go."""
    price = hour_of(config)
    tell(f"One container is kept for {span(keep)}, {_costing(price, keep)}. Ctrl-C ends it sooner.")
    with _Ends() as ends:
        try:
            with ends.held_back():  # Else it could be let go while Modal is still being told to keep it.
                _hold(place)
            took = _wait(provider, config)
            with Screen().step(lambda passed: f"kept warm for {span(keep)}{_so_far(price, passed)}"):
                time.sleep(keep)
        except _Refused as refused:
            raise refused.error from refused.error.__cause__
        except BaseException:
            with ends.held_back():
                _set_back(provider, place, config)
            raise
        with ends.held_back():
            _set_back(provider, place, config)
    return took


class _Refused(Exception):
    """Nothing was changed, so that there is nothing to take back."""

    def __init__(self, error: PointsmanError) -> None:
        self.error = error


def _hold(place: Place) -> None:
    try:
        control.hold(place, 1)
    except Unavailable:
        raise  # Nobody knows whether it was done.
    except PointsmanError as error:
        raise _Refused(error) from None


def _set_back(provider: str, place: Place, config: ModalConfig) -> None:
    """Raises what keeps it from being done, with the command that does it later."""
    with Screen().step("letting the container go"):
        try:
            try:
                control.hold(place, config.min_containers)
            except Unavailable:
                control.hold(place, config.min_containers)
        except PointsmanError as error:
            hour = hour_of(config)
            at = "" if hour.least is None else f", AT {hour} AN HOUR"
            message = (
                f"THE CONTAINER IS STILL KEPT, AND BILLED{at}: the autoscaler of {place} could not be "
                f"set back: {error.message}"
            )
            failure = Unavailable(message)
            remedy = f"{command('warm --keep 0', provider)}; or set it on https://modal.com/apps"
            raise advised(failure, remedy) from error


class _Ends:
    """Inside, what would end the process raises `KeyboardInterrupt`: a closed terminal, too.

    After it, the process ends by the signal that had come, as if nobody had caught it.
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._came: int | None = None
        self._later = False

    def __enter__(self) -> Self:
        with suppress(ValueError):  # Not in the main thread, which alone gets signals.
            for one in _ENDS:
                self._before[one] = signal.signal(one, self._end)
        return self

    def __exit__(self, *_: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
        if self._came not in (None, signal.SIGINT):
            signal.raise_signal(self._came)

    @contextmanager
    def held_back(self) -> Generator[None]:
        """Inside, it waits. What is done here has a deadline."""
        self._later = True
        try:
            yield
        finally:
            self._later = False
        if self._came is not None:
            raise KeyboardInterrupt

    def _end(self, number: int, frame: Any) -> None:
        self._came = self._came or number
        if not self._later:
            raise KeyboardInterrupt


def _tell(provider: str, config: ModalConfig, took: float, *, as_json: bool, kept: float | None = None) -> None:
    price = hour_of(config)
    if as_json:
        click.echo(json.dumps({"provider": provider, "url": config.base_url, "seconds": round(took, 6), "kept": kept}))
        return
    window = config.scaledown_window
    idle = f"It stays {span(window)} after its last answer, {_costing(price, window)}."
    click.echo(f"{provider} answers: it took {span(took)}")
    tell(idle if kept is None else f"It is kept no longer. {idle}")


def _tell_set_back(provider: str, config: ModalConfig, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"provider": provider, "url": config.base_url, "seconds": None, "kept": 0.0}))
    else:
        click.echo(f"No container of {provider} is kept any longer: min_containers is {config.min_containers} again")


def _so_far(price: Range, passed: float) -> str:
    dearest = Range(price.most, price.most)
    return "" if price.most is None or passed < 1 else f", at most {_for(dearest, passed)} so far"


def _costing(price: Range, seconds: float) -> str:
    return "and nobody knows what that costs" if price.least is None else f"which costs {_for(price, seconds)}"


def _for(price: Range, seconds: float) -> str:
    """What so many seconds cost."""
    return str(Range(*(None if usd is None else usd * Decimal(seconds) / HOUR for usd in price)))
