"""What is typed: lines, edited where the standard library's readline is there, and the history of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..terminal import colours, note

if TYPE_CHECKING:
    from types import ModuleType

MOST_ENTRIES = 1000
QUOTES = '"""'


class Lines:
    """Reads from the terminal. `completions` takes the line so far and its last word."""

    def __init__(self, completions: Callable[[str, str], list[str]]) -> None:
        self._completions = completions
        self._found: list[str] = []
        self._readline: ModuleType | None = None
        self._edited = sys.stdout.isatty()
        """Else answers go elsewhere, and the prompt must not go with them."""
        self._history = History(history_path())
        if self._edited:
            with suppress(ImportError):  # On Windows it is not there.
                import readline

                self._readline = readline
                self._set_up(readline)

    def read(self) -> str | None:
        """What is typed, of several lines if it says so; None when there is no more.

        Raises `KeyboardInterrupt`.
        """
        text = self._line("> ")
        if text is None:
            return None
        begins = text.lstrip()
        if begins.startswith(QUOTES):
            text = self._quoted(begins.removeprefix(QUOTES))
        else:
            while text.endswith("\\") and (more := self._line("… ")) is not None:
                text = text[:-1] + "\n" + more
        self._remember(text)
        return text

    def _quoted(self, text: str) -> str:
        while not text.rstrip().endswith(QUOTES):
            more = self._line("… ")
            if more is None:
                return text.strip("\n")
            text += "\n" + more
        return text.rstrip().removesuffix(QUOTES).strip("\n")

    def _line(self, prompt: str) -> str | None:
        sys.stderr.flush()
        try:
            if self._edited:
                return input(self._styled(prompt))
            sys.stderr.write(prompt)
            sys.stderr.flush()
            line = sys.stdin.readline()
        except EOFError:
            line = ""
        except UnicodeDecodeError:
            note("What you typed is not in this terminal's encoding; it is left out.")
            return ""
        if not line:
            sys.stderr.write("\n")  # Ctrl-D leaves no trace of its own.
            return None
        return line.removesuffix("\n")

    def _styled(self, prompt: str) -> str:
        if not colours(sys.stdout):
            return prompt
        if self._readline is None:
            return f"\x1b[1m{prompt}\x1b[0m"
        return f"\x01\x1b[1m\x02{prompt}\x01\x1b[0m\x02"  # readline is told what takes no room.

    def _set_up(self, readline: Any) -> None:
        editline = "libedit" in (readline.__doc__ or "")
        for line in ("bind ^I rl_complete",) if editline else ("tab: complete", "set enable-bracketed-paste on"):
            readline.parse_and_bind(line)
        readline.set_completer(self._complete)
        readline.set_completer_delims(" \t\n")
        readline.set_auto_history(False)
        for entry in self._history.load():
            readline.add_history(entry)

    def _complete(self, word: str, number: int) -> str | None:
        if number == 0 and self._readline is not None:
            self._found = []
            with suppress(Exception):  # No question is worth less for a word that could not be completed.
                self._found = self._completions(self._readline.get_line_buffer()[: self._readline.get_endidx()], word)
        return self._found[number] if number < len(self._found) else None

    def _remember(self, text: str) -> None:
        """Like a shell: not what begins with a space, and not the same twice in a row."""
        readline = self._readline
        if readline is None or not text.strip() or text.startswith(" "):
            return
        last = readline.get_current_history_length()
        if last and readline.get_history_item(last) == text:
            return
        readline.add_history(text)
        self._history.add(text)


@contextmanager
def unechoed() -> Generator[None]:
    """What is typed meanwhile is not shown: it would stand in the answer. It is there at the next prompt."""
    try:
        import termios
    except ImportError:  # Windows, which does not show it anyway.
        yield
        return
    try:
        before = termios.tcgetattr(sys.stdin)
    except (termios.error, OSError, ValueError):  # No terminal, or not any more.
        yield
        return
    silent = [*before]
    silent[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, silent)
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def history_path() -> Path | None:
    """The file that ``POINTSMAN_HISTORY`` names. None: what is typed is kept in memory only, as prompts are."""
    chosen = os.environ.get("POINTSMAN_HISTORY", "").strip()
    return Path(chosen).expanduser() if chosen else None


class History:
    """A file with an entry in each line, as JSON, for entries have lines of their own. Only its owner may read it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self) -> list[str]:
        """The last entries; of an older file than that, the rest is dropped from it."""
        if self._path is None:
            return []
        try:
            lines = self._path.read_text("utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            self._give_up(error)
            return []
        lines = [line for line in lines if line]
        kept = lines[-MOST_ENTRIES:]
        if len(lines) > 2 * MOST_ENTRIES:
            self._replace(kept)
        return [entry for entry in map(_entry, kept) if entry]

    def add(self, entry: str) -> None:
        """At once, so that it outlives whatever happens to us."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
                if hasattr(os, "fchmod") and os.fstat(file.fileno()).st_mode & 0o077:
                    os.fchmod(file.fileno(), 0o600)
                file.write(json.dumps(entry).encode() + b"\n")
        except OSError as error:
            self._give_up(error)

    def _replace(self, lines: list[str]) -> None:
        assert self._path is not None
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
            beside.replace(self._path)
        except OSError:
            with suppress(OSError):
                beside.unlink()

    def _give_up(self, error: OSError) -> None:
        """Once: without a path nothing more is tried."""
        note(
            f"The history is not kept: {self._path}: {error.strerror}. Name another file in POINTSMAN_HISTORY.",
            dim=True,
        )
        self._path = None


def _entry(line: str) -> str | None:
    try:
        entry: object = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, str) else None
