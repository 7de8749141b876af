"""What the demo asks, and what its vendors answer: prepared texts, and one fault each where there is to be one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Trouble: TypeAlias = Literal["busy", "breaks"]
"""What happens to whoever is asked first: ``busy`` is status 429 with Retry-After before the first word, ``breaks`` a
connection that is lost in the middle of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One prompt."""

    task: str
    prompt: str
    answer: str
    first_answer: str = ""
    """What the vendor says whose connection breaks; another vendor words it differently, as another model would."""
    trouble: Trouble | None = None
    require: tuple[str, ...] = ()
    """What a vendor must be able to do; asked only where one of the installed can."""


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
        task="translation",
        prompt="Translate into French: The last train leaves from platform nine at half past ten.",
        answer="Le dernier train part du quai numéro neuf à dix heures et demie.",
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
        task="summarization",
        prompt="Summarise in one sentence: The committee met on Monday. It discussed the budget for four hours. It "
        "could not agree, and will meet again on Thursday.",
        answer="After four hours on Monday without agreement on the budget, the committee will meet again on Thursday.",
    ),
    Case(
        task="extraction",
        prompt="This must not leave the machine. Who is meant in this note? Call Marta back about the notary's letter.",
        answer="Marta: it is she who is to be called back.",
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
