"""Which language a person writes in: a guess from its commonest words, or from its script."""

from __future__ import annotations

from collections.abc import Iterable

from .lexicon import meanings_of

_SCRIPTS = (  # the first code point, the last, the language that mostly uses it; kana before the Han they mix with
    (0x3040, 0x30FF, "ja"),
    (0xAC00, 0xD7AF, "ko"),
    (0x4E00, 0x9FFF, "zh"),
    (0x0400, 0x04FF, "ru"),
    (0x0600, 0x06FF, "ar"),
    (0x0590, 0x05FF, "he"),
    (0x0370, 0x03FF, "el"),
    (0x0900, 0x097F, "hi"),
    (0x0E00, 0x0E7F, "th"),
)
_MARKS = {"ã": "pt", "õ": "pt", "ç": "pt", "ê": "pt", "ñ": "es", "¿": "es", "¡": "es", "ß": "de", "ü": "de", "œ": "fr"}
_LOOKED_AT = 400


def language_of(prose: str, words: Iterable[str]) -> str:
    """The ISO 639-1 code of the language of `prose`, whose `words` are in lower case and without accents.

    Text that says nothing about it, such as ``ok`` or none, counts as English; letters of a script that is not known
    here, and Latin letters of which none makes a known word, are ``other``.
    """
    letters = prose[:_LOOKED_AT]
    points = {} if letters.isascii() else _by_script(letters)
    if points and sum(points.values()) * 4 > sum(map(str.isalpha, letters)):
        if points.get("ja", 0) * 8 > points.get("zh", 0):
            points.pop("zh", None)
        return max(points, key=lambda language: points[language])
    exact, _ = meanings_of("languages.txt")
    votes: dict[str, float] = dict.fromkeys(("en", "pt", "es", "fr", "de", "it"), 0.0)
    seen = 0
    for word in words:
        seen += 1
        for language in exact.get(word, ()):
            votes[language] += 1 / len(exact[word])
    if not letters.isascii():
        for mark, language in _MARKS.items():
            votes[language] += min(letters.count(mark), 3)
    best = max(votes, key=lambda language: votes[language])
    if not votes[best]:
        return "en" if letters.isascii() and seen < 8 else "other"
    return best


def _by_script(letters: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for letter in letters:
        point = ord(letter)
        if point > 0x36F:
            language = next((name for first, last, name in _SCRIPTS if first <= point <= last), None)
            if language is None and letter.isalpha():
                language = "other"
            if language:
                found[language] = found.get(language, 0) + 1
    return found
