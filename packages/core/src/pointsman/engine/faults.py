"""Whatever goes wrong around a plugin, as one of our errors: who did it, where, and without any secret."""

from __future__ import annotations

from types import NoneType

from ..errors import PluginError, PointsmanError, Scope
from ..plugins import HookCallables
from ..types import Cost, Finished, ServerTimings, StreamEvent, Usage
from .attempt import Attempt
from .contain import own


def named(raised: Exception, hooks: HookCallables | None, attempt: Attempt) -> PointsmanError:
    """`raised` as an error of this attempt alone, laid at the door of whose bug it is.

    Survives exceptions that cannot be shown or copied, and errors that are not what they should be.
    """
    try:
        if hooks is not None:
            return own(hooks.blame.error(raised))
        if isinstance(raised, PointsmanError):
            error = own(raised)
            error.begun = False  # It was never opened.
            return error
        text = f"it raised {type(raised).__name__}: {raised}"
    except Exception:
        text = f"it raised {type(raised).__name__}, which cannot be shown, or says of itself what no error of ours does"
    error = PluginError(text, plugin=attempt.target.provider, scope=Scope.TARGET)
    error.__cause__ = raised
    return error


def locate(error: PointsmanError, attempt: Attempt) -> None:
    """Say in the error where it happened and what had arrived: what was read, which wrappers may have changed."""
    if error.target is None:
        error.target = attempt.target
        error.provider = error.provider or attempt.target.provider
    error.partial = attempt.answer


def refuse_more(attempt: Attempt, event: StreamEvent) -> None:
    """What an attempt yields once it is over: a bug after its own end, and lost in the instant of a cancellation."""
    if attempt.finished:
        raise TypeError(f"a provider yields nothing after Finished, not {event!r}")


def refuse_odd(said: Finished) -> None:
    """Raise `TypeError` for a `Finished` that carries something else than it should."""
    if (
        type(said.reason) is not str
        or type(said.usage) not in (Usage, NoneType)
        or type(said.cost) is not Cost
        or type(said.server) not in (ServerTimings, NoneType)
        or type(said.served) not in (str, NoneType)
    ):
        raise TypeError(f"Finished carries a reason, a Usage, a Cost, ServerTimings and a name, or None: not {said!r}")
