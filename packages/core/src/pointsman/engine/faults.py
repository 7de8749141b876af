"""Whatever goes wrong around a plugin, as one of our errors: who did it, where, and without any secret."""

from __future__ import annotations

import math

from ..errors import PluginError, PointsmanError, Scope
from ..plugins import HookCallables
from ..types import StreamEvent
from .attempt import Attempt


def named(raised: Exception, hooks: HookCallables | None, attempt: Attempt) -> PointsmanError:
    """`raised` as one of our errors, laid at the door of whose bug it is. Survives exceptions that cannot be shown."""
    try:
        if hooks is not None:
            return hooks.blame.error(raised)
        if isinstance(raised, PointsmanError):
            raised.begun = False  # It was never opened.
            return raised
        text = f"it raised {type(raised).__name__}: {raised}"
    except Exception:
        text = f"it raised {type(raised).__name__}, which cannot be shown"
    error = PluginError(text, plugin=attempt.target.provider, scope=Scope.TARGET)
    error.__cause__ = raised
    return error


def locate(error: PointsmanError, attempt: Attempt) -> None:
    """Say in the error where it happened and what had arrived."""
    if error.target is None:
        error.target = attempt.target
        error.provider = error.provider or attempt.target.provider
    error.partial = error.partial or attempt.answer
    told: object = error.retry_at
    if not isinstance(told, int | float) or not math.isfinite(told):
        error.retry_at = None


def refuse_more(attempt: Attempt, event: StreamEvent) -> None:
    """What an attempt yields once it is over: a bug after its own end, and lost in the instant of a cancellation."""
    if attempt.finished:
        raise TypeError(f"a provider yields nothing after Finished, not {event!r}")
