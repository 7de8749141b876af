"""Which lines were sent and which are answered, as far as it is on disk. Pure: it opens nothing, and knows no clock.

A line is open as long as it has no result, or was sent once more than its result says.
"""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeGuard

from pointsman import Cost, Exact

_NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Result:
    """What a line came to: one line of the output."""

    line: int
    sent: int
    """How often the line was sent by then."""
    failed: bool
    cost: Cost
    """Of all sendings."""
    data: bytes
    """It, as it is written."""

    @classmethod
    def read(cls, data: bytes) -> Result | None:
        """What stands on a line of the output; None for what a crash has torn."""
        try:
            said: Any = json.loads(data)
            line, sent, error, cost = said["line"], said["sent"], said["error"], said["cost"]
            usd = Decimal(cost["usd"] or 0)
            read = cls(line, sent, error is not None, Cost(usd, cost["complete"] is True), data)
        except (ValueError, KeyError, TypeError, InvalidOperation, RecursionError):
            return None
        return read if data.endswith(b"\n") and _is_count(line) and _is_count(sent) else None


def mark(line: int, sent: int) -> bytes:
    """A line of the journal: from now on `line` counts as sent so often."""
    return b'{"line": %d, "sent": %d}\n' % (line, sent)


def read_mark(data: bytes) -> tuple[int, int] | None:
    """What `mark` has written; None for what a crash has torn."""
    try:
        said: object = json.loads(data)
    except ValueError:
        return None
    match said:
        case {"line": int(line), "sent": int(sent)} if data.endswith(b"\n") and line > 0 and sent >= 0:
            return line, sent
        case _:
            return None


class Progress:
    """Of a file whose last line has the number `last`: 17 bytes a line, however long the lines are."""

    def __init__(self, last: int) -> None:
        self._sent = array("I", bytes(4 * (last + 1)))
        self._told = array("I", bytes(4 * (last + 1)))
        """How often it was sent, as its result says."""
        self._where = array("q", [_NOWHERE]) * (last + 1)
        self._failed = bytearray(last + 1)
        self.results = 0
        """Lines that have one, be it an old one."""
        self.errors = 0
        """Of them, those that ended in an error."""
        self.known = Exact(0)
        """The sum of what is known that results cost."""
        self.vague = 0
        """Results whose cost is a lower bound, or unknown."""

    @property
    def last(self) -> int:
        return len(self._sent) - 1

    # What is read, and what is written ---------------------------------------------------------------------------

    def note(self, result: Result, where: int, before: Result | None) -> None:
        """A result is on disk, at the offset `where`, in place of `before`, which `where_is` leads to."""
        line = result.line
        if before is None:
            self.results += 1
        else:
            self._count(before, -1)
        self._count(result, 1)
        self._where[line], self._told[line], self._failed[line] = where, result.sent, result.failed
        self._sent[line] = max(self._sent[line], result.sent)

    def marked(self, line: int, sent: int) -> None:
        """The journal says that `line` was sent so often; its last word holds."""
        self._sent[line] = sent

    def _count(self, result: Result, by: int) -> None:
        self.errors += by * result.failed
        self.vague += by * (not result.cost.complete)
        known = self.known.known + by * result.cost.known
        self.known = Exact(known)

    # What follows from it --------------------------------------------------------------------------------------------

    def knows(self, line: int) -> bool:
        """Whether the input has so many lines."""
        return 0 < line <= self.last

    def where_is(self, line: int) -> int | None:
        """The offset of the last result of a line."""
        found = self._where[line]
        return None if found == _NOWHERE else found

    def sent(self, line: int) -> int:
        """How often it was sent, or may have been."""
        return self._sent[line]

    def lost(self, line: int) -> int:
        """How many sendings of it have no result, and may have cost something all the same."""
        return self._sent[line] - self._told[line]

    def is_open(self, line: int) -> bool:
        """Whether it has to be sent."""
        return self._where[line] == _NOWHERE or self._sent[line] > self._told[line]

    def reopened(self) -> int:
        """Lines that have a result, and were sent once more since."""
        pairs = zip(self._where, self._sent, self._told, strict=True)
        return sum(where != _NOWHERE and sent > told for where, sent, told in pairs)

    def failed(self, line: int) -> bool:
        """Whether its result is an error."""
        return bool(self._failed[line])

    def settled(self) -> Cost:
        """Of all results."""
        return Cost(self.known.known, not self.vague)

    def cost(self) -> Cost:
        """Of all sendings so far; a lower bound if some are lost, or if some of it is not known."""
        complete = not self.vague and self._sent == self._told
        return Cost(self.known.known, complete)


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0
