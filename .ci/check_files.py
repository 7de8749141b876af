"""Checks of files that no linter makes: prints what is wrong, a line each. Needs only Python; uses git if it can."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONGEST_MODULE = 400
IN_EVERY_PACKAGE = (
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "src/*/__init__.py",
    "src/*/py.typed",
    "tests/**/test_*.py",
)
LOCK_FILES = {"uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock", "package-lock.json"}
# Where packages come from is the affair of the machine that installs them. In parts, so that this file passes too.
INDEX_HOSTS = re.compile(r"\b(py" r"pi\.org|python" r"hosted\.org|registry\.npm" r"js\.org)\b")


def files() -> list[Path]:
    """Everything that is committed or about to be; without git, everything that is not hidden."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
        found = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        hidden = re.compile(r"(^|/)(\.(?!ci/)|site/|dist/|build/)")
        found = [path for path in ROOT.rglob("*") if not hidden.search(path.relative_to(ROOT).as_posix())]
    return [path for path in found if path.is_file()]


def complaints() -> Iterator[str]:
    """What is wrong, a sentence each."""
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        if path.name in LOCK_FILES:
            yield f"{name}: lock files name the index that they were made with, and are not committed"
            continue
        if "/tests/" in name and path.name == "__init__.py":
            yield f"{name}: gives these tests the names of those in tests/, which then run in their place"
        if path.stat().st_size > 500_000:
            yield f"{name}: larger than 500 kB"
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if INDEX_HOSTS.search(line):
                yield f"{name}:{number}: names the host of a package index"
        if text and not text.endswith("\n"):
            yield f"{name}: the last line does not end"
        if "/src/" in name and path.suffix == ".py" and (length := text.count("\n")) > LONGEST_MODULE:
            yield f"{name}: {length} lines; a module has at most {LONGEST_MODULE}"
    for package in sorted(path for path in ROOT.glob("packages/*") if path.is_dir()):
        for wanted in IN_EVERY_PACKAGE:
            if not any(package.glob(wanted)):
                yield f"packages/{package.name}: has no {wanted}"


if __name__ == "__main__":
    found = list(complaints())
    print("\n".join(found) or "files: nothing to complain about")
    sys.exit(bool(found))
