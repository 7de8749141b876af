"""The error at the end of a text: how Blaxel's TypeScript templates say that they failed after they had begun. Pure.

They write a line that begins with ``❌ Error:``, a stack trace behind it, and then end as if all were well. A model may
write such a line, too: it is an error only if nothing, or a stack trace, comes between it and the end.
"""

from __future__ import annotations

import re

MARK = "❌ Error:"
_MOST = 64 * 1024
"""Characters of a trace. More than this after the mark is an answer that quotes one."""
_FRAME = re.compile(r"\s+at \S")


class Tail:
    """Holds a text back from where it may have begun to be an error, and not a character more."""

    def __init__(self) -> None:
        self._held = ""
        self._at_start = True
        """What is held, or what comes next, begins a line."""

    def feed(self, text: str) -> str:
        """What may be shown of it, now that `text` has come, too."""
        text = self._held + text
        place = 0 if self._at_start else text.find("\n") + 1
        while place or self._at_start:
            rest = text[place : place + len(MARK)]
            marked = rest == MARK and len(text) - place <= _MOST  # Else it was no error: look on behind that line.
            if marked or (rest != MARK and MARK.startswith(rest)):
                self._held, self._at_start = text[place:], True
                return text[:place]
            self._at_start = False
            place = text.find("\n", place) + 1
        self._held = ""
        return text

    def end(self) -> tuple[str, str]:
        """The rest of the text, and the error that it ends with; one of them is empty."""
        held, self._held = self._held, ""
        if not held.startswith(MARK):
            return held, ""
        said = held.removeprefix(MARK).strip()
        lines = [line for line in held.splitlines() if line.strip()]
        return ("", said or "it did not say which") if len(lines) == 1 or _FRAME.match(lines[-1]) else (held, "")
