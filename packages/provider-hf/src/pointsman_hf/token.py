"""The token that Hugging Face's own tools have put down, found in the places where `huggingface_hub` looks.

In our own lines: that library may go to the network for a token (``HF_OIDC_RESOURCE``, a login about to expire), and
reads an environment that is not ours to choose. What it would do there is not done here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_LEGACY = "HUGGING_FACE_HUB_TOKEN"
_LONGEST = 4096
"""Bytes. A token has some 40; an OAuth token fewer than 2,000."""
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)


def stored(environ: Mapping[str, str]) -> Mapping[str, tuple[str, str]]:
    """``api_key`` with its place: the legacy variable, else the file of ``hf auth login``; nothing without both.

    As there, the legacy variable yields to an ``HF_TOKEN`` that is set to anything. Unlike there, a variable that is
    set to nothing names no folder, and a file that cannot be read is none.
    """
    if not environ.get("HF_TOKEN") and (token := _cleaned(environ.get(_LEGACY, ""))):
        return {"api_key": (token, _LEGACY)}
    path = _path(environ)
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            token = _cleaned(file.read(_LONGEST).decode(errors="replace"))
    except (OSError, ValueError):  # ValueError: a NUL in the name.
        return {}
    return {"api_key": (token, str(path))} if token else {}


def _path(environ: Mapping[str, str]) -> Path | None:
    """``HF_TOKEN_PATH``, else ``token`` in ``HF_HOME``, else in ``huggingface`` in the user's cache."""
    if own := environ.get("HF_TOKEN_PATH"):
        return _expanded(own, environ)
    if home := environ.get("HF_HOME"):
        folder = _expanded(home, environ)
    elif cache := environ.get("XDG_CACHE_HOME"):
        folder = _expanded(f"{cache}/huggingface", environ)
    else:
        folder = _expanded("~/.cache/huggingface", environ)
    return folder / "token" if folder else None


def _expanded(text: str, environ: Mapping[str, str]) -> Path | None:
    """`text` with ``~`` and variables filled in; None for a home that is not known."""
    if text == "~" or text.startswith("~/"):
        if not environ.get("HOME"):
            return None
        text = environ["HOME"].rstrip("/") + text[1:]
    return Path(_VARIABLE.sub(lambda found: environ.get(found[1] or found[2] or "", found[0]), text))


def _cleaned(text: str) -> str:
    return text.replace("\r", "").replace("\n", "").strip()
