"""What becomes of an answer when a provider fails: the same faults through Pointsman and what one might pick instead.

    nox -s bench -- benchmarks/failover.py [--only NAME] [--into docs/failover.md] [--verbose]

Prints Markdown; ``--into`` puts it between a page's two marks, so that nobody copies figures by hand. Takes about six
minutes, nearly all of them waiting. Each peer runs in the environment that its variable names
(POINTSMAN_BENCH_LITELLM, POINTSMAN_BENCH_PYDANTIC_AI, POINTSMAN_BENCH_LANGCHAIN: the path of a python); without it, as
under ``uv run python benchmarks/failover.py``, its column is left out and a line says why.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from parts.verdicts import CALLS, CAP, ROW_CAP, ROWS, Contender, report

PARTS = Path(__file__).parent / "parts"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def contenders() -> list[Contender]:
    litellm, pydantic, langchain = (f"POINTSMAN_BENCH_{name}" for name in ("LITELLM", "PYDANTIC_AI", "LANGCHAIN"))
    return [
        Contender("Pointsman, collected", "pointsman_events.py", ["collected"]),
        Contender("Pointsman, stream, `restart`", "pointsman_events.py", ["restart"]),
        Contender("Pointsman, stream, `raise`", "pointsman_events.py", ["raise"]),
        Contender("Pointsman, stream, `continue`", "pointsman_events.py", ["continue"]),
        Contender("LiteLLM Router", "litellm_router.py", ["plain"], litellm),
        Contender("LiteLLM Router, tuned", "litellm_router.py", ["tuned"], litellm),
        Contender("pydantic-ai FallbackModel", "pydantic_ai_fallback.py", [], pydantic),
        Contender("LangChain with_fallbacks", "langchain_fallbacks.py", [], langchain),
        Contender("openai SDK, alone", "openai_sdk.py"),
    ]


def jobs(who: str, server: dict[str, Any]) -> dict[str, Any]:
    def pair(fault: str) -> list[str]:
        host = server["refused"] if fault == "refused" else server["sick"]
        return [f"{host}/{who}/{fault}/v1", f"{server['well']}/{fault}/v1"]

    return {
        "well": f"{server['well']}/v1",
        "wholes": server["wholes"],
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
    limit = CAP + ROW_CAP + 90
    try:
        done = subprocess.run(
            command,
            input=json.dumps(jobs(contender.who, server)),
            capture_output=True,
            text=True,
            env={**kept, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL"},
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it was not over after {limit:.0f} s and had to be killed"
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


def put_into(page: Path, markdown: str) -> None:
    before, _, rest = page.read_text().partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{page} lacks {BEGIN} or {END}")
    page.write_text(f"{before}{BEGIN}\n\n{markdown}\n\n{END}{after}")


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--only", action="append", help="how the title of a contender begins; may be repeated")
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
            named = (contender.who, contender.title)
            if arguments.only and not any(one.startswith(name) for name in arguments.only for one in named):
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
        there = ", ".join(f'"{one.title}"' for one in contenders())
        print("\n".join(left_out) or f"--only names nobody: there are {there}", file=sys.stderr)
        return 1
    markdown = report(ran, left_out, server["faults"])
    print(markdown)
    if arguments.into:
        put_into(arguments.into, markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
