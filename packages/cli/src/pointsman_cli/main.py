"""Where the process starts. Nothing is imported outside of `main`, so that Ctrl-C is quiet from the first moment."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that ``sys.argv`` names, and exit with its code."""
    try:
        from .app import cli
        from .terminal import prepare_streams

        prepare_streams()
        cli.main(prog_name="pointsman")
    except KeyboardInterrupt:
        sys.exit(130)
