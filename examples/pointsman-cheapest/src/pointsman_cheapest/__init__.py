"""The lowest price first; where nobody can say that before, it comes last, and after it who fails too often."""

from collections.abc import Sequence
from typing import Any

import pointsman as pm
from pydantic import BaseModel, Field

TOKEN = 4
"""Characters, as in English. A language with longer or shorter tokens has them at every candidate."""


class Config(BaseModel, frozen=True, extra="forbid"):
    """Settings: ``[policy]``, or ``POINTSMAN_POLICY_...``."""

    answer_tokens: int = Field(default=500, ge=1)
    """Of an answer, unless the request allows fewer."""
    failures: float = Field(default=0.5, ge=0, le=1)
    """Whoever lately failed more often than that, as a share of its attempts, comes last."""


class CheapestPolicy:
    """Ranks by price, and says what the first one should cost."""

    name = "cheapest"

    def __init__(self, config: Config) -> None:
        self.config = config

    def rank(self, request: pm.ChatRequest, candidates: Sequence[pm.Candidate], now: float, seed: int) -> pm.Decision:
        asked = sum(len(message.text) for message in request.messages) // TOKEN
        most = self.config.answer_tokens
        usage = pm.Usage(input_tokens=asked, output_tokens=min(most, request.max_tokens or most))
        lacks = {one.target: ", ".join(sorted(one.lacks(request))) for one in candidates}
        scores = [self.score(one, usage) for one in candidates if not lacks[one.target]]
        scores.sort(key=lambda one: one.utility, reverse=True)
        return pm.Decision(
            policy=self.name,
            order=tuple(one.target for one in scores),
            excluded=tuple(pm.Exclusion(target, f"cannot do {what}") for target, what in lacks.items() if what),
            reason=f"{scores[0].target}: {scores[0].terms[0].note}" if scores else "nobody can do what is asked for",
            scores=tuple(scores),
            policy_hash=f"{self.name} 1 {self.config}",
        )

    def score(self, one: pm.Candidate, usage: pm.Usage) -> pm.Score:
        """From 0 to 1 for whom works, from -1 to 0 for whom fails; a tenth of a cent is worth a half."""
        cost = one.price.of(usage) if one.price else pm.Unknown
        value = 1 / (1 + 1000 * float(cost.known)) if cost.complete else 0.0
        lately = one.history.recent
        fails = lately.attempts > 0 and lately.failures / lately.attempts > self.config.failures
        price = pm.Term("price", value, weight=1.0, note=f"an answer should cost {cost}")
        return pm.Score(one.target, value - fails, (price,))


@pm.hookimpl
def pointsman_policies() -> Sequence[pm.PolicySpec[Any]]:
    spec = pm.PolicySpec(
        name="cheapest",
        config=Config,
        make=CheapestPolicy,
    )
    return [spec]
