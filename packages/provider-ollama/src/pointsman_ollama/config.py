"""Settings, and Ollama's own spellings of an address and of a duration."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr

from pointsman import Price

CLOUD = "ollama.com"
FREE = Price(input=Decimal(0), output=Decimal(0), as_of=None, source="local: a machine of one's own")
"""Nobody sends a bill for it. Whoever reckons with electricity sets ``second`` under ``[prices.ollama]``."""
KEEP_ALIVE, FOR_EVER = 300.0, 1e9
"""Seconds: ``OLLAMA_KEEP_ALIVE`` unless a server is told otherwise, and what no program outlives."""
LEVELS = ("low", "medium", "high", "max")
"""How hard a model may be told to think."""

_DURATION = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_HOST = re.compile(r"[^\s/?#@\[\]:]+")


def address(text: str) -> str:
    """``[scheme://]host[:port][/path]``, as Ollama reads ``OLLAMA_HOST``, as an address without a slash at its end.

    Without a scheme the port is 11434; with one, the scheme's own. The address that a server listens on everywhere with
    (``0.0.0.0``) is for a client this machine, as is an empty host. Raises `ValueError` for what is no address.
    """
    text = text.strip().strip("\"'").strip()
    scheme, separator, rest = text.rpartition("://")
    scheme = scheme.lower()
    if separator and scheme not in ("http", "https"):
        raise ValueError(f"write http:// or https://, or leave the scheme out; {scheme}:// is neither")
    if "@" in rest or "?" in rest or "#" in rest:
        raise ValueError("an address without a user, a query or a fragment is needed; keys have a setting of their own")
    place, slash, path = rest.partition("/")
    host, port = _divided(place)
    if not separator:
        scheme, port = ("https", port) if host.lower() == CLOUD else ("http", port or "11434")
    if port and not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError("the port is no number below 65536")
    if port == {"http": "80", "https": "443"}[scheme]:
        port = ""
    url = f"{scheme}://{_reachable(host)}{':' if port else ''}{port}{slash}{path}".rstrip("/")
    if not urlsplit(url).hostname:
        raise ValueError("the host is missing: write host, host:port or http://host:port")
    return url


def _divided(place: str) -> tuple[str, str]:
    """Host and port; an IPv6 address may be without brackets if no port follows it."""
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        if not bracket or (port and not port.startswith(":")) or not _is_ip(host):
            raise ValueError("what is in brackets is no IPv6 address: write [::1]:11434")
        return host, port[1:]
    if place.count(":") > 1:
        if not _is_ip(place):
            raise ValueError("write host, host:port, or an IPv6 address in brackets, such as [::1]:11434")
        return place, ""
    host, _, port = place.partition(":")
    if host and not _HOST.fullmatch(host):
        raise ValueError("the host holds characters that no host has")
    return host, port


def _reachable(host: str) -> str:
    if not host:
        return "127.0.0.1"
    if not _is_ip(host):
        return host.lower()
    ip = ipaddress.ip_address(host)
    if ip.version == 4:
        return "127.0.0.1" if ip.is_unspecified else host
    return "[::1]" if ip.is_unspecified else f"[{host}]"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def host_of(base_url: str) -> str:
    """The host of an address that `address` has made."""
    return urlsplit(base_url).hostname or ""


def is_cloud(base_url: str) -> bool:
    """The address is Ollama's own service, not somebody's server."""
    return host_of(base_url).rstrip(".") == CLOUD


def cloud_name(model: str) -> str | None:
    """What a model is called at ollama.com that a local server passes requests on for: ``gpt-oss:120b`` for
    ``gpt-oss:120b-cloud`` or ``gpt-oss:120b:cloud``, ``qwen3`` for ``qwen3:cloud``. None for a model of its own.

    Only the tag says so, in any case: ``word-cloud`` is somebody's model.
    """
    head, colon, tag = model.strip().rpartition(":")
    tag = tag.strip()
    if not colon or "/" in tag:
        return None
    if tag.lower() == "cloud":
        return head
    return f"{head}:{tag[: -len('-cloud')]}" if tag.lower().endswith("-cloud") else None


def runs_in_cloud(model: str) -> bool:
    """A local server passes requests for this model on to Ollama's service, as its name says."""
    return cloud_name(model) is not None


def tagged(model: str) -> str:
    """The model's whole name: ``:latest`` may be left out."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def duration(value: Any) -> Any:
    """A Go duration (``"5m"``, ``"1h30m"``, ``"-1s"``) as it is, or seconds as a number, also if written as text.

    The server refuses a text without a unit; in an environment variable everything is a text. Raises `ValueError`.
    """
    if isinstance(value, str):
        text = value.strip()
        if _DURATION.fullmatch(text):
            return text
        try:
            value = float(text)
        except ValueError:
            raise ValueError('write a duration such as "5m", or seconds; 0 unloads at once, -1 never') from None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1e9:
        raise ValueError('write a duration such as "5m", or seconds; 0 unloads at once, -1 never')
    return int(value) if value == int(value) else value


def stays(keep_alive: float | str | None) -> float:
    """For how many seconds a model stays loaded after an answer."""
    if keep_alive is None:
        return KEEP_ALIVE
    if isinstance(keep_alive, str):
        sign = -1 if keep_alive.startswith("-") else 1
        keep_alive = sign * sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(keep_alive))
    return FOR_EVER if keep_alive < 0 else min(keep_alive, FOR_EVER)


def _names(value: Any) -> Any:
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


Think: TypeAlias = bool | Literal["low", "medium", "high", "max"]


class OllamaConfig(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Settings of one Ollama server, or of ollama.com."""

    base_url: Annotated[str, AfterValidator(address)] = "http://127.0.0.1:11434"
    """In any of the spellings of ``OLLAMA_HOST``."""
    api_key: SecretStr | None = None
    """For ollama.com, or for a proxy before a server of one's own. Never sent unencrypted to another machine."""
    keep_alive: Annotated[int | float | str | None, BeforeValidator(lambda v: None if v is None else duration(v))] = (
        None
    )
    """How long a model stays loaded after a request: ``"5m"``, seconds, -1 (for ever), 0. None: the server decides."""
    num_ctx: int | None = Field(default=None, ge=4)
    """Tokens of context to load models with. Another number than before makes the server load the model anew."""
    think: Think | None = None
    """Whether, or how hard, models think where the request does not say. None: as the model is used to."""
    default_models: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    """Models that a request may go to by itself, best first."""
    capabilities: Annotated[frozenset[str], BeforeValidator(_names)] = frozenset()
    """What the server can do besides: ``prefill`` if its models' templates leave a last assistant message open."""
    connect_timeout: float = Field(default=5.0, gt=0)
    """Seconds."""
