"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `next` is what to do about it; empty if nothing is."""

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    next: str = ""
