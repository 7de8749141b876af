"""Plant each bug of `packages/core/tests/mutants.toml` in a copy of core, and see that a test fails; words select bugs.

The copy comes first on the path of the tests, so the checkout is never touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "packages/core"
PATIENCE = 600
"""Seconds for the tests of one bug. A bug that makes them hang is noticed, too."""


@dataclass(frozen=True)
class Mutant:
    """A bug; without `old` and `new`, none."""

    path: str
    tests: Sequence[str]
    bug: str = "no bug"
    old: str = ""
    new: str = ""

    def judge(self) -> str | None:
        """What is wrong with the tests, or with the mutant itself."""
        with tempfile.TemporaryDirectory(prefix="pointsman-mutant-") as folder:
            shutil.copytree(CORE / "src", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            module = Path(folder, "pointsman", self.path)
            source = module.read_text()
            if self.old:
                if (count := source.count(self.old)) != 1:
                    return f"its pattern is found {count} times"
                module.write_text(source.replace(self.old, self.new))
            passed = run_tests(folder, self.tests)
        if self.old:
            return "SURVIVED" if passed else None
        return None if passed else f"{', '.join(self.tests)}: fail without any bug, so they judge none"


def run_tests(package: str, tests: Sequence[str]) -> bool:
    """Whether they pass with the package that lies there. The same examples are drawn each time."""
    command = [sys.executable, "-m", "pytest", "-n0", "-x", "-q", "-p", "no:cacheprovider"]
    env = {
        **os.environ,
        "PYTHONPATH": package,
        "HYPOTHESIS_PROFILE": "ci",
        "SCHEDULES": "1000",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        files = [str(CORE / "tests" / name) for name in tests]
        done = subprocess.run([*command, *files], cwd=ROOT, env=env, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main(words: Sequence[str]) -> int:
    files = tomllib.loads((CORE / "tests/mutants.toml").read_text())["file"]
    mutants = [Mutant(file["path"], tuple(file["tests"]), **one) for file in files for one in file["mutants"]]
    chosen = [one for one in mutants if all(word in f"{one.path} {one.bug}" for word in words)]
    # A test that fails anyway would seem to notice every bug.
    sound = {one.tests: Mutant(one.path, one.tests) for one in chosen}
    bad = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        everything = [*sound.values(), *chosen]
        for mutant, wrong in zip(everything, pool.map(Mutant.judge, everything), strict=True):
            print(
                f"{mutant.path}: {mutant.bug}: {wrong or ('noticed' if mutant.old else 'its tests pass')}", flush=True
            )
            bad += wrong is not None
    print(f"{len(chosen)} bugs planted; {bad} complaints")
    return 1 if bad or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
