"""Several whole numbers in one: Python adds up a row of weights in one step, however many numbers it has."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache

BYTES = 4
"""Of each lane: enough for the sum of sixteen million weights of a byte."""
_ZERO = 1 << 8 * BYTES - 1
"""What is added to a lane so that it is not negative, and borrows nothing from the next."""


def packed(numbers: Sequence[int]) -> int:
    """One number for several; the sum of such numbers holds the sums of what they hold."""
    return sum(number << 8 * BYTES * lane for lane, number in enumerate(numbers))


def unpacked(number: int, lanes: int) -> list[int]:
    """The numbers that `number` holds, so many."""
    raised = (number + _zeros(lanes)).to_bytes(BYTES * lanes, "little")
    return [lane - _ZERO for lane in struct.unpack(f"<{lanes}I", raised)]


@cache
def _zeros(lanes: int) -> int:
    return packed([_ZERO] * lanes)
