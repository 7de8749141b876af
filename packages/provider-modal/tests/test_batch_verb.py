"""`pointsman batch --on modal`: a file of questions, on the containers of a deployment; the ledger knows of each."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import modal
import pytest
from click.testing import CliRunner
from control_plane.calling import Died
from control_plane.loading import loaded
from control_plane.server import ControlPlane

from pointsman_cli.app import cli

LINES = 60
MODEL = "modal/qwen2.5-coder:7b"


@pytest.fixture
def plane(
    control_plane: ControlPlane, modal_client: modal.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> ControlPlane:
    """With the app deployed, for three containers; and a file of questions here."""
    for name, value in control_plane.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("POINTSMAN_MODAL_BASE_URL", "https://t--pointsman-ollama-serve.modal.run")
    monkeypatch.setenv("POINTSMAN_MODAL_PRICE_PER_SECOND", "0.001")
    monkeypatch.setattr("modal.Client.from_env", lambda: modal_client)
    monkeypatch.chdir(tmp_path)
    with loaded({"max_containers": 3}) as module:
        module.app.deploy(client=modal_client)
    lines = (json.dumps({"id": f"q{number}", "prompt": f"say {number}"}) for number in range(LINES))
    Path("in.jsonl").write_text("\n".join(lines))
    return control_plane


def batch(*options: str) -> Any:
    arguments = ["batch", "in.jsonl", "--on", "modal", "-m", MODEL, "-o", "out.jsonl", "--json", *options]
    return CliRunner().invoke(cli, arguments, prog_name="pointsman")


def results() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]


def test_each_line_has_one_answer_also_where_containers_died(plane: ControlPlane) -> None:
    asked: Counter[str] = Counter()

    def answer(number: int, body: dict[str, Any]) -> dict[str, Any]:
        text = body["messages"][-1]["content"].removeprefix("say ")
        asked[text] += 1
        if text in ("7", "42") and asked[text] == 1:
            raise Died("terminated by signal")
        message = {"role": "assistant", "content": text}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 3, "completion_tokens": 1}
        return {"number": number, "status": 200, "body": {"choices": choices, "usage": usage}, "seconds": 2}

    plane.calling.bodies["answer"] = answer
    first = batch()
    assert first.exit_code == 1, first.output
    assert [one["id"] for one in results()] == [f"q{number}" for number in range(LINES)]
    assert [one["id"] for one in results() if one["error"]] == ["q7", "q42"]
    again = batch("--retry-errors")
    assert again.exit_code == 0, again.output
    assert [one["reply"]["text"] for one in results()] == [str(number) for number in range(LINES)]
    assert asked == {str(number): 2 if number in (7, 42) else 1 for number in range(LINES)}
    told = CliRunner().invoke(cli, ["costs", "--json"], prog_name="pointsman")
    total = json.loads(told.output)["total"]
    assert total["calls"] == LINES + 2
    assert Decimal(total["cost"]["usd"]) == LINES * 2 * Decimal("0.001") / 4  # Of four that share a container.


def test_what_is_not_deployed_is_told_before_a_line_is_sent(plane: ControlPlane, modal_client: modal.Client) -> None:
    modal.App.lookup("pointsman", client=modal_client).stop()
    done = batch()
    assert done.exit_code != 0
    assert "no app called pointsman is deployed at Modal" in done.output
    assert not plane.requests("FunctionMap")
