"""Whether providers take the keys that they have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import anyio
import click

from pointsman import AuthFailed, HealthState

from .. import figures
from ..advice import another_key
from ..as_json import dumps
from ..context import debugging
from ..exits import Exit, gravest
from ..listing import say, show_states
from ..log import log_to_stderr
from ..providers.roll_call import Row, ask_after
from ..terminal import out


def try_keys(names: Sequence[str], *, as_json: bool) -> None:
    """Ask those named, or each that has a key. Exits."""
    ctx = click.get_current_context()
    log_to_stderr(debug=debugging(ctx))
    rows = anyio.run(lambda: ask_after(names, having_keys=True))
    if as_json:
        out(dumps({"providers": [row.as_json() for row in rows]}))
    else:
        show_states((row.name, _state(row), list(_lines(row))) for row in rows)
    if not rows:
        say("No provider that is ready has a key: pointsman keys list")
    ctx.exit(gravest(row.code for row in rows) if rows else Exit.KEY)


def _state(row: Row) -> str:
    if row.health is None:
        return row.state
    if isinstance(row.health.error, AuthFailed) or row.code is Exit.KEY:
        return "refused"
    match row.health.state:
        case HealthState.DOWN:
            return "down"
        case HealthState.UP | HealthState.DEGRADED:
            return "works"
        case _:  # Whoever starts has not looked at the key, and may not even have been asked.
            return "unknown"


def _lines(row: Row) -> Iterator[str]:
    if row.health is None:
        yield row.reason
        if row.unfit:
            yield another_key(row.name, row.unfit)
        return
    match _state(row):
        case "refused":
            yield f"{row.health.reason}; {another_key(row.name, row.keys, row.vendors)}"
        case "works":
            took = f" ({figures.seconds(row.took)})" if row.took is not None else ""
            yield f"{row.health.reason or 'its free probe was answered'}{took}"
        case "unknown":
            yield f"it cannot be told without spending tokens: {row.health.reason or 'there is no free probe'}"
        case _:
            yield row.health.reason
    yield "; ".join(f"{setting}: {origin}" for setting, origin in row.keys.items()) or "it needs no key"
