"""What can be imported, and what that costs."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

import pointsman_testing
from pointsman_testing import count_words, split_words


def test_every_public_name_is_there() -> None:
    assert all(getattr(pointsman_testing, name, None) is not None for name in pointsman_testing.__all__)
    assert set(pointsman_testing.__all__) <= set(dir(pointsman_testing))
    assert not hasattr(pointsman_testing, "nonsense")


def test_importing_loads_nothing() -> None:
    code = "import sys, pointsman_testing; assert not {'anyio', 'h11', 'pydantic', 'asyncio'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@given(st.text())
def test_words_join_to_the_text_again(text: str) -> None:
    assert "".join(split_words(text)) == text
    assert count_words(text) == max(len(text.split()), bool(text))
