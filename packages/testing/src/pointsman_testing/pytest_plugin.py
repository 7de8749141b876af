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
        from .kit.dealer import Dealer

        config.pluginmanager.register(Dealer(config, config.invocation_params.dir / folder), "pointsman-cards")
