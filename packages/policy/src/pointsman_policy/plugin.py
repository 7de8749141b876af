"""The policies of this package, as Pointsman finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pointsman import Policy, PolicySpec, hookimpl


@hookimpl
def pointsman_policies() -> Sequence[Policy | PolicySpec[Any]]:
    return []
