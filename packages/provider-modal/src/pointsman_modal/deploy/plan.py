"""What is to be deployed, checked before anything is sent: Modal's SDK lets most mistakes pass, and some cost money."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError, model_validator

from pointsman import ConfigError
from pointsman_modal_app.settings import Deployment

from ..cost import gpu_price, region_times
from . import fits

USUAL = Deployment()
"""What is deployed unless something else is said."""
_MOST = 4_000
"""Containers of one Function (guide, "Scaling out"). What Modal allows of cores and memory is not published."""


def _names(value: Any) -> Any:
    """A list, also where it is written in one string."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _gpu(name: str) -> str:
    gpu_price(name)
    kind, colon, count = name.strip().upper().partition(":")
    return f"{'A10' if kind == 'A10G' else kind}{colon}{count}"


def _region(name: str) -> str:
    region_times((name,))
    return name


def _gib(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        number = re.match(r"\s*(\d+(?:\.\d+)?)\s*[GT]i?B?\s*$", value, re.IGNORECASE)
        raise ValueError(
            f"write a number of GiB without a unit, such as {number[1] if number else '8'}: {value!r} is none, and "
            "Modal would leave it out without a word"
        )
    return value


def _object_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,50}", text) or re.fullmatch(r"ap-[A-Za-z0-9]{22}", text):
        raise ValueError(
            f"{text!r} is no name at Modal: at most 50 letters of a to z, digits, dashes, periods and underscores, and "
            "no id (ap-...)"
        )
    return text


def _pinned(tag: str) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+(-rc\d+)?", tag):
        raise ValueError(
            f"{tag!r} does not say which Ollama: write a whole version, such as {USUAL.ollama_version}. What "
            "stands behind `latest` changes from one day to the next; `-rocm` is for other GPUs"
        )
    return tag


def _model(name: str) -> str:
    if not re.fullmatch(r"(\w[\w.-]*(:\d+)?/)?(\w[\w.-]*/)?\w[\w.-]*(:\w[\w.-]*)?", name, re.ASCII):
        raise ValueError(f"{name!r} is no name of a model: write it as ollama.com/library does, such as {USUAL.model}")
    if re.search(r"[:-]cloud$", name):
        raise ValueError(f"{name!r} runs at ollama.com and not here: ask it by `ollama/{name}`, which needs no GPU")
    return name


def _within(low: float, high: float, what: str) -> Any:
    """A check of a number that is to be from `low` to `high`; `what` says of what, and why."""

    def check(value: Any) -> Any:
        if not low <= value <= high:
            raise ValueError(f"{value} is out of range: it is {what}, from {low:,.10g} to {high:,.10g}")
        return value

    return AfterValidator(check)


_Seconds = Annotated[int, _within(1, 86_400, "a number of seconds")]


class Plan(BaseModel, frozen=True, extra="forbid"):
    """One deployment. `Plan.of` makes it from what a user wrote, and says what is wrong in words.

    Each field is that of `pointsman_modal_app.settings.Deployment`, but `memory_gib`, which Modal wants in MiB.
    """

    name: Annotated[str, AfterValidator(_object_name)] = USUAL.name
    model: Annotated[str, AfterValidator(_model)] = USUAL.model
    gpu: Annotated[tuple[Annotated[str, AfterValidator(_gpu)], ...], BeforeValidator(_names)] = USUAL.gpu
    """In order of preference. Empty: none, which is for trying things out."""
    cpu: Annotated[float, _within(0.125, 64, "a number of physical cores")] = USUAL.cpu
    memory_gib: Annotated[Decimal, BeforeValidator(_gib), _within(0.125, 2_048, "a number of GiB, not of MiB")] = (
        Decimal(USUAL.memory) / 1024
    )
    region: Annotated[tuple[Annotated[str, AfterValidator(_region)], ...], BeforeValidator(_names)] = USUAL.region
    min_containers: Annotated[int, _within(0, _MOST, "how many containers always run")] = USUAL.min_containers
    max_containers: Annotated[int, _within(1, _MOST, "the cap on containers, and Modal takes 0 for none at all")] = (
        USUAL.max_containers
    )
    scaledown_window: Annotated[int, _within(2, 3_600, "a number of seconds")] = USUAL.scaledown_window
    context_tokens: Annotated[int, _within(512, 2**20, "a number of tokens for each request")] = USUAL.context_tokens
    parallel: Annotated[int, _within(1, 256, "how many requests a container answers at once")] = USUAL.parallel
    timeout: _Seconds = USUAL.timeout
    startup_timeout: _Seconds = USUAL.startup_timeout
    volume: Annotated[str, AfterValidator(_object_name)] | None = None
    """Two apps with one Volume are two writers, which may spoil it. None: the app's own, ``<name>-weights``."""
    ollama_version: Annotated[str, AfterValidator(_pinned)] = USUAL.ollama_version

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Raises `ConfigError`, which names each value that is wrong, why, and what to write."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False)
            raise ConfigError("; ".join(_told(problem) for problem in problems)) from None

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.min_containers > self.max_containers:
            raise ValueError(
                f"min_containers ({self.min_containers}) is more than max_containers ({self.max_containers}): raise "
                "the one, or lower the other"
            )
        return self

    def deployment(self) -> Deployment:
        """The same, as the app reads it."""
        same = {field.name for field in fields(Deployment)} & set(type(self).model_fields)
        values: dict[str, Any] = {name: getattr(self, name) for name in same}
        values |= {"memory": int(self.memory_gib * 1024), "volume": self.volume or volume_of(self.name)}
        return Deployment(**values)

    def provider_settings(self) -> dict[str, Any]:
        """What has to stand in ``[providers.modal]`` besides the address and the token: what a second costs, and how
        the containers come and go. In types that TOML has.
        """
        gib = self.deployment().memory / 1024
        return {
            "default_models": [self.model],
            "context_tokens": self.context_tokens,
            "parallel": self.parallel,
            "gpu": list(self.gpu),
            "cpu": self.cpu,
            "memory_gib": int(gib) if gib == int(gib) else gib,
            "region": list(self.region),
            "scaledown_window": self.scaledown_window,
            "min_containers": self.min_containers,
        }

    def warnings(self) -> list[str]:
        """What will be slow, or cost more than it might; a sentence each."""
        return [*self._about_memory(), *self._about_money()]

    def _about_memory(self) -> list[str]:
        said: list[str] = []
        if not self.gpu:
            said.append(f"without a GPU {self.model} runs on the CPU, some tens of times slower")
        shape = fits.SHAPES.get(self.model)
        if shape and self.context_tokens > shape.trained:
            said.append(
                f"a context of {self.context_tokens:,} tokens is longer than the {shape.trained:,} that {self.model} "
                "was trained for, and Ollama gives it no more"
            )
        need = fits.needed(self.model, self.context_tokens, self.parallel)
        if small := [gpu for gpu in self.gpu if need and need > fits.memory_of(gpu)]:
            said.append(
                f"{self.model} with {self.parallel} contexts of {self.context_tokens:,} tokens takes about "
                f"{(need or 0) / 1e9:.0f} GB, more than {', '.join(small)} {'has' if len(small) == 1 else 'have'}: the "
                "rest goes to the CPU, which is slow. Lower the context or how many are answered at once, or take a "
                "larger GPU"
            )
        if need is None and self.gpu:
            said.append(self._about_unknown_size())
        if ":" not in self.model.rpartition("/")[2]:
            said.append(f"{self.model} without a tag is {self.model}:latest, which may be another model tomorrow")
        return said

    def _about_unknown_size(self) -> str:
        least = fits.weights(self.model)
        if small := [gpu for gpu in self.gpu if least and least > fits.memory_of(gpu)]:
            return (
                f"the weights of {self.model} alone are about {(least or 0) / 1e9:.0f} GB in 4 bits, more than "
                f"{', '.join(small)} {'has' if len(small) == 1 else 'have'}: the rest goes to the CPU, which is slow. "
                "Take a larger GPU, or a smaller model"
            )
        rooms = ", ".join(f"{gpu} with {fits.memory_of(gpu) / 1e9:.0f} GB" for gpu in self.gpu)
        return (
            f"how much memory the contexts of {self.model} take is not known here: whether all of it fits ({rooms}), "
            "the logs say once it runs"
        )

    def _about_money(self) -> list[str]:
        said: list[str] = []
        if (times := region_times(self.region)) > 1:
            said.append(f"in {', '.join(self.region)} all costs {times} times as much as anywhere")
        if self.min_containers:
            said.append(f"min_containers is {self.min_containers}: as many are billed day and night, asked or not")
        if unknown := [gpu for gpu in self.gpu if gpu_price(gpu) is None]:
            said.append(f"the price of {', '.join(unknown)} is not known here, so that nothing of it is counted")
        return said


def volume_of(app: str) -> str:
    """The Volume of an app that has one of its own."""
    return f"{app}-weights"


def _told(problem: Any) -> str:
    place, *_ = problem["loc"] or ("",)
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"there is no {place!r}: there are {', '.join(Plan.model_fields)}"
    if problem["type"] != "value_error":
        said = f"{said[0].lower()}{said[1:]}, not {problem['input']!r}"
    return f"{place}: {said}" if place else said
