"""How fast vendors are, as data: the expected waits that routing starts from, in ranges."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DEFAULT_SPEED = 10.0
"""The lab's clock runs this many times faster than a wall clock, unless `Lab(speed=...)` says otherwise."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed of one answer: seconds to its first token, and seconds for each further one."""

    first_token: float = 0.0
    per_token: float = 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """The speed of a vendor: (lowest, highest) seconds to the first token, and tokens per second after it."""

    first_token: tuple[float, float]
    tokens_per_second: tuple[float, float]

    def draw(self, rng: random.Random) -> Pace:
        """One answer's speed, anywhere in the ranges."""
        return Pace(rng.uniform(*self.first_token), 1 / rng.uniform(*self.tokens_per_second))


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "sambanova": Profile((0.1, 0.3), (100, 200)),
        "blaxel": Profile((0.2, 0.5), (50, 100)),
        "hf": Profile((1.0, 2.0), (50, 100)),
        "ollama": Profile((2.0, 5.0), (10, 30)),
        "modal": Profile((0.3, 0.8), (80, 150)),
    }
)
"""By vendor: hosted ones as seen from the internet, ollama on a CPU, modal warm."""
