"""Modal's control plane, through its SDK: deploy, pull, look, hold, read logs, stop. All of it blocks.

Call it from a program's main thread, or from a thread: below an event loop the SDK's blocking calls warn.
"""

from __future__ import annotations

import importlib
import io
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pointsman import ProviderError
from pointsman_modal_app.container import ServerFailed
from pointsman_modal_app.settings import VARIABLE, Deployment
from pointsman_modal_app.weights import Progress

from .sdk import Place, advised, asked, client, sdk, translated

APP = "pointsman_modal_app.app"
SERVING = ("Ollama", "serve")
"""The class that answers, and its method that has an address."""
_LAST_LINES = 12
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\r")


@dataclass(frozen=True, slots=True)
class Seen:
    """How an app is just now. None: Modal does not say."""

    url: str | None
    containers: int
    backlog: int
    """Requests that wait for a place."""
    least: int | None
    """Containers that the autoscaler keeps, at least."""
    most: int | None
    window: int | None
    """Seconds that it keeps one after its last request."""


@dataclass(frozen=True, slots=True)
class Line:
    """One of a log."""

    at: datetime
    source: str
    """``stdout``, ``stderr`` or ``system``."""
    text: str
    container: str | None


def workspace() -> str | None:
    """The name of the account's workspace, which proves that its token is good. Raises `AuthFailed`."""
    mine = client()
    return asked("signing in", lambda: sdk().Workspace.from_context(client=mine).hydrate().name)


def environment() -> str | None:
    """The one that the SDK is set up for, by MODAL_ENVIRONMENT or its file; None: the account's default."""
    sdk()
    from modal.config import config

    return config.get("environment") or None


def deploy(deployment: Deployment, environment: str | None, told: Callable[[str], None]) -> str:
    """Deploy it, and return its address; `told` gets each line of the image's build, and of what is made besides.

    May take minutes the first time, and has no deadline. Raises `ProviderError` with the build's last lines if it
    fails, and what `sdk.translated` makes of other errors.
    """
    mine, place = client(), Place(deployment.name, environment)
    lines: deque[str] = deque(maxlen=_LAST_LINES)

    def keep(line: str) -> None:
        lines.append(line)
        told(line)

    app = load(deployment).app
    with redirect_stdout(_Lines(keep)), sdk().enable_output():
        try:
            app.deploy(environment_name=environment, client=mine)
        except sdk().exception.RemoteError as error:
            said = str(error).partition("\nView the build logs")[0]
            last = "".join(f"\n  {line}" for line in lines)
            message = f"the image of {place} could not be built: {said}{last}"
            raise advised(ProviderError(message), "these are its last lines; try again, or another Ollama") from error
        except Exception as error:
            raise translated(error, f"deploying {place}", place) from error
    return asked(f"asking for the address of {place}", lambda: _serving(place, mine).get_web_url(), place)


def load(deployment: Deployment) -> Any:
    """The module of the app, as `deployment` wants it. It reads that once, when it is imported."""
    sdk()
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = deployment.to_json()
    try:
        sys.modules.pop(APP, None)
        return importlib.import_module(APP)
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def pull(place: Place, model: str) -> Iterator[Progress]:
    """Put the weights of `model` into the Volume, unless they are there; what Ollama tells of it.

    Raises `ProviderError` with the words of the server that could not.
    """
    mine = client()
    function = sdk().Function.from_name(place.app, "pull", environment_name=place.environment, client=mine)
    try:
        yield from function.remote_gen(model)
    except ServerFailed as error:
        remedy = "run it again: what has arrived stays in the Volume"
        raise advised(ProviderError(f"{model} could not be pulled: {error}"), remedy) from error
    except Exception as error:
        raise translated(error, f"pulling {model}", place) from error


def seen(place: Place) -> Seen:
    """How it is. Starts nothing. Raises `ConfigError` for an app that is not deployed."""
    mine = client()

    def look() -> Seen:
        serving = _serving(place, mine)
        url, now, scaling = serving.get_web_url(), serving.get_current_stats(), serving.autoscaler.settings()
        return Seen(
            url,
            now.num_total_runners,
            now.backlog,
            scaling.min_containers,
            scaling.max_containers,
            scaling.scaledown_window,
        )

    return asked(f"reading the state of {place}", look, place)


def hold(place: Place, containers: int) -> None:
    """Keep so many containers running, until this is called again or the app is deployed again."""
    mine = client()
    asked(
        f"having {place} keep {containers} container{'' if containers == 1 else 's'}",
        lambda: _serving(place, mine).autoscaler.update(min_containers=containers),
        place,
    )


def tail(place: Place, count: int) -> list[Line]:
    """The last `count` lines that its containers have written, oldest first."""
    mine = client()
    return asked(
        f"reading the logs of {place}",
        lambda: [_line(one) for one in _app(place, mine).logs.tail(count)],
        place,
        within=60.0,
    )


def follow(place: Place) -> Iterator[Line]:
    """Lines as they are written, until the app is stopped."""
    mine = client()
    app = asked(f"reading the logs of {place}", lambda: _app(place, mine), place)
    try:
        yield from map(_line, app.logs.stream())
    except Exception as error:
        raise translated(error, f"reading the logs of {place}", place) from error


def stop(place: Place) -> None:
    """End it and its containers. The Volume with the weights stays."""
    mine = client()
    asked(f"stopping {place}", lambda: _app(place, mine).stop(client=mine), place)


def new_token(name: str) -> tuple[str, str]:
    """A proxy token, which opens every protected address of the workspace. Its secret half is told only now."""
    mine = client()
    made = asked(
        "making a proxy token", lambda: sdk().Workspace.from_context(client=mine).proxy_tokens.create(name=name)
    )
    return made.token_id, made.token_secret


def _serving(place: Place, mine: Any) -> Any:
    kind, method = SERVING
    return getattr(sdk().Cls.from_name(place.app, kind, environment_name=place.environment, client=mine)(), method)


def _app(place: Place, mine: Any) -> Any:
    return sdk().App.lookup(place.app, environment_name=place.environment, client=mine)


def _line(entry: Any) -> Line:
    container = next((one for one in reversed(entry.context_ids) if one.startswith("ta-")), None)
    return Line(entry.timestamp, entry.source, entry.message.rstrip("\n"), container)


class _Lines(io.TextIOBase):
    """Where the SDK prints to: whole lines of it go on, without what colours them."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if plain := _ANSI.sub("", line).rstrip():
                self._told(plain)
        return len(text)
