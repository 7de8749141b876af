"""Real servers, each a process that is started for a test and killed after it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest

from pointsman import AsyncClient, Settings

HERE = Path(__file__).parent
KEY = "sk-local-only-0123456789"
COUNT = " ".join(f"{number:04}" for number in range(1, 1901))
"""An answer of 1,900 tokens that shows of every part of it where it belongs."""
WIDE = 16384
"""Wide enough layers for `COUNT` to take some seconds, so that nobody who acts in its middle comes too late."""
PATIENCE = 30.0
"""Seconds after which what should have happened will not happen."""


@dataclass
class Llama:
    """A running server with one model, and what it says of itself."""

    url: str
    key: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def get(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What the server answers to us, without any client of ours."""
        request = urllib.request.Request(
            self.url.removesuffix("/v1") + path,
            headers={"authorization": f"Bearer {self.key}", "content-type": "application/json"},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def busy(self) -> int:
        """How many of its two slots are at work."""
        return sum(slot["is_processing"] for slot in self.get("/slots"))

    def count(self, prompt: str) -> tuple[int, int]:
        """Tokens of the prompt and of the whole answer, as the server counts them when it does not stream."""
        usage = self.get("/v1/chat/completions", {"messages": [{"role": "user", "content": prompt}]})["usage"]
        return usage["prompt_tokens"], usage["completion_tokens"]

    def until_busy(self) -> None:
        """Wait until an answer is being made."""
        until = time.monotonic() + PATIENCE
        while not self.busy():
            assert time.monotonic() < until, "nobody asked"
            time.sleep(0.02)

    def left_off(self) -> bool:
        """Wait until no slot is at work. Returns whether the answer, which is to be `COUNT`, was given up."""
        until = time.monotonic() + PATIENCE
        while self.busy():
            assert time.monotonic() < until, "the upstream work goes on without us"
            time.sleep(0.02)
        # Of a slot that was used, the prompt and what it has generated.
        tokens = [slot["n_prompt_tokens"] for slot in self.get("/slots") if "n_prompt_tokens" in slot]
        assert tokens, "no slot was ever used"
        return max(tokens) < 1900

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Start(Protocol):
    """Starts a server whose model answers with this text; without a text, with random words. Port 0 is any free one."""

    def __call__(self, text: str | None = None, *, slow: bool = False, port: int = 0) -> Llama: ...


Models = Callable[[str | None, bool], Path]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """A model file: random words without a text, else one that answers with exactly that text."""
    pytest.importorskip("gguf", reason="the dependency group `real` is not installed")
    pytest.importorskip("xllamacpp", reason="the dependency group `real` is not installed")
    folder, made = tmp_path_factory.mktemp("gguf"), dict[tuple[str | None, bool], Path]()

    def model(text: str | None, slow: bool) -> Path:
        if (text, slow) not in made:
            path = folder / f"{len(made)}.gguf"
            command = [sys.executable, str(HERE / "make_gguf.py"), str(path), *([text] if text else [])]
            subprocess.run([*command, *([str(WIDE)] if slow else [])], check=True, capture_output=True)
            made[text, slow] = path
        return made[text, slow]

    return model


@contextmanager
def servers(models: Models) -> Iterator[Start]:
    """Starts llama.cpp's servers, and kills them at the end."""
    with ExitStack() as stack:

        def start(text: str | None = None, *, slow: bool = False, port: int = 0) -> Llama:
            process = subprocess.Popen(
                [sys.executable, str(HERE / "serve_gguf.py"), str(models(text, slow)), str(port), KEY],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, "the server did not start"
            return Llama(f"{address if '://' in address else f'http://{address}'}/v1", KEY, process)

        yield start


@pytest.fixture
def llama(models: Models) -> Iterator[Start]:
    with servers(models) as start:
        yield start


@pytest.fixture
def count() -> str:
    """See `COUNT`."""
    return COUNT


class Connect(Protocol):
    """A client whose providers `one` and `two` are these servers."""

    def __call__(self, *servers: Llama, key: str | None = KEY, **engine: object) -> AsyncClient: ...


@pytest.fixture
def connect() -> Connect:
    def client(*servers: Llama, key: str | None = KEY, **engine: object) -> AsyncClient:
        keys = {} if key is None else {"api_key": key}
        providers = {
            name: {"plugin": "openai-compatible", "base_url": server.url, **keys}
            for name, server in zip(("one", "two"), servers, strict=False)
        }
        return AsyncClient(settings=Settings.of({"engine": engine, "providers": providers}))

    return client
