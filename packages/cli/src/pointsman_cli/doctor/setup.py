"""Checks of what is set up: settings, variables, plugins, providers, the policy."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import combinations

import anyio

from pointsman import ConfigError, NoCandidates, PointsmanError, Target
from pointsman.config import Configured, Origin
from pointsman.config.providers import own_variable
from pointsman.engine.roster import Roster
from pointsman.errors import did_you_mean

from ..advice import another_key, missing, set_commands
from ..exits import Exit
from ..plugins.inventory import ALWAYS_IN_USE, chain_of, said_of, take_stock
from ..providers.roll_call import Row, all_on_paper, ask_after
from ..settings.situation import Situation
from ..settings.variables import of_settings, unread
from .findings import Check
from .remedy import remedy, set_command, unset_command

POLICY = ("routing", "policy")
TARGETS = ("routing", "targets")


def settings(situation: Situation) -> Iterator[Check]:
    """Sections other than providers, which have checks of their own."""
    wrong = situation.wrong_sections()
    for problem in wrong:
        advice = remedy(problem, situation.settings) or "pointsman config set or unset it, or unset the variable"
        yield Check("settings", "fail", problem, advice)
    if not wrong:
        count = sum(value.value != {} for _, value in situation.settings)
        by_variable = len(of_settings(situation.environ))
        said = f"{count} set in files, {by_variable} by variables of ours, the others by default: pointsman config"
        yield Check("settings", "ok", said)


def variables(situation: Situation) -> Iterator[Check]:
    """Variables that nobody reads, and those that two would."""
    names = situation.roster.names
    found = of_settings(situation.environ)
    fine = True
    for stray in unread(situation.roster):
        fine = False
        unset = f"unset it; the providers are {', '.join(names) or 'none'}"
        advice = f"did you mean {stray.meant}?" if stray.meant else unset
        yield Check("variables", "warn", str(stray), advice)
    for one, other in combinations(names, 2):
        if why := _clash(one, other, situation) or _clash(other, one, situation):
            fine = False
            yield Check("variables", "warn", why, "rename the one that is yours, or set it in a file")
    if fine:
        yield Check("variables", "ok", f"{', '.join(found)}" if found else "none of POINTSMAN_... is set")


def _clash(one: str, other: str, situation: Situation) -> str | None:
    """Why a variable of the provider `one` would be taken for one of `other`."""
    mine, theirs = own_variable(one), own_variable(other)
    if mine == theirs:
        return f"the providers {one} and {other} share the variables {mine}..."
    if not theirs.startswith(mine):
        return None
    try:
        fields = situation.roster.declared(one).spec.config.model_fields
    except PointsmanError:
        return None
    taken = [own_variable(one, field) for field in fields if own_variable(one, field).startswith(theirs)]
    return f"{', '.join(taken)} is read by the provider {other}, not by {one}" if taken else None


def plugins(situation: Situation) -> Iterator[Check]:
    """What does not load, and what is around each call."""
    choice = situation.settings.plugins
    rows = take_stock(situation.installed, choice)
    fatal = {kind.word for kind in ALWAYS_IN_USE}
    for row in rows:
        if row.state in ("broken", "incompatible", "slow"):
            grave = row.state == "broken" and row.kind in fatal
            said = f"the {row.kind} {row.name} is {row.state}: {row.reason}"
            advice = f'pip install --upgrade {row.distribution or row.name}, or [plugins] disable = ["{row.name}"]'
            yield Check("plugins", "fail" if grave else "warn", said, advice)
        elif row.state == "disabled":
            yield Check("plugins", "ok", f"the {row.kind} {row.name} is disabled")
    known = [row.name for row in rows]
    for name in (one for one in choice.disable if one not in known):
        said = f"[plugins] disable names {name}, and no plugin is called that{did_you_mean(name, known)}"
        key = ("plugins", "disable")
        yield Check("plugins", "warn", said, set_command(key, situation.settings.origin(*key), "..."))
    good = sum(row.state == "ok" for row in rows)
    try:
        yield Check("plugins", "ok", f"{good} of {len(rows)} are fine. {said_of(chain_of(rows, choice))}")
    except ConfigError as error:
        key = ("plugins", "wrappers")
        advice = f"pip install it, or {unset_command(key, situation.settings.origin(*key))}"
        yield Check("plugins", "fail", error.message, advice)
    sinks = [row.name for row in rows if row.kind == "sink" and row.state != "disabled"]
    if sinks:
        yield Check("plugins", "ok", f"Every call is recorded by {', '.join(sinks)}.")


def providers(situation: Situation) -> Iterator[Check]:
    """Who can answer, with which key; who cannot, and why."""
    roster = situation.roster
    rows = all_on_paper(roster, roster.names)
    set_up = roster.settings.provider_tables()
    for row in rows:
        yield _provider(row, roster, set_up=row.name in set_up)
        if row.state == "ready":
            for warning in roster.configured(row.name).warnings:
                yield Check(row.name, "warn", warning.removeprefix(f"{row.name}: "), "set it, or unset the variable")
    if not rows:
        yield Check("providers", "fail", "none is installed", "pip install pointsman-sambanova")
    elif not any(row.state == "ready" for row in rows):
        ways = [f"{row.name} ({advice})" for row in rows if (advice := _lacks(row, roster))]
        demo = "see it work without any: pointsman demo"
        advice = f"set up one of {', '.join(ways)}; or {demo}" if ways else demo
        yield Check("providers", "fail", "none is ready", advice)
    elif not any(row.state == "ready" and row.default_models for row in rows) and not roster.settings.routing.targets:
        advice = f"name one with -m, or: {set_command(TARGETS, None, 'PROVIDER/MODEL')}"
        yield Check("providers", "warn", "those that are ready suggest no model, so that nobody is asked", advice)


def _lacks(row: Row, roster: Roster) -> str:
    """The commands that give a provider what it lacks; empty if that is nothing, or not known."""
    lacks = missing(row.reason) if row.state == "not ready" else []
    return set_commands(row.name, lacks, roster.declared(row.name).spec) if lacks else ""


def _at(row: Row, made: Configured) -> str:
    """Where it is asked, with which keys, and what else the environment says of it."""
    address, origins = getattr(made.config, "base_url", ""), made.origins
    whence = f" from {origins['base_url']}" if "base_url" in origins else ""
    others = {
        one: origin
        for one, origin in origins.items()
        if one != "base_url" and one not in row.keys and origin.kind == "environment"
    }
    keys = [f"{setting} from {origin}" for setting, origin in row.keys.items()] or ["without a key"]
    said = [f"at {address}{whence}"] if address else []
    return "; ".join([*said, *keys, *(f"{setting} from {origin}" for setting, origin in others.items())])


def _provider(row: Row, roster: Roster, *, set_up: bool) -> Check:
    settings = roster.settings
    origin = next((value.origin for path, value in settings if path[:2] == ("providers", row.name)), None)
    lacks_plugin = "needs the plugin" in row.reason or "no provider is called" in row.reason
    command = set_command(("providers", row.name, "plugin" if lacks_plugin else "SETTING"), origin)
    match row.state:
        case "ready":
            models = f", {len(row.default_models)} default models" if row.default_models else ", no default model"
            return Check(row.name, "ok", f"ready, {_at(row, roster.configured(row.name))}{models}")
        case "not ready" if not set_up:
            return Check(row.name, "ok", f"not set up: {row.reason}")
        case "not ready":
            return Check(row.name, "warn", f"not ready: {row.reason}", _lacks(row, roster) or command)
        case "wrong" if row.unfit:
            return Check(row.name, "fail", row.reason, another_key(row.name, row.unfit))
        case "wrong":
            return Check(row.name, "fail", row.reason, remedy(row.reason, settings, row.name) or command)
        case _:
            advice = f'pip install --upgrade what brings it, or [plugins] disable = ["{row.name}"]'
            return Check(row.name, "fail" if set_up else "warn", f"{row.state}: {row.reason}", advice)


def policy(situation: Situation) -> Iterator[Check]:
    """Who chooses, and among whom."""
    routing = situation.settings.routing
    chosen, _, trouble = situation.policy
    if trouble is not None:
        origin = situation.settings.origin(*POLICY)
        said = f"[routing] policy (from {origin}): {trouble}" if origin else str(trouble)
        advice = remedy(said, situation.settings) if origin else set_command(POLICY, None, "NAME")
        yield Check("policy", "fail", said, advice)
        return
    if wrong := situation.wrong_policy():
        yield Check("policy", "fail", wrong, remedy(wrong, situation.settings) or "correct it: pointsman config edit")
        return
    origin = situation.settings.origin(*TARGETS)
    strangers = [one for one in routing.targets if Target.parse(one).provider not in situation.roster.names]
    for target in strangers:
        known = ", ".join(situation.roster.names) or "none"
        said = f"[routing] targets names {target}, and no provider has that name"
        yield Check("policy", "fail", said, f"{set_command(TARGETS, origin, '...')}, of the providers {known}")
    unready = [target for target in routing.targets if target not in strangers and not _is_ready(target, situation)]
    if unready:
        said = f"[routing] targets names {', '.join(unready)}, and who would answer is not ready"
        others = len(unready) + len(strangers) < len(routing.targets)
        command = set_command(TARGETS, origin, "...")
        advice = f"pointsman keys set {Target.parse(unready[0]).provider}, or: {command}"
        yield Check("policy", "warn" if others else "fail", said, advice)
    unfit = list(_unfit(situation)) if chosen == "scored" else []
    for pattern, origin in unfit:
        known = ", ".join(situation.roster.names) or "none"
        said = f"[policy] has a rule for {pattern} (from {origin}), and no provider has such a name: it does nothing"
        yield Check("policy", "warn", said, f"correct it: pointsman config edit; the providers are {known}")
    if not strangers and not unready and not unfit:
        among = ", ".join(routing.targets) or "what each ready provider suggests"
        by = situation.settings.origin(*POLICY) or "default"
        own = [value.origin for path, value in situation.settings if path[0] == "policy"]
        settings = f", its settings from {' and '.join(dict.fromkeys(map(str, own)))}" if own else ""
        said = f"{chosen} (by {by}{settings}) orders {among}: pointsman route PROMPT explains it"
        yield Check("policy", "ok", said)


def _unfit(situation: Situation) -> Iterator[tuple[str, Origin]]:
    """Patterns under ``[policy]`` that fit nobody, and who says so. The policy cannot know who there is."""
    for path, value in situation.settings:
        match path:
            case ("policy", "tasks", _, "prefer" | "fallback" | "avoid"):
                said = value.value.split(",") if isinstance(value.value, str) else value.value
            case ("policy", "quality", pattern):
                said = [pattern]
            case _:
                continue
        for pattern in map(str.strip, said):
            if not any(fnmatchcase(name, pattern.partition("/")[0]) for name in situation.roster.names):
                yield pattern, value.origin


def _is_ready(target: str, situation: Situation) -> bool:
    name = Target.parse(target).provider
    try:
        return name in situation.providers and bool(situation.roster.configured(name))
    except PointsmanError:
        return False


def health() -> Iterator[Check]:
    """How those that are ready say they are."""
    try:
        rows = anyio.run(ask_after, ())
    except NoCandidates as error:
        advice = "set one of these up, or see it work without any: pointsman demo"
        yield Check("health", "fail", error.message, advice)
        return
    for row in rows:
        if row.health is None or row.idle:
            continue
        reason = row.health.reason or "it answers"
        if row.code is Exit.OK:
            fine = row.health.state in ("up", "unknown")
            yield Check(f"{row.name} live", "ok" if fine else "warn", f"{row.health.state.value}: {reason}")
        else:
            advice = (
                another_key(row.name, row.keys, row.vendors) if row.code is Exit.KEY else "pointsman providers check"
            )
            yield Check(f"{row.name} live", "fail", f"{row.health.state.value}: {reason}", advice)
