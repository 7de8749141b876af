"""How a test of the kit says what is wrong."""

from __future__ import annotations


def expect(holds: object, sentence: str) -> None:
    """Fail with `sentence` and nothing else: what was seen, what should have been, and where to look."""
    __tracebackhide__ = True
    if not holds:
        raise AssertionError(sentence)
