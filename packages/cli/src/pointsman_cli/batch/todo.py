"""The lines that have to be sent, read as they are wanted."""

from __future__ import annotations

from collections.abc import Iterator

from .lines import Asked
from .openai_form import WrongLine
from .progress import Progress
from .source import Checked, Read, Source, attempt, twin


def todo(
    source: Source, checked: Checked, read: Read, progress: Progress, *, retry_errors: bool
) -> Iterator[tuple[int, Asked | WrongLine]]:
    """Each open line with what it asks, in the order of the input; with `retry_errors` also those that failed.

    Raises `Changed`.
    """
    for number, line in source.lines():
        if not (progress.is_open(number) or (retry_errors and progress.failed(number))):
            continue
        try:
            asked: Asked | WrongLine = attempt(read, line)
            if number in checked.again:
                asked = twin(asked.id, checked.again[number])
        except WrongLine as error:
            asked = error
        if isinstance(asked, Asked) or progress.is_open(number):
            yield number, asked
