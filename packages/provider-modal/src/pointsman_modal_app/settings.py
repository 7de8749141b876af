"""What is deployed: values that mean the same on the machine that deploys and in the container."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, cast

VARIABLE = "POINTSMAN_DEPLOYMENT"
"""Holds a `Deployment` as JSON: set by `pointsman modal deploy`, and put into the image, so that the container reads
what was deployed."""
WEIGHTS = "/weights"
"""Where the Volume is mounted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One app on Modal. Nothing is checked here but types: `pointsman_modal.deploy.Plan` does that, and says more."""

    name: str = "pointsman"
    """Of the app; its address is ``<workspace>--<name>-ollama-serve.modal.run``."""
    model: str = "qwen2.5-coder:7b"
    """As Ollama's library names it."""
    gpu: tuple[str, ...] = ("A10", "L4")
    """Modal takes the first that is free. Empty: the model runs on the CPU."""
    cpu: float = 1.0
    """Physical cores asked for; up to 16 more may be used, and are billed when they are (guide, "Resources")."""
    memory: int = 8192
    """MiB asked for; what is used beyond it is billed."""
    region: tuple[str, ...] = ()
    """Empty: anywhere, which is cheapest."""
    min_containers: int = 0
    max_containers: int = 1
    """The lid on the bill."""
    scaledown_window: int = 300
    """Seconds that a container stays after its last request."""
    context_tokens: int = 32768
    """For each request. Unless it is said, Ollama goes by the GPU's memory."""
    parallel: int = 4
    """Requests that one container answers at once; each has a context of its own in the GPU's memory."""
    timeout: int = 3600
    """Seconds for one answer, streamed or not. Modal's own default of 300 cuts long streams off."""
    startup_timeout: int = 900
    """Seconds for a start; the first may have to wait until the weights are in the Volume."""
    volume: str = "pointsman-weights"
    """One app's own: its `pull` is the only writer."""
    ollama_version: str = "0.32.15"
    """The tag of the image ``ollama/ollama``."""
    port: int = 11434

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """What the variable says; the defaults where it is not set. Raises `ValueError` naming what cannot be read."""
        return cls.from_json(environ.get(VARIABLE) or "{}")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises `ValueError` for what is not an object of known fields, each of its own type."""
        try:
            given: Any = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{VARIABLE} is not JSON: {error}; `pointsman modal deploy` sets it") from None
        if not isinstance(given, dict):
            raise ValueError(f"{VARIABLE} is no JSON object: {text[:80]}")
        known = {field.name: field.default for field in fields(cls)}
        table = cast("dict[str, Any]", given)
        return cls(**{name: _read(name, value, known) for name, value in table.items()})

    def to_json(self) -> str:
        """The same text for the same values: the image that holds it is built once."""
        return json.dumps(asdict(self), sort_keys=True)

    def server_environ(self, host: str = "0.0.0.0") -> dict[str, str]:  # noqa: S104 - Modal's proxy is not on loopback
        """The environment of ``ollama serve``."""
        return {
            "OLLAMA_HOST": f"{host}:{self.port}",
            "OLLAMA_MODELS": WEIGHTS,
            "OLLAMA_KEEP_ALIVE": "-1",  # a GPU without its model is billed all the same
            "OLLAMA_CONTEXT_LENGTH": str(self.context_tokens),
            "OLLAMA_NUM_PARALLEL": str(self.parallel),
            "OLLAMA_MAX_LOADED_MODELS": "1",
            "OLLAMA_FLASH_ATTENTION": "1",
            "OLLAMA_NOPRUNE": "1",  # what serves cannot write to the Volume, and what pulls shall go on where it ended
            "OLLAMA_NO_CLOUD": "1",  # no prompt is passed on to ollama.com
        }


def _read(name: str, value: Any, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise ValueError(f"{VARIABLE}: there is no {name!r}; there are {', '.join(known)}")
    match known[name]:
        case tuple():
            if isinstance(value, list) and all(isinstance(part, str) for part in cast("list[Any]", value)):
                return tuple(cast("list[str]", value))
            wanted = "a list of texts"
        case float():
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
            wanted = "a number"
        case int():
            if isinstance(value, int) and not isinstance(value, bool):
                return value
            wanted = "a whole number"
        case _:
            if isinstance(value, str):
                return value
            wanted = "a text"
    raise ValueError(f"{VARIABLE}: {name} is to be {wanted}, not {json.dumps(value)[:80]}")
