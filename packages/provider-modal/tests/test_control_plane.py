"""The control plane on loopback does what Modal's own SDK expects of Modal's."""

from __future__ import annotations

from pathlib import Path

import modal
import pytest
from control_plane.server import ControlPlane


def small_app(**options: object) -> modal.App:
    app = modal.App("small")

    @app.function(gpu=["A10", "L4"], serialized=True, name="double", max_containers=3, **options)
    def double(number: int) -> int:
        return 2 * number

    return app


def test_a_deployed_function_answers(control_plane: ControlPlane, modal_client: modal.Client) -> None:
    small_app().deploy(client=modal_client)
    control_plane.calling.bodies["double"] = lambda number: 2 * number
    double = modal.Function.from_name("small", "double", client=modal_client)
    assert double.remote(21) == 42
    assert list(double.map(range(100))) == list(range(0, 200, 2))
