"""``pointsman modal stop``: the app ends, the weights stay."""

from __future__ import annotations

import json

import click

from pointsman import CommandHost

from ..deploy import control
from ..deploy.plan import volume_of
from ..deploy.sdk import NotDeployed
from .configured import SETTINGS, command, deployed
from .screen import Screen, ask, tell


def stop_app(provider: str, host: CommandHost | None, *, forget: bool, yes: bool, as_json: bool) -> None:
    """Stop it, and with `forget` remove from the settings what leads there. One that is stopped already is no failure
    then.
    """
    if forget and host is None:
        raise click.UsageError("run it as `pointsman modal stop`: what --forget changes, the command changes")
    _, place = deployed(provider)
    if not yes and not ask(f"Stop {place}? Its address answers nobody then.", otherwise="--yes stops without asking"):
        tell("Nothing was done.")
        raise click.exceptions.Exit(1)
    stopped, volume = True, volume_of(place.app)
    try:
        with Screen().step(f"stopping {place}"):
            control.stop(place)
    except NotDeployed as error:
        if not forget:
            raise
        stopped = False
        tell(f"{error.message}; so there is nothing to stop.")
    file = host.store_settings(provider, dict.fromkeys(SETTINGS)) if forget and host else None
    if as_json:
        told = {"provider": provider, "app": place.app, "environment": place.environment}
        click.echo(json.dumps({**told, "stopped": stopped, "forgotten": forget, "volume": volume}))
        return
    if stopped:
        click.echo(f"{place} is stopped, and nothing of it is billed but its weights")
    tell(f"The weights stay in the Volume {volume}: `modal volume delete {volume}` removes them.")
    if file:
        tell(f"{file} leads there no more. Its proxy token is kept: `pointsman keys rm {provider}` removes it.")
    else:
        forgets, deploys = command("stop --forget", provider), command("deploy", provider)
        tell(f"Your settings lead there still: `{forgets}` removes that, `{deploys}` starts it again.")
