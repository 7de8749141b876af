"""The policies of this package, as Pointsman finds them. Settings, and what classifies, load when they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pointsman import Policy, PolicySpec, hookimpl

if TYPE_CHECKING:
    from .settings import ScoredSettings


@hookimpl
def pointsman_policies() -> Sequence[Policy | PolicySpec[Any]]:
    from .keywords import Keywords
    from .settings import ScoredSettings

    return [PolicySpec(name="scored", config=ScoredSettings, make=_scored), Keywords()]


def _scored(settings: ScoredSettings) -> Policy:
    from .classification import classify
    from .scored import Scored

    try:
        classify("Why?")  # All that words need is loaded here: a decision may take milliseconds, and touches no file.
    except Exception as error:
        why = f"a file of the package cannot be read ({type(error).__name__}: {error})"
        raise RuntimeError(f"{why}: install pointsman-policy again") from error
    return Scored(settings, classify, version=_version())


def _version() -> str:
    """Of this package, and of the models in it."""
    from hashlib import blake2b
    from importlib.metadata import version
    from importlib.resources import files

    models = blake2b(digest_size=8)
    for file in sorted(files("pointsman_policy").iterdir(), key=lambda file: file.name):
        if file.name.endswith((".model", ".json", ".txt")):
            models.update(file.read_bytes())
    return f"{version('pointsman-policy')} {models.hexdigest()}"
