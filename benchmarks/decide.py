"""What a decision takes, classification included, beside what one would train or embed instead.

    uv run --group train python benchmarks/decide.py [--calls 300] [--rounds 5]

Each prompt is another one: pages of docs/ and modules of the standard library, cut to length, half of them with a
question before or after pasted code. "scored" ranks five candidates, as many as there are vendors of ours, each with a
history by task and length, and "scored, 10" ten; "client" is `AsyncClient.decide` over five targets, with making the
request and the candidates: the limits are for that. TF-IDF (words of 1 and 2, characters
of 2 to 5) with logistic regression, of scikit-learn, and embeddings by MiniLM only classify: ranking would come on top.

Times are of the processor, since a decision waits for nothing. A busy machine still makes them longer, by a third and
more: measure on a quiet one. Exits 7 if a limit of DESIGN is missed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pointsman
from pointsman import Candidate, ChatRequest, History, Measured, Price, Strengths, Target, user
from pointsman.plugins import Plugins
from pointsman_policy import TASKS, classify

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {2_000: (1.0, 3.0), 100_000: (5.0, None)}
"""Characters -> milliseconds at p50, and at p99."""
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


def prompts(length: int) -> Iterator[str]:
    """Without end, each another one."""
    pages = "\n\n".join(path.read_text("utf-8") for path in sorted(ROOT.glob("docs/*.md")))
    modules = "\n\n".join(Path(path).read_text("utf-8") for path in _library())
    asked = ("Why does this raise a KeyError?", "Write tests for this module.", "Resume o texto acima.", "Explain it.")
    for number in itertools.count():
        source = modules if number % 2 else pages
        begin = (number * 7919) % (len(source) - length)
        piece = source[begin : begin + length - 80]
        question = asked[number % len(asked)]
        yield f"{question}\n\n```python\n{piece}\n```" if number % 4 == 1 else f"{piece}\n\n{question}"


def _library() -> list[str]:
    folder = Path(json.__file__).parent.parent
    return [str(folder / name) for name in ("argparse.py", "inspect.py", "typing.py", "tarfile.py", "datetime.py")]


def candidates(count: int) -> list[Candidate]:
    measured = Measured(
        attempts=90, failures=2, first_token=0.4, answers=80, tokens_per_second=90, timed=80, quality=0.8
    )
    by_task = dict.fromkeys(TASKS, measured)
    history = History(overall=measured, recent=measured, tasks=by_task, lengths={"short": measured, "medium": measured})
    return [
        Candidate(
            target=Target(f"p{number}", "m"),
            capabilities=frozenset({"tools", "schema"}),
            context_tokens=131_072,
            price=Price(input=Decimal("0.22"), output=Decimal("0.59"), as_of=None, source="made up"),
            strengths=Strengths(speed=number, cost=5, tasks={"general": 8, "code_generation": number}),
            history=history,
        )
        for number in range(count)
    ]


def ranking(policy: str, count: int = 5) -> Callable[[str], object]:
    ours, known = Plugins.installed().policy(policy), candidates(count)
    return lambda text: ours.rank(ChatRequest(messages=(user(text),)), known, 0.0, 1)


def deciding() -> Callable[[str], object]:
    names = [f"p{number}" for number in range(5)]
    table = {"plugin": "openai-compatible", "base_url": "http://127.0.0.1:9/v1"}
    client = pointsman.AsyncClient(
        settings=pointsman.Settings.of(
            {"providers": dict.fromkeys(names, table), "routing": {"targets": [f"{name}/m" for name in names]}}
        )
    )
    return client.decide


def tf_idf() -> Callable[[str], object] | str:
    if find_spec("sklearn") is None:
        return "scikit-learn is not installed: uv run --group train"
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped,import-not-found]
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped,import-not-found]
    from sklearn.pipeline import make_pipeline, make_union  # type: ignore[import-untyped,import-not-found]

    files = sorted(ROOT.glob("packages/policy/training/authored/*.jsonl"))
    rows: list[dict[str, str]] = [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines()]
    if not rows:
        return "there are no rows to train it on"
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    model: Any = make_pipeline(make_union(words, pieces), LogisticRegression(max_iter=30))
    model.fit([row["text"] for row in rows], [row["label"] for row in rows])
    return lambda text: model.predict_proba([text])


def minilm() -> Callable[[str], object] | str:
    if find_spec("sentence_transformers") is None:
        return "sentence-transformers is not installed"
    from sentence_transformers import SentenceTransformer  # type: ignore[import-untyped,import-not-found]

    try:
        model: Any = SentenceTransformer(MINILM, local_files_only=True)
    except Exception as error:
        return f"its weights are not on this machine ({type(error).__name__})"
    return model.encode


def measured(way: Callable[[str], object], texts: list[str]) -> list[float]:
    """Milliseconds of the processor, for each."""
    took: list[float] = []
    for text in texts:
        began = time.process_time()
        way(text)
        took.append(1e3 * (time.process_time() - began))
    return took


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--calls", type=int, default=300)
    options.add_argument("--rounds", type=int, default=5)
    arguments = options.parse_args()
    found: dict[str, Callable[[str], object] | str] = {
        "scored": ranking("scored"),
        "scored, 10": ranking("scored", 10),
        "client": deciding(),
        "classify": classify,
        "keywords": ranking("keywords"),
        "TF-IDF": tf_idf(),
        "MiniLM": minilm(),
    }
    ways = {name: way for name, way in found.items() if not isinstance(way, str)}
    missed = False
    for length, (middle, tail) in LIMITS.items():
        calls = max(10, arguments.calls * 2_000 // length)
        source = prompts(length)
        took: dict[str, list[list[float]]] = {name: [] for name in ways}
        for way in ways.values():
            measured(way, [next(source) for _ in range(5)])  # What is loaded on first use is loaded.
        for _ in range(arguments.rounds):
            texts = [next(source) for _ in range(calls)]
            for name, way in ways.items():
                took[name].append(measured(way, texts))
        print(f"{length:,} characters, {calls * arguments.rounds} prompts:")
        print(f"  {'':10}{'p50':>9}{'p99':>9}  (ms of the processor){'ratio':>9}")
        own = statistics.median(itertools.chain(*took["scored"]))
        for name, way in found.items():
            if isinstance(way, str):
                print(f"  {name:10}{way}")
                continue
            every = list(itertools.chain(*took[name]))
            p50, p99 = statistics.median(every), statistics.quantiles(every, n=100)[-1]
            print(f"  {name:10}{p50:9.3f}{p99:9.3f}{p50 / own:>32.2f}")
            if name == "client":
                missed = missed or p50 > middle or (tail is not None and p99 > tail)
        said = f", {tail:g} ms at p99" if tail is not None else ""
        print(f"  limit of a decision: {middle:g} ms at p50{said}")
    return 7 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
