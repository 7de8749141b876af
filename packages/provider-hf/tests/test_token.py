"""The token's places: the vendor's own library, in a process of its own, says where it would look."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman import AsyncClient, ConfigError, Settings
from pointsman_hf.token import stored

# Each case is in a process of its own there: constants are read from the environment when the library is imported.
JUDGE = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
cases = json.load(sys.stdin)
found = []
for environ in cases:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.environ.clear()
            os.environ.update(environ)
            from huggingface_hub import get_token
            token = get_token()
        except BaseException as error:
            token = f"raised {type(error).__name__}"
        os.write(writer, json.dumps(token).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        found.append(json.loads(said.read()))
    os.waitpid(child, 0)
json.dump(found, sys.stdout)
"""


def judged(cases: list[dict[str, str]]) -> list[Any]:
    run = subprocess.run(
        [sys.executable, "-c", JUDGE], input=json.dumps(cases), capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(run.stdout)


def ours(environ: Mapping[str, str]) -> str | None:
    """With ``HF_TOKEN`` before it, as core has it."""
    own = environ.get("HF_TOKEN", "").strip()
    return own or stored(environ).get("api_key", (None, ""))[0]


def test_it_is_found_where_the_vendors_library_finds_it(tmp_path: Path) -> None:
    homes = {name: tmp_path / name for name in ("home", "hf", "cache", "empty")}
    for path in homes.values():
        path.mkdir()
    (homes["home"] / ".cache" / "huggingface").mkdir(parents=True)
    (homes["home"] / ".cache" / "huggingface" / "token").write_text("hf_in_home\n")
    (homes["home"] / "own").write_bytes(b"  hf_own\r\n\r\n")
    (homes["home"] / "broken").write_text("hf_in_\ntwo_lines")
    (homes["home"] / "blank").write_text(" \n")
    (homes["home"] / "mine").mkdir()
    (homes["home"] / "mine" / "token").write_text("hf_tilde")
    (homes["hf"] / "token").write_text("hf_in_hf_home")
    (homes["cache"] / "huggingface").mkdir()
    (homes["cache"] / "huggingface" / "token").write_text("hf_in_cache")
    home = {"HOME": str(homes["home"])}
    hf, cache = {"HF_HOME": str(homes["hf"])}, {"XDG_CACHE_HOME": str(homes["cache"])}
    legacy = {"HUGGING_FACE_HUB_TOKEN": "hf_legacy"}
    own = {"HF_TOKEN_PATH": str(homes["home"] / "own")}
    cases = [
        home,
        {"HOME": str(homes["empty"])},
        home | hf,
        home | cache,
        home | hf | cache,
        home | own,
        home | own | hf,
        home | legacy,
        home | legacy | own,
        home | {"HF_TOKEN": "hf_variable"},
        home | {"HF_TOKEN": "hf_variable"} | legacy | own,
        home | {"HF_TOKEN": " hf_spaces \n"},
        home | {"HF_TOKEN": "  "},
        home | {"HF_TOKEN": "  "} | legacy,
        home | {"HF_TOKEN": ""} | legacy,
        home | {"HUGGING_FACE_HUB_TOKEN": " "},
        home | {"HF_TOKEN_PATH": "~/own"},
        home | {"HF_TOKEN_PATH": "$HOME/own"},
        home | {"HF_TOKEN_PATH": "${HOME}/own"},
        home | {"HF_TOKEN_PATH": "$PLACE/own", "PLACE": str(homes["home"])},
        home | {"HF_TOKEN_PATH": "$NOWHERE/own"},
        home | {"HF_TOKEN_PATH": "~/broken"},
        home | {"HF_TOKEN_PATH": "~/blank"},
        home | {"HF_TOKEN_PATH": "~/not-there"},
        home | {"HF_HOME": "~/mine"},
        home | {"HF_HOME": "$HOME/mine/"},
        home | {"HF_HOME": "~/not-there"},
        home | {"XDG_CACHE_HOME": "~/.cache"},
        home | {"XDG_CACHE_HOME": "$HOME/.cache"},
        home | hf | {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "HF_HUB_OFFLINE": "1"},
    ]
    found = [ours(case) for case in cases]
    assert found == judged(cases)
    assert len({token for token in found if token}) >= 8  # The cases tell places apart.


@pytest.mark.parametrize("variable", ["HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"])
def test_where_ours_differs(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the library an empty variable names the folder that one happens to be in, and a folder is an error."""
    (tmp_path / "token").write_text("hf_of_a_stranger")
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface" / "token").write_text("hf_of_a_stranger")
    monkeypatch.chdir(tmp_path)
    case = {"HOME": str(tmp_path / "home"), variable: ""}
    assert ours(case) is None
    if variable != "HF_TOKEN_PATH":
        assert judged([case]) == ["hf_of_a_stranger"]
    folder = {"HOME": str(tmp_path), "HF_TOKEN_PATH": str(tmp_path)}
    assert ours(folder) is None
    assert judged([folder]) == ["raised IsADirectoryError"]


def test_its_place_is_told(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hf_x")
    assert stored({"HF_TOKEN_PATH": str(file)}) == {"api_key": ("hf_x", str(file))}
    assert stored({"HUGGING_FACE_HUB_TOKEN": "hf_y"}) == {"api_key": ("hf_y", "HUGGING_FACE_HUB_TOKEN")}
    assert stored({}) == {}  # Without a home there is none, whatever the system knows of who runs this.


@given(
    st.dictionaries(
        st.sampled_from(["HOME", "HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"]),
        st.text(st.characters(codec="utf-8") | st.sampled_from("~$/{}\0"), max_size=12),
    )
)
def test_no_environment_breaks_it(environ: dict[str, str]) -> None:
    assert set(stored(environ)) <= {"api_key"}


@pytest.mark.parametrize(
    ("content", "expected"), [(b"hf_ok\n", True), (b"\xff\xfe", True), (b"", False), (b"x" * 100_000, True)]
)
def test_no_file_breaks_it(tmp_path: Path, content: bytes, expected: bool) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    assert bool(stored({"HF_TOKEN_PATH": str(file)})) is expected


async def test_core_finds_it_and_keeps_it_at_home(tmp_path: Path) -> None:
    """What the vendor's tools have put down goes to the vendor; to another host only what its user sets for that."""
    (tmp_path / ".cache" / "huggingface").mkdir(parents=True)
    (tmp_path / ".cache" / "huggingface" / "token").write_text("hf_stored_0123456789abcdef")
    environ = {"HOME": str(tmp_path)}
    elsewhere = Settings.of({"providers": {"hf": {"base_url": "https://other.example/v1"}}}, environ=environ)
    async with AsyncClient(settings=elsewhere) as client:
        with pytest.raises(ConfigError) as caught:
            await client.connect("hf")
    assert caught.value.missing
    assert "hf_stored" not in str(caught.value)
    async with AsyncClient(settings=Settings.of({}, environ=environ)) as client:
        connection = await client.connect("hf")
        assert connection is not None
