"""An error, for a person: what failed and where, the likely cause, and what to do next. Never a traceback unasked."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import pointsman as p
from pointsman.config import Origin
from pointsman.config.settings import files

from .advice import (
    another_key,
    hands_out_keys,
    install,
    keys_of,
    mend,
    missing,
    set_commands,
    start,
    unfit_key,
    unknown_provider,
)
from .exits import Exit, exit_code
from .listing import wrapped
from .settings.names import dotted
from .terminal import is_terminal, note, styled

if TYPE_CHECKING:
    from pointsman.engine.roster import Roster


class Means(NamedTuple):
    """What whoever reads an advice can do, in the words of where they are."""

    several: str
    others: str
    model: str
    this_model: str
    listing: str
    again: str
    keys: str
    restart: str
    deadline: str
    shorter: str
    debug: str


COMMAND = Means(
    several="name several targets, each with -m, and the next one is asked when one fails",
    others="add a target of another provider, to [routing] targets or with one more -m",
    model="name another model with -m",
    this_model="did you mean {target}?",
    listing="pointsman models {provider} lists what is there",
    again="try again",
    keys="",
    restart="--on-break restart starts the answer anew, with the next target if there is one",
    deadline="a longer --deadline, or a faster target",
    shorter="a shorter prompt, or a model with a larger context",
    debug="run it again with --debug, and report what it shows",
)


OTHER = COMMAND._replace(
    several="use another provider",
    others="use another provider",
    model="name another model",
    listing="",
    restart="run it again",
)
"""For the verbs of other packages, which need not have ``-m`` nor ``--on-break``."""


def alone(error: BaseException) -> BaseException:
    """The error inside of groups that hold one only, as a task group makes them around whatever its body raises.

    A Ctrl-C that met Python 3.11 in a `__set_name__` comes out as the cause of a `RuntimeError`: it is still one.
    """
    if isinstance(error.__cause__, KeyboardInterrupt):
        return error.__cause__
    inside: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    if len(inside) != 1 or isinstance(error, p.PointsmanError):
        return error
    return alone(inside[0])


def known_to(error: BaseException) -> Roster | None:
    """The providers, for an error about one of them that a verb of another package raised; None if nobody can say."""
    if getattr(error, "provider", None) is None:
        return None
    from pointsman.client import AsyncClient

    with suppress(p.PointsmanError):
        return AsyncClient().roster
    return None


def words_of(error: BaseException) -> str:
    """What an error says, but not where it happened; of one that is not ours its kind too: it may have no words."""
    return error.message if isinstance(error, p.PointsmanError) else f"{type(error).__name__}: {error}".rstrip(": ")


def report(
    error: BaseException,
    *,
    debug: bool,
    roster: Roster | None,
    told: Sequence[BaseException] = (),
    means: Means = COMMAND,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> Exit:
    """Say on stderr what went wrong. Returns the exit code for it.

    `roster` explains errors of its providers; `told` are errors that have been shown already; `means` words the advice,
    and `options` are those of the call, so that nobody is advised to do what was just done.
    """
    means = _fit(means, error, roster, options)
    error = _wrong_setting(error, roster) or error
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


def _fit(means: Means, error: BaseException, roster: Roster | None, options: Mapping[str, Any]) -> Means:
    """`means`, without what was done already, or would not be done."""
    if not isinstance(error, p.PointsmanError):
        return means
    if error.begun and _is_asked_once(error, roster):
        once = f"{error.target} is asked once, for asking twice may do a thing twice: see what it did, then ask again"
        return means._replace(several=once, others=once, again=once, restart=once)
    if not isinstance(options.get("model", ""), str):
        means = means._replace(several=means.others)
    on_break = options.get("on_break") or (roster.settings.engine.on_break if roster and options else None)
    return means._replace(restart=f"{means.again}; or {means.several}") if on_break == "restart" else means


def _is_asked_once(error: p.PointsmanError, roster: Roster | None) -> bool:
    spec = _spec(error, roster)
    return spec is not None and error.target is not None and not spec.family(error.target.model).idempotent


def _wrong_setting(error: BaseException, roster: Roster | None) -> p.ConfigError | None:
    """The wrong setting for which nobody is ready: what somebody has set up goes before what nobody has.

    Where a file or a variable of ours says it, core raises it by itself. Over a provider that only the vendor's own
    variable sets up, such as SAMBANOVA_API_KEY, it passes, since that may be there for another program.
    """
    if roster is None or not isinstance(error, p.NoCandidates) or not error.none_ready:
        return None
    for name in roster.names:
        try:
            roster.configured(name)
        except p.ConfigError as found:
            if not found.missing:
                return found
        except p.PluginError:
            pass
    return None


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
            yield from _each_once(one for one in error.exceptions if one not in told)
            code = exit_code(error)  # What stands for all of them is what is explained.
            explained = next(one for one in error.exceptions if exit_code(one) is code)
            if all(isinstance(one, p.Unavailable) for one in error.exceptions):
                explained = error
            means = means._replace(several=means.others)
        case p.DeadlineExceeded(__cause__=p.AllTargetsFailed() as cause):
            yield from _each_once(one for one in cause.exceptions if one not in told)
        case p.DeadlineExceeded(__cause__=p.PointsmanError() as cause) if cause not in told:
            yield str(cause)
        case _:
            pass
    own = False
    for said in getattr(error, "__notes__", ()):
        label, colon, text = said.partition(": ")
        advises = label in ("cause", "next") and bool(colon)
        own = own or advises
        yield f"{label + ':':<6} {text}" if advises else said
    for label, text in () if own else _advice(explained, roster, means):  # Who raised it may know better.
        yield f"{label + ':' if label else '':<6} {text}"


def _each_once(errors: Iterable[BaseException]) -> Iterator[str]:
    """What they say; what several say is said once, with how often it was tried."""
    same: dict[tuple[object, ...], list[BaseException]] = {}
    for one in errors:
        gist = (one.where, one.message, one.status) if isinstance(one, p.PointsmanError) else (str(one),)
        same.setdefault(gist, []).append(one)
    for several in same.values():
        yield f"{several[-1]}{f' (tried {len(several)} times)' if len(several) > 1 else ''}"


def _sentence(error: BaseException) -> str:
    return str(error) if isinstance(error, p.PointsmanError | OSError) else words_of(error)


def _advice(error: BaseException, roster: Roster | None, means: Means) -> Iterator[tuple[str, str]]:
    match error:
        case p.AuthFailed():
            keys, spec = _keys(error, roster), _spec(error, roster)
            where = f" from {' and '.join(map(str, keys.values()))}" if keys else ""
            wrong = f"the key{where} is wrong, expired, or not allowed to do this"
            yield "cause", wrong if keys or spec is None else "it asks for a key, and none is set"
            advice = another_key(error.provider or "PROVIDER", keys, spec.env_keys if spec else ())
            yield "next", f"{advice}{means.keys}{_help(error, roster)}"
        case p.QuotaExhausted():
            yield "cause", "the account has no money or credit left"
            yield "next", f"add credit with the vendor; or {means.several}"
        case p.RateLimited():
            wait = 0 if error.retry_at is None else error.retry_at - time.monotonic()
            yield "cause", "too many requests or tokens for now"
            yield "next", f"{f'wait {wait:.0f} s' if wait >= 1 else 'wait a little'}; or {means.several}"
        case p.ModelGone() if "right address?" in error.message:
            yield "cause", "something else answers there, or the address lacks a part, such as /v1 at its end"
            yield "next", f"correct base_url{_whence(error, roster)}; pointsman providers check asks it"
        case p.ModelGone():
            asked = error.target.model if error.target else ""
            near = get_close_matches(asked, [model for model in _models(error, roster) if model != asked], n=1)
            yield "cause", "no such model there, or not any more"
            yield "next", means.this_model.format(target=f"{error.provider}/{near[0]}") if near else means.model
            if error.provider and means.listing:
                yield "", means.listing.format(provider=error.provider)
        case p.FirstTokenTimeout():
            yield "cause", "the provider is overloaded, or still loading the model"
            yield "next", _either(means.again, means.several)
        case p.Stalled() | p.TooSlow():
            yield "cause", "the provider is overloaded; what arrived is incomplete"
            yield "next", means.restart
        case p.StreamBroken():
            yield "cause", "the connection ended before the answer was whole; what arrived is incomplete"
            yield "next", means.restart
        case p.Unavailable():
            yield "cause", "the provider cannot be reached, or fails by itself"
            yield "next", f"{_start(error, roster)}pointsman providers check; or {means.several}"
        case p.AllTargetsFailed():
            failed = [one for one in error.exceptions if isinstance(one, p.PointsmanError)]
            heard = any(one.status is not None for one in failed)
            starts = "".join(dict.fromkeys(_start(one, roster) for one in failed))
            yield "cause", "they cannot be reached, or fail by themselves" if heard else "none of them can be reached"
            yield "next", f"{starts}pointsman providers check; or {means.several}"
        case p.DeadlineExceeded():
            yield "next", means.deadline
        case p.ContextOverflow():
            yield "next", means.shorter
        case p.Refused():
            yield "next", "another wording: a content filter is an answer, so nobody else is asked"
        case p.ConfigError(missing=True):
            spec, lacks = _spec(error, roster), missing(error.message)
            if spec and error.provider and lacks:
                commands = set_commands(error.provider, lacks, spec)
                yield "next", f"{commands}; or see it work without any: pointsman demo"
            else:
                yield "next", "set it; `pointsman keys set` stores a key, and `pointsman demo` needs nothing at all"
        case p.ConfigError():
            if mended := _mended(error, roster):
                yield "next", mended
        case p.NoCandidates(none_ready=True):
            quiet = _quiet(error, roster)
            if quiet:
                yield "next", quiet
            set_up = "set up one of these, or see it work without any: pointsman demo"
            yield ("", f"or {set_up}") if quiet else ("next", set_up)
        case p.PluginError():
            yield "next", "`pointsman plugins` shows all; [plugins] disable in pointsman.toml leaves one out"
        case p.PointsmanError() | OSError():
            pass
        case _:
            yield "cause", "a bug, in Pointsman or in a plugin"
            yield "next", means.debug


def _quiet(error: p.NoCandidates, roster: Roster | None) -> str | None:
    """How one that is ready, and suggests no model, is asked all the same: now, and from now on."""
    lines = [line.strip() for line in error.message.splitlines() if "set default_models (" in line]
    for name in roster.names if roster else ():
        if any(line.startswith(f"{name}: it suggests no model: ") for line in lines):
            key = dotted(("providers", name, "default_models"))
            return f"-m {name}/MODEL, one that `pointsman models {name}` lists; or: pointsman config set {key} MODEL"
    return None


def _either(*ways: str) -> str:
    """What may be done, each once."""
    return "; or ".join(dict.fromkeys(ways))


def _mended(error: p.ConfigError, roster: Roster | None) -> str | None:
    """What to do about a wrong setting, where its message does not say so."""
    unfit = unfit_key(error.message, _keys(error, roster))
    if error.provider and unfit:
        return another_key(error.provider, unfit)
    if name := unknown_provider(error):
        return "; ".join(one for one in (_named_in_routing(name, roster), install(error, roster)) if one)
    return mend(error, files(os.environ))


def _named_in_routing(name: str, roster: Roster | None) -> str | None:
    """That it is a setting which names the provider `name`, if it is."""
    if roster is None:
        return None
    try:
        targets = roster.settings.routing.targets
    except p.ConfigError:  # It was not asked for, then.
        return None
    if name not in {target.partition("/")[0] for target in targets}:
        return None
    origin = roster.settings.origin("routing", "targets")
    return f"routing.targets from {origin} names it: correct it there"


def _keys(error: p.PointsmanError, roster: Roster | None) -> dict[str, Origin]:
    """Where the keys come from that its provider has, by setting; also of one whose settings are wrong."""
    if roster is None or error.provider is None:
        return {}
    return keys_of(error.provider, roster)


def _help(error: p.PointsmanError, roster: Roster | None) -> str:
    """Where a key is made, if the provider is one that hands out keys."""
    spec = _spec(error, roster)
    if spec is None or not spec.help or not hands_out_keys(spec):
        return ""
    said = any(place.rstrip(".,") in error.message for place in spec.help.split() if "://" in place)
    return "" if said else f". {spec.help}"


def _whence(error: p.PointsmanError, roster: Roster | None) -> str:
    """Who says where the provider is."""
    try:
        origin = roster.configured(error.provider).origins.get("base_url") if roster and error.provider else None
    except p.PointsmanError:
        origin = None
    return f" in {origin}" if origin else ""


def _start(error: p.PointsmanError, roster: Roster | None) -> str:
    """How a server that did not answer at all is started."""
    spec = _spec(error, roster)
    return f"{start(spec).rstrip('.')}; " if spec and error.status is None and start(spec) else ""


def _spec(error: p.PointsmanError, roster: Roster | None) -> p.ProviderSpec[Any] | None:
    if roster is None or error.provider is None:
        return None
    try:
        return roster.declared(error.provider).spec
    except p.PointsmanError:
        return None


def _models(error: p.PointsmanError, roster: Roster | None) -> list[str]:
    spec = _spec(error, roster)
    return [model.id for model in spec.models] if spec else []
