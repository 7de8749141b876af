"""Which capabilities a test is about; the card reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

TestT = TypeVar("TestT", bound=Callable[..., Any])


def proves(*capabilities: str) -> Callable[[TestT], TestT]:
    """Say of a test that it shows these capabilities where they are claimed."""
    return _marked("_pointsman_proves", capabilities)


def refuses(*capabilities: str) -> Callable[[TestT], TestT]:
    """Say of a test that it shows that these capabilities are refused clearly where they are not claimed."""
    return _marked("_pointsman_refuses", capabilities)


def proven_by(tests: type, name: str) -> tuple[str, ...]:
    """The capabilities that the test `name` of the class shows, also where a subclass overrides it."""
    return _mark("_pointsman_proves", tests, name)


def refused_by(tests: type, name: str) -> tuple[str, ...]:
    """Likewise those that it shows to be refused."""
    return _mark("_pointsman_refuses", tests, name)


def _marked(attribute: str, capabilities: tuple[str, ...]) -> Callable[[TestT], TestT]:
    def mark(test: TestT) -> TestT:
        setattr(test, attribute, capabilities)
        return test

    return mark


def _mark(attribute: str, tests: type, name: str) -> tuple[str, ...]:
    return next((found for base in tests.__mro__ if (found := getattr(vars(base).get(name), attribute, ()))), ())
