"""``pointsman modal deploy``: plan, cost, question; then the app, the weights, the settings and the token."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from pointsman import CommandHost, ConfigError

from ..config import ModalConfig
from ..deploy import control
from ..deploy.plan import USUAL, Plan
from ..deploy.sdk import Place
from . import plan_told
from .configured import Standing, said_before, settings_of, standing
from .figures import plural, span
from .plan_told import Traffic
from .screen import Screen, ask, facts, harmless, pulled, tell

_OPTIONS = {"context_tokens": "--context", "memory_gib": "--memory"}
"""Fields that are called otherwise on the command line; else it is ``--`` and the name."""
_CLEARED = {"gpu": "none", "region": "any"}
"""The word with which a list is made empty."""


def deploy_model(
    provider: str,
    host: CommandHost | None,
    given: Mapping[str, Any],
    traffic: Traffic,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Do all of it, or with `dry_run` nothing but showing it. Raises `ConfigError` for what is wrong with the plan."""
    before = standing(provider)
    environment = given.get("environment") or (before.ours.environment if before.ours else None)
    plan = _plan(before, given)
    if dry_run:
        environment = environment or os.environ.get("MODAL_ENVIRONMENT") or None
        _show_plan(before, plan, environment, traffic, as_json=as_json)
        return
    if host is None:
        raise click.UsageError("run it as `pointsman modal deploy`: what it writes, the command writes")
    workspace = control.workspace()
    environment = environment or control.environment()
    makes_token = not before.has_token
    if not as_json or not yes:
        _say_plan(before, plan, environment, traffic)
    if not yes:
        _confirm(workspace)
        if makes_token:
            makes_token = ask(
                "It needs a proxy token, and none is set. Make one, and keep it in your keys file?", otherwise=""
            )
    began = time.monotonic()
    url, file = _do(before, host, plan, environment, makes_token=makes_token)
    _tell_outcome(before, plan, environment, traffic, url, file, makes_token, time.monotonic() - began, as_json=as_json)


def _plan(before: Standing, given: Mapping[str, Any]) -> Plan:
    wanted = {name: value for name, value in given.items() if name != "environment"}
    named = {"context": "context_tokens", "memory": "memory_gib"}
    wanted = {named.get(name, name): value for name, value in wanted.items()}
    for name, word in _CLEARED.items():
        if str(wanted.get(name, "")).strip().lower() == word:
            wanted[name] = ()
    # An app of the same name would be replaced: one that another provider's settings lead to, perhaps.
    own = {} if before.provider == "modal" else {"name": f"{USUAL.name}-{before.provider}"}
    kept = said_before(before.ours) if before.ours else own
    said = kept.keys() - wanted.keys() if before.ours else set[str]()
    try:
        return Plan.of({**kept, **wanted})
    except ConfigError as error:
        message = re.sub(
            r"(^|; )(\w+): ",
            lambda found: f"{found[1]}{_option(found[2]) if found[2] not in said else _kept(found[2], before)}: ",
            error.message,
        )
        raise ConfigError(re.sub(r"\b(m\w+_containers) \(", lambda found: f"{_option(found[1])} (", message)) from None


def _option(field: str) -> str:
    return _OPTIONS.get(field, f"--{field.replace('_', '-')}")


def _kept(field: str, before: Standing) -> str:
    setting = {"model": "default_models", "name": "app"}.get(field, field)
    return f"{setting} in the settings of {before.provider}, which {_option(field)} goes before"


def _confirm(workspace: str | None) -> None:
    where = f" (workspace {workspace})" if workspace else ""
    if not ask(f"Deploy this to Modal{where}?", otherwise="--yes deploys without asking, --dry-run shows the plan"):
        tell("Nothing was done.")
        raise click.exceptions.Exit(1)


def _do(
    before: Standing, host: CommandHost, plan: Plan, environment: str | None, *, makes_token: bool
) -> tuple[str, str]:
    """The address, and the file that has it now. Whatever ends this, what stands by then is told."""
    screen, place = Screen(), Place(plan.name, environment)
    stands = [f"Nothing was written. Whether {place} was deployed, `modal app list` tells; it costs nothing by itself."]
    with _told_if_it_ends(stands):
        with screen.step(f"deploying {place}"):
            url = control.deploy(plan.deployment(), environment, lambda line: screen.line(f"  {line}"))
        stands[:] = [f"{place} is deployed at {url}. Your settings were not changed: run it again to go on."]
        with screen.step(f"pulling {plan.model}"):
            for told in control.pull(place, plan.model):
                text, key = pulled(told["status"], told["completed"], told["total"])
                screen.show(text, key)
        plugin = {} if before.known else {"plugin": "modal"}
        file = host.store_settings(before.provider, {**plugin, **settings_of(plan, environment, url)})
        stands[:] = [f"{place} is deployed at {url}, with its weights, and {file} says so. It lacks a proxy token:"]
        stands += ["`modal workspace proxy-tokens create` makes one, and `pointsman keys set` keeps each half of it."]
        if makes_token:
            name = f"pointsman {plan.name}"
            with screen.step("making a proxy token"):
                token_id, token_secret = control.new_token(name)
            stands.append(f"The one called {name!r} was made now, but is not kept: delete it there.")
            host.store_keys(before.provider, {"token_id": token_id, "token_secret": token_secret})
    return url, file


@contextmanager
def _told_if_it_ends(stands: list[str]) -> Generator[None]:
    try:
        yield
    except BaseException:
        for line in stands:
            tell(line)
        raise


def _say_plan(before: Standing, plan: Plan, environment: str | None, traffic: Traffic, *, error: bool = True) -> None:
    stream = sys.stderr if error else sys.stdout
    rows = [*plan_told.rows(plan, before.ours, environment, traffic), *_about(before, plan, environment)]
    for line in facts(rows, whole=not stream.isatty()):
        click.echo(line, err=error)


def _about(before: Standing, plan: Plan, environment: str | None) -> list[tuple[str, str]]:
    """What the settings have to do with it."""
    said: list[tuple[str, str]] = []
    if before.config is not None and before.ours is None:
        said.append(
            ("Note", f"the settings of {before.provider} lead to {before.config.base_url}, which this replaces")
        )
    if before.ours and (left := _left(before.ours, plan, environment)):
        said.append(("Note", left))
    if before.config is not None and before.config.price_per_second is not None:
        said.append(("Note", f"price_per_second of {before.provider} stays as it is, and goes before these prices"))
    if before.ours and not plan_told.changes(plan, before.ours) and before.ours.environment == environment:
        said.append(("Changes", "none since it was deployed last"))
    if not before.has_token:
        said.append(("Token", "no proxy token is set: one is made, which opens the workspace's protected addresses"))
    return said


def _left(ours: ModalConfig, plan: Plan, environment: str | None) -> str:
    """What goes on, and is billed if a container of it always runs, though nothing leads there any more."""
    if (ours.app, ours.environment) == (plan.name, environment):
        return ""
    where = f"in the environment {ours.environment}" if ours.environment else "in the default environment"
    same = "" if ours.environment or ours.app != plan.name else f", unless {environment} is that one"
    stop = f"modal app stop {ours.app}{f' --env {ours.environment}' if ours.environment else ''}"
    return f"the app {ours.app} {where} stays deployed{same}, but these settings leave it: `{stop}` ends it"


def _show_plan(before: Standing, plan: Plan, environment: str | None, traffic: Traffic, *, as_json: bool) -> None:
    if as_json:
        _print(before, plan, environment, traffic)
        return
    _say_plan(before, plan, environment, traffic, error=False)
    tell("Nothing was done, and nobody was asked: this was a dry run.")


def _tell_outcome(
    before: Standing,
    plan: Plan,
    environment: str | None,
    traffic: Traffic,
    url: str,
    file: str,
    made: bool,
    took: float,
    *,
    as_json: bool,
) -> None:
    if as_json:
        token = "made" if made else "set" if before.has_token else "none"
        outcome = {"url": url, "file": file, "token": token, "seconds": round(took, 6)}
        _print(before, plan, environment, traffic, outcome)
        return
    click.echo(f"{harmless(plan.name)} is deployed at {harmless(url)}: it took {span(took)}")
    starting = f"{plural(plan.min_containers, 'container')} of it will always run"
    cold = "It has no container yet: the first request starts one, and waits for it"
    tell(f"{file} says so now. {starting if plan.min_containers else cold}.")
    if not made and not before.has_token:
        tell(
            "It lacks a proxy token: `modal workspace proxy-tokens create` makes one, which `pointsman keys set` keeps."
        )
    click.echo(f'Next: pointsman chat -m {before.provider}/{plan.model} "Explain closures in Python"')


def _print(
    before: Standing,
    plan: Plan,
    environment: str | None,
    traffic: Traffic,
    outcome: Mapping[str, Any] | None = None,
) -> None:
    changes = plan_told.changes_json(plan_told.changes(plan, before.ours))
    if before.ours and before.ours.environment != environment:
        changes["environment"] = {"from": before.ours.environment, "to": environment}
    told = {
        "provider": before.provider,
        "dry_run": outcome is None,
        "plan": plan_told.plan_json(plan, environment),
        "changes": changes,
        "cost": plan_told.costs_json(plan, traffic),
        "warnings": plan.warnings(),
        **(outcome or dict.fromkeys(("url", "file", "token", "seconds"))),
    }
    click.echo(json.dumps(told))
