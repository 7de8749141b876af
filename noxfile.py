"""Every promise of this repository is a session: `nox -l` is the menu, `nox` alone checks all that a change must keep.

Nothing is written here that a package says of itself: which packages there are, their Pythons and what their tests need
is read from their `pyproject.toml`, so that a new package joins by existing.
"""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "uv"
nox.options.error_on_external_run = True

ROOT = Path(__file__).parent
ENDURANCE = ("soak.py", "batch_killed.py")
PROJECTS = {
    path.parent.relative_to(ROOT).as_posix(): nox.project.load_toml(path)
    for folder in ("packages", "examples")
    for path in sorted(ROOT.glob(f"{folder}/*/pyproject.toml"))
}
FOLDERS = {project["project"]["name"]: folder for folder, project in PROJECTS.items()}
PACKAGES = [name for name, folder in FOLDERS.items() if folder.startswith("packages/")]
EXAMPLES = [name for name, folder in FOLDERS.items() if folder.startswith("examples/")]
MODULES = {
    name: [path.parent.name for path in ROOT.glob(f"{folder}/src/*/__init__.py")] for name, folder in FOLDERS.items()
}
BENCH_PEERS = {
    "litellm": "litellm>=1.109",  # the first that can go on with an answer that broke off
    "pydantic-ai": "pydantic-ai-slim[openai]>=2",
    "langchain": "langchain-openai>=1",
}
JUDGES = {"blaxel": "blaxel>=0.4.24,<0.5"}  # It takes over the root logger, and brings forty others.
HARMLESS_JUDGES = ("sambanova",)  # They may live where the tests do.
FEWER = {"SCHEDULES": "2000", "STATUS_STEP": "9", "HYPOTHESIS_PROFILE": os.environ.get("HYPOTHESIS_PROFILE", "few")}
"""`uv run pytest` plays 10,000 schedules, and all statuses; other interpreters and wheels show whether they differ at
all."""
KIT = "test_conformance.py"
"""Where a plugin is held to the kit. It is a third of all tests: `uv run pytest` and `conformance` run it, and
`downstream` from wheels; another interpreter, or the wheel of each package, would find nothing that those do not."""
PYTHONS = nox.project.python_versions(PROJECTS["packages/core"])
OLDEST = PYTHONS[0]


@nox.session(python=OLDEST)
def lint(session: nox.Session) -> None:
    """Style and spelling hold, and every package is complete."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("codespell")
    session.run("python", ".ci/check_files.py")


@nox.session(python=OLDEST)
def types(session: nox.Session) -> None:
    """Users see right types: mypy and pyright, both strict, agree on every package and on tests/typing."""
    sync(session, "--group", "types")
    session.run("mypy")
    session.run("pyright")


@nox.session(python=OLDEST)
def written(session: nox.Session) -> None:
    """What `pointsman plugins new` writes passes lint, format and types as written, whatever its name."""
    sync(session, "--group", "types", "--group", "lint")
    session.run("pytest", "tests/written", *session.posargs)


@nox.session(python=OLDEST)
def contracts(session: nox.Session) -> None:
    """Imports point one way, and a planted violation of each rule is found."""
    sync(session, "--group", "contracts")
    session.run("lint-imports", "--no-logo", "--no-cache")
    session.run("pytest", "tests/contracts/planted.py", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Everything offline, on asyncio and trio, with warnings as errors; arguments after -- go to pytest."""
    if session.python == os.environ.get("POINTSMAN_TESTED_LAST"):
        session.skip("`uv run pytest` comes at the end of .ci/run")
    sync(session, "--group", "test")
    # The session `docs` runs what the pages show; on another interpreter that would say nothing else.
    session.run("pytest", f"--ignore-glob=*/{KIT}", "--ignore-glob=tests/test_docs*.py", *session.posargs, env=FEWER)


@nox.session(python=OLDEST)
def conformance(session: nox.Session) -> None:
    """Each plugin of ours, and of the examples, keeps what its kind has to, and README's table says so: --write."""
    sync(session, "--group", "test")
    install_examples(session)
    cards = Path(session.create_tmp()).resolve() / "cards"
    shutil.rmtree(cards, ignore_errors=True)
    files = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob(f"*/*/tests/{KIT}"))]
    session.run("pytest", "--quiet", "--pointsman-cards", str(cards), *files)
    session.run("python", ".ci/conformance.py", str(cards), *session.posargs)


@nox.session(python=OLDEST)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def alone(session: nox.Session, package: str) -> None:
    """One built wheel, with only what it declares, imports and passes its own tests."""
    check_installed(session, package, tests=[f"--ignore-glob=*/{KIT}"])


@nox.session(python=OLDEST, default=False)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def floors(session: nox.Session, package: str) -> None:
    """The same with the oldest versions that the package says it accepts."""
    check_installed(session, package, "--resolution", "lowest-direct")


@nox.session(python=OLDEST)
@nox.parametrize("example", EXAMPLES, ids=EXAMPLES)
def downstream(session: nox.Session, example: str) -> None:
    """A stranger's plugin, on our built wheels and outside the workspace, passes its tests."""
    check_installed(session, example)


@nox.session(python=OLDEST)
def real(session: nox.Session) -> None:
    """Servers that are not ours, running real models on this machine, are understood."""
    if not list(ROOT.glob("tests/real/test_*.py")):
        session.skip("there is no tests/real yet")
    sync(session, "--group", "real")
    session.run("pytest", "-n0", "tests/real", *session.posargs)  # each server wants all cores for itself


@nox.session(python=OLDEST, default=False)
def live(session: nox.Session) -> None:
    """The real vendors, as far as there are keys: it costs some cents, and says how many."""
    sync(session, "--group", "test")
    session.run("pytest", "-n0", "-s", "tests/live", *session.posargs, env={"POINTSMAN_LIVE": "1"})


@nox.session(python=OLDEST, default=False)
def proxy(session: nox.Session) -> None:
    """LiteLLM's proxy in front of those servers is understood."""
    sync(session, "--group", "real")
    # It wants older libraries than we do.
    peer = Path(session.create_tmp()).resolve() / "litellm"
    session.run_install("uv", "venv", "--quiet", "--clear", "--python", OLDEST, str(peer), external=True)
    session.run_install("uv", "pip", "install", "--quiet", "--python", str(peer), "litellm[proxy]>=1.80", external=True)
    env = {"POINTSMAN_PROXY_LITELLM": str(peer / "bin" / "litellm")}
    session.run("pytest", "-n0", "tests/proxy", *session.posargs, env=env)  # one proxy serves all its tests


@nox.session(python=OLDEST, default=False)
def judges(session: nox.Session) -> None:
    """Vendors' own SDKs, which nobody else here needs, take the lab for their vendor."""
    sync(session, "--group", "test")
    session.run_install("uv", "pip", "install", "--quiet", *HARMLESS_JUDGES, external=True)
    env: dict[str, str] = {}
    for vendor, wanted in JUDGES.items():
        venv = Path(session.create_tmp()).resolve() / vendor
        session.run_install("uv", "venv", "--quiet", "--clear", "--python", OLDEST, str(venv), external=True)
        session.run_install("uv", "pip", "install", "--quiet", "--python", str(venv), wanted, external=True)
        env[f"POINTSMAN_JUDGE_{vendor.upper()}"] = str(venv / "bin" / "python")
    session.run("pytest", "-n0", "tests/judges", *session.posargs, env=env)


@nox.session(python=OLDEST)
def docs(session: nox.Session) -> None:
    """The site builds without a warning, agrees with the code, and its examples run."""
    sync(session, "--group", "docs")
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})
    session.run("pytest", *map(str, sorted(ROOT.glob("tests/test_docs*.py"))))


@nox.session(python=OLDEST, default=False)
def properties(session: nox.Session) -> None:
    """Every property and state machine, with thousands of examples."""
    sync(session, "--group", "test")
    patient = ["-o", "faulthandler_timeout=0"]
    session.run("pytest", "-m", "hypothesis", *patient, *session.posargs, env={"HYPOTHESIS_PROFILE": "deep"})
    session.run("pytest", "packages/core/tests/test_schedules.py", *patient, env={"SCHEDULES": "100000"})


@nox.session(python=OLDEST, default=False)
def mutants(session: nox.Session) -> None:
    """The engine's tests notice every bug of a list, and the kit's those of another; words after -- select some."""
    sync(session, "--group", "test")
    install_examples(session)
    session.run("python", ".ci/mutants.py", *session.posargs)


@nox.session(python=OLDEST, default=False)
def train(session: nox.Session) -> None:
    """The models of packages/policy are fitted again, and written into it."""
    sync(session, "--group", "train")
    run_training(session, "train")


@nox.session(python=OLDEST, default=False)
def evaluate(session: nox.Session) -> None:
    """Those models, asked about sources that they have not seen, beat the simple ways; the figures are printed."""
    sync(session, "--group", "train")
    run_training(session, "evaluate")


@nox.session(python=OLDEST, default=False)
def bench(session: nox.Session) -> None:
    """Us beside our peers: every script in benchmarks/, or those named after --, with the options that follow them."""
    sync(session, "--group", "bench")
    env: dict[str, str] = {}
    # In environments of their own: none decides what another gets, and we are measured without them.
    for peer, wanted in BENCH_PEERS.items():
        venv = Path(session.create_tmp()) / peer
        session.run_install("uv", "venv", "--quiet", "--clear", "--python", OLDEST, str(venv), external=True)
        # LiteLLM wants a certifi of the day of its release, which a mirror may not have yet; any will do on loopback.
        overrides = Path(session.create_tmp()) / "overrides.txt"
        overrides.write_text("certifi\n")
        install = ["uv", "pip", "install", "--quiet", "--overrides", str(overrides), "--python", str(venv)]
        session.run_install(*install, wanted, external=True)
        env[f"POINTSMAN_BENCH_{peer.replace('-', '_').upper()}"] = str(venv / "bin" / "python")
    named = list(itertools.takewhile(lambda word: word.endswith(".py"), session.posargs))
    for script in named or sorted(str(path) for path in ROOT.glob("benchmarks/*.py") if path.name not in ENDURANCE):
        session.run("python", script, *session.posargs[len(named) :], env=env)


@nox.session(python=OLDEST, default=False)
def soak(session: nox.Session) -> None:
    """100,000 calls leave nothing behind, and all is told; a killed batch answers each line once; options after --."""
    sync(session, "--group", "runner")
    session.run("python", "benchmarks/soak.py", *session.posargs)
    session.run("python", "benchmarks/batch_killed.py")


def run_training(session: nox.Session, what: str) -> None:
    """Each script of packages/policy/training that is named so, or those named after --, if the data is there."""
    data = Path(os.environ.get("POINTSMAN_DATA", ROOT.parent / "shared" / "data"))
    if not list(data.glob("*-*.jsonl.gz")):
        session.skip(f"there is no training data in {data}; POINTSMAN_DATA names the folder that has it")
    scripts = session.posargs or [path.name for path in sorted(ROOT.glob(f"packages/policy/training/*{what}.py"))]
    failed: list[str] = []
    for name in scripts:
        try:
            session.run("python", str(ROOT / "packages/policy/training" / name))
        except CommandFailed:  # what the next one says is worth hearing, too
            failed.append(name)
    if failed:
        session.error(f"failed: {', '.join(failed)}")


def sync(session: nox.Session, *groups: str) -> None:
    """Install the workspace, editable, with these dependency groups and no others."""
    session.run_install("uv", "sync", "--active", "--quiet", "--no-default-groups", *groups, external=True)


def install_examples(session: nox.Session) -> None:
    """The plugins of strangers, beside the workspace."""
    editable = [word for name in EXAMPLES for word in ("--editable", FOLDERS[name])]
    session.run_install("uv", "pip", "install", "--quiet", "--no-deps", *editable, external=True)


def check_installed(session: nox.Session, name: str, *resolution: str, tests: Sequence[str] = ()) -> None:
    """Install `name` as a stranger would, import every module, and run its tests where no source tree is in reach."""
    folder, project = FOLDERS[name], PROJECTS[FOLDERS[name]]
    wheels = build_wheels(session)
    source = wheel_of(name, wheels) if name in PACKAGES else ROOT / folder
    # Dependencies on our own packages can then only mean these wheels, whatever an index holds under the same names.
    install = ["uv", "pip", "install", "--quiet", "--no-sources", "--constraints", str(wheels / "ours.txt")]

    session.run_install(*install, *resolution, str(source), external=True)
    import_all = ["python", "-W", "error", str(ROOT / ".ci/import_all.py"), *MODULES[name]]
    if extras := ",".join(project["project"].get("optional-dependencies", {})):
        session.run(*import_all, "--extras-are-missing")
        session.run_install(*install, *resolution, f"{source}[{extras}]", external=True)
    session.run(*import_all)

    session.run_install(*install, "--group", f"{ROOT / 'pyproject.toml'}:runner", external=True)
    if "test" in project.get("dependency-groups", {}):
        session.run_install(*install, "--group", f"{ROOT / folder / 'pyproject.toml'}:test", external=True)
    # Elsewhere, and without `src`, so that neither its source tree nor another package can be imported by accident.
    elsewhere = Path(tempfile.mkdtemp(dir=workshop().name))
    shutil.copytree(ROOT / folder, elsewhere / folder, ignore=shutil.ignore_patterns("src", "__pycache__"))
    shutil.copytree(ROOT / "docs", elsewhere / "docs")  # some tests hold a package to them
    shutil.copy(ROOT / "pyproject.toml", elsewhere)  # pytest's settings
    shutil.copy(ROOT / "conftest.py", elsewhere)
    session.chdir(elsewhere)
    session.run("pytest", folder, *tests, *session.posargs, env=FEWER)


def build_wheels(session: nox.Session) -> Path:
    """The wheels of all packages, each built from its own source distribution, once for all sessions of this run."""
    wheels = Path(workshop().name) / "wheels"
    if not wheels.exists():
        session.run("uv", "build", "--quiet", "--all-packages", "--out-dir", str(wheels), external=True)
        (wheels / "ours.txt").write_text("\n".join(f"{name} @ {wheel_of(name, wheels).as_uri()}" for name in PACKAGES))
    return wheels


def wheel_of(package: str, wheels: Path) -> Path:
    [wheel] = wheels.glob(f"{package.replace('-', '_')}-*.whl")
    return wheel


@functools.cache
def workshop() -> tempfile.TemporaryDirectory[str]:
    """A folder outside the checkout that is removed when nox ends."""
    return tempfile.TemporaryDirectory(prefix="pointsman-nox-")
