"""Where the process starts. Nothing is imported outside of `main`, so that Ctrl-C is quiet from the first moment."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that ``sys.argv`` names, and exit with its code."""
    try:
        import gc

        gc.set_threshold(50_000)  # A start makes much and drops nothing: at 700 a tenth of it goes into looking.

        from .app import cli
        from .terminal import prepare_streams

        prepare_streams()
        cli.main(prog_name="pointsman")
    except KeyboardInterrupt:
        sys.exit(130)
    except RuntimeError as error:  # Python 3.11 makes one of what a `__set_name__` raised, while a class was made.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        sys.exit(130)
