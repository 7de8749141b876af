"""What is advised about an answer that broke can be done, was not done yet, and would be done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman_testing import Answer, Vendor

Invoke = Callable[..., Result]
BROKEN = Answer("one two three").cut(after=2)

AGENT = """
from contextlib import asynccontextmanager
from pydantic import BaseModel
from pointsman import ProviderSpec, Terminal, TextDelta, hookimpl

class Config(BaseModel):
    base_url: str = "http://127.0.0.1"

@asynccontextmanager
async def stream(request):
    async def events():
        yield TextDelta("I have bought")
    yield events()

@asynccontextmanager
async def open_(config, context):
    yield stream

@hookimpl
def pointsman_providers():
    spec = {"config": Config, "open": open_, "terminal": Terminal.DONE_FIELD}
    return [ProviderSpec(name="agent", idempotent=False, **spec)]

@hookimpl
def pointsman_stream(connection):
    return connection.session
"""


def advice(stderr: str) -> str:
    return stderr.partition("next:")[2].strip()


@pytest.mark.parametrize("options", [[], ["--on-break", "restart"], ["-m", "a/m1"]])
def test_an_agent_is_not_asked_twice(run: Any, place: Path, stranger: Any, options: list[str]) -> None:
    env = stranger({"pointsman.providers": {"agent": "agent_plugin"}}, agent_plugin=AGENT)
    done = run("chat", "hi", "-m", "agent/m", *options, env=env)
    assert done.returncode == 3
    assert advice(done.stderr).startswith("agent/m is asked once")
    assert "--on-break" not in done.stderr
    assert "with each -m" not in done.stderr


def test_what_was_done_is_not_advised(invoke: Invoke, place: Path, a: Vendor, b: Vendor) -> None:
    a.script(BROKEN)
    assert advice(invoke("chat", "hi", "-m", "a/m1").stderr).startswith("--on-break restart")
    a.script(*[BROKEN] * 5)
    said = advice(invoke("chat", "hi", "-m", "a/m1", "--on-break", "restart").stderr)
    assert "try again" in said
    assert "--on-break" not in said
    for vendor in (a, b):
        vendor.script(*[BROKEN] * 5)
    said = advice(invoke("chat", "hi", "-m", "a/m1", "-m", "b/m1", "--on-break", "restart").stderr)
    assert "--on-break" not in said
    assert "name several targets" not in said


def test_an_answer_that_stalls_is_begun_anew(
    invoke: Invoke, place: Path, a: Vendor, b: Vendor, monkeypatch: Any
) -> None:
    monkeypatch.setenv("POINTSMAN_ENGINE_STALL", "0.3")
    a.script(Answer("one two three").stall(after=2))
    stderr = invoke("chat", "hi", "-m", "a/m1", "-m", "b/m1").stderr
    assert "loading the model" not in stderr, "it has spoken"
    assert advice(stderr).startswith("--on-break restart")
