"""A capability card: what was proven of one plugin, by which cases, with which versions.

The same results make the same bytes, so that a card can be committed, and compared with the next one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pointsman import CAPABILITIES

OUTCOMES = ("failed", "xfail", "held", "skipped")
"""What became of a case, the one that counts first. ``xfail``: it does not hold, and the plugin's author says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one test, on one event loop."""

    at: int
    """Where the test stands in its class."""
    test: str
    row: str
    """The id of its row of data; empty where it has none."""
    loop: str
    """``asyncio`` or ``trio``; empty for a test without an event loop."""
    room: str
    outcome: str
    reason: str = ""
    proves: tuple[str, ...] = ()
    """The capabilities that it shows."""
    refuses: tuple[str, ...] = ()
    """Those of which it shows that they are refused where nobody claims them."""


def card_of(facts: Mapping[str, Any], results: Iterable[Result], expected: int) -> dict[str, Any]:
    """The card of a class that has `expected` tests, as ``docs/schemas/kit/card.json`` describes it."""
    ordered = sorted(results, key=lambda result: result.at)
    together: dict[tuple[str, str], list[Result]] = {}
    for result in ordered:
        together.setdefault((result.test, result.row), []).append(result)
    cases = [_case(same) for same in together.values()]
    claims = facts.get("claims", ())
    card = {key: value for key, value in facts.items() if key != "claims"}
    card["loops"] = sorted({result.loop for result in ordered if result.loop and result.outcome != "skipped"})
    card["complete"] = len(ordered) == expected
    if facts["kind"] == "provider":
        card["capabilities"] = _capabilities(claims, ordered)
    card["counts"] = {outcome: sum(case["outcome"] == outcome for case in cases) for outcome in OUTCOMES}
    card["cases"] = cases
    return card | {"digest": digest(card)}


def digest(card: Mapping[str, Any]) -> str:
    """SHA-256 of all that a card says, its own digest apart: whoever runs the same tests gets the same."""
    said = {key: value for key, value in card.items() if key != "digest"}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def text_of(card: Mapping[str, Any]) -> str:
    """The card's file: a line for each fact, capability and case, so that a diff shows what has changed."""
    return "{\n" + ",\n".join(f"  {_json(key)}: {_lines(card[key])}" for key in card) + "\n}\n"


def _lines(value: Any) -> str:
    if not value or isinstance(value, (str, int)):
        return _json(value)
    named = isinstance(value, dict)
    below = ",\n".join(f"    {f'{_json(one)}: {_json(value[one])}' if named else _json(one)}" for one in value)
    return f"{{\n{below}\n  }}" if named else f"[\n{below}\n  ]"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _case(same: list[Result]) -> dict[str, Any]:
    """One row of one test, on whatever loops it ran."""
    gravest = min(same, key=_gravity)
    case = {"room": gravest.room, "test": gravest.test, "row": gravest.row, "outcome": gravest.outcome}
    if gravest.outcome == "held":
        return case
    elsewhere = any(result.outcome == "held" for result in same)
    return case | {"reason": f"on {gravest.loop}: {gravest.reason}" if elsewhere else gravest.reason}


def _gravity(result: Result) -> int:
    return OUTCOMES.index(result.outcome)


def _capabilities(claims: Iterable[str], results: list[Result]) -> dict[str, dict[str, Any]]:
    # What only a configuration claims is known by its proof, which is skipped where nothing is claimed.
    tried = {name for one in results if one.outcome != "skipped" for name in one.proves}
    claimed = tuple(dict.fromkeys((*claims, *sorted(tried))))
    names = (*CAPABILITIES, *(name for name in claimed if name not in CAPABILITIES))
    return {name: _capability(name, name in claimed, results) for name in names}


def _capability(name: str, claimed: bool, results: list[Result]) -> dict[str, Any]:
    about = [one for one in results if name in (one.proves if claimed else one.refuses)]
    if not about:
        return {"claimed": claimed, "state": "not tried", "reason": "no case is about it"}
    gravest = min(about, key=_gravity)
    if gravest.outcome == "held":
        return {"claimed": claimed, "state": "proven" if claimed else "refused clearly"}
    state = {"failed": "failed", "xfail": "known not to hold", "skipped": "not tried"}[gravest.outcome]
    return {"claimed": claimed, "state": state, "reason": gravest.reason}
