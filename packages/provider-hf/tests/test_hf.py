from __future__ import annotations

from pointsman_hf import SPEC


def test_it_is_found_under_its_name() -> None:
    assert SPEC.name == "hf"
