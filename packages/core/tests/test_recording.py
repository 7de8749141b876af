"""What calls came to is in the ledger when a client has closed, or was flushed; and no call minds where it is not."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from pointsman import (
    AsyncClient,
    AttemptRecord,
    CallRecord,
    ChatRequest,
    Client,
    ConfigError,
    Exact,
    FanAnswer,
    Finished,
    InvalidRequest,
    Ledger,
    LedgerQuery,
    LedgerTotal,
    Plugins,
    Settings,
    Sink,
    StoreError,
    StoreSpec,
    Target,
    Unavailable,
    Unknown,
    Usage,
    hookimpl,
    open_ledger,
    system,
    user,
)
from pointsman.ledger import bookkeeper
from pointsman.ledger import writer as writing
from pointsman_testing import Hang, ScriptedProvider

DONE = Finished("stop", Usage(input_tokens=3, output_tokens=2))
KEY = "sk-recorded-0123456789"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "books" / "ledger.db"


def settings(file: Path, **ledger: Any) -> Settings:
    return Settings.of({"ledger": {"url": f"sqlite:{file}", **ledger}, "engine": {"retries": 0}})


def plugins(*providers: ScriptedProvider, **more: Any) -> Plugins:
    return Plugins.of(providers={one.name: one for one in providers}, **more)


def rows(file: Path, table: Any = "calls") -> list[Any]:
    with open_ledger(f"sqlite:{file}") as ledger:
        return list(ledger.rows(table, LedgerQuery()))


def total(file: Path) -> LedgerTotal:
    with open_ledger(f"sqlite:{file}") as ledger:
        return ledger.totals(LedgerQuery())[0]


async def written(file: Path) -> None:
    """Until somebody has written into it who is not waited for."""
    for _ in range(1000):
        if file.exists() and total(file).calls:
            return
        await anyio.sleep(0.01)


async def test_closing_writes_and_flushing_does_so_before(file: Path) -> None:
    async with AsyncClient(settings=settings(file), plugins=plugins(ScriptedProvider("a", default="well"))) as client:
        assert not file.exists(), "nothing is opened before it is needed"
        await client.flush()
        assert not file.exists()
        await client.chat("hi", tags={"team": "blue"})
        await client.flush()
        (row,) = rows(file)
        assert (row["provider"], row["tags"], row["outcome"]) == ("a", {"team": "blue"}, "finished")
        await client.chat("hi")
    assert total(file).calls == 2


async def test_tags_are_those_that_a_call_was_made_with(file: Path) -> None:
    """Who asks in a loop may use one mapping for all; and the ledger writes later."""
    tags = {"round": ""}
    ask = ChatRequest(messages=(user("hi"),), tags=tags)
    async with AsyncClient(settings=settings(file), plugins=plugins(ScriptedProvider("a", default="well"))) as client:
        for number in range(3):
            tags["round"] = f"{number}"
            await client.chat(ask)
            await client.chat("hi", tags=tags)
            with pytest.raises(InvalidRequest):
                await client.embed("hi", model="a/m", tags=tags)
    assert [row["tags"]["round"] for row in rows(file)] == [*"000111222"]


def test_the_same_without_a_loop(file: Path) -> None:
    with Client(settings=settings(file), plugins=plugins(ScriptedProvider("a", default="well"))) as client:
        client.chat("hi")
        client.flush()
        assert total(file).calls == 1
        client.chat("hi")
    assert total(file).calls == 2


async def test_without_a_ledger_there_is_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bookkeeper.Bookkeeper, "__init__", lambda *_: pytest.fail("none is kept"))
    for url in ({}, {"ledger": {"url": "none"}}):
        async with AsyncClient(settings=Settings.of(url), plugins=plugins(ScriptedProvider("a"))) as client:
            await client.chat("hi")
            await client.flush()


async def test_a_call_that_ends_after_its_client_has_closed_is_there(file: Path) -> None:
    closed = anyio.Event()

    async def read(client: AsyncClient) -> None:
        async with client.stream("hi"):
            await closed.wait()

    async with anyio.create_task_group() as group:
        a = ScriptedProvider("a", ["one ", Hang()])
        async with AsyncClient(settings=settings(file), plugins=plugins(a)) as client:
            group.start_soon(read, client)
            await anyio.sleep(0.01)
        assert not file.exists()
        closed.set()
    await written(file)
    assert [row["outcome"] for row in rows(file)] == ["failed"]


async def test_a_client_that_is_cancelled_while_it_closes_loses_nothing(file: Path) -> None:
    with anyio.CancelScope() as scope:
        async with AsyncClient(settings=settings(file), plugins=plugins(ScriptedProvider("a", [Hang()]))) as client:
            async with client.stream("hi"):
                await anyio.sleep(0.01)
                scope.cancel()
                await anyio.sleep(1)
    assert scope.cancelled_caught
    await written(file)
    assert [row["outcome"] for row in rows(file)] == ["cancelled"]


# Texts ----------------------------------------------------------------------------------------------------------------


async def test_no_text_is_kept_unless_it_is_asked_for(file: Path) -> None:
    async with AsyncClient(settings=settings(file), plugins=plugins(ScriptedProvider("a", "swordfish"))) as client:
        await client.chat("my secret plan")
    raw = b"".join(one.read_bytes() for one in file.parent.iterdir())
    assert b"secret plan" not in raw
    assert b"swordfish" not in raw


async def test_texts_are_kept_if_they_are_without_keys(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"ledger": {"url": f"sqlite:{file}", "texts": True}, "providers": {"a": {"api_key": KEY}}}
    a = ScriptedProvider("a", ["it is ", KEY, DONE], ["short", DONE])
    async with AsyncClient(settings=Settings.of(table), plugins=plugins(a)) as client:
        await client.chat([system("Be brief."), user(f"what is {KEY}?")])
        await client.chat("plain")
    first, second = rows(file)
    assert first["prompt"].splitlines()[:2] == ["[system]", "Be brief."]
    assert first["answer"].startswith("it is ")
    assert KEY not in first["prompt"] + first["answer"]
    assert (second["prompt"], second["answer"]) == ("plain", "short")


# Where it cannot be kept ----------------------------------------------------------------------------------------------


async def test_a_ledger_that_cannot_be_opened_costs_no_answer_and_is_said_once(
    file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "FIRST_PAUSE", 0.001)
    file.parent.write_text("a file where a folder should be")
    async with AsyncClient(settings=settings(file), plugins=plugins(ScriptedProvider("a", default="well"))) as client:
        for _ in range(3):
            assert (await client.chat("hi")).text == "well"
            with pytest.raises(StoreError, match="books"):
                await client.flush()
        (said,) = caplog.records
        assert str(file) in said.getMessage()
        assert said.levelno == logging.ERROR
        file.parent.unlink()
        await client.flush()
    assert total(file).calls == 3, "what waited is written once it can be"
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgress://ada:hush-hush@host/db", "postgress"),
        ("sqlite:///a/b.db?fast=yes", "fast"),
    ],
)
async def test_a_ledger_that_is_none_is_said_without_a_password(
    url: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = Settings.of({"ledger": {"url": url}})
    async with AsyncClient(settings=one, plugins=plugins(ScriptedProvider("a", default="well"))) as client:
        assert (await client.chat("hi")).text == "well"
    first, last = caplog.records
    assert said in first.getMessage()
    assert "1 call is missing" in last.getMessage()
    assert "hush-hush" not in caplog.text


async def test_a_store_of_a_strangers_is_kept_in_its_thread(file: Path) -> None:
    class Store:
        opened: list[str] = []  # noqa: RUF012

        @hookimpl
        def pointsman_stores(self) -> Sequence[StoreSpec]:
            return [StoreSpec(scheme="strange", ledger=self.open)]

        def open(self, url: str) -> Ledger:
            self.opened.append(url)
            return open_ledger(f"sqlite:{file}")

    store = Store()
    one = Settings.of({"ledger": {"url": "strange:place"}})
    given = plugins(ScriptedProvider("a", default="well"), stores={"strange": store})
    async with AsyncClient(settings=one, plugins=given) as client:
        await client.chat("hi")
    assert (store.opened, total(file).calls) == (["strange:place"], 1)


# Nobody closes --------------------------------------------------------------------------------------------------------

FORGOTTEN = """
import sys
from pointsman import Client, Plugins, Settings
from pointsman_testing import ScriptedProvider
plugins = Plugins.of(providers={{"a": ScriptedProvider("a", default="well")}})
client = Client(settings=Settings.of({{"ledger": {{"url": "sqlite:{file}"}}}}), plugins=plugins)
for _ in range(3):
    client.chat("hi")
{then}
"""


@pytest.mark.parametrize("then", ["", "del client", "raise SystemExit(0)"])
def test_a_client_that_nobody_closed_writes_at_the_end_of_the_interpreter(file: Path, then: str) -> None:
    code = FORGOTTEN.format(file=file, then=then)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert total(file).calls == 3


def test_what_was_flushed_survives_a_kill(file: Path) -> None:
    then = "client.flush(); print('flushed', flush=True); client.chat('hi'); import os; os.kill(os.getpid(), 9)"
    code = FORGOTTEN.format(file=file, then=then)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (-9, "flushed\n")
    assert total(file).calls in (3, 4)
    assert total(file).attempts == total(file).calls


def test_the_default_ledger_is_in_the_users_data_folder(tmp_path: Path) -> None:
    code = """
import pointsman
from pointsman_testing import ScriptedProvider
plugins = pointsman.Plugins.of(providers={"a": ScriptedProvider("a", default="well")})
with pointsman.Client(plugins=plugins) as client:
    client.chat("hi")
"""
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environ, check=True, timeout=60, cwd=tmp_path)
    found = tmp_path / "data" / "pointsman" / "ledger.db"
    assert total(found).calls == 1
    if os.name == "posix":
        assert found.stat().st_mode & 0o077 == 0


def test_neither_the_start_nor_the_first_answer_pays_for_the_ledger(file: Path) -> None:
    code = f"""
import sys, threading
import anyio, pointsman
from pointsman_testing import ScriptedProvider
plugins = pointsman.Plugins.of(providers={{"a": ScriptedProvider("a", default="well")}})

async def main():
    settings = pointsman.Settings.of({{"ledger": {{"url": "sqlite:{file}"}}}})
    async with pointsman.AsyncClient(settings=settings, plugins=plugins) as client:
        async with client.stream("hi") as reply:
            [text async for text in reply.text_stream]
            print("sqlite3" in sys.modules, threading.active_count())
        await client.flush()
        print("sqlite3" in sys.modules)

anyio.run(main)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("False 1\nTrue\n", "")


# Calls that others have made -----------------------------------------------------------------------------------------


async def test_a_call_that_was_made_elsewhere_is_told_like_one_of_ours(file: Path) -> None:
    taken: list[AttemptRecord | CallRecord] = []

    class Sinks:
        @hookimpl
        def pointsman_sinks(self) -> Sequence[Sink]:
            return [taken.append]

    request = ChatRequest(messages=(user("hi"),), task="writing", tags={"team": "blue"})
    used = Usage(input_tokens=3, output_tokens=2)
    known = plugins(ScriptedProvider("a"), sinks={"list": Sinks()})
    async with AsyncClient(settings=settings(file), plugins=known) as client:
        answer = FanAnswer(number=1, text="well", finish_reason="stop", usage=used, cost=Exact("0.25"), seconds=2.0)
        record = client.record(request, Target("a", "m"), answer)
        lost = FanAnswer(number=2, error=Unavailable(f"no machine for {KEY}", provider="a"), seconds=1.0)
        client.roster.redactor.learn([KEY])
        failed = client.record(request, Target("a", "m"), lost)
    assert taken == [*record.attempts, record, *failed.attempts, failed]
    assert (record.outcome, record.target, record.usage, record.cost) == (
        "finished",
        Target("a", "m"),
        used,
        Exact("0.25"),
    )
    assert (failed.outcome, failed.target, failed.cost) == ("failed", None, Unknown)
    assert KEY not in repr(failed)
    assert KEY not in str(lost.error)
    calls, attempts = rows(file), rows(file, "attempts")
    assert [(row["outcome"], row["task"], row["tags"], row["input_tokens"]) for row in calls] == [
        ("finished", "writing", {"team": "blue"}, 3),
        ("failed", "writing", {"team": "blue"}, None),
    ]
    assert [(row["provider"], row["model"], row["duration"]) for row in attempts] == [("a", "m", 2.0), ("a", "m", 1.0)]


async def test_a_client_that_is_closed_records_nothing() -> None:
    client = AsyncClient(settings=Settings.of({"ledger": {"url": "none"}}), plugins=plugins(ScriptedProvider("a")))
    with pytest.raises(ConfigError, match="not open"):
        client.record(ChatRequest(messages=(user("hi"),)), Target("a", "m"), FanAnswer(number=1))
