"""The plainest rule that still looks at the prompt: a few words, two wishes, and a fixed order of who comes next."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman import Candidate, ChatRequest, Decision

from .eligibility import eligible, floor_tokens

GENERATION = ("generate", "write", "create", "function", "class")
EXPLANATION = ("explain", "what is", "how does", "review")
"""Parts of the last question, in lower case, wherever they stand. Those of generation are looked for first."""

BY_TASK = {"code_generation": "blaxel", "code_explanation": "sambanova"}
BY_PRIORITY = {"speed": "sambanova", "quality": "modal"}
"""Where neither is asked for; all else goes to `OTHERWISE`."""
OTHERWISE = "hf"

FALLBACK = ("sambanova", "hf", "modal", "blaxel", "ollama")
"""Who comes after the choice, fastest first, and last what runs on this machine. Strangers follow as listed."""


class Keywords:
    """Goes by words. It measures nothing, and its choice among providers is by their names."""

    name = "keywords"

    def rank(self, request: ChatRequest, candidates: Sequence[Candidate], now: float, seed: int) -> Decision:
        able, excluded = eligible(request, candidates, floor_tokens(request))
        task, why = task_of(request)
        choice = BY_TASK.get(task) or BY_PRIORITY.get(request.priority, OTHERWISE)
        if task not in BY_TASK:
            why = f"{why}, and the priority is {request.priority}" if request.priority in BY_PRIORITY else why
        wanted = (choice, *(name for name in FALLBACK if name != choice))
        able.sort(key=lambda one: (one.open_at > now, _place(wanted, one.target.provider)))
        order = tuple(one.target for one in able)
        reason = f"{why}: that is for {choice}" if able else "none of them can do what is asked for"
        if able and order[0].provider != choice:
            reason += ", which cannot be asked now; the others follow in a fixed order"
        return Decision(
            policy=self.name,
            order=order,
            excluded=excluded,
            reason=reason,
            task=task,
            propensity=1.0 if able else None,
            policy_hash="keywords-1",
        )


def task_of(request: ChatRequest) -> tuple[str, str]:
    """What is asked, and what tells. A task that the request names goes before words."""
    if request.task:
        return request.task, "the request names its task"
    asked = next((one.text for one in reversed(request.messages) if one.role == "user"), "").lower()
    for task, words in (("code_generation", GENERATION), ("code_explanation", EXPLANATION)):
        if found := next((word for word in words if word in asked), None):
            return task, f"the word {found!r} tells {task.replace('_', ' ')}"
    return "general_qa", "no word tells a task"


def _place(wanted: Sequence[str], provider: str) -> int:
    return wanted.index(provider) if provider in wanted else len(wanted)
