"""What is to be deployed, checked before anything is sent: Modal's SDK lets most mistakes pass, and some cost money."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator

from pointsman import ConfigError
from pointsman_modal_app.settings import Deployment

from ..cost import gpu_price, region_times
from . import fits

USUAL = Deployment()
"""What is deployed unless something else is said."""
MOST_CONTAINERS = 4_000
"""Of one Function (guide, "Scaling out")."""
MOST_GIB = 2_048
"""More is a number of MiB. Modal's own limit is not published."""


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
            f"write a number of GiB without a unit, such as {number[1] if number else '8'}: {value!r} is none, and Modal "
            "would leave it out without a word"
        )
    return value


def _object_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,63}", text) or re.fullmatch(r"ap-[A-Za-z0-9]{22}", text):
        raise ValueError(
            f"{text!r} is no name at Modal: at most 63 letters of a to z, digits, dashes, periods and underscores, and "
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
    if not re.fullmatch(r"([\w.-]+(:\d+)?/)?([\w.-]+/)?\w[\w.-]*(:\w[\w.-]*)?", name, re.ASCII):
        raise ValueError(f"{name!r} is no name of a model: write it as ollama.com/library does, such as {USUAL.model}")
    if re.search(r"[:-]cloud$", name):
        raise ValueError(f"{name!r} runs at ollama.com and not here: ask it by `ollama/{name}`, which needs no GPU")
    return name


class Plan(BaseModel, frozen=True, extra="forbid"):
    """One deployment. `Plan.of` makes it from what a user wrote, and says what is wrong in words.

    Each field is that of `pointsman_modal_app.settings.Deployment`, but `memory_gib`, which Modal wants in MiB.
    """

    name: Annotated[str, AfterValidator(_object_name)] = USUAL.name
    model: Annotated[str, AfterValidator(_model)] = USUAL.model
    gpu: Annotated[tuple[Annotated[str, AfterValidator(_gpu)], ...], BeforeValidator(_names)] = USUAL.gpu
    """In order of preference. Empty: none, which is for trying things out."""
    cpu: float = Field(default=USUAL.cpu, ge=0.125, le=64, allow_inf_nan=False)
    memory_gib: Annotated[Decimal, BeforeValidator(_gib), Field(ge=Decimal("0.125"), le=MOST_GIB)] = Decimal(
        USUAL.memory
    ) / 1024
    region: Annotated[tuple[Annotated[str, AfterValidator(_region)], ...], BeforeValidator(_names)] = USUAL.region
    min_containers: int = Field(default=USUAL.min_containers, ge=0, le=MOST_CONTAINERS)
    max_containers: int = Field(default=USUAL.max_containers, ge=1, le=MOST_CONTAINERS)
    scaledown_window: int = Field(default=USUAL.scaledown_window, ge=2, le=3600)
    context_tokens: int = Field(default=USUAL.context_tokens, ge=512, le=2**20)
    parallel: int = Field(default=USUAL.parallel, ge=1, le=256)
    timeout: int = Field(default=USUAL.timeout, ge=1, le=86_400)
    startup_timeout: int = Field(default=USUAL.startup_timeout, ge=1, le=86_400)
    volume: Annotated[str, AfterValidator(_object_name)] = USUAL.volume
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
        values = {name: getattr(self, name) for name in same}
        return Deployment(memory=int(self.memory_gib * 1024), **values)

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
                f"context_tokens is {self.context_tokens}, but {self.model} was trained for {shape.trained}, and "
                "Ollama gives it no more"
            )
        need = fits.needed(self.model, self.context_tokens, self.parallel)
        for gpu in self.gpu if need else ():
            if need and need > (have := fits.memory_of(gpu)):
                said.append(
                    f"{self.model} with {self.parallel} contexts of {self.context_tokens} tokens takes about "
                    f"{need / 1e9:.0f} GB, and {gpu} has {have / 1e9:.0f}: the rest goes to the CPU, which is slow. "
                    "Lower context_tokens or parallel, or take a larger GPU"
                )
        if ":" not in self.model.rpartition("/")[2]:
            said.append(f"{self.model} without a tag is {self.model}:latest, which may be another model tomorrow")
        return said

    def _about_money(self) -> list[str]:
        said: list[str] = []
        if (times := region_times(self.region)) > 1:
            said.append(f"in {', '.join(self.region)} all costs {times} times as much as anywhere")
        if self.min_containers:
            said.append(f"min_containers is {self.min_containers}: as many are billed day and night, asked or not")
        if unknown := [gpu for gpu in self.gpu if gpu_price(gpu) is None]:
            said.append(f"the price of {', '.join(unknown)} is not known here, so that nothing of it is counted")
        return said


def _told(problem: Any) -> str:
    place, *_ = problem["loc"] or ("",)
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"there is no {place!r}: there are {', '.join(Plan.model_fields)}"
    if problem["type"] != "value_error":
        said = f"{said[0].lower()}{said[1:]}, not {problem['input']!r}"
    return f"{place}: {said}" if place else said
