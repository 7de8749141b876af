"""`pointsman chat` against llama.cpp's own server, as a shell runs it: a process, its pipes, its exit code."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import referencing

if TYPE_CHECKING:
    from conftest import Llama, Start

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
CHAT = ("chat", "-m", "openai-compatible/toy")
COMMAND = (sys.executable, "-W", "error", "-m", "pointsman_cli")
PATIENCE = 60.0


def valid(name: str, value: Any) -> Any:
    """`value`, which is as the docs say."""
    schemas = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    registry = referencing.Registry().with_resources(
        (name, referencing.Resource.from_contents(schema)) for name, schema in schemas.items()
    )
    jsonschema.Draft202012Validator(schemas[name], registry=registry).validate(value)
    return value


def environment(server: Llama, **more: str) -> dict[str, str]:
    """What a user exports for one server."""
    prefix = "POINTSMAN_OPENAI_COMPATIBLE"
    return {**os.environ, f"{prefix}_BASE_URL": server.url, f"{prefix}_API_KEY": server.key, **more}


Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
Begin = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The command from its beginning to its end."""

    def run(*args: str, env: Mapping[str, str], stdin: bytes = b"") -> Any:
        command = [*COMMAND, *args]
        return subprocess.run(
            command, input=stdin, env=env, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False
        )

    return run


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """The command while it runs."""
    with ExitStack() as stack:

        def begin(*args: str, env: Mapping[str, str]) -> Any:
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                [*COMMAND, *args], env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin


def first_output(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for the first bytes on stdout."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], PATIENCE)[0], "the command said nothing"
    return os.read(process.stdout.fileno(), 4096)


@pytest.fixture
def two(tmp_path: Path) -> Callable[[Llama, Llama], dict[str, str]]:
    """The settings of a folder with two servers, `one` and `two`; the keys are in the environment."""

    def two(one: Llama, two: Llama) -> dict[str, str]:
        tables = [
            f'[providers.{name}]\nplugin = "openai-compatible"\nbase_url = "{server.url}"\n'
            for name, server in (("one", one), ("two", two))
        ]
        (tmp_path / "pointsman.toml").write_text("\n".join(tables))
        return {**os.environ, "POINTSMAN_ONE_API_KEY": one.key, "POINTSMAN_TWO_API_KEY": two.key}

    return two


# Whole answers ------------------------------------------------------------------------------------------------------


def test_json_is_a_reply_whose_numbers_are_the_servers(llama: Start, run: Run) -> None:
    server = llama("It prints a line. 日本 🎉")
    done = run(*CHAT, "--json", stdin=b"explain this\n", env=environment(server))
    assert (done.returncode, done.stderr) == (0, b"")
    reply = valid("chat.json", json.loads(done.stdout))
    assert reply["text"] == "It prints a line. 日本 🎉"
    assert (reply["target"], reply["finish_reason"], reply["error"]) == ("openai-compatible/toy", "stop", None)
    usage = reply["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == server.count("explain this")
    assert usage["estimated"] is False
    timings = reply["timings"]
    assert 0 < timings["ttft"] <= timings["e2e"]
    assert timings["ttft"] + timings["tpot"] * (usage["output_tokens"] - 1) <= timings["e2e"] + 1e-3
    [attempt] = reply["attempts"]
    assert (attempt["attempt"], attempt["outcome"], attempt["error"]) == (1, "finished", None)
    assert (attempt["target"], attempt["usage"]) == (reply["target"], usage)
    assert attempt["started"] <= attempt["first_output"] <= attempt["ended"]
    assert reply["cost"] == {"usd": None, "complete": False}  # Nobody knows what this server costs.
    assert reply["decision"]["order"] == [reply["target"]]


def test_json_events_tell_the_same_piece_by_piece(llama: Start, run: Run) -> None:
    server = llama("one two three")
    done = run(*CHAT, "--json-events", "hi", env=environment(server))
    assert (done.returncode, done.stderr) == (0, b"")
    events = [valid("chat-event.json", json.loads(line)) for line in done.stdout.splitlines()]
    assert [event["type"] for event in events] == ["started", *["text"] * (len(events) - 2), "finished"]
    assert "".join(event.get("text", "") for event in events) == "one two three"
    assert (events[-1]["usage"]["input_tokens"], events[-1]["usage"]["output_tokens"]) == server.count("hi")


@pytest.mark.parametrize("text", ["hello there", "日本語のテキスト 👩‍👩‍👧‍👦!", "two\n\nparts\n"])
def test_plain_text_is_the_models_to_the_byte(llama: Start, run: Run, text: str) -> None:
    done = run(*CHAT, "Say it.", env=environment(llama(text), PYTHONIOENCODING="utf-8"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == (text if text.endswith("\n") else f"{text}\n")


def test_reasoning_is_not_mixed_into_the_answer(llama: Start, run: Run) -> None:
    env = environment(llama("<think>\nlet me see\n</think>\n\nforty-two"))
    assert run(*CHAT, "hi", env=env).stdout.strip() == b"forty-two"
    reply = valid("chat.json", json.loads(run(*CHAT, "--json", "hi", env=env).stdout))
    assert (reply["text"].strip(), reply["reasoning"].strip()) == ("forty-two", "let me see")


def test_answer_that_is_cut_off_says_so(llama: Start, run: Run) -> None:
    done = run(*CHAT, "--max-tokens", "2", "hi", env=environment(llama("one two three")))
    assert (done.returncode, done.stdout) == (0, b"one two\n")
    assert b"cut off" in done.stderr


def test_providers_check_says_that_it_is_up(llama: Start, run: Run) -> None:
    server = llama("x")
    done = run("providers", "check", "openai-compatible", "--json", env=environment(server))
    [row] = valid("providers.json", json.loads(done.stdout))["providers"]
    assert (done.returncode, row["health"]["state"]) == (0, "up")
    server.kill()
    done = run("providers", "check", "openai-compatible", "--json", env=environment(server))
    [row] = valid("providers.json", json.loads(done.stdout))["providers"]
    assert (done.returncode, row["health"]["state"]) == (3, "down")


def test_providers_check_tells_a_wrong_key_from_a_server_that_is_down(llama: Start, run: Run) -> None:
    env = environment(llama("x"), POINTSMAN_OPENAI_COMPATIBLE_API_KEY="sk-wrong-0123456789")
    done = run("providers", "check", "openai-compatible", "--json", env=env)
    [row] = valid("providers.json", json.loads(done.stdout))["providers"]
    assert (done.returncode, row["health"]["state"]) == (4, "down")
    assert b"sk-wrong" not in done.stdout + done.stderr


def test_models_are_those_that_the_server_lists(llama: Start, run: Run) -> None:
    env = environment(llama("x"))
    done = run("models", "openai-compatible", "--json", env=env)
    listed = valid("models.json", json.loads(done.stdout))
    assert (done.returncode, listed["failed"]) == (0, [])
    assert [(model["target"], model["origin"]) for model in listed["models"]] == [("openai-compatible/toy", "live")]
    wrong = {**env, "POINTSMAN_OPENAI_COMPATIBLE_API_KEY": "sk-wrong-0123456789"}
    done = run("models", "openai-compatible", "--json", env=wrong)
    [failed] = valid("models.json", json.loads(done.stdout))["failed"]
    assert (done.returncode, failed["message"]) == (4, "Invalid API Key")


def test_schema_is_enforced_on_a_model_that_would_not_follow_it(llama: Start, run: Run) -> None:
    schema = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    schema["additionalProperties"] = False
    done = run(*CHAT, "--schema", json.dumps(schema), "--temperature", "0", "hi", env=environment(llama("no JSON")))
    assert (done.returncode, done.stderr) == (0, b"")
    jsonschema.validate(json.loads(done.stdout), schema)


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["sk-wrong-0123456789", ""])
def test_wrong_key_is_exit_code_4(llama: Start, run: Run, key: str) -> None:
    done = run(*CHAT, "hi", env=environment(llama("x"), POINTSMAN_OPENAI_COMPATIBLE_API_KEY=key))
    assert (done.returncode, done.stdout) == (4, b"")
    assert b"Invalid API Key" in done.stderr
    assert b"sk-wrong" not in done.stderr


def test_prompt_over_the_context_is_a_refused_request(llama: Start, run: Run) -> None:
    server = llama("x")
    done = run(*CHAT, stdin=b"alpha beta " * 4000, env=environment(server))
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"exceeds the available context size" in done.stderr
    assert b"a shorter prompt, or a model with a larger context" in done.stderr
    done = run(*CHAT, "--json", stdin=b"alpha beta " * 4000, env=environment(server))
    error = valid("chat.json", json.loads(done.stdout))["error"]
    assert (done.returncode, error["type"], error["status"], error["exit_code"]) == (1, "ContextOverflow", 400, 1)


# Broken in the middle -----------------------------------------------------------------------------------------------


def test_server_killed_in_mid_stream_leaves_what_had_arrived(llama: Start, begin: Begin, count: str) -> None:
    server = llama(count, slow=True)
    process = begin(*CHAT, "Count.", env=environment(server))
    shown = first_output(process)
    server.kill()
    rest, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    text = (shown + rest).decode()
    assert text.endswith("\n")
    assert count.startswith(text.removesuffix("\n"))
    assert 1 < len(text) < len(count)
    assert stderr.startswith(b"Error: openai-compatible/toy: ")
    assert b"incomplete" in stderr
    assert b"Traceback" not in stderr


def test_server_killed_before_a_json_answer_was_whole_is_an_error_in_it(llama: Start, begin: Begin, count: str) -> None:
    server = llama(count, slow=True)
    process = begin(*CHAT, "--json", "--on-break", "raise", "Count.", env=environment(server))
    server.until_busy()
    server.kill()
    stdout, _ = process.communicate(timeout=PATIENCE)
    reply = valid("chat.json", json.loads(stdout))
    assert (process.returncode, reply["error"]["exit_code"], reply["finish_reason"]) == (3, 3, None)
    assert count.startswith(reply["text"])
    assert len(reply["text"]) < len(count)


def test_server_stopped_in_mid_stream_is_a_timeout(llama: Start, begin: Begin, count: str) -> None:
    server = llama(count, slow=True)
    process = begin(*CHAT, "Count.", env=environment(server, POINTSMAN_ENGINE_STALL="1"))
    shown = first_output(process)
    server.process.send_signal(signal.SIGSTOP)
    rest, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 6
    assert count.startswith((shown + rest).decode().removesuffix("\n"))
    assert stderr.startswith(b"Error: openai-compatible/toy: ")


@pytest.mark.parametrize("options", [[], ["--json-events"]])
def test_ctrl_c_in_mid_stream_frees_the_slot(llama: Start, begin: Begin, count: str, options: list[str]) -> None:
    server = llama(count, slow=True)
    process = begin(*CHAT, *options, "Count.", env=environment(server))
    first_output(process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stderr) == (130, b"Interrupted.\n")
    assert server.left_off()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_command_that_is_killed_frees_the_slot(llama: Start, begin: Begin, count: str, how: signal.Signals) -> None:
    server = llama(count, slow=True)
    process = begin(*CHAT, "Count.", env=environment(server))
    first_output(process)
    process.send_signal(how)
    process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert server.left_off()


def test_reader_that_has_enough_frees_the_slot(llama: Start, begin: Begin, count: str) -> None:
    server = llama(count, slow=True)
    process = begin(*CHAT, "Count.", env=environment(server))
    first_output(process)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(PATIENCE) == 1
    assert server.left_off()


# Two servers --------------------------------------------------------------------------------------------------------

ORDER = ("-m", "one/toy", "-m", "two/toy")


def test_server_that_is_gone_is_passed_over(llama: Start, run: Run, two: Any) -> None:
    first, second = llama("x"), llama("still here")
    env = two(first, second)
    first.kill()
    done = run("chat", *ORDER, "hi", env=env)
    assert (done.returncode, done.stdout) == (0, b"still here\n")
    assert b"one/toy: cannot connect to" in done.stderr
    assert "→ two/toy answers".encode() in done.stderr
    done = run("chat", *ORDER, "--json", "hi", env=env)
    reply = valid("chat.json", json.loads(done.stdout))
    assert (done.returncode, reply["target"], reply["error"]) == (0, "two/toy", None)
    assert {attempt["outcome"] for attempt in reply["attempts"][:-1]} == {"failed"}
    assert (reply["usage"]["input_tokens"], reply["usage"]["output_tokens"]) == second.count("hi")


def test_server_killed_in_mid_stream_is_replaced_and_its_text_withdrawn(
    llama: Start, begin: Begin, two: Any, count: str
) -> None:
    first, second = llama(count, slow=True), llama("a whole answer")
    process = begin("chat", *ORDER, "--on-break", "restart", "--json-events", "Count.", env=two(first, second))
    shown = first_output(process)
    first.kill()
    rest, _ = process.communicate(timeout=PATIENCE)
    events = [valid("chat-event.json", json.loads(line)) for line in (shown + rest).splitlines()]
    [withdrawn] = [place for place, event in enumerate(events) if event["type"] == "retracted"]
    kept = events[withdrawn + 1 :]
    assert process.returncode == 0
    assert "".join(event["text"] for event in kept if event["type"] == "text") == "a whole answer"
    assert count.startswith("".join(event["text"] for event in events[:withdrawn] if event["type"] == "text"))
    assert kept[-1]["type"] == "finished"


def test_nobody_left_is_exit_code_3(llama: Start, run: Run, two: Any) -> None:
    first, second = llama("x"), llama("x")
    env = two(first, second)
    first.kill()
    second.kill()
    done = run("chat", *ORDER, "hi", env=env)
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"one/toy" in done.stderr
    assert b"two/toy" in done.stderr
