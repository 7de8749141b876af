"""A plain process as a container: `ollama` on the PATH is a stand-in, and weights come from this machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from pointsman_modal_app.settings import Deployment

MODEL = "qwen2.5-coder:7b"
WEIGHTS = bytes(range(256)) * 64
CONFIG = b'{"model_format": "gguf"}'


class Source(socketserver.ThreadingTCPServer):
    """Ollama's registry: it has one model, and counts what it gives out."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Registry)
        self.blobs = {f"sha256:{hashlib.sha256(data).hexdigest()}": data for data in (WEIGHTS, CONFIG)}
        self.given: list[tuple[str, int, int]] = []
        """Digest, first and last byte of each piece."""
        self.holds_after: int | None = None
        """Pieces after which nothing more is given until `go`."""
        self.breaks_after: int | None = None
        """Pieces after which one connection breaks, once."""
        self.held, self.go = threading.Event(), threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def manifest(self) -> dict[str, Any]:
        weights, config = ({"digest": digest, "size": len(data)} for digest, data in self.blobs.items())
        return {"schemaVersion": 2, "config": config, "layers": [weights]}


class _Registry(BaseHTTPRequestHandler):
    server: Source

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        _, kind, name = self.path.split("/")
        if kind == "manifests":
            found = json.dumps(self.server.manifest()).encode() if name == MODEL else None
        else:
            found = self._piece(name)
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        if self.server.breaks_after is not None and len(self.server.given) > self.server.breaks_after:
            self.server.breaks_after = None
            return
        self.wfile.write(found or b"")

    def _piece(self, digest: str) -> bytes:
        source = self.server
        first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
        if source.holds_after is not None and len(source.given) >= source.holds_after:
            source.held.set()
            source.go.wait()
        source.given.append((digest, first, last))
        return source.blobs[digest][first : last + 1]


@pytest.fixture
def source() -> Iterator[Source]:
    with Source() as source:
        thread = threading.Thread(target=source.serve_forever, args=(0.01,))
        thread.start()
        yield source
        source.go.set()
        source.shutdown()
        thread.join()


@dataclass
class Container:
    """What a container has: a deployment, a Volume, and `ollama`."""

    deployment: Deployment
    models: Path
    notes: Path
    bin: Path
    patch: pytest.MonkeyPatch = field(repr=False)

    def mishap(self, what: str) -> None:
        self.patch.setenv("STAND_IN_MISHAP", what)

    def noted(self, what: str) -> list[Any]:
        """What the servers that ran have noted of `what`."""
        lines = map(json.loads, self.notes.read_text().splitlines())
        return [line[what] for line in lines if what in line]

    def put(self, source: Source) -> None:
        """Weights, as an earlier pull has left them."""
        for digest, data in source.blobs.items():
            blob = self.models / "blobs" / digest.replace(":", "-")
            blob.parent.mkdir(exist_ok=True)
            blob.write_bytes(data)
        manifest = self.models / "manifests/registry.ollama.ai/library" / MODEL.replace(":", "/")
        manifest.parent.mkdir(parents=True)
        manifest.write_text(json.dumps(source.manifest()))

    def kill(self) -> None:
        """As a container ends that is killed: whatever runs in it is gone at once."""
        for pid in (*self.noted("server"), *self.noted("runner")):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            assert self.gone(pid)

    def gone(self, pid: int) -> bool:
        """Whether a process ends, with all its threads; one that nobody has waited for yet has ended, too."""
        process = Path(f"/proc/{pid}")
        for _ in range(2_000):
            try:
                threads = list((process / "task").iterdir())
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                return True
            if state == "Z" and len(threads) == 1:
                return True
            time.sleep(0.005)
        return False


@pytest.fixture
def container(tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> Iterator[Container]:
    (bin_folder := tmp_path / "bin").mkdir()
    (models := tmp_path / "weights").mkdir()
    (notes := tmp_path / "notes").touch()
    program = bin_folder / "ollama"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("ollama_stand_in.py")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_SOURCE", source.address)
    monkeypatch.setenv("STAND_IN_NOTES", str(notes))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    deployment = Deployment(model=MODEL, gpu=("L4",), port=port, context_tokens=8192, parallel=2, startup_timeout=60)
    container = Container(deployment, models, notes, bin_folder, monkeypatch)
    yield container
    container.kill()
