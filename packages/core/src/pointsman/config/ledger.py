"""Where the ledger is: what ``[ledger]`` says, or a file in the user's data folder."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

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
        url = f"sqlite:{quote(str(file))}"
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
    """The file behind a ``sqlite:`` URL; None for a ledger that is elsewhere."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)).expanduser().absolute() if parts.scheme == "sqlite" and parts.path else None


def without_password(url: str) -> str:
    """`url` as it may be shown."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}@{host}").geturl()


def _anchored(url: str, folder: Path) -> str:
    """A relative ``sqlite:`` path in a file of settings is relative to that file."""
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or parts.netloc or not parts.path or parts.path.startswith(("/", "~")):
        return url
    return parts._replace(path=quote(str(folder / unquote(parts.path)))).geturl()


def _harmless(url: str | None, folder: Path) -> bool:
    """Whether a file in `folder` may say so of itself, whoever wrote it."""
    if url is None:
        return False
    parts = urlsplit(_anchored(url, folder))
    if url == "none" or parts.scheme == "memory":
        return True
    inside = Path(os.path.normpath(unquote(parts.path))).is_relative_to(folder)
    return parts.scheme == "sqlite" and not parts.netloc and inside
