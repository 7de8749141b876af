"""The prompt: what stands on the command line, what comes through stdin, or both."""

from __future__ import annotations

import select
import sys
from typing import TextIO

import click

from ..terminal import note

PATIENCE = 2.0
"""Seconds of silence on stdin before we say that we wait for it."""


def read_prompt(argument: str | None) -> str:
    """The text to ask: stdin first, then the argument, as in ``cat notes.txt | pointsman chat "Summarise this"``.

    Raises `click.UsageError` if there is none.
    """
    piped = _read_stdin() if argument == "-" or not _stdin_is_terminal() else None
    if argument == "-":
        argument = None
    if argument is None and piped is None:
        verb = click.get_current_context().command_path
        raise click.UsageError(
            f'there is no prompt: {verb} "Why is the sky blue?", or pipe text into it, or - to type it here'
        )
    prompt = "\n\n".join(part for part in (piped, argument) if part and part.strip())
    if not prompt:
        raise click.UsageError("the prompt is empty")
    return checked(prompt, "the prompt")


def alone(argument: str | None, surplus: tuple[str, ...]) -> None:
    """Raises `click.UsageError` for a prompt that the shell has divided at its spaces."""
    if surplus:
        import shlex

        verb = click.get_current_context().command_path
        whole = " ".join([argument or "", *surplus])
        raise click.UsageError(f"PROMPT is one argument, so put it in quotes: {verb} {shlex.quote(whole)}")


def checked(text: str, what: str) -> str:
    """`text`, if it can be sent. Raises `click.UsageError`."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise click.UsageError(f"{what} is not valid UTF-8") from None
    return text


def checked_task(text: str) -> str:
    """`text`, which may be a task of one's own; a likely slip is told. Raises `click.UsageError`."""
    from pointsman.errors import did_you_mean
    from pointsman_policy import TASKS

    if not checked(text, "--task").strip():
        raise click.UsageError(f"--task is empty: leave it out, or name one of {', '.join(TASKS)}")
    if text not in TASKS and (meant := did_you_mean(text, TASKS)):
        note(f"Warning: --task {text} is a task of your own{meant}", dim=True)
    return text


def is_conversation(argument: str | None) -> bool:
    """Whether nothing is asked yet, and somebody is there who could."""
    return argument is None and sys.stdin is not None and _stdin_is_terminal()  # pyright: ignore[reportUnnecessaryComparison]


def _stdin_is_terminal() -> bool:
    return sys.stdin is None or sys.stdin.isatty()  # pyright: ignore[reportUnnecessaryComparison]


def _read_stdin() -> str:
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]  (closed by the shell: ``<&-``)
        return ""
    if sys.stdin.isatty():
        note("Reading from the terminal; end with Ctrl-D.", dim=True)
    elif _is_silent(sys.stdin):
        note("Waiting for text from stdin; if none is to come, add < /dev/null", dim=True)
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").rstrip("\n")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"stdin is not UTF-8 text (byte {error.start})") from None


def _is_silent(stream: TextIO) -> bool:
    """Whether nothing comes for a while; a terminal is not called silent, since there a person types."""
    try:
        return not stream.isatty() and not select.select([stream], [], [], PATIENCE)[0]
    except (OSError, ValueError):  # A stream that cannot be waited for: on Windows, or in a test.
        return False
