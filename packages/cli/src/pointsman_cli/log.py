"""What core and plugins log, for a person."""

from __future__ import annotations

import logging

from .listing import say


def log_to_stderr(*, debug: bool) -> None:
    """Show warnings of core and plugins as notes; their tracebacks only if they are wanted."""
    handler = _Notes()
    handler.setFormatter(_Formatter(debug))
    root = logging.getLogger()
    root.handlers[:] = [one for one in root.handlers if not isinstance(one, _Notes)] + [handler]


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            say(f"{record.levelname.capitalize()}: {self.format(record)}", dim=True)


class _Formatter(logging.Formatter):
    def __init__(self, debug: bool) -> None:
        super().__init__()
        self._debug = debug

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record) if self._debug else record.getMessage()
