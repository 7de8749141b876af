"""One ``ollama serve``: started, waited for, given its model, asked, and stopped. Runs in a plain process as well."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from .loopback import HangUp, Loopback
from .settings import Deployment

READY = 60.0
"""Seconds for a server to answer at all; it takes one or two."""
GRACE = 10.0
"""Seconds for it to end after SIGTERM. Modal gives an exit handler 30 (guide, "Container lifecycle hooks")."""
TRIES = 3
"""Starts until the model is on the GPU: on some hosts the CUDA driver fails at first (guide, "Troubleshooting")."""
_LAST_LINES = 20


class ServerFailed(RuntimeError):
    """Ollama cannot do what it is there for. The message ends in the last lines of its log."""


class Server:
    """Ollama's server in a process group of its own, so that the model's process, its child, ends with it."""

    def __init__(self, deployment: Deployment, models: Path, *, host: str = "0.0.0.0", ready: float = READY) -> None:  # noqa: S104 - as in `server_environ`
        """`models` is the folder of the weights; `ready` is how long the server may take to answer, in seconds."""
        self.http = Loopback(deployment.port)
        self._deployment = deployment
        self._environ = {**os.environ, **deployment.server_environ(host), "OLLAMA_MODELS": str(models)}
        self._ready = ready
        self._process: subprocess.Popen[str] | None = None
        self._log: deque[str] = deque(maxlen=_LAST_LINES)
        self._starting = threading.Lock()
        self._asking = ThreadPoolExecutor(deployment.parallel, thread_name_prefix="answer")
        self._ended = False

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start_loaded(self) -> None:
        """Start, with the model in the GPU's memory. Raises `ServerFailed`."""
        for left in reversed(range(TRIES)):
            self.start()
            try:
                self._load()
                self._check_gpu()
            except BaseException as error:
                self._end()
                if not left or not isinstance(error, _NotOnGpu):
                    raise
                _say("the model is not on the GPU: the server is started once more")
            else:
                return

    def start(self) -> None:
        """Returns once it answers. Raises `ServerFailed` if it ends, or takes too long."""
        if self._ended:
            raise ServerFailed("the container ends")
        self._end()  # of one that died, the model's process may be left, and holds the GPU's memory
        self._log.clear()
        if self.http.is_taken():
            raise ServerFailed(f"another process already listens on port {self._deployment.port}")
        try:
            process = subprocess.Popen(
                ["ollama", "serve"],  # noqa: S607 - where the image has it
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise ServerFailed(f"ollama cannot be started: {error}; is the image ollama/ollama?") from error
        self._process = process
        assert process.stdout
        self._reader = threading.Thread(target=self._copy_log, args=(process.stdout,), daemon=True)
        self._reader.start()
        try:
            self._wait_until_ready(process)
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        """End it for good, gently at first, with all that it started."""
        self._ended = True
        self._end()
        self._asking.shutdown(wait=False)

    async def answered(self, body: dict[str, Any]) -> dict[str, Any]:
        """`answer`, without blocking. Cancelled, it hangs up, at which Ollama stops."""
        hang_up = HangUp()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._asking, self.answer, body, hang_up)
        finally:
            hang_up()

    def answer(self, body: dict[str, Any], hang_up: HangUp | None = None) -> dict[str, Any]:
        """A completion, collected: ``status``, ``body``, and the ``seconds`` that it took. Raises nothing: where no
        answer came at all the status is 0, and the body says why. A server that died is started again, and asked
        once more.
        """
        began = time.monotonic()
        status, said, process = 0, None, self._process
        for last in (False, True):
            try:
                with self._starting:
                    if not self.alive:
                        self.start_loaded()
                    process = self._process
                asked = {**body, "stream": False}
                limit = self._deployment.timeout
                status, said = self.http.ask("/v1/chat/completions", asked, timeout=limit, hang_up=hang_up)
                break
            except (ServerFailed, OSError, HTTPException) as error:
                said = {"error": {"message": f"{type(error).__name__}: {error}"}}
                if last or isinstance(error, ServerFailed) or (hang_up and hang_up.done) or not _ends(process):
                    break
        return {"status": status, "body": said, "seconds": time.monotonic() - began}

    def failed(self, what: str) -> ServerFailed:
        """An error that ends in what the server said last."""
        return ServerFailed("\n".join([what, *(f"  | {line}" for line in list(self._log))]))

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._reader.join(1.0)

    def _wait_until_ready(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + self._ready
        while time.monotonic() < deadline:
            with suppress(OSError, HTTPException):
                status, _ = self.http.ask("/api/version", timeout=1.0)
                if status == 200 and process.poll() is None:
                    return
            if process.poll() is not None:
                self._reader.join(1.0)  # so that its last words are told
                raise self.failed(f"ollama serve ended with code {process.returncode} before it answered:")
            time.sleep(0.05)
        raise self.failed(f"ollama serve has not answered on port {self._deployment.port} within {self._ready:g} s:")

    def _load(self) -> None:
        """A chat without messages loads the model, and answers once that is done."""
        model, limit = self._deployment.model, self._deployment.startup_timeout
        body = {"model": model, "keep_alive": -1}
        began = time.monotonic()
        try:
            status, said = self.http.ask("/api/chat", {**body, "messages": [], "stream": False}, timeout=limit)
            if status == 400 and "does not support chat" in str(said):
                status, said = self.http.ask("/api/embed", {**body, "input": "Are you there?"}, timeout=limit)
        except (OSError, HTTPException) as error:
            raise self.failed(f"{model} could not be loaded: {type(error).__name__}: {error}") from error
        if status != 200:
            raise self.failed(f"{model} could not be loaded: Ollama says {status}: {said}")
        _say(f"{model} is loaded, after {time.monotonic() - began:.1f} s")

    def _check_gpu(self) -> None:
        """Ollama takes the CPU without a word when the GPU's driver fails, or its memory is too small."""
        if not self._deployment.gpu:
            return
        status, said = self.http.ask("/api/ps", timeout=10.0)
        if status != 200:
            raise self.failed(f"Ollama does not tell whether the model is on the GPU: it says {status}: {said}")
        for loaded in said["models"]:
            size, on_gpu = loaded.get("size", 0), loaded.get("size_vram", 0)
            if on_gpu >= size > 0:
                return
            if on_gpu:
                _say(
                    f"only {on_gpu / 2**30:.1f} of {size / 2**30:.1f} GiB of the model are on the GPU, so that it is "
                    "slow: deploy it with a larger GPU, fewer context_tokens, or fewer at once (parallel)"
                )
                return
        raise _NotOnGpu(
            str(self.failed(f"the model is not on the GPU ({', '.join(self._deployment.gpu)}), but on the CPU:"))
        )

    def _copy_log(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._log.append(line.rstrip())
                _say(line.rstrip())


class _NotOnGpu(ServerFailed):
    """Another start may help."""


def _ends(process: subprocess.Popen[str] | None) -> bool:
    """Whether that server is dead, or about to be: it closes its connections a moment before."""
    with suppress(subprocess.TimeoutExpired):
        if process:
            process.wait(0.5)
        return True
    return False


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
