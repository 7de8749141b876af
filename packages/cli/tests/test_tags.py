"""`--tag` goes with a call. That a conversation has a thread of its own is in test_repl.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Invoke = Callable[..., Result]


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ([], "none"),
        (["--tag", "team=a=b", "--tag", "thread=42"], "team:a=b thread:42"),
        (["--tag", "x=1", "--tag", "x=2"], "x:2"),
    ],
)
def test_tags_go_with_the_call(run: Any, nowhere: Path, echo: dict[str, str], options: list[str], answer: str) -> None:
    assert run("chat", "hi", "-m", "echo/m", *options, env=echo).stdout == f"{answer}\n"


@pytest.mark.parametrize("tag", ["thread", "=42", ""])
def test_what_is_no_tag(invoke: Invoke, place: Path, tag: str) -> None:
    done = invoke("chat", "hi", "--tag", tag)
    assert done.exit_code == 2
    assert "write NAME=VALUE" in done.stderr
