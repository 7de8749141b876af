"""What became of the calls of `failover.py`, as Markdown."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CAP = 30.0
"""Seconds after which a call is said to hang, and is stopped."""
CALLS = 20
ROW_CAP = 40.0
"""Seconds for a whole row: a library that obeys a `Retry-After` of half a minute would take ten minutes."""
ROWS = {"row-500": "500", "row-429-30": "429, `Retry-After: 30`", "row-silent": "nothing"}
OUTCOMES = {
    "complete": "the whole answer",
    "error": "an error that says so",
    "TRUNCATED": "**TRUNCATED**: a part of it, as if it were all",
    "WRONG": "**WRONG**: another text, as if it were the answer",
    "HANG": "**HANG**",
}


@dataclass
class Contender:
    title: str
    script: str
    arguments: list[str] = field(default_factory=list)
    variable: str | None = None
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def who(self) -> str:
        return "-".join([Path(self.script).stem, *self.arguments])

    def python(self) -> str | None:
        return sys.executable if self.variable is None else os.environ.get(self.variable)


def table(head: list[str], lines: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines)]


def shown(result: dict[str, Any]) -> str:
    """`complete, 0.12 s, 1`: the outcome, its time, and how many requests reached the sick server."""
    outcome = result["outcome"]
    if outcome in ("TRUNCATED", "WRONG"):
        nothing = "" if result["text"] else "to nothing, "
        says = f"says `{result['finish']}`" if result["finish"] else "no reason"
        outcome = f"**{outcome}** ({nothing}{says})"
    elif outcome == "HANG":
        outcome = "**HANG**"
    requests = "–" if result["requests"] is None else result["requests"]
    return f"{outcome}, {result['seconds']:.2f} s, {requests}"


def shown_row(result: dict[str, Any]) -> str:
    """Few requests in a row that was stopped are no merit, so it is said."""
    stopped = "" if result["done"] == CALLS else f", stopped in call {result['done'] + 1}"
    return f"**{result['requests']}**; {result['complete']} complete, {result['seconds']:.1f} s{stopped}"


def in_sum(ran: list[Contender]) -> list[str]:
    lines: list[list[str]] = []
    for outcome, title in OUTCOMES.items():
        counted = [sum(cell["outcome"] == outcome for cell in one.cells.values()) for one in ran]
        if any(counted):
            lines.append([title, *map(str, counted)])
    for title, of, form in (("seconds", "seconds", ".0f"), ("requests to the sick server", "requests", "")):
        totals = [sum(cell[of] or 0 for cell in one.cells.values()) for one in ran]
        lines.append([f"{title}, all calls together", *(f"{total:{form}}" for total in totals)])
    return table([f"of {len(ran[0].cells)} calls", *(one.title for one in ran)], lines)


def versions(ran: list[Contender]) -> str:
    """Each package once; openai with whom it came, since not everybody takes the newest."""
    named: dict[str, None] = {}
    for one in ran:
        mine = [f"{package} {number}" for package, number in one.versions.items() if package != "openai"]
        openai = f"openai {one.versions['openai']}" if "openai" in one.versions else ""
        named[" with ".join(filter(None, [" and ".join(mine), openai]))] = None
    return ", ".join(named)


def report(ran: list[Contender], left_out: list[str], faults: dict[str, str]) -> str:
    head = [one.title for one in ran]
    cells = [[title, *(shown(one.cells[fault]) for one in ran)] for fault, title in faults.items()]
    rows = [[title, *(shown_row(one.rows[row]) for one in ran)] for row, title in ROWS.items()]
    return "\n".join(
        [
            f"Measured {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {platform.python_implementation()} "
            f"{platform.python_version()}, {os.cpu_count()} cores: {versions(ran)}.",
            *(f"\nNot measured: {reason}." for reason in left_out),
            "\n### In sum\n",
            *in_sum(ran),
            "\n### One call for each fault\n",
            "Outcome, seconds until then, requests that reached the sick server. "
            f"**HANG** is a call that was not over after {CAP:.0f} s.\n",
            *table(["fault", *head], cells),
            f"\n### {CALLS} calls in a row, by one client\n",
            "How many requests reached a provider that always answers so, and how many calls got the whole answer. "
            f"After {ROW_CAP:.0f} s a row is stopped.\n",
            *table(["the provider answers", *head], rows),
        ]
    )
