"""Where the ledger is: what ``[ledger]`` says, or a file in the user's data folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

from ..errors import ConfigError
from .layers import PROJECT_FILE
from .settings import Settings

_FOLDERS = ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_DATA_HOME")
"""Variables that say where a user's folders are."""


def ledger_url(settings: Settings) -> str | None:
    """The URL of the ledger that clients with these settings keep; None if they keep none.

    Without ``[ledger] url`` that is ``ledger.db`` in the user's data folder; but settings that were made without this
    process's environment know of no user. Raises `ConfigError` for what a stranger's project must not decide.
    """
    chosen = settings.ledger
    for setting in ("url", "texts"):
        origin = settings.origin("ledger", setting)
        if origin is not None and origin.kind == PROJECT_FILE and not _harmless(chosen.url, Path(origin.where).parent):
            raise ConfigError(
                f"[ledger] {setting} from {origin}: a project's file may be a stranger's, so it decides only of a file "
                "in its own folder (sqlite:NAME) or none; set it in the environment or in your own file"
            )
    if chosen.url == "none":
        return None
    origin = settings.origin("ledger", "url")
    if chosen.url is not None and origin is not None:
        url = _anchored(chosen.url, Path(origin.where).parent) if origin.kind.endswith("file") else chosen.url
    elif (file := default_file(settings)) is not None:
        url = f"sqlite:{_quoted(file)}"
    else:
        return None
    if chosen.sync == "normal" or not url.startswith("sqlite:"):
        return url
    return f"{url}{'&' if '?' in url else '?'}sync={chosen.sync}"


def default_file(settings: Settings) -> Path | None:
    """The ledger of whoever says nothing of one. None where the settings' environment is not this process's."""
    environ = settings.environ
    if not environ or any(environ.get(name) != os.environ.get(name) for name in _FOLDERS):
        return None
    from platformdirs import user_data_path

    return user_data_path("pointsman") / "ledger.db"


def ledger_file(url: str) -> Path | None:
    """The file behind a ``sqlite:`` URL; None if the ledger is elsewhere. Raises `ConfigError` as opening it does."""
    if not url.startswith("sqlite:"):
        return None
    from ..ledger.sqlite import sqlite_file

    return sqlite_file(url)[0]


def without_password(url: str) -> str:
    """`url` as it may be shown. A password may hold what should have been percent-encoded, and no parser find it."""
    return _PASSWORD.sub("[redacted]", _USER.sub(r"\1@", url))


_USER = re.compile(r"(?<=://)([^:@/?#]*):.*@", re.DOTALL)
_PASSWORD = re.compile(r"(?<=password=)[^&]+", re.IGNORECASE)
"""libpq takes it among the options, too."""


def _anchored(url: str, folder: Path) -> str:
    """A relative ``sqlite:`` path in a file of settings is relative to that file."""
    scheme, _, rest = url.partition(":")
    path, mark, options = rest.partition("?")
    if scheme != "sqlite" or not path or path.startswith(("/", "~")):
        return url
    return f"sqlite:{_quoted(folder.absolute() / _unquoted(path))}{mark}{options}"


def _harmless(url: str | None, folder: Path) -> bool:
    """Whether a file in `folder` may say so of itself, whoever wrote it: a link in there leads somewhere, too."""
    if url is None:
        return False
    scheme, _, rest = _anchored(url, folder).partition(":")
    if url == "none" or scheme == "memory":
        return True
    path = _unquoted(rest.partition("?")[0])
    if scheme != "sqlite" or path.startswith("~") or "\0" in path:
        return False
    if path.startswith("//") and not path.startswith("///"):  # It names a host.
        return False
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _quoted(path: Path) -> str:
    return quote(os.fsencode(path))


def _unquoted(path: str) -> str:
    return unquote(path, errors="surrogateescape")
