"""What may stand under ``[policy]`` for the policy `scored`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, field_validator, model_validator

from .classification import TASKS
from .scoring import WEIGHTS

Named: TypeAlias = Literal["balanced", "speed", "quality", "cost"]


def _is_pattern(text: str) -> str:
    provider, slash, model = text.partition("/")
    if text != text.strip():
        raise ValueError(f"{text!r} fits nothing: leave out the blanks around it")
    if text != "*" and not (provider and slash and model):
        name = text.strip("/") or "modal"
        raise ValueError(
            f"{text!r} is no pattern: write provider/model, where * stands for anything, such as '{name}/*'"
        )
    return text


def _is_no_switch(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is not a switch: true and false do not fit")  # pydantic would read true as 1.
    return value


Pattern: TypeAlias = Annotated[str, AfterValidator(_is_pattern)]
Number: TypeAlias = Annotated[float, BeforeValidator(_is_no_switch)]
Weight: TypeAlias = Annotated[Number, Field(ge=0, le=1e6, allow_inf_nan=False)]


class TaskRule(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """``[policy.tasks.NAME]``: where requests of one task go.

    Patterns name targets: ``*``, ``?`` and ``[...]`` as in file names. What cannot serve falls to the next.
    """

    prefer: tuple[Pattern, ...] = ()
    """These first, in this order; those of one pattern by score."""
    fallback: tuple[Pattern, ...] = ()
    """These next, in this order, after the preferred, or after the best by score where none of those can serve."""
    avoid: tuple[Pattern, ...] = ()
    """These last, after all others: who is never to be asked is left out of ``[routing] targets``."""
    priority: Named | None = None
    """For requests of this task that say none, or ``balanced``."""
    like: str | None = None
    """Which of the known tasks it is like: for a name of one's own, which requests carry as their `task`."""

    @field_validator("like")
    @classmethod
    def _is_known(cls, like: str | None) -> str | None:
        if like is not None and like not in TASKS:
            raise ValueError(f"there is no task {like!r}: there are {', '.join(TASKS)}{_meant(like, TASKS)}")
        return like


class WeightSettings(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """``[policy.weights.PRIORITY]``: how much each term counts; the others keep their weights."""

    first_token: Weight | None = None
    answer: Weight | None = None
    price: Weight | None = None
    reliability: Weight | None = None
    quality: Weight | None = None
    stay: Weight | None = None


class ScoredSettings(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """``[policy]``, for `scored`."""

    explore: Number = Field(default=0.02, ge=0, le=1, allow_inf_nan=False)
    """With which probability a request may go first to any of those that are about as good as the best."""
    stay: Weight | None = None
    """The weight of staying where a conversation is, for all priorities; 0 lets it move freely."""
    tasks: Mapping[str, TaskRule] = Field(default_factory=dict[str, TaskRule])
    weights: Mapping[Named, WeightSettings] = Field(default_factory=dict[Named, WeightSettings])
    quality: Mapping[Pattern, Annotated[Number, Field(ge=0, le=10, allow_inf_nan=False)]] = Field(
        default_factory=dict[str, float]
    )
    """How good the answers of targets are, from 0 to 10, instead of what their packages expect; later patterns win."""

    @field_validator("tasks")
    @classmethod
    def _are_tasks(cls, tasks: Mapping[str, TaskRule]) -> Mapping[str, TaskRule]:
        for name, rule in tasks.items():
            if name not in TASKS and rule.like is None:
                raise ValueError(
                    f"there is no task {name!r}: there are {', '.join(TASKS)}{_meant(name, TASKS)}; "
                    'one of your own says which it is like: like = "general_qa"'
                )
            if name in TASKS and rule.like not in (None, name):
                raise ValueError(f"{name} is a task that is known: leave out like = {rule.like!r}")
            if twice := next((one for one in rule.prefer if one in rule.avoid), None):
                raise ValueError(f"{name}: {twice!r} stands in prefer and in avoid: leave it out of one")
        return tasks

    @model_validator(mode="after")
    def _something_counts(self) -> ScoredSettings:
        for priority, own in self.weights.items():
            values = {**WEIGHTS[priority]._asdict(), **own.model_dump(exclude_none=True)}
            if not any(value for name, value in values.items() if name != "stay"):
                raise ValueError(f"weights: all of {priority} are 0, so nothing counts: leave one above 0")
        return self


def _meant(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
