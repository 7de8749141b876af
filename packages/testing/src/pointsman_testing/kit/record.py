"""Ask a real vendor once, and keep what it said: ``python -m pointsman_testing.kit.record --help``.

Keys and addresses come from the environment and the files of settings, as for any program. What the plugin asks at
`base_url` is recorded; what it asks elsewhere is not.
"""

from __future__ import annotations

import argparse
import datetime
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import anyio
from pydantic import BaseModel, SecretStr

from pointsman import AsyncClient, Plugins, PointsmanError, Settings, Target

from .leaks import Leaks
from .recording import Recording, ask
from .relay import relaying


async def make(
    settings: Settings,
    target: Target,
    prompt: str,
    options: Mapping[str, Any],
    *,
    command: str,
    server: str = "",
    plugins: Plugins | None = None,
) -> str:
    """The text of a recording of one call.

    Raises `PointsmanError` if the provider is not set up, `ValueError` if no answer came as it can be kept, or if a key
    shows in what would be written.
    """
    roster = AsyncClient(settings=settings, plugins=plugins).roster
    made, plugin = roster.configured(target.provider), roster.declared(target.provider).spec.name
    upstream = str(getattr(made.config, "base_url", ""))
    table = {"plugin": plugin, **{name: _plain(getattr(made.config, name)) for name in made.origins}}
    async with relaying(upstream) as relay:
        near = {"providers": {target.provider: {**table, "base_url": relay.base_url}}, "engine": {"retries": 0}}
        async with AsyncClient(settings=Settings.of(near), plugins=plugins) as client:
            outcome = await ask(client, target, prompt, options)
    recording = Recording(
        made=datetime.datetime.now(datetime.UTC).date().isoformat(),
        command=command,
        server=server,
        provider=plugin,  # Whoever plays it knows no provider by another name.
        model=target.model,
        prompt=prompt,
        options=options,
        prefix=relay.prefix,
        exchanges=tuple(relay.exchanges),
        outcome=outcome,
    )
    if relay.troubles:
        raise ValueError(f"{upstream} was asked, and {'; '.join(relay.troubles)}: {outcome}")
    if not recording.exchanges:
        raise ValueError(f"nothing was asked at {upstream}: {outcome}")
    text, leaks = recording.text(), Leaks(made.hidden)
    bodies = (b"".join(data for _, data in one.body).decode("latin-1") for one in recording.exchanges)
    if seen := next(filter(None, map(leaks.find, (text, *bodies))), None):
        raise ValueError(f"a key would be in the recording: {seen!r}")
    return text


def _plain(value: Any) -> Any:
    """A setting as it was written."""
    match value:
        case SecretStr():
            return value.get_secret_value()
        case BaseModel():
            return {name: _plain(one) for name, one in dict(value).items() if name in value.model_fields_set}
        case Mapping():
            return {name: _plain(one) for name, one in cast(Mapping[str, Any], value).items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(one) for one in cast(Sequence[Any], value)]
        case _:
            return value


def main() -> None:
    """Record what the arguments say."""
    parser = argparse.ArgumentParser(
        prog="python -m pointsman_testing.kit.record", description=(__doc__ or "").partition("\n")[0].replace("``", "")
    )
    parser.add_argument("--provider", required=True, help="its name, as in provider/model")
    parser.add_argument("--model", required=True)
    parser.add_argument(
        "--out", required=True, type=Path, help="the file to write, such as tests/recordings/hello.json"
    )
    parser.add_argument("--server", default="", help="who answers, with its version, for whoever reads the file")
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("prompt")
    args = parser.parse_args()
    options = {} if args.max_tokens is None else {"max_tokens": args.max_tokens}
    command = f"python -m pointsman_testing.kit.record {shlex.join(sys.argv[1:])}"

    async def run() -> str:
        target = Target(args.provider, args.model)
        return await make(Settings.discover(), target, args.prompt, options, command=command, server=args.server)

    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(anyio.run(run), encoding="utf-8")
    except (PointsmanError, ValueError, OSError) as error:
        raise SystemExit(f"nothing was written: {error}") from None
    print(args.out)


if __name__ == "__main__":
    main()
