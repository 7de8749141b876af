"""What ``/api/tags``, ``/api/ps`` and ``/api/show`` say of models. Pure, and every answer is read as far as it goes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from pointsman import ModelInfo, Price
from pointsman_openai import fields, items, string

from .config import runs_in_cloud

_CAPABILITIES: Mapping[str, str] = {
    "completion": "schema",  # `format` constrains whatever can complete.
    "tools": "tools",
    "vision": "vision",
    "thinking": "reasoning",
    "embedding": "embeddings",
}
"""Ollama's word -> ours. Its ``insert``, ``image`` and ``audio`` have none."""


def listed(value: Any) -> list[dict[str, Any]]:
    """The entries of ``{"models": [...]}`` that have a name."""
    return [entry for entry in map(fields, items(fields(value).get("models"))) if name_of(entry)]


def name_of(entry: Mapping[str, Any]) -> str:
    """The model's name, with its tag."""
    return string(entry.get("model")) or string(entry.get("name"))


def contexts(value: Any) -> dict[str, int]:
    """Name -> tokens of context, of the models that ``/api/ps`` says are loaded, as far as it knows."""
    sizes = {name_of(entry): _size(entry.get("context_length")) for entry in listed(value)}
    return {name: size for name, size in sizes.items() if size}


def same(one: str, other: str) -> bool:
    """Two spellings of a model: ``:latest`` may be left out."""
    return _tagged(one) == _tagged(other)


def lacks_facts(entry: Mapping[str, Any]) -> bool:
    """The listing does not say what the model can do, or how long its context is: ``/api/show`` does."""
    return _capabilities(entry) is None or trained_context(entry) is None


def trained_context(entry: Mapping[str, Any]) -> int | None:
    """The context that a model was trained for: in a listing's ``details``, or ``<arch>.context_length`` in a show."""
    size = _size(fields(entry.get("details")).get("context_length"))
    facts = fields(entry.get("model_info"))
    return size or next((_size(v) for k, v in facts.items() if k.endswith(".context_length") and _size(v)), None)


def model_info(
    entry: Mapping[str, Any],
    shown: Mapping[str, Any],
    *,
    loaded: int | None = None,
    num_ctx: int | None = None,
    cloud: bool = False,
    today: date,
) -> ModelInfo:
    """A model from its entry in the listing, what ``/api/show`` added, and the context that it is `loaded` with.

    The context is the loaded one; else the trained one, which is a maximum, no more than the `num_ctx` that is asked
    for. A server gives less where neither it nor the request says otherwise: it tells once the model is loaded. What
    runs elsewhere, at ollama.com (`cloud`) or passed on to it, is not ``local``; what is, costs nothing, as of `today`.
    """
    trained = trained_context(entry) or trained_context(shown)
    context = loaded or min((size for size in (trained, num_ctx) if size), default=None)
    said = _capabilities(entry)
    said = _capabilities(shown) if said is None else said
    name = name_of(entry)
    remote = any(one.get("remote_model") or one.get("remote_host") for one in (entry, shown))
    own = not (cloud or remote or runs_in_cloud(name))
    capabilities = None
    if said is not None:
        place = frozenset({"local"}) if own else frozenset[str]()
        capabilities = place | {_CAPABILITIES[word] for word in said if word in _CAPABILITIES}
    return ModelInfo(id=name, context_tokens=context, capabilities=capabilities, price=_free(today) if own else None)


def _free(today: date) -> Price:
    return Price(input=Decimal(0), output=Decimal(0), as_of=today, source="a machine of one's own")


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _capabilities(entry: Mapping[str, Any]) -> list[str] | None:
    said = entry.get("capabilities")
    return [string(word) for word in items(said)] if isinstance(said, list) else None


def _size(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
