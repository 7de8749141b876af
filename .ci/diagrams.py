"""The state diagrams of docs/engine.md, from the code: the real machine and the real breaker are driven everywhere.

Run this file to write them anew; tests/test_docs.py compares. Every sequence of inputs up to `DEPTH` is tried, but for
those that lead where another has been.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from math import inf
from pathlib import Path
from typing import Any, TypeAlias

from pointsman.engine.health.breaker import Breaker
from pointsman.engine.health.breaker import State as BreakerState
from pointsman.engine.machine import Machine
from pointsman.engine.terms import Cancel, Command, Emit, Leg, Limits, Outlook, Pace, Phase, Settle, Standing, Start
from pointsman.errors import DeadlineExceeded, InvalidRequest, PointsmanError, RateLimited, Unavailable
from pointsman.types import Target

PAGE = Path(__file__).parent.parent / "docs" / "engine.md"
DEPTH = 6
LEGS = [Leg(Target(name, "m"), prefill=name != "c") for name in "abc"]
BREAKS = [("raise", False), ("restart", False), ("continue", False), ("continue", True)]
"""What follows a break, and whether an answer that cannot be gone on with is retracted."""
CLOCKS = [(None, None, True), (None, 9.0, False), (30.0, None, False)]
"""Deadline, least speed, and whether there are hedges."""
AT_ONCE, SOON, TOLD = 0.0, 2.0, inf
"""When a target may be asked: `TOLD` is once another call has ended."""
CASES = [
    *itertools.product(BREAKS, [(AT_ONCE, AT_ONCE, AT_ONCE), (AT_ONCE, SOON, TOLD)], CLOCKS),
    *itertools.product(BREAKS[:1], [(SOON, SOON, SOON), (TOLD, TOLD, TOLD)], CLOCKS),  # What follows is as above.
]
COMMANDS = ["Cancel", "AttemptFailed", "Retracted", "Started", "Resumed", "Start", "Settle"]
CAUSES = {
    "FirstTokenTimeout": "no first token in time",
    "Stalled": "stalled",
    "TooSlow": "too slow",
    "DeadlineExceeded": "deadline over",
}
ERRORS: list[Callable[[float], PointsmanError]] = [
    lambda now: Unavailable("down"),
    lambda now: RateLimited("later", retry_at=now + 50),
    lambda now: InvalidRequest("what is this"),
]
Edges: TypeAlias = dict[tuple[str, str, str], dict[str, None]]
"""From, cause and to -> what is said meanwhile, in the order of `COMMANDS`."""


class Tracks(Outlook):
    """Who may be asked when."""

    def __init__(self, opens: tuple[float, ...]) -> None:
        self.opens = opens

    def standing(self, target: Target, now: float) -> Standing:
        open_at = self.opens["abc".index(target.provider)]
        if open_at <= now:
            return Standing()
        return Standing(open_at, error=RateLimited("not asked", target=target))

    def pace(self, target: Target) -> Pace:
        return Pace(hedge_after=1.0)

    def may_retry(self) -> bool:
        return True

    def may_hedge(self) -> bool:
        return True


class Drive:
    """One call, with its clock."""

    def __init__(self, limits: Limits, opens: tuple[float, ...]) -> None:
        self.now = 0.0
        self.tracks = Tracks(opens)
        self.machine = Machine(LEGS, limits, 0.0, self.tracks)
        self.begun = False

    def inputs(self) -> Iterator[tuple[Any, ...]]:
        """What may happen next. Attempts that are over are not heard, so that they are left out."""
        if not self.begun:
            yield ("start",)
            return
        for attempt in [one.number for one in self.machine._running]:
            yield "first output", attempt
            yield "answer whole", attempt
            yield from (("failed", attempt, kind) for kind in range(len(ERRORS)))
        yield ("tick",)
        yield ("deadline",)
        yield ("another call ended",)
        if self.machine.phase is Phase.COMMITTED:
            yield ("pause",)
            yield ("resume",)
            yield ("no text",)

    def put(self, name: str, *given: int) -> list[Command]:
        machine = self.machine
        match name, given:
            case "start", _:
                self.begun = True
                return machine.start(self.now)
            case "first output", (attempt,):
                return machine.first_output(attempt, self.now)
            case "answer whole", (attempt,):
                return machine.finished(attempt, self.now)
            case "failed", (attempt, kind):
                return machine.failed(attempt, ERRORS[kind](self.now), self.now, 0.5)
            case "tick", _:
                self.now = machine.due if machine.due < inf else self.now
                return machine.tick(self.now, 0.5)
            case "deadline", _:
                self.now = machine.deadline if machine.deadline < inf else self.now
                return machine.tick(self.now, 0.5)
            case "another call ended", _:
                self.tracks.opens = (AT_ONCE, AT_ONCE, AT_ONCE)
                return machine.poke(self.now)
            case "pause", _:
                machine.pause()
            case "resume", _:
                machine.resume(self.now)
            case _:
                machine.text_only = False
        return []

    @property
    def place(self) -> str:
        return self.machine.phase.name if self.begun else "[*]"

    def key(self) -> Hashable:
        """What decides everything that follows."""
        machine = self.machine
        ways = tuple((way.tries, type(way.error), max(way.ready_at - self.now, 0.0)) for way in machine._route.ways)
        running = tuple(
            (one.number, one.first_token_by - self.now, one.hedge_at - self.now) for one in machine._running
        )
        flags = (self.begun, machine.phase, machine.attempt, machine.paused, machine.text_only, machine.resuming)
        return flags, ways, running, self.tracks.opens, machine.due - self.now, machine.deadline - self.now


def calls() -> Edges:
    """All transitions of a call."""
    edges: Edges = {}
    for (mode, retract), opens, (deadline, speed, hedge) in CASES:
        limits = Limits(
            deadline=deadline,
            min_speed=speed,
            max_attempts=4,
            max_wait=60.0,
            on_break=mode,  # type: ignore[arg-type]
            may_retract=retract,
            hedge=hedge,
        )

        def replay(path: Iterable[tuple[Any, ...]], limits: Limits = limits, opens: tuple[float, ...] = opens) -> Drive:
            drive = Drive(limits, opens)
            for step in path:
                drive.put(*step)
            return drive

        seen: set[Hashable] = set()
        paths: deque[tuple[tuple[Any, ...], ...]] = deque([()])
        while paths:
            path = paths.popleft()
            for step in list(replay(path).inputs()):
                drive = replay(path)
                before = drive.place
                commands = drive.put(*step)
                _note(edges, before, _cause(step[0], commands), drive.place, commands)
                if len(path) + 1 < DEPTH and drive.key() not in seen:
                    seen.add(drive.key())
                    paths.append((*path, step))
    return edges


def _cause(name: str, commands: list[Command]) -> str:
    if name not in ("tick", "deadline"):
        return name
    for command in commands:
        error = command.error if isinstance(command, Cancel | Settle) else None
        if isinstance(error, DeadlineExceeded) or (isinstance(command, Cancel) and error is not None):
            return CAUSES[type(error).__name__]
        if isinstance(command, Start) and command.role == "hedge":
            return "late"
    return "waited long enough"


def _note(edges: Edges, before: str, cause: str, after: str, commands: list[Command]) -> None:
    said = {_word(command) for command in commands}
    if before != after or said:
        known = edges.setdefault((before, cause, after), {})
        known |= dict.fromkeys(said)


def _word(command: Command) -> str:
    match command:
        case Start(_, _, role):
            return f"Start ({role})"
        case Cancel():
            return "Cancel"
        case Emit(event):
            return type(event).__name__
        case Settle(error):
            return "Settle (error)" if error else "Settle (answer)"


def breakers() -> Edges:
    """All transitions of a breaker."""
    edges: Edges = {}

    def drive(path: Iterable[str]) -> tuple[Breaker, float]:
        breaker, now = Breaker(), 0.0
        for step in path:
            probe = step.startswith("probe")
            match step:
                case "an attempt begins":
                    breaker.begin()
                case "an attempt failed" | "probe failed":
                    breaker.failed(now, began=now, probe=probe)
                case "an attempt spoke" | "probe spoke":
                    breaker.succeeded(now, began=now, probe=probe)
                case "probe abandoned":
                    breaker.abandoned(now)
                case "a check says that all is well":
                    breaker.well(now)
                case _:
                    now = max(now, breaker.until) if breaker.state is BreakerState.OPEN else now + 60.0
        return breaker, now

    seen: set[Hashable] = set()
    paths: deque[tuple[str, ...]] = deque([()])
    while paths:
        path = paths.popleft()
        breaker, now = drive(path)
        steps = ["an attempt failed", "an attempt spoke", "a check says that all is well", "time passes"]
        if breaker.opens_at() <= now:
            steps.append("an attempt begins")
        if breaker.state is BreakerState.PROBING:
            steps += ["probe failed", "probe spoke", "probe abandoned"]
        for step in steps:
            after, then = drive((*path, step))
            if breaker.state is not after.state:
                edges[breaker.state.name, step, after.state.name] = {}
            key = after.state, after.pause, after.until - then, tuple((at - then, well) for at, well in after._outcomes)
            if len(path) < DEPTH + 2 and key not in seen:
                seen.add(key)
                paths.append((*path, step))
    return edges


def mermaid(edges: Edges, first: str | None = None) -> str:
    """The diagram: one arrow for all that leads from one state to another."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for before, cause, after in edges:
        arrows.setdefault((before, after), []).append(cause)
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    [*] --> {first}"] if first else []
    lines += [f"    {before} --> {after}: {', '.join(causes)}" for (before, after), causes in arrows.items()]
    return "\n".join([*lines, "```"])


def table(edges: Edges) -> str:
    """The same as rows, which can be read anywhere."""
    said = any(edges.values())
    lines = [
        "| from | cause | to |" + (" may say |" if said else ""),
        "| --- | --- | --- |" + (" --- |" if said else ""),
    ]
    for (before, cause, after), words in edges.items():
        row = f"| {'' if before == '[*]' else before} | {cause} | {after} |"
        lines.append(row + (f" {', '.join(sorted(words, key=_place))} |" if said else ""))
    return "\n".join(lines)


def _place(word: str) -> tuple[int, str]:
    return COMMANDS.index(word.split()[0]), word


def _sorted(edges: Edges, states: list[str]) -> Edges:
    return dict(sorted(edges.items(), key=lambda one: (states.index(one[0][0]), states.index(one[0][2]), one[0][1])))


def written(page: str) -> str:
    """The page, with its diagrams as the code has them now."""
    call = _sorted(calls(), ["[*]", *(phase.name for phase in Phase)])
    breaker = _sorted(breakers(), [state.name for state in BreakerState])
    for name, drawn in {
        "call": f"{mermaid(call)}\n\n{table(call)}",
        "breaker": f"{mermaid(breaker, BreakerState.CLOSED.name)}\n\n{table(breaker)}",
    }.items():
        begin, end = f"<!-- {name}: written by .ci/diagrams.py -->", f"<!-- end of {name} -->"
        found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", page, re.DOTALL)
        if found is None:
            raise SystemExit(f"{PAGE} has no place for the diagram of a {name}: {begin}")
        page = page.replace(found[0], f"{begin}\n\n{drawn}\n\n{end}")
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
