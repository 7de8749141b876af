"""``python -m pointsman`` is the `pointsman` command, which a package of its own brings."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points


def main() -> None:
    """Run the command; where it is missing, say on stderr what to install, and exit with 1."""
    [*found] = entry_points(group="console_scripts", name="pointsman")
    if not found:
        sys.exit(f"The pointsman command is not installed. Install it: {sys.executable} -m pip install pointsman-cli")
    found[0].load()()


if __name__ == "__main__":
    main()
