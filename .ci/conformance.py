"""Print the cards of a folder in short, and see that README's table says what they prove; --write makes it say so."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parent.parent / "README.md"
HEAD = "| provider | model | an answer is whole with | proven | refused clearly | cases that hold, on each event loop |"
TABLE = re.compile(r"(?<=<!-- what nox -s conformance proves -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)


def main(folder: Path, *, write: bool) -> int:
    cards = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    bad = [f"{card['name']} ({card['class']})" for card in cards if card["counts"]["failed"] or not card["complete"]]
    if bad or not cards:
        print(f"no table is made of cards that are red, or of a part of a class: {', '.join(bad) or 'no card'}")
        return 1
    table = "\n".join([HEAD, "| --- | --- | --- | --- | --- | --- |", *map(row, filter(is_whole, cards))])
    page = README.read_text("utf-8")
    [shown] = TABLE.findall(page)
    if write:
        README.write_text(TABLE.sub(lambda _: table, page), "utf-8")
    elif shown != table:
        print(f"README.md shows another table; `nox -s conformance -- --write` brings it up to date:\n\n{table}")
        return 1
    return 0


def is_whole(card: dict[str, Any]) -> bool:
    """Whether its class is held to all that the kit asks, and not to a few of its rooms for one more set-up."""
    return card["kind"] != "provider" or any(one["state"] != "not tried" for one in card["capabilities"].values())


def row(card: dict[str, Any]) -> str:
    named = f"`{card['name']}`" if card["kind"] == "provider" else f"`{card['name']}` (a {card['kind']})"
    found = card.get("capabilities", {}).items()
    proven, refused = (
        ", ".join(name for name, one in found if one["state"] == state) for state in ("proven", "refused clearly")
    )
    counts = card["counts"]
    cases = f"{counts['held']} of {len(card['cases']) - counts['skipped']}"
    cells = [named, card.get("model", ""), card.get("terminal", ""), proven, refused, cases]
    return f"| {' | '.join(cells)} |".replace("  ", " ")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), write="--write" in sys.argv))
