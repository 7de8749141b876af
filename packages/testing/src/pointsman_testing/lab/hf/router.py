"""The router: which models it lists, who serves one, and what it says to those it does not serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..dialect import Model
from ..script import Fault

POLICIES = ("fastest", "cheapest", "preferred")
CREDITS = (
    "You have depleted your monthly included credits. Purchase pre-paid credits to continue using Inference Providers. "
    "Alternatively, subscribe to PRO to get 20x more included usage."
)
PERMISSION = (
    "This authentication method does not have sufficient permissions to call Inference Providers "
    "on behalf of user {user}"
)
_PROVIDER: Mapping[str, Any] = {
    "provider": "groq",
    "status": "live",
    "context_length": 131_072,
    "pricing": {"input": 0.15, "output": 0.6},
    "supports_tools": True,
    "supports_structured_output": True,
    "first_token_latency_ms": 210,
    "throughput": 480.5,
    "is_model_author": False,
}


def entry(model: Model) -> dict[str, Any]:
    """A model as ``/v1/models`` lists it; what a test leaves out is filled in."""
    given: dict[str, Any] = {"id": model} if isinstance(model, str) else dict(model)
    return {
        "object": "model",
        "created": 1_790_000_000,
        "owned_by": str(given["id"]).partition("/")[0],
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "providers": [dict(_PROVIDER)],
        **given,
    }


def provider_for(models: Sequence[Model], wanted: str) -> str | Fault:
    """Who answers for ``org/model`` or ``org/model:suffix``; a fault if nobody does. Where none is listed, all are."""
    name, _, suffix = wanted.partition(":")
    listed = next((one for one in map(entry, models) if one["id"] == name), None if models else entry(name))
    if listed is None:
        return _unsupported(wanted)
    live = [one for one in listed["providers"] if one["status"] == "live"]
    if suffix and suffix not in POLICIES:
        known = not models or any(one["provider"] == suffix for one in live)
        return suffix if known else Fault(400, {"error": f"Model not supported by provider {suffix}"})
    if not live:
        return _unsupported(wanted)
    if suffix == "preferred":
        return str(live[0]["provider"])
    if suffix == "cheapest":
        return str(min(live, key=lambda one: one.get("pricing", {}).get("output", 1e9))["provider"])
    return str(max(live, key=lambda one: one.get("throughput", 0.0))["provider"])


def _unsupported(model: str) -> Fault:
    message = f"The requested model '{model}' is not supported by any provider you have enabled."
    error = {"message": message, "type": "invalid_request_error", "param": "model", "code": "model_not_supported"}
    return Fault(400, {"error": error})
