"""What the demo asks, and what its vendors answer: prepared texts, and one fault each where there is to be one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pointsman.types import Priority

Trouble: TypeAlias = Literal["busy", "breaks"]
"""What happens to whoever is asked first: ``busy`` is status 429 with Retry-After before the first word, ``breaks`` a
connection that is lost in the middle of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One prompt."""

    task: str
    """What it is, and what the policy has to take it for by itself."""
    prompt: str
    answer: str
    first_answer: str = ""
    """What the vendor says whose connection breaks; another vendor words it differently, as another model would."""
    trouble: Trouble | None = None
    priority: Priority = "balanced"
    require: tuple[str, ...] = ()
    """What a vendor must be able to do; asked only where one of the installed can."""


GREETING = "Good morning."
"""What each vendor is asked before."""

CASES = (
    Case(
        task="code_generation",
        prompt="Write a Python function that merges two sorted lists.",
        answer='''\
```python
def merge(left, right):
    """Merge two sorted lists."""
    merged, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]
```

It looks at each element once, so it takes time proportional to the length of both lists together. Equal elements keep \
their order, those of the left list first.''',
    ),
    Case(
        task="code_explanation",
        prompt="Explain this Python: longest = max(lines, key=len, default='')",
        trouble="busy",
        answer="""\
It finds the longest line. `max` goes through `lines` and compares them by what `key` makes of each, here its length, \
so the line with the most characters wins; of several with that length, the first.

`default=''` is what comes out if there are no lines at all. Without it, `max` of nothing raises a `ValueError`.""",
    ),
    Case(
        task="general_qa",
        prompt="Why is the sky blue, and the evening sky red?",
        trouble="breaks",
        first_answer="""\
Sunlight is a mix of all colours. On its way through the air, the molecules scatter short waves, which we see as blue, \
far more than long ones, so that blue light reaches us from every direction of the sky. In the evening the sun stands \
low, its light has a much longer way, and""",
        answer="""\
Air scatters short waves of light far more than long ones. By day, blue light is therefore thrown about and comes to \
us from the whole sky.

At sunset the light crosses ten times as much air or more. By then most of the blue has been scattered out of the \
direct beam, and what is left of it is yellow and red.""",
    ),
    Case(
        task="test_writing",
        prompt="Write a test for a function `is_leap(year)`.",
        priority="speed",
        answer="""\
```python
import pytest


@pytest.mark.parametrize(("year", "leap"), [(2000, True), (1900, False), (2024, True), (2023, False)])
def test_is_leap(year, leap):
    assert is_leap(year) is leap
```""",
    ),
    Case(
        task="math_reasoning",
        prompt="A train travels 180 km in 2 h and 15 min. What is its average speed?",
        priority="quality",
        answer="It takes 2.25 hours, so its average speed is 180 km / 2.25 h = 80 km/h.",
    ),
    Case(
        task="translation",
        priority="cost",
        prompt="Translate into French: The last train leaves from platform nine at half past ten.",
        answer="Le dernier train part du quai numéro neuf à dix heures et demie.",
    ),
    Case(
        task="writing",
        prompt="This must not leave the machine. Write a reply to this note: Call Marta about the notary's letter.",
        answer="Thank you. I will call Marta this afternoon, and tell you what the notary has written.",
        require=("local",),
    ),
    Case(
        task="agentic",
        prompt="Rename `total` to `amount` in every file of the project, and run its tests.",
        answer="""\
I have renamed `total` to `amount` in 4 files: `cart.py`, `invoice.py` and their tests. All 31 tests pass.

I left one `total` as it is, in `schema.sql`: it is the name of a column, and renaming that needs a migration.""",
        require=("agentic",),
    ),
)
