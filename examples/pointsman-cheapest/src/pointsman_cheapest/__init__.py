"""The lowest price first, by what the answer should cost; where nobody can say that before, it comes last."""

from collections.abc import Sequence
from math import inf

from pointsman import Candidate, ChatRequest, Decision, Exclusion, Policy, Unknown, Usage, hookimpl

ANSWER = 500
"""Tokens of an answer, unless the request allows fewer."""
TOKEN = 4
"""Characters, as in English. A language with longer or shorter tokens has them at every candidate."""


class CheapestPolicy:
    """Ranks by price alone, and says what the first one should cost."""

    name = "cheapest"

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        asked = sum(len(message.text) for message in request.messages) // TOKEN
        usage = Usage(input_tokens=asked, output_tokens=min(ANSWER, request.max_tokens or ANSWER))
        lacks = {one.target: ", ".join(sorted(one.lacks(request))) for one in candidates}
        able = [one for one in candidates if not lacks[one.target]]
        costs = {one.target: one.price.of(usage) if one.price else Unknown for one in able}
        able.sort(key=lambda one: costs[one.target].known if costs[one.target].complete else inf)
        excluded = tuple(Exclusion(target, f"cannot do {what}") for target, what in lacks.items() if what)
        reason = "nobody's price is known" if able else "nobody can do what is asked for"
        if able and costs[able[0].target].complete:
            reason = f"{able[0].target} should answer for {costs[able[0].target]}"
        return Decision(policy=self.name, order=tuple(one.target for one in able), excluded=excluded, reason=reason)


@hookimpl
def pointsman_policies() -> Sequence[Policy]:
    return [CheapestPolicy()]
