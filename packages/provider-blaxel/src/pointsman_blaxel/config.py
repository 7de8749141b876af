"""Settings, and which hosts a key may go to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from pointsman_openai import HttpAddress, OpenAIConfig, listed

if TYPE_CHECKING:
    from .agent_config import AgentConfig

RUN = "https://run.blaxel.ai"
KEYS = "https://app.blaxel.ai/profile/security"
HOSTS = ("*.blaxel.ai", "*.blaxel.dev")
"""Blaxel's own. Not ``*.bl.run``: below it anybody's workloads live, so a name there is trusted from the control plane
only."""
_WORKLOADS = ".bl.run"
_CONTROL = {".blaxel.ai": "https://api.blaxel.ai/v0", ".blaxel.dev": "https://api.blaxel.dev/v0"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a workspace is written in letters, digits, '-', '_' and '.'")
    return text


def _agents(tables: Mapping[str, Any]) -> Mapping[str, AgentConfig]:
    """An `AgentConfig` of each. That class is made where an agent is configured, which few who import this do."""
    from .agent_config import agents_of

    return agents_of(tables)


class BlaxelConfig(OpenAIConfig, frozen=True):
    """Settings of one workspace."""

    base_url: HttpAddress = RUN
    """Where models and agents are asked, if the control plane names no address of their own."""
    control_url: HttpAddress | None = None
    """Where they are listed, with ``/v0``. None: Blaxel's control plane if `base_url` is Blaxel's; else nobody is
    asked, since the key is then meant for somebody else, and addresses are built from `base_url`."""
    api_key: SecretStr | None  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride]
    client_credentials: SecretStr | None = None
    """Of a service account: they are changed for a token that lasts two hours. Used where there is no `api_key`."""
    workspace: Annotated[str, AfterValidator(_name)]
    agents: Annotated[Mapping[str, Any], AfterValidator(_agents)] = Field(default_factory=dict)
    """Name -> `AgentConfig`."""
    models: Mapping[str, str] = Field(default_factory=dict)
    """Name of a model at Blaxel -> what the provider behind it calls it. Needed only where nobody else says it."""
    default_models: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    """Models and agents (``agent:NAME``) that a request may go to by itself, best first."""

    @model_validator(mode="before")
    @classmethod
    def _either_is_a_key(cls, given: Any) -> Any:
        table = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
        return {"api_key": None, **table} if table.get("client_credentials") else cast(Any, given)

    @property
    def control(self) -> str | None:
        """Where the control plane is; None if it is not to be asked."""
        if self.control_url is not None:
            return self.control_url
        host = _host(self.base_url)
        return next((url for end, url in _CONTROL.items() if host.endswith(end)), None)

    @property
    def hidden(self) -> list[str]:
        """What the headers hold that are sent: values, and of one such as ``Bearer x`` what is after the scheme."""
        tables = [self.headers, *(agent.headers for agent in self.agents.values())]
        values = [value.get_secret_value().strip() for table in tables for value in table.values()]
        return [*values, *(value.partition(" ")[2].strip() for value in values)]

    def agent(self, name: str) -> AgentConfig:
        """How the agent is asked; by Blaxel's convention, where nobody says."""
        from .agent_config import BY_CONVENTION

        return self.agents.get(name) or BY_CONVENTION

    def may_have_key(self, url: str, *, named_by_control: bool) -> bool:
        """Whether Blaxel's key may go to `url`.

        To the places that are configured, and, encrypted, to Blaxel; to this machine only where all that is configured
        is there. An address that the control plane names for a workload of one's own may be below ``bl.run``, too.
        """
        configured = [urlsplit(one) for one in (self.base_url, self.control_url) if one is not None]
        parts, host = urlsplit(url), _host(url)
        if (parts.scheme, parts.netloc) in [(one.scheme, one.netloc) for one in configured]:
            return True
        if _is_here(host):
            return all(_is_here(one.hostname or "") for one in configured)
        ours = host.endswith(tuple(_CONTROL)) or (named_by_control and host.endswith(_WORKLOADS))
        return ours and parts.scheme == "https"


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".")


def _is_here(host: str) -> bool:
    from pointsman_openai import is_loopback  # With the HTTP library: only once a connection is open.

    return is_loopback(host)
