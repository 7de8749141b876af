"""``python -m pointsman_testing``, as a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import httpx2
import pytest

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_told_to_stop(number: signal.Signals) -> None:
    command = [sys.executable, "-W", "error", "-m", "pointsman_testing"]
    options = ["--vendor", "sambanova", "--speed", "1000", "--text", "hello from afar", "--model", "m"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            assert base_url.startswith("http://127.0.0.1:")
            reply = httpx2.post(f"{base_url}/chat/completions", json=ASKED).json()
            assert reply["choices"][0]["message"]["content"] == "hello from afar"
            assert [model["id"] for model in httpx2.get(f"{base_url}/models").json()["data"]] == ["m"]
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")


def test_serves_ollama() -> None:
    command = [sys.executable, "-W", "error", "-m", "pointsman_testing", "--vendor", "ollama", "--speed", "1000"]
    with subprocess.Popen([*command, "--model", "m"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            assert httpx2.get(base_url).text == "Ollama is running"
            reply = httpx2.post(f"{base_url}/api/chat", json={**ASKED, "stream": False}).json()
            assert (reply["message"]["content"], reply["done"]) == ("ollama answers.", True)
        finally:
            process.kill()


def test_a_container_of_modal_takes_its_time_to_start() -> None:
    """A request that is held for 150 s is told where its result will be."""
    command = [sys.executable, "-W", "error", "-m", "pointsman_testing", "--vendor", "modal", "--speed", "1000"]
    with subprocess.Popen([*command, "--model", "m", "--start", "300"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            assert httpx2.get(f"{base_url}/models").status_code == 303
            answer = httpx2.get(f"{base_url}/models", follow_redirects=True).json()
            assert [model["id"] for model in answer["data"]] == ["m:latest"]
        finally:
            process.kill()


def test_help_is_for_a_terminal() -> None:
    command = [sys.executable, "-m", "pointsman_testing", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "python -m pointsman_testing. Its base URL" in " ".join(shown.split())
    assert "`" not in shown


def test_refuses_a_vendor_that_it_does_not_know() -> None:
    command = [sys.executable, "-m", "pointsman_testing", "--vendor", "nobody"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert process.returncode == 2
    assert "invalid choice" in process.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fault", "flood"], "invalid choice"),
        (["--fault", "cut", "--every", "0"], "from 1 on"),
        (["--fault", "cut", "--every", "two"], "invalid"),
        (["--every", "2"], "name one"),
        (["--start", "20"], "which --vendor modal has"),
        (["--vendor", "modal", "--start", "-1"], "from 0 on"),
        (["--vendor", "modal", "--start", "nan"], "from 0 on"),
    ],
)
def test_refuses_what_it_cannot_play(options: list[str], said: str) -> None:
    command = [sys.executable, "-m", "pointsman_testing", *options]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert process.returncode == 2
    assert said in process.stderr


def test_says_that_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-W", "error", "-m", "pointsman_testing", "--port", port]
        process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert process.returncode == 2
    assert process.stderr.splitlines()[-1].startswith(f"python -m pointsman_testing: error: port {port} on 127.0.0.1: ")
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("vendor", ["lab", "ollama"])
def test_fails_as_often_as_it_is_told_to(vendor: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "pointsman_testing", "--vendor", vendor, "--speed", "1000"]
    options = ["--model", "m", "--fault", "down", "--every", "3"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base_url = process.stdout.readline().strip()
            chat, models = ("/api/chat", "/api/tags") if vendor == "ollama" else ("/chat/completions", "/models")
            statuses: list[int] = []
            for _ in range(6):
                assert httpx2.get(base_url + models).status_code == 200
                statuses.append(httpx2.post(base_url + chat, json=ASKED).status_code)
            assert statuses == [200, 200, 503] * 2
        finally:
            process.kill()
