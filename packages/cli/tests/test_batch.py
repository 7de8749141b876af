"""A file of questions: each line is answered once, whatever is wrong with it, with the disk, or with who answers."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from pointsman import LedgerQuery, open_ledger
from pointsman.config import Settings, ledger_url
from pointsman_cli.batch import disk, sending
from pointsman_cli.batch.log import JOURNAL
from pointsman_testing import Answer, Fault, Vendor

Invoke = Callable[..., Result]
pytestmark = pytest.mark.usefixtures("place")
OUT = "in.results.jsonl"


@pytest.fixture(autouse=True)
def _own_ledger(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", f"sqlite:{place}/books/ledger.db")


def write(*lines: object, name: str = "in.jsonl") -> None:
    Path(name).write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))


def questions(count: int) -> None:
    write(*({"id": f"q{number}", "prompt": f"question {number}"} for number in range(1, count + 1)))


def results(name: str = OUT) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def prompts(vendor: Vendor) -> list[str]:
    return [request.prompt for request in vendor.requests if request.method == "POST"]


@pytest.fixture
def prices(place: Path) -> None:
    """A million tokens read or written cost a dollar each."""
    with (place / "pointsman.toml").open("a") as file:
        file.write('\n[prices]\n"a/m1" = { input = 1, output = 1 }\n')


# What is asked, and what comes of it ----------------------------------------------------------------------------------


def test_each_line_has_one_result_in_the_order_of_the_input(
    invoke: Invoke, a: Vendor, valid: Callable[[str, Any], None]
) -> None:
    write({"prompt": "one", "id": "x"}, "", {"prompt": "two"}, "  ", {"prompt": "three", "id": 3})
    a.script(Answer("1"), Answer("2"), Answer("3"))
    done = invoke("batch", "in.jsonl", "-c", "1", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    said = results()
    assert [(one["line"], one["id"], one["reply"]["text"], one["sent"]) for one in said] == [
        (1, "x", "1", 1),
        (3, None, "2", 1),
        (5, 3, "3", 1),
    ]
    for one in said:
        valid("batch-result.json", one)
    summary = json.loads(done.stdout)
    valid("batch.json", summary)
    assert (summary["lines"], summary["answered"], summary["open"], summary["sent"]) == (3, 3, 0, 3)


def test_a_line_says_what_a_call_can_be_told_and_the_command_says_the_rest(
    invoke: Invoke, a: Vendor, b: Vendor
) -> None:
    write(
        {"prompt": "hi", "model": "b/m1", "system": "Be brief.", "temperature": 0.5, "max_tokens": 3, "stop": ["END"]},
        {"messages": [{"role": "system", "content": "Own."}, {"role": "user", "content": "hi"}], "tags": {"k": "v"}},
        {"prompt": "hi"},
    )
    done = invoke("batch", "in.jsonl", "-c", "1", "-m", "a/m1", "-s", "All.", "--max-tokens", "9", "--tag", "t=1")
    assert done.exit_code == 0, done.output
    (first,), (second, third) = ([r.json for r in vendor.requests] for vendor in (b, a))
    assert first["messages"][0]["content"] == "Be brief."
    assert (first["temperature"], first["stop"]) == (0.5, ["END"])
    assert [one["messages"][0]["content"] for one in (second, third)] == ["Own.", "All."]
    assert [one.get("max_tokens", one.get("max_completion_tokens")) for one in (first, second)] == [3, 9]
    assert tags_of_calls() == [{"t": "1"}, {"t": "1", "k": "v"}, {"t": "1"}]


def tags_of_calls() -> list[dict[str, str]]:
    url = ledger_url(Settings.discover())
    assert url is not None
    with open_ledger(url) as ledger:
        return [row["tags"] for row in ledger.rows("calls", LedgerQuery())]


def test_lines_of_openai_s_batch_form_are_taken_as_they_are(invoke: Invoke, a: Vendor) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "See"}, picture]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "a cat"},
    ]
    body = {"messages": messages, "tools": [tool], "max_completion_tokens": 7, "top_logprobs": None, "user": "ada"}
    write({"custom_id": "c1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "a/m1", **body}})
    Path("pointsman.toml").write_text(
        Path("pointsman.toml").read_text().replace("base_url", 'capabilities = ["vision", "tools"]\nbase_url')
    )
    done = invoke("batch", "in.jsonl")
    assert done.exit_code == 0, done.output
    sent = a.requests[-1].json
    assert [one["role"] for one in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert (sent["messages"][1]["content"][1], sent["user"]) == (picture, "ada")
    assert sent["tools"][0]["function"]["name"] == "look"
    assert results()[0]["id"] == "c1"


WRONG = [
    ('{"prompt": "cut', "it is not JSON"),
    ('{"prompt": NaN}', "NaN is no JSON"),
    ("[" * 100_000, "it is not JSON"),
    ("Why is the sky blue?", "of lines of text, jq -Rc '{prompt: .}' FILE makes such"),
    ('{"prompt": ', "jq -c . FILE writes them so"),
    ('["x"]', 'it is JSON, but no object: ["x"]\n'),
    ("[1]", "no object"),
    ({"promt": "x"}, "no key 'promt'; did you mean 'prompt'?"),
    ({"id": 1}, "neither a prompt nor messages"),
    ({"prompt": "x", "messages": []}, "both prompt and messages"),
    ({"prompt": " "}, "the prompt is empty"),
    ({"prompt": 3}, "prompt is no text"),
    ({"prompt": "\ud800"}, "half of a surrogate pair"),
    ({"prompt": "x", "task": "\ud800"}, "half of a surrogate pair"),
    ({"prompt": "x", "id": {}}, "id is a text or a whole number"),
    ({"prompt": "x", "model": "gpt-4o"}, "is no target: write provider/model"),
    ({"prompt": "x", "model": ["a/m1", "a/m1"]}, "somebody twice"),
    ({"prompt": "x", "model": "aa/m1"}, "no provider is called 'aa'"),
    ({"prompt": "x", "temperature": "hot"}, "temperature is a number"),
    ({"prompt": "x", "tags": {"a": 1}}, "tags are texts"),
    ({"prompt": "x", "tags": 1}, "tags is no object"),
    ({"prompt": "x", "response_schema": {"type": "strin"}}, "no JSON Schema that can be used"),
    ({"prompt": "x", "tools": [{"name": "f"}]}, "a tool is no function"),
    ({"messages": "x"}, "no list of messages"),
    ({"messages": [{"role": "owner", "content": "x"}]}, "the role 'owner'"),
    ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "a part of the kind 'audio'"),
    ({"messages": [{"role": "user", "content": "x", "name": "ada"}]}, "no key 'name'"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "answers no tool call"),
    ({"custom_id": "x", "body": {"messages": [{"role": "user", "content": "x"}], "n": 2}}, "several answers"),
    ({"custom_id": "x", "url": "/v1/embeddings", "body": {}}, "only POST /v1/chat/completions"),
    ({"custom_id": "x"}, "it has no body"),
]


@pytest.mark.parametrize(("line", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_line_is_told_before_anything_is_sent(invoke: Invoke, a: Vendor, line: object, said: str) -> None:
    write({"prompt": "right"}, line)
    done = invoke("batch", "in.jsonl")
    assert done.exit_code == 2
    assert "1 line of in.jsonl cannot be sent, so nothing was:" in done.stderr
    assert said in done.stderr
    assert "line 2: " in done.stderr
    assert "  next:  " in done.stderr
    assert not a.requests
    assert not Path(OUT).exists()


def test_a_line_that_is_not_utf_8_is_told_with_the_byte(invoke: Invoke) -> None:
    Path("in.jsonl").write_bytes(b'{"prompt": "a"}\n{"prompt": "\xff"}\n')
    assert "line 2: it is not UTF-8 (byte 13 of the line)" in invoke("batch", "in.jsonl").stderr


def test_an_id_names_one_line(invoke: Invoke, a: Vendor) -> None:
    write(
        {"prompt": "x", "id": "1"}, {"prompt": "x", "id": 1}, {"prompt": "x", "id": "1"}, "{", {"prompt": "x", "id": 1}
    )
    done = invoke("batch", "in.jsonl")
    assert 'line 3: its id "1" is that of line 1' in done.stderr
    assert "line 5: its id 1 is that of line 2" in done.stderr
    assert done.stderr.index("line 3:") < done.stderr.index("line 4:")
    write({"prompt": "x", "id": "1"}, {"promt": "x", "id": "1"})
    assert "1 line of in.jsonl cannot be sent" in invoke("batch", "in.jsonl").stderr, "it is wrong in two ways"
    assert not a.requests


def test_invalid_lines_can_be_left_out_and_have_their_error(
    invoke: Invoke, a: Vendor, valid: Callable[[str, Any], None]
) -> None:
    write({"prompt": "right"}, {"id": "bad", "promt": "x"}, {"prompt": "right"})
    done = invoke("batch", "in.jsonl", "--skip-invalid", "--json")
    assert (done.exit_code, json.loads(done.stdout)["invalid"]) == (1, 1)
    said = results()
    assert [(one["id"], one["reply"] is None, one["sent"]) for one in said] == [
        (None, False, 1),
        ("bad", True, 0),
        (None, False, 1),
    ]
    valid("batch-result.json", said[1])
    assert said[1]["error"]["type"] == "InvalidRequest"
    assert len(a.requests) == 2
    assert invoke("batch", "in.jsonl", "--skip-invalid", "--retry-errors").exit_code == 1
    assert (len(a.requests), results()) == (2, said), "what cannot be sent is not tried again"


def test_an_answer_that_does_not_fit_its_schema_is_kept_with_an_error(invoke: Invoke, a: Vendor) -> None:
    write({"prompt": "x", "model": "a/m1", "response_schema": {"type": "object"}})
    Path("pointsman.toml").write_text(
        Path("pointsman.toml").read_text().replace("base_url", 'capabilities = ["schema"]\nbase_url')
    )
    a.script(Answer("[1]"))
    assert invoke("batch", "in.jsonl").exit_code == 1
    (said,) = results()
    assert (said["reply"]["text"], said["error"]["type"]) == ("[1]", "Misfit")


def test_stdin_needs_a_name_for_its_results(invoke: Invoke, a: Vendor) -> None:
    assert "add --output FILE" in invoke("batch", "-", stdin='{"prompt": "x"}').stderr
    for _ in range(2):
        assert invoke("batch", "-", "-o", "out.jsonl", stdin='\ufeff{"prompt": "x"}').exit_code == 0
    assert len(results("out.jsonl")) == len(a.requests) == 1
    assert sorted(os.listdir()) == ["books", "out.jsonl", "out.jsonl.journal", "pointsman.toml"]


def test_stdin_that_cannot_be_kept_is_told(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**how: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pointsman_cli.batch.source.TemporaryFile", full)
    done = invoke("batch", "-", "-o", "out.jsonl", stdin='{"prompt": "x"}')
    assert done.exit_code == 1
    assert "stdin cannot be kept in " in done.stderr
    assert "No space left on device" in done.stderr


def test_stdin_that_is_closed_is_told(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman_cli.batch.source.sys", SimpleNamespace(stdin=None))
    done = invoke("batch", "-", "-o", "out.jsonl")
    assert (done.exit_code, "stdin is closed" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["none.jsonl"], "none.jsonl is not there"),
        (["~nobody-is-called-so/in.jsonl", "-o", "out"], "~nobody-is-called-so/in.jsonl is not there"),
        (["in.jsonl", "-o", "~nobody-is-called-so/out"], "there is no folder"),
        (["."], "is a folder"),
        (["in.jsonl", "-o", "no/such/out"], "there is no folder"),
        (["in.jsonl", "-o", "/dev/null"], "that is no file"),
        (["in.jsonl", "--max-cost", "much"], "no amount of USD"),
        (["in.jsonl", "--max-cost", "0"], "no amount of USD"),
        (["in.jsonl", "-m", "gpt"], "is no target"),
        (["in.jsonl", "--on", "a"], "a has no machines to put to work"),
    ],
)
def test_wrong_usage(invoke: Invoke, args: list[str], said: str) -> None:
    questions(1)
    done = invoke("batch", *args)
    assert done.exit_code == 2
    assert said in done.stderr
    assert sorted(os.listdir()) == ["in.jsonl", "pointsman.toml"]


@pytest.mark.parametrize(
    ("file", "output"), [("in.jsonl", "in.jsonl"), ("in.jsonl", "link"), ("out.journal", "out"), ("link", "./in.jsonl")]
)
def test_the_input_is_not_written_over(invoke: Invoke, a: Vendor, file: str, output: str) -> None:
    questions(1)
    os.link("in.jsonl", "out.journal")
    os.symlink("in.jsonl", "link")
    before = Path("in.jsonl").read_text(), sorted(os.listdir())
    done = invoke("batch", file, "-o", output, "--restart")
    assert (done.exit_code, Path("in.jsonl").read_text(), sorted(os.listdir())) == (2, *before)
    assert "is the file of questions" in done.stderr
    assert not a.requests


def test_a_file_without_lines_is_called_so(invoke: Invoke, a: Vendor) -> None:
    write("", " ")
    done = invoke("batch", "in.jsonl")
    assert (done.exit_code, done.stderr) == (0, "Nothing was sent: in.jsonl has no lines.\n")


# Going on -------------------------------------------------------------------------------------------------------------


def test_the_same_command_again_sends_nothing(invoke: Invoke, a: Vendor) -> None:
    questions(3)
    assert invoke("batch", "in.jsonl").exit_code == 0
    before = Path(OUT).read_bytes()
    done = invoke("batch", "in.jsonl")
    assert (done.exit_code, len(a.requests), Path(OUT).read_bytes()) == (0, 3, before)
    assert "Nothing was sent: all 3 lines of in.jsonl have a result" in done.stderr


@pytest.mark.parametrize("change", ["input", "options"])
def test_what_was_begun_otherwise_is_not_gone_on_with(invoke: Invoke, a: Vendor, change: str) -> None:
    questions(2)
    assert invoke("batch", "in.jsonl", "-m", "a/m1").exit_code == 0
    if change == "input":
        write({"prompt": "other"})
    again = ["batch", "in.jsonl", "-m", "a/m1" if change == "input" else "b/m1"]
    done = invoke(*again)
    assert done.exit_code == 1
    assert ("it has changed since" if change == "input" else 'model was "a/m1"') in done.stderr
    before = Path(OUT).read_bytes()
    assert invoke(*again, "--restart").exit_code == 0
    assert Path(f"{OUT}.1").read_bytes() == before, "what was there is kept"


def test_a_foreign_file_is_not_taken_for_results(invoke: Invoke, a: Vendor) -> None:
    questions(1)
    Path(OUT).write_text("mine\n")
    assert invoke("batch", "in.jsonl").exit_code == 1
    assert Path(OUT).read_text() == "mine\n"
    for mine in ("mine, too\n", "mine"):
        Path(f"{OUT}{JOURNAL}").write_text(mine)
        for args in ([], ["--restart"]):
            done = invoke("batch", "in.jsonl", *args)
            assert "is not the journal of a batch, and would be written over" in done.stderr
            assert (Path(OUT).read_text(), Path(f"{OUT}{JOURNAL}").read_text()) == ("mine\n", mine)
    Path(f"{OUT}{JOURNAL}").write_text('{"pointsman": "batch", "version": 99}\n')
    assert "is the journal of another version" in invoke("batch", "in.jsonl").stderr
    assert not a.requests


def test_what_was_in_flight_at_a_crash_is_sent_again_and_says_so(invoke: Invoke, a: Vendor, prices: None) -> None:
    questions(3)
    assert invoke("batch", "in.jsonl", "-c", "1").exit_code == 0
    lines = Path(OUT).read_bytes().splitlines(keepends=True)
    Path(OUT).write_bytes(lines[2] + lines[0][:40])  # The second was in flight; of the first the result is torn.
    with Path(f"{OUT}{JOURNAL}").open("a") as journal:
        journal.write('{"line": 1, "sent": 1}\n{"line": 2, "sent": 1}\n{"line": 3, "se')
    done = invoke("batch", "in.jsonl", "--json")
    assert done.exit_code == 0, done.output
    said = results()
    assert [(one["line"], one["sent"], one["cost"]["complete"]) for one in said] == [
        (1, 2, False),
        (2, 2, False),
        (3, 1, True),
    ]
    assert len(a.requests) == 5
    assert [tags for tags in tags_of_calls() if tags] == [{"batch_sent": "2"}] * 2
    assert json.loads(done.stdout)["cost"]["complete"] is False


def test_errors_are_sent_again_if_that_is_wished(invoke: Invoke, a: Vendor, prices: None) -> None:
    questions(3)
    a.script(Answer("one"), Fault(400), Answer("three"))
    args = ["batch", "in.jsonl", "-c", "1", "-m", "a/m1"]
    assert invoke(*args).exit_code == 1
    assert [one["error"] is None for one in results()] == [True, False, True]
    assert invoke(*args).exit_code == 1
    assert len(a.requests) == 3
    assert invoke(*args, "--retry-errors").exit_code == 0
    said = results()
    assert [(one["line"], one["error"], one["sent"]) for one in said] == [(1, None, 1), (2, None, 2), (3, None, 1)]
    assert said[1]["cost"]["complete"], "what was refused has cost nothing"


def test_two_processes_do_not_write_one_output(invoke: Invoke, place: Path) -> None:
    questions(1)
    holder = disk.DiskFile(place / f"{OUT}{JOURNAL}")
    assert holder.hold()
    done = invoke("batch", "in.jsonl")
    holder.close()
    assert done.exit_code == 1
    assert "is being written by another pointsman batch" in done.stderr
    assert invoke("batch", "in.jsonl").exit_code == 0


# Stopping -------------------------------------------------------------------------------------------------------------


def test_nothing_new_is_sent_once_it_has_cost_enough(invoke: Invoke, a: Vendor, prices: None) -> None:
    questions(10)
    a.script(*[Answer("word " * 8)] * 10)
    args = ["batch", "in.jsonl", "-c", "1", "-m", "a/m1"]
    done = invoke(*args, "--max-cost", "0.000025", "--json")
    summary = json.loads(done.stdout)
    assert (done.exit_code, summary["stopped"]) == (5, "cost")
    assert summary["answered"] == len(a.requests) == summary["sent"] < 10
    assert float(summary["cost"]["usd"]) >= 0.000025
    sent = len(a.requests)
    assert invoke(*args, "--max-cost", "0.000025").exit_code == 5
    assert len(a.requests) == sent, "earlier runs are counted"
    assert invoke(*args).exit_code == 0
    assert len(a.requests) == 10


def test_costs_that_are_not_known_are_told(invoke: Invoke, a: Vendor) -> None:
    questions(2)
    done = invoke("batch", "in.jsonl", "--max-cost", "1")
    assert done.exit_code == 0
    assert "What 2 lines cost is not known" in done.stderr


LIMITED = {"code": "rate_limit_exceeded", "message": "slow down"}
CUT = Answer("word " * 50).cut(after=30)


@pytest.mark.parametrize(
    "script",
    [[Answer("word " * 50, error=LIMITED)] * 3, [CUT, Fault(401)], [CUT, *[Fault(429)] * 3]],
    ids=["limited within the answer", "cut, then refused", "cut, then limited"],
)
def test_what_was_begun_and_broke_is_paid_for_whatever_ended_the_line(
    invoke: Invoke, a: Vendor, prices: None, script: list[Any]
) -> None:
    write({"prompt": "x", "deadline": 3})
    a.script(*script)
    done = invoke("batch", "in.jsonl", "-m", "a/m1", "--json")
    (said,) = results()
    assert (said["sent"], said["error"] is None, said["cost"]["complete"]) == (1, False, False)
    cost = json.loads(done.stdout)["cost"]
    assert cost == said["cost"] == json.loads(invoke("costs", "--json").stdout)["total"]["cost"]
    assert float(cost["usd"]) > 0


def test_a_wrong_key_stops_it_before_it_was_tried_with_all_lines(
    invoke: Invoke, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions(30)
    with monkeypatch.context() as patch:
        patch.setenv("POINTSMAN_A_API_KEY", "sk-another-0123456789")
        done = invoke("batch", "in.jsonl", "-c", "2", "-m", "a/m1")
    assert done.exit_code == 4
    assert "the key from environment POINTSMAN_A_API_KEY is wrong" in done.stderr
    assert "0 answered, 0 errors, 30 open" in done.stderr
    assert len(a.requests) < 8
    assert invoke("batch", "in.jsonl", "-m", "a/m1").exit_code == 0
    assert {one["sent"] for one in results()} == {1}, "nobody had begun to answer"


def test_a_provider_that_is_not_ready_is_told_before_anything_is_sent(
    invoke: Invoke, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_B_BASE_URL", "nonsense")
    write({"prompt": "x", "model": "a/m1"}, {"prompt": "x", "model": "b/m1"})
    done = invoke("batch", "in.jsonl")
    assert done.exit_code == 2
    assert "base_url" in done.stderr
    assert not a.requests


def test_a_rate_limit_is_waited_for(invoke: Invoke, a: Vendor) -> None:
    questions(4)
    a.script(*[Fault(429, headers={"retry-after": "0.1"})] * 6)
    assert invoke("batch", "in.jsonl", "-c", "2", "-m", "a/m1").exit_code == 0
    assert [(one["error"], one["sent"]) for one in results()] == [(None, 1)] * 4


def test_a_stream_that_breaks_is_started_anew(invoke: Invoke, a: Vendor) -> None:
    questions(1)
    a.script(Answer("half of it").cut(after=3), Answer("whole"))
    assert invoke("batch", "in.jsonl", "-m", "a/m1").exit_code == 0
    (said,) = results()
    assert (said["reply"]["text"], len(said["reply"]["attempts"]), said["sent"]) == ("whole", 2, 1)


def test_one_that_answers_no_line_in_a_row_stops_it(invoke: Invoke, a: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman_cli.batch.stopping.OUTAGE", 4)
    questions(30)
    a.script(*[Fault(404, "no such model")] * 30)
    done = invoke("batch", "in.jsonl", "-c", "1", "-m", "a/m1")
    assert done.exit_code == 3
    assert "4 lines in a row met errors like this one" in done.stderr
    assert len(a.requests) == 4


def test_a_full_disk_stops_it_and_loses_nothing(invoke: Invoke, a: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    questions(12)
    appended, real = 0, disk.DiskFile.append

    def full(self: disk.DiskFile, data: bytes) -> None:
        nonlocal appended
        appended += len(data)
        if appended > 2_500:
            os.write(self._handle, data[: len(data) // 2])  # pyright: ignore[reportPrivateUsage]
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(disk.DiskFile, "append", full)
        done = invoke("batch", "in.jsonl", "-c", "2")
    assert done.exit_code == 1
    assert f"{OUT} cannot be written: No space left on device" in done.stderr
    kept = results()
    assert len(a.requests) < 12
    assert invoke("batch", "in.jsonl").exit_code == 0
    said = results()
    assert [one["line"] for one in said] == list(range(1, 13))
    assert [one for one in said if one in kept] == sorted(kept, key=lambda one: one["line"])
    asked = prompts(a)
    assert [one["sent"] for one in said] == [asked.count(f"question {line}") for line in range(1, 13)]


def test_an_input_that_changes_while_it_is_read_stops_it(
    invoke: Invoke, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions(5)
    real = sending.Sender.run

    async def touched(self: sending.Sender, at_once: int) -> None:
        with Path("in.jsonl").open("a") as file:
            file.write("{}\n")
        await real(self, at_once)

    monkeypatch.setattr(sending.Sender, "run", touched)
    done = invoke("batch", "in.jsonl")
    assert done.exit_code == 1
    assert "in.jsonl has changed while it was read" in done.stderr
    assert not a.requests


def test_what_is_read_meanwhile_does_not_move_what_is_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --retry-errors one thread looks up what a line had come to, while another writes what others come to."""
    file, real = disk.DiskFile(place / OUT), os.lseek
    lines = [b"short\n", bytes(100_000) + b"\n", b"new\n", b"newer\n"]
    file.append(lines[0] + lines[1])
    readers = list[threading.Thread]()

    def moved(handle: int, offset: int, how: int) -> int:
        found = real(handle, offset, how)
        readers.append(threading.Thread(target=file.at, args=(0,)))
        readers[-1].start()
        readers[-1].join(0.05)  # It gets through, unless it has to wait for its turn.
        return found

    with monkeypatch.context() as patch:
        patch.setattr(os, "lseek", moved)
        file.append(lines[2])
        file.append(lines[3])
    for reader in readers:
        reader.join()
    assert [data for _, data in file.lines()] == lines
    file.close()


def test_a_rate_limit_that_does_not_pass_tells_how_to_keep_it(invoke: Invoke, a: Vendor) -> None:
    write(*[{"prompt": "x", "max_wait": 0, "model": "a/m1"}] * 4)
    a.script(*[Fault(429, headers={"retry-after": "700"})] * 9)
    done = invoke("batch", "in.jsonl", "-c", "1")
    assert done.exit_code == 5
    assert "goes on, later or with fewer at once (--concurrency):\nError: a/m1" in done.stderr


def begun(count: int, *args: str) -> subprocess.Popen[bytes]:
    """A process that has at least so many results."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "pointsman_cli", "batch", "in.jsonl", "-c", "4", *args],
        stderr=subprocess.PIPE,
    )
    for _ in range(10_000):  # A minute, for a machine that has much else to do.
        if Path(OUT).exists() and Path(OUT).read_bytes().count(b"\n") >= count:
            return process
        if process.poll() is not None:
            break
        time.sleep(0.006)
    process.kill()
    raise AssertionError(f"it does not begin: {process.communicate()}")


def test_a_signal_lets_end_what_is_in_flight(invoke: Invoke, a: Vendor) -> None:
    """SIGTERM like SIGINT, which the next test sends."""
    questions(40)
    a.script(*[Answer("ok", wait=0.05)] * 40)
    process = begun(3)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate()
    assert process.returncode == 130
    assert b"Interrupted. The same command goes on." in told
    assert results()
    assert invoke("batch", "in.jsonl").exit_code == 0
    assert [(one["line"], one["sent"]) for one in results()] == [(line, 1) for line in range(1, 41)]


def test_another_signal_ends_it_at_once(invoke: Invoke, a: Vendor) -> None:
    questions(5)
    a.script(Answer("ok"), *[Answer("late", wait=30.0)] * 4)
    process = begun(1)
    while len(a.requests) < 5:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert b"Ctrl-C again" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert invoke("batch", "in.jsonl").exit_code == 0
    assert {one["sent"] for one in results()} == {1, 2}


def test_a_run_that_is_killed_again_and_again_answers_each_line_once(invoke: Invoke, a: Vendor) -> None:
    """The large form of it: benchmarks/batch_killed.py."""
    questions(60)
    for count in (8, 25, 45):
        process = begun(count)
        process.kill()
        process.communicate()
    assert invoke("batch", "in.jsonl").exit_code == 0
    said = results()
    assert [one["line"] for one in said] == list(range(1, 61))
    times = {f"question {one['line']}": one["sent"] for one in said}
    asked = prompts(a)
    assert all(1 <= asked.count(prompt) <= sent for prompt, sent in times.items())
    assert sum(times.values()) <= 60 + 3 * 4, "no more than what was in flight"


# Before anything is sent ----------------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_sends_nothing(
    invoke: Invoke, a: Vendor, prices: None, valid: Callable[[str, Any], None]
) -> None:
    questions(4)
    args = ["batch", "in.jsonl", "-m", "a/m1", "--max-tokens", "100"]
    done = invoke(*args, "--dry-run", "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    valid("batch.json", said)
    assert said["estimate"]["lines"] == 4
    assert said["estimate"]["most_output_tokens"] == 400
    assert float(said["estimate"]["most_usd"]) > 400 / 1e6
    assert not a.requests
    assert not Path(OUT).exists()
    assert invoke(*args).exit_code == 0
    assert "4 lines, 0 of them to send" in invoke(*args, "--dry-run").stdout
    spent = sum(float(one["cost"]["usd"]) for one in results())
    assert spent <= float(said["estimate"]["most_usd"])


def test_a_dry_run_says_of_what_it_knows_no_bound(invoke: Invoke, prices: None) -> None:
    write({"prompt": "x", "model": "a/m1"}, {"prompt": "x", "model": "b/m1"})
    shown = invoke("batch", "in.jsonl", "--dry-run").stdout
    assert "cost: no bound" in shown
    assert "nobody says how much a/m1 writes at most: --max-tokens" in shown
    assert "b/m1 has no price" in shown
    assert "nobody knows how many to write" in shown
    write({"prompt": "x", "model": "a/m1"}, {"prompt": "x", "model": "a/m1", "max_tokens": 9})
    shown = invoke("batch", "in.jsonl", "--dry-run").stdout
    assert "at most 9 to write by 1 line, of the others nobody knows" in shown


def test_what_a_dry_run_finds_fits_a_terminal(terminal: Callable[..., Any], prices: None) -> None:
    write({"prompt": "x", "model": "a/m1"}, {"prompt": "x", "model": "b/m1"})
    screen = terminal("batch", "in.jsonl", "--dry-run", columns=40, env={"NO_COLOR": "1"})
    assert screen.code == 0
    assert [line for line in screen.text.splitlines() if len(line) > 40] == []
    assert "nobody says how much a/m1 writes at most: --max-tokens" in " ".join(screen.text.split())


def test_progress_is_a_line_now_and_then_where_nobody_looks_on(
    invoke: Invoke, a: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman_cli.batch.screen.SLOW", 0.05)
    questions(20)
    a.script(*[Answer("ok", wait=0.03)] * 20)
    told = invoke("batch", "in.jsonl", "-c", "2").stderr
    assert "/20 lines · cost unknown · " in told
    assert " lines/s · " in told


def test_progress_passes_by_on_a_terminal(terminal: Callable[..., Any], a: Vendor) -> None:
    questions(20)
    a.script(*[Answer("ok", wait=0.1)] * 20)
    screen = terminal("batch", "in.jsonl", "-c", "2")
    assert screen.code == 0
    assert "/20 lines" in screen.text
    assert "20 lines: 20 answered, 0 errors, 0 open" in screen.text
