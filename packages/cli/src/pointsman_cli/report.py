"""An error, for a person: what failed and where, the likely cause, and what to do next. Never a traceback unasked."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pointsman as p

from .exits import Exit, exit_code
from .listing import wrapped
from .terminal import is_terminal, note, styled

if TYPE_CHECKING:
    from pointsman.engine.roster import Roster


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What whoever reads an advice can do, in the words of where they are."""

    several: str
    model: str
    this_model: str
    models: str
    again: str
    keys: str
    restart: str
    deadline: str
    shorter: str
    debug: str


COMMAND = Means(
    several="name several targets, each with -m, and the next one is asked when one fails",
    model="name another model with -m",
    this_model="did you mean {target}?",
    models="name one of {targets}",
    again="try again",
    keys="",
    restart="--on-break restart starts the answer anew, with the next target if there is one",
    deadline="a longer --deadline, or a faster target",
    shorter="a shorter prompt, or a model with a larger context",
    debug="run it again with --debug, and report what it shows",
)


def alone(error: BaseException) -> BaseException:
    """The error inside of groups that hold one only, as a task group makes them around whatever its body raises."""
    inside: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    if len(inside) != 1 or isinstance(error, p.PointsmanError):
        return error
    return alone(inside[0])


def report(
    error: BaseException,
    *,
    debug: bool,
    roster: Roster | None,
    told: Sequence[BaseException] = (),
    means: Means = COMMAND,
) -> Exit:
    """Say on stderr what went wrong. Returns the exit code for it.

    `roster` explains errors of its providers; `told` are errors that have been shown already; `means` words the advice.
    """
    code = exit_code(error)
    if code is Exit.INTERRUPTED:
        note("\nInterrupted." if is_terminal(sys.stderr) else "Interrupted.")  # After the terminal's own ^C.
        return code
    if debug:
        note("".join(traceback.format_exception(error)).rstrip())
    first, *rest = _lines(error, roster, told=told, means=means)
    lines = [_fitted(f"Error: {first}", "  "), *(_fitted(f"  {line}", " " * 9) for line in rest)]
    sys.stderr.write(styled("Error:", sys.stderr, fg="red"))
    note("\n".join(lines).removeprefix("Error:"))
    return code


def log_to_stderr(*, debug: bool) -> None:
    """Show warnings of core and plugins as notes; their tracebacks only if they are wanted."""
    handler = _Notes()
    handler.setFormatter(_Formatter(debug))
    root = logging.getLogger()
    root.handlers[:] = [one for one in root.handlers if not isinstance(one, _Notes)] + [handler]


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            note(f"{record.levelname.capitalize()}: {self.format(record)}", dim=True)


class _Formatter(logging.Formatter):
    def __init__(self, debug: bool) -> None:
        super().__init__()
        self._debug = debug

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record) if self._debug else record.getMessage()


def _fitted(line: str, margin: str) -> str:
    """`line`, broken between words on a terminal; elsewhere it is left whole for whoever searches it."""
    if not is_terminal(sys.stderr):
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return wrapped(line.lstrip(), indent, margin)


def _lines(
    error: BaseException, roster: Roster | None, *, told: Sequence[BaseException], means: Means
) -> Iterator[str]:
    explained = error
    yield error.message if isinstance(error, p.AllTargetsFailed) else _sentence(error)
    match error:
        case p.AllTargetsFailed():
            yield from (str(one) for one in error.exceptions if one not in told)
            code = exit_code(error)  # What stands for all of them is what is explained.
            explained = next(one for one in error.exceptions if exit_code(one) is code)
        case p.DeadlineExceeded(__cause__=p.AllTargetsFailed() as cause):
            yield from (str(one) for one in cause.exceptions if one not in told)
        case p.DeadlineExceeded(__cause__=p.PointsmanError() as cause) if cause not in told:
            yield str(cause)
        case _:
            pass
    yield from getattr(error, "__notes__", ())
    for label, text in _advice(explained, roster, means):
        yield f"{label + ':':<6} {text}"


def _sentence(error: BaseException) -> str:
    if isinstance(error, p.PointsmanError | OSError):
        return str(error)
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _advice(error: BaseException, roster: Roster | None, means: Means) -> Iterator[tuple[str, str]]:
    match error:
        case p.AuthFailed():
            yield "cause", f"the key{_origin(error, roster)} is wrong, expired, or not allowed to do this"
            yield (
                "next",
                f"pointsman keys set {error.provider or 'PROVIDER'}, with one that works"
                f"{means.keys}{_help(error, roster)}",
            )
        case p.QuotaExhausted():
            yield "cause", "the account has no money or credit left"
            yield "next", f"add credit with the vendor; or {means.several}"
        case p.RateLimited():
            wait = 0 if error.retry_at is None else error.retry_at - time.monotonic()
            yield "cause", "too many requests or tokens for now"
            yield "next", f"{f'wait {wait:.0f} s' if wait >= 1 else 'wait a little'}; or {means.several}"
        case p.ModelGone():
            known = _models(error, roster)
            asked = error.target.model if error.target else ""
            known = [model for model in known if model != asked]
            near = get_close_matches(asked, known, n=1)
            yield "cause", "no such model there, or not any more"
            targets = [f"{error.provider}/{model}" for model in near or known]
            if near:
                yield "next", means.this_model.format(target=targets[0])
            else:
                yield "next", means.models.format(targets=", ".join(targets)) if known else means.model
        case p.FirstTokenTimeout() | p.Stalled() | p.TooSlow():
            yield "cause", "the provider is overloaded, or still loading the model"
            yield "next", f"{means.again}; or {means.several}"
        case p.StreamBroken():
            yield "cause", "the connection ended before the answer was whole; what arrived is incomplete"
            yield "next", means.restart
        case p.Unavailable():
            yield "cause", "the provider cannot be reached, or fails by itself"
            yield "next", f"pointsman providers check; or {means.several}"
        case p.DeadlineExceeded():
            yield "next", means.deadline
        case p.ContextOverflow():
            yield "next", means.shorter
        case p.Refused():
            yield "next", "another wording: a content filter is an answer, so nobody else is asked"
        case p.ConfigError(missing=True):
            yield "next", "set it; `pointsman keys set` stores a key, and `pointsman demo` needs nothing at all"
        case p.NoCandidates(none_ready=True):
            yield "next", "set one of these, or see it work without any: pointsman demo"
        case p.PluginError():
            yield "next", "`pointsman plugins` shows all; [plugins] disable in pointsman.toml leaves one out"
        case p.PointsmanError() | OSError():
            pass
        case _:
            yield "cause", "a bug, in Pointsman or in a plugin"
            yield "next", means.debug


def _origin(error: p.PointsmanError, roster: Roster | None) -> str:
    """Where the key came from: `` from environment SAMBANOVA_API_KEY``."""
    if roster is None or error.provider is None:
        return ""
    try:
        made = roster.configured(error.provider)
    except p.PointsmanError:
        return ""
    places = [str(made.origins[setting]) for setting in made.secrets if setting in made.origins]
    return f" from {' and '.join(places)}" if places else ""


def _help(error: p.PointsmanError, roster: Roster | None) -> str:
    """Where a key is made, if the provider is one that hands out keys."""
    if roster is None or error.provider is None:
        return ""
    spec = roster.declared(error.provider).spec
    return f". {spec.help}" if spec.help and spec.env_keys else ""


def _models(error: p.PointsmanError, roster: Roster | None) -> list[str]:
    if roster is None or error.provider is None:
        return []
    return [model.id for model in roster.declared(error.provider).spec.models]
