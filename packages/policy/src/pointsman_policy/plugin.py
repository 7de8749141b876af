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
    from importlib.metadata import version

    from .classification import classify
    from .scored import Scored

    classify("")  # Its model is loaded here: a decision may take milliseconds, and touches no file.
    return Scored(settings, classify, version=version("pointsman-policy"))
