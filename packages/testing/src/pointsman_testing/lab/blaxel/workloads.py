"""What is deployed in a workspace, and how the control plane tells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..dialect import Model

Kind: TypeAlias = Literal["models", "agents"]
Form: TypeAlias = Literal["python", "typescript", "sse", "events", "ndjson", "json"]
"""How an agent answers: bare text as Blaxel's Python templates send it (called an event stream) or its TypeScript ones
(plain text, and errors in it), OpenAI's chunks, events with ``content``, a JSON value a line, or one."""

AGENT = "agent:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A model or an agent."""

    kind: Kind
    name: str
    type: str = "openai"
    """Of a model's runtime: whose protocol is passed through."""
    model: str = ""
    """What the provider behind a model calls it."""
    status: str = "DEPLOYED"
    enabled: bool = True
    public: bool = False
    url: str = ""
    """Where the control plane says that it is; empty: where this server serves it."""
    form: Form | None = None
    """How an agent answers; None: as the dialect says."""

    @property
    def usable(self) -> bool:
        return self.status == "DEPLOYED" and self.enabled

    def entry(self, workspace: str, address: str) -> Mapping[str, Any]:
        """What the control plane says of it."""
        runtime: dict[str, Any] = {"generation": "mk3"}
        if self.kind == "models":
            runtime |= {"type": self.type, "model": self.model}
        else:
            runtime |= {"memory": 2048, "minScale": 0, "maxScale": 10}
        dates = {"createdAt": "2026-11-01T08:00:00.000Z", "updatedAt": "2026-11-01T08:00:00.000Z"}
        metadata = {"name": self.name, "displayName": self.name, "workspace": workspace, "url": self.url or address}
        spec = {"enabled": self.enabled, "public": self.public, "runtime": runtime}
        return {"metadata": {**metadata, **dates}, "spec": spec, "status": self.status}


def workload(model: Model) -> Workload:
    """The workload that an id, or fields, stand for: ``agent:NAME`` is an agent."""
    fields: Mapping[str, Any] = {"id": model} if isinstance(model, str) else model
    name = str(fields["id"])
    more: dict[str, Any] = {field: value for field, value in fields.items() if field != "id"}
    if name.startswith(AGENT):
        return Workload(kind="agents", name=name.removeprefix(AGENT), **more)
    more.setdefault("model", name)
    return Workload(kind="models", name=name, **more)


def find(models: Sequence[Model], kind: Kind, name: str) -> Workload | None:
    """The workload of that name; any that is asked for, where nothing is said of what there is."""
    if not models:
        return Workload(kind=kind, name=name, model=name)
    return next((one for one in map(workload, models) if (one.kind, one.name) == (kind, name)), None)


def listed(models: Sequence[Model], kind: Kind, status: str) -> list[Workload]:
    """Those of a kind, of one status or of any."""
    return [one for one in map(workload, models) if one.kind == kind and status in ("", one.status)]
