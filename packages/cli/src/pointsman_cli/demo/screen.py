"""The demo as a person sees it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pointsman import AttemptFailed, Cost, Retracted, Started, StreamedReply, StreamEvent, TextDelta, Unknown
from pointsman.client import AsyncClient

from .. import figures
from ..chat.printing import facts
from ..flow import Flow
from ..listing import wrapped
from ..terminal import colours, out, show, styled, width
from .cases import Case
from .stage import ROLES, Stage

HEADINGS = ("task", "answered by", "attempts", "first token", "speed", "cost")


@dataclass(frozen=True, slots=True)
class Line:
    """One call, in the closing table."""

    cells: tuple[str, ...]
    cost: Cost


class Screen:
    """Streams each answer as it comes, and ends with a table."""

    def __init__(self, *, plain: bool = False) -> None:
        self._styled = colours(sys.stdout) and not plain
        self._lines: list[Line] = []
        self._priced: dict[str, bool] = {}
        self._count = 0
        self._flow = Flow(lambda text: out(text, end=""), width(), "  ")

    def opening(self, stage: Stage) -> None:
        names = [target.provider for target in stage.targets]
        self._count = len(stage.cases)
        self._say("Pointsman demo", bold=True)
        self._paragraph(
            f"{len(names)} vendors ({', '.join(names)}) are simulated on this machine: no key, no network, no charge. "
            f"Their answers are prepared texts; their clock runs {stage.speed:g} times faster than a real vendor's. "
            "One of them will refuse a prompt, and one will break off in the middle of an answer."
        )

    def case(self, number: int, case: Case, reply: StreamedReply) -> None:
        out("")
        wish = "" if case.priority == "balanced" else f", {case.priority} first"
        self._say(f"{number}/{self._count}  {case.task}{wish}", bold=True, fg="cyan")
        self._paragraph(case.prompt, "> ")
        first, *others = map(str, reply.decision.order)
        self._facts([f"{reply.decision.policy}: {first}", *others], between=" > ", dim=True)
        taken, sure = reply.decision.task, reply.decision.confidence or 0.0
        self._paragraph(f"taken for {taken} ({sure:.2f}): {reply.decision.reason}", dim=True)
        if case.require:
            left_out = (f"{item.target} {item.reason}" for item in reply.decision.excluded)
            self._paragraph(f"left out: {', '.join(left_out)}", dim=True)

    def event(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(text):
                self._flow.put(text)
            case AttemptFailed(_, _, error):
                self._paragraph(f"✗ {error}", fg="yellow")
            case Retracted(reason):
                self._flow.end()
                self._paragraph(f"✗ {reason}", fg="yellow")
                self._paragraph("What stands above is withdrawn; the answer starts again.", fg="yellow")
            case Started(target, attempt) if attempt > 1:
                self._paragraph(f"→ {target} answers", fg="yellow")
            case _:
                pass

    def end(self, case: Case, reply: StreamedReply) -> None:
        self._flow.end()
        self._facts(facts(reply), dim=True)
        cells = (
            case.task,
            reply.target.provider if reply.target else figures.UNKNOWN,
            str(len(reply.attempts)),
            figures.seconds(reply.timings.ttft),
            figures.speed(reply.timings),
            str(reply.cost),
        )
        self._lines.append(Line(cells, reply.cost))
        for attempt in reply.attempts:
            if attempt.outcome == "finished":
                self._priced[attempt.target.provider] = attempt.cost != Unknown

    def closing(self, stage: Stage, client: AsyncClient) -> None:
        out("")
        total = Cost.total(line.cost for line in self._lines)
        last = ("together", "", str(sum(int(line.cells[2]) for line in self._lines)), "", "", str(total))
        rows = [*(line.cells for line in self._lines), last]
        widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
        if sum(widths) + 2 * len(widths) > width():
            self._stack(rows)
        elif self._styled:
            self._frame(rows)
        else:
            self._columns(rows, widths)
        out("")
        for text in _what_it_means(stage, client, self._priced):
            self._paragraph(text)
        self._paragraph("With a key of your own:")
        for command in _next_steps(stage, client):
            self._say(f"  {command}")

    # Ways to show a table -------------------------------------------------------------------------------------------

    def _frame(self, rows: Sequence[Sequence[str]]) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_footer=True)
        for heading, footer in zip(HEADINGS, rows[-1], strict=True):
            table.add_column(heading, footer, justify="left" if heading in HEADINGS[:2] else "right", no_wrap=True)
        for row in rows[:-1]:
            table.add_row(*row)
        Console(width=width(), highlight=False).print(table)

    def _columns(self, rows: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
        for row in (HEADINGS, *rows):
            cells = [
                f"{cell:<{size}}" if place < 2 else f"{cell:>{size}}"
                for place, (cell, size) in enumerate(zip(row, widths, strict=True))
            ]
            out("  ".join(cells).rstrip())

    def _stack(self, rows: Sequence[Sequence[str]]) -> None:
        for task, *cells in rows:
            self._say(task, bold=True)
            self._facts([f"{heading} {cell}" for heading, cell in zip(HEADINGS[1:], cells, strict=True) if cell], "  ")

    # -----------------------------------------------------------------------------------------------------------------

    def _say(self, text: str, **style: bool | str) -> None:
        show((styled(text, sys.stdout, **style) if self._styled else text) + "\n")

    def _paragraph(self, text: str, margin: str = "", **style: bool | str) -> None:
        self._say(wrapped(text, margin), **style)

    def _facts(self, facts: Sequence[str], margin: str = "", between: str = " · ", **style: bool | str) -> None:
        """Facts in as few lines as they fit in, none of them broken."""
        lines = [""]
        for place, fact in enumerate(facts, 1):
            longer = f"{lines[-1]}{between}{fact}" if lines[-1] else fact
            kept = len(between.rstrip()) if place < len(facts) else 0  # A line that is broken ends with it.
            if lines[-1] and len(margin + longer) + kept > width():
                lines[-1] += between.rstrip()
                lines.append(fact)
            else:
                lines[-1] = longer
        self._say("\n".join(margin + line for line in lines), **style)


def _what_it_means(stage: Stage, client: AsyncClient, known: Mapping[str, bool]) -> list[str]:
    """`known`: of those that have answered, whether what that cost is known."""
    paces = {role.provider: role.pace for role in ROLES}
    imitated = ", ".join(
        f"{target.provider} that of {paces[target.provider]}"
        for target in stage.targets
        if paces[target.provider] != target.provider
    )
    priced = [(target, client.roster.prices(target.provider).find(target)) for target in stage.targets]
    dated = [f"{target} as of {price.as_of}" for target, price in priced if price and price.as_of]
    booked = {target.provider for target, price in priced if price} | stage.local
    listed = [f"what {name}'s simulated list says" for name, told in known.items() if told and name not in booked]
    unknown = [name for name, told in known.items() if not told]
    own = f" A machine of one's own ({', '.join(sorted(stage.local))}) costs nothing." if stage.local else ""
    return [
        "None of this left your machine. The vendors are simulations on loopback with the speed of the profiles they "
        f"are named after{f' ({imitated})' if imitated else ''}, {stage.speed:g} times faster; times are measured "
        "here, on that fast clock.",
        "Costs are what the tokens would have cost: the lab's word counts at the prices in the packages "
        f"({', '.join([*dated, *listed]) or 'none of them is known'}). What {_and(unknown)} cost nobody knows: that is "
        f"called unknown, not 0.{own}",
    ]


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nobody"


def _next_steps(stage: Stage, client: AsyncClient) -> list[str]:
    """The commands that ask the first provider here that takes a key, as they can be typed where this one was."""
    specs = [client.roster.declared(target.provider).spec for target in stage.targets]
    variables = [variable for spec in specs for variable in spec.env_keys.values()]
    key = (
        [f"export {variables[0]}=..."]
        if variables
        else ["pip install pointsman-sambanova", "export SAMBANOVA_API_KEY=..."]
    )
    return [*key, f'{_myself()} chat "Why is the sky blue?"']


def _myself() -> str:
    """How this command is run: by uv in a checkout, which tells its own place in the environment; else by its name."""
    uv = os.environ.get("UV")
    if not uv or shutil.which("pointsman", path=os.environ.get("PATH", "")) is None:
        return "pointsman"
    near = os.path.relpath(uv)
    return f"{near if not near.startswith('..') else 'uv'} run pointsman"
