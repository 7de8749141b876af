"""What SambaNova is told in words of its own: how hard a model is to think."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .models import MODELS

_EFFORTS: Mapping[str, str] = {
    "none": "low",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
"""What others call it -> the nearest of the three that there are. None of them is no thinking at all."""
_SILENT = frozenset(model.id for model in MODELS if "reasoning" not in (model.capabilities or ()))


def adapted(body: dict[str, Any]) -> dict[str, Any]:
    """`body` with the reasoning effort as its model takes it.

    gpt-oss, and whatever is not known, takes three levels. DeepSeek thinks or does not (``enable_thinking``, a
    switch of its template). A model that is known not to reason is not told, and answers all the same.
    """
    effort = body.pop("reasoning_effort", None)
    model = str(body["model"])
    if effort is None or model in _SILENT:
        return body
    if model.startswith("DeepSeek-V"):
        return body | {"chat_template_kwargs": {"enable_thinking": effort != "none"}}
    return body | {"reasoning_effort": _EFFORTS.get(effort, effort)}
