"""How one agent is asked, and how its answer is read."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError, field_validator

from pointsman_openai import HttpAddress

from .template import check_template

Form: TypeAlias = Literal["auto", "text", "json", "lines", "sse"]


def _path(text: str) -> str:
    """Without the slash at its start."""
    if "?" in text or "#" in text or "://" in text:
        raise ValueError("write what comes after the agent's address, without a query: that is a setting of its own")
    return text.removeprefix("/")


class AgentConfig(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """``[providers.blaxel.agents.NAME]``: how one agent is asked, and how its answer is read."""

    input: Annotated[Any, AfterValidator(check_template)] = {"inputs": "{prompt}"}
    """The body to send, any JSON. Placeholders in its texts are filled in; a text that is nothing but one becomes its
    value, whatever that is (see `template`)."""
    output: str = ""
    """Where the text is in a JSON answer or event: ``choices.0.message.content``. Empty: in the usual places."""
    form: Form = "auto"
    """What the answer is: bare text, one JSON value, a JSON value a line, or server-sent events. ``auto``: its content
    tells."""
    path: Annotated[str, AfterValidator(_path)] = ""
    """Below the agent's address."""
    query: Mapping[str, str] = Field(default_factory=dict)
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    """For this agent, besides those for all."""
    url: HttpAddress | None = None
    """Where it is, instead of where the control plane says. Blaxel's key goes there only if the host is Blaxel's, or
    that of `base_url` or `control_url`."""
    public: bool = False
    """It asks for no key, and gets none."""
    error_tail: bool = True
    """A last line that begins with ``❌ Error:`` is an error, as in Blaxel's TypeScript templates, and no text."""
    price: Decimal | None = Field(default=None, ge=0)
    """USD a call."""

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, value in headers.items():
            text = value.get_secret_value()
            if not (text.isascii() and text.isprintable()):
                raise ValueError(f"{name} holds characters that no header can carry")
        return headers


BY_CONVENTION = AgentConfig()


def agents_of(tables: Mapping[str, Any]) -> Mapping[str, AgentConfig]:
    """What the tables say, by the names of agents. Raises `ValueError`, which names the agent and its setting."""
    found: dict[str, AgentConfig] = {}
    for name, table in tables.items():
        if name.startswith("agent:"):
            raise ValueError(
                f"{name}: write the name alone, {name.removeprefix('agent:')!r}, without what targets have"
            )
        try:
            found[name] = AgentConfig.model_validate(table)
        except ValidationError as error:
            problems = [_told(name, problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()]
        else:
            continue
        raise ValueError("; ".join(problems))  # Not from pydantic's error: that one holds the values, and so the keys.
    return found


def _told(name: str, place: tuple[int | str, ...], kind: str, message: str) -> str:
    setting = ".".join(map(str, (name, *place)))
    if kind == "extra_forbidden":
        return f"{setting}: there is no such setting: there are {', '.join(AgentConfig.model_fields)}"
    return f"{setting}: {message.removeprefix('Value error, ')}"
