"""Verbs that other packages bring."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import click

from pointsman import PluginError
from pointsman.plugins import Kind, Plugins


def command(name: str) -> click.Command | None:
    """The click command behind the verb `name`, imported now; None if nobody brings one.

    Raises `ConfigError` if `[plugins] disable` names it, `PluginError` if it cannot be loaded.
    """
    plugins = Plugins.installed()
    if name not in plugins.names(Kind.COMMAND):
        return None
    from pointsman import Settings

    disabled = Settings.discover().plugins.disable
    if name in disabled:
        plugins = Plugins(plugins.infos(), disabled=disabled)  # It knows how to say so.
    entry = plugins.command(name).entry
    try:
        found = EntryPoint(name, entry, Kind.COMMAND).load()
    except Exception as error:
        raise PluginError(
            f"its command {entry} cannot be loaded: {type(error).__name__}: {error}", plugin=name
        ) from error
    if not isinstance(found, click.Command):
        raise PluginError(f"{entry} is no click command", plugin=name)
    return found
