"""Everything that can go wrong, sorted by what may be done about it.

::

    PointsmanError
     ├ ConfigError                 a setting is missing or wrong
     ├ PluginError                 a plugin broke its promise; `plugin` names it
     ├ RequestError                the request cannot be answered as it is
     │  ├ InvalidRequest
     │  ├ ContextOverflow          too long for this model; a larger context may take it
     │  └ Refused                  a content filter declined before any output
     ├ ProviderError               the vendor did not answer as it should
     │  ├ AuthFailed
     │  ├ QuotaExhausted
     │  ├ RateLimited
     │  ├ ModelGone
     │  ├ Unavailable
     │  ├ FirstTokenTimeout
     │  ├ Stalled
     │  ├ TooSlow
     │  └ StreamBroken             the answer ended without its proof of completeness
     ├ StoreError
     ├ BudgetExceeded
     ├ DeadlineExceeded
     ├ NoCandidates
     └ AllTargetsFailed            an exception group, in order of attempt

Facts steer the engine, not classes: `scope`, the widest thing that is broken; `retryable`, whether the same target may
succeed if it is asked again; `trips`, whether it is a sign of an outage; `begun`, whether the vendor may have begun to
do what was asked; `retry_at`. A new error therefore never edits the engine.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

from .types import Target

if TYPE_CHECKING:
    from .telemetry import AttemptRecord


class Scope(enum.IntEnum):
    """The widest thing that an error shows to be broken."""

    REQUEST = 1
    """No target will answer this; trying another is pointless."""
    TARGET = 2
    """This model at this provider; another may answer."""
    PROVIDER = 3
    """Everything at this provider; skip its other models too."""


class PointsmanError(Exception):
    """The root. Keyword arguments become attributes; all are optional.

    `retry_at` is in seconds on the client's monotonic clock (`ProviderContext.clock`). `partial` is the text that had
    arrived before a stream broke.
    """

    scope: Scope = Scope.REQUEST
    retryable: bool = False
    trips: bool = False
    """A sign of an outage: enough of these open the breaker of what `scope` names."""
    begun: bool = True
    """The vendor may have begun to do what was asked. What must not be done twice is then not asked of anybody else."""
    # Here too, for subclasses that do not call the constructor: the engine reads all of them.
    provider: str | None = None
    target: Target | None = None
    status: int | None = None
    request_id: str | None = None
    retry_at: float | None = None
    partial: str = ""
    attempts: tuple[AttemptRecord, ...] = ()
    """What became of each attempt, on an error that `chat` raises: there is no reply to ask."""

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        target: Target | None = None,
        status: int | None = None,
        request_id: str | None = None,
        retry_at: float | None = None,
        partial: str = "",
        scope: Scope | None = None,
        retryable: bool | None = None,
        begun: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider or (target.provider if target else None)
        self.target = target
        self.status = status
        self.request_id = request_id
        self.retry_at = retry_at
        self.partial = partial
        if scope is not None:
            self.scope = scope
        if retryable is not None:
            self.retryable = retryable
        if begun is not None:
            self.begun = begun

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with `args` alone, which keyword arguments without a default do not survive.
        return _revive, (type(self), *self.args), self.__dict__

    @property
    def message(self) -> str:
        """The sentence alone, without where it happened."""
        return str(self.args[0]) if self.args else ""

    @property
    def where(self) -> str | None:
        """What the sentence is about: the target, else the provider."""
        return str(self.target) if self.target else self.provider

    def __str__(self) -> str:
        where = self.where
        details = [f"status {self.status}"] if self.status else []
        if self.request_id:
            details.append(f"request id {self.request_id}")
        tail = f" ({', '.join(details)})" if details else ""
        return f"{where}: {self.message}{tail}" if where else f"{self.message}{tail}"


class ConfigError(PointsmanError):
    """A setting is missing or wrong; the message names it, where it came from, and what to set.

    `missing` is True if nothing is wrong but that a key, or another setting that must be given, is not there.
    """

    begun = False
    scope = Scope.PROVIDER
    missing: bool = False

    def __init__(self, message: str, *, missing: bool = False, **details: Any) -> None:
        super().__init__(message, **details)
        self.missing = missing


class PluginError(PointsmanError):
    """A plugin broke its promise: it failed to load, answered None, or raised what is not one of these errors."""

    trips = True
    scope = Scope.PROVIDER
    plugin: str = ""

    def __init__(self, message: str, *, plugin: str, **details: Any) -> None:
        super().__init__(message, **details)
        self.plugin = plugin

    @property
    def where(self) -> str | None:
        """The plugin."""
        return f"plugin {self.plugin}" if self.plugin else super().where


class RequestError(PointsmanError):
    """The request cannot be answered as it is. Never retried, never a reason to distrust the provider."""


class InvalidRequest(RequestError):
    """The vendor, or we before it, found the request malformed."""

    begun = False


class ContextOverflow(RequestError):
    """The prompt is longer than the model's context. Only a target with a larger context is tried next."""

    begun = False
    scope = Scope.TARGET


class Refused(RequestError):
    """A content filter declined before any output. It is an answer, not an outage: nobody else is asked."""


class ProviderError(PointsmanError):
    """The vendor did not answer as it should."""

    scope = Scope.TARGET


class AuthFailed(ProviderError):
    """The key is missing, wrong, expired, or not allowed to do this."""

    begun = False
    scope = Scope.PROVIDER


class QuotaExhausted(ProviderError):
    """The account has no money or credit left."""

    begun = False
    scope = Scope.PROVIDER


class RateLimited(ProviderError):
    """Too many requests or tokens for now; `retry_at` says until when, where the vendor told."""

    begun = False
    retryable = True


class ModelGone(ProviderError):
    """The model does not exist there, or not any more."""

    begun = False


class Unavailable(ProviderError):
    """The vendor could not be reached, or failed by itself (5xx)."""

    trips = True
    retryable = True


class FirstTokenTimeout(ProviderError):
    """Nothing meaningful arrived in time. A silent target is left, not asked again."""

    trips = True


class Stalled(ProviderError):
    """The stream stopped flowing after it had begun."""

    trips = True


class TooSlow(ProviderError):
    """The stream flows below the minimum speed."""

    trips = True


class StreamBroken(ProviderError):
    """The stream ended without the proof that its provider's terminal contract demands; `partial` holds the text."""

    trips = True
    retryable = True


class StoreError(PointsmanError):
    """A store cannot be opened, read or written now: it is full, locked, away, or not this version's."""

    begun = False
    scope = Scope.REQUEST


class BudgetExceeded(PointsmanError):
    """The call, or the next attempt of it, may cost more than is allowed."""


class DeadlineExceeded(PointsmanError):
    """The time for the whole call is over; its `__cause__` holds what the attempts had met."""


class NoCandidates(PointsmanError):
    """No target may take this request; the message says why for each.

    `none_ready` is True if the cause is that no provider is ready, rather than that none can do it.
    """

    none_ready: bool = False

    def __init__(self, message: str, *, none_ready: bool = False, **details: Any) -> None:
        super().__init__(message, **details)
        self.none_ready = none_ready


class AllTargetsFailed(PointsmanError, ExceptionGroup[PointsmanError]):
    """Every target failed. `exceptions` holds one error for each attempt, in order, then one for each target that could
    not be asked; `retry_at` is the earliest of theirs.
    """

    def __new__(cls, message: str, exceptions: Sequence[PointsmanError], **details: Any) -> Self:
        return super().__new__(cls, message, exceptions)

    def __init__(self, message: str, exceptions: Sequence[PointsmanError], **details: Any) -> None:
        super().__init__(message, **details)

    def derive(self, excs: Sequence[Any]) -> AllTargetsFailed:  # type: ignore[override]
        part = AllTargetsFailed(self.message, excs)
        part.__dict__.update(self.__dict__)
        return part

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.message, self.exceptions), self.__dict__

    def __str__(self) -> str:
        return f"{self.message}: {'; then '.join(str(error) for error in self.exceptions)}"


def _revive(kind: type[PointsmanError], *args: Any) -> PointsmanError:
    """An error as it was before it was pickled or copied; what it carries follows as its state."""
    return kind.__new__(kind, *args)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that says that `name` is not known: the nearest name that is, if one is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def error_for_status(status: int, message: str = "", **details: Any) -> PointsmanError:
    """The error that an HTTP status alone stands for, whatever the vendor; any other status is `Unavailable`.

    Statuses as in RFC 9110 and RFC 6585. A dialect that knows the body's codes refines this.
    """
    kind = _BY_STATUS.get(status) or (InvalidRequest if 400 <= status < 500 else Unavailable)
    error = kind(message or f"the server answered {status}", status=status, **details)
    if kind is Unavailable and status < 400:
        error.retryable = False  # A redirect or an empty success will not change by asking again.
    return error


_BY_STATUS: dict[int, type[PointsmanError]] = {
    401: AuthFailed,
    402: QuotaExhausted,
    403: AuthFailed,
    404: ModelGone,
    408: Unavailable,
    409: Unavailable,
    410: ModelGone,
    425: Unavailable,
    429: RateLimited,
}
