"""What stands in for the program `ollama`, as far as a container uses it: ``serve``, on OLLAMA_HOST's port of loopback.

The lab speaks for it. Pulling is done here, for real, as Ollama's source of 2026-08 does it (``server/download.go``): a
file of parts, each with a note of how far it is; a layer that is whole gets its name; the manifest comes last. Where
from, and what goes wrong, variables say: STAND_IN_SOURCE, STAND_IN_MISHAP; STAND_IN_NOTES is a file for the test to
read, a line of JSON each.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

MODELS = Path(os.environ["OLLAMA_MODELS"])
SOURCE = os.environ.get("STAND_IN_SOURCE", "")
MISHAP = os.environ.get("STAND_IN_MISHAP", "")
PARTS = 8
MEMORY: dict[str, Any] = {}
LOCK = threading.Lock()


def note(**what: Any) -> None:
    with open(os.environ["STAND_IN_NOTES"], "a") as notes:
        notes.write(json.dumps(what) + "\n")


def manifest_of(name: str) -> Path:
    model, _, tag = name.partition(":")
    return MODELS / "manifests" / "registry.ollama.ai" / "library" / model / (tag or "latest")


def known() -> list[dict[str, Any]]:
    found = [path for path in (MODELS / "manifests").glob("*/*/*/*") if path.is_file()]
    return [
        {
            "id": f"{path.parent.name}:{path.name}",
            "capabilities": ["embedding"] if MISHAP == "embeds" else ["completion", "tools"],
            "size": sum(layer["size"] for layer in json.loads(path.read_bytes())["layers"]),
        }
        for path in found
    ]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/api/version":
            return self.say({"version": "0.32.15"})
        return self.by_the_lab(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if b"Wait for me" in body:
            note(waits=True)
            note(left=self.connection.recv(1) == b"")  # Until whoever asks hangs up.
            return None
        if self.path != "/api/pull":
            return self.by_the_lab(body)
        self.send_response(200)
        self.end_headers()
        try:
            self.pull(json.loads(body)["model"])
        except (OSError, HTTPException):
            self.line(error="unexpected EOF")
        return None

    def say(self, body: Any, status: int = 200) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def line(self, **said: Any) -> None:
        self.wfile.write(json.dumps(said).encode() + b"\n")

    def pull(self, name: str) -> None:
        self.line(status="pulling manifest")
        try:
            with urllib.request.urlopen(f"{SOURCE}/manifests/{name}") as response:
                manifest = json.load(response)
        except urllib.error.HTTPError:
            return self.line(error="pull model manifest: file does not exist")
        for layer in (*manifest["layers"], manifest["config"]):
            self.layer(layer["digest"], layer["size"])
        if MISHAP == "silent":
            return None
        self.line(status="verifying sha256 digest")
        for layer in (*manifest["layers"], manifest["config"]):
            blob = MODELS / "blobs" / layer["digest"].replace(":", "-")
            if f"sha256:{hashlib.sha256(blob.read_bytes()).hexdigest()}" != layer["digest"]:
                blob.unlink()
                return self.line(error="digest mismatch, file must be downloaded again")
        self.line(status="writing manifest")
        manifest_of(name).parent.mkdir(parents=True, exist_ok=True)
        manifest_of(name).write_text(json.dumps(manifest))
        return self.line(status="success")

    def layer(self, digest: str, size: int) -> None:
        blob = MODELS / "blobs" / digest.replace(":", "-")
        blob.parent.mkdir(exist_ok=True)
        about = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": size}
        if blob.exists():
            return self.line(**about, completed=blob.stat().st_size)
        partial = Path(f"{blob}-partial")
        if not list(blob.parent.glob(f"{partial.name}-*")):
            step = max(1, size // PARTS)
            for number, offset in enumerate(range(0, size, step)):
                part = {"N": number, "Offset": offset, "Size": min(step, size - offset), "Completed": 0}
                Path(f"{partial}-{number}").write_text(json.dumps(part))
        parts = sorted(
            (json.loads(path.read_bytes()) for path in blob.parent.glob(f"{partial.name}-*")), key=lambda one: one["N"]
        )
        with open(partial, "r+b" if partial.exists() else "w+b") as file:
            file.truncate(size)
            for part in parts:
                if part["Completed"] < part["Size"]:
                    first, last = part["Offset"], part["Offset"] + part["Size"] - 1
                    wanted = urllib.request.Request(
                        f"{SOURCE}/blobs/{digest}", headers={"Range": f"bytes={first}-{last}"}
                    )
                    with urllib.request.urlopen(wanted) as response:
                        data = response.read()
                    file.seek(first)
                    file.write(data)
                    file.flush()
                    Path(f"{partial}-{part['N']}").write_text(json.dumps({**part, "Completed": part["Size"]}))
                self.line(**about, completed=part["Offset"] + part["Size"])
        for part in parts:
            Path(f"{partial}-{part['N']}").unlink()
        os.replace(partial, blob)
        return None

    def by_the_lab(self, body: bytes) -> None:
        from pointsman_testing import Answer, Fault, ModalEndpoint, OllamaApi, Pace, RecordedRequest, Site

        request = RecordedRequest(
            index=0,
            client=self.client_address,
            method=self.command,
            path=self.path,
            query="",
            raw_headers=(),
            headers={},
            body=body,
        )
        for folder in ("manifests", "manifests-v2"):
            if not (MODELS / folder).exists() and MISHAP == "read-only":
                return self.say({"error": f"mkdir {MODELS / folder}: read-only file system"}, 500)
            (MODELS / folder).mkdir(exist_ok=True)
        site = Site(models=known(), clock=time.monotonic, memory=MEMORY)
        num_ctx = int(os.environ["OLLAMA_CONTEXT_LENGTH"])
        dialect = ModalEndpoint(num_ctx=num_ctx) if self.path.startswith("/v1") else OllamaApi(num_ctx=num_ctx)
        with LOCK:
            route = dialect.route(request, site)
            if isinstance(route, Fault):
                said = route.body if isinstance(route.body, bytes | dict) else dialect.error(route)
                return self.say(said, route.status)
            if route == "load":
                if MISHAP == "does not load":
                    return self.say({"error": "model requires more system memory (9 GiB) than is available"}, 500)
                runner = subprocess.Popen(["sleep", "600"])  # as a model has a process of its own
                note(runner=runner.pid)
            response = dialect.reply(route, request, site)
            if response is None:
                response = dialect.chat(Answer("It closes over x."), request.json, Pace(), site)
        whole = b"".join(chunk.data for chunk in response.body)
        if route == "ps":
            whole = json.dumps(
                {"models": [{**one, **on_gpu(one["size"])} for one in json.loads(whole)["models"]]}
            ).encode()
        return self.say(whole, response.status)


def on_gpu(size: int) -> dict[str, int]:
    lines = Path(os.environ["STAND_IN_NOTES"]).read_text().splitlines()
    starts = sum("server" in json.loads(line) for line in lines)
    cpu = MISHAP == "cpu" or (MISHAP == "cpu at first" and starts == 1)
    return {"size_vram": 0 if cpu else size // 2 if MISHAP == "half" else size}


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    settings = {name: value for name, value in os.environ.items() if name.startswith("OLLAMA_")}
    note(server=os.getpid(), argv=sys.argv[1:], environ=settings)
    print("time=2026-11-29 level=INFO msg=starting", file=sys.stderr, flush=True)
    if MISHAP == "dies":
        print("Error: could not create the folder: read-only file system", file=sys.stderr, flush=True)
        sys.exit(1)
    if MISHAP == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MISHAP == "deaf":
        threading.Event().wait()
    with Server(("127.0.0.1", int(os.environ["OLLAMA_HOST"].rpartition(":")[2])), Handler) as server:
        server.serve_forever(poll_interval=60)


if __name__ == "__main__":
    main()
