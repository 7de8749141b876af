"""What tests ask for by name; conftest imports it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import modal

    from .server import ControlPlane


@pytest.fixture
def control_plane() -> Iterator[ControlPlane]:
    """Modal's control plane, on loopback, empty. The SDK is loaded here, and not before."""
    from .server import ControlPlane

    with ControlPlane() as plane:
        yield plane


@pytest.fixture
def modal_client(control_plane: ControlPlane) -> Iterator[modal.Client]:
    """A client of `control_plane` for this process."""
    with control_plane.client() as client:
        yield client
