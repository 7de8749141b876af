"""The app's own code runs in a plain process, but for what only Modal has: a Volume, and another container."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from control_plane.loading import loaded


@pytest.fixture
def told(container: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the Volume, in order."""
    return []


@pytest.fixture
def app(container: Any, told: list[str]) -> Iterator[Any]:
    with loaded(json.loads(container.deployment.to_json())) as app:
        pull = app.pull.local
        app.WEIGHTS = str(container.models)
        app.weights = SimpleNamespace(reload=lambda: told.append("reload"), commit=lambda: told.append("commit"))
        app.served = SimpleNamespace(reload=lambda: told.append("reload, read-only"))
        app.pull = SimpleNamespace(remote_gen=pull, local=pull)
        yield app


@pytest.mark.filterwarnings("ignore:.*is executing locally")
def test_a_first_start_pulls_and_answers(
    app: Any, told: list[str], container: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for somebody who ran `modal deploy -m pointsman_modal_app.app`: nobody has pulled before."""
    one = app.Ollama()
    asked = {"model": container.deployment.model, "messages": [{"role": "user", "content": "What is a closure?"}]}
    one._enter()  # As Modal does before a container's first answer.
    said = asyncio.run(one.answer.local(7, asked))
    assert (said["number"], said["status"]) == (7, 200)
    assert said["body"]["choices"][0]["message"]["content"] == "It closes over x."
    assert told == ["reload", "commit", "reload, read-only"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "qwen2.5-coder:7b is not in the Volume yet: it is pulled now"
    assert lines[-1] == "qwen2.5-coder:7b is there"
    assert len(container.noted("server")) == 2  # One pulls, with no GPU; one serves.
    one.server.stop()
    assert all(map(container.gone, (*container.noted("server"), *container.noted("runner"))))


@pytest.mark.filterwarnings("ignore:.*is executing locally")
def test_a_batch_that_is_cancelled_leaves_its_containers(app: Any) -> None:
    """Of a method that is not async Modal ends the whole container, and others' answers with it."""
    answer = app.Ollama().answer.local(7, {})
    assert inspect.iscoroutine(answer)
    answer.close()


@pytest.mark.filterwarnings("ignore:.*is executing locally")
def test_a_pull_that_fails_is_not_committed(app: Any, told: list[str], container: Any) -> None:
    with pytest.raises(RuntimeError, match="library has no qwen9:7b"):
        list(app.pull.local("qwen9:7b"))
    assert told == ["reload"]
