"""A card for people: Markdown for the package's README, and one line for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

Card = Mapping[str, Any]
Case = Mapping[str, Any]


def page(card: Card) -> str:
    """The card as Markdown."""
    return "\n".join([*_head(card), *_claims(card), *_rooms(card), *_exceptions(card), *_foot(card)]) + "\n"


def one_line(card: Card) -> str:
    """The card on a terminal: who, how much of it holds, and what is claimed."""
    counts = card["counts"]
    words = [f"{counts['held']} held"]
    words += [f"{counts[key]} {word}" for key, word in _EXCEPTIONS.items() if counts[key]]
    words += [] if card["complete"] else ["only a part was run"]
    proven = [name for name, found in card.get("capabilities", {}).items() if found["state"] == "proven"]
    told = f"; proven: {', '.join(proven)}" if proven else ""
    return f"{card['name']} {card.get('model') or ''}".rstrip() + f" ({card['class']}): {', '.join(words)}{told}"


_EXCEPTIONS = {"failed": "failed", "xfail": "known not to hold", "skipped": "not tried"}


def _head(card: Card) -> Iterator[str]:
    package = f"{card['package']} {card['version']}" if card["package"] else "no installed package"
    subject = [package, f"{card['kind']} `{card['name']}`"]
    subject += [f"model `{card['model']}`"] if "model" in card else []
    subject += [" and ".join(card["loops"]) or "no event loop"]
    yield f"### What is proven of `{card['name']}`"
    yield ""
    yield " · ".join(subject)
    yield ""
    counts = card["counts"]
    verdict = f"**{counts['held']} of {_tried(card['cases'])} cases hold**"
    rest = [f"{counts[key]} {word}" for key, word in _EXCEPTIONS.items() if counts[key]]
    partial = "" if card["complete"] else " Only a part of the class was run."
    yield f"{verdict}{''.join(f'; {one}' for one in rest)}.{partial}"
    if "terminal" in card:
        yield f"An answer is whole when its vendor has proven it: {card['terminal']}."
    if "problem" in card:
        yield f"**It is not there:** {card['problem']}"
    yield ""


def _claims(card: Card) -> Iterator[str]:
    found: Mapping[str, Mapping[str, Any]] = card.get("capabilities", {})
    if not found:
        return
    yield "| capability | |"
    yield "| --- | --- |"
    for (claimed, state), group in groupby(
        sorted(
            found, key=lambda name: (not found[name]["claimed"], found[name]["state"], found[name].get("reason", ""))
        ),
        key=lambda name: (found[name]["claimed"], found[name]["state"]),
    ):
        names = list(group)
        reasons = {reason: None for name in names if (reason := found[name].get("reason"))}
        why = f" ({_cell('; '.join(reasons))})" if reasons else ""
        yield f"| {', '.join(names)} | {'claimed' if claimed else 'not claimed'}, {state}{why} |"
    yield ""


def _rooms(card: Card) -> Iterator[str]:
    yield "| about | held | what holds |"
    yield "| --- | ---: | --- |"
    for room, cases in reversed(_by(card["cases"], "room")):  # pytest runs what the first base class has last.
        held = [case for case in cases if case["outcome"] == "held"]
        said = [_promise(test, rows) for test, rows in _by(held, "test")]
        if tried := _tried(cases):
            yield f"| {room} | {len(held)} of {tried} | {' · '.join(said)} |"
    yield ""


def _exceptions(card: Card) -> Iterator[str]:
    for outcome, word in _EXCEPTIONS.items():
        chosen = [case for case in card["cases"] if case["outcome"] == outcome]
        if not chosen:
            continue
        yield f"{word.capitalize()}:"
        yield ""
        for reason, cases in _by(chosen, "reason"):
            said = [_promise(test, rows) for test, rows in _by(cases, "test")]
            yield f"- {' · '.join(said)}: {_cell(reason)}"
        yield ""


def _tried(cases: Iterable[Case]) -> int:
    return sum(case["outcome"] != "skipped" for case in cases)


def _foot(card: Card) -> Iterator[str]:
    yield (
        f"<sub>`pytest --pointsman-cards DIR` makes this card, with pointsman {card['pointsman']} and "
        f"pointsman-testing {card['kit']}; `{card['digest'][:23]}`</sub>"
    )


def _promise(test: str, rows: Iterable[Case]) -> str:
    """``test_text_arrives_whole`` of three rows: "text arrives whole (1, 3, 4096)"."""
    ids = [row["row"] for row in rows if row["row"]]
    return _cell(test.removeprefix("test_").replace("_", " ") + (f" ({', '.join(ids)})" if ids else ""))


def _by(cases: Iterable[Case], key: str) -> list[tuple[str, list[Case]]]:
    """Cases that have `key` in common, in the order of the first of each."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(case[key], []).append(case)
    return list(found.items())


def _cell(text: str) -> str:
    """No table ends there, and no tag begins."""
    return text.replace("|", "\\|").replace("<", "&lt;")
