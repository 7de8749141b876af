"""To be written."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman import Sink, hookimpl


@hookimpl
def pointsman_sinks() -> Sequence[Sink]:
    return []
