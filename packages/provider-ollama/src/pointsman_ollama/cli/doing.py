"""What each verb does: ask the server, show the wait on stderr, print the outcome on stdout."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import anyio
import click

from ..config import tagged
from ..progress import Progress
from ..server import Loaded, Pulled, Running, Server, connect
from .figures import size, span
from .screen import View, columns, harmless, view

T = TypeVar("T")
_UNKNOWN = "–"


def pull_model(provider: str, model: str, *, insecure: bool, as_json: bool) -> None:
    shown, begun = view(), time.monotonic()
    layers: dict[str, int] = {}
    interruptions = 0

    async def pull(server: Server) -> None:
        nonlocal interruptions
        async with server.pull(model, insecure=insecure) as progress:
            async for told in progress:
                interruptions += told.interruption is not None
                if told.digest is not None:
                    layers[told.digest] = told.total or told.completed
                shown.show(told, time.monotonic())

    try:
        _run(provider, partial(_ticking, shown, pull))
    except KeyboardInterrupt:
        click.echo("What has arrived stays on the server: pull it again to go on.", err=True)
        raise
    took = time.monotonic() - begun
    whole = sum(layers.values())
    told = {"bytes": whole, "interruptions": interruptions, "seconds": round(took, 6)}
    _tell(f"{tagged(model)} is there: {size(whole)} in {span(took)}", as_json, provider, model, **told)


def load_model(provider: str, model: str, *, keep_alive: float | str | None, as_json: bool) -> None:
    shown = view()

    async def load(server: Server) -> Loaded:
        shown.show(Progress(f"loading {model}"), time.monotonic())
        return await server.load(model, keep_alive=keep_alive)

    loaded = _run(provider, partial(_ticking, shown, load))
    said = f"{loaded.name} {'was loaded already' if loaded.already else f'is loaded: it took {span(loaded.seconds)}'}"
    _tell(said, as_json, provider, model, loaded=True, before=loaded.already, seconds=round(loaded.seconds, 6))


def unload_model(provider: str, model: str, *, as_json: bool) -> None:
    before = _run(provider, lambda server: server.unload(model))
    said = f"{tagged(model)} {'is not loaded any more' if before else 'was not loaded'}"
    _tell(said, as_json, provider, model, loaded=False, before=before, seconds=None)


def list_running(provider: str, *, as_json: bool) -> None:
    found = _run(provider, lambda server: server.running())
    if as_json:
        _print({"provider": provider, "models": [_running_json(one) for one in found]})
        return
    if not found:
        click.echo("No model is loaded. `pointsman ollama load NAME` loads one; so does a request.", err=True)
        return
    rows = [
        (one.name, _size(one.size), _share(one), _count(one.context), _until(one.expires, datetime.now(UTC)))
        for one in found
    ]
    _table(("name", "size", "on GPU", "context", "until"), rows)


def list_pulled(provider: str, *, as_json: bool) -> None:
    found = _run(provider, lambda server: server.pulled())
    if as_json:
        _print({"provider": provider, "models": [_pulled_json(one) for one in found]})
        return
    if not found:
        click.echo("No model is there. `pointsman ollama pull NAME` fetches one.", err=True)
        return
    rows = [
        (
            one.name,
            "at ollama.com" if one.remote else _size(one.size),
            _count(one.context),
            _UNKNOWN if one.modified is None else one.modified.date().isoformat(),
            _UNKNOWN if one.capabilities is None else ", ".join(one.capabilities),
        )
        for one in sorted(found, key=lambda one: one.name)
    ]
    _table(("name", "size", "context", "changed", "can"), rows)


async def _ticking(shown: View, work: Callable[[Server], Awaitable[T]], server: Server) -> T:
    """Do `work` while time is shown to pass."""

    async def tick() -> None:
        while True:
            await anyio.sleep(1)
            shown.tick(time.monotonic())

    outcome: list[T] = []
    failure: list[Exception] = []  # Raised outside of the group, which would be made around it.
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            try:
                outcome.append(await work(server))
            except Exception as raised:
                failure.append(raised)
            tasks.cancel_scope.cancel()
    finally:
        shown.end()
    for error in failure:
        raise error
    return outcome[0]


def _run(provider: str, work: Callable[[Server], Awaitable[T]]) -> T:
    async def main() -> T:
        async with connect(provider=provider) as server:
            return await work(server)

    return anyio.run(main)


def _tell(said: str, as_json: bool, provider: str, model: str, **told: Any) -> None:
    if as_json:
        _print({"provider": provider, "model": tagged(model), **told})
    else:
        click.echo(harmless(said))


def _print(told: Mapping[str, Any]) -> None:
    click.echo(json.dumps(told))


def _running_json(one: Running) -> dict[str, Any]:
    return {
        "name": one.name,
        "size": one.size,
        "vram": one.vram,
        "context": one.context,
        "expires": one.expires and one.expires.isoformat(),
    }


def _pulled_json(one: Pulled) -> dict[str, Any]:
    return {
        "name": one.name,
        "size": one.size,
        "digest": one.digest,
        "modified": one.modified and one.modified.isoformat(),
        "parameters": one.parameters,
        "quantization": one.quantization,
        "context": one.context,
        "capabilities": None if one.capabilities is None else list(one.capabilities),
        "remote": one.remote,
    }


def _size(count: int | None) -> str:
    return _UNKNOWN if count is None else size(count)


def _count(count: int | None) -> str:
    return _UNKNOWN if count is None else f"{count:,}"


def _share(one: Running) -> str:
    return _UNKNOWN if one.vram is None or not one.size else f"{round(100 * one.vram / one.size)} %"


def _until(expires: datetime | None, now: datetime) -> str:
    """How long from now."""
    return "for ever" if expires is None else f"in {span(max(0.0, (expires - now).total_seconds()))}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """In columns where they fit, else each row on lines of its own."""
    cells = [[harmless(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    room = columns()
    if sum(widths) + 2 * (len(widths) - 1) <= room:
        for row in (head, *cells):
            click.echo("  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True)).rstrip())
        return
    for name, *others in cells:
        click.echo(name)
        about = "; ".join(f"{title} {cell}" for title, cell in zip(head[1:], others, strict=True))
        for line in textwrap.wrap(about, max(room - 4, 10), break_long_words=False, break_on_hyphens=False):
            click.echo(f"    {line}")
