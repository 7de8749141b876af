"""How likely it is that a stronger model is worth its price, from the text alone.

Two readings of one text are added. *Measures* (how long, how varied, how many numbers, options, signs of code) say
something of every prompt. *Terms* (words cut to six letters, signs, and pairs of them) know kinds of prompt: for each
kind that the training data holds, there is an expert with a level and, where that pays, a list of weights. A gate says
of which kind a prompt is, or of none, and how usual its vote is among the prompts of that kind; what is not usual is
judged by its measures alone. So what is learnt from exam questions is not said of a haiku.

What the number means, how it was trained and how well it orders prompts: docs/decisions/difficulty.md. The model is
written by packages/policy/training/difficulty_train.py.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import copysign, exp, log1p
from operator import itemgetter, mul

from pointsman import ChatRequest

from .lanes import packed, unpacked

HEAD, TAIL = 600, 400
"""How many characters are read at the beginning and at the end of a longer text; its length is known all the same."""
LETTERS = 6
"""A word counts as far as its sixth letter: *integral* and *integrals* are one term."""
FOLLOW_UP = 60
"""A message of fewer characters is read together with what the person said before it."""
TYPICAL = 0.19
"""The difficulty of the mean prompt of what the model was trained on; nine of ten prompts lie between 0.11 and 0.35."""
SPREAD = 3.0
"""A measure counts up to so many standard deviations from its mean: an odd text is no extreme one."""

_TOKEN = re.compile(r"[^\W\d_]+|\d|[^\w\s]|\n")
_ASCII_TOKEN = re.compile(r"[a-z]+|[^\sa-z_]|\n")  # the same in ASCII, in half the time
_begins = itemgetter(slice(LETTERS))
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
    return list(map(_begins, pattern.findall(text.lower())))


def terms_of(tokens: Sequence[str]) -> set[str]:
    """Each token, and each two that stand side by side, once."""
    terms = set(tokens)
    terms.update(map(" ".join, pairwise(tokens)))
    return terms


def window(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def measured(text: str, tokens: Sequence[str], characters: int) -> list[float]:
    """The `MEASURES` of a window `text`, whose `tokens` are known, out of a text of `characters`."""
    counts = Counter(tokens)
    counts["_"] = text.count("_")  # the one sign that is no token
    kinds = list(filter(str.isalpha, counts))  # In the order in which they first occur.
    words = sum(map(counts.__getitem__, kinds))
    per_word = 1 / (words or 1)
    digits = sum(map(counts.__getitem__, "0123456789"))
    long = sum(counts[kind] for kind in kinds if len(kind) == LETTERS)
    options = [found.start() for found in _OPTION.finditer(text)]
    longest, sentences = _sentences(text)
    signs = list(map(counts.__getitem__, _SIGNS))
    per_sign = 20 / (len(text) + 20)
    return [
        log1p(characters),
        log1p(options[0] if options else characters),
        log1p(words),
        log1p(len(kinds)),
        len(kinds) * per_word,
        log1p(digits),
        digits / (len(tokens) or 1),
        long * per_word,
        log1p(long),
        sum(map(counts.__getitem__, _COMMON.intersection(kinds))) * per_word,
        log1p(longest),
        log1p(sentences),
        log1p(characters / sentences),
        min(len(options), 10) / 4,
        float(bool(options)),
        min(2.0, sum(map(counts.__getitem__, _NEGATIONS.intersection(kinds)))),
        float(" NOT " in text or "EXCEPT" in text),
        float(bool(kinds) and kinds[0] in _QUESTIONS),
        *(float(word in counts) for word in _QUESTIONS),
        *map(log1p, signs),
        *(count * per_sign for count in signs),
    ]


def _sentences(text: str) -> tuple[int, int]:
    """How many characters the longest has, and how many there are: runs of ``.?!`` and ends of lines part them."""
    lengths = list(map(len, text.replace("?", ".").replace("!", ".").replace("\n", ".").split(".")))
    return max(lengths), len(lengths) - lengths[1:-1].count(0)  # Nothing within is the inside of a run.


@dataclass(frozen=True, slots=True)
class Expert:
    """What is known of one kind of prompt, as log odds beside what measures say everywhere."""

    kind: str
    floor: float
    """The vote of the gate at which the expert is not trusted at all,"""
    ceiling: float
    """and the one from which on it is trusted wholly."""
    level: float
    measures: Sequence[float]
    terms: Mapping[str, int]
    known: frozenset[str]
    step: float
    """What 1 is worth in `terms`."""

    def odds(self, vote: float, terms: set[str], scale: float, measures: Sequence[float]) -> float:
        trust = min(1.0, max(0.0, (vote - self.floor) / (self.ceiling - self.floor)))
        if not trust:
            return 0.0
        found = sum(map(self.terms.__getitem__, terms & self.known))
        return trust * (self.level + self.step * scale * found + sum(map(mul, self.measures, measures)))


@dataclass(frozen=True, slots=True)
class Gate:
    """Says of which kind a prompt is, or of none."""

    constants: Sequence[float]
    steps: Sequence[float]
    terms: Mapping[str, int]
    """For each term its weights for all kinds, in `steps`: one `packed` number, so that all are added up at once."""
    known: frozenset[str]

    def __call__(self, terms: set[str], scale: float) -> tuple[int, float]:
        """The number of the kind with the highest vote, and this vote."""
        sums = unpacked(sum(map(self.terms.__getitem__, terms & self.known)), len(self.constants))
        votes = [at + step * scale * of for at, step, of in zip(self.constants, self.steps, sums, strict=True)]
        vote = max(votes)
        return votes.index(vote), vote


@dataclass(frozen=True, slots=True)
class Model:
    """All that is known: measures for every prompt, experts, and the gate that says who is asked."""

    means: Sequence[float]
    scales: Sequence[float]
    """Of the measures: 1 / standard deviation."""
    offset: float
    """The log odds of the mean prompt; one for all kinds, since they differed by the models that were compared."""
    base: Sequence[float]
    """The weights of the measures for every kind of prompt."""
    gate: Gate
    experts: Sequence[Expert]
    """In the order of the gate's kinds, whose last is none."""

    def __call__(self, text: str) -> float:
        text = text.strip()
        read = window(text)
        tokens = tokens_of(read)
        terms = terms_of(tokens)
        scale = (len(terms) or 1) ** -0.5
        found = zip(measured(read, tokens, len(text)), self.means, self.scales, strict=True)
        apart = [(value - mean) * by for value, mean, by in found]
        measures = [by if -SPREAD < by < SPREAD else copysign(SPREAD, by) for by in apart]
        odds = self.offset + sum(map(mul, self.base, measures))
        kind, vote = self.gate(terms, scale)
        if kind < len(self.experts):
            odds += self.experts[kind].odds(vote, terms, scale, measures)
        return 1 / (1 + exp(-odds))


@cache
def model() -> Model:
    """The model of the wheel, read once."""
    return read_model((files("pointsman_policy") / "difficulty.json").read_text("utf-8"))


def read_model(text: str) -> Model:
    """A model as `difficulty_train.py` writes it: terms parted by tabs; weights are signed bytes, to be scaled."""
    data = json.loads(text)
    experts: list[Expert] = []
    for kind in data["kinds"]:
        names, (step, weights) = _names(kind["terms"]), kind["weights"]
        terms = dict(zip(names, _signed(weights), strict=True))
        limits = (kind["floor"], kind["ceiling"], kind["level"])
        experts.append(Expert(kind["kind"], *limits, kind["measures"], terms, frozenset(names), step))
    gated = _names(data["gated"])
    constants, steps, columns = zip(*data["votes"], strict=True)
    votes = dict(zip(gated, map(packed, zip(*map(_signed, columns), strict=True)), strict=True))
    gate = Gate(constants, steps, votes, frozenset(gated))
    return Model(data["means"], data["scales"], data["offset"], data["base"], gate, experts)


def _names(text: str) -> list[str]:
    return text.split("\t") if text else []


def _signed(packed: str) -> list[int]:
    return [byte - 256 if byte > 127 else byte for byte in b64decode(packed)]


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
