"""What the kit takes for a key that shows."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from pointsman import AuthFailed
from pointsman_testing.kit.leaks import Leaks, shown_by

KEY = "sk-Ab12/Cd34+Ef56.Gh78"


@pytest.mark.parametrize(
    "shown",
    [
        KEY,
        f"Bearer {KEY}",
        f"the key that begins with {KEY[:12]}",
        f"the key that ends with {KEY[-9:]}",
        f"/models?key={quote(KEY, safe='')}",
        f"authorization: Basic {base64.b64encode(f'someone:{KEY}'.encode()).decode()}",
        f"<p>{KEY.replace('/', '&#x2F;').replace('+', '&#43;')}</p>",
    ],
)
def test_a_key_is_found_in_every_notation(shown: str) -> None:
    assert Leaks([KEY]).find(shown)


@pytest.mark.parametrize(
    "shown", ["", "sk-...", "sk-Ab12", "Ab12 Cd34 Ef56", "a key was refused (status 401)", "x" * 99]
)
def test_other_text_is_no_key(shown: str) -> None:
    assert Leaks([KEY]).find(shown) is None


def test_no_secrets_are_nothing_to_be_found() -> None:
    assert not Leaks([])
    assert not Leaks([""])
    assert Leaks(["short"]).find("it is short")


def test_an_exception_shows_its_causes_its_notes_and_what_it_holds() -> None:
    def raised() -> BaseException:
        try:
            try:
                raise KeyError("first-cause-1234")
            except KeyError as cause:
                raise AuthFailed("said-5678-again", request_id="id-9012-again") from ExceptionGroup(
                    "group", [ValueError("inside-3456"), cause]
                )
        except AuthFailed as error:
            error.add_note("noted-7890-too")
            return error

    shown = shown_by(raised())
    for part in ("first-cause-1234", "said-5678-again", "id-9012-again", "inside-3456", "noted-7890-too"):
        assert part in shown
