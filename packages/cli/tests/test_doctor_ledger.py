"""`pointsman doctor` says where the ledger is, and what keeps calls from being written into it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pointsman import open_ledger

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def home(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folders, with nothing in them."""
    for kind in ("CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(nowhere / kind.lower()))
    return nowhere


def said(done: Result, name: str = "ledger") -> list[tuple[str, str]]:
    checks = json.loads(done.stdout)["checks"]
    return [(one["state"], f"{one['said']} > {one['next']}") for one in checks if one["name"] == name]


def test_a_ledger_that_is_not_there_yet(invoke: Invoke, home: Path) -> None:
    ((state, text),) = said(invoke("doctor", "--json"))
    assert state == "ok"
    assert text.startswith(f"{home}/data/pointsman/ledger.db: not there yet")
    assert not (home / "data").exists(), "looking makes nothing"


def test_a_ledger_with_calls(invoke: Invoke, place: Path, home: Path) -> None:
    assert invoke("chat", "hi").exit_code == 0
    ((state, text),) = said(invoke("doctor", "--json"))
    assert (state, "1 call, " in text, "kB" in text) == ("ok", True, True)


def test_no_ledger(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", "none")
    ((state, text),) = said(invoke("doctor", "--json"))
    assert (state, "environment POINTSMAN_LEDGER_URL" in text) == ("ok", True)


def test_a_file_that_is_no_ledger(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "notes.txt").write_text("these are notes, and no database of anybody's\n" * 100)
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", f"sqlite:{home}/notes.txt")
    done = invoke("doctor", "--json")
    ((state, text),) = said(done)
    assert (done.exit_code, state) == (1, "fail")
    assert "notes.txt" in text
    assert "pointsman config set ledger.url sqlite:PATH" in text
    assert (home / "notes.txt").read_text().startswith("these are notes")


@pytest.mark.parametrize("where", ["notes.txt/ledger.db", "notes.txt/deeper/ledger.db"])
def test_a_folder_that_is_none(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    (home / "notes.txt").write_text("")
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", f"sqlite:{home}/{where}")
    ((state, text),) = said(invoke("doctor", "--json"))
    assert (state, "notes.txt is no folder" in text) == ("fail", True)


def test_a_file_that_may_only_be_read(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home / "ledger.db"
    open_ledger(f"sqlite:{file}").close()
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", f"sqlite:{file}")
    monkeypatch.setattr(os, "access", lambda path, mode: path != file)  # Root may write anything.
    ((state, text),) = said(invoke("doctor", "--json"))
    assert (state, "let this user write" in text) == ("fail", True)


def test_a_disk_that_is_nearly_full(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = home / "ledger.db"
    open_ledger(f"sqlite:{file}").close()
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", f"sqlite:{file}")
    usage = type("Usage", (), {"free": 3_400_000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    assert [state for state, _ in said(invoke("doctor", "--json"))] == ["ok", "warn"]
    assert "3.4 MB left" in invoke("doctor").stdout


def test_a_server_is_asked_with_live_only_and_no_password_is_shown(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", "strange://ada:hush-hush@127.0.0.1:1/costs")
    quiet, live = invoke("doctor", "--json"), invoke("doctor", "--live", "--json")
    ((state, text),) = said(quiet)
    assert (state, text.startswith("strange://ada@127.0.0.1:1/costs, which only --live asks")) == ("ok", True)
    ((state, text),) = said(live)
    assert (state, "strange" in text) == ("fail", True)
    assert "hush-hush" not in quiet.stdout + live.stdout + invoke("config").stdout


def test_a_strangers_project_decides_nothing(invoke: Invoke, home: Path) -> None:
    (home / "pointsman.toml").write_text('[ledger]\nurl = "postgres://evil.example/costs"\n')
    done = invoke("doctor", "--json")
    ((state, text),) = said(done)
    assert (state, "may be a stranger's" in text) == ("fail", True)
    assert "pointsman config unset --project ledger.url" in text


def test_a_password_in_a_projects_file_is_told(invoke: Invoke, home: Path) -> None:
    (home / "pointsman.toml").write_text('[ledger]\nurl = "postgres://ada:hush-hush@db/costs"\n')
    (state, text), *_ = said(invoke("doctor", "--json"), "project file")
    assert (state, "ledger.url" in text, "export POINTSMAN_LEDGER_URL" in text) == ("warn", True, True)
