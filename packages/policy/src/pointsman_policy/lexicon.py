"""Words that mean the same for what is asked, in several languages: the model learns what each meaning is worth.

It is no rule: a meaning is a feature like a word. Its use is for words that no training row has, or none in that
language. They stand in ``meanings.txt``, a paragraph for each meaning, in lower case and without accents; a star
stands for any ending; in Chinese, whose characters are read one by one, a bar parts a pair of characters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import TypeVar

Of = TypeVar("Of")
WORDS = 8_000
"""Of how many words is kept what is known of them: the same words come again in every message."""


class Words(dict[str, Of]):
    """What `of` says of words, each asked for once."""

    def __init__(self, of: Callable[[str], Of]) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, word: str) -> Of:
        if len(self) >= WORDS:
            self.clear()
        self[word] = found = self._of(word)
        return found


def meanings(word: str) -> tuple[str, ...]:
    """What `word` may mean, if it is known here."""
    exact, begun = meanings_of("meanings.txt")
    found = set(exact.get(word, ()))
    for length in range(1, len(word) + 1):
        found.update(begun.get(word[:length], ()))
    return tuple(sorted(found))


@cache
def meanings_of(file: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """What `file` says that whole words mean, and how words begin."""
    exact: dict[str, list[str]] = {}
    begun: dict[str, list[str]] = {}
    meaning = ""
    for entry in resources.files("pointsman_policy").joinpath(file).read_text(encoding="utf-8").split():
        if entry.endswith(":"):
            meaning = entry[:-1]
        elif entry.endswith("*"):
            begun.setdefault(entry[:-1], []).append(meaning)
        else:
            exact.setdefault(entry.replace("|", " "), []).append(meaning)
    return exact, begun
