"""One sentence that says what decided, for somebody who may want it otherwise. It never quotes a prompt."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman import Target

from .scoring import Rated

LONGEST = 200
"""Characters of a reason."""
_NAME = 44
"""Characters of a target's name, or of a task's."""


def shown(name: object) -> str:
    """A name that fits into a line; what cannot be printed is a question mark."""
    text = str(name)
    if not text.isprintable():
        text = "".join(one if one.isprintable() else "?" for one in text)
    return text if len(text) <= _NAME else f"{text[: _NAME - 3]}..."


def sentence(text: str) -> str:
    """`text`, if it is not too long, else its beginning."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def by_rule(task: str, first: Target, what: str) -> str:
    """The user's own rule has put it there."""
    return sentence(f"[policy.tasks] {shown(task)} {what} {shown(first)}")


def unmet(task: str, reason: str) -> str:
    """The user's own rule prefers others, none of whom is there: it may be misspelt."""
    return sentence(f"nobody that [policy.tasks] {shown(task)} prefers can serve; {reason}")


def by_chance(first: Target, best: Target, among: int) -> str:
    """It is its turn to be tried."""
    return sentence(
        f"it is tried for once: {shown(first)} is about as good as {shown(best)}, and so are {among} in all"
    )


def by_score(first: Rated, second: Rated) -> str:
    """The term that has put the one before the other, and both its values."""
    pairs = list(zip(first.terms, second.terms, strict=True))
    ours, theirs = max(pairs, key=lambda pair: pair[0].weight * (pair[0].value - pair[1].value))
    names = f"{shown(first.candidate.target)} before {shown(second.candidate.target)}"
    if ours.weight * (ours.value - theirs.value) <= 0:
        return sentence(f"{names}: they are equal, and it is listed first")
    return sentence(f"{names}, mostly for {ours.name}: {_short(ours.note)} against {_short(theirs.note)}")


def by_wait(first: Target, best: Target) -> str:
    """Others would be better, but cannot be asked now."""
    return sentence(f"{shown(first)} can be asked now, and {shown(best)}, which would be better, not at once")


def by_context(first: Target, best: Target) -> str:
    """Others would be better, but the prompt is probably too long for them."""
    return sentence(f"{shown(first)} has room for the prompt, which is probably too long for {shown(best)}")


def by_deadline(first: Target, best: Target) -> str:
    """Others would be better, but too late."""
    return sentence(f"{shown(first)} should keep the deadline, which {shown(best)} would miss")


def _short(note: str) -> str:
    """A note without its origin."""
    return note.rpartition(", ")[0] or note


def alone(only: Sequence[Rated]) -> str:
    """Nobody else could serve, or nobody at all."""
    if not only:
        return "none of them can do what is asked for"
    return sentence(f"{shown(only[0].candidate.target)} is the only one that can serve")
