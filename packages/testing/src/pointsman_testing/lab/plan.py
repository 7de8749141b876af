"""How a body goes over the wire: what the dialect wrote, with the scripted faults worked in. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from .script import BodyFault, Cut, Drip, Ending, Garbage, Place, Stall


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a body that is written at once, not before it is `due`: lab seconds after the head."""

    data: bytes
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait; all that follows is due later by as much. A comment every `ping` seconds, if that is given."""

    seconds: float
    ping: float | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The last step."""

    how: Ending


Step: TypeAlias = Chunk | Pause | End


def plan(body: Sequence[Chunk], faults: Sequence[BodyFault] = ()) -> list[Step]:
    """The steps that send `body` with `faults`. The last one is an `End`, and no other.

    Faults at the same place happen in the order in which they were scripted.
    """
    drip = next((fault for fault in reversed(faults) if isinstance(fault, Drip)), None)
    steps = list(_steps(body or (Chunk(b""),), [fault for fault in faults if not isinstance(fault, Drip)]))
    return list(_dripped(steps, drip)) if drip else steps


def _steps(body: Sequence[Chunk], faults: Iterable[Cut | Stall | Garbage]) -> Iterator[Step]:
    ends = list(accumulate(len(chunk.data) for chunk in body))
    marks = deque(sorted(((_offset(fault.place, ends), fault) for fault in faults), key=lambda mark: mark[0]))
    for chunk, end in zip(body, ends, strict=True):
        rest = chunk.data
        # A mark between two chunks belongs to the earlier one: it does not wait until the later one is due.
        while marks and marks[0][0] <= end:
            offset, fault = marks.popleft()
            size = len(rest) - (end - offset)
            if size:
                yield Chunk(rest[:size], chunk.due)
                rest = rest[size:]
            match fault:
                case Cut():
                    yield End(fault.how)
                    return
                case Stall():
                    yield Pause(fault.seconds, fault.ping)
                case Garbage():
                    yield Chunk(fault.data, chunk.due)
        if rest:
            yield Chunk(rest, chunk.due)
    yield End("clean")


def _offset(place: Place, ends: Sequence[int]) -> int:
    """The byte that `place` means, in a body whose events end at `ends`."""
    marks = (0, *ends) if place.unit == "events" else range(ends[-1] + 1)
    index = place.count if place.count >= 0 else place.count + len(marks) - 1
    return marks[min(max(index, 0), len(marks) - 1)]


def _dripped(steps: Iterable[Step], drip: Drip) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, Chunk):
            for start in range(0, len(step.data), drip.size):
                yield Chunk(step.data[start : start + drip.size], step.due)
                if drip.every:
                    yield Pause(drip.every)
        else:
            yield step
