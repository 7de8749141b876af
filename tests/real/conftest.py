"""Real servers, each a process that is started for a test and killed after it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from pointsman import AsyncClient, Settings

HERE = Path(__file__).parent
KEY = "sk-local-only-0123456789"


@dataclass
class Llama:
    """A running server with one model."""

    url: str
    key: str
    process: subprocess.Popen[str]


Start = Callable[[str | None], Llama]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str | None], Path]:
    """A model file: random words without a text, else one that answers with exactly that text."""
    pytest.importorskip("gguf", reason="the dependency group `real` is not installed")
    pytest.importorskip("xllamacpp", reason="the dependency group `real` is not installed")
    folder, made = tmp_path_factory.mktemp("gguf"), dict[str | None, Path]()

    def model(text: str | None) -> Path:
        if text not in made:
            path = folder / f"{len(made)}.gguf"
            command = [sys.executable, str(HERE / "make_gguf.py"), str(path), *([text] if text else [])]
            subprocess.run(command, check=True, capture_output=True)
            made[text] = path
        return made[text]

    return model


@pytest.fixture
def llama(models: Callable[[str | None], Path]) -> Iterator[Start]:
    """Starts llama.cpp's server."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str | None = None) -> Llama:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "serve_gguf.py"), str(models(text)), KEY],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "the server did not start"
        return Llama(f"{address if '://' in address else f'http://{address}'}/v1", KEY, process)

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


class Connect(Protocol):
    """A client whose providers `one` and `two` are these servers."""

    def __call__(self, *servers: Llama, key: str = KEY, **engine: object) -> AsyncClient: ...


@pytest.fixture
def connect() -> Connect:
    def client(*servers: Llama, key: str = KEY, **engine: object) -> AsyncClient:
        providers = {
            name: {"plugin": "openai-compatible", "base_url": server.url, "api_key": key}
            for name, server in zip(("one", "two"), servers, strict=False)
        }
        return AsyncClient(settings=Settings.of({"engine": engine, "providers": providers}))

    return client
