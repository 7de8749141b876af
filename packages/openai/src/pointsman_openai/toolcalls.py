"""Tool calls, assembled by index, also where a server leaves the index, the id or the name out."""

from __future__ import annotations

import json
from typing import Any

from pointsman import ToolCallDelta

from .shapes import fields, items, number, string


class ToolCalls:
    """Numbers the tool calls of one answer."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}  # By id, for servers that give no index.
        self._last = -1

    def read(self, value: Any) -> list[ToolCallDelta]:
        """The fragments in ``tool_calls``: a list, or one object (Text Generation Inference)."""
        deltas: list[ToolCallDelta] = []
        for entry in map(fields, items(value) or [value]):
            delta = self._delta(entry)
            if delta.arguments or delta.id or delta.name:
                deltas.append(delta)
        return deltas

    def _delta(self, entry: dict[str, Any]) -> ToolCallDelta:
        function = fields(entry.get("function")) or entry
        call_id = string(entry.get("id")) or None
        if entry:
            self._last = self._index(entry.get("index"), call_id)
        name = string(function.get("name")) or None
        return ToolCallDelta(self._last, call_id, name, _arguments(function.get("arguments")))

    def _index(self, given: Any, call_id: str | None) -> int:
        if (stated := number(given)) is not None and stated >= 0:
            index = int(stated)
        elif call_id is None:
            index = max(self._last, 0)
        else:
            index = self._numbers.get(call_id, max(self._numbers.values(), default=-1) + 1)
        if call_id is not None:
            self._numbers[call_id] = index
        return index


def _arguments(value: Any) -> str:
    """JSON text; an object where a server parsed it already."""
    if isinstance(value, str):
        return string(value)
    return json.dumps(value, ensure_ascii=True) if isinstance(value, dict | list) else ""
