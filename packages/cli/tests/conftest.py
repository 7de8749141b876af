"""Vendors for the command to talk to: a lab in a thread of its own, and a folder whose settings lead to it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from click.testing import CliRunner, Result

from pointsman_cli.app import cli
from pointsman_cli.plugins.rendering import rendered
from pointsman_testing import Lab, Vendor

KEY = "sk-a-key-that-nobody-may-see-4711"
CHECKOUT = Path(__file__).parents[3]
SCHEMAS = CHECKOUT / "docs" / "schemas"


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("asyncio") as portal:
        yield portal


class Labs:
    """Makes vendors, each with a name of its own."""

    def __init__(self, portal: BlockingPortal, lab: Lab) -> None:
        self._portal = portal
        self._lab = lab
        self._numbers = count()

    def vendor(self, **how: Any) -> Vendor:
        how = {"api_key": KEY, "models": ["m1"], **how}
        return self._portal.call(partial(self._lab.vendor, f"vendor-{next(self._numbers)}", **how))

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call `function` in the lab's event loop."""
        return self._portal.call(function, *args)


@pytest.fixture(scope="session")
def labs(portal: BlockingPortal) -> Iterator[Labs]:
    """The lab runs at the pace of a wall clock, so that what is slow is slow."""
    with portal.wrap_async_context_manager(Lab(speed=1)) as lab:
        yield Labs(portal, lab)


@pytest.fixture
def a(labs: Labs) -> Vendor:
    return labs.vendor()


@pytest.fixture
def b(labs: Labs) -> Vendor:
    return labs.vendor()


@pytest.fixture
def place(tmp_path: Path, a: Vendor, b: Vendor, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: its settings know the providers ``a`` and ``b``, and ask them in this order."""
    tables = [
        f'[providers.{name}]\nplugin = "openai-compatible"\nbase_url = "{vendor.base_url}"\n'
        for name, vendor in (("a", a), ("b", b))
    ]
    routing = '[routing]\ntargets = ["a/m1", "b/m1"]\npolicy = "in_order"\n'
    (tmp_path / "pointsman.toml").write_text("\n".join([*tables, routing]))
    monkeypatch.chdir(tmp_path)
    for name in "AB":
        monkeypatch.setenv(f"POINTSMAN_{name}_API_KEY", KEY)
    return tmp_path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with nothing set up."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*args: str) -> list[str]:
    """How the command is started here: with warnings as errors."""
    return [sys.executable, "-W", "error", "-m", "pointsman_cli", *args]


@pytest.fixture
def run() -> Run:
    """The command in a process of its own. Its stdin is empty unless it is given."""

    def run(*args: str, stdin: str | bytes = "", env: Mapping[str, str] | None = None) -> Any:
        done = subprocess.run(
            command(*args),
            input=stdin if isinstance(stdin, bytes) else stdin.encode(),
            env={**os.environ, **(env or {})},
            capture_output=True,
            timeout=60,
            check=False,
        )
        return subprocess.CompletedProcess(args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


Invoke = Callable[..., Result]


@pytest.fixture
def invoke() -> Invoke:
    """The command in this process, which is faster."""

    def invoke(*args: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, args, input=stdin, prog_name="pointsman")

    return invoke


class Screen:
    """What was shown on a terminal, and how it ended."""

    def __init__(self, text: str, code: int) -> None:
        self.text = text.replace("\r\n", "\n")
        self.code = code


@pytest.fixture
def terminal() -> Callable[..., Screen]:
    """The command on a terminal, for stdin, stdout and stderr alike."""
    pty = pytest.importorskip("pty")

    def terminal(*args: str, columns: int = 80, env: Mapping[str, str] | None = None) -> Screen:
        import fcntl
        import struct
        import termios

        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            command(*args),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", **(env or {})},
            start_new_session=True,
        )
        os.close(theirs)
        shown = bytearray()
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:  # Linux says so when the other side is closed.
                break
            if not more:
                break
            shown += more
        os.close(ours)
        return Screen(shown.decode(), process.wait(timeout=60))

    return terminal


@pytest.fixture
def valid() -> Callable[[str, Any], None]:
    """Checks a value against one of the schemas that are documented; where they are not, lets it pass."""
    if not SCHEMAS.exists():
        return lambda name, value: None
    import json

    import jsonschema
    import referencing

    lib: Any = jsonschema
    refs: Any = referencing
    schemas = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    registry = refs.Registry().with_resources(
        (name, refs.Resource.from_contents(schema)) for name, schema in schemas.items()
    )

    def valid(name: str, value: Any) -> None:
        validator = lib.Draft202012Validator(schemas[name], registry=registry)
        lib.Draft202012Validator.check_schema(schemas[name])
        assert [error.message for error in validator.iter_errors(value)] == []

    return valid


@pytest.fixture
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """Installs a distribution ``stranger 1.2`` with entry points and modules: the environment in which it is there."""

    def install(groups: Mapping[str, Mapping[str, str]], **modules: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("site")
        info = folder / "stranger-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.2\n")
        lines = [line for group, entries in groups.items() for line in (f"[{group}]", *_entries(entries))]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for name, source in modules.items():
            (folder / f"{name}.py").write_text(source)
        return {"PYTHONPATH": str(folder)}

    return install


class Package:
    """One that `pointsman plugins new` writes, and beside it the metadata that its installation would bring."""

    def __init__(self, folder: Path, template: str, name: str) -> None:
        self.folder = folder / f"pointsman-{name}"
        for path, text in rendered(template, name).items():
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")
        groups = tomllib.loads((self.folder / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
        info = folder / f"pointsman_{name.replace('-', '_')}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pointsman-{name}\nVersion: 0.1.0\n")
        lines = [line for group, entries in groups.items() for line in (f"[{group}]", *_entries(entries))]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")

    def test(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run its tests, as its author would."""
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *args],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (self.folder / "src", self.folder.parent)))},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def package(tmp_path: Path) -> Callable[[str, str], Package]:
    """Writes a package of a template under a name."""
    return partial(Package, tmp_path)


ECHO = """
from contextlib import asynccontextmanager
from pydantic import BaseModel
from pointsman import Finished, ProviderSpec, Terminal, TextDelta, hookimpl

class Config(BaseModel):
    base_url: str = "http://127.0.0.1"

@asynccontextmanager
async def stream(request):
    async def events():
        yield TextDelta(" ".join(f"{name}:{value}" for name, value in sorted(request.tags.items())) or "none")
        yield Finished("stop")
    yield events()

@asynccontextmanager
async def open_(config, context):
    yield stream

@hookimpl
def pointsman_providers():
    return [ProviderSpec(name="echo", config=Config, open=open_, terminal=Terminal.DONE_FIELD)]

@hookimpl
def pointsman_stream(connection):
    return connection.session
"""


@pytest.fixture
def echo(stranger: Callable[..., dict[str, str]]) -> dict[str, str]:
    """The environment with a provider ``echo`` that answers with the tags of the call."""
    return stranger({"pointsman.providers": {"echo": "echo_plugin"}}, echo_plugin=ECHO)


FUSSY = """
from pydantic import BaseModel, ConfigDict, Field
from pointsman import Decision, Exclusion, PolicySpec, Score, Term, hookimpl

class Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    prefer: tuple[str, ...] = ()
    priority: str | None = None

class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    explore: float = Field(default=0.02, ge=0, le=1)
    tasks: dict[str, Rule] = {}
    weights: dict[str, dict[str, float]] = {}

class Fussy:
    name = "fussy"

    def __init__(self, config):
        self.config = config

    def rank(self, request, candidates, now, seed):
        first, *others = [one.target for one in candidates][::-1]
        terms = (Term("first token", 0.93, 3.0, "0.21 s, of 48 answers"), Term("price", 0.5, 1.0))
        return Decision(
            policy=self.name, order=(first,), reason="it answers sooner", task=request.task or "code_review",
            excluded=tuple(Exclusion(one, "too short a context: shorten the prompt") for one in others),
            confidence=0.8, difficulty=0.4, scores=(Score(first, 0.8225, terms),), propensity=0.98,
            policy_hash=f"explore-{self.config.explore:g}",
        )

@hookimpl
def pointsman_policies():
    return [PolicySpec(name="fussy", config=Config, make=Fussy)]
"""
"""A stranger's policy with settings, tables in tables among them, that says all that a policy can say."""


@pytest.fixture
def fussy(place: Path, stranger: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, where that policy decides."""
    env = stranger({"pointsman.policies": {"fussy": "fussy_plugin"}}, fussy_plugin=FUSSY)
    monkeypatch.delitem(sys.modules, "fussy_plugin", raising=False)
    monkeypatch.syspath_prepend(env["PYTHONPATH"])
    monkeypatch.setenv("PYTHONPATH", env["PYTHONPATH"])
    file = place / "pointsman.toml"
    file.write_text(file.read_text().replace('policy = "in_order"', 'policy = "fussy"'))
    return place


def _entries(entries: Mapping[str, str]) -> list[str]:
    return [f"{name} = {value}" for name, value in entries.items()]
