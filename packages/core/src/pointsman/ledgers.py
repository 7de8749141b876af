"""From a URL to the ledger there."""

from __future__ import annotations

from .errors import ConfigError
from .ledger import Ledger
from .plugins import Kind, Plugins

_PACKAGES = {"postgres": "pointsman-store-postgres", "postgresql": "pointsman-store-postgres"}
"""Stores of ours that are installed on their own."""


def open_ledger(url: str, *, plugins: Plugins | None = None) -> Ledger:
    """Open the ledger at `url`: ``sqlite:PATH``, ``memory:``, or what an installed store takes (``postgres://...``).

    It does I/O and is not for an event loop's thread. Raises `ConfigError` for a URL that nobody can open,
    `PluginError` for a store that is broken, `StoreError` if the ledger cannot be opened now.
    """
    plugins = Plugins.installed() if plugins is None else plugins
    scheme, colon, _ = url.partition(":")
    if not colon:
        raise ConfigError(f"a ledger's URL begins with sqlite:, memory: or another store's scheme, unlike {url!r}")
    if scheme in _PACKAGES and scheme not in plugins.names(Kind.STORE):
        package = _PACKAGES[scheme]
        raise ConfigError(f"a ledger at {scheme}: needs the package {package}: pip install {package}")
    return plugins.store(scheme).ledger(url)
