from __future__ import annotations

from pointsman_modal import SPEC


def test_it_is_found_under_its_name() -> None:
    assert SPEC.name == "modal"
