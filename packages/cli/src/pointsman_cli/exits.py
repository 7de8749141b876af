"""Exit codes, and which error means which: the one place that says so."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """What a process of ours ends with; `meaning` is what ``--help`` says about it."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UPSTREAM = 3
    KEY = 4
    LIMIT = 5
    TIMEOUT = 6
    THRESHOLD = 7
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """In a few words."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.OK: "done",
    Exit.FAILURE: "failed: the request was refused, a plugin is broken, or the ledger cannot be used",
    Exit.USAGE: "wrong usage, a wrong setting, or a settings file that cannot be read",
    Exit.UPSTREAM: "a provider is down, or broke off",
    Exit.KEY: "a key, or another setting that must be given, is missing or wrong",
    Exit.LIMIT: "a rate limit, a quota or a budget",
    Exit.TIMEOUT: "too slow, or the deadline is over",
    Exit.THRESHOLD: "a measured value misses its threshold",
    Exit.INTERRUPTED: "stopped by Ctrl-C",
}

GRAVEST_FIRST = (
    Exit.KEY,
    Exit.LIMIT,
    Exit.TIMEOUT,
    Exit.UPSTREAM,
    Exit.USAGE,
    Exit.FAILURE,
    Exit.THRESHOLD,
    Exit.INTERRUPTED,
    Exit.OK,
)
"""What stands for several failures. The first two do not go away by trying again, so they are what must be told."""


def gravest(codes: Iterable[Exit]) -> Exit:
    """The code that stands for all of `codes`."""
    return min(codes, key=GRAVEST_FIRST.index, default=Exit.OK)


def exit_code(error: BaseException) -> Exit:
    """The exit code of a process that ends with `error`."""
    import pointsman as p

    match error:
        case KeyboardInterrupt():
            return Exit.INTERRUPTED
        case p.AllTargetsFailed():
            return gravest(exit_code(one) for one in error.exceptions)
        case p.ConfigError():
            return Exit.KEY if error.missing else Exit.USAGE
        case p.NoCandidates():
            return Exit.KEY if error.none_ready else Exit.FAILURE
        case p.InvalidRequest() if error.where is None:
            return Exit.USAGE  # Refused here, before any provider saw it.
        case p.AuthFailed():
            return Exit.KEY
        case p.RateLimited() | p.QuotaExhausted() | p.BudgetExceeded():
            return Exit.LIMIT
        case p.DeadlineExceeded() | p.FirstTokenTimeout() | p.Stalled() | p.TooSlow():
            return Exit.TIMEOUT
        case p.ProviderError():
            return Exit.UPSTREAM
        case _:
            return Exit.FAILURE
