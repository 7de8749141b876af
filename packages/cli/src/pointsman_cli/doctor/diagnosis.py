"""The checks of `pointsman doctor`, made one after the other; what one of them stumbles over is a finding too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial

import click

from ..as_json import dumps
from ..context import debugging
from ..exits import Exit
from ..listing import show_states
from ..settings.situation import Situation, unheard
from ..terminal import out
from . import ledger, machine, setup
from .findings import Check

MEND = "mend what it names, and run pointsman doctor again"


def diagnose(*, live: bool, as_json: bool) -> None:
    """Make every check, and print them. Exits."""
    ctx = click.get_current_context()
    situation = Situation.now(lenient=True)
    with unheard():  # What core would warn of is in the findings.
        found = list(_all(situation, live=live, debug=debugging(ctx)))
        found = [_discreet(check, situation) for check in found]
    failures, warnings = (sum(check.state == state for check in found) for state in ("fail", "warn"))
    if as_json:
        out(dumps({"ok": not failures, "checks": [asdict(check) for check in found]}))
    else:
        show_states((check.name, check.state, [check.said, *_next(check)]) for check in found)
        out(f"{_number(failures, 'failure')}, {_number(warnings, 'warning')}.")
    ctx.exit(Exit.FAILURE if failures else Exit.OK)


def _all(situation: Situation, *, live: bool, debug: bool) -> Iterator[Check]:
    areas: Sequence[tuple[str, Callable[[], Iterator[Check]]]] = [
        ("python", machine.python),
        ("packages", machine.packages),
        ("files", partial(machine.files, situation)),
        ("settings", partial(setup.settings, situation)),
        ("variables", partial(setup.variables, situation)),
        ("plugins", partial(setup.plugins, situation)),
        ("providers", partial(setup.providers, situation)),
        ("ledger", partial(ledger.ledger, situation, live=live)),
        ("policy", partial(setup.policy, situation)),
        ("proxies", partial(machine.proxies, situation.environ)),
        ("terminal", partial(machine.terminal, situation.environ)),
    ]
    if live:
        areas = [*areas, ("health", setup.health)]
    told: set[str] = set()
    skipped: list[str] = []
    for name, area in areas:
        try:
            for check in area():
                told.add(check.said)
                yield check
        except Exception as error:
            if debug:
                raise
            said = str(error) or type(error).__name__
            if said in told:
                skipped.append(name)
                continue
            told.add(said)
            yield Check(name, "fail", said, MEND)
    if skipped:
        said = f"{', '.join(skipped)}, at least not to the end: what is told above is in the way"
        yield Check("not checked", "warn", said, MEND)


def _discreet(check: Check, situation: Situation) -> Check:
    """Without a key in it, whoever may have put one there: a plugin, or a vendor."""
    try:
        hide = situation.roster.redactor.text
    except Exception:  # Then no key was read either.
        return check
    return replace(check, said=hide(check.said), next=hide(check.next))


def _next(check: Check) -> list[str]:
    return [f"next: {check.next}"] if check.next else []


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
