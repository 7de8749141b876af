"""Which capability a test is about; the card reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

TestT = TypeVar("TestT", bound=Callable[..., Any])

_ATTRIBUTE = "_pointsman_proves"


def proves(*capabilities: str) -> Callable[[TestT], TestT]:
    """Say of a test that it shows these capabilities, or, where they are not claimed, that they are refused clearly."""

    def mark(test: TestT) -> TestT:
        setattr(test, _ATTRIBUTE, capabilities)
        return test

    return mark


def proven_by(tests: type, name: str) -> tuple[str, ...]:
    """The capabilities that the test `name` of the class is about, also where a subclass overrides it."""
    for base in tests.__mro__:
        if found := getattr(vars(base).get(name), _ATTRIBUTE, ()):
            return found
    return ()
