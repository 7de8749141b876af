"""`pointsman plugins new`: a package to begin with is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import click

from pointsman import Plugins
from pointsman.config.settings import POLICY, SECTIONS
from pointsman.plugins import Kind

from ..as_json import dumps
from ..listing import say
from ..terminal import out
from .rendering import LONGEST, rendered

KINDS: Mapping[str, Kind] = {
    "provider": Kind.PROVIDER,
    "openai": Kind.PROVIDER,
    "policy": Kind.POLICY,
    "wrapper": Kind.WRAPPER,
}
"""Template -> what it is a plugin of."""

OURS = {
    *("blaxel", "hf", "llamacpp", "modal", "ollama", "openai", "sambanova"),
    *("bench", "cli", "gateway", "policy", "store-postgres", "store-redis", "telemetry", "testing"),
}
"""``pointsman-...`` is a package of this project, which exists or is meant to."""


def write_plugin(name: str, template: str, folder: Path, *, as_json: bool) -> None:
    """Write the package into `folder`, and say what comes next. Raises `click.UsageError` if that would do harm."""
    if why := why_not(name) or _taken(name, KINDS[template]):
        raise click.UsageError(why, click.get_current_context())
    package = folder / f"pointsman-{name}"
    if package.exists() and (not package.is_dir() or any(package.iterdir())):
        raise click.UsageError(f"{package} exists{_with(package)}: nothing was written", click.get_current_context())
    texts = rendered(template, name)
    try:
        for path, text in texts.items():
            place = package / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8", newline="\n")
    except OSError as error:
        rest = ". Remove what is there of it before you try again" if package.exists() else ""
        raise click.ClickException(f"{package} cannot be written: {error}{rest}") from None
    if as_json:
        kind = KINDS[template].word
        out(dumps({"package": package.name, "kind": kind, "folder": str(package.resolve()), "files": [*texts]}))
        return
    for path in texts:
        out(str(package / path))
    say(
        f'Next:\n  cd {_quoted(package)}\n  pip install -e . "pointsman-testing[kit]"\n  pytest\n'
        "Then change what it says: its README tells you where."
    )


def why_not(name: str) -> str | None:
    """Why no plugin can be called `name`; None if one can."""
    if bare := re.fullmatch("pointsman[-_](.+)", name.lower()):
        return f"leave out what {name!r} begins with: the package is called pointsman-{bare[1]} then"
    if not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        rule = "begins with a small letter, and is made of those (a to z), digits, and single dashes between them"
        return f"{name!r} is no name for a plugin: one {rule}" + (f". Try {near}" if (near := _like(name)) else "")
    if len(name) > LONGEST:
        return f"{name!r} has {len(name)} letters: a name of a plugin has at most {LONGEST}"
    if name in (*SECTIONS, POLICY):
        return f"a plugin cannot be called {name!r}: [{name}] is a section of the settings. Choose another name"
    if name in OURS:
        return f"pointsman-{name} is a package of Pointsman itself. Choose another name"
    return None


def _like(name: str) -> str:
    """A name as near to `name` as one can be; empty if nothing of it is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", plain).lstrip("-0123456789")[:LONGEST].rstrip("-")


def _taken(name: str, kind: Kind) -> str | None:
    for info in Plugins.installed().infos():
        if (info.kind, info.name) == (kind, name):
            return (
                f"a {kind.word} called {name!r} is installed, by {info.origin}, and where two have one name neither "
                "works. Choose another name, or uninstall that one"
            )
    return None


def _with(package: Path) -> str:
    """What is in there, in a few words."""
    if not package.is_dir():
        return " and is no folder"
    names = sorted(one.name for one in package.iterdir())
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f" and holds {', '.join(names[:3])}{more}"


def _quoted(path: Path) -> str:
    from shlex import quote

    return quote(str(path))
