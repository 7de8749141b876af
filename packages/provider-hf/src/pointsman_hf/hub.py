"""What the Hub says of a token, and how an endpoint is listed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pointsman import AuthFailed, ModelInfo, PointsmanError
from pointsman_openai import fields, items, string

from .config import FAMILY
from .errors import PERMISSION_HELP

if TYPE_CHECKING:
    from huggingface_hub import InferenceEndpoint

INFERENCE = "inference.serverless.write"
"""The permission that is called "Make calls to Inference Providers" on the page of tokens."""
_EMBEDDING_TASKS = frozenset({"feature-extraction", "sentence-similarity", "sentence-embeddings"})


def token_problem(whoami: Any, provider: str) -> PointsmanError | None:
    """What keeps a token from the router, as ``whoami-v2`` tells; None if nothing does, or it does not say.

    Only a fine-grained token may lack a permission.
    """
    token = fields(fields(fields(whoami).get("auth")).get("accessToken"))
    grants = fields(token.get("fineGrained"))
    if token.get("role") != "fineGrained" or not grants:
        return None
    scoped = [items(fields(one).get("permissions")) for one in items(grants.get("scoped"))]
    if any(INFERENCE in granted for granted in (items(grants.get("global")), *scoped)):
        return None
    return AuthFailed(f"the token may not call Inference Providers: {PERMISSION_HELP}", provider=provider, status=403)


def listed_endpoint(endpoint: InferenceEndpoint) -> ModelInfo:
    """An endpoint as a model that can be asked. It is priced by the hour, not by the token."""
    embeds = string(endpoint.task) in _EMBEDDING_TASKS
    return ModelInfo(
        id=f"{FAMILY}{endpoint.namespace}/{endpoint.name}", capabilities=frozenset({"embeddings"}) if embeds else None
    )
