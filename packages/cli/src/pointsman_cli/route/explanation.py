"""A decision, explained to a person: what was asked, who in which order and why, and who is left out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module

from pointsman import ConfigError, Decision, Exclusion, PointsmanError, Score, Target, Term
from pointsman.engine.roster import Roster
from pointsman.plugins import Kind
from pointsman.policy import Candidate
from pointsman_policy import TASKS, Classification

from ..listing import wrapped
from ..models import facts
from ..terminal import harmless, out, show, styled, width

WORTH_SHOWING = 0.05
"""Probability of another task, from which on it is named beside the likeliest."""
BESIDE = 11
"""Columns of a line beside the target's name: its place, and its score."""
NARROW = 60
"""Columns, below which what a term was made of has a line of its own."""


def explain(
    decision: Decision, read: Classification | None, known: Sequence[Candidate], roster: Roster, *, task: str | None
) -> None:
    """Print it. `known` is what is known of those in the order, `task` what the caller says that was asked."""
    out(wrapped(harmless(f"{decision.policy}: {decision.reason}")))
    _show_facts(_asked(decision, read, said=task is not None))
    scores = {one.target: one for one in decision.scores}
    names = max((len(term.name) for one in decision.scores for term in one.terms), default=0)
    targets = max((len(str(one.target)) for one in known), default=0)
    if targets + BESIDE > width():
        targets = 0  # Scores in a column of their own do not fit.
    for place, one in enumerate(known, 1):
        score = scores.get(one.target)
        head = f"{place:>3}. {styled(str(one.target), sys.stdout, bold=place == 1)}"
        gap = " " * (targets - len(str(one.target))) if len(str(one.target)) + BESIDE <= width() else "\n   "
        show(f"{head}{gap}  {score.utility:.2f}\n" if score else f"{head}\n")
        if score:
            _show_terms(score, names)
        out(wrapped(harmless(_known(one)), " " * 5))
    for target in decision.prewarm:
        out(wrapped(harmless(f"{target} would come first if it were warm{_how_to_warm(target, roster)}")))
    _show_excluded(decision.excluded, roster)
    if decision.scores and all(map(_is_mean, decision.scores)):
        out(wrapped("A score is the mean of its parts by their weights: 1 would be the best in all of them."))
    if len(known) > 1:
        out(wrapped("The next is asked when one fails before its first word."))


def _is_mean(score: Score) -> bool:
    """Whether its parts make it up, as they do for `scored`; a stranger's policy may mean it otherwise."""
    whole = sum(term.weight for term in score.terms)
    return whole > 0 and abs(sum(term.weight * term.value for term in score.terms) / whole - score.utility) < 0.01


def _asked(decision: Decision, read: Classification | None, *, said: bool) -> Iterable[tuple[str, str]]:
    """What the policy took the prompt for, and what it left to chance."""
    if decision.task is not None:
        yield "task", f"{decision.task}{_as_said(decision, read) if said else _surely(decision, read)}"
    if decision.difficulty is not None:
        yield "difficulty", f"{decision.difficulty:.2f}, the chance that a stronger model is worth it"
    if read is not None:
        yield "language", read.language
    if decision.propensity is not None and decision.propensity < 1:
        yield "chance", f"{decision.propensity:.3g}, that this one comes first: now and then another is tried"
    if decision.policy_hash:
        yield "policy", f"{decision.policy} {decision.policy_hash[:12]}"


def _as_said(decision: Decision, read: Classification | None) -> str:
    """That the caller knows better, and what a name of its own counts as."""
    own = read is not None and decision.task not in TASKS
    return f", as you say{'; it counts as general_qa, unless [policy.tasks] says what it is like' if own else ''}"


def _surely(decision: Decision, read: Classification | None) -> str:
    """How sure that is, and what else it could be."""
    if read is None or decision.confidence is None:  # `keywords` does not go by what was read.
        return "" if decision.confidence is None else f" ({decision.confidence:.2f})"
    ranked = sorted(read.probabilities.items(), key=lambda item: -item[1])
    others = [f"{task} {value:.2f}" for task, value in ranked if value >= WORTH_SHOWING and task != decision.task][:2]
    own = f" ({read.probabilities.get(read.task, read.confidence):.2f})"
    if ranked[0][0] != read.task:
        return f", since nothing is likely enough: {', '.join(others)}; --task says what it is"
    return f"{own}, else {', '.join(others)}" if others else own


def _show_facts(rows: Iterable[tuple[str, str]]) -> None:
    """A line each, what they are called before what they are."""
    rows = list(rows)
    label = max((len(name) for name, _ in rows), default=0) + 2
    for name, text in rows:
        out(wrapped(harmless(text), f"{name:<{label}}", " " * label))
    if rows:
        out("")


def _show_terms(score: Score, names: int) -> None:
    whole = sum(term.weight for term in score.terms)
    for term in score.terms:
        head = f"     {harmless(term.name):<{names}}  {term.value:.2f} × {_share(term, whole)}"
        if width() < NARROW:
            out(head)
            if term.note:
                out(wrapped(harmless(term.note), " " * 7))
        else:
            out(wrapped(harmless(term.note), f"{head}  ", " " * (len(head) + 2)) if term.note else head)


def _share(term: Term, whole: float) -> str:
    """How much of the score it decides."""
    return f"{term.weight / whole:>4.0%}" if whole > 0 else f"{term.weight:>4.2f}"


def _how_to_warm(target: Target, roster: Roster) -> str:
    """The verb of its provider's own package, if there is one; what every program can do, else."""
    plugin = roster.declared(target.provider).plugin[0]
    if plugin in roster.plugins.names(Kind.COMMAND):
        with suppress(PointsmanError, ImportError, AttributeError):
            module, _, name = roster.plugins.command(plugin).entry.partition(":")
            warm = getattr(getattr(import_module(module), name), "commands", {}).get("warm")
            if warm is not None:
                several = target.provider != plugin and any(one.name == "provider" for one in warm.params)
                return f": pointsman {plugin} warm{f' --provider {target.provider}' if several else ''}"
    return ": `await client.warm(...)`, or [routing] prewarm = true"


def _known(one: Candidate) -> str:
    about = [
        f"context {facts.tokens(one.context_tokens)}",
        facts.price(one.price) if one.price else "price of a token unknown",
        f"can {', '.join(sorted(one.capabilities))}" if one.capabilities else "nothing is known of what it can do",
    ]
    return "; ".join(about)


def _show_excluded(excluded: Iterable[Exclusion], roster: Roster) -> None:
    """Who is left out, with the reason; those that nobody has set up only by name."""
    items = list(excluded)
    unready = [item for item in items if _is_not_set_up(item.target, roster)]
    told = [item for item in items if item not in unready]
    if told:
        out("left out")
        for item in told:
            out(wrapped(harmless(f"{item.target}: {item.reason}"), "  ", " " * 5))
    if unready:
        names = ", ".join(item.target.provider for item in unready)
        out(wrapped(harmless(f"Not set up: {names}. What each lacks: pointsman providers")))


def _is_not_set_up(target: Target, roster: Roster) -> bool:
    """Whether it stands for all of a provider of which something is missing, and none of which was named."""
    if target.model != "*":
        return False
    try:
        roster.configured(target.provider)
    except ConfigError as error:
        return error.missing
    except PointsmanError:
        pass
    return False
