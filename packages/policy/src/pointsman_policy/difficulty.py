"""How likely it is that a stronger model is worth its price, from the text alone.

Two readings of one text are blended. *Measures* (how long, how varied, how many numbers, options, signs of code) order
the prompts of traffic that nobody has seen before. *Terms* (words cut to six letters, signs, and pairs of them) know
kinds of prompt: for each kind that the training data holds, there is a list of weights, an expert. A gate says how much
a prompt is of each kind, or of none; then only the measures count. So what is learnt from exam questions is not said of
a haiku.

What the number means, how it was trained and how well it orders prompts: docs/decisions/difficulty.md. The model is
written by packages/policy/training/difficulty_train.py.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import exp, fsum, log1p
from operator import mul
from typing import Any

from pointsman import ChatRequest

HEAD, TAIL = 1_500, 1_000
"""How many characters are read at the beginning and at the end of a longer text; its length is known all the same."""
LETTERS = 6
"""A word counts as far as its sixth letter: *integral* and *integrals* are one term."""
FOLLOW_UP = 60
"""A message of fewer characters is read together with what the person said before it."""
TYPICAL = 0.19
"""The difficulty of the mean prompt of what the model was trained on; nine of ten prompts lie between 0.10 and 0.50."""
UNLIKELY = 0.01
"""An expert whose kind is so much less likely than the likeliest is not asked."""
EVERYWHERE = 0.5
"""How much of what the measures say holds beside an expert. Experts are trusted by the square of their share, so that a
prompt between kinds is judged by its measures."""
SPREAD = 3.0
"""A measure counts up to so many standard deviations from its mean: an odd text is no extreme one."""

_TOKEN = re.compile(r"[^\W\d_]+|\d|[^\w\s]|\n")
_ASCII_TOKEN = re.compile(r"[a-z]+|[0-9]|[^\sa-z0-9_]|\n")  # the same in ASCII, in half the time
_SENTENCE = re.compile(r"[.?!\n]+")
_OPTION = re.compile(r"\n[ \t]{0,4}[\"(]?[A-J]\"?[.):]")
_SIGNS = ",.?()=;:\"%'_/-+*<$\\^{\n"
_QUESTIONS = ("what", "which", "who", "when", "where", "why", "how")
_NEGATIONS = frozenset(
    word[:LETTERS]
    for word in ["not", "except", "never", "false", "incorrect", "none", "least", "neither", "without", "nor"]
)
_COMMON_WORDS = """
the of and to in a is that for it as was with be by on not he i this are or his from at which but have an had they you
were there one all we can has if would who what their will more been when out so up some about into them she him her
than then its my no do does did how many much me your our
"""
_COMMON = frozenset(_COMMON_WORDS.split())

MEASURES = (
    *("characters", "stem", "words", "kinds of words", "variety", "digits", "share of digits", "share of long words"),
    *(
        "long words",
        "share of common words",
        "longest sentence",
        "sentences",
        "mean sentence",
        "options",
        "has options",
    ),
    *("negations", "loud negation", "begins as a question"),
    *(f"asks {word}" for word in _QUESTIONS),
    *(f"number of {sign!r}" for sign in _SIGNS),
    *(f"share of {sign!r}" for sign in _SIGNS),
)
"""What `measured` counts, in its order. Counts are ln(1 + count)."""


def tokens_of(text: str) -> list[str]:
    """Words as far as their sixth letter, digits, signs and ends of lines, in lower case."""
    pattern = _ASCII_TOKEN if text.isascii() else _TOKEN
    return [token[:LETTERS] for token in pattern.findall(text.lower())]


def terms_of(tokens: Sequence[str]) -> set[str]:
    """Each token, and each two that stand side by side, once."""
    terms = set(tokens)
    terms.update(map(" ".join, pairwise(tokens)))
    return terms


def window(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def measured(text: str, tokens: Sequence[str], characters: int) -> list[float]:
    """The `MEASURES` of a window `text`, whose `tokens` are known, out of a text of `characters`."""
    words = list(filter(str.isalpha, tokens))
    kinds = set(words)
    per_word = 1 / (len(words) or 1)
    digits = sum(map(text.count, "0123456789"))
    long = list(map(len, words)).count(LETTERS)
    options = [found.start() for found in _OPTION.finditer(text)]
    sentences = list(map(len, _SENTENCE.split(text)))
    signs = list(map(text.count, _SIGNS))
    per_sign = 20 / (len(text) + 20)
    return [
        log1p(characters),
        log1p(options[0] if options else characters),
        log1p(len(words)),
        log1p(len(kinds)),
        len(kinds) * per_word,
        log1p(digits),
        digits / (len(tokens) or 1),
        long * per_word,
        log1p(long),
        sum(map(_COMMON.__contains__, words)) * per_word,
        log1p(max(sentences)),
        log1p(len(sentences)),
        log1p(characters / len(sentences)),
        min(len(options), 10) / 4,
        float(bool(options)),
        min(2.0, sum(map(_NEGATIONS.__contains__, words))),
        float(" NOT " in text or "EXCEPT" in text),
        float(bool(words) and words[0] in _QUESTIONS),
        *(float(word in kinds) for word in _QUESTIONS),
        *map(log1p, signs),
        *(count * per_sign for count in signs),
    ]


@dataclass(frozen=True, slots=True)
class Expert:
    """What is known of one kind of prompt."""

    constant: float
    measures: Sequence[float]
    terms: Mapping[str, float]
    known: frozenset[str]
    slope: float
    """From a gap, a difference of qualities from 0 to 1, to log odds that the strong model's answer is better."""

    def odds(self, base: float, terms: set[str], scale: float, measures: Sequence[float]) -> float:
        """By how much a prompt is harder than the mean of its kind, as log odds."""
        found = fsum(map(self.terms.__getitem__, terms & self.known))  # exact: a set has another order in each process
        return self.slope * (base + self.constant + scale * found + sum(map(mul, self.measures, measures)))


@dataclass(frozen=True, slots=True)
class Model:
    """All that is known: measures for every prompt, experts, and the gates that say who is asked."""

    means: Sequence[float]
    scales: Sequence[float]
    """Of the measures: 1 / standard deviation."""
    offset: float
    """The log odds of the mean prompt; one for all kinds, since they differed by the models that were compared."""
    base: Sequence[float]
    """The weights of the measures for every kind of prompt."""
    experts: Sequence[Expert]
    """The last is of no kind in particular: it has no terms."""
    gates: Sequence[tuple[float, Mapping[str, float]]]
    """For each expert a constant and the weights of the terms in `gated`: the log odds of its kind."""
    gated: frozenset[str]

    def __call__(self, text: str) -> float:
        text = text.strip()
        read = window(text)
        tokens = tokens_of(read)
        terms = terms_of(tokens)
        scale = (len(terms) or 1) ** -0.5
        measures = [
            min(SPREAD, max(-SPREAD, (value - mean) * by))
            for value, mean, by in zip(measured(read, tokens, len(text)), self.means, self.scales, strict=True)
        ]
        base = sum(map(mul, self.base, measures))
        found = terms & self.gated
        votes = [constant + scale * fsum(map(weights.__getitem__, found)) for constant, weights in self.gates]
        most = max(votes)
        shares = [exp(vote - most) for vote in votes]
        likely = [(share, expert) for share, expert in zip(shares, self.experts, strict=True) if share > UNLIKELY]
        whole, odds, trusted = sum(share for share, _ in likely), 0.0, 0.0
        for share, expert in likely:
            if expert.terms:
                trust = (share / whole) ** 2
                odds += trust * expert.odds(base, terms, scale, measures)
                trusted += trust
        odds += self.experts[-1].slope * base * (1 - (1 - EVERYWHERE) * trusted)
        return 1 / (1 + exp(-odds - self.offset))


@cache
def model() -> Model:
    """The model of the wheel, read once."""
    return read_model((files("pointsman_policy") / "difficulty.json").read_text("utf-8"))


def read_model(text: str) -> Model:
    """A model as `difficulty_train.py` writes it: terms parted by tabs; weights are signed bytes, to be scaled."""
    data = json.loads(text)
    experts: list[Expert] = []
    gates: list[tuple[float, Mapping[str, float]]] = []
    gated = _names(data["gated"])
    for kind in data["kinds"]:
        names = _names(kind["terms"])
        terms = dict(zip(names, _weights(kind["weights"]), strict=True))
        experts.append(Expert(kind["constant"], kind["measures"], terms, frozenset(names), kind["slope"]))
        gates.append((kind["gate"], dict(zip(gated, _weights(kind["gates"]), strict=True))))
    return Model(data["means"], data["scales"], data["offset"], data["base"], experts, gates, frozenset(gated))


def _names(text: str) -> list[str]:
    return text.split("\t") if text else []


def _weights(packed: Sequence[Any]) -> list[float]:
    scale, text = packed
    return [(byte - 256 if byte > 127 else byte) * scale for byte in b64decode(text)]


def difficulty_of(request: ChatRequest | str) -> float:
    """From 0 to 1: the chance that a strong model answers better than a weak one would. Never raises; opens nothing.

    A conversation is judged by what the person said last; a follow-up of a few words is read together with
    what the person said before.
    """
    if isinstance(request, str):
        return model()(request)
    said = [message.text for message in request.messages if message.role == "user"]
    last = said[-1] if said else ""
    return model()(f"{said[-2]}\n{last}" if len(said) > 1 and len(last) < FOLLOW_UP else last)
