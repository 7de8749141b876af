"""What a person sees: where it may be coloured, and what must not reach a terminal as it is."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

import click

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"} | {
    code: f"\\u{code:04x}"
    for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))  # They turn the order of what follows around.
}


def harmless(text: str) -> str:
    """`text` with control characters spelled out, all but line breaks and tabs.

    A terminal obeys escape sequences: what a model or a vendor says could move the cursor over what stands there, set
    the window's title or the clipboard, or make the terminal type something.
    """
    return text.replace("\r\n", "\n").translate(_CONTROLS)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads `stream`."""
    return stream.isatty()


def colours(stream: TextIO) -> bool:
    """Whether `stream` takes colours, and nobody has asked for none (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, stream: TextIO, **style: bool | str) -> str:
    """`text`, harmless, in a style that `click.style` knows, where `stream` takes it."""
    text = harmless(text)
    return click.style(text, **style) if style and colours(stream) else text  # type: ignore[arg-type]


def out(text: str, *, end: str = "\n") -> None:
    """Data, at once. Control characters are spelled out if a terminal would obey them."""
    show((harmless(text) if is_terminal(sys.stdout) else text) + end)


def show(text: str) -> None:
    """What is made of `styled` and our own words, to stdout as it is."""
    wipe()
    sys.stdout.write(text)
    sys.stdout.flush()


def note(text: str, **style: bool | str) -> None:
    """Whatever is not data: to stderr, and harmless wherever that is read."""
    wipe()
    _noted[0] += 1
    sys.stderr.write(styled(text, sys.stderr, **style) + "\n")
    sys.stderr.flush()


_noted = [0]


def noted() -> int:
    """How many notes there have been: whoever draws on the terminal is no longer where it was after one of them."""
    return _noted[0]


_passing: list[str] = []
"""The line on stderr that is to vanish, if there is one."""


def pass_by(text: str) -> None:
    """A line on stderr, in place of the one before, that vanishes before anything else is shown."""
    if _passing == [text]:
        return
    _passing[:] = [text]
    columns = max(shutil.get_terminal_size().columns - 1, 1)
    sys.stderr.write("\r\x1b[K" + styled(harmless(text)[:columns], sys.stderr, dim=True))
    sys.stderr.flush()


def wipe() -> None:
    """Let the passing line vanish."""
    if _passing:
        _passing.clear()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def takes_passing_lines() -> bool:
    """Whether a line on stderr can be taken back."""
    return is_terminal(sys.stderr) and os.environ.get("TERM") != "dumb"


def width(most: int = 100) -> int:
    """Columns to use."""
    return max(20, min(shutil.get_terminal_size().columns, most))


def prepare_streams() -> None:
    """Make standard streams that can be written to, whatever the process was started with."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  (closed by the shell: ``>&-``)
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")  # An answer may hold what the terminal's encoding, or any, cannot.


def abandon_stdout() -> None:
    """Nobody reads stdout any more: point it where the interpreter's last flush does no harm."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
