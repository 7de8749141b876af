"""Tool calls, assembled by index, also where a server leaves the index, the id or the name out, or repeats them."""

from __future__ import annotations

import json
from typing import Any

from pointsman import ToolCallDelta

from .shapes import fields, items, number, string


class ToolCalls:
    """Numbers the tool calls of one answer."""

    def __init__(self) -> None:
        self._by_id: dict[tuple[int | None, str], int] = {}  # Under its index, and without one.
        self._by_index: dict[int, int] = {}  # The call that an index means now; another id may take an index over.
        self._ids: dict[int, str] = {}
        self._names: dict[int, str] = {}
        self._last = -1
        self._highest = -1

    def read(self, value: Any) -> list[ToolCallDelta]:
        """The fragments in ``tool_calls``: a list, or one object (Text Generation Inference)."""
        deltas: list[ToolCallDelta] = []
        entries = [fields(entry) for entry in items(value) or [value]]
        for place, entry in enumerate(entries):
            delta = self._delta(entry, place if len(entries) > 1 else None)
            if delta.arguments or delta.id or delta.name:
                deltas.append(delta)
        return deltas

    def _delta(self, entry: dict[str, Any], place: int | None) -> ToolCallDelta:
        function = fields(entry.get("function")) or entry
        call_id = string(entry.get("id")) or None
        if entry:
            self._last = self._number(entry.get("index"), call_id, place)
            self._highest = max(self._highest, self._last)
        name = self._new_name(string(function.get("name")))
        return ToolCallDelta(self._last, call_id, name, _arguments(function.get("arguments")))

    def _number(self, given: Any, call_id: str | None, place: int | None) -> int:
        """By id if it is known, else by index, else by the place in the list, else the call before."""
        stated = number(given)
        index = int(stated) if stated is not None and stated >= 0 else None
        if index is None and call_id is None:
            if place is None:
                return max(self._last, 0)
            index = place
        if call_id is not None and (index, call_id) in self._by_id:
            found = self._by_id[index, call_id]
        elif index is None:
            found = self._highest + 1
        else:
            found = self._by_index.get(index, index if index not in self._by_index.values() else self._highest + 1)
            if call_id is not None and self._ids.get(found, call_id) != call_id:
                found = self._highest + 1
        if call_id is not None:
            self._by_id[index, call_id] = found
            self._by_id.setdefault((None, call_id), found)
            self._ids[found] = call_id
        if index is not None:
            self._by_index[index] = found
        return found

    def _new_name(self, name: str) -> str | None:
        """The name, or a part of it; None where it only repeats what is known."""
        known = self._names.get(self._last, "")
        if not name or name == known:
            return None
        self._names[self._last] = known + name
        return name


def _arguments(value: Any) -> str:
    """JSON text; an object where a server parsed it already."""
    if isinstance(value, str):
        return string(value)
    return json.dumps(value, ensure_ascii=True) if isinstance(value, dict | list) else ""
