"""How good a candidate is for a request: a weighted mean of terms, each from 0 to 1, where 1 is best.

    utility = sum(weight * term) / sum(weight)

A term that is made of an amount x with a unit is worth 1 / (1 + (x / half) ** slope): 1 for nothing, 1/2 at `half`, and
near 0 for very much; it falls with the logarithm of x about that point, and no step or bound makes two amounts equal.

| term        | made of                                                        | unit | half | slope |
| ----------- | -------------------------------------------------------------- | ---- | ---- | ----- |
| first token | wait until it is ready + first output of a prompt of this size | s    | 2    | 1     |
| answer      | that + tokens of a usual answer to the task / tokens a second  | s    | 15   | 1     |
| price       | what prompt and answer cost, and that a machine stands by      | USD  | 0.002 | 0.5  |
| reliability | (1 - share of attempts that fail) ** 2                         |      |      |       |
| quality     | ratings from 0 to 1, or declared strength / 10; the mean over what the request may be | | | |
| stay        | the share of the prompt that it has read a moment ago          |      |      |       |

Price: by the price book, what is cached at its own price, with a machine's seconds for the answer's. Of machines that
come and go, what asking now adds to the bill counts, too: a share of a start and of the windows in which one idles, or
by how much longer one that runs is kept. Without a price, a declared strength s counts as 0.09 * s, and what nobody
says as 0.3: what is not known is never taken for free. A deadline of d seconds makes seconds count more: `half` is at
most d / 4 for the first token and d / 2 for the answer.

Weights go by the request's priority. A difficulty d is set beside that of the mean prompt, t: h = d / (d + t). Quality
weighs (0.5 + h) times and price (1.5 - h) times as much: what is hard goes rather to the strong, what is easy to the
cheap. `stay` weighs only where some candidate has read the beginning of the prompt. `pointsman_policy.estimates` says
how measurements become figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from operator import mul
from typing import NamedTuple

from pointsman import Candidate, Timings, Usage
from pointsman import Term as Part

from . import estimates
from .difficulty import TYPICAL
from .estimates import View
from .priors import bounded

FORMULA = 2
"""Another number for another formula: decisions with the same hash can be compared."""


class Half(NamedTuple):
    """Where an amount is worth a half, and how fast it falls there."""

    amount: float
    slope: float


FIRST_TOKEN, ANSWER, PRICE = Half(2.0, 1.0), Half(15.0, 1.0), Half(0.002, 0.5)
DECLARED, UNKNOWN = 0.09, 0.3


class Weights(NamedTuple):
    """How much each term counts; only how they compare matters."""

    first_token: float
    answer: float
    price: float
    reliability: float
    quality: float
    stay: float


_NAMES = tuple(name.replace("_", " ") for name in Weights._fields)

WEIGHTS: Mapping[str, Weights] = {
    "balanced": Weights(first_token=0.15, answer=0.15, price=0.25, reliability=0.20, quality=0.40, stay=0.10),
    "speed": Weights(first_token=0.40, answer=0.40, price=0.05, reliability=0.20, quality=0.10, stay=0.10),
    "quality": Weights(first_token=0.10, answer=0.10, price=0.05, reliability=0.20, quality=1.00, stay=0.10),
    "cost": Weights(first_token=0.05, answer=0.05, price=0.70, reliability=0.20, quality=0.15, stay=0.10),
}
"""By priority."""


class Asked(NamedTuple):
    """What of a request counts for a score."""

    tokens: int
    """Of input, about."""
    length: str
    output: int
    """Tokens of the answer, about."""
    views: tuple[View, ...]
    """What it may be, the most probable first. There is one at least."""
    weights: Weights
    deadline: float | None


class Rated(NamedTuple):
    """A candidate with its score."""

    candidate: Candidate
    utility: float
    terms: tuple[Part, ...]
    seconds: float
    """Until the answer is whole, about."""
    begins: float = 0.0
    """Seconds until its first output."""


def worth(amount: float, half: Half) -> float:
    """From 1 for nothing down to 0 for infinitely much."""
    return float(1 / (1 + (amount / half.amount) ** half.slope))


def shifted(weights: Weights, difficulty: float, *, warm: bool) -> Weights:
    """The weights for a request so difficult; `warm` if some candidate has read its beginning."""
    told = bounded(difficulty, 0.0, 1.0)
    hard = 0.5 if told is None else told / (told + TYPICAL)
    stay = weights.stay if warm else 0.0
    return weights._replace(quality=weights.quality * (0.5 + hard), price=weights.price * (1.5 - hard), stay=stay)


def rate(one: Candidate, asked: Asked, said: float | None = None) -> Rated:
    """The candidate's score, with all that it is made of. `said` is what the user says of its answers, from 0 to 10."""
    weights = asked.weights
    first = estimates.first_token(one, asked.tokens, asked.length)
    speed = estimates.tokens_per_second(one, asked.views[0].task)
    failing = estimates.failures(one)
    good = estimates.quality(one, asked.views, said)
    cold = bounded(one.cold_wait, 0.0, 1e6) or 0.0
    begins, writes = cold + first.value, asked.output / speed.value
    cheap, price_note = _price(one, asked, begins, writes)
    warm = share_read(one, asked.tokens)
    getting_ready = _getting_ready(one, cold) if cold else ""
    values = (
        worth(begins, _by(asked.deadline, FIRST_TOKEN, 4)),
        worth(begins + writes, _by(asked.deadline, ANSWER, 2)),
        cheap,
        (1 - failing.value) ** 2,
        good.value,
        warm,
    )
    notes = (
        f"{getting_ready}{_seconds(first.value)}, {first.origin}",
        f"{_seconds(begins + writes)} at {speed.value:.3g} tokens/s, {speed.origin}",
        price_note,
        f"{failing.value:.1%} fail, {failing.origin}",
        f"{good.value:.2f}, {good.origin}",
        f"{warm:.0%} of the prompt is read already" if warm else "has read none of the prompt",
    )
    terms = tuple(map(Part, _NAMES, values, weights, notes))
    whole = sum(weights)
    utility = sum(map(mul, weights, values)) / whole if whole else 0.0
    return Rated(one, utility, terms if weights.stay else terms[:-1], begins + writes, begins)


def share_read(one: Candidate, tokens: int) -> float:
    """How much of the prompt the target has read a moment ago, from 0 to 1."""
    return (bounded(one.warm_tokens, 0, tokens) or 0.0) / tokens if tokens else 0.0


def _getting_ready(one: Candidate, cold: float) -> str:
    """Such as ``cold, 20 s to get ready (learnt from 3 starts), then``."""
    if one.state == "warming":
        return f"warming, {_seconds(cold)} left, then "
    starts = bounded(one.starts, 0.0, 1e6) or 0.0
    learnt = f" (learnt from {starts:.0f} start{'s' if round(starts) != 1 else ''})" if starts >= 0.5 else ""
    return f"{'cold, ' if one.state else ''}{_seconds(cold)} to get ready{learnt}, then "


def _price(one: Candidate, asked: Asked, begins: float, writes: float) -> tuple[float, str]:
    usd = _usd(one, asked, begins, writes)
    if usd is not None:
        standby = 0.0 if one.standby_cost is None else bounded(float(one.standby_cost), 0.0, 1e300) or 0.0
        note = f", {_usd_told(standby)} of them for a machine that stands by" if standby else ""
        usd += standby
        return worth(usd, PRICE), f"{_usd_told(usd)} USD{note}" if usd else "free of charge"
    declared = bounded(one.strengths.cost, 0.0, 10.0)
    if declared is None:
        return UNKNOWN, "unknown"
    return DECLARED * declared, f"unknown (cheapness {declared:g} of 10), expected by its package"


def _usd_told(usd: float) -> str:
    """``0.02``, ``0.000065``: two digits, without an exponent."""
    return f"{Decimal(f'{usd:.2g}'):f}"


def _usd(one: Candidate, asked: Asked, begins: float, writes: float) -> float | None:
    if one.price is None:
        return None
    cached = int(bounded(one.warm_tokens, 0, asked.tokens) or 0)
    usage = Usage(input_tokens=asked.tokens, cached_input_tokens=cached, output_tokens=asked.output)
    timings = Timings(ttft=begins, e2e=begins + writes) if one.price.second else None
    try:
        usd = float(one.price.of(usage, timings).known)
    except ArithmeticError:  # More than decimals can hold.
        return 1e300
    return usd if isfinite(usd) else 1e300


def _by(deadline: float | None, half: Half, part: int) -> Half:
    if deadline is None or not deadline > 0:
        return half
    return half._replace(amount=min(half.amount, max(deadline / part, 1e-3)))


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
