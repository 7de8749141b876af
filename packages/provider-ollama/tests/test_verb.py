"""`pointsman ollama`, run as its users run it: in a process of its own, on a pipe and on a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from pointsman_testing import Fault, Lab, OllamaApi, Usual, Vendor

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
KEY = "6f1b0c1e7e1c4f5e9b640a6f0c5f2a11"
REGISTRY: Any = ({"name": "small", "layers": (30_000_000, 485)},)
MODELS: Any = (
    {"name": "m", "context_length": 40_960},
    {"name": "hot:7b", "loaded": 8192},
    {"name": "far:120b-cloud", "remote_model": "far:120b", "remote_host": "https://ollama.com:443"},
)
Run = Callable[..., "subprocess.CompletedProcess[str]"]
NUMBERS = count()


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture(scope="module")
def lab(portal: BlockingPortal) -> Iterator[Lab]:
    with portal.wrap_async_context_manager(Lab(speed=1)) as lab:
        yield lab


@pytest.fixture
def vendor(portal: BlockingPortal, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """The server of the settings of the processes that a test starts."""
    dialect = OllamaApi(registry=REGISTRY, download=60e6)
    made = portal.call(partial(lab.vendor, f"ollama-{next(NUMBERS)}", dialect=dialect, models=MODELS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OLLAMA_HOST", made.base_url)
    return made


def command(*args: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "pointsman_cli", "ollama", *args]


def run(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*args), capture_output=True, timeout=60, check=False, env={**os.environ, **(env or {})}
    )
    return subprocess.CompletedProcess(args, done.returncode, done.stdout.decode(), done.stderr.decode())


def on_terminal(*args: str, columns: int = 80, stop_after: float = 0, **env: str) -> tuple[str, int]:
    """What was shown, and the exit code; after so many seconds of output Ctrl-C is pressed."""
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios
    import time

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", **env}
    process = subprocess.Popen(
        command(*args), stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    )
    os.close(theirs)
    shown, began = bytearray(), 0.0
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # Linux says so when the other side is closed.
            break
        if not more:
            break
        shown += more
        began = began or time.monotonic()
        if stop_after and time.monotonic() - began > stop_after:
            stop_after = 0
            process.send_signal(signal.SIGINT)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n"), process.wait(timeout=60)


def valid(name: str, text: str) -> Any:
    """The one object that was printed, as its schema describes it, where the schemas are."""
    (line,) = text.splitlines()
    told = json.loads(line)
    if SCHEMAS.exists():
        import jsonschema

        schema = json.loads((SCHEMAS / name).read_text("utf-8"))
        lib: Any = jsonschema
        lib.Draft202012Validator.check_schema(schema)
        assert [error.message for error in lib.Draft202012Validator(schema).iter_errors(told)] == []
    return told


def test_pull_in_lines(vendor: Vendor) -> None:
    vendor.script(Usual().cut(after=4), on="pull")
    done = run("pull", "small")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"small:latest is there: 30 MB in \d+ s\n", done.stdout)
    lines = done.stderr.splitlines()
    assert lines[0] == "pulling manifest"
    assert lines[-3:] == ["verifying sha256 digest", "writing manifest", "success"]
    assert any(line.endswith("before it said that the model is there: going on") for line in lines)
    percents = [int(found[1]) for line in lines if (found := re.search(r"  (\d+) %  [\d.]+ MB of 30 MB", line))]
    assert len(percents) >= 5
    assert percents == sorted(percents)
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr


def test_pull_as_json(vendor: Vendor) -> None:
    vendor.script(Usual().cut(after=4), on="pull")
    told = valid("ollama-pull.json", run("pull", "small", "--json").stdout)
    assert (told["provider"], told["model"], told["bytes"], told["interruptions"]) == (
        "ollama",
        "small:latest",
        30_000_000,
        1,
    )
    assert told["seconds"] > 0


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_pull_in_place(vendor: Vendor, columns: int) -> None:
    """One line that is painted over, never wider than the terminal; only words of a server are broken by it."""
    shown, code = on_terminal("pull", "small", columns=columns, PYTHONUTF8="1")
    assert code == 0
    assert shown.count("\n") == 1  # The outcome.
    frames = shown.split("\r\x1b[K")
    assert all(len(frame) < columns for frame in frames[:-1])
    assert re.fullmatch(r"small:latest is there: 30 MB in \d+ s\n", frames[-1])
    assert any(re.search(r"\d+ %", frame) for frame in frames)
    assert any("━" in frame for frame in frames) is (columns >= 80)
    assert "\x1b" not in shown.replace("\r\x1b[K", "")  # Neither colours nor anything else.


def test_pull_on_a_dumb_terminal(vendor: Vendor) -> None:
    shown, code = on_terminal("pull", "small", TERM="dumb")
    assert (code, "\x1b" in shown, "\r" in shown) == (0, False, False)
    assert "writing manifest\n" in shown


def test_pull_where_a_bar_cannot_be_written(vendor: Vendor) -> None:
    shown, code = on_terminal("pull", "small", PYTHONIOENCODING="ascii", NO_COLOR="1")
    assert code == 0
    assert "##" in shown


def test_ctrl_c_stops_a_pull(vendor: Vendor, portal: BlockingPortal) -> None:
    vendor.script(Usual().stall(after=3), on="pull")
    shown, code = on_terminal("pull", "small", stop_after=0.01)
    assert code == 130
    assert "stays on the server" in shown
    assert "Traceback" not in shown
    portal.call(vendor.requests[0].gone.wait)
    again = run("pull", "small")
    assert again.returncode == 0


@pytest.mark.parametrize(
    ("args", "fault", "code", "words"),
    [
        (("pull", "nobody"), None, 3, "https://ollama.com/library"),
        (("pull", "small"), "write /models/blobs/x: no space left on device", 3, "OLLAMA_MODELS"),
        (("pull", "small"), "pull model manifest: unauthorized", 4, "ollama signin"),
        (("load", "nobody"), None, 3, "ollama pull nobody"),
        (("unload", "nobody"), None, 3, "not found"),
        (("load", "far:120b-cloud"), None, 1, "ollama.com"),
        (("load", "m", "--keep-alive", "0"), None, 2, "unload"),
        (("load", "m", "--keep-alive", "soon"), None, 2, "duration"),
        (("pull",), None, 2, "MODEL"),
        (("ps", "--provider", "nobody"), None, 2, "nobody"),
        (("ps", "--provider", "openai-compatible"), None, 4, "base_url"),
    ],
)
def test_what_fails(vendor: Vendor, args: tuple[str, ...], fault: str | None, code: int, words: str) -> None:
    if fault is not None:
        line = json.dumps({"error": fault}).encode() + b"\n"
        vendor.script(Usual().garbage(after=2, data=line).cut(after=2, how="clean"), on="pull")
    done = run(*args)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "-m" not in done.stderr.split()
    assert "pointsman models" not in done.stderr, "what is there is not what can be pulled"


def test_no_server_and_a_key_that_is_not_taken(vendor: Vendor) -> None:
    nobody = run("list", env={"OLLAMA_HOST": "127.0.0.1:9"})
    assert (nobody.returncode, nobody.stdout) == (3, "")
    assert "cannot connect to 127.0.0.1:9" in nobody.stderr
    vendor.script(Fault(401), on="tags")
    refused = run("list", env={"POINTSMAN_OLLAMA_API_KEY": KEY})
    assert refused.returncode == 4
    assert KEY not in refused.stderr


def test_load_and_unload(vendor: Vendor) -> None:
    assert re.fullmatch(r"m:latest is loaded: it took \d+ s\n", run("load", "m", "--keep-alive", "-1").stdout)
    assert vendor.requests[-1].json["keep_alive"] == -1
    told = valid("ollama-load.json", run("load", "m", "--json").stdout)
    assert (told["loaded"], told["before"]) == (True, True)
    assert run("unload", "m").stdout == "m:latest is not loaded any more\n"
    told = valid("ollama-load.json", run("unload", "m", "--json").stdout)
    assert (told["loaded"], told["before"], told["seconds"]) == (False, False, None)


def test_a_load_is_shown_to_take_its_time(portal: BlockingPortal, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    dialect = OllamaApi(load=2.2)
    made = portal.call(partial(lab.vendor, f"ollama-{next(NUMBERS)}", dialect=dialect, models=MODELS))
    monkeypatch.setenv("OLLAMA_HOST", made.base_url)
    shown, code = on_terminal("load", "m")
    assert code == 0
    assert "loading m … 1 s" in shown
    assert shown.rpartition("\r\x1b[K")[2] == "m:latest is loaded: it took 2 s\n"


def test_ps(vendor: Vendor) -> None:
    text = run("ps").stdout.splitlines()
    assert [line.split("  ")[0] for line in text] == ["name", "hot:7b"]
    assert "8,192" in text[1]
    assert "for ever" in text[1]
    told = valid("ollama-ps.json", run("ps", "--json").stdout)
    assert [(one["name"], one["context"], one["expires"]) for one in told["models"]] == [("hot:7b", 8192, None)]


def test_list(vendor: Vendor) -> None:
    text = run("list", env={"COLUMNS": "120"}).stdout.splitlines()
    assert [line.split("  ")[0] for line in text] == ["name", "far:120b-cloud", "hot:7b", "m:latest"]
    assert "at ollama.com" in text[1]
    assert "40,960" in text[3]
    told = valid("ollama-list.json", run("list", "--json").stdout)
    assert [one["remote"] for one in told["models"]] == [False, False, True]
    shown, code = on_terminal("list", columns=40)
    assert code == 0
    assert all(len(line) <= 40 for line in shown.splitlines())


def test_nothing_there(portal: BlockingPortal, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    made = portal.call(partial(lab.vendor, f"ollama-{next(NUMBERS)}", dialect=OllamaApi()))
    monkeypatch.setenv("OLLAMA_HOST", made.base_url)
    for verb, hint in (("list", "pull NAME"), ("ps", "load NAME")):
        done = run(verb)
        assert (done.returncode, done.stdout) == (0, "")
        assert hint in done.stderr


def test_names_complete(vendor: Vendor, tmp_path: Path) -> None:
    """Those of the settings, and those that a server on this machine has; of another, nothing is asked."""

    def complete(*words: str, **env: str) -> list[str]:
        line = ["pointsman", "ollama", *words]
        place = {"COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(line) - 1)}
        done = subprocess.run(
            [sys.executable, "-c", "from pointsman_cli.main import main; main()"],
            capture_output=True,
            env={**os.environ, "_POINTSMAN_COMPLETE": "bash_complete", **place, **env},
            timeout=60,
            check=False,
        )
        return [row.partition(",")[2] for row in done.stdout.decode().splitlines()]

    (tmp_path / "pointsman.toml").write_text('[providers.ollama]\ndefault_models = ["mine:3b"]\n')
    assert complete("load", "") == ["far:120b-cloud", "hot:7b", "m:latest", "mine:3b"]
    assert complete("unload", "ho") == ["hot:7b"]
    assert complete("load", "", OLLAMA_HOST="https://10.255.255.1") == ["mine:3b"]
    assert complete("load", "", OLLAMA_HOST="127.0.0.1:9") == ["mine:3b"]
    assert {"load", "list"} <= set(complete("l"))


def test_help_shows_an_example_for_each() -> None:
    for verb in ("pull", "load", "unload", "ps", "list"):
        done = run(verb, "--help")
        assert f"pointsman ollama {verb}" in done.stdout
        assert done.returncode == 0
