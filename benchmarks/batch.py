"""How fast `pointsman batch` is beside a hand-written loop of asyncio and httpx2 that keeps nothing but the answers.

    nox -s bench -- benchmarks/batch.py    # or: uv run python benchmarks/batch.py [--lines 1000] [--rounds 3]

Both ask the same questions of one server in a process of its own, so many at once, and write an answer for each; both
are processes, whose start counts. They take turns, and the best of the rounds stands. The loop syncs nothing, checks
nothing and cannot go on. ``firehose-20`` answers 20 tokens as fast as it can, so that all is overhead; ``paced-200``
takes 0.2 s for an answer, which is quick for a model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARTS = Path(__file__).parent / "parts"
AT_ONCE = 16


async def by_hand(url: str, model: str, prompts: list[str]) -> list[str]:
    import httpx2

    limit = asyncio.Semaphore(AT_ONCE)
    answers: list[str] = []
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http, asyncio.TaskGroup() as group:

        async def ask(prompt: str) -> None:
            body = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": True}
            texts: list[str] = []
            async with limit, http.stream("POST", "/chat/completions", json=body) as answer:
                async for line in answer.aiter_lines():
                    if line.startswith("data: {"):
                        choices = json.loads(line[6:])["choices"]
                        texts.append(choices[0]["delta"].get("content") or "" if choices else "")
            answers.append("".join(texts))

        for prompt in prompts:
            group.create_task(ask(prompt))
    return answers


def seconds(way: str, url: str, model: str, lines: int) -> float:
    """That a process takes from its start to its end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, target = folder / "in.jsonl", folder / "out.jsonl"
        source.write_text("".join(json.dumps({"prompt": f"question {number}"}) + "\n" for number in range(lines)))
        env = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
            "POINTSMAN_LEDGER_URL": f"sqlite:{folder}/ledger.db",
            "POINTSMAN_OPENAI_COMPATIBLE_BASE_URL": url,
            "POINTSMAN_OPENAI_COMPATIBLE_API_KEY": "sk-benchmark-only",
        }
        ours = ["batch", source.name, "-o", target.name, "-m", f"openai-compatible/{model}", "-c", str(AT_ONCE)]
        command = [sys.executable, "-m", "pointsman_cli", *ours]
        if way == "hand":
            command = [sys.executable, str(Path(__file__).resolve()), "--hand", url, model, source.name, target.name]
        began = time.monotonic()
        subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, timeout=600)
        took = time.monotonic() - began
        assert target.read_text().count("\n") == lines
        return took


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hand", nargs=4)
    options = parser.parse_args()
    if options.hand:
        url, model, source, target = options.hand
        prompts = [json.loads(line)["prompt"] for line in Path(source).read_text().splitlines()]
        answers = asyncio.run(by_hand(url, model, prompts))
        Path(target).write_text("".join(json.dumps({"text": text}) + "\n" for text in answers))
        return
    server = subprocess.Popen([sys.executable, str(PARTS / "server.py")], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for model in ("firehose-20", "paced-200"):
            best = {"hand": float("inf"), "pointsman": float("inf")}
            for _ in range(options.rounds):
                for way in best:
                    best[way] = min(best[way], seconds(way, url, model, options.lines))
            rates = {way: options.lines / took for way, took in best.items()}
            shown = ", ".join(f"{way} {rate:.0f} lines/s" for way, rate in rates.items())
            print(f"{model}: {shown}: {rates['pointsman'] / rates['hand']:.2f} of the loop's", flush=True)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
