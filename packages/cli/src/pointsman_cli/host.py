"""What the command lends to verbs of other packages, as ``ctx.obj``: its own way of changing files of the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointsman import CommandHost


class Host:
    """See `pointsman.CommandHost`. Nothing is imported before it is used: each verb finds one."""

    def store_settings(self, provider: str, values: Mapping[str, Any]) -> str:
        from .settings.several import store_settings

        return store_settings(provider, values)

    def store_keys(self, provider: str, values: Mapping[str, str]) -> str:
        from .keys.store import store_keys

        return store_keys(provider, values)


def host() -> CommandHost:
    """The one of this process."""
    return Host()
