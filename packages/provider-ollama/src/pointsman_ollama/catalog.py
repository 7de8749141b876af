"""What ``/api/tags``, ``/api/ps`` and ``/api/show`` say of models. Pure, and every answer is read as far as it goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from pointsman import ModelInfo
from pointsman_openai import fields, items, string

from .config import FREE, runs_in_cloud, tagged

_CAPABILITIES: Mapping[str, str] = {
    "completion": "schema",  # `format` constrains whatever can complete.
    "tools": "tools",
    "vision": "vision",
    "thinking": "reasoning",
    "embedding": "embeddings",
}
"""Ollama's word -> ours. Its ``insert``, ``image`` and ``audio`` have none."""
_NUM_CTX = re.compile(r"^\s*num_ctx\s+(\d{1,9})\s*$", re.MULTILINE)


def listed(value: Any) -> list[dict[str, Any]]:
    """The entries of ``{"models": [...]}`` that have a name."""
    return [entry for entry in map(fields, items(fields(value).get("models"))) if name_of(entry)]


def name_of(entry: Mapping[str, Any]) -> str:
    """The model's name, with its tag."""
    return string(entry.get("model")) or string(entry.get("name"))


def contexts(value: Any) -> dict[str, int]:
    """Name -> tokens of context, of the models that ``/api/ps`` says are loaded, as far as it knows."""
    sizes = {name_of(entry): size_of(entry.get("context_length")) for entry in listed(value)}
    return {name: size for name, size in sizes.items() if size}


def same(one: str, other: str) -> bool:
    """Two spellings of a model."""
    return tagged(one) == tagged(other)


def lacks_facts(entry: Mapping[str, Any]) -> bool:
    """The listing does not say what the model can do, or how long its context can be: ``/api/show`` does."""
    return abilities(entry) is None or trained_context(entry) is None


def is_remote(entry: Mapping[str, Any]) -> bool:
    """The model, of a listing or a show, runs elsewhere: it is a stub, or its name says so."""
    return bool(entry.get("remote_model") or entry.get("remote_host")) or runs_in_cloud(name_of(entry))


def trained_context(entry: Mapping[str, Any]) -> int | None:
    """The context that a model was trained for: in a listing's ``details``, or ``<arch>.context_length`` in a show."""
    size = size_of(fields(entry.get("details")).get("context_length"))
    facts = fields(entry.get("model_info"))
    return size or next((size_of(v) for k, v in facts.items() if k.endswith(".context_length") and size_of(v)), None)


def own_context(shown: Mapping[str, Any]) -> int | None:
    """The ``num_ctx`` of a model's Modelfile, which ``/api/show`` has in ``parameters``: a text, a parameter a line."""
    found = _NUM_CTX.search(string(shown.get("parameters")))
    return int(found[1]) or None if found else None


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

    The context is the `num_ctx` that our requests ask for, since a model that is loaded with another is loaded anew;
    else the loaded one, else the Modelfile's; and no more than the trained one. Where nobody says, that maximum stands,
    though a server gives less by itself: it tells once the model is loaded. What runs elsewhere, at ollama.com
    (`cloud`) or passed on to it, is not ``local``, and has its whole context; what is, costs nothing, as of `today`.
    """
    trained = trained_context(entry) or trained_context(shown)
    said = abilities(entry)
    said = abilities(shown) if said is None else said
    name = name_of(entry)
    own = not (cloud or is_remote(entry) or is_remote(shown))
    wanted = (num_ctx or loaded or own_context(shown)) if own else None
    context = min((size for size in (trained, wanted) if size), default=None)
    capabilities = None
    if said is not None:
        place = frozenset({"local"}) if own else frozenset[str]()
        capabilities = place | {_CAPABILITIES[word] for word in said if word in _CAPABILITIES}
    return ModelInfo(
        id=name, context_tokens=context, capabilities=capabilities, price=replace(FREE, as_of=today) if own else None
    )


def abilities(entry: Mapping[str, Any]) -> list[str] | None:
    """What a model can do, in Ollama's own words; None if the entry does not say."""
    said = entry.get("capabilities")
    return [string(word) for word in items(said)] if isinstance(said, list) else None


def size_of(value: Any) -> int | None:
    """A number of bytes or tokens; None for what is none, or none that somebody has counted."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
