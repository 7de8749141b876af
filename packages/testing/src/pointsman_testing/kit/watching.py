"""What a function does besides returning: a watch on files, sockets and processes, clocks, dice and the environment."""

from __future__ import annotations

import gc
import inspect
import os
import random
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

OUTSIDE = ("open", "os.", "socket.", "subprocess.", "shutil.", "sqlite3.", "urllib.", "glob.", "tempfile.", "signal.")
"""How the audit events begin that tell of something outside of the process."""

READS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "posix.urandom",
    "nt.urandom",
    "builtins.print",
    "builtins.input",
}
"""Functions in C, besides all of the module `time`, whose answer or effect does not follow from their arguments."""

_SYSTEM = ("posix.", "nt.")
"""Modules whose functions ask the system, but for these, which only look at the text of a path."""
_PATHS = ("fspath", "_path_norm", "_path_split")

_ENVIRONMENT = {getattr(type(os.environ), name).__code__ for name in ("__getitem__", "__setitem__", "__iter__")}
_DICE_OF_ALL: object = cast(Any, random.random).__self__


class Watch:
    """What was done while it was there."""

    def __init__(self) -> None:
        self.touched: list[str] = []
        """What was opened, asked or read, in order."""
        self._thread = threading.get_ident()  # What others of this process do meanwhile is theirs.
        self.calls = 0
        """How many functions were called, in Python or in C: a measure of work that no busy machine changes."""

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        if (
            event.startswith(OUTSIDE)
            and threading.get_ident() == self._thread
            and not _is_importing(inspect.currentframe())
        ):
            self.touched.append(f"{event}({', '.join(map(repr, args[:1]))})")

    def profile(self, frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            self.calls += 1
            if (told := _impure(called)) and not _is_importing(frame):
                self.touched.append(told)
        elif event == "call":
            self.calls += 1
            if frame.f_code in _ENVIRONMENT:
                self.touched.append("os.environ")


@contextmanager
def watching() -> Generator[Watch]:
    """Watch this thread until the block is left. What importing a module reads does not count."""
    watch, before = Watch(), sys.getprofile()
    if not _watches.hooked:
        sys.addaudithook(_watches.audit)  # It can never be taken away again.
        _watches.hooked = True
    _watches.there.append(watch)
    collecting = gc.isenabled()
    gc.disable()  # Others ask the clock when garbage is collected, whoever is at work then (Hypothesis does).
    sys.setprofile(watch.profile)
    try:
        yield watch
    finally:
        sys.setprofile(before)
        _watches.there.remove(watch)
        if collecting:
            gc.enable()


class _Watches:
    """Those that are there now, and whether Python tells them of its audit events."""

    def __init__(self) -> None:
        self.there: list[Watch] = []
        self.hooked = False

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        for watch in self.there:
            watch.audit(event, args)


_watches = _Watches()


def _impure(called: Any) -> str | None:
    name = f"{getattr(called, '__module__', None) or ''}.{called.__qualname__}".lstrip(".")
    owner = getattr(called, "__self__", None)
    if owner is _DICE_OF_ALL:
        return f"random.{called.__name__}"
    if owner is not None and (owner is sys.stdout or owner is sys.stderr):
        return f"a standard stream's {called.__name__}"
    if name.startswith(_SYSTEM) and not called.__name__.startswith(_PATHS):
        return name
    return name if name in READS or name.startswith("time.") else None


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
