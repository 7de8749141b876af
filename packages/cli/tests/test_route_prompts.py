"""Twenty prompts as people type them: what `pointsman route` says to each makes sense, and says why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pointsman.plugins import Kind, Plugins

Invoke = Callable[..., Result]

TARGETS = {
    "sambanova": "sambanova/gpt-oss-120b",
    "hf": "hf/openai/gpt-oss-120b",
    "modal": "modal/qwen2.5-coder:7b",
    "blaxel": "blaxel/agent:coder",
    "ollama": "ollama/llama3.1:8b",
}
KEYS = {
    "SAMBANOVA_API_KEY": "sk-not-a-real-one-12345",
    "HF_TOKEN": "hf_not-a-real-one-12345",
    "BL_API_KEY": "bl-not-a-real-one-12345",
    "BL_WORKSPACE": "nobodys",
    "POINTSMAN_MODAL_BASE_URL": "http://127.0.0.1:9",
}

PROMPTS: list[tuple[str, str]] = [
    ("code_generation", "need a bash one-liner that renames every .jpeg in a folder to .jpg"),
    ("code_generation", "Escreva uma função em Go que leia um CSV e devolva a soma da terceira coluna"),
    ("code_explanation", "what's the difference between `await asyncio.gather` and a TaskGroup?"),
    (
        "code_explanation",
        "O que faz este trecho?\n\n```python\nfrom functools import reduce\n"
        "x = reduce(lambda a, b: a * b, range(1, n + 1), 1)\n```",
    ),
    (
        "code_debugging",
        "My cron job dies every night with this:\n\nTraceback (most recent call last):\n"
        '  File "sync.py", line 41, in <module>\n    row = rows[idx]\nIndexError: list index out of range\n\n'
        "It works when I run it by hand. Any idea?",
    ),
    (
        "code_debugging",
        "o docker compose up dá 'port is already allocated' mas o lsof não mostra nada nessa porta, como resolvo?",
    ),
    (
        "code_refactoring",
        "This works but it's ugly, can you clean it up without changing what it returns?\n\n"
        "def f(d):\n    r = []\n    for k in d:\n        if d[k] != None:\n            if d[k] > 0:\n"
        "                r.append(k)\n    return r",
    ),
    (
        "code_review",
        "Review this before I merge it:\n\n--- a/app.py\n+++ b/app.py\n@@ -10,3 +10,4 @@\n"
        '-    query = "SELECT * FROM users WHERE id = %s"\n+    query = f"SELECT * FROM users WHERE id = {uid}"\n',
    ),
    (
        "test_writing",
        "def slug(title):\n    return re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')\n\n"
        "Give me pytest cases for this, including unicode.",
    ),
    ("math_reasoning", "If 3 painters need 4 hours for 6 rooms, how long do 5 painters need for 15 rooms?"),
    ("math_reasoning", "Prove that the square root of 3 is irrational."),
    ("writing", "draft a polite mail to my landlord, the heating has been off since Tuesday"),
    ("writing", "Escreva um poema curto sobre a chuva em Lisboa."),
    (
        "summarization_extraction",
        "Summarise the following minutes in three bullet points.\n\nThe board met on 3 May. Sales rose by 4 percent, "
        "mostly in the north. The new warehouse is late; the contractor blames the weather. Ana asked for a second "
        "offer by June. The budget for training was approved without changes.",
    ),
    ("summarization_extraction", "Pull all dates and amounts out of this: paid 40 EUR on 2 Feb, 35 EUR on 9 March."),
    ("translation", "How do I say 'the meeting has been moved to Thursday' in German?"),
    ("translation", "Traduza para o inglês: O comboio parte às nove e meia da linha três."),
    ("general_qa", "why do cats purr?"),
    ("general_qa", "Qual é a capital da Austrália e porque não é Sydney?"),
    (
        "agentic",
        "Go through the repository, find every place that still calls the old payments API, migrate it to v2, run the "
        "tests after each file and open a pull request.",
    ),
]

pytestmark = pytest.mark.skipif(
    not TARGETS.keys() <= set(Plugins.installed().names(Kind.PROVIDER)), reason="not all of our vendors are installed"
)


@pytest.fixture
def five(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All five vendors are set up, as far as anybody can tell without asking them."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("POINTSMAN_ROUTING_TARGETS", ",".join(TARGETS.values()))
    monkeypatch.setenv("POINTSMAN_POLICY_EXPLORE", "0")


def test_they_are_taken_for_what_they_are(invoke: Invoke, five: None) -> None:
    decisions = [json.loads(invoke("route", "--json", prompt).stdout)["decision"] for _, prompt in PROMPTS]
    wrong = [
        (task, one["task"], prompt[:40])
        for (task, prompt), one in zip(PROMPTS, decisions, strict=True)
        if one["task"] != task
    ]
    assert len(wrong) <= 3, wrong
    for one in decisions:
        assert one["policy"] == "scored"
        assert sorted(one["order"]) == sorted(TARGETS.values())
        assert [score["target"] for score in one["scores"]] == one["order"]
        assert 0 < len(one["reason"]) <= 200
        assert all(term["note"] for score in one["scores"] for term in score["terms"])


@pytest.mark.parametrize(("task", "prompt"), PROMPTS[::5])
def test_each_part_of_a_score_is_explained(invoke: Invoke, five: None, task: str, prompt: str) -> None:
    said = invoke("route", prompt).stdout
    for part in ("first token", "answer", "price", "reliability", "quality"):
        assert len(re.findall(rf"^ {{5}}{part} +[01]\.\d\d × +\d+%  \S", said, re.MULTILINE)) == len(TARGETS)
    for line in prompt.splitlines():
        assert len(line) < 20 or line not in said, "what was asked is no part of the explanation"


def test_a_policy_that_goes_by_words_is_not_said_to_be_sure(
    invoke: Invoke, five: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`keywords` reads otherwise than `classify`, whose probabilities are of other tasks than its own."""
    monkeypatch.delenv("POINTSMAN_POLICY_EXPLORE")
    monkeypatch.setenv("POINTSMAN_ROUTING_POLICY", "keywords")
    assert "task    code_explanation\n" in invoke("route", "Review my code").stdout
    assert json.loads(invoke("route", "--json", "Review my code").stdout)["classification"] is None
