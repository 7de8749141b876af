"""What a run came to: the object of ``--json``, the words for a person, and the exit code."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pointsman import Cost, PointsmanError, RateLimited

from .. import as_json, figures
from ..exits import Exit, exit_code
from ..listing import say, wrapped
from ..terminal import is_terminal, out
from .estimate import Estimate
from .progress import Progress
from .results import plain_error
from .stopping import Stop
from .words import of, span


@dataclass(slots=True, kw_only=True)
class Summary:
    """Of one run, once it has ended."""

    input: str
    output: str
    lines: int
    invalid: int
    progress: Progress
    stop: Stop
    sent: int = 0
    """Lines that this run has sent."""
    seconds: float = 0.0
    stuck: bool = False
    """Whether threads are left that may never end."""
    torn: int = 0
    """Results that a crash had torn, whose lines were sent again."""
    estimate: Estimate | None = None
    """Of a run that only counts."""

    @property
    def open(self) -> int:
        """Lines that have to be sent still."""
        return self.lines - self.progress.results + self.progress.reopened()

    @property
    def code(self) -> Exit:
        """What the process ends with."""
        match self.stop.reason:
            case "interrupted":
                return Exit.INTERRUPTED
            case _ if self.stop.error is not None:
                return exit_code(self.stop.error)
            case "cost":
                return Exit.LIMIT
            case _:
                return Exit.FAILURE if self.progress.errors and self.estimate is None else Exit.OK

    def as_json(self) -> dict[str, Any]:
        """See `docs/schemas/batch.json`."""
        progress, error = self.progress, self.stop.error
        return {
            "input": self.input,
            "output": self.output,
            "lines": self.lines,
            "invalid": self.invalid,
            "answered": progress.results - progress.errors,
            "errors": progress.errors,
            "open": self.open,
            "sent": self.sent,
            "cost": as_json.cost(progress.cost()),
            "vague_costs": progress.vague,
            "seconds": round(self.seconds, 3),
            "stopped": self.stop.reason,
            "error": _error(error),
            "estimate": None if self.estimate is None else _estimate(self.estimate),
            "exit_code": int(self.code),
        }

    def show(self, *, as_object: bool) -> None:
        """Print it: the object to stdout, or words to stderr; those of an estimate are data."""
        if as_object:
            out(as_json.dumps(self.as_json()))
            return
        if self.estimate is not None:
            for line in self._expected(self.estimate):
                margin = line[: len(line) - len(line.lstrip())]
                out(wrapped(line.lstrip(), margin, f"{margin}  ") if is_terminal(sys.stdout) else line)
            return
        for line in self._words():
            say(line)

    def _words(self) -> list[str]:
        progress = self.progress
        answered, cost = progress.results - progress.errors, progress.cost()
        if not self.open and not self.sent and self.stop.reason is None:
            there = f"all {of(self.lines, 'line')} of {self.input} have a result in {self.output}"
            said = [f"Nothing was sent: {there if self.lines else f'{self.input} has no lines'}."]
        else:
            took = f" · {span(self.seconds)}" if self.sent else ""
            counts = f"{answered:,} answered, {of(progress.errors, 'error')}, {self.open:,} open"
            said = [f"{of(self.lines, 'line')}: {counts} · {figures.price(cost)}{took}"]
            order = ", in the order of the input" if not self.open else ""
            said.append(f"Results: {self.output}{order}")
        if progress.vague:
            said.append(f"What {of(progress.vague, 'line')} cost is not known, or known to a lower bound only.")
        if self.torn:
            said.append(f"{of(self.torn, 'result')} that a crash had torn: dropped, and sent again.")
        if progress.errors:
            said.append("--retry-errors sends the lines again that ended in an error.")
        match self.stop.reason:
            case "cost":
                said.append("Stopped by --max-cost. The same command with a larger one goes on.")
            case "interrupted":
                said.append("Interrupted. The same command goes on.")
            case _ if self.open and isinstance(self.stop.error, RateLimited):
                said.append("The same command goes on, later or with fewer at once (--concurrency):")
            case _ if self.open:
                said.append("Once this is mended, the same command goes on:")
            case _:
                pass
        return said

    def _expected(self, found: Estimate) -> list[str]:
        cost = Cost(found.usd, complete=not found.unbounded)
        most = f"at most {figures.price(cost)}" if cost.complete else "no bound"
        said = [
            f"{of(self.lines, 'line')}, {found.lines:,} of them to send",
            f"about {found.input_tokens:,} tokens to read, {_written(found)}",
            f"cost: {most}",
        ]
        said += [f"  {of(count, 'line')}: {why}" for why, count in found.why.items()]
        if found.unbounded and found.usd:
            said.append(f"  the other lines: at most {figures.price(Cost(found.usd, complete=True))}")
        if self.invalid:
            said.append(f"{of(self.invalid, 'line')} cannot be sent")
        return said


def _written(found: Estimate) -> str:
    """How much the lines may come to; of those without a bound that is not known."""
    known = found.lines - found.unbounded
    if found.lines and not known:
        return "nobody knows how many to write"
    rest = f" by {of(known, 'line')}, of the others nobody knows" if found.unbounded else ""
    return f"at most {found.most_output_tokens:,} to write{rest}"


def _error(error: BaseException | None) -> dict[str, Any] | None:
    if error is None or isinstance(error, PointsmanError):
        return as_json.error(error)
    return plain_error(type(error).__name__, str(error), exit_code(error))


def _estimate(found: Estimate) -> dict[str, Any]:
    return {
        "lines": found.lines,
        "input_tokens": found.input_tokens,
        "most_output_tokens": found.most_output_tokens,
        "most_usd": None if found.unbounded else f"{Decimal(found.usd).normalize():f}",
        "unbounded": found.unbounded,
    }
