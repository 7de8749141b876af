"""What the models see of a reading: names of features, in groups that are scaled each on its own."""

from __future__ import annotations

from itertools import pairwise

from .lexicon import Words, meanings, meanings_of
from .reading import Reading

GROUPS = 4
SPELT = 1
"""The group that stands for pieces."""
"""Words and phrases; pieces of words; signs; meanings."""

_MEANINGS = Words(meanings)
_SPEECH, _ = meanings_of("speech.txt")
_POLITE = frozenset(word for word, uses in _SPEECH.items() if "polite" in uses)
"""Words before what a sentence asks for: politeness, articles, "I want you to"."""
_BACK = frozenset(word for word, uses in _SPEECH.items() if "back" in uses)
"""Words that point back to what stands in an earlier message."""


def features(reading: Reading) -> tuple[set[str], list[str], set[str], set[str]]:
    """The features of `reading`, by group; for the second, words that `pieces_of` takes to pieces."""
    words = reading.words
    phrases = set(words)
    spelt = [word for word in phrases if word[0] != "<"]
    pairs = {f"{one} {two}" for one, two in pairwise(words)}
    meant = {word: found for word in phrases if (found := _MEANINGS[word])}
    if any(len(word) == 1 and word > "\u3000" for word in phrases):
        meant |= {pair: found for pair in pairs if (found := _MEANINGS[pair])}
    phrases |= pairs
    signs = {sign for sign in reading.signs if not sign.startswith("earlier ")}
    if len(signs) < len(reading.signs) and not _BACK.isdisjoint(phrases):
        # What was pasted before is talked about as if it stood here: "now write tests for it".
        signs = {sign.removeprefix("earlier ") for sign in reading.signs}
    signs.add(f"in {reading.language}")
    where = "code" if "code" in signs else "passage" if "passage" in signs or "long" in signs else "prose"
    signs.add(f"in {where}")
    ideas = sorted({idea for found in meant.values() for idea in found})
    known = {f"{where} {idea}" for idea in ideas}
    known.update(ideas)
    known.update(f"{one}+{two}" for at, one in enumerate(ideas) for two in ideas[at + 1 :])
    openings = [opening(words, start) for start in reading.starts]
    for verb, thing in openings:
        phrases.add(f"^{verb}")
        phrases.add(f"^{verb} {thing}")
    for name, place in (("first", 0), ("last", -1)) if openings else ():
        verb, thing = openings[place]
        phrases.add(f"{name} {verb}")
        phrases.add(f"{where} {verb}")
        does, what = meant.get(verb, ("-",)), meant.get(thing, ("-",))
        known.update(f"{name} {one}" for one in does)
        known.update(f"{where} {one}>" for one in does)
        known.update(f"{one}>{two}" for one in does for two in what)
    return phrases, spelt, signs, known


def opening(words: tuple[str, ...], start: int) -> tuple[str, str]:
    """What a sentence begins with, politeness and articles aside: mostly a verb and what it is done to."""
    found = [word for word in words[start : start + 9] if word not in _POLITE]
    verb, thing, *_ = *found, "", ""
    return verb, thing


def pieces_of(word: str) -> tuple[str, ...]:
    """Runs of three to five characters of `word`, its ends marked."""
    marked = f"_{word[:24]}_"
    return tuple(marked[at : at + size] for size in (3, 4, 5) for at in range(len(marked) - size + 1))
