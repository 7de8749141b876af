"""Plugins to begin with. Each template is a package of its own, in which one word is its name.

So a template needs no language: it is what stands in ``examples/``, and a test holds that it is. That word, in each
spelling that code needs, is all that is replaced; therefore it is used for nothing else in there. Lines that it stands
on leave room for one of `LONGEST` letters. Their files are called ``*.txt``, so that no tool takes them for our code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

LONGEST = 30
"""Letters of a name: more would not fit on the lines of the templates."""

WORDS: Mapping[str, str] = {"provider": "acme", "openai": "acme", "policy": "cheapest", "wrapper": "redact"}
"""Template -> the word in it that is the plugin's name."""


def rendered(template: str, name: str) -> dict[str, str]:
    """The files of the package ``pointsman-NAME``: path, with slashes -> text."""
    word = WORDS[template]
    found = _texts(files("pointsman_cli.plugins") / "templates" / template)
    return {renamed(path, word, name): renamed(text, word, name) for path, text in sorted(found)}


def renamed(text: str, word: str, name: str) -> str:
    """`text` with `name` for `word`, also within identifiers: ``my-vendor``, ``my_vendor``, ``MyVendor``."""
    spellings = {
        f"_{word}": f"_{name.replace('-', '_')}",
        word.upper(): name.replace("-", "_").upper(),
        word.capitalize(): "".join(part.capitalize() for part in name.split("-")),
        word: name,
    }
    return re.sub(f"({'|'.join(spellings)})(?![a-z])", lambda found: spellings[found[0]], text)


def _texts(folder: Traversable, above: str = "") -> Iterator[tuple[str, str]]:
    for one in folder.iterdir():
        if one.is_dir():
            yield from _texts(one, f"{above}{one.name}/")
        elif one.name.endswith(".txt"):
            yield above + one.name.removesuffix(".txt"), one.read_text("utf-8")
