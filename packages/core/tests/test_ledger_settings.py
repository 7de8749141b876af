"""``[ledger]``: where the ledger is, whoever says so, and what a stranger's project may not decide."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pointsman import AsyncClient, ConfigError, Plugins, Settings, open_ledger
from pointsman.config import ledger_file, ledger_url, without_password
from pointsman.config.layers import PROJECT_FILE, USER_FILE, Origin


def project(folder: Path, table: dict[str, Any], environ: dict[str, str] | None = None) -> Settings:
    return Settings.layered([(Origin(PROJECT_FILE, str(folder / "pointsman.toml")), {"ledger": table})], environ or {})


def test_a_process_keeps_its_ledger_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: tmp_path / "with ? and #" / name)
    expected = f"sqlite:{tmp_path}/with%20%3F%20and%20%23/pointsman/ledger.db"
    assert ledger_url(Settings.discover(folder=tmp_path)) == expected
    monkeypatch.setenv("POINTSMAN_LEDGER_SYNC", "full")
    assert ledger_url(Settings.discover(folder=tmp_path)) == f"{expected}?sync=full"


@pytest.mark.parametrize("environ", [None, {}, {"ACME_API_KEY": "x"}, {"HOME": "/somebody/else"}])
def test_settings_of_a_table_know_of_no_user_and_keep_none(environ: dict[str, str] | None) -> None:
    assert ledger_url(Settings.of({"engine": {"retries": 0}}, environ)) is None


@pytest.mark.parametrize(
    ("table", "url"),
    [
        ({"url": "none"}, None),
        ({"url": "memory:"}, "memory:"),
        ({"url": "sqlite:/a/b.db", "sync": "full"}, "sqlite:/a/b.db?sync=full"),
        ({"url": "sqlite:b.db"}, "sqlite:b.db"),
        ({"url": "postgres://ada@host/db", "sync": "full"}, "postgres://ada@host/db"),
    ],
)
def test_what_is_said_goes_before_that(table: dict[str, Any], url: str | None) -> None:
    assert ledger_url(Settings.of({"ledger": table})) == url


def test_a_relative_path_in_a_file_is_relative_to_it(tmp_path: Path) -> None:
    own = Settings.layered([(Origin(USER_FILE, str(tmp_path / "config.toml")), {"ledger": {"url": "sqlite:l.db"}})], {})
    assert ledger_url(own) == f"sqlite:{tmp_path}/l.db"
    assert ledger_url(project(tmp_path, {"url": "sqlite:sub/l.db"})) == f"sqlite:{tmp_path}/sub/l.db"


@pytest.mark.parametrize("table", [{"url": "none"}, {"url": "sqlite:l.db", "texts": True}, {"keep_days": 3}])
def test_a_project_may_decide_of_its_own_folder(tmp_path: Path, table: dict[str, Any]) -> None:
    ledger_url(project(tmp_path, table))


@pytest.mark.parametrize(
    "table",
    [
        {"url": "postgres://evil.example/db"},
        {"url": "sqlite:///etc/l.db"},
        {"url": "sqlite:../l.db"},
        {"url": "sqlite:~/l.db"},
        {"url": "sqlite:sub/%2e%2e/%2e%2e/l.db"},
        {"url": "sqlite://host/l.db"},
        {"url": "sqlite:sub#/../../l.db"},
        {"url": "sqlite:a%00b.db"},
        {"url": "sqlite:link/l.db"},
        {"texts": True},
    ],
)
def test_a_project_may_not_decide_of_anything_else(
    tmp_path: Path, table: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path.parent)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"\[ledger\] (url|texts) from project file .*may be a stranger's"):
        ledger_url(project(tmp_path, table))


def test_nor_of_texts_in_the_users_own_ledger(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="texts from project file"):
        ledger_url(project(tmp_path, {"texts": True}, {"POINTSMAN_LEDGER_URL": "postgres://ours/db"}))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"url": "ledger.db"}, "write sqlite:PATH"),
        ({"url": ""}, "write sqlite:PATH"),
        ({"sync": "often"}, "sync"),
        ({"keep_days": 0}, "keep_days"),
        ({"keep_days": True}, "number of days"),
        ({"texts": "perhaps"}, "texts"),
        ({"file": "x"}, "no setting 'file'"),
    ],
)
async def test_what_is_wrong_is_told_when_the_client_opens(table: dict[str, Any], said: str) -> None:
    client = AsyncClient(settings=Settings.of({"ledger": table}), plugins=Plugins.of())
    with pytest.raises(ConfigError, match=said) as raised:
        await client.__aenter__()
    assert "[ledger]" in str(raised.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    {
        "postgres://ada:pa%40ss@host:5432/db?x=1": "postgres://ada@host:5432/db?x=1",
        "sqlite:/a/b@c.db": "sqlite:/a/b@c.db",
        "sqlite:///a:b@c.db": "sqlite:///a:b@c.db",
        "postgres://host:5432/db": "postgres://host:5432/db",
        "postgres:///db?user=ada&password=s3cret&x=1": "postgres:///db?user=ada&password=[redacted]&x=1",
        **{f"postgres://ada:s3{sign}cret@host/db": "postgres://ada@host/db" for sign in "#/?@[:"},
    }.items(),
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


async def test_nor_does_it_need_to_be_well_formed_for_a_client_to_open() -> None:
    table = {"url": "postgres://ada:s3[cret@host/db"}
    async with AsyncClient(settings=Settings.of({"ledger": table}), plugins=Plugins.of()):
        pass


@pytest.mark.parametrize("path", ["what#is it.db", "per%25cent.db", "//{folder}/x.db"])
def test_the_file_of_a_url_is_the_one_that_is_opened(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:{path.format(folder=tmp_path)}"
    file = ledger_file(url)
    assert file is not None
    assert not file.exists()
    open_ledger(url).close()
    assert file.exists()


@pytest.mark.skipif(os.name == "nt", reason="names of files are bytes elsewhere")
def test_a_home_whose_name_is_no_text_keeps_a_ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = os.fsdecode(bytes(tmp_path) + b"/\xff")
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: Path(home) / name)
    url = ledger_url(Settings.discover(folder=tmp_path))
    assert url == f"sqlite:{tmp_path}/%FF/pointsman/ledger.db"
    open_ledger(url).close()
    assert (Path(home) / "pointsman/ledger.db").exists()
