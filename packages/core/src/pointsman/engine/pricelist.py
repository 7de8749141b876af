"""What vendors' lists said last of prices, kept between processes: a file for each provider and address.

A file is replaced whole, so that whoever reads it meanwhile reads the old one; of several who write, the last one wins.
It is a convenience and no record: what is wrong with one is said in the log, and the next list takes its place.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..cost import Price, price_as_json, price_of_json
from ..home import expanded

log = logging.getLogger("pointsman")

LONGEST = 16 * 1024 * 1024
"""Bytes. Hugging Face's list, the longest of ours, makes a fiftieth of that."""
_VERSION = 1


def folder(environ: Mapping[str, str]) -> Path | None:
    """Where they are kept: ``POINTSMAN_CACHE``, else in the user's cache folder. None if the environment has neither
    that nor this process's own home, as in a program that hands over an environment of its own making. Raises
    `ConfigError` for the home of somebody who is not there.
    """
    if chosen := environ.get("POINTSMAN_CACHE"):
        return expanded(chosen, "POINTSMAN_CACHE") / "prices"
    home = "USERPROFILE" if os.name == "nt" else "HOME"
    if not environ.get(home) or environ[home] != os.environ.get(home):
        return None
    from platformdirs import user_cache_path

    return user_cache_path("pointsman") / "prices"


def place(folder: Path, provider: str, address: str) -> Path:
    """The file for that provider at that address. Names may differ in case alone, which not every disk can tell."""
    return folder / f"{provider}-{sha256(f'{provider} {address}'.encode()).hexdigest()[:12]}.json"


def read(path: Path) -> dict[str, Price]:
    """Prices by model; {} if there is no such file, or none that could be read."""
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise ValueError(f"it is longer than {LONGEST} bytes")
        said: Any = json.loads(text)
        if said["version"] != _VERSION:
            raise ValueError(f"it is of version {said['version']!r}")
        return {str(model): price_of_json(price) for model, price in said["prices"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        log.warning("the prices in %s are left out: %s: %s", path, type(error).__name__, error)
        return {}


def write(path: Path, prices: Mapping[str, Price]) -> bool:
    """Replace the file. False if it cannot be written, which the log says."""
    said = {"version": _VERSION, "prices": {model: price_as_json(prices[model]) for model in sorted(prices)}}
    aside: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(said, file, indent=1)
        os.replace(aside, path)
    except OSError as error:
        log.warning("the prices cannot be kept in %s: %s", path.parent, error.strerror or error)
        if aside is not None:
            with suppress(OSError):
                os.unlink(aside)
        return False
    return True
