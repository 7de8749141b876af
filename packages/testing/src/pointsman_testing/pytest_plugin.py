"""``pytest --pointsman-cards DIR``. Whoever has this package loads this module with each pytest: it imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

OPTION = "--pointsman-cards"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pointsman", "conformance of Pointsman's plugins")
    group.addoption(
        OPTION,
        metavar="DIR",
        help="write a capability card (JSON and Markdown) for each conformance class to this folder",
    )


def pytest_configure(config: pytest.Config) -> None:
    folder: str | None = config.getoption(OPTION)
    if folder:
        import os

        import pytest

        place = config.invocation_params.dir / folder
        try:
            from .kit.dealer import Dealer

            place.mkdir(parents=True, exist_ok=True)
            if not os.access(place, os.W_OK):
                raise PermissionError(f"{place} is not for us to write to")
        except ImportError as error:
            raise pytest.UsageError(f"{OPTION}: {error}; pip install 'pointsman-testing[kit]' brings it") from None
        except OSError as error:
            raise pytest.UsageError(f"{OPTION}: no card can be written there: {error}") from None
        config.pluginmanager.register(Dealer(config, place), "pointsman-cards")
