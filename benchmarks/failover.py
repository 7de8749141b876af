"""What becomes of an answer when a provider fails: the same faults through Pointsman and what one might pick instead.

    nox -s bench -- benchmarks/failover.py    # or: uv run python benchmarks/failover.py [--only NAME] [--into PAGE]

Prints Markdown; ``--into docs/failover.md`` puts it between that page's two marks, so that nobody copies figures by
hand. Takes about five minutes, nearly all of them waiting. Each peer runs in the environment that its variable names
(POINTSMAN_BENCH_LITELLM, POINTSMAN_BENCH_PYDANTIC_AI, POINTSMAN_BENCH_LANGCHAIN: the path of a python); without it, its
column is left out and a line says why.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parent / "parts"
CAP = 30.0
"""Seconds after which a call is said to hang."""
CALLS = 20
ROW_CAP = 40.0
"""Seconds for a whole row: a library that obeys a `Retry-After` of a minute would take forty."""
ROWS = {"row-500": "500", "row-429-60": "429, `Retry-After: 60`"}
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


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


def contenders() -> list[Contender]:
    litellm, pydantic, langchain = (f"POINTSMAN_BENCH_{name}" for name in ("LITELLM", "PYDANTIC_AI", "LANGCHAIN"))
    return [
        Contender("Pointsman, `restart`", "pointsman_events.py", ["restart"]),
        Contender("Pointsman, `raise`", "pointsman_events.py", ["raise"]),
        Contender("LiteLLM Router", "litellm_router.py", [], litellm),
        Contender("LiteLLM Router, tuned", "litellm_router.py", ["tuned"], litellm),
        Contender("pydantic-ai FallbackModel", "pydantic_ai_fallback.py", [], pydantic),
        Contender("LangChain with_fallbacks", "langchain_fallbacks.py", [], langchain),
        Contender("openai SDK, alone", "openai_sdk.py"),
    ]


def jobs(who: str, server: dict[str, Any]) -> dict[str, Any]:
    well = f"{server['well']}/v1"

    def pair(fault: str) -> list[str]:
        host = server["refused"] if fault == "refused" else server["sick"]
        return [f"{host}/{who}/{fault}/v1", well]

    return {
        "well": well,
        "whole": server["whole"],
        "cap": CAP,
        "calls": CALLS,
        "row_cap": ROW_CAP,
        "cells": {fault: pair(fault) for fault in server["faults"]},
        "rows": {row: pair(row) for row in ROWS},
    }


def contend(contender: Contender, server: dict[str, Any]) -> str | None:
    """Run all of a contender's jobs, in a process of its own; what kept it from running, if anything did."""
    program = contender.python()
    if program is None:
        return f"{contender.variable} is not set"
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE")}
    command = [program, str(PARTS / "peers" / contender.script), *contender.arguments]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(jobs(contender.who, server)),
            capture_output=True,
            text=True,
            env={**kept, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL"},
            timeout=CAP + ROW_CAP + 90,
            check=False,
        )
    except OSError as error:
        return f"{program} does not run: {error}"
    for line in done.stdout.splitlines():
        # A library may print, too.
        said = json.loads(line) if line.startswith('{"') else {}
        contender.versions.update(said.get("versions", {}))
        if "cell" in said:
            contender.cells[said["cell"]] = said
        if "row" in said:
            contender.rows[said["row"]] = said
    with urllib.request.urlopen(f"{server['sick']}/counts") as answer:
        counts = json.load(answer)
    for name, result in [*contender.cells.items(), *contender.rows.items()]:
        result["requests"] = None if name == "refused" else counts.get(f"{contender.who}/{name}", 0)
    if len(contender.cells) < len(server["faults"]) or len(contender.rows) < len(ROWS):
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"it ended early ({done.returncode})"
    return None


def shown(result: dict[str, Any]) -> str:
    """`complete, 0.12 s, 1`: the outcome, its time, and how many requests reached the sick server."""
    outcome = result["outcome"]
    if outcome == "TRUNCATED":
        says = f"says `{result['finish']}`" if result["finish"] else "no reason"
        outcome = f"**TRUNCATED** ({says})"
    elif outcome == "HANG":
        outcome = "**HANG**"
    requests = "–" if result["requests"] is None else result["requests"]
    return f"{outcome}, {result['seconds']:.2f} s, {requests}"


def table(head: list[str], lines: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines)]


def in_sum(ran: list[Contender]) -> list[str]:
    def total(contender: Contender, of: str) -> float:
        return sum(result[of] or 0 for result in contender.cells.values())

    lines: list[list[str]] = []
    for outcome in ("complete", "error", "TRUNCATED", "HANG"):
        found = [[cell["outcome"] for cell in one.cells.values()].count(outcome) for one in ran]
        lines.append([f"calls that ended: {outcome}", *map(str, found)])
    for what, of, form in (
        ("seconds for all of them", "seconds", ".1f"),
        ("requests to the sick server", "requests", ""),
    ):
        figures = [total(one, of) for one in ran]
        lines.append([what, *(f"{figure:{form}} ({figure / figures[0]:.2f} x)" for figure in figures)])
    return table([f"{len(ran[0].cells)} calls, one of them without a fault", *(one.title for one in ran)], lines)


def report(ran: list[Contender], left_out: list[str], faults: dict[str, str]) -> str:
    head = [one.title for one in ran]
    versions = {package: number for one in ran for package, number in one.versions.items() if package != "openai"}
    for one in ran:
        if "openai" in one.versions:
            versions.setdefault(f"openai {one.versions['openai']}", "")
    named = ", ".join(f"{package} {number}".strip() for package, number in versions.items())
    row_lines: list[list[str]] = []
    for row, title in ROWS.items():
        cells: list[str] = []
        for one in ran:
            result = one.rows[row]
            # Few requests in a row that was stopped are no merit, so they are not compared.
            times = f"{result['requests'] / ran[0].rows[row]['requests']:.2f} x"
            note = times if result["done"] == CALLS else f"stopped in call {result['done'] + 1}"
            seconds = f"{result['seconds']:.1f} s"
            cells.append(f"**{result['requests']}** ({note}); {result['complete']} complete, {seconds}")
        row_lines.append([title, *cells])
    return "\n".join(
        [
            f"Measured {datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {platform.python_implementation()} "
            f"{platform.python_version()}, {os.cpu_count()} cores: {named}.",
            *(f"\nNot measured: {reason}." for reason in left_out),
            "\n### In sum\n",
            *in_sum(ran),
            "\n### One call for each fault\n",
            "Outcome, seconds until then, requests that reached the sick server.\n",
            *table(
                ["fault", *head],
                [[title, *(shown(one.cells[fault]) for one in ran)] for fault, title in faults.items()],
            ),
            f"\n### {CALLS} calls in a row, by one client\n",
            f"How many requests reached a provider that always answers so. After {ROW_CAP:.0f} s a row is stopped.\n",
            *table(["the provider answers", *head], row_lines),
        ]
    )


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--only", action="append", help="a contender's script or script-argument; may be repeated")
    options.add_argument("--into", type=Path, help="a page with two marks, between which the Markdown goes")
    options.add_argument("--verbose", action="store_true", help="say on stderr what each call ended with")
    arguments = options.parse_args()
    command = [sys.executable, str(PARTS / "faulty.py")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    ran: list[Contender] = []
    left_out: list[str] = []
    try:
        assert process.stdout is not None
        server = json.loads(process.stdout.readline())
        for contender in contenders():
            if arguments.only and not any(contender.who.startswith(name) for name in arguments.only):
                continue
            began = time.monotonic()
            if reason := contend(contender, server):
                left_out.append(f"{contender.title}, because {reason}")
            else:
                ran.append(contender)
            print(f"{contender.title}: {time.monotonic() - began:.0f} s {reason or ''}", file=sys.stderr)
            if arguments.verbose:
                for result in [*contender.cells.values(), *contender.rows.values()]:
                    print(f"  {result}", file=sys.stderr)
    finally:
        process.kill()
        process.wait()
    if not ran:
        print("\n".join(left_out))
        return 1
    markdown = report(ran, left_out, server["faults"])
    print(markdown)
    if arguments.into:
        before, _, rest = arguments.into.read_text().partition(BEGIN)
        _, mark, after = rest.partition(END)
        if not mark:
            raise SystemExit(f"{arguments.into} lacks {BEGIN} or {END}")
        arguments.into.write_text(f"{before}{BEGIN}\n\n{markdown}\n\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
