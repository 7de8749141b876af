"""The server in the container: it answers with the model on the GPU, or says why it cannot; and it leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pointsman_modal_app import container as room
from pointsman_modal_app.container import Server, ServerFailed
from pointsman_modal_app.loopback import HangUp

ASKED = {"model": "qwen2.5-coder:7b", "messages": [{"role": "user", "content": "What is a closure?"}]}
SERVE = """
import signal, sys
from pathlib import Path
from pointsman_modal_app.container import Server
from pointsman_modal_app.settings import Deployment
server = Server(Deployment.from_environ(), Path(sys.argv[1]))
def stop(*_):
    server.stop()
    sys.exit(7)
signal.signal(signal.SIGTERM, stop)
server.start_loaded()
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture
def server(container: Any, source: Any) -> Iterator[Server]:
    container.put(source)
    server = Server(container.deployment, container.models, ready=60)
    yield server
    server.stop()


def test_a_start_loads_the_model_and_answers(server: Server, container: Any) -> None:
    server.start_loaded()
    [runner] = container.noted("runner")
    said = server.answer({**ASKED, "stream": True})
    assert said["status"] == 200
    assert said["body"]["choices"][0]["message"]["content"] == "It closes over x."
    assert said["seconds"] > 0
    unknown = server.answer({**ASKED, "model": "another"})
    assert unknown["status"] == 404
    assert "another" in unknown["body"]["error"]["message"]

    [pid] = container.noted("server")
    server.stop()
    assert container.gone(pid)
    assert container.gone(runner)
    assert not server.alive
    late = server.answer(ASKED)  # One that was under way when the container was told to end.
    assert (late["status"], container.noted("server")) == (0, [pid])
    assert "the container ends" in late["body"]["error"]["message"]


def test_the_server_is_told_what_was_deployed(server: Server, container: Any) -> None:
    server.start()
    [environ] = container.noted("environ")
    assert environ["OLLAMA_HOST"] == f"0.0.0.0:{container.deployment.port}"
    assert environ["OLLAMA_MODELS"] == str(container.models)
    assert (environ["OLLAMA_CONTEXT_LENGTH"], environ["OLLAMA_NUM_PARALLEL"]) == ("8192", "2")
    assert container.noted("argv") == [["serve"]]


def test_one_that_dies_at_its_start_says_its_last_words(server: Server, container: Any) -> None:
    container.mishap("dies")
    server = Server(container.deployment, container.models)
    with pytest.raises(
        ServerFailed, match=r"ended with code 1 before it answered:\n.*\n  \| Error: could not create .*"
    ):
        server.start_loaded()
    assert len(container.noted("server")) == 1  # Another start would not help.


def test_one_that_never_answers_is_given_up(container: Any) -> None:
    container.mishap("deaf")
    server = Server(container.deployment, container.models, ready=0.5)
    with pytest.raises(ServerFailed, match=f"not answered on port {container.deployment.port} within 0.5 s"):
        server.start_loaded()
    assert not server.alive
    assert all(map(container.gone, container.noted("server")))


def test_where_there_is_no_ollama_the_image_is_named(container: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(container.models))
    with pytest.raises(ServerFailed, match="is the image ollama/ollama"):
        Server(container.deployment, container.models).start()


def test_a_model_that_does_not_load_says_why(server: Server, container: Any) -> None:
    container.mishap("does not load")
    server = Server(container.deployment, container.models)
    with pytest.raises(ServerFailed, match=r"7b could not be loaded: Ollama says 500: .*more system memory"):
        server.start_loaded()
    assert all(map(container.gone, container.noted("server")))


def test_a_model_on_the_cpu_is_refused_after_some_starts(
    server: Server, container: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TRIES", 2)
    container.mishap("cpu")
    server = Server(container.deployment, container.models)
    with pytest.raises(ServerFailed, match=r"not on the GPU \(L4\), but on the CPU"):
        server.start_loaded()
    assert len(container.noted("server")) == room.TRIES
    assert all(map(container.gone, (*container.noted("server"), *container.noted("runner"))))


def test_a_driver_that_fails_at_first_is_given_another_chance(server: Server, container: Any) -> None:
    container.mishap("cpu at first")
    server = Server(container.deployment, container.models)
    server.start_loaded()
    assert len(container.noted("server")) == 2
    assert server.answer(ASKED)["status"] == 200
    server.stop()


def test_a_model_that_is_partly_on_the_gpu_serves_and_says_so(
    container: Any, source: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    container.put(source)
    container.mishap("half")
    server = Server(container.deployment, container.models)
    server.start_loaded()
    assert "GiB of the model are on the GPU, so that it is slow: deploy it with a larger GPU" in capfd.readouterr().err
    server.stop()


def test_a_model_that_only_embeds_is_loaded_as_well(container: Any, source: Any) -> None:
    container.put(source)
    container.mishap("embeds")
    server = Server(container.deployment, container.models)
    server.start_loaded()
    assert server.http.ask("/api/ps", timeout=10)[1]["models"]
    server.stop()


def test_without_a_gpu_in_the_deployment_the_cpu_will_do(container: Any, source: Any) -> None:
    container.put(source)
    container.mishap("cpu")
    server = Server(replace(container.deployment, gpu=()), container.models)
    server.start_loaded()
    assert server.alive
    server.stop()


def test_a_server_that_died_is_started_again_for_the_next_answer(server: Server, container: Any) -> None:
    server.start_loaded()
    [pid], [runner] = container.noted("server"), container.noted("runner")
    os.kill(pid, signal.SIGKILL)
    assert container.gone(pid)
    assert server.answer(ASKED)["status"] == 200
    assert len(container.noted("runner")) == 2  # With its model.
    assert container.gone(runner)  # It would hold the GPU's memory.
    container.kill()
    container.mishap("dies")
    server._environ |= {"STAND_IN_MISHAP": "dies"}
    said = server.answer(ASKED)
    assert said["status"] == 0
    assert "ServerFailed: ollama serve ended with code 1" in said["body"]["error"]["message"]


class Running(Server):
    alive = True


def test_an_answer_that_is_cancelled_ends_in_ollama_too(container: Any) -> None:
    """It would go on to its end, on a GPU that is billed, in the place of another."""

    async def cancel(server: Server, ollama: socket.socket) -> bytes:
        """What arrives after the question has."""
        asking = asyncio.create_task(server.answered(ASKED))
        line, _ = await asyncio.to_thread(ollama.accept)
        with line:
            line.settimeout(60)
            said = b""
            while not said.endswith(b"}"):
                said += await asyncio.to_thread(line.recv, 65536)
            assert b"What is a closure?" in said
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            return await asyncio.to_thread(line.recv, 65536)

    with socket.create_server(("127.0.0.1", 0)) as ollama:
        server = Running(replace(container.deployment, port=ollama.getsockname()[1]), container.models)
        assert asyncio.run(cancel(server, ollama)) == b""
        server.stop()


def test_an_answer_that_nobody_waits_for_is_not_asked_for(container: Any) -> None:
    """It was cancelled while its thread was about to connect."""
    with socket.create_server(("127.0.0.1", 0)) as ollama:
        server = Running(replace(container.deployment, port=ollama.getsockname()[1]), container.models)
        (hang_up := HangUp())()
        assert server.answer(ASKED, hang_up)["status"] == 0
        line, _ = ollama.accept()
        with line:
            assert line.recv(1) == b""


def test_sigterm_leaves_nothing_behind(container: Any, source: Any) -> None:
    container.put(source)
    environ = {**os.environ, "POINTSMAN_DEPLOYMENT": container.deployment.to_json()}
    command = [sys.executable, "-c", SERVE, str(container.models)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(60) == 7
    assert all(map(container.gone, (*container.noted("server"), *container.noted("runner"))))
    assert len(container.noted("runner")) == 1


def test_one_that_does_not_heed_sigterm_is_killed(container: Any, source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "GRACE", 0.1)
    container.put(source)
    container.mishap("stubborn")
    server = Server(container.deployment, container.models)
    server.start()
    server.stop()
    assert all(map(container.gone, container.noted("server")))
