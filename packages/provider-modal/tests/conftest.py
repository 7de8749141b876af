from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest

from pointsman import ProviderContext, RateLimits
from pointsman_modal import SPEC, ModalConfig
from pointsman_testing import Lab, Vendor

sys.path.append(str(Path(__file__).parent))  # For `control_plane`, which several modules here use.
os.environ["MODAL_CONFIG_PATH"] = "/nonexistent/modal.toml"  # Read when `modal` is imported: not of who runs the tests.

from control_plane.fixtures import control_plane as control_plane
from control_plane.fixtures import modal_client as modal_client
from verbs import deployed as deployed
from verbs import dialect as dialect
from verbs import endpoint as endpoint
from verbs import home as home
from verbs import invoke as invoke
from verbs import lab_here as lab_here
from verbs import plane as plane
from verbs import portal as portal

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]
Deploy: TypeAlias = Callable[..., Vendor]

TOKEN_ID, TOKEN_SECRET = "wk-Ab12Cd34Ef56", "ws-Gh78Ij90Kl12"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def lab() -> AsyncGenerator[Lab]:
    """A minute of the lab is a tenth of a second."""
    async with Lab(speed=600) as lab:
        yield lab


@pytest.fixture
def opened() -> Open:
    """Opens a session at a base URL, as core does."""

    def open_(base_url: str, **settings: Any) -> AbstractAsyncContextManager[Any]:
        context = ProviderContext(
            name="modal",
            clock=anyio.current_time,
            secrets={},
            limits=RateLimits(),
            log=logging.LoggerAdapter(logging.getLogger("modal"), {}),
        )
        return SPEC.open(ModalConfig.model_validate({"base_url": base_url, **settings}), context)

    return open_
