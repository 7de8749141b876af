"""Plant each bug of the lists in a copy of its package, and see that a test fails; words select bugs.

A list is a package's `tests/mutants.toml`. Core's are bugs that its own tests must notice; those of pointsman-testing
stand in plugins, and are noticed if the kit's test fails that the list names (`caught_by`). That test alone is run;
with `--whole`, the whole class is, and who else fails is told. The copy comes first on the path of the tests, so the
checkout is never touched; `witness.py` sees to it that it is the copy which they import.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTS = ("packages/core/tests/mutants.toml", "packages/testing/tests/mutants.toml")
PATIENCE = 600
"""Seconds for the tests of one bug. A bug that makes them hang is noticed, too."""


@dataclass(frozen=True)
class Verdict:
    """What the tests made of one bug."""

    says: str
    caught: bool
    sound: bool = True
    """False: it is the list that is wrong, or the tests, so that nothing was judged."""


@dataclass(frozen=True)
class Mutant:
    """A bug; without `old` and `new`, none."""

    package: str
    """The folder whose `src` is copied."""
    path: str
    tests: Sequence[str]
    bug: str = "no bug"
    old: str | Sequence[str] = ()
    new: str | Sequence[str] = ()
    """What stands in its place; several changes are several of both."""
    caught_by: str = ""
    """The test that has to fail; without a name, some test has to."""
    quick: bool = False
    """It is tried by `packages/testing/tests/test_kit_notices.py`, too."""

    def judge(self, whole: bool = False) -> Verdict:
        with tempfile.TemporaryDirectory(prefix="pointsman-mutant-") as folder:
            copied = Path(folder, "src")
            shutil.copytree(ROOT / self.package / "src", copied, ignore=shutil.ignore_patterns("__pycache__"))
            module = copied / self.path
            source = module.read_text("utf-8")
            for old, new in zip(_several(self.old), _several(self.new), strict=True):
                if (count := source.count(old)) != 1:
                    return Verdict(f"its pattern is found {count} times: {old!r}", caught=False, sound=False)
                source = source.replace(old, new)
            module.write_text(source, "utf-8")
            return self._verdict(self._run(folder, copied, "" if whole else self.caught_by))

    def _verdict(self, seen: dict[str, object]) -> Verdict:
        failed = seen["failed"]
        assert isinstance(failed, list)
        if not seen["planted"]:
            return Verdict(f"{self.path} was imported from elsewhere, or not at all", caught=False, sound=False)
        if not self.old:
            good = bool(seen["ran"]) and seen["status"] == 0
            return Verdict("its tests pass" if good else f"fails without any bug: {failed}", caught=False, sound=good)
        if not self.caught_by:
            noticed = seen["status"] != 0
            return Verdict("noticed" if noticed else "SURVIVED", caught=noticed)
        others = [name for name in failed if name != self.caught_by]
        besides = f" (also by {', '.join(others)})" if others else ""
        if self.caught_by in failed:
            return Verdict(f"noticed by {self.caught_by}{besides}", caught=True)
        return Verdict(f"SURVIVED {self.caught_by}{besides}", caught=False, sound=bool(seen["ran"]))

    def _run(self, folder: str, copied: Path, chosen: str) -> dict[str, object]:
        """What `witness.py` saw, and pytest's status. The same examples are drawn each time."""
        command = [sys.executable, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", "-p", "witness"]
        command += [] if self.caught_by else ["-x"]
        report = Path(folder, "report.json")
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(copied), str(ROOT / ".ci"))),
            "HYPOTHESIS_PROFILE": "ci",
            "SCHEDULES": "1000",
            "PYTHONDONTWRITEBYTECODE": "1",
            "MUTANT_MODULE": self.path.removesuffix(".py").removesuffix("/__init__").replace("/", "."),
            "MUTANT_FOLDER": str(copied),
            "MUTANT_CHOSEN": chosen,
            "MUTANT_REPORT": str(report),
        }
        try:
            files = [str(ROOT / self.package / "tests" / name) for name in self.tests]
            ran = subprocess.run(
                [*command, *files], cwd=ROOT, env=env, capture_output=True, timeout=PATIENCE, check=False
            )
            status = ran.returncode
        except subprocess.TimeoutExpired:
            status = -1
        seen = json.loads(report.read_text()) if report.exists() else {"planted": False, "ran": 0, "failed": []}
        return {**seen, "status": status}


def _several(text: str | Sequence[str]) -> Sequence[str]:
    return (text,) if isinstance(text, str) else text


def read(path: Path) -> tuple[float, Iterator[Mutant]]:
    """The share of a list's bugs that has to be noticed, and the bugs."""
    told = tomllib.loads(path.read_text("utf-8"))
    own = path.parent.parent.relative_to(ROOT).as_posix()
    return told.get("share", 1.0), (
        Mutant(file.get("package", own), file["path"], tuple(file["tests"]), **one)
        for file in told["file"]
        for one in file["mutants"]
    )


def try_all(path: Path, words: Sequence[str], whole: bool) -> bool | None:
    """Whether enough bugs of the list are noticed; None if none was chosen."""
    share, mutants = read(path)
    chosen = [one for one in mutants if all(word in f"{one.path} {one.bug} {one.caught_by}" for word in words)]
    if not chosen:
        return None
    # A test that fails anyway would seem to notice every bug.
    sound = {(one.package, one.tests): Mutant(one.package, one.path, one.tests) for one in chosen}
    caught, unsound = 0, 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        everything = [*sound.values(), *chosen]
        for mutant, verdict in zip(everything, pool.map(lambda one: one.judge(whole), everything), strict=True):
            print(f"{mutant.path}: {mutant.bug}: {verdict.says}", flush=True)
            caught += verdict.caught
            unsound += not verdict.sound
    print(f"{path.relative_to(ROOT)}: {caught} of {len(chosen)} bugs noticed ({caught / len(chosen):.0%})")
    return not unsound and caught >= share * len(chosen)


def main(arguments: Sequence[str]) -> int:
    words = [word for word in arguments if word != "--whole"]
    results = [try_all(ROOT / path, words, "--whole" in arguments) for path in LISTS]
    return 0 if any(results) and False not in results else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
