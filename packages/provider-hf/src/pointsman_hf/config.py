"""Settings, the hosts that the token is for, and how a target is written."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr

from pointsman_openai import HttpAddress, OpenAIConfig, listed

ROUTER = "https://router.huggingface.co/v1"
HUB = "https://huggingface.co"
ENDPOINTS = "https://api.endpoints.huggingface.cloud/v2"
HOSTS = ("router.huggingface.co", "huggingface.co", "api.endpoints.huggingface.cloud")
BELOW = ".endpoints.huggingface.cloud"
"""What the hosts of endpoints end with. Each runs what its owner likes: the token goes where the API says, alone."""
FAMILY = "endpoint:"
"""What the names of dedicated endpoints begin with: ``endpoint:NAME``, or ``endpoint:NAMESPACE/NAME``."""
POLICIES = frozenset({"fastest", "cheapest", "preferred"})
"""Suffixes by which the router chooses; any other names a provider."""


class HuggingFaceConfig(OpenAIConfig, frozen=True):
    """Settings of one account at Hugging Face."""

    base_url: HttpAddress = ROUTER
    api_key: SecretStr  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]
    """A token. For the router it needs the permission "Make calls to Inference Providers"."""
    bill_to: str | None = Field(default=None, pattern=r"^[\x21-\x7e]+$")
    """An organization, or a resource group of one, that pays instead of the token's owner."""
    hub_url: HttpAddress | None = None
    """Where tokens are judged. None: huggingface.co, if `base_url` is Hugging Face's router, else nowhere."""
    endpoints_url: HttpAddress | None = None
    """The API of Inference Endpoints. None: Hugging Face's, if `base_url` is its router, else there is none."""
    namespace: str | None = None
    """Whose endpoints are meant where a target does not say: a user or an organization. None: the token's owner."""
    wake_seconds: float = Field(default=600.0, ge=0)
    """How long a request may wait for an endpoint that is scaled to zero."""
    endpoint_prices: Mapping[str, Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]] = Field(
        default_factory=dict[str, Decimal]
    )
    """USD for an hour of one replica, by the endpoint's name. Where there is none, the vendor's list is asked."""
    default_models: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    """Models that a request may go to by itself, best first. Empty: the package's."""
    capabilities: Annotated[frozenset[str], BeforeValidator(listed)] = frozenset()
    """What your models can do besides."""

    @property
    def hub(self) -> str | None:
        """The Hub to ask; None if there is none to this router."""
        return self.hub_url or (HUB if self._at_router else None)

    @property
    def endpoints(self) -> str | None:
        """The API of endpoints to ask; None if there is none to this router."""
        return self.endpoints_url or (ENDPOINTS if self._at_router else None)

    @property
    def _at_router(self) -> bool:
        """However its address is spelled."""
        parts = urlsplit(self.base_url)
        return (parts.scheme, parts.hostname) == ("https", HOSTS[0])


def divided(model: str) -> tuple[str, str]:
    """The model's name at the Hub, and the suffix after it: ``org/model``, ``groq``. Names there have no colon."""
    name, _, suffix = model.partition(":")
    return name, suffix


def pinned(model: str) -> str | None:
    """The provider that a target names; None where the router chooses, and for an endpoint."""
    suffix = "" if model.startswith(FAMILY) else divided(model)[1]
    return suffix if suffix and suffix not in POLICIES else None
