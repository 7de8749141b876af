"""A case that does not hold is overridden, with the reason; what it is asked with stays the kit's."""

from __future__ import annotations

from typing import Any


class Overridable:
    """Gives a test that overrides one of the kit's the rows of that, unless it is parametrized itself.

    Without them it could not be run, and a strict ``xfail`` takes that for the failure that it expects.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, test in vars(cls).items():
            if name.startswith("test_") and not _rows(test):
                rows = _rows(getattr(super(cls, cls), name, None))
                if rows and test is not None:  # That would be one that is deleted, which its card tells.
                    test.pytestmark = [*getattr(test, "pytestmark", ()), *rows]


def _rows(test: object) -> list[Any]:
    return [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
